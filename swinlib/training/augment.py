"""Augmentation for a whole batch at once, on whatever device the batch lies.

No picture is touched one by one: a crop, for instance, is a table of row and column numbers per
picture and one indexing operation for the batch. All randomness comes from a ``torch.Generator``
that the caller passes, so a run can be repeated exactly. The generator lives on the CPU, so that a
GPU sees the same pictures: only a few numbers per picture travel there.

Mixup and cutmix are torchvision's; the rest is here because torchvision draws only once for a whole
batch.
"""

import math
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F

from swinlib.training.devices import can_compile
from swinlib.training.distributed import ALONE

# torchvision's operations, in its order. A picture gets one of them at random, each time anew.
OPERATIONS = (
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color",
    "Contrast", "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize",
)  # fmt: skip


def _draw_operations(count, operations, generator):
    """(operations, count) whole numbers: two for each of OPERATIONS, one for each direction."""
    shape = (operations, count)
    return torch.randint(0, 2 * len(OPERATIONS), shape, generator=generator)


def _operate(images, draws, magnitude, fill):
    """RandAugment: a few operations such as a shear, more contrast or fewer grey levels.

    Every picture draws its own operations. torchvision draws once per call, so a batch would need a
    call per picture: here a batch is one gather of pixels, one table look-up and one blend.

    images: (B, 3, H, W) uint8.
    draws: from `_draw_operations`; each row is one operation more.
    magnitude: strength, 0 to 30.
    fill: (3,), from 0 to 255, for places that come in from outside a picture.

    Returns (B, 3, H, W) uint8, same device.

    Source: Cubuk et al. 2020, "RandAugment"; torchvision's ``v2.RandAugment``, to rounding.
    """
    for draw in draws:
        images = apply_operations(images, draw // 2, 2 * (draw % 2) - 1, magnitude, fill.byte())
    return images


def apply_operations(images, which, sign, magnitude, fill):
    """One of OPERATIONS on every picture of a batch.

    images: (B, 3, H, W) uint8. which: (B,) int64, places in OPERATIONS.
    sign: (B,) of -1 and 1: the direction of a move, less or more of a colour.
    magnitude: as in `_operate`. fill: (3,) uint8.

    Returns (B, 3, H, W) uint8. Whatever an operation is, it is one of three things: pixels that
    move, a new value for each old one, or a mixture with another picture.
    """

    def of(number):  # a number per picture, ready for (B, C, H, W)
        return number.view(-1, 1, 1, 1)

    is_ = {name: of(which == place) for place, name in enumerate(OPERATIONS)}
    blends = is_["Color"] | is_["Sharpness"]
    factor = 1 + of(sign) * 0.9 * magnitude / 30

    moved = _move(images, is_, of(sign) * magnitude / 30, fill)
    looked_up = _look_up(moved, is_, factor, magnitude / 30)
    pixels = looked_up.float()
    other = torch.where(is_["Color"], _grey(pixels), _blurred(pixels))
    blended = (pixels + (1 - factor) * (other - pixels)).clamp(0, 255).to(torch.uint8)
    return torch.where(blends, blended, looked_up)


def _move(images, is_, level, fill):
    """Shear, shift or turn pictures; level: (B, 1, 1, 1), from -1 to 1. Outside there is `fill`."""
    B, C, H, W = images.shape

    def only(name, value):  # 0 where the operation is another one
        return torch.where(is_[name], value, 0.0)

    shear_x, shear_y = only("ShearX", 0.3 * level), only("ShearY", 0.3 * level)
    shift_x = only("TranslateX", (150 / 331 * W * level).trunc())  # whole pixels
    shift_y = only("TranslateY", (150 / 331 * H * level).trunc())
    turn = only("Rotate", math.radians(30) * level)
    # For each place of the new picture, measured from its middle, the place in the old one: the
    # nearest pixel. Shears leave the upper left corner where it is.
    x = (torch.arange(W, device=images.device) - (W - 1) / 2).view(1, 1, 1, W)
    y = (torch.arange(H, device=images.device) - (H - 1) / 2).view(1, 1, H, 1)
    old_x = turn.cos() * x + (shear_x - turn.sin()) * y + shear_x * (H / 2) - shift_x
    old_y = (turn.sin() + shear_y) * x + turn.cos() * y + shear_y * (W / 2) - shift_y
    columns, rows = (old_x + (W - 1) / 2).round().long(), (old_y + (H - 1) / 2).round().long()
    inside = _inside(columns, W) & _inside(rows, H)  # (B, 1, H, W)
    places = (rows.clamp(0, H - 1) * W + columns.clamp(0, W - 1)).flatten(2).expand(B, C, H * W)
    moved = images.flatten(2).gather(2, places).view(B, C, H, W)
    return torch.where(inside, moved, fill.view(1, C, 1, 1))


def _look_up(images, is_, factor, level):
    """The operations that give each value a new one, as a table of 256 for every channel."""
    B, C, H, W = images.shape
    flat = images.flatten(2).long()  # (B, C, H*W)
    old = torch.arange(256.0, device=images.device)  # against (B, C, 1): tables of (B, C, 256)
    is_ = {name: chosen[..., 0] for name, chosen in is_.items()}
    factor = factor[..., 0]

    mean = _grey(images.float()).mean(dim=(1, 2, 3)).view(B, 1, 1)
    bits = 8 - round(4 * level)
    lowest, highest = flat.amin(2, keepdim=True).float(), flat.amax(2, keepdim=True).float()
    spread = (highest - lowest) * (1 / 255)  # as torchvision rounds
    tables = {
        "Brightness": old * factor,
        "Contrast": old * factor + mean * (1 - factor),
        "Posterize": old // 2 ** (8 - bits) * 2 ** (8 - bits),
        "Solarize": torch.where(old >= 255 * (1 - level), 255 - old, old),
        "AutoContrast": torch.where(spread > 0, (old - lowest) / spread.clamp(min=1e-9), old),
        "Equalize": _equalized(flat, old),
    }
    table = old.expand(B, C, 256)
    for name, values in tables.items():
        table = torch.where(is_[name], values, table)
    table = table.clamp(0, 255).to(torch.uint8)
    return table.gather(2, flat).view(B, C, H, W)


def _equalized(flat, old):
    """Tables after which all values are about equally frequent; Pillow's way of rounding."""
    B, C, pixels = flat.shape
    counts = torch.zeros(B, C, 256, dtype=torch.int64, device=flat.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    up_to = counts.cumsum(2)
    of_highest = counts.gather(2, up_to.argmax(2, keepdim=True))
    step = (pixels - of_highest) // 255
    below = F.pad(up_to, (1, -1))  # 0 for the value 0
    return torch.where(step > 0, (below + step // 2) // step.clamp(min=1), old)


def _grey(pixels):
    """(B, 3, H, W) float to (B, 1, H, W), whole numbers, weighted as television does."""
    r, g, b = pixels.split(1, dim=1)
    return (0.2989 * r + 0.587 * g + 0.114 * b).floor()


def _blurred(pixels):
    """A 3x3 mean in which the middle counts five times; pixels on the edge stay as they are."""
    if min(pixels.shape[2:]) < 3:
        return pixels
    inner = (9 * F.avg_pool2d(pixels, 3, stride=1) + 4 * pixels[:, :, 1:-1, 1:-1]) / 13
    rows = torch.cat([pixels[:, :, 1:-1, :1], inner.round(), pixels[:, :, 1:-1, -1:]], dim=3)
    return torch.cat([pixels[:, :, :1], rows, pixels[:, :, -1:]], dim=2)


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
    return _crop(images, _send(_draw_moves(B, padding, generator), images.device), fill)


def _draw_moves(count, padding, generator):
    return torch.randint(-padding, padding + 1, (2, count, 1), generator=generator)


def _crop(images, moves, fill):
    H, W = images.shape[2:]
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
    return _flip(images, _send(_draw_flips(len(images), generator), images.device), probability)


def _draw_flips(count, generator):
    return torch.rand(count, 1, 1, 1, generator=generator)


def _flip(images, draws, probability):
    return torch.where(draws < probability, images.flip(-1), images)


def normalise(images, mean, std):
    """Bytes to numbers around 0: ``(images / 255 - mean) / std``, channel by channel.

    images: (B, C, H, W) uint8. mean, std: C numbers each, for pictures that go from 0 to 1.
    Returns (B, C, H, W) float32.
    """
    mean, std = _constants(tuple(mean), images.device), _constants(tuple(std), images.device)
    return _normalise(images, mean, std)


def _normalise(images, mean, std):
    return (images.float() / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


def _draw_erasing(count, generator):
    return torch.rand(5, count, 1, generator=generator)


def _erase(images, draws, probability):
    """Wipes out a rectangle in some of the pictures: sets it to 0, the mean after `normalise`.

    The rectangle covers 2 to 33 per cent of the picture's area and is up to 3.3 times as long as
    wide, or as wide as long; one that would be longer than the picture is cut to its size.

    images: (B, C, H, W), normalised.
    draws: from `_draw_erasing`.
    probability: chance of each picture, 0 to 1.

    Returns (B, C, H, W), same dtype and device.

    Source: Zhong et al. 2020, "Random Erasing Data Augmentation"; sizes as in their table 1.
    """
    H, W = images.shape[2:]
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
    if torch.rand(1, generator=generator).item() >= probability:
        return images, torch.nn.functional.one_hot(labels, num_classes).float()
    with _drawing_from(generator):
        return v2.RandomChoice(choices)(images, labels)


@contextmanager
def _drawing_from(generator):
    """Lets torchvision's transforms, which know only PyTorch's global random numbers, draw from a
    seed that the generator gives; the global ones are put back as if nothing had happened."""
    seed = torch.randint(2**31, (1,), generator=generator).item()
    with torch.random.fork_rng(devices=[]):  # the CPU's: torchvision draws its numbers there
        torch.default_generator.manual_seed(seed)
        yield


def augment(images, config, mean, std, generator, ranks=ALONE):
    """RandAugment, crop, flip, `normalise` and erasing as a configuration has them.

    All random numbers are drawn first, so that the rest is one function of tensors. Where the
    configuration compiles and the pictures lie on a GPU, torch.compile makes a few kernels of it:
    one by one, the hundreds of small ones take a processor longer to launch than a training step.

    images: (B, 3, H, W) uint8. config: a TrainConfig. mean, std: as in `normalise`. ranks: of whose
    batch these are a share (see distributed.py): every process draws for the whole batch.
    Returns (B, 3, H, W) float32. Raises ValueError for pictures that are not uint8.
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"images are {images.dtype}, wanted torch.uint8 from 0 to 255")
    count, device = len(images) * ranks.count, images.device
    draws = [  # and the dimension of the pictures
        (_draw_operations(count, config.randaugment_ops, generator), 1),
        (_draw_moves(count, config.crop_padding, generator), 1) if config.crop_padding else None,
        (_draw_flips(count, generator), 0),
        (_draw_erasing(count, generator), 1) if config.erasing_probability else None,
    ]
    draws = [None if draw is None else _send(ranks.shard(*draw), device) for draw in draws]
    mean, std = _constants(tuple(mean), device), _constants(tuple(std), device)
    transform = _compiled() if _runs_compiled(config, device) else _transform
    return transform(images, *draws, config, mean, std)


def _transform(images, operations, moves, flips, erasing, config, mean, std):
    x = _operate(images, operations, config.randaugment_magnitude, (255 * mean).round())
    if moves is not None:
        x = _crop(x, moves, config.crop_fill)
    x = _normalise(_flip(x, flips, config.flip_probability), mean, std)
    return x if erasing is None else _erase(x, erasing, config.erasing_probability)


def _runs_compiled(config, device):
    return config.compile and device.type == "cuda" and can_compile(device)


@cache
def _compiled():
    return torch.compile(_transform, fullgraph=True)


@cache
def _constants(numbers, device):
    """A few numbers on the device, sent there once."""
    with torch.inference_mode(False):  # so that they also serve training
        return torch.tensor(numbers, dtype=torch.float32, device=device)


def _send(tensor, device):
    """To the device. From pinned memory the processor need not wait until a GPU has taken it."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


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
