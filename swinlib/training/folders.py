"""Pictures in folders: ``train/<class>/``, ``test/<class>/`` and perhaps ``val/<class>/``, which
serves as test where there is none; or ``<class>/`` alone, which is split here."""

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import torch

from swinlib.training.cifar import CLASSES as CIFAR10_CLASSES
from swinlib.training.lock import InUseError, locked
from swinlib.training.pictures import (
    DatasetError,
    read_picture,
    require_memory,
    shown,
    suffixes,
    usable_processors,
)
from swinlib.training.stream import PictureFiles, middle

CACHE = "cache"  # beside the classes, perhaps
SPLIT_SEED = 0  # the same split in every run, whatever the run's own seed
VAL = ("val", "valid", "validation")  # what people call that folder
TEST_SHARE = 0.2  # of each class, where a folder has no test pictures of its own
JUNK = ("thumbs.db", "desktop.ini")  # what Windows leaves in folders; names with a dot are skipped


def read_folder(folder, cache, config):
    """Reads ``folder/{train,val,test}/<class>/*``, from the cache when nothing changed.

    Returns {"train": (images, labels), "test": ...} with "val" where the folder has both that and
    test, the class names, and a label. Warns of what is no picture. Raises DatasetError that names
    the file or folder.
    """
    files, class_names = _list_folder(folder)
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = {s: torch.tensor([numbers[c] for c, _ in files[s]]) for s in files}
    paths = {s: [file for _, file in files[s]] for s in files}
    name = shown(folder.resolve().name)
    if config.stream:
        pictures = [
            PictureFiles(
                paths[s], config.image_size, read_picture, config.workers,
                config.crop_area, config.crop_stretch,
            )
            for s in files
        ]  # fmt: skip
    else:
        everything, size = sum(paths.values(), []), config.image_size
        width, height = (size, size) if size else read_picture(everything[0]).size
        require_memory(len(everything), height, width, "stream=True, which leaves them in files")
        # One file for a folder and a size, whatever happens in the folder.
        place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        cached = cache / f"{name}-{place}{f'-{size}' if size else ''}.safetensors"
        fingerprint = _fingerprint(folder, everything)
        images = _read_cache(cached, fingerprint)
        if images is None:
            images = _decode(everything, size)
            _write_cache(cached, images, fingerprint)
        pictures = images.split([len(paths[s]) for s in files])
    splits = {s: (images, labels[s]) for s, images in zip(files, pictures, strict=True)}
    label, tested = f"image folder {name}", paths["test"][0].parents[1].name
    if not (folder / "train").is_dir():
        label += f" ({TEST_SHARE:.0%} of each class set aside for the test, by seed {SPLIT_SEED})"
    elif tested in VAL:
        label += f" ({tested} serves as test)"
    if class_names == CIFAR10_CLASSES and pictures[0].shape[1:] == (3, 32, 32):
        kinds = {file.suffix.lower() for file in paths["test"]}
        label = "CIFAR-10, JPEG copy" if kinds <= {".jpg", ".jpeg"} else "CIFAR-10, image folder"
        counts = [len(some) for some in paths.values()]
        if counts != [50_000, 10_000]:
            label += f" (part of it: {' + '.join(f'{count:,}' for count in counts)} pictures)"
    return splits, class_names, label


# ------------------------------------------------------------------------------- what is there


def _list_folder(folder):
    """Files by split, {"train": [(class name, path), ...], "test": ...} and perhaps "val", and the
    class names."""
    remedy = (
        f"Wanted {folder}/train/<class>/*.png and {folder}/test/<class>/*.png (or .jpg, ...), or "
        f"{folder}/<class>/*.png alone."
    )
    files, classes, left_out = {}, {}, []
    places = {split: folder / split for split in ("train", "test")}
    val = [folder / name for name in VAL if (folder / name).is_dir()]
    if not val and not any(place.is_dir() for place in places.values()):
        found = _split_classes(folder, left_out, remedy)
        _warn_of(folder, left_out)
        return found
    if len(val) > 1:
        raise DatasetError(f"{val[0]} and {val[1]} are both there, wanted one of them. {remedy}")
    for place in val:
        places["val" if places["test"].is_dir() else "test"] = place
    for split, place in places.items():
        if not place.is_dir():
            raise DatasetError(f"{place} is missing. {remedy} Unpack the copy again.")
        folders = _list_classes(place, left_out)
        classes[split] = tuple(d.name for d in folders)
        if not folders:
            raise DatasetError(f"{place} has no class folders in it. {remedy}")
        files[split] = [(d.name, file) for d in folders for file in _list_files(d, left_out)]
    for here, there in [("train", s) for s in files] + [(s, "train") for s in files]:
        missing = sorted(set(classes[there]) - set(classes[here]))
        if missing:
            raise DatasetError(
                f"class {missing[0]!r} is in {places[there]} but {places[here] / missing[0]} "
                "is missing. Unpack the copy again, or remove the class from both."
            )
    _warn_of(folder, left_out)
    return files, classes["train"]


def _warn_of(folder, left_out):
    if left_out:
        warnings.warn(
            f"{shown(folder)}: left out {len(left_out):,} that are no pictures for Pillow, such as "
            f"{shown(left_out[0])}",
            stacklevel=5,
        )


def _split_classes(folder, left_out, remedy):
    """The same of a folder of classes: some of each are set aside for the test.

    Which ones hangs on their names and on SPLIT_SEED alone, so that a picture that comes in later
    moves none of the others from one side to the other, but for the last.
    """
    folders = [d for d in _list_classes(folder, left_out) if not _is_cache(d)]
    if len(folders) < 2:
        found = f"only the class {folders[0].name!r}" if folders else "no folders"
        raise DatasetError(f"{shown(folder)} has {found} in it, wanted two classes. {remedy}")
    files = {"train": [], "test": []}
    for d in folders:
        own = _list_files(d, left_out)
        if len(own) < 3:
            raise DatasetError(
                f"{shown(d)} holds {len(own)} pictures, wanted at least 3: to train, to validate "
                f"and to test. {remedy}"
            )
        count = max(1, round(TEST_SHARE * len(own)))
        aside = set(sorted(own, key=_lot)[:count])
        for file in own:
            files["test" if file in aside else "train"].append((d.name, file))
    return files, tuple(d.name for d in folders)


def _is_cache(folder):
    """Whether it is what `_write_cache` leaves, and no class of this name."""
    return folder.name == CACHE and all(".safetensors" in e.name for e in _entries(folder))


def _lot(file):
    name = f"{SPLIT_SEED} ".encode() + os.fsencode(f"{file.parent.name}/{file.name}")
    return hashlib.sha256(name).digest()


def _entries(folder):
    """What is in a folder, sorted by name, hidden files and Windows' own left out."""
    with os.scandir(folder) as entries:
        return sorted(
            (e for e in entries if not e.name.startswith(".") and e.name.lower() not in JUNK),
            key=lambda entry: entry.name,
        )


def _is(entry, kind):
    try:
        return getattr(entry, kind)()
    except OSError:  # a link to itself
        return False


def _list_classes(folder, left_out):
    found = []
    for entry in _entries(folder):
        if _is(entry, "is_dir"):
            if shown(entry.name) != entry.name:
                raise DatasetError(f"{shown(entry.path)} names a class, wanted a name in UTF-8")
            found.append(folder / entry.name)
        elif entry.is_symlink() and not _is(entry, "is_file"):
            raise DatasetError(f"{shown(entry.path)} is a link that leads nowhere. Remove it.")
        else:
            left_out.append(entry.path)
    return found


def _list_files(folder, left_out):
    found, endings = [], suffixes()
    for entry in _entries(folder):
        if os.path.splitext(entry.name)[1].lower() not in endings:
            left_out.append(entry.path)
        elif _is(entry, "is_file"):
            found.append(folder / entry.name)
        else:
            why = "a link that leads nowhere" if entry.is_symlink() else "no file"
            raise DatasetError(f"{shown(entry.path)} is {why}. Unpack it again or remove it.")
    if not found:
        raise DatasetError(f"{folder} holds no picture that Pillow reads. Fill it or remove it.")
    return found


def _fingerprint(folder, files):
    """64 hex digits that change when a picture is added, removed, renamed or rewritten."""
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(os.fsencode(file.relative_to(folder)))
        digest.update(f" {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


# ------------------------------------------------------------------------------- into memory


def _decode(files, size=None):
    """All pictures in one (N, 3, H, W) uint8 tensor. Decoding releases Python's lock: threads."""
    import numpy as np

    def read(file):
        picture = read_picture(file)
        if size is not None:
            picture = middle(picture, size, size)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)

    first = read(files[0])
    images = first.new_empty(len(files), *first.shape)

    def place(number):
        picture = read(files[number])
        if picture.shape != first.shape:
            (h, w), (h0, w0) = picture.shape[1:], first.shape[1:]
            raise DatasetError(
                f"{shown(files[number])} is {h}x{w} pixels and {shown(files[0])} is {h0}x{w0}: all "
                "pictures must have one size. Use config.replace(image_size=...), which resizes "
                "them."
            )
        images[number] = picture

    with ThreadPoolExecutor(min(8, usable_processors())) as pool:
        for _ in pool.map(place, range(len(files))):  # the first error in the order of the files
            pass
    return images


def _digest(images):
    return hashlib.sha256(images.numpy()).hexdigest()


def _read_cache(path, fingerprint):
    """The pictures, or None where they are not there yet, of another time, or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("fingerprint") != fingerprint:
                return None
            images = file.get_tensor("images")
    except (OSError, SafetensorError):
        return None
    return images if about.get("sha256") == _digest(images) else None


def _write_cache(path, images, fingerprint):
    """Written beside its place and then renamed, so that no reader ever sees half a file."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    # Where another process is at it, on a full or a read-only disk: no cache, and no harm.
    with suppress(OSError, SafetensorError, InUseError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            try:
                about = {"fingerprint": fingerprint, "sha256": _digest(images)}
                save_file({"images": images}, part, about)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
