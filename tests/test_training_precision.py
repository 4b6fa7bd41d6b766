"""bfloat16 where it pays. Nothing here hangs on a clock: what is measured is put in by hand."""

import json
import warnings

import pytest
import torch
from training_runs import TINY, outcome, run

from swinlib.training import checkpoint, devices, precision
from swinlib.training.precision import choose_precision, not_available

CPU = torch.device("cpu")
HALF = TINY.replace(precision="bfloat16")


@pytest.fixture
def measured(monkeypatch):
    """measured(2.0): from now on bfloat16 is said to be twice as fast. Returns the steps asked."""
    asked = []

    def say(gain):
        precision._gain_of.cache_clear()
        monkeypatch.setattr(precision, "bfloat16_gain", lambda step: asked.append(step) or gain)
        return asked

    yield say
    precision._gain_of.cache_clear()


def stop_at(step, folder, config=HALF):
    def on_step(state):
        if state["step"] == step:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(config, checkpoints=folder, on_step=on_step)


def first_line(log):
    return json.loads(log.read_text().splitlines()[0])


def test_taken_where_it_pays(measured):
    measured(devices.PAYS + 0.01)
    assert choose_precision(HALF, CPU) == "bfloat16" and not_available(HALF, CPU) == ""
    measured(devices.PAYS - 0.01)
    assert choose_precision(HALF, CPU) == "float32"
    words = "On this device (cpu) bfloat16 does not pay (float32 instead)."
    assert not_available(HALF, CPU) == words
    assert choose_precision(HALF, torch.device("mps")) == "float32"
    assert "bfloat16 is missing" in not_available(HALF, torch.device("mps"))


def test_measured_once_in_a_process_and_only_where_asked_for(measured):
    asked = measured(2.0)
    assert choose_precision(TINY, CPU) == "float32" and not asked
    for seed in range(3):
        assert choose_precision(HALF.replace(name=f"n{seed}", seed=seed), CPU) == "bfloat16"
    assert len(asked) == 1


def test_the_step_that_is_timed_computes_as_told(measured):
    """A whole step of the model, in the precision that it is asked for; no random number is used
    up that the run itself would draw."""
    seen = []

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if function is torch.nn.functional.linear:
                seen.append(out.dtype)
            return out

    asked, before = measured(2.0), torch.get_rng_state()
    choose_precision(HALF, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    for name in ("bfloat16", "float32"):
        with Spy():
            asked[0](name)
        assert seen and set(seen) == {getattr(torch, name)}
        seen.clear()


def test_gain_counts_the_fastest(monkeypatch):
    """A clock by hand: float32 takes 6 seconds and now and then 60, bfloat16 always 2."""
    clock, steps = [0.0], []

    def step(name):
        steps.append(name)
        slow = name == "float32" and len(steps) % 3 == 0
        clock[0] += (60 if slow else 6) if name == "float32" else 2

    monkeypatch.setattr(devices.time, "perf_counter", lambda: clock[0])
    assert devices.bfloat16_gain(step) == 3
    assert steps == ["bfloat16", "float32"] * 4  # in turn, and at least so often


@pytest.mark.parametrize("gain", [2.0, 0.5])
def test_a_run_computes_in_what_was_chosen_and_logs_it(measured, tmp_path, gain):
    measured(gain)
    log = tmp_path / "log.jsonl"
    numbers = outcome(run(HALF, log=log))
    (arithmetic,) = first_line(log)["arithmetic"]
    assert arithmetic["precision"] == ("bfloat16" if gain > 1 else "float32")
    assert (numbers == outcome(run(TINY))) == (gain < 1)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])  # Muon computes in bfloat16 itself
@pytest.mark.parametrize("then, now", [(2.0, 2.0), (2.0, 0.5), (0.5, 2.0)])
def test_a_resumed_run_does_not_change_its_mind(measured, tmp_path, then, now, optimizer):
    """Bit for bit, whatever the clock says the second time."""
    config = HALF.replace(optimizer=optimizer)
    measured(then)
    undisturbed = outcome(run(config))
    stop_at(6, tmp_path / "checkpoints", config)
    measured(now)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = run(config, checkpoints=tmp_path / "checkpoints", log=tmp_path / "log.jsonl")
    assert outcome(resumed) == undisturbed
    assert len(first_line(tmp_path / "log.jsonl")["arithmetic"]) == 1


def test_on_another_processor_it_is_measured_again_and_told(measured, tmp_path, monkeypatch):
    measured(2.0)
    stop_at(6, tmp_path)
    measured(0.5)
    monkeypatch.setattr(checkpoint, "_processor", lambda: "another")
    with pytest.warns(UserWarning, match="precision bfloat16 there and float32 here"):
        run(HALF, checkpoints=tmp_path)


def test_compiling_on_a_mac_needs_openmp_too(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(devices.sys, "platform", "darwin")
    monkeypatch.setattr(devices.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("OMP_PREFIX", str(tmp_path))
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "torch" / "__init__.py"))
    assert not devices.can_compile(CPU)
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "omp.h").touch()
    assert devices.can_compile(CPU)


def test_compiling_on_a_cpu_needs_a_compiler(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: name)
    config = TINY.replace(compile=True)
    assert not devices.can_compile(CPU)
    assert not_available(config, CPU) == "On this device (cpu) torch.compile is off."
    compiler = tmp_path / "my-compiler.bat"  # Windows finds programs by their endings
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", compiler.name)
    assert devices.can_compile(CPU) and not_available(config, CPU) == ""
    monkeypatch.setattr(devices.importlib.util, "find_spec", {"triton": "there"}.get)
    assert not devices.can_compile(CPU)  # for want of setuptools
