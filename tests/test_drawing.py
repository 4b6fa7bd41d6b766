"""swinlib.lab.drawing: the shapes that are written as SVG and painted as PNG."""

import base64
import io
import json
import math
import random
import xml.etree.ElementTree as ET

import pytest
import torch

pytest.importorskip("matplotlib")

from drawing_reader import cells, fill_at, lit_by, part_at, text_at  # noqa: E402
from matplotlib import image as mpl_image  # noqa: E402

from swinlib.lab import drawing as module  # noqa: E402
from swinlib.lab.drawing import Drag, Drawing, hex_colour, is_dark, part, short  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
RED, BLUE, WHITE, BLACK = "#ff0000", "#0000ff", "#ffffff", "#000000"


def svg(drawing):
    return ET.fromstring(drawing.svg())


def only(drawing, tag):
    """The one element of this kind behind the white background."""
    found = svg(drawing).findall(f"{SVG}{tag}")
    return found[-1] if tag == "rect" else found[0]


def pixels(drawing, scale=1.0):
    """The painted picture, (height, width, 3) of bytes."""
    picture = mpl_image.imread(io.BytesIO(drawing.png(scale)), format="png")
    return torch.from_numpy((picture[..., :3] * 255).round()).byte()


def colour_at(picture, x, y):
    return "#" + bytes(picture[int(y), int(x)].tolist()).hex()


# --- colours and numbers --------------------------------------------------------------------------


def test_a_colour_mixed_with_white():
    assert hex_colour(RED) == RED
    assert hex_colour(RED, 0) == WHITE
    assert hex_colour(BLACK, 0.5) == "#808080"


def test_which_text_a_colour_takes():
    assert is_dark(BLACK) and is_dark(BLUE) and is_dark("#12305c")
    assert not is_dark(WHITE) and not is_dark("#f6e27a") and not is_dark("#e8ecf1")


@pytest.mark.parametrize(
    "number, text",
    [
        (0, "0"),
        (999_999, "999,999"),
        (1_234_567, "1.23 M"),
        (12_345_678, "12.3 M"),
        (145_000_000, "145 M"),
        (2_003_828_736, "2.00 G"),
        (4_500_000_000_000, "4,500 G"),
    ],
)
def test_a_large_number_in_three_digits(number, text):
    assert short(number) == text


# --- SVG ------------------------------------------------------------------------------------------


def test_the_caption_is_there_for_screen_readers():
    caption = 'Less < more & "quoted" ≠ a\'b.'
    root = svg(Drawing(40, 30, caption))
    assert root.get("aria-label") == root.find(f"{SVG}title").text == caption
    assert root.get("role") == "img" and root.get("viewBox") == "0 0 40 30"
    assert root.find(f"{SVG}rect").get("fill") == WHITE  # readable in a dark notebook


def test_a_rectangle():
    drawing = Drawing(40, 30)
    drawing.rect(1, 2.125, 3, 4.5, RED)
    rect = only(drawing, "rect")
    place = [rect.get(name) for name in ("x", "y", "width", "height", "fill")]
    assert place == ["1", "2.12", "3", "4.5", RED]
    assert {"stroke", "opacity", "stroke-dasharray"}.isdisjoint(rect.keys())

    drawing.rect(0, 0, 5, 5, stroke=BLUE, line=2, dash=True, opacity=0.25)
    rect = only(drawing, "rect")
    assert (rect.get("fill"), rect.get("stroke"), rect.get("stroke-width")) == ("none", BLUE, "2")
    assert rect.get("opacity") == "0.25" and rect.get("stroke-dasharray")


def test_text_is_escaped_and_never_a_number():
    drawing = Drawing(40, 30)
    drawing.text(20, 15, "<a & b>", 11, "end", RED, bold=True)
    text = only(drawing, "text")
    assert text.text == "<a & b>" and text.get("text-anchor") == "end"
    assert text.get("font-weight") == "bold" and text.get("font-size") == "11"
    drawing.text(1, 2, 0)
    assert drawing.shapes[-1][1]["text"] == "0"
    drawing.text(1, 2, "")
    assert len(drawing.shapes) == 2  # nothing is never written


def test_lines_and_arrows():
    drawing = Drawing(60, 60)
    drawing.line(1, 2, 3, 4, RED, 2, dash=True)
    assert only(drawing, "line").get("stroke-dasharray")
    for end in ((50, 30), (10, 30), (30, 50), (30, 10), (30, 30)):
        drawing.arrow(30, 30, *end, BLUE)
        points = drawing.shapes[-1][1]["points"]
        assert points[0] == end  # its tip
        base = [(a + b) / 2 for a, b in zip(*points[1:], strict=True)]
        assert end == (30, 30) or math.dist(base, (30, 30)) < math.dist(end, (30, 30))
        assert all(abs(x - end[0]) + abs(y - end[1]) < 10 for x, y in points)
    assert svg(drawing).findall(f"{SVG}polygon")[0].get("fill") == BLUE


def test_a_polyline():
    drawing = Drawing(60, 60)
    drawing.polyline([(1, 2), (30, 2.125), (30, 40)], RED, 3, dash=True)
    line = only(drawing, "polyline")
    assert line.get("points") == "1,2 30,2.12 30,40" and line.get("fill") == "none"
    assert (line.get("stroke"), line.get("stroke-width")) == (RED, "3")
    assert line.get("stroke-dasharray")
    for too_few in ([], [(1, 2)]):
        drawing.polyline(too_few, RED)
    assert len(drawing.shapes) == 1


def test_an_image_holds_its_pixels():
    picture = torch.rand(3, 5, 4)
    drawing = Drawing(60, 60)
    drawing.image(1, 2, 40, 50, picture)
    image = only(drawing, "image")
    kind, data = image.get("href").split(",")
    assert kind == "data:image/png;base64" and image.get("style") is None
    stored = mpl_image.imread(io.BytesIO(base64.b64decode(data)), format="png")[..., :3]
    assert (torch.from_numpy(stored).permute(2, 0, 1) - picture).abs().max() <= 1 / 255
    drawing.image(1, 2, 40, 50, picture, pixelated=True)
    assert "pixelated" in svg(drawing).findall(f"{SVG}image")[1].get("style")


def test_an_image_is_encoded_once(monkeypatch):
    encoded, imsave = [], mpl_image.imsave
    monkeypatch.setattr(
        module.mpl_image, "imsave", lambda *a, **k: (encoded.append(1), imsave(*a, **k))
    )
    one, same_numbers = torch.full((3, 4, 4), 0.5), torch.full((3, 4, 4), 0.5)
    for picture in (one, one, same_numbers, one):
        drawing = Drawing(10, 10)
        drawing.image(0, 0, 10, 10, picture)
        drawing.svg()
    assert len(encoded) == 2


# --- grids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("H, W", [(1, 1), (1, 7), (6, 1), (5, 8), (12, 3)])
@pytest.mark.parametrize("colours", [1, 2, 5])
def test_a_grid_colours_every_cell(H, W, colours):
    chance = random.Random(H * 100 + W * 10 + colours)
    palette = [RED, BLUE, WHITE, BLACK, "#00ff00"][:colours]
    fills = [[chance.choice(palette) for _ in range(W)] for _ in range(H)]
    fills[H // 2] = fills[0]
    drawing = Drawing(200, 200)
    drawing.grid(7, 5, 4, fills)
    assert cells(fill_at, drawing, 7, 5, 4, H, W) == fills
    area = sum(s["width"] * s["height"] for k, s in drawing.shapes if s["fill"] != "none")
    assert area == pytest.approx(16 * H * W)  # none twice
    if colours == 1:
        assert sum(s["fill"] != "none" for _, s in drawing.shapes) == 1  # joined to one


def test_a_grid_writes_in_its_cells():
    words = [["a", "", "bb"], ["10", "-7", ""]]
    fills = [[WHITE, BLACK, BLACK], [RED, WHITE, BLUE]]
    drawing = Drawing(200, 200)
    drawing.grid(10, 20, 30, fills, words)
    read = cells(text_at, drawing, 10, 20, 30, 2, 3)
    assert read == [["a", None, "bb"], ["10", "-7", None]]
    by_text = {s["text"]: s for kind, s in drawing.shapes if kind == "text"}
    assert by_text["bb"]["fill"] == WHITE and not is_dark(WHITE)
    assert by_text["a"]["fill"] is None  # on white, the page's own ink
    assert len({s["size"] for s in by_text.values()}) == 1
    drawing.grid(10, 20, 30, fills, words, size=5)
    assert drawing.shapes[-2][1]["size"] == 5
    # Cells that move by themselves look the same.
    drawing, keys = Drawing(200, 200), [[(f"{i} {j}", "a & b") for j in range(3)] for i in range(2)]
    drawing.grid(10, 20, 30, fills, words, keys=keys)
    assert cells(fill_at, drawing, 10, 20, 30, 2, 3) == fills
    assert cells(text_at, drawing, 10, 20, 30, 2, 3) == read
    groups = svg(drawing).findall(f"{SVG}g")
    assert [g.get("data-key") for g in groups] == ["0 0", "0 1", "0 2", "1 0", "1 1", "1 2"]
    assert {g.get("data-from") for g in groups} == {"a & b"}
    assert [len(g) for g in groups] == [2, 1, 2, 2, 2, 1]  # a rectangle, and its words


# --- what can be touched --------------------------------------------------------------------------


@pytest.fixture
def touched():
    """Two tokens, the pairs they make, and a table of two entries."""
    drawing = Drawing(90, 30, "Pairs.")
    tokens = [part(f"token {n}", {"query": n}, token=n) for n in range(2)]
    drawing.touch("tokens", 0, 0, 10, None, 1, tokens)
    rows = [part(f"i {n}", {"query": n}, query=n, token=n) for n in range(2)]
    columns = [part(f"j {n}", {"key": n}, key=n, token=n) for n in range(2)]
    entries = [part(f"entry {n}", entry=n) for n in (0, 1)]
    cells = [entries[0], entries[1], entries[1], entries[0]]
    drawing.touch("pairs", 30, 0, 10, 10, rows, columns, cells, drag=[Drag("query", "down", 10)])
    drawing.touch("table", 60, 0, 10, 10, entries, 1)
    return drawing


def test_what_belongs_together_lights_up(touched):
    first = {("pairs", 0, 0), ("pairs", 0, 1), ("pairs", 1, 0), ("tokens", 0, 0)}
    assert lit_by(touched, "tokens", 0, 0) == first  # a token, its row and its column
    pair = {("pairs", 0, 1), ("tokens", 0, 0), ("tokens", 0, 1), ("table", 1, 0)}
    assert lit_by(touched, "pairs", 0, 1) == pair  # not the pair of the same tokens turned round
    assert lit_by(touched, "table", 1, 0) == {("table", 1, 0), ("pairs", 0, 1), ("pairs", 1, 0)}
    assert Drawing(1, 1).fields() == {}
    with pytest.raises(KeyError):
        lit_by(touched, "nowhere")


def test_a_place_says_what_its_row_its_column_and_its_cell_say(touched):
    place = part_at(touched, "pairs", 1, 0)
    assert place.sets == {"query": 1, "key": 0} and place.name == "i 1, j 0, entry 1"
    assert place.about == {"query-1", "token-1", "key-0", "token-0", "entry-1"}
    assert part(pair=(3, 7), token=[1, 2], padding=None).about == {"pair-3-7", "token-1", "token-2"}
    with pytest.raises(ValueError, match="cells must be 2 x 1 parts, got 3 in 'odd'"):
        touched.touch("odd", 0, 0, 5, None, [part()] * 2, [part()], [part()] * 3)


def test_svg_carries_it_and_png_does_not(touched):
    fields = svg(touched).findall(f"{SVG}g")
    assert [field.get("data-panel") for field in fields] == ["tokens", "pairs", "table"]
    assert {field.get("class") for field in fields} == {"swin-field"}
    said = json.loads(fields[1].get("data-field"))
    assert said["rows"][1] == {"about": "query-1 token-1", "sets": {"query": 1}, "name": "i 1"}
    assert len(said["cells"]) == 4 and said["drag"][0]["name"] == "query"
    assert svg(touched).get("role") == "group" and fields[0].get("tabindex") == "0"
    bare = Drawing(90, 30, "Pairs.")
    assert touched.png() == bare.png()


def test_a_still_says_how_to_bring_it_to_life():
    drawing = Drawing(400, 100, "A sentence of some length, " * 5)
    height = mpl_image.imread(io.BytesIO(drawing.still("Run this cell.", 1)), format="png").shape[0]
    assert height >= 100 + 17 * 4 and len(drawing.shapes) == 0


def test_a_grids_lines_and_frames():
    fills = [[WHITE] * 6 for _ in range(4)]

    def lines(**options):
        drawing = Drawing(200, 200)
        drawing.grid(10, 20, options.pop("cell", 20), fills, **options)
        lines = [s for kind, s in drawing.shapes if kind == "line"]
        return drawing, lines

    _, thin = lines()
    assert len(thin) == 3 + 5 and {s["stroke"] for s in thin} == {WHITE}
    assert lines(gaps=False)[1] == lines(cell=5)[1] == []
    drawing, cuts = lines(
        gaps=False, row_cuts=[2], column_cuts=[2, 4], frames=[((1, 2, 2, 3), RED)]
    )
    assert [(s["x1"], s["y1"], s["x2"], s["y2"]) for s in cuts] == [
        (10, 60, 130, 60),
        (50, 20, 50, 100),
        (90, 20, 90, 100),
    ]
    frame = drawing.shapes[-1][1]
    assert frame["stroke"] == RED and frame["fill"] == "none"
    assert [frame[name] for name in ("x", "y", "width", "height")] == [50, 40, 60, 40]


def test_bars():
    drawing = Drawing(400, 100)
    rows = [("one", [(0.5, RED), (0.25, BLUE)], "75"), ("two", [(0, RED)], "nothing")]
    drawing.bars(10, 20, 200, rows, label=50, height=30)
    bars = [s for kind, s in drawing.shapes if kind == "rect"]
    assert [(s["x"], s["width"], s["fill"]) for s in bars] == [(60, 100, RED), (160, 50, BLUE)]
    written = {s["text"]: s for kind, s in drawing.shapes if kind == "text"}
    assert written["one"]["x"] < 60 and written["one"]["anchor"] == "end"
    assert written["75"]["x"] > 210 and written["nothing"]["x"] > 60
    assert written["one"]["y"] == 35 and written["two"]["y"] == 65


# --- PNG ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
def test_the_painted_picture_has_its_size(scale):
    picture = pixels(Drawing(80, 60), scale)
    assert picture.shape == (60 * scale, 80 * scale, 3)
    assert (picture == 255).all()


def test_painted_as_written():
    drawing = Drawing(100, 80, "A caption.")
    drawing.rect(10, 10, 40, 30, RED)
    drawing.rect(30, 20, 40, 30, BLUE)  # later is on top
    drawing.rect(0, 60, 100, 20, BLACK, opacity=0.5)
    drawing.polygon([(80, 0), (100, 0), (100, 20)], BLACK)
    drawing.line(0, 55, 100, 55, BLACK, 4)
    drawing.polyline([(5, 20), (5, 50), (25, 50)], BLUE, 4)
    drawing.image(75, 25, 20, 20, torch.tensor([0.0, 1, 0]).view(3, 1, 1), pixelated=True)
    picture = pixels(drawing)
    assert colour_at(picture, 20, 15) == RED
    assert colour_at(picture, 40, 30) == BLUE  # y goes down
    assert colour_at(picture, 5, 5) == WHITE
    assert colour_at(picture, 50, 70) in ("#7f7f7f", "#808080")
    assert colour_at(picture, 97, 5) == BLACK
    assert colour_at(picture, 50, 55) == BLACK
    assert colour_at(picture, 85, 35) == "#00ff00"
    assert colour_at(picture, 5, 35) == colour_at(picture, 15, 50) == BLUE
    assert colour_at(picture, 15, 45) == WHITE  # nothing is filled


def test_text_is_painted_around_its_place():
    for anchor, columns in (("start", (50, 90)), ("middle", (35, 65)), ("end", (10, 50))):
        drawing = Drawing(100, 40)
        drawing.text(50, 20, "HHH", 16, anchor, BLACK)
        rows, dark = (pixels(drawing) < 128).all(-1).nonzero().T
        assert columns[0] - 2 <= dark.min() and dark.max() <= columns[1] + 2
        assert 20 - 9 <= rows.min() and rows.max() <= 20 + 9


def test_the_look_of_the_notebook_changes_nothing():
    from matplotlib import pyplot as plt

    drawing = Drawing(60, 40)
    drawing.text(5, 10, "text", 12, "start")
    drawing.rect(5, 20, 20, 10, RED, BLUE, 2)
    before = drawing.png()
    with plt.rc_context({"font.size": 20, "lines.linewidth": 9, "image.interpolation": "nearest"}):
        assert drawing.png() == before
