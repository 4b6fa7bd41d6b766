"""Pictures that stay in their files: for folders too big for memory, such as ImageNet.

In memory a picture is decoded once; here in every epoch, by worker processes that read ahead while
the device computes. As is usual for pictures of any size, training sees a random part of each one,
resized (Szegedy et al. 2015, section 6), and validation and test see the middle.
"""

import hashlib
import os
import zlib

import torch
from torch.utils.data import DataLoader, Dataset

MIDDLE = 7 / 8  # share of the shorter side that validation and test see, as 224 of 256 pixels
MOST_WORKERS = 16


class PictureFiles:
    """Picture files that can be used like a tensor (N, 3, size, size) of uint8, as far as needed.

    files: paths. size: pixels per side of the pictures that come out.
    read: a function from a path to a PIL picture in RGB; it says what is wrong with a bad file.
    """

    def __init__(self, files, size, read):
        self.files, self.size, self.read = files, size, read

    def __len__(self):
        return len(self.files)

    @property
    def shape(self):
        return torch.Size((len(self.files), 3, self.size, self.size))

    def __getitem__(self, numbers):
        """Some of the files, still unread: numbers is an int64 tensor."""
        return PictureFiles([self.files[i] for i in numbers.tolist()], self.size, self.read)

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

    def fingerprint(self):
        """Bytes that change when a file is added, removed, renamed or gets another length."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{'/'.join(file.parts[-3:])} {file.stat().st_size}\n".encode())
        return digest.digest()

    def _load(self, batches):
        import torchvision.transforms.v2  # noqa: F401  here, so that workers find it loaded

        processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # under torchrun
        workers = max(1, min((os.cpu_count() or 1) // processes, MOST_WORKERS, len(batches)))
        yield from DataLoader(
            _Reader(self),
            batch_sampler=batches,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it takes one of the numbers meant for drop path
        )


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
        picture = self.pictures.read(self.pictures.files[number])
        size = self.pictures.size
        if seed is None:
            picture = middle(picture, size, round(size / MIDDLE))
        else:
            picture = random_part(picture, size, seed)
        from torchvision.transforms.v2 import functional

        return functional.pil_to_tensor(picture)


def middle(picture, size, shorter):
    """The middle, (size, size), of a PIL picture whose shorter side is resized to `shorter`."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    picture = functional.resize(picture, shorter, InterpolationMode.BICUBIC)
    return functional.center_crop(picture, size)


def random_part(picture, size, seed):
    """A part of a PIL picture, 8 to 100 per cent of its area, resized to (size, size)."""
    from torchvision.transforms import InterpolationMode, v2

    with torch.random.fork_rng(devices=[]):  # torchvision draws from PyTorch's global numbers
        torch.default_generator.manual_seed(seed)
        return v2.RandomResizedCrop(size, interpolation=InterpolationMode.BICUBIC)(picture)
