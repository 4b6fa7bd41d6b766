"""Mosaics: canvases with photographs at random places; every token tells which class lies there.

The fingerprints' question on real pictures: what is each piece of Swin worth where the map is
larger than a window in every stage? The head mixes no places, so that what one token knows of
another it knows from attention and merging.

``python -m swinlib.lab.mosaics --data data --out runs/mosaics`` records every job of `JOBS`.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from swinlib.lab.dense import first_weights, fit, recorded_entries
from swinlib.model import SwinTransformer
from swinlib.patches import image_to_patches, patches_to_image
from swinlib.pyramid import SwinSegmenter
from swinlib.training.augment import normalise, random_flip
from swinlib.training.checkpoint import write_atomically
from swinlib.training.data import SHAPE_CLASSES, ImageSet, draw_shapes, load_dataset
from swinlib.training.loop import confusion_matrix
from swinlib.training.variants import take_away

SIDE, PATCH, WINDOW = 16, 4, 4  # tokens, pixels, tokens
PICTURE, LATTICE = 8, 9  # tokens: a picture's side, and from one to the next
CELLS = -(-(SIDE + LATTICE - 1) // LATTICE)  # of the lattice that a canvas can touch, along a side
WALL = 2 * WINDOW  # tokens of the first map between the walls of windows of the second stage
SHARES = 4  # bins of the share of its picture that a token's window of stage 2 holds
TEST_SEED, TEST_CANVASES = 10_000, 4_000
COUNTS = ("right", "shown", "right_by_share", "shown_by_share", "confusion")  # as tensors


# --- the task -----------------------------------------------------------------------------------


def make_mosaics(
    images: Tensor, labels: Tensor, count: int, background: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Canvases of pictures that do not overlap, mirrored at even chances, on one colour each.

    The pictures stand on a lattice of 9 tokens that is moved at random, every row of it by
    another distance, and each picture by up to a token more. So all places of a canvas are alike,
    its edge cuts pictures off like any window does, and a picture begins where a token begins: no
    token is half of it.

    Args:
        images: ``(N, 3, 32, 32)`` of uint8.
        labels: ``(N,)`` of int64.
        count: canvases.
        background: the answer where no picture is.
        generator: draws pictures, places and colours.

    Returns:
        ``(count, 3, 64, 64)`` of uint8; the answers, ``(count, 16, 16)`` of int64; and to which
        picture of the canvas a token belongs, ``(count, 16, 16)`` of int64, -1 to none.
    """

    def draw(high, *shape):
        return torch.randint(high, (count, *shape), generator=generator)

    canvas = torch.arange(count)[:, None, None]
    at = torch.arange(SIDE)
    row = at + draw(LATTICE, 1)  # (count, SIDE), on the lattice
    row = row[:, :, None].expand(-1, -1, SIDE)
    column = at + draw(LATTICE, CELLS)[canvas, row // LATTICE]
    cell = row // LATTICE * CELLS + column // LATTICE  # (count, SIDE, SIDE)
    moved = draw(LATTICE - PICTURE + 1, 2, CELLS**2)
    down = row % LATTICE - moved[canvas, 0, cell]
    right = column % LATTICE - moved[canvas, 1, cell]
    inside = (down >= 0) & (down < PICTURE) & (right >= 0) & (right < PICTURE)

    chosen = draw(len(images), CELLS**2)
    pictures = random_flip(images[chosen.flatten()], 0.5, generator)
    tokens = image_to_patches(pictures, PATCH).unflatten(0, (count, CELLS**2))
    tokens = tokens[canvas, cell, down.clamp(0, PICTURE - 1), right.clamp(0, PICTURE - 1)]
    colour = draw(256, 3).to(torch.uint8).repeat_interleave(PATCH**2, dim=1)
    tokens = torch.where(inside[..., None], tokens, colour[:, None, None])

    wanted = torch.where(inside, labels[chosen][canvas, cell], background)
    return patches_to_image(tokens, PATCH), wanted, torch.where(inside, cell, -1)


def share_in_window(owner: Tensor) -> Tensor:
    """Which share of its picture's tokens a token has in its own window of stage 2.

    Args:
        owner: which picture each token belongs to, ``(B, SIDE, SIDE)``, from `make_mosaics`.

    Returns:
        ``(B, SIDE, SIDE)`` from above 0 to 1, for the unshifted windows.
    """
    at = torch.arange(SIDE) // WALL
    window = (at[:, None] * SIDE + at).flatten()
    owner = owner.flatten(1)
    same_picture = owner[:, :, None] == owner[:, None]  # (B, tokens, tokens)
    same_window = window[:, None] == window
    shares = (same_picture & same_window).sum(-1) / same_picture.sum(-1)
    return shares.unflatten(1, (SIDE, SIDE))


# --- the models ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A model and how long it is trained.

    Attributes:
        title: for figures.
        without: pieces for `take_away`.
        model: further arguments of `SwinTransformer`.
        smooth: the pyramid's 3x3 convolutions.
    """

    title: str
    without: tuple[str, ...] = ()
    model: dict = field(default_factory=dict)
    smooth: bool = False


JOBS = {  # two stages, the map of either larger than a window
    "whole": Job("whole"),
    "shift": Job("no shift", ("shift",)),
    "mask": Job("no mask", ("mask",)),
    "relative_bias": Job("no relative bias", ("relative_bias",)),
    "windows": Job("no windows", ("windows",)),
}


def make_model(job: Job, num_classes: int, seed: int = 0) -> SwinSegmenter:
    """A new model with 4x4 patches of pixels and 4x4 windows of tokens.

    Args:
        job: one of `JOBS`, or another.
        num_classes: the background included.
        seed: of the first weights.
    """
    torch.manual_seed(seed)
    arguments = {"embed_dim": 48, "depths": (2, 2), "num_heads": (2, 4)} | job.model
    arguments.setdefault("out_indices", tuple(range(len(arguments["depths"]))))
    backbone = SwinTransformer(
        patch_size=PATCH, window_size=WINDOW, drop_path_rate=0.0, **arguments
    )
    first_weights(backbone, 0.06)
    take_away(backbone, job.without, SIDE)
    return SwinSegmenter(backbone, num_classes, dim=64, smooth=job.smooth)


def token_scores(model: SwinSegmenter, canvases: Tensor) -> Tensor:
    """Scores for every token of the map, ``(B, classes, SIDE, SIDE)``, also from a coarser map."""
    scores = model(canvases)
    return F.interpolate(scores, size=(SIDE, SIDE))


def train(
    job: Job, data: ImageSet, steps: int, batch: int = 64, seed: int = 0, peak: float = 2e-3, **how
) -> SwinSegmenter:
    """Train a new model on new mosaics of the training pictures in every step.

    Args:
        job, seed: as in `make_model`; the seed also draws the mosaics.
        data: pictures of 32 x 32.
        steps: of the optimiser.
        batch: canvases in a step.
        peak: highest learning rate.
        **how: further arguments of `fit`.
    """
    model = make_model(job, data.num_classes + 1, seed)
    generator = torch.Generator().manual_seed(seed)

    def draw():
        canvases, wanted, _ = make_mosaics(
            data.train_images, data.train_labels, batch, data.num_classes, generator
        )
        return normalise(canvases, data.mean, data.std), wanted

    def scores(canvases):
        return token_scores(model, canvases)

    return fit(model, draw, steps, peak, scores=scores, **how)


@torch.no_grad()
def measure(model: SwinSegmenter, data: ImageSet, canvases: int = TEST_CANVASES) -> dict:
    """What a model gets right on mosaics of the test pictures, the same ones for every model.

    Returns:
        Counts, as plain numbers. ``right`` and ``shown``: by place on the map, how often a token
        was answered rightly where it was a picture's, and how often it was a picture's.
        ``right_by_share`` and ``shown_by_share``: the same by `share_in_window`, in `SHARES`
        equal bins. ``confusion``: of all tokens, the background last.
    """
    generator = torch.Generator().manual_seed(TEST_SEED)
    K = data.num_classes
    maps, bins = torch.zeros(2, SIDE, SIDE), torch.zeros(2, SHARES)
    confusion = torch.zeros(K + 1, K + 1, dtype=torch.int64)
    for start in range(0, canvases, 100):
        pictures, wanted, owner = make_mosaics(
            data.test_images, data.test_labels, min(100, canvases - start), K, generator
        )
        found = token_scores(model, normalise(pictures, data.mean, data.std)).argmax(1)
        confusion += confusion_matrix(wanted.flatten(), found.flatten(), K + 1)
        share = (share_in_window(owner) * SHARES).ceil().long() - 1
        shown = owner >= 0
        for number, counted in enumerate((shown & (found == wanted), shown)):
            maps[number] += counted.sum(0)
            bins[number] += share[counted].bincount(minlength=SHARES)
    (right, shown), (right_by_share, shown_by_share) = maps.int().tolist(), bins.int().tolist()
    return {
        "right": right,
        "shown": shown,
        "right_by_share": right_by_share,
        "shown_by_share": shown_by_share,
        "confusion": confusion.tolist(),
    }


def drawn_pictures(train: int = 1_500, test: int = 300) -> ImageSet:
    """Shapes to make mosaics of in seconds, where no photographs are at hand: see `draw_shapes`."""
    images, labels = draw_shapes(train, seed=1)
    tests = draw_shapes(test, seed=2)
    return ImageSet(
        images, labels, *tests, *tests, SHAPE_CLASSES, "generated shapes (not CIFAR-10)",
        mean=(0.35, 0.35, 0.35), std=(0.25, 0.25, 0.25),
    )  # fmt: skip


# --- recorded runs ------------------------------------------------------------------------------


def record(
    name: str, seed: int, data: ImageSet, folder: Path, steps: int, canvases: int, **how
) -> dict:
    """Train a job's model and write what it gets right to ``folder / f"{name}_seed{seed}.json"``.

    Returns:
        What was written: what `measure` says of as many canvases, and how it came about.
    """
    states = []
    model = train(JOBS[name], data, steps, seed=seed, on_step=states.append, **how)
    losses = torch.tensor([state["loss"] for state in states], dtype=torch.float64)
    entry = {
        "job": name, "seed": seed, "steps": steps,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "seconds": round(states[-1]["seconds"]), "pictures": data.label,
        "class_names": list(data.class_names), "mean": data.mean, "std": data.std,
        "losses": [round(part.mean().item(), 3) for part in losses.split(50)],
    } | measure(model, data, canvases)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}_seed{seed}.json", f"{json.dumps(entry)}\n".encode())
    return entry


def read_recorded(folder) -> dict[str, list[dict]]:
    """Recorded entries by job, in the order of `JOBS`, a seed each; counts as tensors.

    Raises:
        FileNotFoundError: there is none in the folder.
    """
    return {
        name: [entry | {key: torch.tensor(entry[key]) for key in COUNTS} for entry in entries]
        for name, entries in recorded_entries(folder, JOBS, "mosaics").items()
    }


def main(arguments: list[str] | None = None) -> None:
    """The command: record what is not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data", help="folder of the pictures")
    parser.add_argument("--dataset", default="auto", help="as in swinlib.training")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--canvases", type=int, default=TEST_CANVASES, help="that measure")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    chosen = parser.parse_args(arguments)
    data = load_dataset(chosen.data, chosen.dataset, download=False)
    for seed in chosen.seeds:
        for name in chosen.jobs:
            if not (chosen.out / f"{name}_seed{seed}.json").exists():
                entry = record(
                    name, seed, data, chosen.out, chosen.steps, chosen.canvases,
                    precision=chosen.precision,
                )  # fmt: skip
                right, shown = (sum(entry[key]) for key in ("right_by_share", "shown_by_share"))
                print(f"{name}, seed {seed}: {right / shown:.2%}, {entry['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
