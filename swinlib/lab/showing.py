"""What a cell shows, in every form that a page may ask for.

A live page takes the `text/html`: pictures that a screen reader can name, colours that suit a light
and a dark theme, folded hints. Beside it stand the plain forms that stored notebooks keep
(`tools/nbtool.py` drops the HTML), that GitHub shows and that tests compare: a PNG whose metadata
hold its description, where nbconvert looks for it; Markdown; text.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pygments.style import Style
from pygments.token import Comment, Keyword, Name, Number, Operator, String

DPI = 100  # pixels of the page to an inch of a figure
SHARP = 2  # pixels of the picture to one of the page, for screens that have as many
WIDEST = 8.4  # inches: JupyterLab's column in a window of 1280 pixels has 848
MARGIN = 0.08  # inches around what is drawn
PAPER = "#f7f8fa"  # not white, which glares on a dark page
CORNER = 8  # radius, in pixels of the page
LINKS = (  # of what a pointer or the keyboard is on
    ".swin-links a:hover,.swin-links a:focus-visible"
    "{outline:3px solid #0072b2;outline-offset:1px;background:#0072b222}"
)


class Picture:
    """A picture that says what it shows.

    Attributes:
        png: its bytes.
        alt: what it shows, in a sentence or two.
        size: (width, height) on the page, in pixels.
        letters: height of the smallest ones on the page, in pixels; None where there are none.
        links: parts of it that lead elsewhere, each {"to": address, "name": words, "place": CSS}.
        crowded: words that run into others, as `crowded` finds them.
    """

    def __init__(
        self,
        png: bytes,
        alt: str,
        size: tuple[int, int],
        letters: float | None = None,
        links: Sequence[dict] = (),
        crowded: Sequence[str] = (),
    ):
        self.png, self.alt, self.size, self.letters = png, alt, size, letters
        self.links, self.crowded = list(links), list(crowded)

    def _repr_mimebundle_(self, **kwargs):
        data = base64.b64encode(self.png).decode()
        width, height = self.size
        about = {"alt": self.alt, "width": width, "height": height}
        if self.letters is not None:
            about["letters"] = self.letters
        if self.links:
            about["links"] = self.links
        if self.crowded:
            about["crowded"] = self.crowded
        html = linked(
            f'<img alt="{escape(self.alt)}" width="{width}" height="{height}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{data}">',
            self.links,
        )
        bundle = {"text/plain": repr(self), "image/png": data, "text/html": html}
        return bundle, {"image/png": about}

    def __repr__(self) -> str:
        return "<Figure>"  # stored and compared: what a picture says may depend on a training


def _colour(name: str, otherwise: str) -> str:
    """What JupyterLab's theme has for it; on other pages a colour to read on light and on dark."""
    return f"var(--jp-mirror-editor-{name}-color,{otherwise})"


class Themed(Style):
    """Pygments' style in the colours of JupyterLab's own cells."""

    styles = {
        Comment: "italic " + _colour("comment", "#7d8590"),
        Keyword: "bold " + _colour("keyword", "#2e8b57"),
        Operator.Word: "bold " + _colour("keyword", "#2e8b57"),
        Name.Builtin: _colour("builtin", "#2e8b57"),
        Name.Decorator: _colour("meta", "#9b6dd7"),
        Name.Function: _colour("def", "#3b82c4"),
        Name.Class: _colour("def", "#3b82c4"),
        Number: _colour("number", "#2e8b57"),
        String: _colour("string", "#c0504d"),
    }


class Code:
    """Python that a page shows in colours, with `title` above it."""

    def __init__(self, code: str, title: str = ""):
        self.code, self.title = code, title

    def _repr_html_(self) -> str:
        title = f"<div><code>{escape(self.title)}</code></div>" if self.title else ""
        return title + code_html(self.code)

    def _repr_markdown_(self) -> str:
        title = f"`{self.title}`\n" if self.title else ""
        return f"{title}```python\n{self.code}\n```"

    def __repr__(self) -> str:
        return f"# {self.title}\n{self.code}" if self.title else self.code


def code_html(code: str) -> str:
    """Python as HTML in the colours of the page's theme; long lines scroll, and never break."""
    style = "white-space:pre;word-break:normal;overflow-x:auto;margin:4px 0;padding:6px 8px"
    look = "background:transparent;color:inherit;line-height:1.4"
    lines = highlight(code, PythonLexer(), HtmlFormatter(nowrap=True, noclasses=True, style=Themed))
    return f'<pre style="{style};{look}">{lines.rstrip()}</pre>'


def linked(image: str, links: Sequence[dict]) -> str:
    """An image as HTML, with its links over it; see `Picture`.

    JupyterLab leaves an SVG, an image map and a style sheet out of what it does not trust, and only
    leads an ``<a>`` of HTML to the notebook that it names. So each link is one, with its place in a
    style of its own. Of several to the same place, the Tab key reaches the first.
    """
    if not links:
        return image
    html, seen = "", set()
    for link in links:
        tab = ' tabindex="-1"' if link["to"] in seen else ""
        seen.add(link["to"])
        html += (
            f'<a href="{escape(link["to"])}" title="{escape(link["name"])}"{tab} style="'
            f"position:absolute;{link['place']};overflow:hidden;border-radius:6px;"
            f'color:transparent;text-decoration:none">{escape(link["name"])}</a>'
        )
    look = "position:relative;display:inline-block"
    return f'<style>{LINKS}</style><div class="swin-links" style="{look}">{image}{html}</div>'


def show(figure: Figure, alt: str, links: Sequence[tuple[Artist, str, str]] = ()) -> None:
    """Show a figure of pyplot's below the cell, and close it.

    Args:
        alt: what it shows, in a sentence or two, for those who do not see it.
        links: parts of it that lead elsewhere: what was drawn, a relative address, its name.

    Raises:
        ValueError: it says nothing, or the figure is wider than a page's column.
    """
    if not alt.strip():
        raise ValueError("alt must say what the figure shows, got nothing")
    if figure.get_figwidth() > WIDEST + 1e-6:
        raise ValueError(
            f"figure is {figure.get_figwidth():.1f} inches wide, a column has {WIDEST}: draw it "
            "narrower or in rows"
        )
    try:
        display(picture(figure, alt, links))
    finally:
        plt.close(figure)


def picture(figure: Figure, alt: str, links: Sequence[tuple[Artist, str, str]] = ()) -> Picture:
    """A figure as a card with round corners, which suits a light page and a dark one.

    Args:
        figure, alt, links: as in `show`.
    """
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=SHARP * DPI,
        facecolor=PAPER,
        bbox_inches="tight",
        pad_inches=MARGIN,
        pil_kwargs={"compress_level": 1},
    )
    card = Image.open(buffer)
    about = PngInfo()
    about.add_text("Software", card.info["Software"])
    card = card.convert("RGB")
    corners = Image.new("1", card.size)
    edge = (card.width - 1, card.height - 1)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, *edge), SHARP * CORNER, fill=1)
    card.putalpha(corners.convert("L"))
    buffer = io.BytesIO()
    card.save(buffer, "PNG", pnginfo=about)
    size = round(card.width / SHARP), round(card.height / SHARP)
    found = [{"to": to, "name": name, "place": place(figure, part)} for part, to, name in links]
    said = smallest_letters(figure), found, crowded(figure)
    return Picture(buffer.getvalue(), " ".join(alt.split()), size, *said)


def place(figure: Figure, part: Artist) -> str:
    """Where a part of a figure is in its picture, as CSS."""
    whole = figure.get_tightbbox().padded(MARGIN)  # inches, as `savefig` cuts it
    box = part.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    shares = {
        "left": (box.x0 - whole.x0) / whole.width,
        "top": (whole.y1 - box.y1) / whole.height,
        "width": box.width / whole.width,
        "height": box.height / whole.height,
    }
    return ";".join(f"{side}:{100 * share:.2f}%" for side, share in shares.items())


def words(figure: Figure) -> list[Text]:
    """All that is written in a figure, and not hidden or outside of its axes."""
    hidden = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-6 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - slack <= tick.get_loc() <= high + slack:
                    hidden |= {tick.label1, tick.label2}
            if not (ax.axison and axis.get_visible()):
                hidden |= set(axis.findobj(Text))
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
        if text.axes is None or text.axes.get_visible()
    ]


def smallest_letters(figure: Figure) -> float | None:
    """Height of a figure's smallest letters on the page, in pixels, as CSS counts font sizes."""
    sizes = [text.get_fontsize() for text in words(figure)]
    return round(min(sizes) * DPI / 72, 1) if sizes else None


def crowded(figure: Figure) -> list[str]:
    """Words that run into others or nearly so: "one | other". The figure has been saved.

    Slanting ones are left out: what is known of them is the upright box around them.
    """
    figure.set_layout_engine("none")  # as it was saved
    figure.draw_without_rendering()  # else words remember where they were at the file's resolution
    level = [text for text in words(figure) if text.get_rotation() % 90 == 0]
    boxes = [(text.get_window_extent(), text) for text in level]
    boxes.sort(key=lambda pair: pair[0].x0)
    found = []
    for number, (box, text) in enumerate(boxes):
        edge = box.x1 + 0.2 * text.get_fontsize() * figure.dpi / 72
        for other, another in boxes[number + 1 :]:
            if other.x0 > edge:
                break
            if min(box.y1, other.y1) - max(box.y0, other.y0) > 2:  # pixels, which no letter reaches
                found.append(f"{text.get_text()} | {another.get_text()}")
    return found


def listing(things: Iterable) -> str:
    """Things in words, on one line: "a, b and c"; with semicolons where they hold commas."""
    words = [" ".join(str(thing).split()) for thing in things]
    if any("," in word for word in words):
        return "; ".join(words)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
