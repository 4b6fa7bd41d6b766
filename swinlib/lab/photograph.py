"""The course's photograph, Rear Admiral Grace Hopper, which every matplotlib ships; small ones."""

from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib import cbook
from matplotlib import pyplot as plt
from torch import Tensor

from swinlib.lab.style import bare


def photograph(height: int = 600, width: int = 512) -> Tensor:
    """The photograph, resized to cover height x width and cropped around its centre.

    It is taller than wide (600x512 as shipped), so that swapping height and width shows.

    Returns:
        ``(3, height, width)`` of float32 from 0 to 1.
    """
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        pixels = torch.from_numpy(plt.imread(file, format="jpg").copy())
    image = pixels.permute(2, 0, 1).float() / 255
    factor = max(height / image.shape[1], width / image.shape[2])
    size = (max(height, round(factor * image.shape[1])), max(width, round(factor * image.shape[2])))
    if size != image.shape[1:]:
        image = F.interpolate(
            image[None], size=size, mode="bilinear", antialias=True, align_corners=False
        )[0]
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width].clamp(0, 1).contiguous()


def small_pictures(folder: str | Path = "../data/pictures") -> dict[str, Tensor]:
    """Free pictures of 32 x 32 pixels by name, which data/pictures/README.md describes.

    Returns:
        Name to ``(3, 32, 32)`` of uint8.

    Raises:
        FileNotFoundError: there are none in this folder.
    """
    files = sorted(Path(folder).glob("*.png"))
    if not files:
        raise FileNotFoundError(f"no pictures in {folder}")
    return {file.stem: _read(file) for file in files}


def _read(file: Path) -> Tensor:
    pixels = torch.from_numpy(plt.imread(file)[..., :3].copy())  # 0 to 1
    return (255 * pixels).round().to(torch.uint8).permute(2, 0, 1).contiguous()


def show_image(ax, image: Tensor, title: str = "") -> None:
    """Draw ``(3, H, W)`` from 0 to 1 without ticks."""
    ax.imshow(image.permute(1, 2, 0).clamp(0, 1).numpy())
    ax.set_title(title)
    bare(ax)
