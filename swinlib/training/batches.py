"""From an order of pictures to the batches that the model sees."""

import torch

from swinlib.training.augment import (
    mix,
    normalise,
    rand_augment,
    random_crop,
    random_erasing,
    random_flip,
)


def training_batches(order, epoch, config, data, device, generator, ranks):
    """Yields the batches of an epoch, augmented, normalised, on the device.

    order: whole batches of picture numbers, (steps, config.batch_size) int64.
    epoch: from 1. generator: draws the augmentation. ranks: see distributed.py.

    Yields x (B, C, H, W) float32 and y, (B,) int64 or shares of the classes (B, classes) float32,
    with B the share of this process in config.batch_size.

    Pictures in memory: every process augments the whole batch and then takes its share, so that N
    processes see what one would see. Pictures from files: every process reads only its share.
    """
    images, labels = data.train_images, data.train_labels
    if not isinstance(images, torch.Tensor):
        yield from _batches_from_files(order, epoch, config, data, device, generator, ranks)
        return
    images, labels = images.to(device), labels.to(device)  # nothing to do where they are there
    for chosen in order:
        chosen = chosen.to(device)
        x, y = augmented(images[chosen], labels[chosen], config, data, generator)
        yield ranks.share(x), ranks.share(y)


def _batches_from_files(order, epoch, config, data, device, generator, ranks):
    shares = [ranks.share(chosen) for chosen in order]
    pictures = data.train_images.batches(shares, seed=(config.seed, epoch))
    for chosen, x in zip(shares, pictures, strict=True):
        seed = torch.randint(2**31, (1,), generator=generator).item()  # the same on all processes
        own = torch.Generator().manual_seed(seed + ranks.rank)
        yield augmented(
            x.to(device, non_blocking=True), data.train_labels[chosen].to(device), config, data, own
        )


def augmented(images, labels, config, data, generator):
    """A batch as the model sees it in training.

    images: (B, C, H, W) uint8. labels: (B,) int64. Returns x and y as `training_batches`.
    """
    grey = [round(255 * mean) for mean in data.mean]
    x = rand_augment(
        images, config.randaugment_ops, config.randaugment_magnitude, generator,
        config.randaugment_group, grey,
    )  # fmt: skip
    x = random_crop(x, config.crop_padding, generator, config.crop_fill)
    x = random_flip(x, config.flip_probability, generator)
    x = normalise(x, data.mean, data.std)
    x = random_erasing(x, config.erasing_probability, generator)
    return mix(
        x, labels, data.num_classes, generator,
        mixup=config.mixup_alpha, cutmix=config.cutmix_alpha, probability=config.mix_probability,
    )  # fmt: skip
