"""Times models in turn: the candidates, the floor, the stop-watch and the memory."""

import ctypes
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

os.environ["TIMM_FUSED_ATTN"] = "2"  # before timm is imported: its fast path, everywhere

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer as TorchvisionSwin

import swinlib
from swinlib.training import TrainConfig, build_model, preset
from swinlib.training.precision import choose_precision

try:
    import timm
    from timm.models.swin_transformer import SwinTransformer as TimmSwin
except ImportError:
    timm = None

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
        models["timm"].load_state_dict(swinlib.export_state_dict(ours, "timm"))
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        outputs = {name: model.eval()(x) for name, model in models.items()}
    for name, output in outputs.items():
        worst = (output - outputs[BASE]).abs().max() / outputs[BASE].abs().max()
        if worst > 1e-4:
            raise AssertionError(f"{name} computes something else: {worst:.1e} off {BASE}")
    return models


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


def race(runners: dict[str, Callable], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of every runner in every round, each round beginning with another one."""
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
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


def precisions(device: torch.device) -> tuple[str, ...]:
    """What is timed: bfloat16 alone on a GPU, on a CPU float32, and bfloat16 too where it pays."""
    if device.type == "cuda":
        return ("bfloat16",)
    pays = choose_precision(preset("laptop"), device) == "bfloat16"
    return ("float32", "bfloat16") if pays else ("float32",)


def measure(task: Task, args, training: bool, compiled: bool, precision: str) -> dict:
    """One row of the table: all candidates on one task."""
    device = torch.device(args.device)
    autocast = precision == "bfloat16"
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
    runners["floor"] = floor(products, training, device, getattr(torch, precision))
    seconds = race(runners, args.rounds, device.type)
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
        "precision": precision,
        "ratio_to_torchvision": ratios(seconds, BASE),
        "multiple_of_floor": {
            name: 1 / value["median"] for name, value in ratios(seconds, "floor").items()
        },
        "milliseconds_median": {n: 1e3 * statistics.median(s) for n, s in seconds.items()},
        "peak_bytes": peak,
    }


# --- the machine ---------------------------------------------------------------------------------


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


def keep_memory() -> bool:
    """Tell glibc's malloc to reuse memory rather than give it back; False where it cannot."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt, M_TRIM_THRESHOLD, M_MMAP_MAX = ctypes.CDLL(None).mallopt, -1, -4
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


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
