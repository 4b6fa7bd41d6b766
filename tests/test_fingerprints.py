"""The neighbour-counting task, the small model that learns it, and the records."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
import torch

from swinlib.lab import fingerprints as fp
from swinlib.lab.figures.fingerprints import fingerprints as draw_fingerprints

RECORDED = Path(__file__).parents[1] / "data/runs/fingerprints"
SIDE, M = fp.SIDE, fp.WINDOW


def test_neighbours_are_counted():
    maps = fp.random_maps(2, torch.Generator().manual_seed(0))
    counted = fp.neighbours_that_are_one(maps)
    for b, i, j in product(range(2), range(SIDE), range(SIDE)):
        around = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
        inside = [(r, c) for r, c in around if 0 <= r < SIDE and 0 <= c < SIDE]
        assert counted[b, i, j] == sum(maps[b, 0, r, c] for r, c in inside)


def test_places():
    for i, j in product(range(SIDE), range(SIDE)):
        beyond = sum((i in (0, SIDE - 1), j in (0, SIDE - 1)))
        around = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
        inside = [(r, c) for r, c in around if 0 <= r < SIDE and 0 <= c < SIDE]
        walled = any((r // M, c // M) != (i // M, j // M) for r, c in inside)
        wanted = 1 if walled else (0, 2, 3)[beyond]
        assert fp.places()[i, j] == wanted, (i, j)
    shares = (fp.places() == 1).float()
    assert fp.by_place(shares) == dict(zip(fp.PLACES, (0, 1, 0, 0), strict=True))


def test_best_without_shift_by_trying_every_guess():
    """For each place in a window, the guess that is right most often, over all windows' coins."""
    best = fp.best_without_shift()
    for y, x in product(range(M), range(M)):
        right = {}
        for guess in range(3):
            for i, j in product(range(y, SIDE, M), range(x, SIDE, M)):
                around = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
                inside = [(r, c) for r, c in around if 0 <= r < SIDE and 0 <= c < SIDE]
                hidden = sum((r // M, c // M) != (i // M, j // M) for r, c in inside)
                tosses = list(product((0, 1), repeat=hidden))
                right[guess, i, j] = sum(sum(t) == guess for t in tosses) / len(tosses)
        totals = [sum(s for (g, *_), s in right.items() if g == guess) for guess in range(3)]
        guess = totals.index(max(totals))
        for (g, i, j), share in right.items():
            assert g != guess or best[i, j] == share


@pytest.mark.parametrize("name", fp.VARIANTS)
def test_what_a_token_can_see(name):
    """(7, 7), at the corner of a window, and what its scores depend on."""
    variant = fp.VARIANTS[name]
    maps = torch.rand(1, 1, SIDE, SIDE, requires_grad=True)
    scores = fp.token_scores(fp.make_model(variant), maps)
    assert scores.shape == (1, 5, SIDE, SIDE)
    scores[0, 0, 7, 7].backward()
    seen = int((maps.grad.abs() > 1e-12).sum())
    wanted = {"shift": 16, "one_block": 16, "windows": 256, "four_blocks": 256, "other_mask": 32}
    assert seen == wanted.get(name, 64)


@pytest.mark.parametrize("name", fp.VARIANTS)
def test_first_weights_and_what_is_trained(name):
    model = fp.make_model(fp.VARIANTS[name], seed=3)
    again = fp.make_model(fp.VARIANTS[name], seed=3)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    model = getattr(model, "backbone", model)
    for block in [block for layer in model.layers for block in layer.blocks]:
        table = block.attn.relative_position_bias_table
        frozen = name in ("relative_bias", "absolute")
        assert table.requires_grad != frozen and bool(table.any()) != frozen
        assert frozen or 0.3 < table.std() < 0.7
    assert (model.absolute_pos_embed is not None) == (name == "absolute")


def test_an_unshifted_model_learns_what_it_can():
    model = fp.train(fp.VARIANTS["shift"], steps=60, maps=4)
    shares = fp.by_place(fp.share_right(model, 64))
    assert shares["inside a window"] > shares["beside a wall"]
    short = fp.share_right(model, 3) * 3
    assert torch.equal(short, short.round()) and short.max() == 3


def test_records(tmp_path, capsys):
    names = ["shift", "one_block"]
    arguments = ["--out", str(tmp_path), "--seeds", "0", "1", "--steps", "2", "--variants", *names]
    fp.main(arguments)
    assert len(capsys.readouterr().out.splitlines()) == 4
    fp.main(arguments)  # all is there
    assert capsys.readouterr().out == ""
    shares = fp.read_recorded(tmp_path)
    assert list(shares) == names
    for name, maps in shares.items():
        assert maps.shape == (2, SIDE, SIDE)
        again = fp.share_right(fp.train(fp.VARIANTS[name], 2, 8, seed=1), fp.TEST_MAPS)
        assert torch.equal(maps[1], again)
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        fp.read_recorded(tmp_path / "nothing_here")


def test_an_interrupted_record_is_none(tmp_path, monkeypatch):
    """Half a file would never be made again."""

    def stop(*_):
        raise KeyboardInterrupt

    arguments = ["--out", str(tmp_path), "--seeds", "0", "--steps", "1", "--variants", "shift"]
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop)
        with pytest.raises(KeyboardInterrupt):
            fp.main(arguments)
    assert not list(tmp_path.glob("*.json"))
    fp.main(arguments)
    assert list(fp.read_recorded(tmp_path)) == ["shift"]


def test_the_shipped_records_are_of_this_recipe():
    shares = fp.read_recorded(RECORDED)
    assert list(shares) == list(fp.VARIANTS)
    assert all(len(maps) == 3 for maps in shares.values())
    for path in RECORDED.glob("*.json"):
        entry = json.loads(path.read_text(encoding="utf-8"))
        assert path.stem == f"{entry['variant']}_seed{entry['seed']}"
        assert (entry["steps"], entry["maps"], entry["test_maps"]) == (1000, 8, fp.TEST_MAPS)
    assert all(maps.min() >= 0 and maps.max() <= 1 for maps in shares.values())


def test_no_shift_reaches_the_best_and_no_more():
    """Over the 16 windows, 16 x 1,024 answers: within 0.03, and above by no more than chance."""

    def by_place_in_a_window(shares):
        return shares.unflatten(0, (-1, M)).unflatten(2, (-1, M)).mean(dim=(0, 2))

    best = by_place_in_a_window(fp.best_without_shift())
    for right in fp.read_recorded(RECORDED)["shift"]:
        above = by_place_in_a_window(right) - best
        assert above.max() < 0.016 and above.min() > -0.03


def test_the_figure(figures):
    shares = {name: torch.rand(3, SIDE, SIDE) for name in fp.VARIANTS}
    draw_fingerprints(shares)
    axes = figures[-1].axes
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in axes[:-1] if ax.images]
    assert titles == [variant.title for variant in fp.VARIANTS.values()]
    for ax, maps in zip(axes, shares.values(), strict=False):
        found = [fp.by_place(right)["beside a wall"] for right in maps]
        assert f"{min(found):.2f}–{max(found):.2f}" in ax.get_xlabel()
    draw_fingerprints({"whole": shares["whole"][0]})
    assert (
        f"{fp.by_place(shares['whole'][0])['beside a wall']:.2f}\n"
        in figures[-1].axes[0].get_xlabel()
    )


def test_the_table_of_the_recorded_runs():
    """In data/runs/README.md: a row for each variant, from its least seed to its best one."""
    text = (RECORDED.parent / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \((.*)\) \| (\d) \| ([\d. to|]+) \|$", text, re.M)
    wanted = []
    for name, maps in fp.read_recorded(RECORDED).items():
        found = [fp.by_place(right) for right in maps]
        cells = []
        for place in fp.PLACES:
            ends = [f"{end(shares[place] for shares in found):.2f}" for end in (min, max)]
            cells.append(" to ".join(dict.fromkeys(ends)))
        wanted.append((name, fp.VARIANTS[name].title, str(len(maps)), " | ".join(cells)))
    assert rows == wanted
