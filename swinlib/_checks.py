"""Argument checks for all lessons: each error names the argument, its value and what is wanted."""

from torch import Tensor


def to_pair(name: str, value, minimum: int = 1) -> tuple[int, int]:
    """Read an int or a pair of ints as ``(along height, along width)``.

    Raises:
        TypeError: `value` is neither an int nor a pair of ints.
        ValueError: a number is below `minimum`, or there are not two of them.
    """
    numbers = (value, value) if isinstance(value, int) else value
    if not isinstance(numbers, (tuple, list)) or not all(isinstance(n, int) for n in numbers):
        raise TypeError(f"{name} must be an int or a pair of ints, got {value!r}")
    if len(numbers) != 2:
        raise ValueError(f"{name} must be one number or two (height, width), got {value!r}")
    if min(numbers) < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return tuple(numbers)


def check_feature_map(x: Tensor, dim: int | None = None, name: str = "x") -> None:
    """Refuse what is not a feature map ``(B, H, W, C)``, or has not `dim` channels.

    Raises:
        ValueError: wrong number of dimensions, an empty one, or a wrong channel count.
    """
    shape = tuple(x.shape)
    if len(shape) != 4:
        raise ValueError(f"{name} must have four dimensions (B, H, W, C), got shape {shape}")
    if shape[1] < 1 or shape[2] < 1:
        raise ValueError(f"{name} must be at least 1x1 in (B, H, W, C), got shape {shape}")
    if dim is not None and shape[3] != dim:
        raise ValueError(
            f"{name} must have {dim} channels in its last dimension, got shape {shape}"
        )


def check_heads(dim: int, num_heads: int) -> None:
    """Refuse a width that the heads cannot share equally.

    Raises:
        ValueError: `num_heads` is not positive or does not divide `dim`.
    """
    if num_heads < 1 or dim < 1 or dim % num_heads:
        raise ValueError(
            f"dim must be a positive multiple of num_heads, got dim={dim}, num_heads={num_heads}"
        )


def check_rate(name: str, rate: float) -> None:
    """Refuse what is not a probability of dropping something.

    Raises:
        ValueError: `rate` is outside [0, 1).
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name} must be at least 0 and below 1, got {rate!r}")
