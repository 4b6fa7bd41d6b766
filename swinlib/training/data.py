"""Pictures for training, in memory, split into training, validation and test.

Whatever the source, the result is an :class:`ImageSet` of uint8 tensors (CIFAR-10 is 184 MB). Only
folders too big for memory, such as ImageNet, stay on the disk: see stream.py. The sources are
cifar.py, folders.py and shapes.py.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from swinlib.training.cifar import CLASSES as CIFAR10_CLASSES
from swinlib.training.cifar import official, online
from swinlib.training.config import TrainConfig
from swinlib.training.folders import CACHE, SPLIT_SEED, read_folder
from swinlib.training.pictures import DatasetError, require_memory, shown
from swinlib.training.shapes import SHAPE_CLASSES, draw_shapes

__all__ = [
    "CIFAR10_CLASSES", "SHAPE_CLASSES", "DatasetError", "ImageSet", "balanced_order",
    "draw_shapes", "load_dataset",
]  # fmt: skip


@dataclass(frozen=True, repr=False)
class ImageSet:
    """Pictures and labels in memory.

    Images are uint8 of (N, C, H, W), or PictureFiles with ``stream`` (see stream.py); labels are
    int64 of (N,), counting classes from 0. ``label`` says where the pictures come from and belongs
    beside every accuracy. ``mean`` and ``std`` are per channel, of the training pictures scaled to
    0..1 or as the configuration has them. ``announcement`` is empty for real pictures; else a
    paragraph to show the reader.
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

    Args:
        root: folder of downloads, image folders and the cache.
        name: "cifar10" (the official files, checked by md5, downloaded into root when missing),
            "imagefolder" (``root/cifar10/{train,test}/<class>/*.png`` or ``.jpg``, or whatever else
            Pillow reads; where there is no such folder, the same in ``root`` itself), the path of
            any folder with train and test in it, "shapes" (generated, no files), or "auto": the
            official files if they are in root, else the image folder ``root/cifar10``, else a
            download, else shapes. An image folder's val (or valid, validation) validates where
            there is a test beside it, and serves as test where there is none, as in ImageNet; of
            classes alone a part of each is set aside for the test. None takes
            ``config.dataset``; where that is "auto", the environment variable SWINLIB_DATASET if it
            is set.
        download: False never touches the network.
        config: a TrainConfig for ``val_size``, ``train_limit``, ``test_limit``, ``image_size``
            (pictures in folders are resized so that the shorter side fits, then cut to the middle;
            CIFAR-10 is resized; shapes are drawn at that size), ``stream`` and ``workers``.

    Where a folder does not bring them, the validation pictures are taken out of the training set,
    the same share of each class, and do not depend on the run's seed. Raises DatasetError for
    unusable files, ValueError for an unknown name. Shapes set ``announcement``: print it.
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
            source, announcement = _shapes(config.image_size), _announce(root, why)
    elif name == "cifar10":
        source = official(root, download, config.image_size)
    elif name == "imagefolder":
        if not root.is_dir():
            raise DatasetError(
                f"{shown(root)} is no folder, wanted one with train/<class>/ and test/<class>/, or "
                "<class>/ alone, in it"
            )
        inside = root / "cifar10"
        source = read_folder(inside if inside.is_dir() else root, root / CACHE, config)
    elif name == "shapes":
        source = _shapes(config.image_size)
        announcement = _announce(root, "Shapes were asked for.")
    elif Path(name).expanduser().is_dir():
        source = read_folder(Path(name).expanduser(), root / CACHE, config)
    else:
        raise ValueError(
            f"dataset {str(name)!r}: wanted 'auto', 'cifar10', 'imagefolder', 'shapes' or the path "
            "of a folder that exists"
        )
    if config.stream and isinstance(source[0]["train"][0], torch.Tensor):
        raise DatasetError(f"{source[-1]}: stream=True is for folders of pictures, wanted False")
    return _split(*source, announcement, config)


def _shapes(size):
    count, size = {"train": 15_000, "test": 2_000}, size or 32
    require_memory(sum(count.values()), size, size)
    train, test = draw_shapes(count["train"], 1, size), draw_shapes(count["test"], 2, size)
    return {"train": train, "test": test}, SHAPE_CLASSES, "generated shapes (not CIFAR-10)"


def _split(splits, class_names, label, announcement, config):
    images, labels = splits["train"]
    order, count = balanced_order(labels, SPLIT_SEED, shares=True), 0
    if "val" not in splits:
        count = config.val_size if config.val_size >= 1 else round(config.val_size * len(labels))
        if not 0 < count < len(labels):
            left = "nothing to validate on" if count == 0 else "none of them to train on"
            raise DatasetError(
                f"{label}: val_size={config.val_size} of {len(labels)} training pictures leaves "
                f"{left}; use config.replace(val_size=...)"
            )
    missing = set(range(len(class_names))) - set(labels[order[count:]].tolist())
    if missing:
        raise DatasetError(
            f"{label}: val_size={config.val_size} of {len(labels)} training pictures leaves none "
            f"of class {class_names[min(missing)]!r} to train on; use config.replace(val_size=...)"
        )
    val, rest = order[:count], order[count:][: config.train_limit]
    val_images, val_labels = splits.get("val") or (images[val], labels[val])
    test_images, test_labels = splits["test"]
    if config.test_limit is not None:
        some = balanced_order(test_labels, SPLIT_SEED)[: config.test_limit]
        test_images, test_labels = test_images[some], test_labels[some]
    train_images = images[rest]
    mean, std = (config.mean, config.std) if config.mean else _mean_and_std(train_images)
    return ImageSet(
        train_images, labels[rest], val_images, val_labels, test_images, test_labels,
        tuple(class_names), label, mean, std, announcement,
    )  # fmt: skip


def balanced_order(labels, seed, shares=False):
    """A shuffled order in which any beginning holds every class equally often (give or take one),
    or, with `shares`, the same share of every class. Where all are equally large, it is one order.

    labels: (N,) int64. Returns (N,) int64, a permutation: first one picture of each class, then a
    second one of each, and so on. A class that runs out is left out of the later rounds; with
    `shares` none runs out before the others.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    shuffled = labels[order]
    turn = torch.empty(len(labels), dtype=torch.float64)
    for c in shuffled.unique():
        members = shuffled == c
        count = int(members.sum())
        place = torch.arange(count).double()  # 0 for a class's first picture, then 1, ...
        turn[members] = (place + 0.5) / count if shares else place
    return order[torch.argsort(turn, stable=True)]


def _mean_and_std(images):
    if not isinstance(images, torch.Tensor):  # of files, some spread over all classes will do
        some = torch.linspace(0, len(images) - 1, min(1000, len(images))).long()
        images = torch.cat(list(images[some].split(100)))
    # From how often each brightness occurs: exact, and without a copy in floating point.
    counts = sum(
        torch.stack([part[:, c].flatten().bincount(minlength=256) for c in range(images.shape[1])])
        for part in images.split(1000)
    )
    share = counts.double() / counts.sum(1, keepdim=True)
    brightness = torch.arange(256).double() / 255
    mean = share @ brightness
    std = ((share * (brightness - mean[:, None]) ** 2).sum(1)).sqrt()
    return tuple(mean.tolist()), tuple(std.clamp(min=1e-6).tolist())


# ------------------------------------------------------------------------- choosing a source


def _find(root, download, config):
    """The best real source, or None and the reason why there is none."""
    why = "Downloading was switched off."
    if (root / "cifar-10-batches-py").is_dir():
        try:
            return official(root, False, config.image_size), ""
        except DatasetError as error:
            why = str(error)
    if (root / "cifar10").is_dir():
        return read_folder(root / "cifar10", root / CACHE, config), ""
    if download:
        if not online():
            why = "CIFAR-10's server cannot be reached from here."
        else:
            try:
                return official(root, True, config.image_size), ""
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
