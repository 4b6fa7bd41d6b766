"""A small model for tests: two stages, no drop path, and no parameter that is zero."""

import torch
from oracles import randomise

from swinlib import SwinTransformer

SMALL = {
    "embed_dim": 16,
    "depths": (2, 2),
    "num_heads": (2, 4),
    "window_size": 4,
    "num_classes": 5,
    "drop_path_rate": 0.0,
}


def make_model(seed: int = 0, **options) -> SwinTransformer:
    """In evaluation mode; `options` in place of those above."""
    return randomise(SwinTransformer(**(SMALL | options)), seed).eval()


def images(*shape, dtype=torch.float32) -> torch.Tensor:
    """Noise, the same of a shape every time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype)
