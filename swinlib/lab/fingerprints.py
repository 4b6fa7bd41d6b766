"""Fingerprints: a small task on which every missing piece of Swin is seen where it is missing.

On a map of random zeros and ones every token tells how many of its four neighbours are one. The
answer comes from next door and from nowhere else, so the map of mistakes shows who could not see
whom. A small Swin learns it in seconds.

``python -m swinlib.lab.fingerprints --out runs/fingerprints`` records every variant.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swinlib.lab import dense
from swinlib.model import SwinTransformer, SwinTransformerBlock
from swinlib.pyramid import SwinSegmenter
from swinlib.training.checkpoint import write_atomically
from swinlib.training.variants import take_away

SIDE, WINDOW = 16, 4  # tokens
PLACES = ("inside a window", "beside a wall", "map's edge", "map's corner")
TEST_MAPS = 1024  # that measure a recorded model
TEST_SEED = 10_000  # of the maps that measure; far from those of the trainings


@dataclass(frozen=True)
class Variant:
    """The small Swin with something changed.

    Attributes:
        title: for figures.
        without: pieces for `take_away`.
        depth: blocks; every second one is shifted.
        absolute: a learned embedding of every place, added to the tokens.
        merging: after the blocks a merging and as many blocks more, on a map half as high and wide;
            what they find is brought back to the tokens and added, as in `FeaturePyramid`.
        other_mask: the mask is that of a map twice as high and half as wide. It has as many
            windows, so that nothing stops with an error.
    """

    title: str
    without: tuple[str, ...] = ()
    depth: int = 2
    absolute: bool = False
    merging: bool = False
    other_mask: bool = False

    @property
    def has_windows(self) -> bool:
        return "windows" not in self.without

    @property
    def shifts(self) -> bool:
        return self.has_windows and self.depth > 1 and "shift" not in self.without


VARIANTS = {
    "whole": Variant("whole"),
    "shift": Variant("no shift", ("shift",)),
    "mask": Variant("no mask", ("mask",)),
    "relative_bias": Variant("no relative bias", ("relative_bias",)),
    "one_block": Variant("one block", depth=1),
    "four_blocks": Variant("four blocks", depth=4),
    "windows": Variant("no windows", ("windows",)),
    "absolute": Variant("absolute position instead", ("relative_bias",), absolute=True),
    "merging": Variant("merging instead of a shift", ("shift",), merging=True),
    "other_mask": Variant("another map's mask", other_mask=True),
}


# --- the task -----------------------------------------------------------------------------------


def random_maps(count: int, generator: torch.Generator) -> Tensor:
    """Maps of zeros and ones, ``(count, 1, SIDE, SIDE)`` of float32."""
    return torch.randint(0, 2, (count, 1, SIDE, SIDE), generator=generator).float()


def neighbours_that_are_one(maps: Tensor) -> Tensor:
    """How many of the four neighbours are one; beyond the edge there is none.

    ``(B, 1, H, W)`` of zeros and ones to ``(B, H, W)`` of int64 from 0 to 4.
    """
    around = F.pad(maps[:, 0], (1, 1, 1, 1))
    above, below = around[:, :-2, 1:-1], around[:, 2:, 1:-1]
    left, right = around[:, 1:-1, :-2], around[:, 1:-1, 2:]
    return (above + below + left + right).long()


def places() -> Tensor:
    """Where every token stands, ``(SIDE, SIDE)`` of int64: a number in `PLACES`.

    A token is beside a wall if a neighbour is in another (unshifted) window, at the map's edge too.
    """
    at = torch.arange(SIDE)
    edge = (at == 0) | (at == SIDE - 1)
    wall = ((at % WINDOW == 0) | (at % WINDOW == WINDOW - 1)) & ~edge
    place = 2 * (edge[:, None] | edge) + (edge[:, None] & edge)  # 2 at the edge, 3 at a corner
    return torch.where(wall[:, None] | wall, 1, place)


def by_place(right: Tensor) -> dict[str, float]:
    """The mean of a map ``(SIDE, SIDE)`` in each of the `PLACES`."""
    return {name: right[places() == n].mean().item() for n, name in enumerate(PLACES)}


# --- the model ----------------------------------------------------------------------------------


class _OtherMaskBlock(SwinTransformerBlock):
    def attn_mask(self, H, W, shift_size, like):
        return super().attn_mask(2 * H, W // 2, shift_size, like)


def make_model(variant: Variant, seed: int = 0) -> SwinTransformer | SwinSegmenter:
    """One stage, 32 wide with four heads, in patches of one pixel; see `token_scores`.

    Its bias tables begin with a spread of 0.5 (so does an absolute embedding), its linear layers
    with one of 0.1: with the official 0.02, made for wide and long trainings, it begins slowly.
    """
    torch.manual_seed(seed)
    stages = 1 + variant.merging
    model = SwinTransformer(
        img_size=SIDE,
        patch_size=1,
        in_chans=1,
        num_classes=5,
        embed_dim=32,
        depths=(variant.depth,) * stages,
        num_heads=(4,) * stages,
        window_size=WINDOW,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        ape=variant.absolute,
        out_indices=(0, 1) if variant.merging else None,
    )
    take_away(model, tuple(p for p in variant.without if p == "windows"), SIDE)  # a new table
    dense.first_weights(model, 0.1)
    for name, weight in model.named_parameters():
        if "bias_table" in name or name == "absolute_pos_embed":
            nn.init.normal_(weight, std=0.5)
    take_away(model, tuple(p for p in variant.without if p != "windows"), SIDE)
    for block in model.layers[0].blocks if variant.other_mask else ():
        block.__class__ = _OtherMaskBlock
    return SwinSegmenter(model, 5, dim=32, smooth=False) if variant.merging else model


def token_scores(model: SwinTransformer | SwinSegmenter, maps: Tensor) -> Tensor:
    """Scores of the five answers for every token: ``(B, 1, H, W)`` to ``(B, 5, H, W)``.

    The model's own head, on every token instead of their mean.
    """
    if isinstance(model, SwinSegmenter):
        return model(maps)
    x = model.forward_embed(maps)
    for layer in model.layers:
        x = layer(x)
    return model.head(model.norm(x)).permute(0, 3, 1, 2)


def train(variant: Variant, steps: int, maps: int, seed: int = 0, peak: float = 1e-2):
    """Train a new model; see `dense.fit`.

    Args:
        steps: of the optimiser.
        maps: new ones in every step.
        seed: of the first weights and of the maps.
        peak: highest learning rate.
    """
    model = make_model(variant, seed)
    generator = torch.Generator().manual_seed(seed)

    def draw():
        batch = random_maps(maps, generator)
        return batch, neighbours_that_are_one(batch)

    return dense.fit(model, draw, steps, peak, scores=lambda batch: token_scores(model, batch))


@torch.no_grad()
def share_right(model: SwinTransformer, maps: int = 256) -> Tensor:
    """Share of maps, never trained on, in which a token answers correctly: ``(SIDE, SIDE)``."""
    generator = torch.Generator().manual_seed(TEST_SEED)
    right = torch.zeros(SIDE, SIDE)
    for count in torch.full((maps // 64,), 64).tolist() + [maps % 64] * (maps % 64 > 0):
        batch = random_maps(count, generator)
        answers = token_scores(model, batch).argmax(1)
        right += (answers == neighbours_that_are_one(batch)).sum(0)
    return right / maps


# --- what is possible ---------------------------------------------------------------------------


def best_without_shift() -> Tensor:
    """The best share that any unshifted model can reach, ``(SIDE, SIDE)``.

    It counts the neighbours that it sees and must guess how many ones the others add. All windows
    look alike to it, so a place in the window has one guess for all windows: the likeliest. Walls
    hide a coin each, and the map's edge hides nobody.
    """
    at = torch.arange(SIDE)
    up, down = at % WINDOW == 0, at % WINDOW == WINDOW - 1
    up, down = up & (at > 0), down & (at < SIDE - 1)
    hidden = (up | down)[:, None].long() + (up | down)[None, :].long()  # 0, 1 or 2 coins
    coins = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [0.25, 0.5, 0.25]])
    chances = coins[hidden].unflatten(0, (-1, WINDOW)).unflatten(2, (-1, WINDOW))
    guess = chances.mean(dim=(0, 2)).argmax(-1)  # (WINDOW, WINDOW), of all windows together
    guess = guess.tile(SIDE // WINDOW, SIDE // WINDOW)
    return coins[hidden].gather(-1, guess[..., None])[..., 0]


# --- recorded runs ------------------------------------------------------------------------------


def record(name: str, seed: int, folder: Path, steps: int = 1000, maps: int = 8) -> Tensor:
    """Train a variant and write what it gets right to ``folder / f"{name}_seed{seed}.json"``.

    Returns:
        What `share_right` says on 1,024 maps.
    """
    start = time.perf_counter()
    model = train(VARIANTS[name], steps, maps, seed)
    seconds = time.perf_counter() - start
    shares = share_right(model, TEST_MAPS)
    about = {"variant": name, "seed": seed, "steps": steps, "maps": maps, "test_maps": TEST_MAPS}
    right = (shares * TEST_MAPS).round().int().tolist()
    entry = about | {"seconds": round(seconds), "right": right}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}_seed{seed}.json", f"{json.dumps(entry)}\n".encode())
    return shares


def read_recorded(folder) -> dict[str, Tensor]:
    """Recorded maps by variant, in the order of `VARIANTS`: ``(seeds, SIDE, SIDE)``, shares right.

    Raises:
        FileNotFoundError: there is none in the folder.
    """
    return {
        name: torch.stack([torch.tensor(entry["right"]) / entry["test_maps"] for entry in entries])
        for name, entries in dense.recorded_entries(folder, VARIANTS, "fingerprints").items()
    }


def main(arguments: list[str] | None = None) -> None:
    """The command: record what is not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    for seed in chosen.seeds:
        for name in chosen.variants:
            if not (chosen.out / f"{name}_seed{seed}.json").exists():
                shares = by_place(record(name, seed, chosen.out, chosen.steps)).items()
                print(f"{name}, seed {seed}:", ", ".join(f"{p} {s:.2f}" for p, s in shares))


if __name__ == "__main__":
    main()
