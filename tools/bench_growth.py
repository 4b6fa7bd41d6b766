"""How attention grows with the picture: in windows, and over the whole map."""

import statistics
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

import swinlib
from bench_measuring import peak_bytes, race


class Alone(nn.Module):
    """A block of the first stage, its attention in windows or over the whole map."""

    def __init__(self, windows: bool):
        super().__init__()
        self.block = swinlib.SwinTransformerBlock(96, 3, window_size=7, shift_size=0)
        self.everywhere = None if windows else swinlib.MultiHeadSelfAttention(96, 3)

    def forward(self, x):
        if self.everywhere is None:
            return self.block.window_attention(x)
        return self.everywhere(x.flatten(1, 2)).view_as(x)


def growth(sizes: list[int], device: str, rounds: int) -> Iterator[dict]:
    """Seconds and memory of the first stage's attention, in windows and over the whole map, size by
    size.

    Bytes are what an attention allocates beyond its input, at the worst moment. The fused kernel
    keeps no weights; `bytes_of_weights` says what keeping them would take.
    """
    for size in sizes:
        side = size // 4
        x = torch.randn(1, side, side, 96, device=device)
        row = {"size": size, "tokens": side**2}
        runners = {}
        for name, windows in (("windows", True), ("global", False)):
            model = Alone(windows).eval().to(device)
            runners[name] = torch.inference_mode()(partial(model, x))
            pairs = side**2 * (49 if windows else side**2)
            row[name] = {"bytes": peak_bytes(runners[name], device), "bytes_of_weights": 12 * pairs}
        seconds = race(runners, rounds if size < 800 else 3, device)
        for name, times in seconds.items():
            row[name]["milliseconds"] = 1e3 * statistics.median(times)
        slower = [g / w for g, w in zip(seconds["global"], seconds["windows"], strict=True)]
        row["global_over_windows"] = statistics.median(slower)
        yield row
