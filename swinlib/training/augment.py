"""Augmentation for a whole batch at once, on whatever device the batch lies.

No picture is touched one by one: a crop, for instance, is a table of row and column numbers per
picture and one indexing operation for the batch. All randomness comes from a ``torch.Generator``
that the caller passes, so a run can be repeated exactly. The generator may live on the CPU while
the pictures are on a GPU: only a few numbers per picture travel.

RandAugment, mixup and cutmix are torchvision's; the rest is here because torchvision draws only
once for a whole batch.
"""

import math
from contextlib import contextmanager

import torch


def rand_augment(images, operations, magnitude, generator, group=64, fill=(128, 128, 128)):
    """RandAugment: a few operations such as a shear, more contrast or fewer grey levels.

    torchvision draws its operations once per call, so the batch is cut into groups, each with its
    own draw. Small groups are more varied and take longer. Pictures come shuffled: which of them
    share a draw changes from epoch to epoch.

    images: (B, 3, H, W) uint8.
    operations: how many, one after the other; 0 returns the pictures as they are.
    magnitude: strength, 0 to 30.
    generator: torch.Generator that draws one whole number.
    group: pictures per draw, at least 1.
    fill: one number from 0 to 255 per channel, for places that come in from outside a picture.

    Returns (B, 3, H, W) uint8, same device. Raises ValueError for pictures that are not uint8.

    Source: Cubuk et al. 2020, "RandAugment"; torchvision's ``v2.RandAugment``.
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}, wanted torch.uint8 from 0 to 255")
    if operations == 0:
        return images
    from torchvision.transforms import v2  # here: `import swinlib.training` stays light

    transform = v2.RandAugment(operations, magnitude, fill=list(fill))
    with _drawing_from(generator):
        return torch.cat([transform(some) for some in images.split(group)])


def random_crop(images, padding, generator, fill="reflect"):
    """Moves each picture by up to ``padding`` pixels in both directions, at random.

    The same as padding by ``padding`` pixels on every side and cutting out a piece of the old size.

    images: (B, C, H, W), any dtype.
    padding: pixels; 0 returns the pictures as they are. Below H and W when fill is "reflect".
    generator: torch.Generator that draws 2 B whole numbers.
    fill: what comes in at the edges: "reflect" (a mirror, edge not repeated) or "zero".

    Returns (B, C, H, W), same dtype and device. Raises ValueError on bad padding or fill.
    """
    B, _, H, W = images.shape
    if fill not in ("reflect", "zero"):
        raise ValueError(f"fill={fill!r}, wanted 'reflect' or 'zero'")
    if padding < 0 or (fill == "reflect" and padding >= min(H, W)):
        raise ValueError(f"padding={padding}, wanted 0 to {min(H, W) - 1} for {H}x{W} pictures")
    if padding == 0:
        return images
    moves = torch.randint(
        -padding, padding + 1, (2, B, 1), generator=generator, device=generator.device
    ).to(images.device)
    rows = torch.arange(H, device=images.device) + moves[0]  # (B, H), from -padding to H-1+padding
    columns = torch.arange(W, device=images.device) + moves[1]  # (B, W)
    inside = (_inside(rows, H)[:, :, None] & _inside(columns, W)[:, None, :])[:, None]
    cropped = _pick(images, _reflect(rows, H), _reflect(columns, W))
    return cropped if fill == "reflect" else cropped * inside


def random_flip(images, probability, generator):
    """Mirrors each picture left to right with the given probability.

    images: (B, C, H, W). generator: torch.Generator that draws B numbers.
    Returns (B, C, H, W), same dtype and device.
    """
    draws = torch.rand(len(images), 1, generator=generator, device=generator.device)
    flipped = (draws < probability).to(images.device)[:, :, None, None]  # (B, 1, 1, 1)
    return torch.where(flipped, images.flip(-1), images)


def normalise(images, mean, std):
    """Bytes to numbers around 0: ``(images / 255 - mean) / std``, channel by channel.

    images: (B, C, H, W) uint8. mean, std: C numbers each, for pictures that go from 0 to 1.
    Returns (B, C, H, W) float32.
    """
    mean = torch.tensor(mean, device=images.device).view(-1, 1, 1)
    std = torch.tensor(std, device=images.device).view(-1, 1, 1)
    return (images.float() / 255 - mean) / std


def random_erasing(images, probability, generator):
    """Wipes out a rectangle in some of the pictures: sets it to 0, the mean after `normalise`.

    The rectangle covers 2 to 33 per cent of the picture's area and is up to 3.3 times as long as
    wide, or as wide as long; one that would be longer than the picture is cut to its size.

    images: (B, C, H, W), normalised.
    probability: chance of each picture, 0 to 1; 0 returns the pictures as they are.
    generator: torch.Generator that draws 5 B numbers.

    Returns (B, C, H, W), same dtype and device.

    Source: Zhong et al. 2020, "Random Erasing Data Augmentation"; sizes as in their table 1.
    """
    if probability == 0:
        return images
    B, _, H, W = images.shape
    draws = torch.rand(5, B, 1, generator=generator, device=generator.device).to(images.device)
    area = H * W * (0.02 + (0.33 - 0.02) * draws[0])  # pixels
    shape = torch.exp(math.log(3.3) * (2 * draws[1] - 1))  # height over width, 1/3.3 to 3.3
    height = (area * shape).sqrt().round().clamp(1, H)
    width = (area / shape).sqrt().round().clamp(1, W)
    top = (draws[2] * (H - height + 1)).floor()
    left = (draws[3] * (W - width + 1)).floor()
    rows = torch.arange(H, device=images.device)
    columns = torch.arange(W, device=images.device)
    in_rows = (rows >= top) & (rows < top + height)  # (B, H)
    in_columns = (columns >= left) & (columns < left + width)  # (B, W)
    chosen = draws[4] < probability  # (B, 1)
    erased = (in_rows & chosen)[:, :, None] & in_columns[:, None, :]
    return images.masked_fill(erased[:, None], 0)


def mix(images, labels, num_classes, generator, *, mixup=0.0, cutmix=0.0, probability=1.0):
    """Mixes each picture of a batch with its neighbour, and their labels in the same proportion.

    Mixup takes a weighted mean of two pictures, cutmix puts a rectangle of one into the other. The
    weight is drawn once per batch. If both are on, each batch gets one of them, at even chances.

    images: (B, C, H, W) float. labels: (B,) int64.
    generator: torch.Generator that draws two numbers.
    mixup, cutmix: alpha of the Beta(alpha, alpha) distribution of the weight; 0 is off.
    probability: chance that the batch is mixed at all.

    Returns images and labels. Labels stay (B,) int64 if both are off, else they are shares of the
    classes, (B, num_classes) float32, whose rows sum to 1, in unmixed batches too.

    Source: Zhang et al. 2018, "mixup"; Yun et al. 2019, "CutMix"; torchvision's ``v2.MixUp`` and
    ``v2.CutMix``.
    """
    if not mixup and not cutmix:
        return images, labels
    from torchvision.transforms import v2

    choices = [v2.MixUp(alpha=mixup, num_classes=num_classes)] if mixup else []
    choices += [v2.CutMix(alpha=cutmix, num_classes=num_classes)] if cutmix else []
    if torch.rand(1, generator=generator, device=generator.device).item() >= probability:
        return images, torch.nn.functional.one_hot(labels, num_classes).float()
    with _drawing_from(generator):
        return v2.RandomChoice(choices)(images, labels)


@contextmanager
def _drawing_from(generator):
    """Lets torchvision's transforms, which know only PyTorch's global random numbers, draw from a
    seed that the generator gives; the global ones are put back as if nothing had happened."""
    seed = torch.randint(2**31, (1,), generator=generator, device=generator.device).item()
    with torch.random.fork_rng(devices=[]):  # the CPU's: torchvision draws its numbers there
        torch.default_generator.manual_seed(seed)
        yield


def _inside(index, size):
    return (index >= 0) & (index < size)


def _reflect(index, size):
    """-1 -> 1, -2 -> 2, size -> size - 2: one bounce at each end; clamped for size 1."""
    index = index.abs()
    return torch.where(index < size, index, 2 * (size - 1) - index).clamp(0, size - 1)


def _pick(images, rows, columns):
    """Picture b at rows[b] and columns[b]: (B, C, H, W), (B, h), (B, w) -> (B, C, h, w)."""
    B, C = images.shape[:2]
    batch = torch.arange(B, device=images.device).view(B, 1, 1, 1)
    channel = torch.arange(C, device=images.device).view(1, C, 1, 1)
    return images[batch, channel, rows[:, None, :, None], columns[:, None, None, :]]
