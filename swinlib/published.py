"""Published checkpoints by name: what each is, where it lies, and how its pictures are prepared.

In three lines::

    swin_tiny(weights="imagenet1k")         # downloaded once
    published.CHECKPOINTS["swin_tiny_patch4_window7_224"].top1
    for c in published.CHECKPOINTS.values(): print(c)

Sources: microsoft/Swin-Transformer, MODELHUB.md (accuracies, addresses), data/build.py and configs/
(preprocessing); torchvision.models.swin_transformer (its own three). Accuracies are those told
there, on ImageNet-1K; nothing here has measured them again.

How a download is checked: torchvision's file names end in the first eight digits of their SHA-256,
which is computed and compared. Microsoft's carry none and none is published, so their length is
compared with what the server says, they must load to the last weight, and the SHA-256 of the first
download is written beside the file and compared from then on.
"""

import hashlib
import http.client
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from swinlib.model import SwinTransformer
from swinlib.pretrained import load_pretrained

# ImageNet's, over its training pictures from 0 to 1: red, green, blue.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MICROSOFT = "https://github.com/SwinTransformer/storage/releases/download/"
SILENCE = 20.0  # seconds without a byte after which a download is given up


class DownloadError(ConnectionError):
    """A checkpoint could not be fetched; the message says why and what can be done."""


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint.

    Attributes:
        name: the official one.
        model: the function of swinlib that builds the model, such as "swin_tiny".
        weights: what that function calls it; see `find`.
        window_size: in tokens.
        size: side of the pictures it was trained with and is measured on, in pixels.
        resize: shorter side that a picture is resized to before its middle is cut out; None: the
            picture is resized to size x size whatever its proportions.
        num_classes: 1000, or 21841 for ImageNet-22K.
        top1: accuracy on ImageNet-1K in per cent, as published; None for ImageNet-22K's head.
        url: of the file.
    """

    name: str
    model: str
    weights: str
    window_size: int
    size: int
    resize: int | None
    num_classes: int
    top1: float | None
    url: str

    interpolation = "bicubic"  # the same for all, as are the next two
    mean, std = MEAN, STD

    @property
    def parameters(self) -> int:
        """How many."""
        return PARAMETERS[self.model, self.window_size, self.num_classes]

    @property
    def hash_prefix(self) -> str | None:
        """The beginning of the file's SHA-256, where its name tells it."""
        match = re.search(r"-([0-9a-f]{8,})\.pth$", self.url)
        return match and match[1]

    @property
    def path(self) -> Path:
        """Where its file is kept, beside those of torch.hub."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]


# (model, window, classes) -> how many; the tests count them again.
PARAMETERS = {
    ("swin_tiny", 7, 1000): 28_288_354,
    ("swin_tiny", 7, 21841): 44_315_083,
    ("swin_small", 7, 1000): 49_606_258,
    ("swin_small", 7, 21841): 65_632_987,
    ("swin_base", 7, 1000): 87_768_224,
    ("swin_base", 7, 21841): 109_130_249,
    ("swin_base", 12, 1000): 87_903_584,
    ("swin_base", 12, 21841): 109_265_609,
    ("swin_large", 7, 1000): 196_532_476,
    ("swin_large", 7, 21841): 228_565_093,
    ("swin_large", 12, 1000): 196_735_516,
    ("swin_large", 12, 21841): 228_768_133,
}


def _microsoft(stem, weights, top1, release="v1.0.0"):
    size, window = (384, 12) if "384" in stem else (224, 7)
    classes = 21841 if stem.endswith("22k") else 1000
    return Checkpoint(
        name=stem.removesuffix("_finetune"),
        model="_".join(stem.split("_")[:2]),
        weights=weights + ("_384" if size == 384 else ""),
        window_size=window,
        size=size,
        # The configurations for 384 pixels switch the cut off (TEST.CROP: False).
        resize=None if size == 384 else size * 256 // 224,
        num_classes=classes,
        top1=top1,
        url=f"{MICROSOFT}{release}/{stem}.pth",
    )


def _torchvision(letter, model, digits, resize, top1):
    url = f"https://download.pytorch.org/models/swin_{letter}-{digits}.pth"
    name = f"{model}_torchvision"
    return Checkpoint(name, model, "imagenet1k", 7, 224, resize, 1000, top1, url)


_ALL = (
    _torchvision("t", "swin_tiny", "704ceda3", 232, 81.474),
    _torchvision("s", "swin_small", "5e29d889", 246, 83.196),
    _torchvision("b", "swin_base", "68c6b09e", 238, 83.582),
    _microsoft("swin_tiny_patch4_window7_224", "microsoft1k", 81.2),
    _microsoft("swin_small_patch4_window7_224", "microsoft1k", 83.2),
    _microsoft("swin_base_patch4_window7_224", "microsoft1k", 83.5),
    _microsoft("swin_base_patch4_window12_384", "microsoft1k", 84.5),
    _microsoft("swin_tiny_patch4_window7_224_22k", "imagenet22k", None, "v1.0.8"),
    _microsoft("swin_small_patch4_window7_224_22k", "imagenet22k", None, "v1.0.8"),
    _microsoft("swin_base_patch4_window7_224_22k", "imagenet22k", None),
    _microsoft("swin_large_patch4_window7_224_22k", "imagenet22k", None),
    _microsoft("swin_base_patch4_window12_384_22k", "imagenet22k", None),
    _microsoft("swin_large_patch4_window12_384_22k", "imagenet22k", None),
    _microsoft("swin_tiny_patch4_window7_224_22kto1k_finetune", "imagenet22k_1k", 80.9, "v1.0.8"),
    _microsoft("swin_small_patch4_window7_224_22kto1k_finetune", "imagenet22k_1k", 83.2, "v1.0.8"),
    _microsoft("swin_base_patch4_window7_224_22kto1k", "imagenet22k_1k", 85.2),
    _microsoft("swin_large_patch4_window7_224_22kto1k", "imagenet22k_1k", 86.3),
    _microsoft("swin_base_patch4_window12_384_22kto1k", "imagenet22k_1k", 86.4),
    _microsoft("swin_large_patch4_window12_384_22kto1k", "imagenet22k_1k", 87.3),
)
CHECKPOINTS = {checkpoint.name: checkpoint for checkpoint in _ALL}


def find(model: str, weights: str) -> Checkpoint:
    """The checkpoint that ``model(weights=weights)`` means.

    Args:
        model: such as "swin_tiny".
        weights: "imagenet1k" (torchvision's, whose file can be checked by its hash), "microsoft1k",
            "imagenet22k", "imagenet22k_1k", each with "_384" behind it for that size where there is
            one; or a name in `CHECKPOINTS`.

    Raises:
        ValueError: there is none of this name for the model.
    """
    known = {c.weights: c for c in _ALL if c.model == model}
    named = {c.name: c for c in known.values()}
    if weights not in known | named:
        raise ValueError(f"weights for {model} must be one of {', '.join(known)}, got {weights!r}")
    return (known | named)[weights]


def imagenet_classes() -> tuple[str, ...]:
    """The thousand classes of ImageNet-1K in the order of the published heads; torchvision's list.

    Raises:
        ImportError: torchvision is not installed.
    """
    try:
        from torchvision.models import Swin_T_Weights
    except ImportError as error:
        raise ImportError("for ImageNet's names of classes, pip install torchvision") from error
    return tuple(Swin_T_Weights.IMAGENET1K_V1.meta["categories"])


def fetch(name: str) -> Path:
    """The file of a checkpoint, downloaded if it is not there yet, and checked either way.

    Args:
        name: in `CHECKPOINTS`.

    Raises:
        DownloadError: offline, no answer, or what came is not the file.
        ValueError: a file that is there already is damaged.
        KeyError: no such name.
    """
    checkpoint = CHECKPOINTS[name]
    path = checkpoint.path
    if not path.exists():
        _download(checkpoint, path)
    wanted, beside = checkpoint.hash_prefix, path.with_name(f"{path.name}.sha256")
    if wanted is None and beside.exists():
        wanted = beside.read_text(encoding="utf-8").strip()
    if wanted and not _sha256(path).startswith(wanted):
        raise ValueError(f"{path} is damaged: its SHA-256 does not begin with {wanted}. Delete it.")
    return path


def load(checkpoint: Checkpoint, build, **arguments) -> SwinTransformer:
    """The model of a checkpoint with its weights.

    Args:
        checkpoint: see `find`.
        build: makes the model from keywords.
        arguments: for `build`; another ``num_classes`` gives a fresh head, ``out_indices`` fresh
            norms, another ``window_size`` resampled bias tables, ``in_chans`` a first convolution
            that is summed or repeated.

    Raises:
        DownloadError, ValueError: as `fetch` and `load_pretrained`.
    """
    told = {"num_classes": checkpoint.num_classes, "window_size": checkpoint.window_size}
    model = build(**{**told, **arguments})
    other_head = arguments.get("num_classes", checkpoint.num_classes) != checkpoint.num_classes
    return load_pretrained(
        model,
        fetch(checkpoint.name),
        resize="window_size" in arguments,
        new_head=other_head or arguments.get("out_indices") is not None,
        adapt_in_chans="in_chans" in arguments,
    )


def find_certificates() -> None:
    """For urllib on a Mac, where Python from python.org knows none until "Install Certificates" has
    run: those that pip brought, if nothing else is set."""
    paths = ssl.get_default_verify_paths()
    if sys.platform == "darwin" and not (paths.cafile or paths.capath):
        with suppress(ImportError):
            import certifi

            os.environ.setdefault("SSL_CERT_FILE", certifi.where())


def _download(checkpoint, path):
    """Written beside its place, checked, then renamed, so that a file that is there is whole."""
    url, part = checkpoint.url, path.with_name(f"{path.name}.{os.getpid()}.part")
    instead = f"Download it elsewhere, and place it at {path}; or load_pretrained(model, file)."
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"downloading {url} to {path}")
    find_certificates()
    try:
        with urllib.request.urlopen(url, timeout=SILENCE) as answer, part.open("wb") as file:
            told = answer.headers.get("Content-Length")
            while piece := answer.read(2**20):
                file.write(piece)
        _check(part, told, checkpoint.hash_prefix)
        if checkpoint.hash_prefix is None:
            beside = path.with_name(f"{path.name}.sha256")
            beside.write_text(_sha256(part) + "\n", encoding="utf-8")
        part.replace(path)
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{url} answers {error.code} ({error.reason}). {instead}") from error
    except urllib.error.URLError as error:
        raise DownloadError(
            f"{checkpoint.name} cannot be downloaded, perhaps since this machine is offline "
            f"({error.reason}): {url}. {instead}"
        ) from error
    except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
        raise DownloadError(f"the download of {url} broke off ({error}). {instead}") from error
    finally:
        part.unlink(missing_ok=True)


def _check(file, told, hash_prefix):
    """Raises ConnectionError where what came is not what was told."""
    size = file.stat().st_size
    if told is not None and size != int(told):
        raise ConnectionError(f"{size:,} of {int(told):,} bytes came")
    if hash_prefix and not _sha256(file).startswith(hash_prefix):
        raise ConnectionError(f"its SHA-256 does not begin with {hash_prefix}")


def _sha256(file):
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
