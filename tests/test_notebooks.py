"""The form of the stored notebooks, and tests of the tools that check them.

Running the notebooks is another matter: `pytest --nbval notebooks`.
"""

import base64
import copy
import io
import json
import random
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image, ImageChops, ImageDraw
from PIL.PngImagePlugin import PngInfo

import nbtool
from nbcompare import (
    TOLERANCE,
    decode,
    drawn_by,
    indistinguishable,
    lighter,
    problems,
    thumbnail_distance,
)
from nbform import (
    METADATA,
    WIDGET_VIEW,
    canonical,
    check_file,
    check_rebinding,
    is_readable,
    violations,
)

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = [
    "01_patches",
    "02_attention",
    "03_windows",
    "04_cyclic_shift_masks",
    "05_relative_position_index",
    "06_patch_merging",
    "07_full_model",
    "08_cifar_training",
    "09_from_an_empty_file",
    "10_your_own_pictures",
    "11_dense_prediction",
]


def test_all_notebooks_are_there():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == NAMES


def test_lesson_08_runs_with_the_preset_that_a_laptop_gets_and_is_stopped(tmp_path, monkeypatch):
    """Stored outputs come from a smaller model, with which more sums agree to rounding."""
    for name, value in nbtool.conditions(str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    path = NOTEBOOKS / "08_cifar_training.ipynb"
    lesson = nbformat.read(path, as_version=4)
    chosen = 'training.preset("laptop").replace(epochs=9, train_limit=1000)'
    stop = "def stop(state):\n    if state['epoch'] == 2:\n        raise KeyboardInterrupt\n\n"
    for name, old, new in (
        ("choose", "training.choose_preset()", chosen),
        ("train-run", "result = ", stop + "result = "),
        ("train-run", "monitor.on_step", "stop"),
    ):
        cell = next(cell for cell in lesson.cells if cell.id == name)
        assert cell.source.count(old) == 1
        cell.source = cell.source.replace(old, new)
    here = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(lesson, timeout=nbtool.CELL_TIMEOUT, resources=here).execute()
    assert "Interrupted in epoch 2 of 9" in str(lesson.cells)


@pytest.mark.parametrize("name", NAMES)
def test_form_of(name):
    found = check_file(NOTEBOOKS / f"{name}.ipynb")
    assert not found, "\n".join(found)


# --- small notebooks to check the checker with --------------------------------------------------


def png(*boxes, size=(128, 96), software="matplotlib 1") -> str:
    """A white picture with black boxes, as a notebook stores it."""
    picture = Image.new("RGB", size, "white")
    for box in boxes:
        ImageDraw.Draw(picture).rectangle(box, fill="black")
    return encoded(picture, software)


def encoded(picture, software) -> str:
    buffer = io.BytesIO()
    written = PngInfo()
    written.add_text("Software", software)
    picture.save(buffer, "png", pnginfo=written)
    return base64.b64encode(buffer.getvalue()).decode()


def markdown(name, source):
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def code(name, source, *outputs, count=1, tags=()):
    return {
        "cell_type": "code",
        "execution_count": count,
        "id": name,
        "metadata": {"tags": list(tags)} if tags else {},
        "outputs": list(outputs),
        "source": source,
    }


def stream(text, name="stdout"):
    return {"name": name, "output_type": "stream", "text": text}


def shown(about=None, **data):
    names = {"plain": "text/plain", "html": "text/html", "png": "image/png", "widget": WIDGET_VIEW}
    data = {names[key]: value for key, value in data.items()}
    about = {"alt": "what it shows"} | (about or {})
    said = {"image/png": about} if "image/png" in data else {}
    return {"data": data, "metadata": said, "output_type": "display_data"}


def pictured(**about):
    """A figure whose metadata say something else."""
    output = shown(plain="<Figure>", png=png())
    output["metadata"]["image/png"] |= about
    return output


def notebook(*cells):
    return {
        "cells": list(cells),
        "metadata": copy.deepcopy(METADATA),
        "nbformat": 4,
        "nbformat_minor": 5,
    }


ERROR = {"ename": "ValueError", "evalue": "no", "output_type": "error", "traceback": ["no"]}
WIDGET = shown(plain="ShiftExplorer()", widget={"model_id": "a", "version_major": 2})
FIGURE = shown(plain="<Figure size 128x96 with 1 Axes>", png=png())
LONG = "\n\n".join(f"x{i} = {i}" for i in range(16))


def clean():
    """A notebook with nothing wrong, though much in it comes close."""
    fence = "```python\n# Not a title, and C = 1\n```\nA list `![]`, https://example.org/home/x"
    image = '![a grid](https://example.org/grid.png) <img src="x.png" alt="a grid">'
    return notebook(
        markdown("title", "# Title\n\nText, *and* a look at and/or.\n\n## Part"),
        markdown("fence", fence),
        markdown("image", image),
        code("numbers", "MAGIC = 0xC0FFEE\nprint(MAGIC)", stream("12648430\n")),
        code("fifteen", LONG.replace("x15 = 15", ""), count=2),
        code("figure", "plt.show()", FIGURE, count=3),
        code("raises", "raise ValueError('no')", ERROR, count=4, tags=["raises-exception"]),
        code(
            "widget",
            "ShiftExplorer()",
            {**WIDGET, "data": WIDGET["data"] | FIGURE["data"], "metadata": FIGURE["metadata"]},
            count=5,
        ),
        code("still", "plt.show()", pictured(width=848, letters=9), count=6),
        code(
            "inline", "page", shown(html='<img src="data:image/png;base64,AA+/tmp/+B==">'), count=7
        ),
    )


def test_a_clean_notebook_passes():
    assert violations(clean(), 999_999) == []


CASES = {
    "count skipped": (code("a", "x = 1", count=2), "execution count 2, wanted 1"),
    "never run": (code("a", "x = 1", count=None), "was never run"),
    "output of another run": (
        code("a", "x", {**shown(plain="1"), "execution_count": 7}),
        "output of execution 7",
    ),
    "empty code": (code("a", "\n"), "is empty"),
    "empty markdown": (markdown("a", " \n"), "is empty"),
    "error": (code("a", "x", ERROR), "error in its outputs: ValueError: no"),
    "stderr": (code("a", "x", stream("careful", "stderr")), "stderr in its outputs: 'careful'"),
    "stderr where an error is wanted": (
        code("a", "x", stream("careful", "stderr"), tags=["raises-exception"]),
        "stderr",
    ),
    "path in the source": (code("a", "open('/home/ada/x')"), "path of a machine: /home"),
    "path in the text": (markdown("a", "See /work/course"), "path of a machine: /work"),
    "Windows path": (code("a", r"open('C:\\Users\\ada')"), "path of a machine: C:"),
    "path in a stream": (code("a", "x", stream("/tmp/x.py:3: UserWarning")), "shows a path"),
    "path in html": (code("a", "x", shown(html="<b>/Users/ada</b>")), "shows a path"),
    "address": (code("a", "x", shown(plain="<object at 0x7f12>")), "shows an address"),
    "figure without picture": (
        code("a", "x", shown(plain="<Figure size 640x480 with 1 Axes>")),
        "figure's text without its picture",
    ),
    "html stored beside the plain form": (
        code("a", "x", shown(plain="1", html="<b>1</b>")),
        "holds text/html beside a plain form",
    ),
    "figure without words": (code("a", "x", pictured(alt=" ")), "without alternative text"),
    "figure too wide": (code("a", "x", pictured(width=849)), "849 pixels wide, wanted at most 848"),
    "letters too small": (code("a", "x", pictured(letters=8.9)), "letters of 8.9 pixels"),
    "a photograph without words": (
        code("a", "x", {"output_type": "display_data", "data": {"image/jpeg": ""}, "metadata": {}}),
        "without alternative text",
    ),
    "widget without still": (code("a", "w", WIDGET), "widget without a still picture"),
    "no alternative text": (markdown("a", "![](grid.png)"), "without alternative text: ![]"),
    "no alternative text in html": (markdown("a", '<img src="x.png">'), "without alternative"),
    "empty alternative text": (markdown("a", '<img src="x.png" alt="">'), "without alternative"),
    "attachment": (
        {**markdown("a", "![x](attachment:x.png)"), "attachments": {"x.png": {}}},
        "attachment",
    ),
    "id missing": ({**markdown("a", "text"), "id": None}, "id None is not readable"),
    "id random": (markdown("3f9ab0c1", "text"), "is not readable"),
    "timing in the metadata": (
        {**markdown("a", "text"), "metadata": {"execution": {}}},
        "has metadata {'execution'",
    ),
    "output folded away": (
        {**code("a", "x"), "metadata": {"jupyter": {"outputs_hidden": True}}},
        "has metadata",
    ),
    **{
        f"picture with {name}": (code("a", "x", shown(png=png(), about=about)), message)
        for name, about, message in (
            ("no words", {"alt": " "}, "a picture without alternative text"),
            ("no room", {"width": 849}, "a picture 849 pixels wide"),
            ("small letters", {"letters": 8.9}, "letters of 8.9 pixels"),
            ("crowded words", {"crowded": ["one | two"]}, "run into each other: 'one | two'"),
        )
    },
    "semicolon": (code("a", "plt.plot(x);"), "ends in `;`"),
    "too long": (code("a", LONG), "16 lines of code"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule_is_caught_alone(case):
    cell, message = CASES[case]
    found = violations(notebook(cell))
    assert len(found) == 1 and message in found[0], found


def test_rules_of_the_whole_notebook():
    def only(nb, message, size=0):
        found = violations(nb, size)
        assert len(found) == 1 and message in found[0], found

    only(notebook(markdown("a", "x"), markdown("a", "y")), "taken by an earlier cell")
    only(notebook(markdown("a", "# One\n\n# Two")), "'# Two'")
    only(notebook(markdown("a", "text"), markdown("b", "# Late")), "'# Late'")
    only(notebook(markdown("a", "## Part"), markdown("b", "## Part")), "heading '## Part' is taken")
    only(notebook(), "1,500,000 bytes", size=1_500_000)
    only({**notebook(), "nbformat_minor": 4}, "format 4.4")
    only({**notebook(), "metadata": {**METADATA, "widgets": {}}}, "(has widgets)")
    renamed = {**METADATA, "kernelspec": {"name": "swin"}}
    only({**notebook(), "metadata": renamed}, "not the template")


# Of 400 words and one line of code: two minutes to read.
def timed(said, *exercises):
    table = f"# Title\n\n| | |\n| --- | --- |\n{said}\n\n" + "word " * 370
    asked = [f"Do.\n\n*Difficulty ●○○ · importance ●●○ · {m} minutes*" for m in exercises]
    cells = [markdown(f"exercise-{n}", source) for n, source in enumerate(asked)]
    return notebook(markdown("title", table), *cells, code("a", "x = 1"))


@pytest.mark.parametrize(
    ("said", "exercises"),
    [
        ("| Time | about 2 minutes to read, 15 for the exercises |", (8, 5)),
        ("| Time | 8 minutes to read, 15 for the exercises |", (15,)),
        ("| Time | four sittings |", ()),  # where nothing is asked, nothing adds up
        ("| Length | short |", (8, 5)),
    ],
)
def test_minutes_that_are_right_pass(said, exercises):
    assert violations(timed(said, *exercises)) == []


@pytest.mark.parametrize(
    ("said", "exercises", "message"),
    [
        ("| Time | about 9 minutes to read, 15 for the exercises |", (8, 5), "about 2 minutes"),
        ("| Time | about 2 minutes to read, 10 for the exercises |", (8, 5), "say 15 minutes"),
        ("| Time | about 2 minutes to read |", (8, 5), "say 15 minutes"),
        ("| Time | about 15 minutes for all |", (8, 5), "about 2 minutes"),
    ],
)
def test_minutes_that_nobody_can_keep_are_told(said, exercises, message):
    found = violations(timed(said, *exercises))
    assert any(message in line for line in found) and all("'| Time |" in line for line in found)


@pytest.mark.parametrize("count", range(8))
def test_two_to_five_exercises_where_there_are_any(count):
    cells = [code(f"stub-{n}", f"x{n}", count=n + 1, tags=["exercise"]) for n in range(count)]
    wanted = [] if count in (0, 2, 3, 4, 5) else [f"{count} exercises, wanted 2 to 5"]
    assert violations(notebook(*cells)) == wanted


REBOUND = {
    "a plain name": ("x = 1", "print(x)", "x = 2"),
    "rebound where it is read": ("x = 1", "x = x + 1"),
    "added to": ("total = 0", "total += 1"),
    "a loop's variable": ("i = 0", "print(i)", "for i in range(3):\n    pass"),
    "read in a function": ("x = 1", "def f(y):\n    return x + y", "x = 2"),
    "read in a lambda": ("x = 1", "f = lambda y: x + y", "x = 2"),
    "read in a comprehension": ("x = 1", "[y + x for y in (1, 2)]", "x = 2"),
    "a function": ("def x(): ...", "x()", "def x(): ..."),
    "an import": ("import x", "x.y", "from z import x"),
    "unpacked": ("x, y = 1, 2", "print(x)", "(z, x) = 1, 2"),
    "bound in an if": ("x = 1", "print(x)", "if True:\n    x = 2"),
    "first bound inside a cell of its own": ("x = 1; print(x)", "x = 2", "print(x)"),
}
FREE = {
    "used inside its cells only": ("x = 1\nprint(x)", "x = 2\nprint(x)", "y = 3", "print(y)"),
    "a function's own": ("x = 1", "print(x)", "def f(x):\n    x = 2\n    return x"),
    "a comprehension's own": ("x = 1", "print(x)", "[x for x in (1, 2)]"),
    "a keyword and an attribute": ("x = 1", "print(x)", "y = dict(x=2)", "f.x = 3"),
    "an item": ("x = [1]", "print(x)", "x[0] = 2"),
    "read by nobody": ("x = 1", "x = 2"),
    "a magic": ("%pip install x", "x = 1", "print(x)"),
}


def rebinding(sources):
    cells = [code(f"cell-{n}", source) for n, source in enumerate(sources)]
    return list(check_rebinding(cells))


@pytest.mark.parametrize("case", REBOUND)
def test_a_name_that_others_rely_on_is_not_rebound(case):
    (found,) = rebinding(REBOUND[case])
    name = "total" if case == "added to" else "i" if "loop" in case else "x"
    assert found.startswith(f"name {name!r} is bound in cells cell-0, cell-")


@pytest.mark.parametrize("case", FREE)
def test_names_that_nobody_relies_on_may_be_used_again(case):
    assert rebinding(FREE[case]) == []


def test_check_file_reads_what_is_no_notebook(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text("[]\n")
    assert "cannot be read as a notebook" in check_file(path)[0]
    path.write_text(json.dumps(clean()) + "\n")
    assert check_file(path) == []
    path.write_text(json.dumps(clean()))
    assert check_file(path) == ["x.ipynb: does not end in exactly one newline"]


# --- predictions --------------------------------------------------------------------------------

BOX = "Text.\n\n> **Predict.** How many? **(a)** 1,024 · **(b)** 0.25"
FOLD = "<details><summary>What it means</summary>\n\n**(b)**, since.\n\n</details>\n\nAnd on."


def predicted(box=BOX, answer="print(1 / 4)", fold=FOLD, before="x = 1", between=()):
    cells = [
        code("before", before),
        markdown("box", box),
        code("answer", answer, count=2),
        *between,
        markdown("fold", fold),
    ]
    below = code("below", "assert 1 / 4 == 0.25", count=1 + sum("outputs" in c for c in cells))
    return notebook(*cells, below)


def test_a_prediction_in_its_form_passes():
    assert violations(predicted()) == []
    assert violations(predicted(between=[code("figure", "plt.show()", FIGURE, count=3)])) == []
    assert violations(predicted(before="assert x == 4 and y == 1_025")) == []


PREDICTIONS = {
    "text after the box": ({"box": BOX + "\n\nMore text."}, "the cell's last paragraph"),
    "two boxes": ({"box": f"{BOX}\n\n{BOX}"}, "one box"),
    "another beginning": ({"box": BOX.replace("Predict.", "Predict:")}, "beginning '> **Predict"),
    "no quotation": ({"box": BOX.replace("> ", "")}, "beginning '> **Predict"),
    "no options": (
        {"box": "> **Predict.** How many?"},
        "are wanted in its text, got []",
    ),
    "one option": (
        {"box": "> **Predict.** How many? **(a)** 3", "fold": FOLD.replace("(b)", "(a)")},
        "got ['a']",
    ),
    "an option missing": ({"box": BOX.replace("(a)", "(c)")}, "got ['c', 'b']"),
    "the answer asserted": (
        {"answer": "x = 1 / 4\nassert x == 0.25"},
        "cell 3 asserts before the fold",
    ),
    "the answer asserted without a number": (
        {"answer": "for x in y:\n    assert x"},
        "cell 3 asserts before the fold",
    ),
    "the answer compared": (
        {"answer": 'lab.compare("x", x, y)'},
        "cell 3 asserts before the fold",
    ),
    "asserted in the second cell": (
        {"between": [code("figure", "assert True", count=3)]},
        "cell 4 asserts before the fold",
    ),
    "text before the fold": ({"between": [markdown("c", "*Caption.*")]}, "begins with '<details>"),
    "not folded": ({"fold": "**(b)**, since."}, "begins with '<details>"),
    "no empty line": ({"fold": FOLD.replace("\n\n", "\n")}, "begins with '<details>"),
    "never closed": ({"fold": FOLD.replace("</details>", "")}, "begins with '<details>"),
    "no option named": ({"fold": FOLD.replace("**(b)**", "A quarter")}, "names none of its"),
    "named below the fold only": (
        {"fold": FOLD.replace("**(b)**", "A quarter") + " **(b)**"},
        "names none of its",
    ),
    "asserted above": ({"before": "assert x.sum() == 2**10 == 1024"}, "asserts 1024, which"),
    "asserted above, in several lines": (
        {"before": "assert near(\n    y,\n    0.25,\n)"},
        "cell 1 asserts 0.25, which",
    ),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_each_rule_of_predictions_is_caught_alone(case):
    changed, message = PREDICTIONS[case]
    found = violations(predicted(**changed))
    assert len(found) == 1 and message in found[0], found


def test_a_prediction_that_nothing_answers_is_caught():
    found = violations(notebook(markdown("box", BOX)))
    assert len(found) == 2 and "the next cell is no code that answers it" in found[0], found


# --- the canonical form -------------------------------------------------------------------------


def test_canonical_repairs_what_a_machine_can():
    nb = clean()
    nb["metadata"]["widgets"] = {"state": {}}
    nb["cells"][3]["metadata"] = {"execution": {}, "scrolled": True, "tags": ["picture-varies"]}
    nb["cells"][3]["outputs"] = [stream("1264"), stream("8430\n")]
    nb["cells"][5]["id"] = "3f9ab0c1"
    nb["cells"][8]["id"] = "numbers"
    assert len(violations(nb)) == 4
    canonical(nb)
    assert violations(nb) == []
    assert nb["cells"][3]["outputs"] == [stream("12648430\n")]
    assert nb["cells"][3]["metadata"] == {"tags": ["picture-varies"]}
    assert nb["cells"][7]["outputs"][0]["data"][WIDGET_VIEW]["model_id"] == "widget-1"
    once = json.dumps(nb)
    assert json.dumps(canonical(nb)) == once


def test_ids_come_from_what_the_cell_says():
    cells = [
        markdown(None, "intro\n\n## Why *windows*? The cost, drawn"),
        markdown("7f0ec2de-11f0-4a6b-b9c1-000000000000", "Plain words of a longer paragraph here."),
        code("0a1b2c3d", "\nimport torch\nx = 1"),
        code(None, "import torch"),
        markdown(None, "…"),
        markdown("kept-as-it-is", "text"),
        markdown(None, "Deadbeef"),
    ]
    names = [cell["id"] for cell in canonical(notebook(*cells))["cells"]]
    assert names == [
        "why-windows-the-cost-drawn",
        "plain-words-of-a-longer-paragraph",
        "import-torch",
        "import-torch-2",
        "markdown",
        "kept-as-it-is",
        "cell-deadbeef",
    ]
    assert all(map(is_readable, names))


def test_a_readable_id_is_not_taken_away_by_an_earlier_cell():
    cells = [code(None, "import torch"), code("import-torch", "import torch", count=2)]
    assert [c["id"] for c in canonical(notebook(*cells))["cells"]] == [
        "import-torch-2",
        "import-torch",
    ]


# --- stored against fresh -----------------------------------------------------------------------


def test_equal_outputs_are_no_problem():
    assert problems(code("a", "plt.show()", FIGURE, stream("x")), [FIGURE, stream("x")]) == []


def test_a_cell_that_was_never_run_is_a_problem():
    assert problems(code("a", "x = 1", count=None), []) == ["the stored cell was never run"]


@pytest.mark.parametrize("tags", [(), ("nbval-ignore-output",)])
def test_fresh_stderr_is_a_problem_even_where_outputs_may_differ(tags):
    stored = code("a", "x", stream("careful", "stderr"), tags=tags)
    assert problems(stored, [stream("careful", "stderr")]) == ["it writes to stderr: 'careful'"]


SMALL = shown(plain="<Figure>", png=png(size=(100, 96)))
BLACK = shown(plain="<Figure>", png=png((0, 0, 63, 95)))


@pytest.mark.parametrize(
    ("fresh", "message"),
    [
        ([], "stores 1 pictures and now draws 0"),
        ([FIGURE, FIGURE], "stores 1 pictures and now draws 2"),
        ([SMALL], "another size: stored 128x96, now 100x96"),
        ([BLACK], "off by 127.5 of 255"),
    ],
)
def test_changed_pictures_are_problems(fresh, message):
    found = problems(code("a", "x", FIGURE), fresh)
    assert len(found) == 1 and message in found[0], found
    assert problems(code("a", "x", FIGURE, tags=["nbval-ignore-output"]), fresh) == []
    varies = problems(code("a", "x", FIGURE, tags=["picture-varies"]), fresh)
    assert bool(varies) == (len(fresh) != 1)


def test_what_differs_in_one_place_is_a_problem():
    """A title that is gone, two curves whose colours are exchanged: little on the whole."""

    def drawn(*colours):
        picture = Image.new("RGB", (640, 480), "white")
        for row, colour in enumerate(colours):
            picture.paste(colour, (100, 200 + 100 * row, 500, 206 + 100 * row))
        return picture

    stored, exchanged, gone = drawn("red", "blue"), drawn("blue", "red"), drawn("red")
    for picture in (exchanged, gone):
        assert thumbnail_distance(stored, picture) < TOLERANCE
        found = problems(
            code("a", "x", shown(png=encoded(stored, ""))), [shown(png=encoded(picture, ""))]
        )
        assert len(found) == 1 and "looks different in one place" in found[0]
    moved = shown(png=encoded(ImageChops.offset(stored, 1), ""))
    assert problems(code("a", "x", shown(png=encoded(stored, ""))), [moved]) == []


def test_small_differences_of_rendering_pass():
    a, b = decode(png((10, 10, 60, 60))), decode(png((10, 10, 60, 60), (100, 90, 101, 91)))
    assert 0 < thumbnail_distance(a, b) < TOLERANCE


def test_another_version_of_the_drawing_library_is_given_more_room():
    def drawn(*boxes, width, software):
        return shown(png=png(*boxes, size=(width, 96), software=software))

    stored = code("a", "x", drawn(width=128, software="matplotlib 1"))
    for box, width in [((0, 0, 127, 3), 128), (None, 136)]:
        boxes = [box] if box else []
        assert problems(stored, [drawn(*boxes, width=width, software="matplotlib 1")])
        assert not problems(stored, [drawn(*boxes, width=width, software="matplotlib 2")])
    assert problems(stored, [drawn((0, 0, 127, 20), width=128, software="matplotlib 2")])


def test_transparent_pictures_are_seen_on_white():
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(buffer, "png")
    assert decode(base64.b64encode(buffer.getvalue()).decode()).getextrema() == 3 * ((255, 255),)


def card() -> Image.Image:
    """A photograph in skin and sky that fills a card with round corners, beside a narrow bar."""
    draw = random.Random(1)
    card = Image.new("RGB", (640, 400), (247, 248, 250))
    card.paste((232, 236, 241), (574, 10, 594, 390))  # the style's pale, on its paper
    photograph = Image.new("RGB", (12, 9))
    shades = ((230, 160, 130), (190, 110, 80), (120, 70, 50), (70, 110, 180), (30, 30, 40))
    photograph.putdata(draw.choices(shades, k=12 * 9))
    card.paste(photograph.resize((560, 380), Image.Resampling.BICUBIC), (10, 10))
    for y in range(380):  # cividis, nearly, from dark blue to yellow
        card.paste(
            (y * 254 // 380, 34 + y * 198 // 380, 78 - y * 23 // 380), (600, 10 + y, 606, 11 + y)
        )
    corners = Image.new("L", card.size)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, 639, 399), 16, fill=255)
    card.putalpha(corners.point(lambda alpha: 255 * (alpha > 127)))
    return card


def test_lighter_cards_keep_rare_colours_and_round_corners():
    heavy = encoded(card(), "matplotlib 1")
    light = lighter(heavy)
    assert len(light) < 0.9 * len(heavy)
    stored = Image.open(io.BytesIO(base64.b64decode(light))).convert("RGBA")
    assert stored.getpixel((0, 0))[3] == 0 and stored.getpixel((320, 200))[3] == 255
    assert decode(light).getpixel((0, 0)) == (255, 255, 255)
    assert decode(light).getpixel((320, 3)) == (247, 248, 250)
    assert decode(light).getpixel((580, 100)) == (232, 236, 241)
    off = ImageChops.difference(decode(heavy), decode(light)).crop((600, 10, 606, 390))
    assert max(high for _, high in off.getextrema()) < 16  # of 255


def test_another_colour_of_the_same_grey_is_another_picture():
    khaki, orange = (encoded(Image.new("RGB", (64, 64), c), "") for c in ("#a69d75", "#e87f5a"))
    grey = [decode(p).convert("L").getpixel((0, 0)) for p in (khaki, orange)]
    assert abs(grey[0] - grey[1]) <= TOLERANCE
    assert not indistinguishable(decode(khaki), decode(orange))


def test_lighter_pictures_look_the_same_and_stay():
    colourful = Image.frombytes("RGB", (8, 6), random.Random(0).randbytes(8 * 6 * 3))
    heavy = encoded(colourful.resize((128, 96), Image.Resampling.BICUBIC), "matplotlib 1")
    light = lighter(heavy)
    assert len(light) < 0.9 * len(heavy)
    assert drawn_by(decode(light)) == "matplotlib 1"
    assert thumbnail_distance(decode(heavy), decode(light)) < TOLERANCE
    assert lighter(light) == light
    see_through = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 99)), "matplotlib 1")
    assert lighter(see_through) == see_through


def test_a_changed_letter_is_not_indistinguishable():
    plain, dot, letter = png(), png((50, 50, 50, 50)), png((50, 50, 54, 50), (52, 50, 52, 58))
    assert indistinguishable(decode(plain), decode(dot))
    assert not indistinguishable(decode(plain), decode(letter))
    assert not indistinguishable(decode(plain), decode(png(size=(128, 97))))


# --- the command --------------------------------------------------------------------------------


SOURCE = """
import os
import matplotlib.pyplot as plt
from swinlib.lab.showing import show
plt.plot([1, 2])
print("preset", os.environ["SWINLIB_PRESET"], end="", flush=True)
print(", data", os.environ["SWINLIB_DATASET"])
show(plt.gcf(), "A line that rises.")
"""


def test_refresh_leaves_a_file_that_passes_and_stays(tmp_path):
    path = tmp_path / "lesson.ipynb"
    nb = notebook(markdown("0a1b2c3d", "# Lesson"), code("4e5f6a7b", SOURCE, count=None))
    del nb["cells"][0]["id"]
    nb["metadata"] = {"kernelspec": {"name": "elsewhere", "display_name": "Elsewhere"}}
    path.write_text(json.dumps(nb))
    with pytest.warns(nbformat.warnings.MissingIDFieldWarning):
        assert nbtool.main(["refresh", str(path)]) == 0
    first = path.read_bytes()
    assert check_file(path) == [] and nbformat.validate(json.loads(first)) is None
    assert b"preset smoke, data shapes" in first and b"image/png" in first
    assert nbtool.main(["refresh", str(path)]) == 0
    assert path.read_bytes() == first


def test_refresh_leaves_a_notebook_that_fails_alone(tmp_path, capsys):
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps(notebook(code("a", "1 / 0"))))
    before = path.read_bytes()
    assert nbtool.main(["refresh", str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_refresh_keeps_pictures_unless_told(tmp_path, capsys):
    path = tmp_path / "lesson.ipynb"
    source = "from swinlib.lab.showing import show\nimport matplotlib.pyplot as plt\n"
    source += "plt.plot([1])\nshow(plt.gcf(), 'A point.')"
    two = code("two", source, FIGURE, FIGURE)
    path.write_text(json.dumps(notebook(two)) + "\n")
    before = path.read_bytes()
    assert nbtool.main(["refresh", str(path)]) == 1
    assert path.read_bytes() == before
    assert "cell two: 2 pictures before, 1 now" in capsys.readouterr().out
    assert nbtool.main(["refresh", "--fewer-pictures", str(path)]) == 0
    assert path.read_bytes() != before


def test_refresh_under_somebodys_own_settings(tmp_path, monkeypatch):
    """What is stored is the same, to the byte."""
    (plain := tmp_path / "plain.ipynb").write_text(json.dumps(notebook(code("a", SOURCE))))
    (own := tmp_path / "own.ipynb").write_bytes(plain.read_bytes())
    assert nbtool.main(["refresh", str(plain)]) == 0

    profile = tmp_path / "ipython" / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "00.py").write_text(
        "print('hello'); import warnings; warnings.warn('x')"
    )
    (profile / "ipython_config.py").write_text(
        "get_config().InlineBackend.figure_formats = {'svg'}"
    )
    (tmp_path / "ipython" / "matplotlibrc").write_text("figure.dpi: 40\naxes.grid: True\n")
    for name, value in {
        "MPLBACKEND": "Agg",
        "MATPLOTLIBRC": str(tmp_path / "ipython"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONWARNINGS": "error",
        "FORCE_COLOR": "1",
        "SWINLIB_PRESET": "laptop",
    }.items():
        monkeypatch.setenv(name, value)
    assert nbtool.main(["refresh", str(own)]) == 0
    assert own.read_bytes() == plain.read_bytes()


def test_check_knows_the_pictures_of_the_last_commit(tmp_path, capsys):
    if not shutil.which("git"):
        pytest.skip("no git to ask")
    path = tmp_path / "lesson.ipynb"
    kept, changed = code("kept", "plt.show()", FIGURE), code("changed", "f()", FIGURE, count=2)
    path.write_text(json.dumps(notebook(kept, changed)) + "\n")
    assert nbtool.main(["check", str(path)]) == 0  # git knows nothing of it
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init"], ["add", "."], ["commit", "-m", "as it was"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    assert nbtool.main(["check", str(path)]) == 0
    kept["outputs"], changed["outputs"], changed["source"] = [], [], "f(1)"
    path.write_text(json.dumps(notebook(kept, changed)) + "\n")
    capsys.readouterr()
    assert nbtool.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "lesson.ipynb: cell kept: 1 pictures before, 0 now" in out and "changed" not in out


def test_check_reports_and_fails(tmp_path, capsys):
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps(notebook(code("a", "x;"))) + "\n")
    assert nbtool.main(["check", str(path)]) == 1
    assert "lesson.ipynb: cell 1 (a): ends in `;`" in capsys.readouterr().out


def test_an_unknown_notebook_is_named():
    with pytest.raises(SystemExit, match="no notebook called '99'"):
        nbtool.main(["check", "99"])


def test_pictures_stay_only_where_nothing_is_to_be_seen():
    def pair(stored, fresh):
        old, new = (notebook(code("a", "x", shown(png=data))) for data in (stored, fresh))
        nbtool.keep_pictures(old, new)
        return new["cells"][0]["outputs"][0]["data"]["image/png"]

    dot, box = png((50, 50, 50, 50)), png((50, 50, 60, 60))
    assert pair(png(), dot) == png()
    assert pair(png(), box) == box
