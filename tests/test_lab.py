"""What every notebook leans on: the comparison, the source on show, the photograph, the map."""

import io
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_rgb
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

import swinlib
from nbtool import conditions
from swinlib.lab import compare, photograph, roadmap, setup, show_source, showing
from swinlib.lab.learner import lessons
from swinlib.lab.style import ACCENT, INK, PALE, REGION_COLOURS, marked, panels, titled


def test_compare_prints_the_same_line_however_close(capsys):
    x = torch.linspace(-2, 3, 12).view(3, 4)
    compare("same", x, x.clone(), exact=True)
    compare("close", x, x + 1e-6)
    compare("equal", x, x)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "same: equal to the last bit, shape (3, 4)"
    assert lines[1].removeprefix("close") == lines[2].removeprefix("equal")


def test_compare_names_the_worst_place():
    x = torch.linspace(-2, 3, 12).view(3, 4)
    off = x.clone()
    off[1, 2] += 0.5
    with pytest.raises(AssertionError, match=r"largest difference 0\.5 at \(1, 2\)"):
        compare("x", off, x)
    with pytest.raises(AssertionError):  # close is not exact
        compare("x", x + 1e-6, x, exact=True)
    off[1, 2] = float("nan")
    with pytest.raises(AssertionError, match=r"inf at \(1, 2\), where ours is nan"):
        compare("x", off, x)
    with pytest.raises(AssertionError, match=r"shapes differ, \(4, 3\) and \(3, 4\)"):
        compare("x", x.T, x)


def test_source_is_the_function_without_its_docstring():
    shown = show_source(swinlib.cyclic_shift)
    assert shown.title == "swinlib/shift.py"
    assert shown.code.startswith("@checked(") and '"""' not in shown.code
    assert "\ndef cyclic_shift(" in shown.code
    assert "torch.roll(x, shifts=(-sh, -sw), dims=(1, 2))" in shown.code
    assert '"""' in show_source(swinlib.cyclic_shift, docstring=True).code
    methods = show_source(swinlib.PatchMerging).code
    assert "def forward" in methods and '"""' not in methods
    compile(methods, "shown", "exec")


@pytest.mark.parametrize("size", [(600, 512), (64, 64), (33, 57), (700, 100)])
def test_photograph_fills_any_size(size):
    image = photograph(*size)
    assert image.shape == (3, *size) and image.dtype == torch.float32
    assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.1


@pytest.fixture
def displayed(monkeypatch):
    """What is shown, in place of showing it."""
    shown = []
    monkeypatch.setattr(showing, "display", shown.append)
    return shown


@pytest.mark.parametrize("lesson", lessons(), ids=lambda path: path.stem)
def test_roadmap_leads_to_the_other_lessons(lesson, displayed):
    """One link at least to each that has a piece on the map; each on its box."""
    roadmap(lesson.name[:2])
    (picture,) = displayed
    others = {path.name for path in lessons() if path.name[:2] != "09"}  # which makes all of them
    assert {link["to"] for link in picture.links} == others - {lesson.name}
    card = Image.open(io.BytesIO(picture.png)).convert("RGB")
    for link in picture.links:
        box = [float(share) / 100 for share in re.findall(r"[\d.]+", link["place"])]
        left, right = card.width * box[0], card.width * (box[0] + box[2])
        top, bottom = card.height * box[1], card.height * (box[1] + box[3])
        assert filled(card.crop((left + 8, top + 8, right - 8, bottom - 8))) > 0.5, link
        for strip in (
            (left - 8, top, left - 4, bottom),
            (right + 4, top, right + 8, bottom),
            (left, top - 8, right, top - 4),
            (left, bottom + 4, right, bottom + 8),
        ):
            assert filled(card.crop(strip)) < 0.1, link
    assert [named(link) for link in stored_map(lesson)["links"]] == list(map(named, picture.links))
    with pytest.raises(ValueError, match="'12'"):
        roadmap("12")


def named(link: dict) -> tuple[str, str]:
    return link["to"], link["name"]


def stored_map(lesson: Path) -> dict:
    """What the stored notebook says of its map, from which the web site takes the links."""
    cells = json.loads(lesson.read_bytes())["cells"]
    (cell,) = [c for c in cells if f'lab.roadmap("{lesson.name[:2]}")' in "".join(c["source"])]
    about = [output.get("metadata", {}).get("image/png") for output in cell["outputs"]]
    return next(filter(None, about))


def filled(card: Image.Image) -> float:
    """How much of it has the colours of the map's boxes."""
    colours = {tuple(round(255 * c) for c in to_rgb(colour)) for colour in (PALE, ACCENT)}
    return sum(n for n, colour in card.getcolors(10**6) if colour in colours) / (
        card.width * card.height
    )


def test_an_untrusted_page_can_have_the_links():
    """JupyterLab keeps of untrusted HTML what is listed here, and leads only an <a> anywhere."""
    html = showing.linked("<img>", [{"to": "a.ipynb", "name": "a & b", "place": "left:1%"}] * 2)
    assert re.findall(r"<a href=\"a.ipynb\"[^>]*>a &amp; b</a>", html)
    assert set(re.findall(r"<(\w+)", html)) == {"style", "div", "img", "a"}
    assert html.count('tabindex="-1"') == 1


def test_words_that_run_into_others_are_found():
    figure, (left, right) = plt.subplots(1, 2, figsize=(4, 2), layout="constrained")
    left.set(title="as wide as it may be", ylabel="some")
    right.set(title="another", xticks=(0.2, 0.8))
    apart = showing.picture(figure, "x")._repr_mimebundle_()[1]["image/png"]
    left.set_title("much wider than its own panel has room")
    right.set_xticks((0.4, 0.5), ("below the axis", "and beside it"))
    assert "crowded" not in apart
    assert sorted(showing.crowded(figure), reverse=True) == [
        "much wider than its own panel has room | another",
        "below the axis | and beside it",
    ]
    about = showing.picture(figure, "x")._repr_mimebundle_()[1]["image/png"]
    assert about["crowded"] == showing.crowded(figure)
    plt.setp(right.get_xticklabels(), rotation=40)  # side by side, as slanting labels are
    left.set_title("in two lines,\nnarrow")
    assert not showing.crowded(figure)
    right.set_xlim(0, 0.3)  # where only one of them is
    assert [text for text in showing.words(figure) if "beside" in text.get_text()] == []
    right.axis("off")
    assert "below the axis" not in [text.get_text() for text in showing.words(figure)]
    plt.close(figure)


# What red and green look like without one of the three cones, in linear RGB: Machado, Oliveira and
# Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency, 2009.
EYES = {
    "all cones": ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)),
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
}
XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


def seen_as(colour: str, eye: str) -> torch.Tensor:
    """CIELAB of a colour as an eye sees it; 10 apart are told apart at a glance."""
    srgb = torch.tensor(to_rgb(colour))
    linear = torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = torch.tensor(XYZ) @ (torch.tensor(EYES[eye]) @ linear).clamp(0, 1)
    seen = seen / torch.tensor([0.9505, 1, 1.089])
    x, y, z = torch.where(seen > 0.008856, seen ** (1 / 3), 7.787 * seen + 16 / 116)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", EYES)
def test_colours_of_regions_can_be_told_apart(eye):
    colours = torch.stack([seen_as(c, eye) for c in (*REGION_COLOURS, INK, PALE)])
    distances = torch.cdist(colours, colours)
    assert distances[~torch.eye(len(colours), dtype=torch.bool)].min() > 10


def test_exhibits_are_marked_right_and_wrong():
    assert marked({"a": 1, "b": 2, "c": 3}) == {"✓ a": 1, "✗ b": 2, "✗ c": 3}


def test_titles_are_as_wide_as_their_panels():
    figure, axes = panels(4, 2)
    for ax in axes:
        titled(ax, "the relative position bias of another window\n13 x 13")
    # Another test in this process may have set the lessons' style, whose titles stand at the left.
    title = axes[0].get_title(plt.rcParams["axes.titlelocation"])
    assert title.count("\n") >= 2 and title.endswith("\n13 x 13")
    assert not showing.picture(figure, "x").crowded
    plt.close(figure)


# --- a notebook's setup, whatever its environment is ----------------------------------------------

DRAW = """
import torch
from matplotlib import pyplot as plt
from swinlib import lab
from swinlib.lab import showing
lab.setup()
figure, ax = plt.subplots()
ax.plot([1, 4, 2], label="a line"); ax.set_title("As in every lesson"); ax.legend()
showing.show(figure, "A line from 1 to 4 and down to 2.")
print(torch.get_num_threads(), torch.tensor(1 / 3))
"""
FOREIGN_STYLE = """
backend: svg
figure.dpi: 40
font.size: 25
axes.grid: True
figure.constrained_layout.use: True
lines.linewidth: 9
axes.prop_cycle: cycler('color', ['k'])
"""


def run_in_kernel(source, folder, **environment):
    """The outputs of one cell in a kernel with these variables, and without those left None."""
    variables = conditions(str(folder / "ipython")) | environment
    variables = {name: value for name, value in variables.items() if value is not None}
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute(env=variables)
    return notebook.cells[0].outputs


def drawn(outputs):
    return [
        output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]


@pytest.fixture(scope="module")
def as_always(tmp_path_factory):
    return run_in_kernel(DRAW, tmp_path_factory.mktemp("as-always"))


@pytest.mark.parametrize("backend", ["agg", "svg", "TkAgg"])
def test_figures_appear_whatever_the_environment_says(backend, as_always, tmp_path):
    (rc := tmp_path / "matplotlibrc").write_text(FOREIGN_STYLE)
    outputs = run_in_kernel(
        DRAW, tmp_path, MPLBACKEND=backend, MATPLOTLIBRC=str(rc), OMP_NUM_THREADS=None
    )
    assert drawn(outputs) == drawn(as_always) and len(drawn(outputs)) == 1
    assert outputs[-1]["text"] == as_always[-1]["text"] == "1 tensor(0.3333)\n"


def test_threads_that_were_asked_for_stay(tmp_path):
    outputs = run_in_kernel(DRAW, tmp_path, OMP_NUM_THREADS="2", MKL_NUM_THREADS=None)
    assert outputs[-1]["text"].startswith("2 ")


def test_setup_outside_a_notebook_leaves_the_backend(monkeypatch):
    before = plt.get_backend()
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    setup()
    assert plt.get_backend() == before
