"""Pictures as lists of shapes: written as SVG for a widget, painted as PNG for a page without one.

Both come from the same list, so the still picture is the live one. Lengths are in pixels, x to the
right and y down.
"""

import base64
import io
from dataclasses import dataclass, field
from functools import cache, lru_cache
from xml.sax.saxutils import escape, quoteattr

from matplotlib import image as mpl_image
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from torch import Tensor

from swinlib.lab.style import INK, tint

GREY = "#6b7580"
FONT = "DejaVu Sans, Verdana, sans-serif"
READABLE = 0.8  # of the full size


@cache
def hex_colour(colour: str, strength: float = 1.0) -> str:
    """A colour mixed with white, as #rrggbb."""
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in tint(colour, strength))


@cache
def is_dark(colour: str) -> bool:
    """Whether white text reads better on a #rrggbb colour than black."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128


def short(number: int) -> str:
    """A large number in three digits: 12.8 M, 2.60 G; below a million as it is."""
    for unit, size in (("G", 10**9), ("M", 10**6)):
        if number >= size:
            value = number / size
            return (f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")) + f" {unit}"
    return f"{number:,}"


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

    def rect(
        self, x, y, width, height, fill="none", stroke="none", line=1.0, dash=False, opacity=1.0
    ):
        """A rectangle; what lies beneath shows through one with `opacity` below 1."""
        self.shapes.append(
            (
                "rect",
                {
                    "x": x,
                    "y": y,
                    "width": width,
                    "height": height,
                    "fill": fill,
                    "stroke": stroke,
                    "line": line,
                    "dash": dash,
                    "opacity": opacity,
                },
            )
        )

    def frame(self, x, y, width, height, stroke, line=2.5):
        """The border of a rectangle, on a white one, so that it shows on any picture."""
        self.rect(x, y, width, height, stroke="#ffffff", line=line + 2.5)
        self.rect(x, y, width, height, stroke=stroke, line=line)

    def line(self, x1, y1, x2, y2, stroke=INK, line=1.0, dash=False):
        """A straight line."""
        self.shapes.append(
            (
                "line",
                {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "stroke": stroke, "line": line}
                | {"dash": dash},
            )
        )

    def polygon(self, points, fill=INK):
        """A filled polygon; points are pairs (x, y)."""
        self.shapes.append(("polygon", {"points": list(points), "fill": fill}))

    def text(self, x, y, text, size=12.0, anchor="middle", fill=INK, bold=False):
        """A line of text, centred on y; `anchor` is start, middle or end. None if it is empty."""
        if text == "":
            return
        self.shapes.append(
            (
                "text",
                {"x": x, "y": y, "text": str(text), "size": size, "anchor": anchor, "fill": fill}
                | {"bold": bold},
            )
        )

    def image(self, x, y, width, height, pixels: Tensor, pixelated=False):
        """A picture ``(3, H, W)`` with values from 0 to 1, which must not change afterwards.

        It is encoded once for as long as the same tensor is drawn. `pixelated` shows its pixels as
        squares instead of blurring them.
        """
        self.shapes.append(
            (
                "image",
                {"x": x, "y": y, "width": width, "height": height, "pixels": pixels}
                | {"pixelated": pixelated},
            )
        )

    def arrow(self, x1, y1, x2, y2, stroke=INK, line=1.5):
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

    def bars(self, x, y, width, rows, label=120, height=22, size=12):
        """Horizontal bars below one another, each with a label before it and a number behind it.

        Args:
            x, y: top left corner of the labels.
            width: of a bar of length 1, in pixels.
            rows: (label, [(length from 0 to 1, colour), ...], text): a bar may have several parts.
            label: room for the labels, in pixels.
            height: of a row, in pixels.
            size: of the text.
        """
        for number, (name, lengths, text) in enumerate(rows):
            left, middle = x + label, y + (number + 0.5) * height
            self.text(left - 8, middle, name, size, "end")
            for length, colour in lengths:
                if length > 0:
                    self.rect(left, middle - 0.34 * height, length * width, 0.68 * height, colour)
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
        """
        H, W = len(fills), len(fills[0])
        top = 0
        for i in range(1, H + 1):  # equal rows are one row, neighbours of one colour one rectangle
            if i < H and fills[i] == fills[top]:
                continue
            row, left = fills[top], 0
            for j in range(1, W + 1):
                if j == W or row[j] != row[left]:
                    place = x + left * cell, y + top * cell
                    self.rect(*place, (j - left) * cell, (i - top) * cell, row[left])
                    left = j
            top = i
        if cell >= 9 and gaps:
            for i in range(1, H):
                self.line(x, y + i * cell, x + W * cell, y + i * cell, "#ffffff", 1)
            for j in range(1, W):
                self.line(x + j * cell, y, x + j * cell, y + H * cell, "#ffffff", 1)
        if texts is not None:
            longest = max(len(t) for row in texts for t in row)
            size = min(13, 0.48 * cell, 1.25 * cell / max(longest, 1)) if size is None else size
            for i, row in enumerate(texts):
                for j, text in enumerate(row):
                    if text:
                        colour = "#ffffff" if is_dark(fills[i][j]) else INK
                        place = x + (j + 0.5) * cell, y + (i + 0.5) * cell
                        self.text(*place, text, size, fill=colour)
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
        """The picture as SVG, on white, with its caption for screen readers."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(self.width)} '
            f'{_n(self.height)}" width="{_n(self.width)}" height="{_n(self.height)}" role="img" '
            f'aria-label={quoteattr(self.caption)} font-family="{FONT}" '
            # It shrinks with the page as far as its words can be read.
            f'style="max-width:100%;min-width:{_n(READABLE * self.width)}px;height:auto">',
            f"<title>{escape(self.caption)}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
        ]
        parts += [_svg_shape(kind, **shape) for kind, shape in self.shapes]
        return "".join(parts) + "</svg>"

    def png(self, scale: float = 1.5) -> bytes:
        """The picture painted by matplotlib, `scale` pixels for each of ours."""
        dpi = 72 * scale  # so that a font size in pixels is one in points
        figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=dpi, facecolor="white")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, self.width), ylim=(self.height, 0))
        ax.axis("off")
        ax.autoscale(False)
        for order, (kind, shape) in enumerate(self.shapes):
            _paint_shape(ax, kind, order, **shape)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()


def _n(number: float) -> str:
    """A length with at most two digits behind the point."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _svg_shape(kind: str, **s) -> str:
    if kind == "rect":
        return (
            f'<rect x="{_n(s["x"])}" y="{_n(s["y"])}" width="{_n(s["width"])}" '
            f'height="{_n(s["height"])}" fill="{s["fill"]}"{_svg_stroke(s)}'
            + (f' opacity="{_n(s["opacity"])}"/>' if s["opacity"] < 1 else "/>")
        )
    if kind == "line":
        return (
            f'<line x1="{_n(s["x1"])}" y1="{_n(s["y1"])}" x2="{_n(s["x2"])}" y2="{_n(s["y2"])}"'
            f"{_svg_stroke(s)}/>"
        )
    if kind == "polygon":
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in s["points"])
        return f'<polygon points="{points}" fill="{s["fill"]}"/>'
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
        f'text-anchor="{s["anchor"]}" dominant-baseline="central" fill="{s["fill"]}"{weight}>'
        f"{escape(s['text'])}</text>"
    )


def _svg_stroke(s: dict) -> str:
    if s["stroke"] == "none":
        return ' shape-rendering="crispEdges"'  # no seams between neighbours
    dash = ' stroke-dasharray="4 3"' if s["dash"] else ""
    return f' stroke="{s["stroke"]}" stroke-width="{_n(s["line"])}"{dash}'


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
    elif kind == "line":
        ends = (s["x1"], s["x2"]), (s["y1"], s["y2"])
        look = {"color": s["stroke"], "linewidth": s["line"], "linestyle": style}
        ax.add_artist(Line2D(*ends, zorder=order, **look))
    elif kind == "polygon":
        ax.add_artist(Polygon(s["points"], facecolor=s["fill"], linewidth=0, zorder=order))
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
            color=s["fill"],
            weight="bold" if s["bold"] else "normal",
            zorder=order,
        )
