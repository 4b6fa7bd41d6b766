"""Pictures for training: official CIFAR-10, a copy of it in folders, or generated shapes.

Whatever the source, the result is an :class:`ImageSet`: all pictures as uint8 tensors in memory
(CIFAR-10 is 184 MB), split into training, validation and test. Only folders too big for memory,
such as ImageNet, stay on the disk: see stream.py. CIFAR-10 is by Alex Krizhevsky,
"Learning Multiple Layers of Features from Tiny Images" (2009).
"""

import hashlib
import math
import os
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from swinlib.training.config import TrainConfig
from swinlib.training.stream import PictureFiles, middle

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SHAPE_CLASSES = (
    "disc", "ring", "square", "frame", "triangle", "star", "plus", "bar", "half disc", "crescent",
)  # fmt: skip
MEMORY_LIMIT = 8e9  # bytes of decoded pictures; above it they have to be streamed
SPLIT_SEED = 0  # the same validation pictures in every run, whatever the run's own seed


class DatasetError(ValueError):
    """The pictures on disk cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, repr=False)
class ImageSet:
    """Pictures and labels in memory.

    Images are uint8 of (N, C, H, W), or PictureFiles with ``stream`` (see stream.py); labels are
    int64 of (N,), counting classes from 0. ``label`` says
    where the pictures come from and belongs beside every accuracy. ``mean`` and ``std`` are per
    channel, of the training pictures scaled to 0..1. ``announcement`` is empty for real pictures;
    else a paragraph to show the reader.
    """

    train_images: torch.Tensor
    train_labels: torch.Tensor
    val_images: torch.Tensor
    val_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    class_names: tuple
    label: str
    mean: tuple
    std: tuple
    announcement: str = ""

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def __repr__(self):
        C, H, W = self.train_images.shape[1:]
        sizes = [len(self.train_labels), len(self.val_labels), len(self.test_labels)]
        train, val, test = (f"{n:,}" for n in sizes)
        return (
            f"{self.label}: {train} training, {val} validation, {test} test pictures, "
            f"{H}x{W}x{C}, {self.num_classes} classes"
        )


def load_dataset(root="data", name=None, download=True, config=None) -> ImageSet:
    """Loads pictures and splits them.

    root: folder of downloads, image folders and the cache.
    name: "cifar10" (the official files, checked by md5, downloaded into root when missing),
        "imagefolder" (``root/cifar10/{train,test}/<class>/*.png`` or ``.jpg``, or else the same
        in ``root`` itself), the path of any folder with train and test in it, "shapes" (generated,
        no files), or "auto": the official files if they are in root, else the image folder
        ``root/cifar10``, else a download, else shapes. In an image folder val serves as test where
        there is no test, as in ImageNet.
        None takes ``config.dataset``; where that is "auto", the environment variable
        SWINLIB_DATASET if it is set.
    download: False never touches the network.
    config: a TrainConfig for ``val_size``, ``train_limit``, ``test_limit``, ``image_size`` (for
        image folders: resized so that the shorter side fits, then cut to the middle) and
        ``stream``.

    The validation pictures are taken out of the training set, the same number of each class, and
    do not depend on the run's seed. Raises DatasetError for unusable files, ValueError for an
    unknown name. Shapes set ``announcement``: print it.
    """
    config = config or TrainConfig()
    root = Path(root).expanduser()
    if name is None:
        name = config.dataset
        if name == "auto":
            name = os.environ.get("SWINLIB_DATASET") or "auto"
    announcement = ""
    if name == "auto":
        source, why = _find(root, download, config)
        if source is None:
            announcement = _announce(root, why)
            source = _shapes()
    elif name == "cifar10":
        source = _official(root, download)
    elif name == "imagefolder":
        inside = not (root / "cifar10").is_dir() and (root / "train").is_dir()
        source = _image_folder(root if inside else root / "cifar10", root / "cache", config)
    elif name == "shapes":
        source = _shapes()
        announcement = _announce(root, "Shapes were asked for.")
    elif Path(name).expanduser().is_dir():
        source = _image_folder(Path(name).expanduser(), root / "cache", config)
    else:
        raise ValueError(
            f"dataset {str(name)!r}: wanted 'auto', 'cifar10', 'imagefolder', 'shapes' or the path "
            "of a folder that exists"
        )
    return _split(*source, announcement, config)


def _split(train, test, class_names, label, announcement, config):
    images, labels = train
    if config.val_size >= len(labels):
        raise DatasetError(
            f"{label}: val_size={config.val_size} leaves none of the {len(labels)} training "
            "pictures to train on; use config.replace(val_size=...)"
        )
    order = balanced_order(labels, SPLIT_SEED)
    val, rest = order[: config.val_size], order[config.val_size :]
    rest = rest[: config.train_limit]
    test_images, test_labels = test
    if config.test_limit is not None:
        some = balanced_order(test_labels, SPLIT_SEED)[: config.test_limit]
        test_images, test_labels = test_images[some], test_labels[some]
    train_images = images[rest]
    mean, std = _mean_and_std(train_images)
    return ImageSet(
        train_images, labels[rest], images[val], labels[val], test_images, test_labels,
        tuple(class_names), label, mean, std, announcement,
    )  # fmt: skip


def balanced_order(labels, seed):
    """A shuffled order in which any beginning holds every class equally often (give or take one).

    labels: (N,) int64. Returns (N,) int64, a permutation: first one picture of each class, then a
    second one of each, and so on. A class that runs out is left out of the later rounds.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    shuffled = labels[order]
    turn = torch.empty_like(shuffled)  # 0 for a class's first picture in this order, then 1, ...
    for c in shuffled.unique():
        members = shuffled == c
        turn[members] = torch.arange(int(members.sum()))
    return order[torch.argsort(turn, stable=True)]


def _mean_and_std(images):
    if not isinstance(images, torch.Tensor):  # of files, some spread over all classes will do
        some = torch.linspace(0, len(images) - 1, min(1000, len(images))).long()
        images = torch.cat(list(images[some].split(100)))
    channels = [images[:, c].float() / 255 for c in range(images.shape[1])]
    mean = tuple(c.mean().item() for c in channels)
    return mean, tuple(max(c.std(correction=0).item(), 1e-6) for c in channels)


# ------------------------------------------------------------------------- choosing a source


def _find(root, download, config):
    """The best real source, or None and the reason why there is none."""
    why = "Downloading was switched off."
    if (root / "cifar-10-batches-py").is_dir():
        try:
            return _official(root, download=False), ""
        except DatasetError as error:
            why = str(error)
    if (root / "cifar10").is_dir():
        return _image_folder(root / "cifar10", root / "cache", config), ""
    if download:
        if not _online():
            why = "CIFAR-10's server cannot be reached from here."
        else:
            try:
                return _official(root, download=True), ""
            except DatasetError as error:
                why = str(error)
    return None, why


def _announce(root, why):
    return (
        "*** THIS IS NOT CIFAR-10. ***  "
        f"{why} You are looking at ten kinds of coloured shapes that swinlib has drawn itself, and "
        "every accuracy below is about these shapes, which are much easier than photographs. For "
        f"the real pictures, go online once, or put an image-folder copy at {root / 'cifar10'} "
        "(train/<class>/*.png, test/<class>/*.png), then run this again."
    )


def _online(seconds=4.0):
    """Whether CIFAR-10's server answers within some seconds. In a thread, because looking up a
    name on a machine without network may hang for longer than any time limit of a socket."""
    answered = threading.Event()

    def ask():
        try:
            from torchvision.datasets import CIFAR10

            request = urllib.request.Request(CIFAR10.url, method="HEAD")
            urllib.request.urlopen(request, timeout=seconds).close()
            answered.set()
        except Exception:  # no network, no name, a proxy that refuses: all mean "no"
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


# --------------------------------------------------------------------------- official CIFAR-10


def _official(root, download):
    from torchvision.datasets import CIFAR10

    try:
        try:
            train = CIFAR10(root, train=True)
        except RuntimeError:  # not there, or not whole
            if not download:
                raise
            train = CIFAR10(root, train=True, download=True)
        test = CIFAR10(root, train=False)
    except Exception as error:
        # torchvision, urllib, tarfile and zlib each have their own kind of exception here.
        archive, folder = root / CIFAR10.filename, root / CIFAR10.base_folder
        raise DatasetError(
            f"CIFAR-10 in {root} is missing, cut short or damaged ({error}){_first_damaged(root)}. "
            f"Delete {archive} and "
            f"{folder} if they exist and try again online, or download {CIFAR10.url} yourself, "
            f"place it at {archive} and call load_dataset(..., 'cifar10')."
        ) from error
    pairs = [
        (torch.from_numpy(d.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(d.targets))
        for d in (train, test)
    ]
    return *pairs, tuple(train.classes), "CIFAR-10"


def _first_damaged(root):
    """Words that name the first official file that is there and not as published, if any."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    files = [(root / CIFAR10.filename, CIFAR10.tgz_md5)]
    for name, md5 in CIFAR10.train_list + CIFAR10.test_list:
        files.append((root / CIFAR10.base_folder / name, md5))
    for file, md5 in files:
        if file.exists() and not check_integrity(str(file), md5):
            return f"; {file} has {file.stat().st_size:,} bytes and a wrong checksum"
    return ""


# -------------------------------------------------------------------------------- image folders


def _image_folder(folder, cache, config):
    """Reads ``folder/{train,test}/<class>/*.png|jpg|jpeg``, from the cache when nothing changed."""
    files, class_names = _list_folder(folder)
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = {s: torch.tensor([numbers[c] for c, _ in files[s]]) for s in files}
    paths = {s: [file for _, file in files[s]] for s in files}
    if config.stream:
        train, test = (PictureFiles(paths[s], config.image_size, _read) for s in files)
    else:
        everything = paths["train"] + paths["test"]
        _require_memory(everything, config.image_size)
        size = f"-{config.image_size}" if config.image_size else ""
        name = f"{folder.resolve().name}-{_fingerprint(folder, files)}{size}.safetensors"
        tensors = _read_cache(cache / name)
        if tensors is None:
            tensors = _decode(everything, config.image_size)
            _write_cache(cache / name, tensors)
        train, test = tensors.split([len(paths["train"]), len(paths["test"])])
    label = f"image folder {folder.resolve().name}"
    if class_names == CIFAR10_CLASSES and train.shape[1:] == (3, 32, 32):
        kinds = {file.suffix.lower() for file in paths["test"]}
        label = "CIFAR-10, JPEG copy" if kinds <= {".jpg", ".jpeg"} else "CIFAR-10, image folder"
        if (len(train), len(test)) != (50_000, 10_000):
            label += f" (part of it: {len(train):,} + {len(test):,} pictures)"
    return (train, labels["train"]), (test, labels["test"]), class_names, label


def _require_memory(files, size):
    if size is None:
        width, height = _read(files[0]).size
    else:
        width = height = size
    needed = 3 * width * height * len(files)
    if needed > MEMORY_LIMIT:
        raise DatasetError(
            f"{len(files):,} pictures of {height}x{width} pixels take {needed / 1e9:.0f} GB of "
            f"memory, more than {MEMORY_LIMIT / 1e9:.0f} GB. Use "
            "config.replace(image_size=..., stream=True), which leaves them in their files."
        )


def _list_folder(folder):
    """Files by split: {"train": [(class name, path), ...], "test": ...}, and the class names."""
    remedy = f"Wanted {folder}/train/<class>/*.png and {folder}/test/<class>/*.png (or .jpg)."
    files, classes = {}, {}
    val = (folder / "val").is_dir() and not (folder / "test").is_dir()  # ImageNet's name for it
    test = "val" if val else "test"
    for split in ("train", test):
        if not (folder / split).is_dir():
            raise DatasetError(f"{folder / split} is missing. {remedy} Unpack the copy again.")
        folders = sorted(
            d for d in (folder / split).iterdir() if d.is_dir() and not d.name.startswith(".")
        )
        classes[split] = tuple(d.name for d in folders)
        if not folders:
            raise DatasetError(f"{folder / split} has no class folders in it. {remedy}")
        files[split] = []
        for d in folders:
            found = sorted(f for f in d.iterdir() if f.suffix.lower() in (".png", ".jpg", ".jpeg"))
            if not found:
                raise DatasetError(f"{d} holds no .png or .jpg picture. Fill it or remove it.")
            files[split] += [(d.name, f) for f in found]
    for here, there in (("train", test), (test, "train")):
        missing = sorted(set(classes[there]) - set(classes[here]))
        if missing:
            raise DatasetError(
                f"class {missing[0]!r} is in {folder / there} but {folder / here / missing[0]} "
                "is missing. Unpack the copy again, or remove the class from both."
            )
    return {"train": files["train"], "test": files[test]}, classes["train"]


def _fingerprint(folder, files):
    """16 hex digits that change when a picture is added, removed, renamed or rewritten."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for split in files.values():
        for _, file in split:
            stat = file.stat()
            digest.update(
                f"{file.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode()
            )
    return digest.hexdigest()[:16]


def _read(file):
    """A picture as PIL gives it, in RGB."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"{file} cannot be read as a picture ({error}). Unpack it again or remove it."
        ) from error


def _decode(files, size=None):
    """All pictures in one (N, 3, H, W) uint8 tensor. Decoding releases Python's lock: threads."""
    import numpy as np

    def read(file):
        picture = _read(file)
        return np.asarray(picture if size is None else middle(picture, size, size))

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        pictures = list(pool.map(read, files))
    for file, picture in zip(files, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            (h, w), (h0, w0) = picture.shape[:2], pictures[0].shape[:2]
            raise DatasetError(
                f"{file} is {h}x{w} pixels and {files[0]} is {h0}x{w0}: all pictures must have one "
                "size. Use config.replace(image_size=...), which resizes them."
            )
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def _read_cache(path):
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)["images"]
    except (OSError, SafetensorError, KeyError):  # not there yet, or damaged: decode again
        return None


def _write_cache(path, images):
    """Written beside its place and then renamed, so that no reader ever sees half a file."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"images": images}, part)
        os.replace(part, path)
    except (OSError, SafetensorError):  # a full or read-only disk costs the cache, not the lesson
        with suppress(OSError):
            part.unlink()


# ------------------------------------------------------------------------------ generated shapes


def _shapes():
    train = draw_shapes(15_000, seed=1)
    test = draw_shapes(2_000, seed=2)
    return train, test, SHAPE_CLASSES, "generated shapes (not CIFAR-10)"


def draw_shapes(count, seed, size=32):
    """Draws coloured shapes on a noisy background: a stand-in where CIFAR-10 cannot be had.

    Place, size, turn, colours, the background's slope, a few stray dots and noise all vary.

    count: pictures, classes in turn. seed: same seed, same pictures. size: pixels per side.
    Returns images (count, 3, size, size) uint8 and labels (count,) int64, into SHAPE_CLASSES.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(SHAPE_CLASSES)
    pieces = [_draw(some, generator, size) for some in labels.split(250)]  # fits the CPU's cache
    return torch.cat(pieces), labels


def _draw(labels, generator, size):
    """One picture per label: (N,) int64 -> (N, 3, size, size) uint8."""
    count = len(labels)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    axis = (torch.arange(size) + 0.5) / size * 2 - 1  # pixel centres, -1 to 1
    x, y = axis[None, None, :], axis[None, :, None]  # broadcast to (count, size, size)

    # Light ink on dark paper, which goes from one colour to another across the picture.
    ink = uniform(0.55, 1, 3, 1, 1)
    paper = uniform(0, 0.4, 3, 1, 1)
    angle = uniform(0, 2 * math.pi, 1, 1)
    slope = (x * angle.cos() + y * angle.sin())[:, None]
    images = paper + slope * uniform(-0.2, 0.2, 3, 1, 1)

    # Every picture has its own coordinates, in which its shape is about one unit in radius.
    radius = uniform(0.5, 0.85, 1, 1)
    turn = uniform(-0.5, 0.5, 1, 1)  # radians
    across = x - uniform(-1, 1, 1, 1) * (0.95 - radius)
    down = y - uniform(-1, 1, 1, 1) * (0.95 - radius)
    u = (across * turn.cos() + down * turn.sin()) / radius
    v = (down * turn.cos() - across * turn.sin()) / radius
    depth = torch.empty(count, size, size)  # about the distance to the edge, above 0 inside
    for c, name in enumerate(SHAPE_CLASSES):
        members = labels == c
        depth[members] = _depth(name, u[members], v[members])
    soft = size / 2 * radius  # pixels per unit: an edge one pixel wide
    cover = (depth * soft + 0.5).clamp(0, 1)[:, None]
    images = images + cover * (ink - images)

    for _ in range(2):  # stray dots
        r = uniform(0.05, 0.15, 1, 1)
        away = ((x - uniform(-1, 1, 1, 1)) ** 2 + (y - uniform(-1, 1, 1, 1)) ** 2).sqrt()
        cover = ((r - away) * size / 2 + 0.5).clamp(0, 1)[:, None]
        images = images + cover * (uniform(0, 1, 3, 1, 1) - images)
    noise = torch.randn(images.shape, generator=generator) * uniform(0.02, 0.1, 1, 1, 1)
    return ((images + noise).clamp(0, 1) * 255).round().to(torch.uint8)


def _depth(name, u, v):
    """How far inside a shape of that name the points (u, v) lie; below 0 outside."""
    away, box = (u * u + v * v).sqrt(), torch.maximum(u.abs(), v.abs())
    if name == "disc":
        return 0.9 - away
    if name == "ring":
        return 0.25 - (away - 0.7).abs()
    if name == "square":
        return 0.8 - box
    if name == "frame":
        return 0.2 - (box - 0.65).abs()
    if name == "triangle":
        return 0.5 - torch.maximum(-v, 0.5 * v + 0.866 * u.abs())
    if name == "star":
        return 0.65 + 0.35 * torch.cos(5 * torch.atan2(v, u)) - away
    if name == "plus":
        return torch.minimum(0.27 - torch.minimum(u.abs(), v.abs()), 0.95 - box)
    if name == "bar":
        return torch.minimum(1 - u.abs(), 0.25 - v.abs())
    if name == "half disc":
        return torch.minimum(1 - away, v + 0.1)
    if name == "crescent":
        return torch.minimum(1 - away, ((u - 0.5) ** 2 + v * v).sqrt() - 0.75)
    raise ValueError(f"no shape called {name!r}")
