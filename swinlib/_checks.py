"""Argument checks for all lessons: each error names the argument, what is wanted and what came.

A value of the wrong type is a TypeError, one of the right type that cannot serve is a ValueError.
True is no number here, though Python has it as 1.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from math import isfinite
from numbers import Integral, Real
from operator import index
from typing import ParamSpec, TypeVar

from torch import SymInt, Tensor
from torch.compiler import is_dynamo_compiling

P = ParamSpec("P")
R = TypeVar("R")


def checked(**checks: Callable) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Check a public function's arguments where a user calls it: ``@checked(x=check_tensor)``.

    A check takes an argument's name and value and returns the value that the function goes on with.
    Who has checked already calls the function without its checks, which is its ``__wrapped__``.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        names = tuple(signature(function).parameters)

        def check(name, value):
            return checks[name](name, value) if name in checks else value

        @wraps(function)
        def call(*args, **kwargs):
            args = [check(*of) for of in zip(names, args, strict=False)] + list(args[len(names) :])
            kwargs = {name: check(name, value) for name, value in kwargs.items()}
            return function(*args, **kwargs)

        return call

    return decorate


def without_checks(*functions: Callable) -> tuple[Callable, ...]:
    """The functions as they are behind `checked`, for callers whose arguments are known to fit."""
    return tuple(function.__wrapped__ for function in functions)


def _is_int(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def to_pair(name: str, value, minimum: int = 1) -> tuple[int, int]:
    """Read an int or a pair of ints as ``(along height, along width)``.

    Raises:
        TypeError: `value` is neither an int nor a pair of ints.
        ValueError: a number is below `minimum`, or there are not two of them.
    """
    numbers = (value, value) if _is_int(value) else value
    if not isinstance(numbers, (tuple, list)) or not all(_is_int(n) for n in numbers):
        raise TypeError(f"{name} must be an int or a pair of ints, got {value!r}")
    if len(numbers) != 2:
        raise ValueError(f"{name} must be one number or two (height, width), got {value!r}")
    if min(numbers) < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return (int(numbers[0]), int(numbers[1]))


def to_shift(name: str, value) -> tuple[int, int]:
    """Read a shift as `to_pair` does, from 0 up."""
    return to_pair(name, value, minimum=0)


def check_int(name: str, value, minimum: int = 1) -> int:
    """Refuse what is not an int from `minimum` up."""
    if not _is_int(value):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return value


def check_ints(name: str, values, minimum: int = 1) -> None:
    """Refuse what is not a tuple or list of ints from `minimum` up."""
    if not isinstance(values, (tuple, list)) or not all(_is_int(n) for n in values):
        raise TypeError(f"{name} must be a tuple of ints, got {values!r}")
    if any(n < minimum for n in values):
        raise ValueError(f"{name} must be at least {minimum} each, got {values!r}")


def check_size(name: str, value):
    """Refuse what is not a number of tokens or pixels; tracers have symbols for these.

    How large it must be is left to what it has to fit.
    """
    if not (_is_int(value) or isinstance(value, (SymInt, Tensor))):
        raise TypeError(f"{name} must be an int, got {value!r}")
    return value


def check_number(name: str, value) -> None:
    """Refuse what is not a finite number from 0 up."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not isfinite(value) or value < 0:
        raise ValueError(f"{name} must be finite and at least 0, got {value!r}")


def check_rate(name: str, rate) -> float:
    """Refuse what is not a probability of dropping something, from 0 up and below 1."""
    if not isinstance(rate, Real) or isinstance(rate, bool):
        raise TypeError(f"{name} must be a number, got {rate!r}")
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name} must be at least 0 and below 1, got {rate!r}")
    return rate


def check_flags(**flags) -> None:
    """Refuse what is neither True nor False: "False", read from a file, would be taken for true."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")


def check_layers(**makers) -> None:
    """Refuse what cannot be called to make a layer."""
    for name, value in makers.items():
        if not isinstance(value, Callable):
            raise TypeError(f"{name} must be a class or function that makes a layer, got {value!r}")


def check_heads(dim: int, num_heads: int) -> None:
    """Refuse a width that the heads cannot share equally."""
    for name, value in (("dim", dim), ("num_heads", num_heads)):
        if not _is_int(value):
            raise TypeError(f"{name} must be an int, got {value!r}")
    if num_heads < 1 or dim < 1 or dim % num_heads:
        raise ValueError(
            f"dim must be a positive multiple of num_heads, got dim={dim}, num_heads={num_heads}"
        )


def narrow_stage(embed_dim: int, num_heads) -> int | None:
    """The first stage, from 0, whose width its heads cannot share equally; None if all can."""
    return next((i for i, heads in enumerate(num_heads) if embed_dim * 2**i % heads), None)


def check_tensor(name: str, value) -> Tensor:
    """Refuse what is not a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    return value


def check_feature_map(name: str, x, dim: int | None = None) -> Tensor:
    """Refuse what is not a feature map ``(B, H, W, C)``, or has not `dim` channels."""
    check_tensor(name, x)
    shape = tuple(x.shape)
    if len(shape) != 4:
        raise ValueError(f"{name} must have four dimensions (B, H, W, C), got shape {shape}")
    if shape[1] < 1 or shape[2] < 1:
        raise ValueError(f"{name} must be at least 1x1 in (B, H, W, C), got shape {shape}")
    if dim is not None and shape[3] != dim:
        raise ValueError(
            f"{name} must have {dim} channels in its last dimension, got shape {shape}"
        )
    settle_sizes(*shape[1:3])
    return x


def settle_sizes(H: int, W: int) -> None:
    """For torch.compile: a size that it holds as a symbol becomes a number.

    A mask is made for numbers, so there is a graph for each size of map, and it is better to know
    that before anything is computed of symbols: their formulas, after padding, take it minutes.
    """
    if is_dynamo_compiling():
        index(H), index(W)
