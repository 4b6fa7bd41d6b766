"""tools/gpu.py, as far as it can be tried without a GPU: the visit must not break on the card."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from training_runs import tiny_data

import gpu
from swinlib.training import load_model, read_run
from swinlib.training.__main__ import _config, _parser
from swinlib.training.config import preset

CPU = torch.device("cpu")


@pytest.mark.parametrize("piece", gpu.PIECES)
def test_every_command_of_the_ablation_is_understood(piece, tmp_path):
    args = gpu.read(["ablate", "--dataset", "shapes", "--set", "mlp_ratio=2"])
    command = gpu.run_of(args, CPU, piece, 1, 9, tmp_path)
    config = _config(_parser().parse_args(command[3:]))
    assert (config.epochs, config.warmup_epochs, config.seed) == (9, 1, 1)
    assert (config.dataset, config.mlp_ratio) == ("shapes", 2)
    assert config.depths == ((6,) if piece == "merging" else (2, 4))
    assert config.without == (None if piece in ("nothing", "merging") else piece)
    assert not config.ema_decay and not config.randaugment_ops and not config.mixup_alpha


def test_the_ablation_has_epochs_for_its_slowest_variant(tmp_path, monkeypatch):
    epochs = []

    def at_once(commands, beside):
        for key, command in commands.items():
            folder = gpu.Path(command[command.index("--out") + 1])
            folder.mkdir(parents=True)
            (folder / "log.jsonl").write_text("{}", encoding="utf-8")
            epochs.append(next(part for part in command if part.startswith("epochs=")))
            yield key, 0

    def pretended(folder):
        epoch = 20.0 if folder.name.startswith("windows") else 5.0
        history = [{"seconds": 30 + epoch * n, "val_accuracy": 0.5} for n in range(3)]
        return SimpleNamespace(history=history, test_accuracy=0.5, seconds=history[-1]["seconds"])

    monkeypatch.setattr(gpu, "load", lambda args, config: None)
    monkeypatch.setattr(gpu, "side_by_side", at_once)
    monkeypatch.setattr(gpu, "read_run", pretended)
    monkeypatch.setattr(gpu, "STARTED", time.perf_counter())
    gpu.ablate(gpu.read(["ablate", "--out", str(tmp_path), "--seconds", "500"]), CPU)
    fitting = (500 * 92 // 100 - 42) // 20
    assert epochs == ["epochs=3"] * 12 + [f"epochs={fitting}"] * 12  # every variant is tried
    assert len(json.loads((tmp_path / "ablate.json").read_text())) == 12


def test_processes_side_by_side_end_with_the_visit(monkeypatch):
    started, start = [], subprocess.Popen

    def watched(*args, **options):
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(gpu.subprocess, "Popen", watched)
    codes = {"never": "import time; time.sleep(600)", "well": "", "badly": "exit(3)"}
    commands = {name: [sys.executable, "-c", code] for name, code in codes.items()}
    ended = gpu.side_by_side(commands, 2)
    assert dict(next(ended) for _ in range(2)) == {"well": 0, "badly": 3}
    assert len(started) == 3 and started[0].poll() is None
    ended.close()  # as an interrupt does
    assert started[0].returncode


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such clock here")
def test_the_clock_interrupts_until_it_is_stopped():
    gpu.interrupt_in(0.05)
    with pytest.raises(KeyboardInterrupt):
        time.sleep(10)
    gpu.interrupt_in(0.05)
    gpu.interrupt_in(None)
    time.sleep(0.1)


def test_a_run_that_the_clock_ends_is_written(tmp_path, monkeypatch):
    data = tiny_data()
    monkeypatch.setattr(gpu, "load", lambda args, config: data)

    def show(config):
        def at_epoch_two(record):
            if record["epoch"] == 2:
                raise KeyboardInterrupt

        return at_epoch_two

    monkeypatch.setattr(gpu, "_show", show)
    monkeypatch.setattr(gpu, "STARTED", time.perf_counter())
    visit = ["train", "smoke", "--device", "cpu", "--out", str(tmp_path)]
    gpu.main([*visit, "--set", "embed_dim=8", "num_heads=(1, 2)", "batch_size=16", "epochs=3"])
    run = read_run(tmp_path / "smoke_seed0")
    found = json.loads((tmp_path / "train.json").read_text())
    assert found["interrupted"] and found["epochs"] == len(run.history) == 2
    assert found["test_accuracy"] == run.test_accuracy
    assert load_model(tmp_path / "smoke_seed0").config.embed_dim == 8
    with pytest.raises(SystemExit, match="holds a finished run"):
        gpu.main(visit)


def test_a_visit_without_pictures_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "DATA", tmp_path)
    with pytest.raises(SystemExit, match="cifar10 is not there: give --archive"):
        gpu.load(gpu.read(["ablate"]), preset("smoke"))


def test_epochs_are_those_that_fit():
    measured = {"pictures_per_second": 100.0, "validation_seconds": 1.0}
    data = dataclasses.replace(tiny_data(), train_labels=torch.zeros(900))
    config = preset("gpu")
    assert gpu.epochs_that_fit(config, data, measured, 100 / 0.97 + 0.1) == 10
    assert gpu.epochs_that_fit(config, data, measured, 10**6) == config.epochs


def test_a_row_that_fails_costs_no_other(tmp_path, monkeypatch):
    def speed(config, data, device, **changes):
        if changes.get("batch_size") == 256:
            raise RuntimeError("too large")
        return {"pictures_per_second": 1.0, "first_epoch_seconds": 1.0, "peak_bytes": None}

    monkeypatch.setattr(gpu, "run_tests", lambda args, device: 0)
    monkeypatch.setattr(gpu, "load", lambda args, config: None)
    monkeypatch.setattr(gpu, "speed", speed)
    gpu.check(gpu.read(["check", "--out", str(tmp_path)]), CPU)
    rows = json.loads((tmp_path / "check.json").read_text())["speed"]
    assert "too large" in rows.pop("batch 256")
    assert len(rows) == 5 and all(row["pictures_per_second"] == 1 for row in rows.values())


def test_neither_swinlib_nor_the_notebooks_packages_need_be_installed(tmp_path):
    for name in ("IPython", "nbformat", "nbval", "matplotlib"):
        (tmp_path / f"{name}.py").write_text("raise ImportError", encoding="utf-8")
    # -S: no editable install; the packages themselves are found by their folder.
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    code = "import gpu; print(gpu.run_tests(gpu.read(['check']), gpu.choose_device('cpu')))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=gpu.ROOT / "tools",
        env={
            **os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(gpu.ROOT / "tools"), *packages]),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "passed" in done.stdout or "skipped" in done.stdout
    assert done.stdout.split()[-1] == "0"
