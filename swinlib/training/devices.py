"""What a device can do: bfloat16, compiling, and how many threads."""

import importlib.util
import os
from contextlib import contextmanager

import torch

from swinlib.training.pictures import usable_processors


def has_bfloat16(device) -> bool:
    """Whether bfloat16 is fast: on CUDA cards from Ampere on. Older ones emulate it, slowly."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def can_compile(device) -> bool:
    """Whether torch.compile works. On a GPU it needs Triton, which not every platform has and which
    wants a card of compute capability 7.0 or later; on the CPU a C++ compiler, which whoever sets
    ``compile`` for a CPU is trusted to have."""
    if device.type == "cpu":
        return True
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (7, 0):
        return False
    return importlib.util.find_spec("triton") is not None


def autocast(device, precision):
    """The context for a forward pass: matrix products in bfloat16 where that is wanted and fast."""
    on = precision == "bfloat16" and has_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=on)


def not_available(config, device) -> str:
    """A sentence on what the configuration asks for and this device lacks; "" if nothing."""
    missing = []
    if config.precision == "bfloat16" and not has_bfloat16(device):
        missing.append("bfloat16 is off (float32 instead)")
    if config.compile and not can_compile(device):
        missing.append("torch.compile is off")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"On this device ({name}) {' and '.join(missing)}." if missing else ""


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
