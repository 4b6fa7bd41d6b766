"""The mosaics: what is drawn, who owns which token, what is measured, what is recorded."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
import torch

from swinlib.lab import mosaics as m
from swinlib.lab.figures import pyramid as draw
from swinlib.patches import image_to_patches
from swinlib.training.augment import normalise

RECORDED = Path(__file__).parents[1] / "data/runs/mosaics"
DATA = m.drawn_pictures(40, 20)


def make(count=20, seed=0, images=DATA.train_images, labels=DATA.train_labels):
    return m.make_mosaics(images, labels, count, 10, torch.Generator().manual_seed(seed))


def test_tokens_show_what_they_are_called():
    """Each picture of one grey: a token's pixels name its picture, and so its class."""
    images = torch.arange(40, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    canvases, wanted, owner = make(images=images.contiguous(), labels=torch.arange(40) % 10)
    tokens = image_to_patches(canvases, m.PATCH)
    assert (tokens.amin(-1) == tokens.amax(-1))[owner >= 0].all(), "no token is half a picture"
    shown = tokens[..., 0].long()
    assert torch.equal(wanted[owner >= 0], shown[owner >= 0] % 10)
    assert (wanted[owner < 0] == 10).all()


def test_pictures_are_whole_squares_in_their_order():
    """Numbered tokens: within a picture rows follow rows, mirrored pictures from right to left."""
    numbers = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8)
    images = numbers.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(3, 3, -1, -1)
    canvases, _, owner = make(images=images.contiguous(), labels=torch.zeros(3, dtype=torch.long))
    shown = image_to_patches(canvases, m.PATCH)[..., 0].long()
    mirrored = set()
    for b in range(len(canvases)):
        for one in owner[b].unique():
            at = (owner[b] == one).nonzero()
            if one < 0:
                continue
            (top, left), (bottom, right) = at.amin(0).tolist(), at.amax(0).tolist()
            part = shown[b, top : bottom + 1, left : right + 1]
            assert part.numel() == len(at) and max(part.shape) <= m.PICTURE
            assert (part.diff(dim=0) == 8).all()
            steps = set(part.diff(dim=1).flatten().tolist())
            assert len(steps) <= 1 and steps <= {1, -1}
            mirrored |= steps
            if 0 < top and bottom < m.SIDE - 1:
                assert part.shape[0] == m.PICTURE, "only the canvas cuts pictures off"
            if 0 < left and right < m.SIDE - 1:
                assert part.shape[1] == m.PICTURE
    assert mirrored == {1, -1}


def test_all_places_are_alike():
    _, _, owner = make(4000)
    shares = (owner >= 0).float().mean(0)
    assert shares.max() - shares.min() < 0.06 and 0.75 < shares.mean() < 0.82


def test_seeds():
    one, other, again = make(seed=1), make(seed=2), make(seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])


def test_share_in_window_by_counting():
    _, _, owner = make(3)
    shares = m.share_in_window(owner)
    for b, i, j in product(range(3), range(0, m.SIDE, 3), range(0, m.SIDE, 3)):
        mine = [
            (r, c)
            for r, c in product(range(m.SIDE), range(m.SIDE))
            if owner[b, r, c] == owner[b, i, j]
        ]
        near = [(r, c) for r, c in mine if (r // 8, c // 8) == (i // 8, j // 8)]
        assert shares[b, i, j] == torch.tensor(len(near) / len(mine))


THREE = {"depths": (2, 2, 2), "num_heads": (2, 4, 8)}
SEEING = m.JOBS | {
    "finest": m.Job("the finest of three", model=THREE | {"out_indices": (0,)}),
    "coarsest": m.Job("the coarsest of three", model=THREE | {"out_indices": (2,)}),
}


@pytest.mark.parametrize("name", SEEING)
def test_what_a_token_can_see(name):
    """The token right of the map's middle line, above its middle: of how many tokens it hears."""
    model = m.make_model(SEEING[name], 11)
    canvases = torch.rand(1, 3, 64, 64, requires_grad=True)
    scores = m.token_scores(model, canvases)
    assert scores.shape == (1, 11, m.SIDE, m.SIDE)
    scores[0, 0, 7, 8].backward()
    seen = image_to_patches(canvases.grad.abs(), m.PATCH).sum(-1)[0] > 0
    if name == "shift":
        assert torch.equal(seen.nonzero().amin(0), torch.tensor([0, 8])), "not across the walls"
        assert seen.sum() == 64
    elif name == "finest":  # two windows, moved by half of one, down and across
        assert seen.sum() == 64 and seen[8].any() and seen[:, 7].any()
    elif name in ("windows", "coarsest"):
        assert seen.all()
    else:
        assert 64 <= seen.sum() and seen[8].any() and seen[:, 7].any()


def test_training_measuring_recording(tmp_path, capsys):
    arguments = ["--dataset", "shapes", "--out", str(tmp_path), "--jobs", "whole", "shift"]
    arguments += ["--seeds", "0", "--steps", "2", "--canvases", "10", "--precision", "float32"]
    data = {}

    def drawn(*args, **kwargs):
        return data.setdefault("once", DATA)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(m, "load_dataset", drawn)
        m.main(arguments)
        assert len(capsys.readouterr().out.splitlines()) == 2
        m.main(arguments)  # all is there
        assert capsys.readouterr().out == ""
    assert {p.name for p in tmp_path.iterdir()} == {"shift_seed0.json", "whole_seed0.json"}
    records = m.read_recorded(tmp_path)
    assert list(records) == ["whole", "shift"]
    (entry,) = records["shift"]
    assert entry["right"].shape == entry["shown"].shape == (m.SIDE, m.SIDE)
    assert entry["shown"].sum() == entry["shown_by_share"].sum() == entry["confusion"][:10].sum()
    assert entry["right"].sum() == entry["right_by_share"].sum()
    assert entry["right"].sum() == entry["confusion"][:10].diagonal().sum()
    assert entry["confusion"].sum() == 10 * m.SIDE**2
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        m.read_recorded(tmp_path / "nothing_here")


def test_the_model_learns():
    losses = []
    job = m.Job("small", model={"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 1)}, smooth=True)
    model = m.train(job, DATA, 30, 8, peak=1e-2, on_step=lambda state: losses.append(state["loss"]))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    canvases, wanted, _ = make(5)
    with torch.no_grad():
        found = m.token_scores(model, normalise(canvases, DATA.mean, DATA.std)).argmax(1)
    assert (found == wanted)[wanted == 10].float().mean() > 0.5, "the background is easy"


def test_the_shipped_records_are_of_this_recipe():
    if not RECORDED.exists():
        pytest.skip("not recorded yet")
    for path in RECORDED.glob("*.json"):
        entry = json.loads(path.read_text(encoding="utf-8"))
        assert path.stem == f"{entry['job']}_seed{entry['seed']}"
        assert entry["job"] in m.JOBS and entry["pictures"].startswith("CIFAR-10")
        assert sum(map(sum, entry["confusion"])) == m.TEST_CANVASES * m.SIDE**2


def test_the_figures(figures):
    canvases, wanted, _ = make(3)
    draw.mosaics(canvases, {"wanted": wanted, "found": wanted}, DATA.class_names)
    assert len(figures[-1].axes) == 9
    legend = [text.get_text() for text in figures[-1].legends[0].get_texts()]
    assert legend == [[*DATA.class_names, "background"][c] for c in wanted.unique()]
    draw.sums({"one": torch.tensor([[1, 2], [3, 4]])})
    draw.shares({"where": {"one": 0.5, "two": 0.25}, "what": {"one": 0.1, "two": 1.0}})
    bars = [[bar.get_width() for bar in ax.patches] for ax in figures[-1].axes]
    assert bars == [[0.5, 0.25], [0.1, 1.0]]
    shares = {"right_by_share": torch.arange(4), "shown_by_share": torch.full((4,), 4)}
    draw.by_share({"whole": [shares, shares]})
    assert list(figures[-1].axes[0].lines[0].get_ydata()) == [0, 0.25, 0.5, 0.75]


def test_the_table_of_the_recorded_runs():
    """In data/runs/README.md: a row for each record, with its numbers."""
    text = (RECORDED.parent / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (\d) \| (\d.*%) \|$", text, re.M)
    wanted = []
    for job, entries in m.read_recorded(RECORDED).items():
        for entry in entries:
            shares = entry["right_by_share"] / entry["shown_by_share"]
            all_of_it = entry["right"].sum() / entry["shown"].sum()
            cells = " | ".join(f"{share:.1%}" for share in (all_of_it, *shares))
            wanted.append((job, str(entry["seed"]), cells.replace("%", " %")))
    assert rows == wanted
