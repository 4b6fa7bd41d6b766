"""The official CIFAR-10, by Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny
Images" (2009): downloaded when missing, checked by md5, read by torchvision."""

import os
import threading
import time
import urllib.request
from contextlib import suppress

import torch
from tqdm import tqdm

from swinlib.published import find_certificates
from swinlib.training.pictures import DatasetError, require_memory

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SILENCE = 20.0  # seconds without a byte after which a download is given up
SLOWEST, PATIENCE = 10_000, 60.0  # bytes per second that are too few, once so many seconds passed


def online(seconds=4.0):
    """Whether CIFAR-10's server answers within some seconds. In a thread, because looking up a
    name on a machine without network may hang for longer than any time limit of a socket."""
    answered = threading.Event()

    def ask():
        with suppress(Exception):  # no network, no name, a proxy that refuses: all mean "no"
            from torchvision.datasets import CIFAR10

            find_certificates()
            request = urllib.request.Request(CIFAR10.url, method="HEAD")
            urllib.request.urlopen(request, timeout=seconds).close()
            answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def official(root, download, size=None):
    """{"train": (images, labels), "test": ...}, the class names, and the label "CIFAR-10".

    size: pixels per side to which the pictures are resized (bicubic); None: 32, as they are.

    Raises DatasetError where the files are missing (and download is False, or fails) or damaged.
    """
    from torchvision.datasets import CIFAR10

    try:
        try:
            train = CIFAR10(root, train=True)
        except RuntimeError:  # not there, or not whole
            if not download:
                raise
            _download(CIFAR10.url, root / CIFAR10.filename, CIFAR10.tgz_md5)
            train = CIFAR10(root, train=True, download=True)  # finds the archive and unpacks it
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
    splits = {
        name: (_as_tensor(d.data, size), torch.tensor(d.targets))
        for name, d in (("train", train), ("test", test))
    }
    return splits, tuple(train.classes), "CIFAR-10"


def _as_tensor(pictures, size):
    """(N, 32, 32, 3) of NumPy to (N, 3, size, size) of PyTorch, both uint8."""
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
    if size in (None, images.shape[-1]):
        return images
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    require_memory(len(images), size, size)
    larger = images.new_empty(len(images), 3, size, size)
    for old, new in zip(images.split(1000), larger.split(1000), strict=True):
        new.copy_(functional.resize(old, [size, size], InterpolationMode.BICUBIC))
    return larger


def _download(url, path, md5):
    """Fetches a file unless it is there. torchvision's own download waits for ever.

    Raises TimeoutError where the server falls silent or is hopelessly slow.
    """
    from torchvision.datasets.utils import check_integrity

    if check_integrity(str(path), md5):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    find_certificates()
    part, begun, done = path.with_name(path.name + ".part"), time.monotonic(), 0
    try:
        with urllib.request.urlopen(url, timeout=SILENCE) as answer, open(part, "wb") as file:
            size = int(answer.headers.get("Content-Length") or 0) or None
            with tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=None) as bar:
                while block := answer.read1(2**16):
                    done += file.write(block)
                    bar.update(len(block))
                    seconds = time.monotonic() - begun
                    if seconds > PATIENCE and done < SLOWEST * seconds:
                        raise TimeoutError(f"{done:,} bytes in {seconds:.0f} seconds")
        if not check_integrity(str(part), md5):
            raise OSError(f"{url} sent {done:,} bytes with a wrong checksum")
        os.replace(part, path)
    except TimeoutError as error:
        raise TimeoutError(f"the download of {url} came to a standstill: {error}") from error
    finally:
        part.unlink(missing_ok=True)


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
