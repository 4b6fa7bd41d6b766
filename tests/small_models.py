"""A small model for tests: two stages, no drop path, and no parameter that is zero."""

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
