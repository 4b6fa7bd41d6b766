"""Recorded runs compared, and what lesson 08 shows beside them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from swinlib import training
from swinlib.lab import small_pictures
from swinlib.lab.figures import training as draw

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(autouse=True)
def unseen(figures):
    pass


@pytest.fixture(scope="module")
def a_run():
    return training.read_run(DATA / "runs" / "laptop_seed0")


def with_accuracies(run, *accuracies):
    """Runs like this one whose best epochs reached these validation accuracies."""
    best = run.best_epoch - 1
    return [
        replace(run, history=[*run.history[:best], {**run.history[best], "val_accuracy": value}])
        for value in accuracies
    ]


def test_validation_accuracy_is_the_best_epoch_s(a_run):
    assert draw.validation_accuracy(a_run) == max(e["val_accuracy"] for e in a_run.history)


def test_spread_over_seeds_is_pooled_and_single_runs_say_nothing(a_run):
    pair, three = with_accuracies(a_run, 0.70, 0.72), with_accuracies(a_run, 0.50, 0.50, 0.50)
    lone = with_accuracies(a_run, 0.1)
    assert draw.seed_spread([pair, lone]) == pytest.approx(0.02 / math.sqrt(2))
    assert draw.seed_spread([pair, three]) == pytest.approx(math.sqrt(0.0002 / 3))
    with pytest.raises(ValueError, match="at least two runs"):
        draw.seed_spread([lone, lone])


def test_recipes_are_compared_in_points_with_their_error(a_run, figures):
    groups = {
        "whole": with_accuracies(a_run, 0.70, 0.72),
        "one seed": with_accuracies(a_run, 0.69),
        "two seeds": with_accuracies(a_run, 0.74, 0.76),
    }
    found = draw.compare_recipes(groups, whole="whole", spread=0.01)
    assert found == {
        "one seed": pytest.approx((-2.0, math.sqrt(1.5))),
        "two seeds": pytest.approx((4.0, 1.0)),
    }
    texts = [text.get_text() for text in figures[-1].axes[0].texts]
    assert texts == ["71.0", "69.0  (-2.0 ± 1.2)", "75.0  (+4.0 ± 1.0)"]
    labels = [label.get_text() for label in figures[-1].axes[0].get_yticklabels()]
    assert labels == ["whole, 2 seeds", "one seed, 1 seed", "two seeds, 2 seeds"]
    assert figures[-1].axes[0].get_ylim() == (2.5, -0.5)  # no bar is cut off, however few


def test_the_schedule_ends_with_the_last_epoch(figures):
    rates = [training.learning_rate(step, 40, 5, 1.0, 0.01) for step in range(40)]
    draw.schedule(rates, per_epoch=10, warmup_epochs=0.5)
    epochs, drawn = figures[-1].axes[0].lines[0].get_data()
    assert epochs[-1] == 4 and epochs[drawn.argmax()] == 0.5  # the peak is where the warm-up ends


def test_the_confusion_writes_whole_per_cents(figures):
    draw.confusion(torch.tensor([[995, 5], [14, 986]]), ("cat", "dog"))
    assert [text.get_text() for text in figures[-1].axes[0].texts] == ["100", "1", "99"]


def test_any_recorded_runs_can_be_drawn():
    """Runs that are added later need no other code."""
    folders = sorted(path.parent for path in (DATA / "runs").rglob("log.jsonl"))
    runs = {str(folder): [training.read_run(folder)] for folder in folders}
    found = draw.compare_recipes(runs, whole=str(folders[0]), spread=0.002)
    assert len(found) == len(runs) - 1


def test_small_pictures_are_of_cifar_s_size():
    pictures = small_pictures(DATA / "pictures")
    assert list(pictures) == ["cat", "horse", "rocket"]
    for picture in pictures.values():
        assert picture.shape == (3, 32, 32) and picture.dtype == torch.uint8
        assert picture.float().std() > 20
    told = (DATA / "pictures" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}.png`" in told for name in pictures)
    with pytest.raises(FileNotFoundError, match="no pictures in"):
        small_pictures(DATA / "nowhere")


def test_attention_maps_with_names_and_scores(figures):
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    row = image, (3, 4), {"block 1": torch.rand(8, 8), "block 2": torch.rand(4, 4)}
    draw.attention_maps([row, row], names=["a", "b"], scores=[{"cat": 0.75, "dog": 0.1}] * 2)
    axes = figures[-1].axes
    assert len(axes) == 2 * 4
    assert [axes[0].get_ylabel(), axes[4].get_ylabel()] == ["a", "b"]
    assert [text.get_text() for text in axes[7].texts] == ["cat 75%", "dog 10%"]
    draw.attention_maps([row])
    assert len(figures[-1].axes) == 3
