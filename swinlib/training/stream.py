"""Pictures that stay in their files: for folders too big for memory, such as ImageNet.

In memory a picture is decoded once; here in every epoch, by worker processes that read ahead while
the device computes. As is usual for pictures of any size, training sees a random part of each one,
resized (Szegedy et al. 2015, section 6), and validation and test see the middle.
"""

import hashlib
import os
import warnings
import zlib

import torch
from torch.utils.data import DataLoader, Dataset

from swinlib.training.pictures import DatasetError, usable_processors

MIDDLE = 7 / 8  # share of the shorter side that validation and test see, as 224 of 256 pixels
MOST_WORKERS = 16
FEW = 500  # pictures are read sooner than processes that read them have started
# Where processes are not forked (Windows, Macs, Linux from Python 3.14), each first imports torch.
FEW_SPAWNED = 5_000
SIGNS_OF_DEATH = ("killed by signal", "exited unexpectedly", "shared memory")  # in PyTorch's words


class PictureFiles:
    """Picture files that can be used like a tensor (N, 3, size, size) of uint8, as far as needed.

    files: paths. size: pixels per side of the pictures that come out.
    read: a function from a path to a PIL picture in RGB; raises DatasetError for a bad file.
    workers: processes that read; 0: none but this one; None: one for each usable processor, shared
        with the other training processes of this machine, at most MOST_WORKERS; none for a few.
    area, stretch: of the random parts, see `random_part`.
    """

    def __init__(self, files, size, read, workers=None, area=0.08, stretch=4 / 3):
        self.files, self.size, self.read, self.workers = files, size, read, workers
        self.area, self.stretch = area, stretch

    def __len__(self):
        return len(self.files)

    @property
    def shape(self):
        return torch.Size((len(self.files), 3, self.size, self.size))

    def __getitem__(self, numbers):
        """Some of the files, still unread: numbers is an int64 tensor."""
        return self.with_files([self.files[i] for i in numbers.tolist()])

    def with_files(self, files):
        return PictureFiles(files, self.size, self.read, self.workers, self.area, self.stretch)

    def split(self, batch_size):
        """Yields all pictures in order, their middles: (batch_size, 3, size, size) uint8."""
        numbers = torch.arange(len(self)).split(batch_size)
        return self._load([[(i, None) for i in some.tolist()] for some in numbers])

    def batches(self, chosen, seed):
        """Yields a batch for each tensor of picture numbers in `chosen`, random parts of them.

        seed: (seed of the run, epoch). Which part is seen depends on these and on the picture's
        number alone, so neither workers nor other processes nor a resumption change it.
        """
        return self._load([[(i, _mixed(*seed, i)) for i in some.tolist()] for some in chosen])

    def signatures(self):
        """(N,) int64: a file's number changes when it is renamed or gets another length."""
        numbers = []
        for file in self.files:
            name = os.fsencode("/".join(file.parts[-3:]))
            digest = hashlib.sha256(name + f" {file.stat().st_size}".encode())
            numbers.append(int.from_bytes(digest.digest()[:8], "little", signed=True))
        return torch.tensor(numbers)

    def _load(self, batches):
        import torchvision.transforms.v2  # noqa: F401  here, so that workers find it loaded

        workers = self.workers
        if workers is None and sum(map(len, batches)) <= (FEW if _forks() else FEW_SPAWNED):
            workers = 0
        if workers is None:
            workers = max(1, min(usable_processors() // _local_processes(), MOST_WORKERS))
        largest = max(map(len, batches), default=0) * 3 * self.size**2  # bytes
        workers = _fit_shared_memory(min(workers, len(batches)), largest)
        loader = DataLoader(
            _Reader(self),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_stack,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it takes one of the numbers meant for drop path
        )
        try:
            for batch in loader:
                if isinstance(batch, DatasetError):
                    raise batch
                yield batch
        except RuntimeError as error:
            if not any(sign in str(error) for sign in SIGNS_OF_DEATH):
                raise
            raise DatasetError(
                f"the processes that read pictures ended ({str(error).splitlines()[0]}). They hand "
                "pictures over in shared memory, of which a container often has little: start it "
                "with more (docker run --shm-size=8g), or use config.replace(workers=0), which "
                "needs none."
            ) from error


def _forks():
    """Whether a new process begins with what this one has loaded. Asking must not settle it."""
    ways = torch.multiprocessing
    return (ways.get_start_method(allow_none=True) or ways.get_all_start_methods()[0]) == "fork"


def _local_processes():
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # set by torchrun


def _fit_shared_memory(workers, batch_bytes):
    """As many of the workers as can hand over their batches: each has two of them under way.

    Without this check the workers would be killed or, worse, wait for ever.
    """
    free = _free_shared_memory() / _local_processes()
    fitting = max(
        0, int(min(free / max(1, batch_bytes), 1e6) - 2) // 2
    )  # two are with the training
    if workers <= fitting:
        return workers
    warnings.warn(
        f"{free / 2**20:,.0f} MiB of shared memory are enough for {fitting} of {workers} processes "
        "that read pictures: a container gets more with docker run --shm-size=8g",
        stacklevel=2,
    )
    return fitting


def _free_shared_memory():
    """Bytes; without end where shared memory is no folder of a size of its own."""
    try:
        told = os.statvfs("/dev/shm")
    except (OSError, AttributeError):
        return float("inf")
    return told.f_bavail * told.f_frsize


def _stack(pictures):
    """A batch, or what is wrong with one of its pictures: raised in a worker, it would come here
    with the worker's traceback in its words."""
    wrong = [picture for picture in pictures if isinstance(picture, DatasetError)]
    return wrong[0] if wrong else torch.stack(pictures)


def _mixed(*numbers):
    """One seed made of several numbers. 32 bits: more PyTorch's generator on the CPU ignores."""
    return zlib.crc32(" ".join(map(str, numbers)).encode())


class _Reader(Dataset):
    """What a worker process does: (number of the picture, seed or None) to (3, size, size)."""

    def __init__(self, pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, wanted):
        number, seed = wanted
        try:
            picture = self.pictures.read(self.pictures.files[number])
        except DatasetError as error:
            return error
        size = self.pictures.size
        if seed is None:
            picture = middle(picture, size, round(size / MIDDLE))
        else:
            picture = random_part(picture, size, seed, self.pictures.area, self.pictures.stretch)
        from torchvision.transforms.v2 import functional

        return functional.pil_to_tensor(picture)


def middle(picture, size, shorter):
    """The middle, (size, size), of a PIL picture whose shorter side is resized to `shorter`."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    picture = functional.resize(picture, shorter, InterpolationMode.BICUBIC)
    return functional.center_crop(picture, size)


def random_part(picture, size, seed, area=0.08, stretch=4 / 3):
    """A part of a PIL picture, from a share `area` of it to all, resized to (size, size).

    The part is up to `stretch` times as long as wide, or as wide as long; 1 keeps proportions.
    """
    from torchvision.transforms import InterpolationMode, v2

    with torch.random.fork_rng(devices=[]):  # torchvision draws from PyTorch's global numbers
        torch.default_generator.manual_seed(seed)
        return v2.RandomResizedCrop(
            size, (area, 1.0), (1 / stretch, stretch), InterpolationMode.BICUBIC
        )(picture)
