"""A whole visit to a GPU in one command: check, bench, train, ablate.

    python tools/gpu.py check --out results --seconds 240
    python tools/gpu.py bench --out results
    python tools/gpu.py train gpu --out results --seconds 540
    python tools/gpu.py ablate --out results --seconds 420

Each ends by itself before its deadline: a run that does not fit is given fewer epochs beforehand,
from the pictures per second that this card was measured to do. Results lie under --out in the
layout of data/runs and data/bench. Without a GPU everything runs on the CPU, with smaller models:
that shows that the script works, and no more.
"""

import argparse
import json
import math
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from swinlib.training import evaluate, load_dataset, load_model, preset, read_run, train
from swinlib.training.__main__ import main as train_from_console
from swinlib.training.config import choose_device

STARTED = time.perf_counter()
ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
PIECES = ("nothing", "shift", "mask", "relative_bias", "windows", "merging")


def seconds_left(args) -> float:
    return args.seconds - (time.perf_counter() - STARTED)


def unpack(archive: Path | None) -> None:
    """The pictures, from a tar file, unless they are there."""
    if archive and not (DATA / "cifar10").is_dir():
        with tarfile.open(archive) as tar:
            tar.extractall(DATA, filter="data")


# ------------------------------------------------------------------------------------ measuring


def speed(config, data, device, steps=40, **changes) -> dict:
    """Pictures per second of the training loop itself, its first epoch (compiling) left out."""
    config = config.replace(epochs=3, warmup_epochs=1, **changes)
    count = min(len(data.train_labels), steps * config.batch_size)
    data = few(data, count)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    history = train(config, data, device, progress=False).history
    measuring = history[2]["seconds"] - history[1]["seconds"]
    rates = [epoch["pictures_per_second"] for epoch in history[1:]]
    return {
        "pictures_per_second": max(rates),
        "first_epoch_seconds": history[0]["seconds"],
        "validation_seconds": max(0.0, measuring - count / rates[-1]),
        "peak_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "steps": 3 * (count // config.batch_size),
    }


def few(data, count):
    """The first pictures of a set; its validation and test pictures all."""
    from dataclasses import replace

    return replace(
        data, train_images=data.train_images[:count], train_labels=data.train_labels[:count]
    )


def epochs_that_fit(config, data, measured, seconds) -> int:
    """How many epochs of a recipe fit into some seconds, at most as many as it has."""
    epoch = len(data.train_labels) / measured["pictures_per_second"]
    epoch += measured["validation_seconds"]
    start = measured["first_epoch_seconds"]  # most of it compiles
    return max(2, min(config.epochs, math.floor((seconds - start) * 0.97 / epoch)))


# ----------------------------------------------------------------------------------- subcommands


def check(args, device, data) -> dict:
    """The tests for a GPU, then where the time of a training step goes."""
    found = {"card": card(device)}
    tests = [sys.executable, "-m", "pytest", "-q", "tests/test_gpu.py", "-p", "no:cacheprovider"]
    tests += ["-n", "4"] if device.type == "cuda" else []
    found["tests"] = subprocess.run(tests, cwd=ROOT).returncode
    config = preset("gpu" if device.type == "cuda" else "smoke")
    found["speed"] = {}
    plain = {
        "randaugment_ops": 0, "erasing_probability": 0.0, "mixup_alpha": 0.0, "cutmix_alpha": 0.0,
        "crop_padding": 0, "flip_probability": 0.0,
    }  # fmt: skip
    rows = [
        ("as it is", {}),
        ("not compiled", {"compile": False}),
        ("without augmentation", plain),
        ("the stem of convolutions", {"stem": "convolutions"}),
        ("batch 256", {"batch_size": 256}),
        ("batch 1024", {"batch_size": 1024}),
        ("not compiled, without augmentation", {"compile": False, **plain}),
        ("float32", {"precision": "float32"}),
    ]
    for number, (name, changes) in enumerate(rows):
        if number and seconds_left(args) < 45:
            print(f"{name}: left out, no time", flush=True)
            continue
        found["speed"][name] = row = speed(config, data, device, **changes)
        print(
            f"{config.name}, {name}: {row['pictures_per_second']:,.0f} pictures/s, first epoch "
            f"{row['first_epoch_seconds']:.0f} s, peak {(row['peak_bytes'] or 0) / 2**30:.1f} GiB",
            flush=True,
        )
        if name in ("as it is", "not compiled") and device.type == "cuda":
            found[f"kernels, {name}"] = kernels(config.replace(**changes), data, device)
    return found


def kernels(config, data, device) -> list:
    """The kernels of 40 training steps by their share of the GPU's time, printed and returned."""
    from torch.profiler import ProfilerActivity, profile

    data = few(data, 20 * config.batch_size)
    config = config.replace(epochs=2, warmup_epochs=1)
    profiler = profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU])

    def on_epoch(record):
        profiler.start() if record["epoch"] == 1 else profiler.stop()

    train(config, data, device, on_epoch=on_epoch, progress=False)
    spent = Counter()
    calls = Counter()
    for event in profiler.key_averages():
        if event.device_type.name == "CUDA":
            spent[event.key] += event.self_device_time_total
            calls[event.key] += event.count
    total = sum(spent.values())
    rows = [
        {"kernel": name[:110], "share": time_ / total, "calls": calls[name]}
        for name, time_ in spent.most_common(25)
    ]
    print(f"kernels of 20 steps and one validation, {total / 1e6:.3f} s, {sum(calls.values())}:")
    for row in rows[:18]:
        print(f"  {row['share']:6.1%} {row['calls']:6d} x {row['kernel']}", flush=True)
    return rows


def bench(args, device, data) -> None:
    """`make bench`, with the time that is left for its rounds."""
    import bench as benchmark

    options = ["--device", device.type, "--out", str(args.out), "--rounds", str(args.rounds)]
    benchmark.main([*options, *([] if device.type == "cuda" else ["--quick"])])


def train_preset(args, device, data) -> dict:
    """One run from first weights to its test accuracy, as long as the deadline allows."""
    config = preset(args.preset).replace(**dict(args.set))
    measured = speed(config, data, device, steps=30)
    reserve = 12 if device.type == "cuda" else 3  # for the test pictures and for writing
    epochs = epochs_that_fit(config, data, measured, seconds_left(args) - reserve)
    print(
        f"{measured['pictures_per_second']:,.0f} pictures/s: {epochs} of {config.epochs} epochs "
        f"fit into {seconds_left(args):.0f} s",
        flush=True,
    )
    out = args.out / f"{args.name or config.name}_seed{config.seed}"
    changes = [f"{name}={value!r}" for name, value in args.set]
    changes += [f"warmup_epochs={min(config.warmup_epochs, epochs / 4)}"]
    run_from_console(args.preset, config.seed, epochs, changes, out, device)
    return summary(out, data, device)


def run_from_console(name, seed, epochs, changes, out, device) -> None:
    arguments = ["--preset", name, "--seed", str(seed), "--data", str(DATA), "--out", str(out)]
    arguments += ["--device", device.type, "--checkpoint-seconds", "600"]
    train_from_console([*arguments, "--set", f"epochs={epochs}", *changes])


def summary(out, data, device) -> dict:
    """What a finished run says, its weights halved and measured again."""
    run = read_run(out)
    with safe_open(out / "model.safetensors", framework="pt") as file:
        about = file.metadata()
    weights = load_file(out / "model.safetensors")
    halved = {n: w.half() if w.is_floating_point() else w for n, w in weights.items()}
    save_file(halved, out / "model.safetensors", metadata=about)
    trained = load_model(out)
    again = evaluate(
        trained.model.to(device), data.test_images, data.test_labels, trained.mean, trained.std,
        precision=run.config.precision,
    )  # fmt: skip
    found = {
        "run": out.name, "card": card(device), "test_accuracy": run.test_accuracy,
        "with_weights_of_half_precision": again.accuracy, "seconds": run.seconds,
        "epochs": len(run.history), "best_epoch": run.best_epoch,
        "pictures_per_second": sorted(e["pictures_per_second"] for e in run.history)[
            len(run.history) // 2
        ],
        "peak_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "weights_bytes": (out / "model.safetensors").stat().st_size,
    }  # fmt: skip
    print(json.dumps(found), flush=True)
    return found


def ablate(args, device, data) -> list:
    """Every piece taken away, in processes side by side: while one compiles, the others train."""
    changes = {
        "nothing": [], "merging": [f"depths=({sum(args.depths)},)", f"num_heads=({args.heads},)"],
    }  # fmt: skip
    heads = tuple(args.heads * 2**i for i in range(len(args.depths)))
    width = args.heads * 32
    common = [
        "name=ablation_gpu", f"embed_dim={width}", f"depths={args.depths}", f"num_heads={heads}",
        f"patch_size={args.patch_size}", f"batch_size={args.batch_size}", "learning_rate=1e-3",
    ]  # fmt: skip
    jobs = [(piece, seed) for seed in range(args.seeds) for piece in args.pieces]

    def start(piece, seed, epochs, out):
        change = changes.get(piece, [f"without={piece}"])
        command = [
            sys.executable, "-m", "swinlib.training", "--preset", "gpu_quick", "--seed", str(seed),
            "--data", str(DATA), "--out", str(out), "--device", device.type, "--set", *common,
            f"epochs={epochs}", f"warmup_epochs={max(1, epochs // 10)}", *change, *args.set_words,
        ]  # fmt: skip
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    epochs = args.epochs
    if not epochs:  # measured with as many runs side by side as there will be
        trial = args.out / "trial"
        running = [start("nothing", 90 + n, 3, trial / str(n)) for n in range(args.jobs)]
        if any(process.wait() for process in running):
            raise SystemExit("the trial runs failed")
        logs = [read_run(trial / str(n)).history for n in range(args.jobs)]
        seconds = sum(h[2]["seconds"] - h[1]["seconds"] for h in logs) / len(logs)
        rounds = math.ceil(len(jobs) / args.jobs)
        first = sum(h[0]["seconds"] for h in logs) / len(logs) + 12  # starting and compiling
        epochs = max(2, math.floor((seconds_left(args) * 0.92 / rounds - first) / seconds))
        print(f"{seconds:.1f} s an epoch, {rounds} rounds: {epochs} epochs each", flush=True)
    waiting, running, results = list(jobs), {}, []
    while waiting or running:
        while waiting and len(running) < args.jobs:
            piece, seed = waiting.pop(0)
            out = args.out / "ablation_gpu" / f"{piece}_seed{seed}"
            running[piece, seed] = start(piece, seed, epochs, out), out
        for job, (process, out) in list(running.items()):
            if process.poll() is None and seconds_left(args) > 5:
                continue
            del running[job]
            if process.poll() is None:
                process.kill()
                print(f"{job}: no time left", flush=True)
            elif process.returncode == 0:
                run = read_run(out)
                (out / "model.safetensors").unlink()
                (out / "config.json").unlink()
                best = max(e["val_accuracy"] for e in run.history)
                results.append((*job, best, run.test_accuracy, run.seconds))
                print(f"{job[0]}, seed {job[1]}: {best:.2%} validation, {run.test_accuracy:.2%} "
                      f"test, {run.seconds:.0f} s", flush=True)  # fmt: skip
            else:
                print(f"{job}: ended with {process.returncode}", flush=True)
        time.sleep(0.2)
    return results


def card(device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


# -------------------------------------------------------------------------------------- console


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        command = commands.add_parser(name, help=function.__doc__.splitlines()[0])
        command.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu_visit")
        command.add_argument("--seconds", type=float, default=540, help="deadline (%(default)s)")
        command.add_argument("--archive", type=Path, help="tar file with cifar10/ in it")
        command.add_argument("--device", help="cuda or cpu; default: the fastest here")
        command.add_argument("--dataset", default="imagefolder", help="(%(default)s)")
        if name == "bench":
            command.add_argument("--rounds", type=int, default=15)
        if name == "train":
            command.add_argument("preset")
            command.add_argument("--name", help="of the folder, instead of the preset's")
        if name in ("train", "ablate"):
            command.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE")
        if name == "ablate":
            command.add_argument("--pieces", nargs="+", choices=PIECES, default=PIECES)
            command.add_argument("--seeds", type=int, default=2)
            command.add_argument("--jobs", type=int, default=4, help="runs side by side")
            command.add_argument("--epochs", type=int, help="default: as many as fit")
            command.add_argument("--depths", type=int, nargs="+", default=[2, 4])
            command.add_argument("--heads", type=int, default=3, help="of 32 channels, stage 1")
            command.add_argument("--patch-size", type=int, default=2)
            command.add_argument("--batch-size", type=int, default=512)
    return parser


COMMANDS = {"check": check, "bench": bench, "train": train_preset, "ablate": ablate}


def main(arguments=None) -> None:
    from swinlib.training.__main__ import _field_and_value

    args = parser().parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    if hasattr(args, "set"):
        args.set_words, args.set = args.set, [_field_and_value(text) for text in args.set]
    if hasattr(args, "depths"):
        args.depths = tuple(args.depths)
    unpack(args.archive)
    device = torch.device(args.device) if args.device else choose_device()
    print(f"{args.command} on {card(device)}, torch {torch.__version__}", flush=True)
    data = None
    if args.command != "bench":
        data = load_dataset(DATA, args.dataset, config=preset("gpu"))
        print(data, f"after {time.perf_counter() - STARTED:.0f} s", flush=True)
    found = COMMANDS[args.command](args, device, data)
    if found is not None:
        (args.out / f"{args.command}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"{args.command} ended after {time.perf_counter() - STARTED:.0f} s", flush=True)


if __name__ == "__main__":
    main()
