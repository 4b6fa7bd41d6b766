"""On a CUDA card: the same numbers as on the CPU, and nothing that only a GPU can get wrong.

Skipped where there is none; `python tools/gpu.py check` runs these.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import torch.nn.functional as F
from training_runs import TINY, tiny_data

from swinlib import SwinTransformer
from swinlib.training import build_model, preset, read_run, train
from swinlib.training.batches import _batches_from_memory, on_device, training_batches
from swinlib.training.config import PRESETS
from swinlib.training.devices import autocast
from swinlib.training.distributed import Ranks
from swinlib.training.ema import start_ema, update_ema
from swinlib.training.loop import BatchTooLarge, start_optimizer, start_run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
CUDA = torch.device("cuda")
TRAIN = [sys.executable, "-m", "swinlib.training", "--preset", "smoke", "--dataset", "shapes"]
TORCHRUN = [
    sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1",
    "--local-addr=127.0.0.1",  # the machine's own name may not resolve
]  # fmt: skip


@pytest.fixture(autouse=True)
def true_float32():
    """No TF32 in convolutions, which is PyTorch's default on a GPU; and the same random numbers in
    any order: `gpu.py check` leaves conftest.py out, which wants the notebooks' packages."""
    torch.manual_seed(0)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def step(model, x, y, precision="float32"):
    """Logits, and the gradients of a training step by name."""
    with autocast(x.device, precision):
        logits = model(x)
    model.zero_grad()
    F.cross_entropy(logits.float(), y).backward()
    return logits.detach().float(), {n: p.grad.clone() for n, p in model.named_parameters()}


def off(got, wanted):
    """The distance of two tensors, as a fraction of the second."""
    got, wanted = got.cpu().double(), wanted.cpu().double()
    return ((got - wanted).norm() / wanted.norm().clamp(min=1e-12)).item()


def worst(got, wanted):
    """The largest `off` of the gradients; those that are nothing beside the others do not count."""
    largest = max(g.norm() for g in wanted.values())
    found = [off(got[n], g) for n, g in wanted.items() if g.norm() > 1e-6 * largest]
    return torch.tensor(found).max().item()  # nan if one is, which Python's max would miss


def off_together(got, wanted):
    """`off` of all gradients as one vector. Low precision is judged by it: a small one, such as a
    norm's bias, is a sum in which nearly all cancels, on a CPU too off by a third in bfloat16."""
    return off(*(torch.cat([grads[n].flatten().cpu() for n in wanted]) for grads in (got, wanted)))


def with_large_tables(model):
    """Bias tables that matter: the first ones are next to zero."""
    for name, weight in model.named_parameters():
        if "bias_table" in name:
            torch.nn.init.normal_(weight, std=0.5)
    return model


# --------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("size", [(64, 64), (60, 44), (20, 100)])
def test_model_loss_and_gradients_are_the_cpus(size):
    model = with_large_tables(SwinTransformer(
        embed_dim=24, depths=(2, 2, 2), num_heads=(1, 2, 4), num_classes=10, drop_path_rate=0.0
    ))  # fmt: skip
    x, y = torch.randn(4, 3, *size), torch.arange(4)
    wanted, wanted_grads = step(model, x, y)
    got, grads = step(model.to(CUDA), x.to(CUDA), y.to(CUDA))
    assert off(got, wanted) < 1e-4 and worst(grads, wanted_grads) < 1e-4


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"imagenet"}))
def test_a_step_of_every_preset_is_the_cpus(name):
    config = preset(name).replace(drop_path_rate=0.0)
    model = with_large_tables(build_model(config, 10))
    x, y = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
    wanted, wanted_grads = step(model, x, y)
    got, grads = step(model.to(CUDA), x.to(CUDA), y.to(CUDA))
    assert off(got, wanted) < 1e-4 and worst(grads, wanted_grads) < 1e-4


def test_bfloat16_is_near_float32():
    model = with_large_tables(build_model(preset("gpu").replace(drop_path_rate=0.0), 10)).to(CUDA)
    x, y = torch.randn(64, 3, 32, 32, device=CUDA), torch.arange(64, device=CUDA) % 10
    wanted, wanted_grads = step(model, x, y)
    got, grads = step(model, x, y, "bfloat16")
    assert 1e-5 < off(got, wanted) < 2e-2 and off_together(grads, wanted_grads) < 0.04


def test_more_windows_than_a_kernels_grid_holds():
    """65,536 windows and more in one call; see pytorch/pytorch#142228."""
    model = SwinTransformer(
        embed_dim=8, depths=(2,), num_heads=(1,), window_size=2, patch_size=1, num_classes=2
    ).to(CUDA)  # fmt: skip
    x = torch.randn(300, 3, 32, 32, device=CUDA)  # 76,800 windows
    with torch.no_grad(), autocast(CUDA, "bfloat16"):
        together, alone = model(x).float(), torch.cat([model(part).float() for part in x.split(50)])
    assert off(together, alone) < 1e-2
    _, grads = step(model, x, torch.arange(300, device=CUDA) % 2, "bfloat16")
    assert all(g.isfinite().all() for g in grads.values())


def test_a_compiled_model_is_the_model():
    model = with_large_tables(build_model(preset("gpu_quick").replace(drop_path_rate=0.0), 10))
    model.to(CUDA)
    x, y = torch.randn(64, 3, 32, 32, device=CUDA), torch.arange(64, device=CUDA) % 10
    wanted, wanted_grads = step(model, x, y)  # also makes the masks
    compiled = torch.compile(model, fullgraph=True)
    with autocast(CUDA, "bfloat16"):
        got = compiled(x)
    model.zero_grad()
    F.cross_entropy(got.float(), y).backward()
    grads = {n: p.grad for n, p in model.named_parameters()}
    assert off(got.detach().float(), wanted) < 2e-2
    assert off_together(grads, wanted_grads) < 0.04


def test_a_step_of_muon_is_the_cpus():
    config = preset("gpu_quick").replace(drop_path_rate=0.0)
    models = [build_model(config, 10), build_model(config, 10).to(CUDA)]
    models[1].load_state_dict(models[0].state_dict())
    before = {n: p.detach().clone() for n, p in models[0].named_parameters()}
    drawn = {n: torch.randn(p.shape) for n, p in before.items()}
    for model in models:
        for name, weight in model.named_parameters():
            weight.grad = drawn[name].to(weight.device)
        start_optimizer(model, config).step()
    moved, on_cpu = (
        {n: p.detach().cpu() - before[n] for n, p in model.named_parameters()}
        for model in reversed(models)
    )
    assert all(step.any() for step in on_cpu.values())
    assert all(off(moved[n], step) < 1e-4 for n, step in on_cpu.items())


# -------------------------------------------------------------------------------- the input path


@pytest.mark.parametrize("compiled", [False, True])
def test_batches_are_the_same_beside_the_steps_on_the_steps_and_on_the_cpu(compiled):
    """All augmentations on. The picture that the second stream makes is the CPU's to rounding."""
    data, order = tiny_data(), torch.arange(64).view(4, 16)
    config = TINY.replace(compile=compiled)

    def seeded():
        return torch.Generator().manual_seed(3)

    here = on_device(data, CUDA)
    prefetched = list(training_batches(order, 1, config, here, CUDA, seeded(), Ranks()))
    torch.cuda.synchronize()
    plain = list(_batches_from_memory(order, 1, config, here, CUDA, seeded(), Ranks()))
    on_cpu = training_batches(order, 1, config, data, torch.device("cpu"), seeded(), Ranks())
    for (x, y), (x_plain, y_plain), (x_cpu, y_cpu) in zip(prefetched, plain, on_cpu, strict=True):
        assert torch.equal(x, x_plain) and torch.equal(y, y_plain)
        torch.testing.assert_close(y.cpu(), y_cpu)
        other = ((x.cpu() - x_cpu).abs() > 1e-4).float().mean()
        assert other < 0.01  # a grey level, or the nearest of two pixels that are equally near


def test_the_average_follows_the_weights():
    model = torch.nn.Linear(3, 2).to(CUDA)
    average, wanted = start_ema(model, 0.9), model.weight.detach().clone()
    for number in range(5):
        with torch.no_grad():
            model.weight += 1
        update_ema(average, model, warming_up=number == 0)
        now = model.weight.detach().clone()
        wanted = now if number == 0 else 0.9 * wanted + 0.1 * now
    torch.testing.assert_close(average.module.weight, wanted)


# ---------------------------------------------------------------------------------------- runs


def trained(held=None, **changes):
    """A tiny run of all that the preset `gpu` is made of: its history and its weights."""
    fixed = {"stem": "deep", "patch_size": 2, "optimizer": "muon", "epochs": 12}
    config = TINY.replace(**{"drop_path_rate": 0.0, **fixed, **changes})
    torch.compiler.reset()
    result = train(
        config, tiny_data(), CUDA, progress=False,
        on_epoch=lambda _: held is None or held.append(torch.cuda.memory_allocated()),
    )  # fmt: skip
    return result, result.model.state_dict()


def test_a_compiled_run_is_the_run():
    """CUDA graphs with batch norms, Muon, the average, and all augmentations."""
    held = []
    (plain, weights), (compiled, other) = trained(), trained(held, compile=True)
    for one, two in zip(plain.history, compiled.history, strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], rel=0.02)
    for name in (name for name in weights if "running_mean" in name):
        assert other[name].abs().max() > 0.01
        # One validation picture of thirty that is read otherwise can make another epoch the best.
        assert plain.best_epoch != compiled.best_epoch or off(other[name], weights[name]) < 0.1
    assert max(held[4:]) <= 1.01 * max(held[:4]) + 2**20
    dropping, _ = trained(compile=True, drop_path_rate=0.3)
    assert dropping.history[-1]["train_loss"] < dropping.history[0]["train_loss"]


def test_memory_does_not_grow():
    config = TINY.replace(epochs=60, batch_size=16)  # four steps an epoch
    held = []
    train(
        config, tiny_data(), CUDA, on_epoch=lambda _: held.append(torch.cuda.memory_allocated()),
        progress=False,
    )  # fmt: skip
    assert len(held) == 60
    assert max(held[10:]) <= 1.01 * max(held[:10]) + 2**20


def test_a_batch_that_does_not_fit_is_answered_with_one_that_does(tmp_path):
    """In a process of its own, which may use two hundredths of the card's memory."""
    script = f"""
import torch
from training_runs import TINY, tiny_data
from swinlib.training import train
from swinlib.training.loop import BatchTooLarge
from dataclasses import replace
torch.cuda.set_per_process_memory_fraction({1.5 * 2**30 / torch.cuda.mem_get_info()[1]})
data = tiny_data()
many = torch.arange(4096) % 70
data = replace(data, train_images=data.train_images[many], train_labels=data.train_labels[many])
config = TINY.replace(embed_dim=96, depths=(2, 2), batch_size=4096, epochs=1)
try:
    train(config, data, "cuda", progress=False)
    print("it fitted")
except BatchTooLarge as error:
    print(error)
    fits = int(str(error).split("batch_size=")[-1].split()[0])
    train(config.replace(batch_size=fits, train_limit=fits), data, "cuda", progress=False)
    print("trained with", fits)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["tests", "."])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "batch_size=4096 does not fit into memory" in done.stdout
    assert "trained with" in done.stdout
    assert issubclass(BatchTooLarge, ValueError)  # so that the console says it without a traceback


def test_a_killed_run_goes_on(tmp_path):
    """Not bit for bit, as on the CPU: sums on a GPU have no fixed order. A checkpoint is written
    every fifty of the 200 steps of an epoch."""
    arguments = ["--device", "cuda", "--checkpoint-seconds", "0"]
    arguments += ["--set", "batch_size=10", "optimizer=muon", "stem=deep", "--out"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*TRAIN, *arguments, whole], check=True, capture_output=True, timeout=120)
    child = subprocess.Popen([*TRAIN, *arguments, killed], stdout=subprocess.DEVNULL)
    inside = killed / "checkpoints", "epoch-00002-batch-*[1-9]*.json"
    for _ in range(1200):
        if list(inside[0].glob(inside[1])) or child.poll() is not None:
            break
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert list(inside[0].glob(inside[1]))
    subprocess.run([*TRAIN, *arguments, killed], check=True, capture_output=True, timeout=120)
    runs = [read_run(folder) for folder in (whole, killed)]
    assert [e["epoch"] for e in runs[1].history] == [1, 2, 3, 4]
    for one, other in zip(runs[0].history, runs[1].history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=0.05)


def test_one_process_under_torchrun_with_nccl(tmp_path):
    done = subprocess.run(
        [*TORCHRUN, *TRAIN[1:], "--epochs", "1", "--out", tmp_path / "run"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    first = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert first["device"] == "cuda:0" and first["processes"] == 1
    assert read_run(tmp_path / "run").test_accuracy > 0.1


def test_gradients_travel_through_nccl(tmp_path):
    """One process alone would neither wrap the model nor add anything up."""
    script = tmp_path / "step.py"
    script.write_text(EXCHANGE, encoding="utf-8")
    done = subprocess.run(
        [*TORCHRUN, script, "cuda"], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["nccl", "same"]


EXCHANGE = """
import sys
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from swinlib.training import build_model, preset
from swinlib.training.distributed import Ranks, join

with join(sys.argv[1]) as device:
    print(dist.get_backend())
    assert Ranks(0, 2).all_reduce(torch.full((3,), 2.0, device=device)).tolist() == [2.0] * 3
    dist.barrier()
    model = build_model(preset("smoke"), 10).to(device)
    x = torch.randn(4, 3, 32, 32, device=device)
    gradients = []
    for wrapped in (model, DistributedDataParallel(model)):
        model.zero_grad()
        wrapped(x).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)
    print("same")
"""


def test_the_optimiser_is_fused_and_on_the_card():
    run = start_run(TINY, tiny_data(), CUDA)
    assert run.optimizer.defaults["fused"]
    assert all(p.device.type == "cuda" for p in run.model.parameters())
