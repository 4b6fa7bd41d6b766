"""What a device can do: bfloat16, compiling, and how many threads."""

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import torch

from swinlib.training.pictures import usable_processors

PAYS = 1.15  # times as fast as float32: what bfloat16 must gain on a CPU to be switched on


def has_bfloat16(device) -> bool:
    """Whether a device computes in bfloat16 at all: CPUs, fast or not (see `bfloat16_gain`), and
    CUDA cards from Ampere on. Older ones emulate it, slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu"


def bfloat16_gain(step: Callable, seconds: float = 1.0) -> float:
    """How many times as fast a step is in bfloat16 as in float32, here and now.

    step: called with "bfloat16" or "float32", in turn, once to warm up and then at least three
        times each, for as long as `seconds` last. The fastest of each count: whatever else runs on
        the machine only slows down.
    """
    fastest = {"bfloat16": float("inf"), "float32": float("inf")}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < 4 or time.perf_counter() < end:
        for precision in fastest:
            start = time.perf_counter()
            step(precision)
            if rounds >= 1:
                taken = time.perf_counter() - start
                fastest[precision] = min(fastest[precision], taken)
        rounds += 1
    return fastest["float32"] / fastest["bfloat16"]


def can_compile(device) -> bool:
    """Whether torch.compile works. It needs setuptools, which torch 2.6 does not bring with every
    Python. On a GPU also Triton, which not every platform has and which wants a card of compute
    capability 7.0 or later; on the CPU a C++ compiler: the one that the environment variable CXX
    names, or the platform's usual one."""
    if importlib.util.find_spec("setuptools") is None:
        return False
    if device.type == "cpu":
        if sys.platform == "darwin" and "CXX" not in os.environ and not _has_libomp():
            return False
        usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
        return shutil.which(os.environ.get("CXX", usual)) is not None
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (7, 0):
        return False
    return importlib.util.find_spec("triton") is not None


def _has_libomp():
    """Apple's compiler comes without OpenMP's header. PyTorch looks in these places."""
    prefixes = [os.environ.get("OMP_PREFIX"), os.environ.get("CONDA_PREFIX")]
    prefixes += ["/opt/homebrew/opt/libomp", Path(torch.__file__).parent]
    return any(prefix and Path(prefix, "include", "omp.h").exists() for prefix in prefixes)


def autocast(device, precision):
    """The context for a forward pass: matrix products in bfloat16 where that is wanted and the
    device has it."""
    on = precision == "bfloat16" and has_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=on)


@contextmanager
def all_processors():
    """Lets PyTorch use every processor that this process may, and puts the number back.

    A lesson's small tensors are fastest on one thread, which `lab.setup` chooses. Where the
    environment variable OMP_NUM_THREADS says how many threads, nothing is changed.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(usable_processors())
    try:
        yield
    finally:
        torch.set_num_threads(before)
