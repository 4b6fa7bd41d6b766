"""Random crops and flips for a whole batch at once, on whatever device the batch lies.

No picture is touched one by one: a crop is a table of row and column numbers per picture and one
indexing operation for the batch. All randomness comes from a ``torch.Generator`` that the caller
passes, so a run can be repeated exactly. The generator may live on the CPU while the pictures are
on a GPU: only a few numbers per picture travel.
"""

import torch


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
