"""A whole visit to a GPU in one command: check, bench, train, ablate.

    python tools/gpu.py check --out results --seconds 460
    python tools/gpu.py bench --out results
    python tools/gpu.py train gpu --out results --seconds 540
    python tools/gpu.py ablate --out results --seconds 540

Each ends by itself before its deadline, which counts from the first line below: a run that does not
fit is given fewer epochs beforehand, from the pictures per second that this card was measured to
do, and what is still under way shortly before the deadline is interrupted and its results so far
are kept. They lie under --out in the layout of data/runs and data/bench. Neither swinlib need be
installed nor what only notebooks want; pytest for check, timm and matplotlib for bench. Without a
GPU everything runs on the CPU, with smaller models: that shows that the script works, and no more.
"""
# ruff: noqa: E402

import time

STARTED = time.perf_counter()  # importing torch takes seconds too

import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # swinlib need not be installed, for children neither
PATHS = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATHS}

import torch
from safetensors.torch import load_file, save_file

from swinlib.training import evaluate, load_dataset, load_model, preset, read_run, train
from swinlib.training.__main__ import _field_and_value, _show, _write
from swinlib.training.config import choose_device

DATA = ROOT / "data"
PIECES = ("nothing", "shift", "mask", "relative_bias", "windows", "merging")


def seconds_left(args) -> float:
    return args.seconds - (time.perf_counter() - STARTED)


def interrupt_in(seconds) -> None:
    """Interrupts this process after so many seconds, as Ctrl-C does; None: no more."""
    if hasattr(signal, "setitimer"):  # Windows has no such clock
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0 if seconds is None else max(seconds, 1e-3))


def unpack(archive: Path | None) -> None:
    """The pictures, from a tar file, unless they are there."""
    if archive and not (DATA / "cifar10").is_dir():
        with tarfile.open(archive) as tar:
            tar.extractall(DATA, filter="data")


def load(args, config):
    if args.dataset == "imagefolder" and not (DATA / "cifar10").is_dir():
        raise SystemExit(f"{DATA / 'cifar10'} is not there: give --archive, or another --dataset")
    data = load_dataset(DATA, args.dataset, config=config)
    print(data.announcement or data, f"after {time.perf_counter() - STARTED:.0f} s", flush=True)
    return data


def keep(args, found) -> None:
    """Writes what was found so far: a visit may end at any moment."""
    (args.out / f"{args.command}.json").write_text(json.dumps(found, indent=1) + "\n")


# ------------------------------------------------------------------------------------ measuring


def speed(config, data, device, steps=40, **changes) -> dict:
    """Pictures per second of the training loop itself, its first epoch (compiling) left out."""
    config = config.replace(epochs=3, warmup_epochs=1, **changes)
    count = min(len(data.train_labels), steps * config.batch_size)
    data = few(data, count)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    history = train_briefly(config, data, device)
    measuring = history[2]["seconds"] - history[1]["seconds"]
    rates = [epoch["pictures_per_second"] for epoch in history[1:]]
    return {
        "pictures_per_second": max(rates),
        "first_epoch_seconds": history[0]["seconds"],
        "validation_seconds": max(0.0, measuring - count / rates[-1]),
        "peak_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "steps": 3 * (count // config.batch_size),
    }


def train_briefly(config, data, device, on_epoch=None) -> list:
    """The history of a run that only measures: one that is interrupted is worth nothing."""
    result = train(config, data, device, on_epoch=on_epoch, progress=False)
    if result.interrupted:
        raise KeyboardInterrupt
    return result.history


def few(data, count):
    """The first pictures of a set; its validation and test pictures all."""
    return replace(
        data, train_images=data.train_images[:count], train_labels=data.train_labels[:count]
    )


def epochs_that_fit(config, data, measured, seconds) -> int:
    """How many epochs of a recipe fit into some seconds, at most as many as it has. What was
    compiled for measuring serves again."""
    epoch = len(data.train_labels) / measured["pictures_per_second"]
    epoch += measured["validation_seconds"]
    return max(2, min(config.epochs, math.floor(seconds * 0.97 / epoch)))


# ----------------------------------------------------------------------------------- subcommands


def run_tests(args, device) -> int | None:
    """The exit status of the tests for a GPU; None where they took too long."""
    tests = [sys.executable, "-m", "pytest", "-q", "tests/test_gpu.py", "-p", "no:cacheprovider"]
    tests += ["--noconftest"]  # it wants the notebooks' packages
    tests += ["-n", "4"] if device.type == "cuda" else []
    seconds = max(60, seconds_left(args) - 90)
    try:
        return subprocess.run(tests, cwd=ROOT, env=ENVIRONMENT, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        print(f"the tests were ended after {seconds:.0f} s", flush=True)


def check(args, device) -> None:
    """The tests for a GPU, then where the time of a training step goes."""
    found = {"card": card(device), "tests": run_tests(args, device), "speed": {}}
    keep(args, found)
    config = preset("gpu" if device.type == "cuda" else "smoke")
    data = load(args, config)
    plain = {
        "randaugment_ops": 0, "erasing_probability": 0.0, "mixup_alpha": 0.0, "cutmix_alpha": 0.0,
        "crop_padding": 0, "flip_probability": 0.0,
    }  # fmt: skip
    rows = {
        "as it is": {},
        "not compiled": {"compile": False},
        "without augmentation": plain,
        "batch 256": {"batch_size": 256},
        "AdamW": {"optimizer": "adamw"},
        "float32": {"precision": "float32"},
    }
    for name, changes in rows.items():
        torch.compiler.reset()  # else a second batch size would be compiled for any size
        try:
            found["speed"][name] = row = speed(config, data, device, **changes)
            print(
                f"{config.name}, {name}: {row['pictures_per_second']:,.0f} pictures/s, first epoch "
                f"{row['first_epoch_seconds']:.0f} s, peak {(row['peak_bytes'] or 0) / 2**30:.1f} "
                "GiB", flush=True,
            )  # fmt: skip
        except Exception as error:  # the other rows are worth having
            traceback.print_exc()
            found["speed"][name] = repr(error)
        keep(args, found)
    # Last: a profiler that begins after CUDA graphs were captured is the likeliest to break.
    for name in ("not compiled", "as it is") if device.type == "cuda" else ():
        torch.compiler.reset()
        found[f"kernels, {name}"] = kernels(config.replace(**rows[name]), data, device)
        keep(args, found)


def kernels(config, data, device) -> list:
    """The kernels of 40 training steps by their share of the GPU's time, printed and returned."""
    from torch.profiler import ProfilerActivity, profile

    data = few(data, 20 * config.batch_size)
    config = config.replace(epochs=2, warmup_epochs=1)
    profiler = profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU])

    def on_epoch(record):
        profiler.start() if record["epoch"] == 1 else profiler.stop()

    train_briefly(config, data, device, on_epoch)
    spent = Counter()
    calls = Counter()
    for event in profiler.key_averages():
        # An annotation, such as the optimiser's, spans its kernels and the gaps between them.
        if event.device_type.name == "CUDA" and not event.is_user_annotation:
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


def bench(args, device) -> None:
    """`make bench`: its results so far are written after every row."""
    import bench as benchmark

    options = ["--device", device.type, "--out", str(args.out), "--rounds", str(args.rounds)]
    benchmark.main([*options, *([] if device.type == "cuda" else ["--quick"])])


def train_preset(args, device) -> None:
    """One run from first weights to its test accuracy, as long as the deadline allows."""
    config = preset(args.preset).replace(**args.set)
    out = args.out / f"{args.name or config.name}_seed{config.seed}"
    if (out / "model.safetensors").exists():
        raise SystemExit(f"{out} holds a finished run; choose another --out or --name")
    data = load(args, config)
    measured = speed(config, data, device, steps=150)
    # At the end the test pictures are measured twice, and all is written.
    tests = len(data.test_labels) / len(data.val_labels) * measured["validation_seconds"]
    reserve = 10 + 2.5 * tests
    epochs = epochs_that_fit(config, data, measured, seconds_left(args) - reserve - 3)
    print(
        f"{measured['pictures_per_second']:,.0f} pictures/s: {epochs} of {config.epochs} epochs "
        f"fit into {seconds_left(args):.0f} s",
        flush=True,
    )
    config = config.replace(epochs=epochs)
    show = _show(config)

    def on_epoch(record):
        show(record)
        if record["epoch"] == epochs:
            interrupt_in(None)

    interrupt_in(seconds_left(args) - reserve)
    result = train(config, data, device, None, on_epoch, progress=False, log=out / "log.jsonl")
    interrupt_in(None)
    keep(args, summary(result, out, data, device))


def summary(result, out, data, device) -> dict:
    """Writes a run's weights, halved, and returns what it reached, with these too."""
    _write(result, out)
    if result.interrupted:  # by the clock, shortly before its end
        test = {"kind": "test", "best_epoch": result.best_epoch, "test_loss": result.test_loss}
        test |= {"test_accuracy": result.test_accuracy, "seconds": result.history[-1]["seconds"]}
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(test) + "\n")
    weights = load_file(out / "model.safetensors")
    halved = {n: w.half() if w.is_floating_point() else w for n, w in weights.items()}
    save_file(halved, out / "model.safetensors", {"about": (out / "config.json").read_text()})
    trained = load_model(out)
    again = evaluate(
        trained.model.to(device), data.test_images, data.test_labels, trained.mean, trained.std,
        precision=result.config.precision,
    )  # fmt: skip
    history = result.history
    found = {
        "run": out.name, "card": card(device), "test_accuracy": result.test_accuracy,
        "with_weights_of_half_precision": again.accuracy,
        "validation_accuracy": history[result.best_epoch - 1]["val_accuracy"],
        "seconds": history[-1]["seconds"], "epochs": len(history),
        "best_epoch": result.best_epoch, "interrupted": result.interrupted,
        "pictures_per_second": sorted(e["pictures_per_second"] for e in history)[len(history) // 2],
        "peak_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "weights_bytes": (out / "model.safetensors").stat().st_size,
    }  # fmt: skip
    print(json.dumps(found), flush=True)
    return found


def ablate(args, device) -> None:
    """Every piece taken away, in processes side by side: while one compiles, the others train."""
    load(args, preset("gpu_quick"))  # decoded once, before many processes want it
    jobs = [(piece, seed) for seed in range(args.seeds) for piece in args.pieces]
    beside = min(args.jobs, len(jobs))
    folder, trial = args.out / "ablation_gpu", args.out / "trial"
    epochs = args.epochs
    if not epochs:  # measured by the first round's own variants, some of which are slower
        trials = {job: run_of(args, device, *job, 3, trial) for job in jobs[:beside]}
        if any(code for _, code in side_by_side(trials, beside)):
            raise SystemExit("the trial runs failed")
        logs = [read_run(trial / f"{piece}_seed{seed}").history for piece, seed in trials]
        seconds = max(h[2]["seconds"] - h[1]["seconds"] for h in logs)
        rounds = math.ceil(len(jobs) / beside)
        first = sum(h[0]["seconds"] for h in logs) / len(logs) + 12  # starting and compiling
        epochs = max(2, math.floor((seconds_left(args) * 0.92 / rounds - first) / seconds))
        print(
            f"at most {seconds:.1f} s an epoch, {rounds} rounds: {epochs} epochs each", flush=True
        )
        shutil.rmtree(trial)
    results = []
    runs = {job: run_of(args, device, *job, epochs, folder) for job in jobs}
    try:
        for (piece, seed), code in side_by_side(runs, beside):
            if code:
                print(f"{piece}, seed {seed}: ended with {code}", flush=True)
                continue
            run = read_run(folder / f"{piece}_seed{seed}")
            best = max(e["val_accuracy"] for e in run.history)
            results.append((piece, seed, best, run.test_accuracy, run.seconds))
            keep(args, results)
            print(f"{piece}, seed {seed}: {best:.2%} validation, {run.test_accuracy:.2%} test, "
                  f"{run.seconds:.0f} s", flush=True)  # fmt: skip
    except KeyboardInterrupt:
        print(f"no time left for {len(jobs) - len(results)} runs", flush=True)
    with tarfile.open(folder.with_suffix(".tar.gz"), "w:gz") as tar:  # one file is easily carried
        for log in sorted(folder.rglob("log.jsonl")):
            tar.add(log, log.relative_to(args.out))
    shutil.rmtree(folder)


def run_of(args, device, piece, seed, epochs, folder) -> list:
    """The command that trains a small `gpu_quick` with a piece taken away.

    Its few hundred steps are too few for an average of the weights and for strong augmentation.
    """
    heads = tuple(args.heads * 2**i for i in range(len(args.depths)))
    fields = {
        "name": "ablation_gpu", "stem": "patches", "patch_size": args.patch_size,
        "embed_dim": args.heads * 32, "depths": args.depths, "num_heads": heads,
        "ema_decay": 0.0, "randaugment_ops": 0, "erasing_probability": 0.0, "mixup_alpha": 0.0,
        "cutmix_alpha": 0.0, "batch_size": args.batch_size, "epochs": epochs,
        "warmup_epochs": max(1, epochs // 10),
    }  # fmt: skip
    if piece == "merging":
        fields |= {"depths": (sum(args.depths),), "num_heads": (args.heads,)}
    elif piece != "nothing":
        fields |= {"without": piece}
    fields |= args.set
    return [
        sys.executable, "-m", "swinlib.training", "--preset", "gpu_quick", "--seed", str(seed),
        "--data", str(DATA), "--dataset", args.dataset, "--device", device.type,
        "--out", str(folder / f"{piece}_seed{seed}"), "--checkpoint-seconds", "600",
        "--set", *(f"{name}={value!r}" for name, value in fields.items()),
    ]  # fmt: skip


def side_by_side(commands, beside):
    """Runs commands, so many at a time, and yields the key and exit status of each as it ends."""
    compilers = max(1, 2 * (os.cpu_count() or 1) // beside)  # processes of each that compile
    alone = {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": str(compilers)}
    waiting, running = dict(commands), {}
    try:
        while waiting or running:
            while waiting and len(running) < beside:
                key = next(iter(waiting))
                running[key] = subprocess.Popen(
                    waiting.pop(key), cwd=ROOT, env=ENVIRONMENT | alone, stdout=subprocess.DEVNULL
                )
            for key in [key for key, process in running.items() if process.poll() is not None]:
                yield key, running.pop(key).returncode
            time.sleep(0.2)
    finally:
        for process in running.values():
            process.kill()
            process.wait()


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
            command.add_argument("--jobs", type=int, default=12, help="runs side by side")
            command.add_argument("--epochs", type=int, help="default: as many as fit")
            command.add_argument("--depths", type=int, nargs="+", default=[2, 4])
            command.add_argument("--heads", type=int, default=3, help="of 32 channels, stage 1")
            command.add_argument("--patch-size", type=int, default=2)
            command.add_argument("--batch-size", type=int, default=512)
    return parser


COMMANDS = {"check": check, "bench": bench, "train": train_preset, "ablate": ablate}


def read(arguments=None) -> argparse.Namespace:
    args = parser().parse_args(arguments)
    if hasattr(args, "set"):
        args.set = dict(map(_field_and_value, args.set))
    if hasattr(args, "depths"):
        args.depths = tuple(args.depths)
    return args


def main(arguments=None) -> None:
    args = read(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    interrupt_in(seconds_left(args) - 5)
    try:
        unpack(args.archive)
        device = choose_device(args.device)
        print(f"{args.command} on {card(device)}, torch {torch.__version__}", flush=True)
        COMMANDS[args.command](args, device)
    except KeyboardInterrupt:
        print(f"{args.command}: interrupted before the deadline", flush=True)
    interrupt_in(None)
    print(f"{args.command} ended after {time.perf_counter() - STARTED:.0f} s", flush=True)


if __name__ == "__main__":
    main()
