"""How fast swinlib is beside torchvision and timm: `make bench`, or `python tools/bench.py --help`.

All candidates run in one process, in turn, round by round, with the same weights and the same
batch. A shared machine is now faster and now slower; within a round it is about the same, so the
ratios of a round mean something where its seconds do not. Printed is the median of these ratios
and, in brackets, their quartiles.

The floor is the model's bare matrix products: the same shapes through `torch.bmm`, nothing between.

On Linux the process keeps the memory that it frees. Otherwise the C library hands large tensors
back to the kernel, which clears new pages for the next ones, and that takes as long as it happens
to take: it blurs the differences between the candidates. `--plain-malloc` leaves it as it is.
"""

import argparse
import ctypes
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

os.environ.setdefault("TIMM_FUSED_ATTN", "2")  # before timm is imported: its fast path, everywhere

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer as TorchvisionSwin

import swinlib
from swinlib.training import TrainConfig, build_model, preset

try:
    import timm
    from timm.models.swin_transformer import SwinTransformer as TimmSwin
except ImportError:
    timm = None

RESULTS = Path(__file__).resolve().parent.parent / "data" / "bench"
BASE = "torchvision"


# --- the candidates -----------------------------------------------------------------------------


@dataclass
class Task:
    """One model and one batch, for every candidate.

    Attributes:
        name: of the model.
        size, batch: side of the pictures in pixels, and their number.
        models: candidate's name to model, all with the same weights.
    """

    name: str
    size: int
    batch: int
    models: dict[str, nn.Module] = field(default_factory=dict)


def swin_t(batch: int) -> Task:
    """Swin-T for ImageNet."""
    config = TrainConfig(
        patch_size=4, embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), window_size=7
    )
    return Task("Swin-T, 224x224", 224, batch, candidates(config, 1000, 224))


def cifar(name: str, batch: int) -> Task:
    """The CIFAR model of a preset, with patches, which the others know; without drop path, so that
    luck does not decide what is computed."""
    config = preset(name).replace(drop_path_rate=0.0, stem="patches")
    models = candidates(config, 10, 32)
    models.pop("timm", None)  # refuses maps that are smaller than its window
    return Task(f"CIFAR model '{name}', 32x32", 32, batch, models)


def candidates(config: TrainConfig, num_classes: int, size: int) -> dict[str, nn.Module]:
    """The same network by each library, with torchvision's first weights in all of them."""
    torch.manual_seed(0)
    shared = {"depths": list(config.depths), "num_heads": list(config.num_heads)}
    shared |= {"embed_dim": config.embed_dim, "num_classes": num_classes}
    reference = TorchvisionSwin(
        patch_size=[config.patch_size] * 2,
        window_size=[config.window_size] * 2,
        stochastic_depth_prob=0.0,
        **shared,
    )
    ours = build_model(config.replace(drop_path_rate=0.0), num_classes)
    swinlib.load_pretrained(ours, reference.state_dict())
    models = {"torchvision": reference, "swinlib": ours}
    if timm:
        models["timm"] = TimmSwin(
            img_size=size, patch_size=config.patch_size, window_size=config.window_size,
            drop_path_rate=0.0, **shared,
        )  # fmt: skip
        models["timm"].load_state_dict(as_timm_names_it(ours.state_dict()), strict=False)
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        outputs = {name: model.eval()(x) for name, model in models.items()}
    for name, output in outputs.items():
        worst = (output - outputs[BASE]).abs().max() / outputs[BASE].abs().max()
        if worst > 1e-4:
            raise AssertionError(f"{name} computes something else: {worst:.1e} off {BASE}")
    return models


def as_timm_names_it(state: dict) -> dict:
    """timm puts the merging at the beginning of the next stage."""
    renamed = {}
    for name, value in state.items():
        if "relative_position_index" in name:
            continue
        parts = name.split(".")
        if "downsample" in parts:
            parts[1] = str(int(parts[1]) + 1)
        renamed[".".join(parts).replace("head.", "head.fc.")] = value
    return renamed


# --- the floor ----------------------------------------------------------------------------------


def matrix_products(model: nn.Module, x: torch.Tensor) -> list[tuple[int, int, int, int]]:
    """(batch, n, k, m) of every product (n, k) @ (k, m) in a forward pass of swinlib's model."""
    found = []

    def linear(module, args, _):
        rows = args[0].numel() // module.in_features
        found.append((1, rows, module.in_features, module.out_features))

    def window_attention(module, args, _):
        windows, N, C = args[0].shape
        pairs, d = windows * module.num_heads, C // module.num_heads
        found.extend([(pairs, N, d, N), (pairs, N, N, d)])

    def patches(module, args, _):
        k = module.weight[0].numel()
        found.append((1, args[0].numel() // k, k, module.out_channels))

    kinds = {nn.Linear: linear, swinlib.WindowAttention: window_attention, nn.Conv2d: patches}
    hooks = [
        module.register_forward_hook(hook)
        for module in model.modules()
        for kind, hook in kinds.items()
        if isinstance(module, kind)
    ]
    with torch.inference_mode():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


def floor(products: list, training: bool, device, dtype) -> Callable[[], None]:
    """Runs the bare products; in training also the two that the gradient of each needs."""
    operands = []
    for batch, n, k, m in products:
        a = torch.randn(batch, n, k, device=device, dtype=dtype)
        b = torch.randn(batch, k, m, device=device, dtype=dtype)
        out = torch.empty(batch, n, m, device=device, dtype=dtype)
        operands.append((a, b, out))

    @torch.inference_mode()
    def run():
        for a, b, out in operands:
            torch.bmm(a, b, out=out)
            if training:
                torch.bmm(out, b.transpose(1, 2))
                torch.bmm(a.transpose(1, 2), out)

    return run


def keep_memory() -> bool:
    """Tell glibc's malloc to reuse memory rather than give it back; False where it cannot."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt, M_TRIM_THRESHOLD, M_MMAP_MAX = ctypes.CDLL(None).mallopt, -1, -4
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


# --- the stop-watch -----------------------------------------------------------------------------


def work(model: nn.Module, x, y, training: bool, autocast: bool) -> Callable[[], None]:
    """One forward pass, or one training step without its optimiser, as a function."""
    device = x.device.type
    model.train(training)

    def forward():
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=autocast):
            model(x)

    def step():
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()

    return step if training else forward


def race(runners: dict[str, Callable], rounds: int, synchronise) -> dict[str, list[float]]:
    """Seconds of every runner in every round, each round beginning with another one."""
    names = list(runners)
    seconds = {name: [] for name in names}
    for name in names:  # warm: allocations, compilation, remembered masks
        for _ in range(2):
            runners[name]()
    for number in range(rounds):
        turn = names[number % len(names) :] + names[: number % len(names)]
        for name in turn:
            synchronise()
            start = time.perf_counter()
            runners[name]()
            synchronise()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratios(seconds: dict[str, list[float]], base: str) -> dict[str, dict[str, float]]:
    """How many times faster than `base` each is: median and quartiles of the rounds' ratios."""
    table = {}
    for name, times in seconds.items():
        values = [b / t for b, t in zip(seconds[base], times, strict=True)]
        low, middle, high = statistics.quantiles(values, n=4)
        table[name] = {"median": middle, "low": low, "high": high}
    return table


def measure(task: Task, args, training: bool, compiled: bool) -> dict:
    """One row of the table: all candidates on one task."""
    device = torch.device(args.device)
    autocast = device.type == "cuda"
    x = torch.randn(task.batch, 3, task.size, task.size, device=device)
    y = torch.randint(0, 10, (task.batch,), device=device)
    products = matrix_products(task.models["swinlib"].cpu().eval(), x.cpu())
    runners, peak = {}, {}
    for name, model in task.models.items():
        model.to(device)
        run = torch.compile(model) if compiled else model
        runners[name] = work(run, x, y, training, autocast)
    if compiled:  # what compiling is worth
        runners[f"{BASE}, not compiled"] = work(task.models[BASE], x, y, training, autocast)
    dtype = torch.bfloat16 if autocast else torch.float32
    runners["floor"] = floor(products, training, device, dtype)
    synchronise = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = race(runners, args.rounds, synchronise)
    if device.type == "cuda":
        for name in task.models:
            torch.cuda.reset_peak_memory_stats()
            runners[name]()
            peak[name] = torch.cuda.max_memory_allocated()
    torch.compiler.reset()
    return {
        "task": task.name,
        "batch": task.batch,
        "kind": "training step" if training else "inference",
        "compiled": compiled,
        "precision": "bfloat16 autocast" if autocast else "float32",
        "ratio_to_torchvision": ratios(seconds, BASE),
        "multiple_of_floor": {
            name: 1 / value["median"] for name, value in ratios(seconds, "floor").items()
        },
        "milliseconds_median": {n: 1e3 * statistics.median(s) for n, s in seconds.items()},
        "peak_bytes": peak,
    }


# --- growth with the picture --------------------------------------------------------------------


class Alone(nn.Module):
    """A block of the first stage, its attention in windows or over the whole map."""

    def __init__(self, windows: bool):
        super().__init__()
        self.block = swinlib.SwinTransformerBlock(96, 3, window_size=7, shift_size=0)
        self.everywhere = None if windows else swinlib.MultiHeadSelfAttention(96, 3)

    def forward(self, x):
        if self.everywhere is None:
            return self.block.window_attention(x)
        return self.everywhere(x.flatten(1, 2)).view_as(x)


def growth(sizes: list[int], device: str, rounds: int) -> list[dict]:
    """Seconds and memory of the first stage's attention, in windows and over the whole map.

    Bytes are what an attention allocates beyond its input, at the worst moment. The fused kernel
    keeps no weights; `bytes_of_weights` says what keeping them would take.
    """
    rows = []
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
    for size in sizes:
        side = size // 4
        x = torch.randn(1, side, side, 96, device=device)
        row = {"size": size, "tokens": side**2}
        runners = {}
        for name, windows in (("windows", True), ("global", False)):
            model = Alone(windows).eval().to(device)
            runners[name] = torch.inference_mode()(partial(model, x))
            pairs = side**2 * (49 if windows else side**2)
            row[name] = {"bytes": peak_bytes(runners[name], device), "bytes_of_weights": 12 * pairs}
        seconds = race(runners, rounds if size < 800 else 3, synchronise)
        for name, times in seconds.items():
            row[name]["milliseconds"] = 1e3 * statistics.median(times)
        slower = [g / w for g, w in zip(seconds["global"], seconds["windows"], strict=True)]
        row["global_over_windows"] = statistics.median(slower)
        rows.append(row)
    return rows


def peak_bytes(run: Callable, device: str) -> int:
    """The most memory that a call holds at one moment, beyond what was held before."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(profile_memory=True) as profile:
        run()
    changes = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(changes, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


# --- what comes out -----------------------------------------------------------------------------


def where(args, kept: bool) -> dict:
    """The machine and the versions, as far as they matter."""
    about = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    about["timm"] = timm.__version__ if timm else None
    about["device"] = args.device
    about["processor"] = f"{platform.machine()}, {torch.get_num_threads()} threads"
    if args.device == "cuda":
        about["processor"] = torch.cuda.get_device_name()
    about["malloc"] = "keeps its memory" if kept else "plain"
    about["rounds"] = args.rounds
    return about


def line(row: dict) -> str:
    """A row of the table."""
    title = f"{row['task']}, {row['kind']}, batch {row['batch']}"
    title += ", compiled" if row["compiled"] else ""
    cells = []
    for name, value in row["ratio_to_torchvision"].items():
        spread = f"{value['median']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
        cells.append(f"{name} {spread} = {row['multiple_of_floor'][name]:.2f} floors")
    memory = "".join(f"; {n} {b / 2**20:.0f} MiB" for n, b in row["peak_bytes"].items())
    return f"{title}\n    " + "\n    ".join(cells) + memory


def markdown(results: dict) -> str:
    """The table of the README: times as fast as torchvision, median [quartiles]."""
    names = ["timm", "swinlib", "floor"]
    lines = ["| task | timm | swinlib | bare products |", "| --- | --- | --- | --- |"]
    for row in results["rows"]:
        cells = [line(row).splitlines()[0]]
        for name in names:
            value = row["ratio_to_torchvision"].get(name)
            spread = "[{low:.2f}, {high:.2f}]".format(**value) if value else ""
            cells.append(f"{value['median']:.2f} {spread}" if value else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(results: dict, path: Path) -> None:
    """All rows as bars: times as fast as torchvision, with quartiles and the floor."""
    import matplotlib.pyplot as plt

    rows = results["rows"]
    names = ["torchvision", "timm", "swinlib"]
    looks = {"torchvision": ("#999999", ""), "timm": ("#e69f00", "//"), "swinlib": ("#0072b2", "")}
    figure, ax = plt.subplots(figsize=(8, 0.9 + 0.75 * len(rows)), layout="constrained")
    for number, row in enumerate(rows):
        for place, name in enumerate(names):
            if name not in row["ratio_to_torchvision"]:
                continue
            value = row["ratio_to_torchvision"][name]
            colour, hatch = looks[name]
            y = number + (place - 1) * 0.26
            error = [[value["median"] - value["low"]], [value["high"] - value["median"]]]
            ax.barh(y, value["median"], 0.24, color=colour, hatch=hatch, edgecolor="white",
                    xerr=error, label=name if number == 0 else None)  # fmt: skip
            ax.text(0.02, y, f"{value['median']:.2f}", va="center", fontsize=7.5,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
        limit = row["ratio_to_torchvision"]["floor"]["median"]
        ax.plot([limit] * 2, [number - 0.38, number + 0.38], color="#cc3311", linewidth=2,
                label="bare matrix products" if number == 0 else None)  # fmt: skip
    ax.set_yticks(range(len(rows)), [line(row).splitlines()[0] for row in rows], fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.axvline(1, color="#333333", linewidth=1)
    ax.set_xlabel("times as fast as torchvision, median of the rounds and quartiles")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=15, help="of every row (%(default)s)")
    parser.add_argument("--batch", type=int, help="pictures of Swin-T (8, on a GPU 128)")
    parser.add_argument("--threads", type=int, help="on the CPU; default: PyTorch's")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--no-growth", action="store_true", help="leave the larger pictures out")
    parser.add_argument("--plain-malloc", action="store_true", help="see above")
    parser.add_argument("--quick", action="store_true", help="three rounds of the smallest task")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for results and picture")
    args = parser.parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.rounds < 3:
        parser.error(f"--rounds {args.rounds}: at least 3 are needed for quartiles")
    gpu = args.device == "cuda"

    kept = not args.plain_malloc and keep_memory()
    results = {"where": where(args, kept), "rows": []}
    print(", ".join(f"{name} {value}" for name, value in results["where"].items()))
    print(f"Times as fast as {BASE}: median of the rounds [quartiles] = multiple of the floor.")
    tasks = [] if args.quick else [swin_t(args.batch or (128 if gpu else 8))]
    tasks += [cifar("smoke" if args.quick else "gpu" if gpu else "laptop", 512 if gpu else 64)]
    for task in tasks:
        for training in (False, True):
            for compiled in (False,) if args.no_compile or args.quick else (False, True):
                row = measure(task, args, training, compiled)
                results["rows"].append(row)
                print(line(row), flush=True)
                write(results, args)  # a visit to a GPU may end at any moment
    if not args.no_growth and not args.quick:
        results["growth"] = growth([224, 448, 896], args.device, args.rounds)
        for row in results["growth"]:
            held = {n: row[n]["bytes"] / 2**20 for n in ("windows", "global")}
            print(
                f"{row['size']:4d} pixels, {row['tokens']:6,} tokens: global attention takes "
                f"{row['global_over_windows']:.1f} times as long as windows, and holds "
                f"{held['global']:.0f} MiB against {held['windows']:.0f}"
            )
    write(results, args)
    print(f"written to bench_{args.device}.json and bench_{args.device}.png")
    return results


def write(results: dict, args) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"bench_{args.device}.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
