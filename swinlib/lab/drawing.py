"""Pictures as lists of shapes: written as SVG for a widget, painted as PNG for a page without one.

Both come from the same list, so the still picture is the live one. Lengths are in pixels, x to the
right and y down.

What can be touched lies over the shapes as *fields*: grids of places, each of which says what it is
about (``token=54``), what a click on it sets (``sets={"query": 0}``) and its name. Two places light
up together if one is about all that the other is about: a token and its row of the mask, a pair
and its two tokens. In SVG a field is ``<g class="swin-field" data-panel="map" data-field="{...}">``
with a `Field` as JSON, which widgets/touch.js reads; in PNG it is nothing. Shapes with a `key` are
``<g data-key="...">``: in a live picture they glide from where the key was before.

Colours of the page: white is the paper, and lines and letters without a colour of their own are its
ink. A page may set the variables ``--swin-paper``, ``--swin-ink``, ``--swin-grey`` and, for blue
words, ``--swin-calm``.
"""

import base64
import io
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from matplotlib import colormaps
from matplotlib import image as mpl_image
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from torch import Tensor

from swinlib.lab.style import ACCENT, CALM, INK, tint

GREY = "#6b7580"
FONT = "DejaVu Sans, Verdana, sans-serif"
READABLE = 0.8  # of the full size
WHITE = "#ffffff"
STYLE = (
    "<style>.swin-paper{fill:var(--swin-paper,#ffffff)}.swin-ink{fill:var(--swin-ink,#222222)}"
    f".swin-grey{{fill:var(--swin-grey,{GREY})}}line.swin-ink{{stroke:var(--swin-ink,#222222)}}"
    f".swin-calm{{fill:var(--swin-calm,{CALM})}}"
    "</style>"
)


@cache
def hex_colour(colour: str, strength: float = 1.0) -> str:
    """A colour mixed with white, as #rrggbb."""
    return to_hex(tint(colour, strength))


@cache
def is_dark(colour: str) -> bool:
    """Whether white text reads better on a #rrggbb colour than black."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128


def shades(name: str, shares: Tensor) -> list[list[str]]:
    """Numbers (h, w) from 0 to 1 as rows of #rrggbb, in one of matplotlib's colormaps.

    All at once, since looking a colormap up takes a millisecond.
    """
    pixels = colormaps[name](shares.numpy(), bytes=True)[..., :3].tolist()
    return [["#" + bytes(pixel).hex() for pixel in row] for row in pixels]


def runs(rows: Iterable[list]) -> Iterator[tuple]:
    """Equal rows as one, and in them equal neighbours as one: (row, column, rows, columns, value).

    So a grid of few values takes few rectangles.
    """
    top = 0
    for row, same in groupby(rows):
        height, left = len(list(same)), 0
        for value, equal in groupby(row):
            width = len(list(equal))
            yield top, left, height, width, value
            left += width
        top += height


def short(number: int) -> str:
    """A large number in three digits: 12.8 M, 2.60 G; below a million as it is."""
    for unit, size in (("G", 10**9), ("M", 10**6)):
        if number >= size:
            value = number / size
            return (f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")) + f" {unit}"
    return f"{number:,}"


@dataclass(frozen=True)
class Part:
    """What a place stands for; a row, a column and a cell of a field each say their share of it.

    Attributes:
        about: things such as "token-54".
        sets: what a click changes, as keywords of the widget's state.
        name: for screen readers.
    """

    about: frozenset[str] = frozenset()
    sets: dict = field(default_factory=dict)
    name: str = ""

    def as_json(self) -> dict:
        said = {"about": " ".join(sorted(self.about)), "sets": self.sets, "name": self.name}
        return {name: value for name, value in said.items() if value}


def part(name: str = "", sets: dict | None = None, **about) -> Part:
    """A `Part` about things: ``token=54``, ``pair=(3, 7)``, several as a list; None is nothing."""
    things = []
    for kind, numbers in about.items():
        for number in numbers if isinstance(numbers, list) else [numbers]:
            digits = "-".join(map(str, number if isinstance(number, tuple) else (number,)))
            things += [] if number is None else [f"{kind}-{digits}"]
    return Part(frozenset(things), sets or {}, name)


def counted(count: int, control: str) -> list[Part]:
    """Rows or columns of a field that set a control to their number."""
    return [part(f"{control} {number}", {control: number}) for number in range(count)]


@dataclass(frozen=True)
class Drag:
    """A control that follows the hand.

    Attributes:
        name: of the control.
        axis: "right" or "down", the hand's way that counts.
        pixels: for one step of the control.
        step: by which it changes.
        low, high: how many steps it may go from where it is.
    """

    name: str
    axis: str
    pixels: float
    step: int = 1
    low: int = -(10**6)
    high: int = 10**6


@dataclass
class Drawing:
    """A picture of width x height pixels, with a sentence that says what it shows.

    Attributes:
        width, height: in pixels.
        caption: the sentence, for the caption and for screen readers.
        shapes: what was drawn, in order: tuples of a kind and its keywords.
    """

    width: float
    height: float
    caption: str = ""
    shapes: list[tuple[str, dict]] = field(default_factory=list)
    key: str | None = field(default=None, repr=False)
    origin: str | None = field(default=None, repr=False)

    def _add(self, kind: str, **shape) -> None:
        key = {} if self.key is None else {"key": self.key, "origin": self.origin}
        self.shapes.append((kind, shape | key))

    @contextmanager
    def moving(self, key: str | None, origin: str | None = None) -> Iterator[None]:
        """What is drawn within is one thing, that keeps its key from picture to picture.

        Args:
            key: unlike all others in a picture; None for what does not move.
            origin: the key it comes from where there was none like it.
        """
        before, (self.key, self.origin) = (self.key, self.origin), (key, origin)
        yield
        self.key, self.origin = before

    def touch(
        self,
        panel: str,
        x: float,
        y: float,
        width: float,
        height: float | None = None,
        rows: int | Sequence[Part] = 1,
        columns: int | Sequence[Part] = 1,
        cells: Sequence[Part] | None = None,
        drag: Sequence[Drag] = (),
        follow: bool = False,
    ) -> None:
        """A field with its top left corner at (x, y): places that light up, and can be clicked.

        A place says what its row, its column and its cell say together.

        Args:
            panel: the field's name, unlike all others in the picture.
            width, height: of a place, in pixels; squares by default.
            rows, columns: how many, or a `Part` for each.
            cells: a `Part` for each place, row by row, or none.
            drag: what dragging changes.
            follow: whether the pointer sets what a click sets.

        Raises:
            ValueError: cells that are not rows times columns.
        """
        rows, columns = ([Part()] * n if isinstance(n, int) else n for n in (rows, columns))
        if cells is not None and len(cells) != len(rows) * len(columns):
            raise ValueError(
                f"cells must be {len(rows)} x {len(columns)} parts, got {len(cells)} in {panel!r}"
            )
        height = width if height is None else height
        place = {"panel": panel, "x": x, "y": y, "width": width, "height": height}
        parts = {"rows": rows, "columns": columns, "cells": cells}
        self.shapes.append(("field", place | parts | {"drag": drag, "follow": follow}))

    def handle(self, panel: str, x: float, y: float, drag: Sequence[Drag]) -> None:
        """A small square on its corner at (x, y), to drag by; `panel` says what it drags."""
        for half, colour in ((7, WHITE), (5.5, ACCENT)):
            self.polygon([(x - half, y), (x, y - half), (x + half, y), (x, y + half)], colour)
        self.touch(panel, x - 8, y - 8, 16, rows=(Part(name=panel),), drag=drag)

    def fields(self) -> dict[str, dict]:
        """What was drawn by `touch`, by its panel."""
        return {shape["panel"]: shape for kind, shape in self.shapes if kind == "field"}

    def rect(
        self, x, y, width, height, fill="none", stroke="none", line=1.0, dash=False, opacity=1.0
    ):
        """A rectangle; what lies beneath shows through one with `opacity` below 1."""
        place = {"x": x, "y": y, "width": width, "height": height}
        look = {"fill": fill, "stroke": stroke, "line": line, "dash": dash, "opacity": opacity}
        self._add("rect", **place, **look)

    def frame(self, x, y, width, height, stroke, line=2.5):
        """The border of a rectangle, on a white one, so that it shows on any picture."""
        self.rect(x, y, width, height, stroke="#ffffff", line=line + 2.5)
        self.rect(x, y, width, height, stroke=stroke, line=line)

    def placeholder(self, x, y, width, height, text):
        """An empty panel that says what will be there."""
        self.rect(x, y, width, height, "none", GREY, 1, dash=True)
        self.text(x + width / 2, y + height / 2, text, 12, fill=GREY)

    def line(self, x1, y1, x2, y2, stroke=None, line=1.0, dash=False):
        """A straight line, in the page's ink without a colour."""
        self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, line=line, dash=dash)

    def polyline(self, points, stroke, line=2.0, dash=False):
        """Straight lines from each point (x, y) to the next; nothing of fewer than two."""
        if len(points) > 1:
            self._add("polyline", points=list(points), stroke=stroke, line=line, dash=dash)

    def polygon(self, points, fill=None):
        """A filled polygon; points are pairs (x, y)."""
        self._add("polygon", points=list(points), fill=fill)

    def text(self, x, y, text, size=12.0, anchor="middle", fill=None, bold=False):
        """A line of text, centred on y; `anchor` is start, middle or end. None if it is empty."""
        if text == "":
            return
        look = {"size": size, "anchor": anchor, "fill": fill, "bold": bold}
        self._add("text", x=x, y=y, text=str(text), **look)

    def image(self, x, y, width, height, pixels: Tensor, pixelated=False):
        """A picture ``(3, H, W)`` with values from 0 to 1, which must not change afterwards.

        It is encoded once for as long as the same tensor is drawn. `pixelated` shows its pixels as
        squares instead of blurring them.
        """
        place = {"x": x, "y": y, "width": width, "height": height}
        self._add("image", **place, pixels=pixels, pixelated=pixelated)

    def arrow(self, x1, y1, x2, y2, stroke=None, line=1.5):
        """A straight arrow from the first point to the second."""
        self.line(x1, y1, x2, y2, stroke, line)
        length = max(((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5, 1e-9)
        along, across = 6 / length, 3.5 / length
        dx, dy = x2 - x1, y2 - y1
        self.polygon(
            [
                (x2, y2),
                (x2 - along * dx - across * dy, y2 - along * dy + across * dx),
                (x2 - along * dx + across * dy, y2 - along * dy - across * dx),
            ],
            stroke,
        )

    def bars(self, x, y, width, rows, label=120, height=22, size=12, key=None):
        """Horizontal bars below one another, each with a label before it and a number behind it.

        Args:
            x, y: top left corner of the labels.
            width: of a bar of length 1, in pixels.
            rows: (label, [(length from 0 to 1, colour), ...], text): a bar may have several parts.
            label: room for the labels, in pixels.
            height: of a row, in pixels.
            size: of the text.
            key: of the bars, which grow; see `moving`.
        """
        for number, (name, lengths, text) in enumerate(rows):
            left, middle = x + label, y + (number + 0.5) * height
            self.text(left - 8, middle, name, size, "end")
            for place, (length, colour) in enumerate(lengths):
                if length > 0:
                    with self.moving(key and f"{key}-{number}-{place}"):
                        bar = length * width, 0.68 * height
                        self.rect(left, middle - 0.34 * height, *bar, colour)
                    left += length * width
            self.text(left + 7, middle, text, size, "start")

    def grid(
        self,
        x,
        y,
        cell,
        fills,
        texts=None,
        row_cuts=(),
        column_cuts=(),
        frames=(),
        size=None,
        gaps=True,
        keys=None,
    ):
        """A grid of cells with its top left corner at (x, y).

        Args:
            cell: the side of a cell, in pixels.
            fills: rows of colours #rrggbb, one for each cell.
            texts: rows of strings to write in the cells, or None.
            row_cuts, column_cuts: heavy lines above these rows, left of these columns.
            frames: ((row, column, rows, columns), colour): heavy frames around blocks of cells.
            size: of the text; fits the cell when None.
            gaps: thin white lines between cells that are large enough.
            keys: rows of pairs, a key and an origin for every cell, which then moves by itself;
                see `moving`.
        """
        H, W = len(fills), len(fills[0])
        if texts is not None:
            longest = max(len(t) for row in texts for t in row)
            size = min(13, 0.48 * cell, 1.25 * cell / max(longest, 1)) if size is None else size
        if keys is None:
            for i, j, rows, columns, fill in runs(fills):
                self.rect(x + j * cell, y + i * cell, columns * cell, rows * cell, fill)
        if cell >= 9 and gaps and keys is None:
            for i in range(1, H):
                self.line(x, y + i * cell, x + W * cell, y + i * cell, WHITE, 1)
            for j in range(1, W):
                self.line(x + j * cell, y, x + j * cell, y + H * cell, WHITE, 1)
        for i, row in enumerate(fills if keys or texts else ()):
            for j, fill in enumerate(row):
                left, top = x + j * cell, y + i * cell
                with self.moving(*(keys[i][j] if keys else (None, None))):
                    if keys:
                        edge = WHITE if cell >= 9 and gaps else "none"
                        self.rect(left, top, cell, cell, fill, edge)
                    if texts is not None:
                        self.text(left + cell / 2, top + cell / 2, texts[i][j], size, fill=on(fill))
        for i in row_cuts:
            self.line(x, y + i * cell, x + W * cell, y + i * cell, INK, 2.2)
        for j in column_cuts:
            self.line(x + j * cell, y, x + j * cell, y + H * cell, INK, 2.2)
        self.rect(x, y, W * cell, H * cell, stroke=INK, line=2.2)
        for (i, j, rows, columns), colour in frames:
            self.rect(
                x + j * cell, y + i * cell, columns * cell, rows * cell, stroke=colour, line=3.2
            )

    def svg(self) -> str:
        """The picture as SVG, on the page's paper, with its caption for screen readers."""
        fields = [shape for kind, shape in self.shapes if kind == "field"]
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(self.width)} '
            f'{_n(self.height)}" width="{_n(self.width)}" height="{_n(self.height)}" '
            f'role="{"group" if fields else "img"}" '
            f'aria-label={quoteattr(self.caption)} font-family="{FONT}" '
            # It shrinks with the page as far as its words can be read.
            f'style="max-width:100%;min-width:{_n(READABLE * self.width)}px;height:auto">',
            f"<title>{escape(self.caption)}</title>",
            STYLE,
            '<rect class="swin-paper" width="100%" height="100%" fill="#ffffff"/>',
        ]
        drawn = ((kind, shape) for kind, shape in self.shapes if kind != "field")
        for (key, origin), group in groupby(
            drawn, key=lambda shape: (shape[1].get("key"), shape[1].get("origin"))
        ):
            if key is not None:
                come = f" data-from={quoteattr(origin)}" if origin else ""
                parts.append(f"<g data-key={quoteattr(key)}{come}>")
            parts += [_svg_shape(kind, **shape) for kind, shape in group]
            if key is not None:
                parts.append("</g>")
        parts += map(_svg_field, fields)
        return "".join(parts) + "</svg>"

    def still(self, words: str, scale: float = 1.5) -> bytes:
        """The picture as PNG with its caption below, and a line that says how to bring it to life.

        Args:
            words: that line.
            scale: as in `png`.
        """
        whole = Drawing(self.width, self.height, self.caption, list(self.shapes))
        lines = textwrap.wrap(self.caption, round(self.width / 6.3))
        for number, line in enumerate([*lines, words]):
            y = self.height + 12 + 17 * number
            whole.text(8, y, line, 12, "start", bold=number == len(lines))
        whole.height += 12 + 17 * (len(lines) + 1)
        return whole.png(scale)

    def png(self, scale: float = 1.5) -> bytes:
        """The picture painted by matplotlib, `scale` pixels for each of ours."""
        dpi = 72 * scale  # so that a font size in pixels is one in points
        figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=dpi, facecolor="white")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, self.width), ylim=(self.height, 0))
        ax.axis("off")
        ax.autoscale(False)
        for order, (kind, shape) in enumerate(self.shapes):
            if kind != "field":
                _paint_shape(ax, kind, order, **shape)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()


def on(fill: str) -> str | None:
    """The colour of letters on a #rrggbb colour; on white the page's own ink."""
    return None if fill == WHITE else WHITE if is_dark(fill) else INK


def _n(number: float) -> str:
    """A length with at most two digits behind the point."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _svg_field(s: dict) -> str:
    json_of = {id(one): one for name in ("rows", "columns", "cells") for one in s[name] or ()}
    json_of = {name: one.as_json() for name, one in json_of.items()}  # many are one and the same
    said = {name: [json_of[id(p)] for p in s[name] or ()] for name in ("rows", "columns", "cells")}
    place = {name: s[name] for name in ("panel", "x", "y", "width", "height")}
    said |= {"drag": [vars(drag) for drag in s["drag"]] or None, "cells": said["cells"] or None}
    said = {name: value for name, value in (place | said).items() if value is not None}
    said |= {"follow": True} if s["follow"] else {}
    area = s["width"] * len(s["columns"]), s["height"] * len(s["rows"])
    drag = ' data-drag=""' if s["drag"] else ""
    return (
        f'<g class="swin-field" role="listbox" tabindex="0" aria-label={quoteattr(s["panel"])} '
        f"data-panel={quoteattr(s['panel'])}{drag} "
        f"data-field={quoteattr(json.dumps(said, separators=(',', ':')))}>"
        f'<rect x="{_n(s["x"])}" y="{_n(s["y"])}" width="{_n(area[0])}" height="{_n(area[1])}" '
        'fill="none" pointer-events="all"/></g>'
    )


def _svg_shape(kind: str, **s) -> str:
    if kind == "rect":
        return (
            f'<rect x="{_n(s["x"])}" y="{_n(s["y"])}" width="{_n(s["width"])}" '
            f'height="{_n(s["height"])}"{_svg_fill(s)}{_svg_stroke(s)}'
            + (f' opacity="{_n(s["opacity"])}"/>' if s["opacity"] < 1 else "/>")
        )
    if kind == "line":
        return (
            f'<line x1="{_n(s["x1"])}" y1="{_n(s["y1"])}" x2="{_n(s["x2"])}" y2="{_n(s["y2"])}"'
            f"{_svg_stroke(s)}/>"
        )
    if kind in ("polyline", "polygon"):
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in s["points"])
        look = f' fill="none"{_svg_stroke(s)}' if kind == "polyline" else _svg_fill(s)
        return f'<{kind} points="{points}"{look}/>'
    if kind == "image":
        return (
            f'<image x="{_n(s["x"])}" y="{_n(s["y"])}" width="{_n(s["width"])}" '
            f'height="{_n(s["height"])}" preserveAspectRatio="none" '
            + ('style="image-rendering:pixelated" ' if s["pixelated"] else "")
            + f'href="data:image/png;base64,{_png_base64(s["pixels"])}"/>'
        )
    weight = ' font-weight="bold"' if s["bold"] else ""
    return (
        f'<text x="{_n(s["x"])}" y="{_n(s["y"])}" font-size="{_n(s["size"])}" '
        f'text-anchor="{s["anchor"]}" dominant-baseline="central"{_svg_fill(s)}{weight}>'
        f"{escape(s['text'])}</text>"
    )


def _svg_fill(s: dict) -> str:
    """The fill; what follows the page's colours has a class as well."""
    roles = {None: "ink", GREY: "grey"}
    roles |= {WHITE: "paper"} if "opacity" in s else {CALM: "calm"}  # of areas, and of words
    role = roles.get(s["fill"])
    return f' fill="{s["fill"] or INK}"' + (f' class="swin-{role}"' if role else "")


def _svg_stroke(s: dict) -> str:
    if s["stroke"] == "none":
        return ' shape-rendering="crispEdges"'  # no seams between neighbours
    dash = ' stroke-dasharray="4 3"' if s["dash"] else ""
    ink = "" if s["stroke"] else ' class="swin-ink"'
    return f' stroke="{s["stroke"] or INK}" stroke-width="{_n(s["line"])}"{dash}{ink}'


@lru_cache(maxsize=32)  # a tensor is equal to itself only
def _png_base64(pixels: Tensor) -> str:
    buffer = io.BytesIO()
    mpl_image.imsave(buffer, pixels.permute(1, 2, 0).clamp(0, 1).numpy(), format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def _paint_shape(ax, kind: str, order: int, **s) -> None:
    """Paint one shape; `order` keeps later ones on top, as in SVG."""
    style = (0, (4, 3)) if s.get("dash") else "-"
    if kind == "rect":
        ax.add_artist(
            Rectangle(
                (s["x"], s["y"]),
                s["width"],
                s["height"],
                facecolor=s["fill"],
                edgecolor=s["stroke"],
                linewidth=s["line"] if s["stroke"] != "none" else 0,
                linestyle=style,
                alpha=s["opacity"],
                zorder=order,
            )
        )
    elif kind in ("line", "polyline"):
        points = s["points"] if kind == "polyline" else [(s["x1"], s["y1"]), (s["x2"], s["y2"])]
        look = {"color": s["stroke"] or INK, "linewidth": s["line"], "linestyle": style}
        ax.add_artist(Line2D(*zip(*points, strict=True), zorder=order, **look))
    elif kind == "polygon":
        ax.add_artist(Polygon(s["points"], facecolor=s["fill"] or INK, linewidth=0, zorder=order))
    elif kind == "image":
        extent = (s["x"], s["x"] + s["width"], s["y"] + s["height"], s["y"])
        limits = ax.get_xlim(), ax.get_ylim()
        pixels = s["pixels"].permute(1, 2, 0).clamp(0, 1).numpy()
        smooth = "nearest" if s["pixelated"] else "bilinear"
        ax.imshow(pixels, extent=extent, aspect="auto", zorder=order, interpolation=smooth)
        ax.set(xlim=limits[0], ylim=limits[1])
    else:
        across = {"start": "left", "middle": "center", "end": "right"}[s["anchor"]]
        ax.text(
            s["x"],
            s["y"],
            s["text"],
            fontsize=s["size"],
            family="DejaVu Sans",  # every matplotlib ships it
            ha=across,
            va="center_baseline",
            color=s["fill"] or INK,
            weight="bold" if s["bold"] else "normal",
            zorder=order,
        )
