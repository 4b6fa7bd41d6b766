"""What every notebook leans on: the comparison, the source on show, the photograph, the map."""

import matplotlib.pyplot as plt
import pytest
import torch

import swinlib
from swinlib.lab import compare, photograph, roadmap, show_source


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
    assert shown.where == "swinlib/shift.py"
    assert shown.code.startswith("def cyclic_shift(") and '"""' not in shown.code
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


def test_roadmap_knows_the_eight_lessons(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    for lesson in range(1, 9):
        roadmap(f"{lesson:02d}")
    plt.close("all")
    with pytest.raises(ValueError, match="'09'"):
        roadmap("09")
