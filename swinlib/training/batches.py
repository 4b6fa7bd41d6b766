"""From an order of pictures to the batches that the model sees."""

import dataclasses
from functools import cache

import torch

from swinlib.training.augment import augment, mix
from swinlib.training.distributed import ALONE


def on_device(data, device):
    """The ImageSet with its training pictures on the device, unless they stay in their files."""
    if not isinstance(data.train_images, torch.Tensor):
        return data
    return dataclasses.replace(
        data,
        train_images=data.train_images.to(device),
        train_labels=data.train_labels.to(device),
    )


def training_batches(order, epoch, config, data, device, generator, ranks):
    """Yields the batches of an epoch, augmented, normalised, on the device.

    order: whole batches of picture numbers, (steps, config.batch_size) int64.
    epoch: from 1. data: see `on_device`. generator: draws the augmentation. ranks: see
        distributed.py.

    Yields x (B, C, H, W) float32 and y, (B,) int64 or shares of the classes (B, classes) float32,
    with B the share of this process in config.batch_size.

    Pictures in memory: every process augments the whole batch and then takes its share, so that N
    processes see what one would see. Pictures from files: every process reads only its share, and
    draws for the whole batch; only mixup and cutmix find other partners, those of the share.
    """
    in_memory = isinstance(data.train_images, torch.Tensor)
    source = _batches_from_memory if in_memory else _batches_from_files
    return _prefetch(source(order, epoch, config, data, device, generator, ranks), device)


def _batches_from_memory(order, epoch, config, data, device, generator, ranks):
    for chosen in order:
        chosen = chosen.to(device)
        x, y = data.train_images[chosen], data.train_labels[chosen]
        x, y = augmented(x, y, config, data, generator)
        yield ranks.shard(x), ranks.shard(y)


def _batches_from_files(order, epoch, config, data, device, generator, ranks):
    shares = [ranks.shard(chosen) for chosen in order]
    pictures = data.train_images.batches(shares, seed=(config.seed, epoch))
    for chosen, x in zip(shares, pictures, strict=True):
        seed = torch.randint(2**31, (1,), generator=generator).item()  # the same on all processes
        drawing = torch.Generator().manual_seed(seed)
        x, y = x.to(device, non_blocking=True), data.train_labels[chosen].to(device)
        yield augmented(x, y, config, data, drawing, ranks)


def _prefetch(batches, device):
    """On a GPU, prepares each batch on a stream of its own, beside the step under way.

    Some of torchvision's numbers make the processor wait for all that is queued on their stream. On
    the model's stream that would be the whole step; on this one it is next to nothing.
    """
    if device.type != "cuda":
        yield from batches
        return
    steps, side = torch.cuda.current_stream(device), _side_stream(device)
    side.wait_stream(steps)
    batches = iter(batches)
    while True:
        with torch.cuda.stream(side):
            batch = next(batches, None)
        if batch is None:
            return
        steps.wait_stream(side)
        for tensor in batch:
            tensor.record_stream(steps)  # else its memory might be used again too soon
        yield batch


@cache
def _side_stream(device):
    """One for all epochs: libraries keep workspaces for every stream that they have seen."""
    return torch.cuda.Stream(device)


def augmented(images, labels, config, data, generator, ranks=ALONE):
    """A batch as the model sees it in training.

    images: (B, C, H, W) uint8. labels: (B,) int64. ranks: of whose batch these are a share. Returns
    x and y as `training_batches`.
    """
    x = augment(images, config, data.mean, data.std, generator, ranks)
    return mix(
        x, labels, data.num_classes, generator,
        mixup=config.mixup_alpha, cutmix=config.cutmix_alpha, probability=config.mix_probability,
    )  # fmt: skip
