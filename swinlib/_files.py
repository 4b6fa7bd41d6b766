"""A checkpoint, in a file or not, as a plain state dict: tensors by name."""

import mmap
import pickle
import re
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from swinlib._layouts import models_in

# Where in a file the weights may lie, and in which order they are looked for; then anywhere else.
CONTAINERS = ("model", "state_dict", "model_state_dict", "model_ema", "state_dict_ema", "teacher")


def read_state_dict(source: str | PathLike | dict) -> dict[str, Tensor]:
    """A file, a folder as Hugging Face writes it, or a dict, as a plain state dict.

    Raises: as `swinlib.load_pretrained`.
    """
    if isinstance(source, (str, PathLike)):
        source = _read_file(Path(source))
    taken = None
    while found := _containers(source):
        if len(found) > 1:
            print(f"weights taken from {found[0]!r}, not from {', '.join(map(repr, found[1:]))}")
        source, taken = source[found[0]], found[0]
    if not isinstance(source, dict) or not all(map(_is_weight, source.items())):
        where = f" under {taken!r}" if taken else ""
        raise TypeError(
            "source must be a state dict of tensors, or a dict with one under "
            f"{', '.join(map(repr, CONTAINERS))}, got {_kind(source)}{where}"
        )
    return dict(source)


def _containers(source) -> list[str]:
    """The names in a dict under which weights lie, those to be taken first."""
    inner = source if isinstance(source, dict) else {}
    inner = {name: value for name, value in inner.items() if isinstance(value, dict)}
    names = [name for name in CONTAINERS if name in inner]
    names += [name for name in inner if name not in names]
    with_swin = [name for name in names if _holds_a_swin(inner[name])]
    return with_swin or [name for name in names if name in CONTAINERS]


def _holds_a_swin(source) -> bool:
    return isinstance(source, dict) and (
        bool(models_in(source)) or any(map(_holds_a_swin, source.values()))
    )


def _is_weight(item) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _kind(source) -> str:
    if not isinstance(source, dict):
        return type(source).__name__
    name, other = next(item for item in source.items() if not _is_weight(item))
    return f"a dict that has {type(other).__name__} under {name!r}"


def _read_file(path: Path):
    if path.is_dir():
        names = ("model.safetensors", "pytorch_model.bin")
        files = [path / name for name in names if (path / name).exists()]
        if not files:
            raise ValueError(f"{path} must hold {' or '.join(names)}, and does not")
        path = files[0]
    with path.open("rb") as file:
        start = file.read(256)
    try:
        if start[8:9] == b"{" or path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise ImportError(f"{path}: to read it, pip install safetensors") from error
    except Exception as error:  # which one depends on where a damaged file ends
        if not start:
            reason = "it is empty"
        elif start.startswith(b"version https://git-lfs"):
            reason = "it is Git LFS's pointer to the weights: git lfs pull brings them"
        elif start.lstrip().startswith(b"<"):
            reason = "it is a web page: what was downloaded is not the file"
        elif found := re.search(r"GLOBAL (\S+)|Unsupported class (\S+)", str(error)):
            raise pickle.UnpicklingError(
                f"{path} holds, beside its weights, objects that could run code: "
                f"{found[1] or found[2]}. If you trust it, take the weights out of it once: "
                + _way_out(path)
            ) from error
        else:
            reason = "it is damaged or cut short, or something else than a checkpoint"
        raise ValueError(f"{path} cannot be read: {reason}") from error


def _way_out(path: Path) -> str:
    """The line of Python that takes the weights out of a file that holds other objects too."""
    pickled = {name: b"X" + len(name).to_bytes(4, "little") + name.encode() for name in CONTAINERS}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = [name for name, key in pickled.items() if content.find(key) >= 0]
    weights = f"torch.load({str(path)!r}, weights_only=False)"
    if names:  # some of them may be names of other things
        weights = f"{{k: v for k, v in {weights}.items() if k in {names}}}"
    else:  # a whole model
        weights += ".state_dict()"
    return f'torch.save({weights}, "weights.pth")'
