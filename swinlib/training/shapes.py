"""Coloured shapes that swinlib draws itself: for where no photographs can be had."""

import math

import torch

SHAPE_CLASSES = (
    "disc", "ring", "square", "frame", "triangle", "star", "plus", "bar", "half disc", "crescent",
)  # fmt: skip


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
