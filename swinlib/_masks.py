"""Masks of shifted windows, made once.

A mask depends on sizes alone, and all shifted blocks of a stage need the same one. What is kept is
kept here and not in the modules: a model is its weights, whatever has run through it.
"""

from functools import lru_cache

import torch
from torch import Tensor

from swinlib.shift import shifted_window_mask


def mask_for(H, W, window_size, shift_size, device, dtype) -> Tensor | None:
    """`shifted_window_mask` on a device and in a dtype: made now, or kept from before.

    None where nothing is shifted.
    """
    if not any(shift_size):
        return None
    if torch.compiler.is_dynamo_compiling():
        return _constant(H, W, window_size, shift_size, device, dtype)
    return _make_or_keep(H, W, window_size, shift_size, device, dtype)


def _constant(*wanted) -> Tensor:
    """For torch.compile, which calls it once and takes the mask as it takes a weight.

    As a parameter, since of other tensors it expects that their sizes vary.
    """
    return torch.nn.Parameter(_make_or_keep(*wanted), requires_grad=False)


# What torch.compiler.assume_constant_result does, which would load the compiler, for seconds.
_constant._dynamo_marked_constant = True


def _make_or_keep(*wanted) -> Tensor:
    return _make(*wanted) if _observed() else _keep(*wanted)


def _make(H, W, window_size, shift_size, device, dtype) -> Tensor:
    return shifted_window_mask(H, W, window_size, shift_size).to(device, dtype)


@lru_cache(maxsize=16)  # three stages with shifts, a few sizes of pictures, two dtypes
def _keep(*wanted) -> Tensor:
    with torch.inference_mode(False):  # so that it also serves training
        return _make(*wanted)


def _observed() -> bool:
    """Whether a tracer, a mode or a transform looks on: then tensors are theirs and not to keep."""
    return bool(
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._len_torch_dispatch_stack()  # FakeTensorMode, make_fx, ...
        or torch._C._functorch.peek_interpreter_stack()  # torch.func.grad, vmap, ...
    )
