"""One look for all figures: sizes, and colours that a colour-blind reader can tell apart."""

import os
from textwrap import fill

import matplotlib.pyplot as plt
import torch
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from swinlib.lab.showing import DPI, PAPER, WIDEST
from swinlib.published import find_certificates

INK = "#222222"
PALE = "#e8ecf1"
ACCENT = "#d55e00"  # vermilion: what to look at
CALM = "#0072b2"  # blue: what it is compared with
MASKED, ATTENDS = "#12305c", "#f6e27a"  # pairs of a mask

# Okabe and Ito's colours in a fixed order, a grey and Tol's indigo; region r of `region_ids` takes
# number r.
REGION_COLOURS = (
    "#56b4e9",
    "#e69f00",
    "#009e73",
    "#f0e442",
    "#cc79a7",
    "#d55e00",
    "#0072b2",
    "#b0b0b0",
    "#332288",
)


def setup(seed: int = 0) -> None:
    """Prepare a notebook: the look of its figures, how tensors print, threads, the random seed."""
    torch.manual_seed(seed)
    find_certificates()  # for torch.hub, which lesson 07 asks
    torch.set_printoptions(profile="default")  # which sets all that the next line does not
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=110)
    if "OMP_NUM_THREADS" not in os.environ:
        # On tensors as small as ours more threads cost time, and a lot where cores are shared.
        torch.set_num_threads(1)
    show_figures_in_page()
    plt.rcdefaults()  # a matplotlibrc of the user's own is for the user's own figures
    plt.rcParams.update(
        {
            "figure.dpi": DPI,
            "figure.facecolor": PAPER,
            "axes.facecolor": PAPER,
            "savefig.facecolor": PAPER,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "lines.linewidth": 2,
        }
    )


def show_figures_in_page() -> None:
    """In a notebook, draw figures into it, also where the environment says `MPLBACKEND=agg`.

    Backends of a notebook's own (inline, ipympl, those of other front ends) stay.
    """
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    backend = plt.get_backend().lower()
    if not backend.startswith("module://") and backend not in ("inline", "ipympl", "nbagg"):
        shell.enable_matplotlib("inline")


def tint(colour: str, strength: float = 0.55) -> tuple[float, float, float]:
    """A colour mixed with white: strength 1 leaves it as it is, 0 gives white."""
    return tuple(1 - strength * (1 - channel) for channel in to_rgb(colour))


def titled(ax: Axes, title: str) -> None:
    """A title above a panel, in lines no wider than the panel; without one the room stays empty."""
    width = 72 * ax.figure.get_figwidth() / ax.get_subplotspec().get_gridspec().ncols
    letters = int(width / (0.6 * 9))  # of a letter's mean width
    ax.set_title("\n".join(fill(line, letters) for line in title.split("\n")), fontsize=9)


def bare(ax: Axes) -> None:
    """Neither ticks nor spines: pictures and maps need none."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def frame(ax: Axes, x: float, y: float, width: float, height: float) -> None:
    """The frame around what to look at, on white, so that it shows on any picture."""
    for colour, line in (("white", 4.0), (ACCENT, 2.2)):
        ax.add_patch(Rectangle((x, y), width, height, fill=False, ec=colour, lw=line, zorder=5))


def in_percent(ax: Axes) -> None:
    """The upright axis in per cent, of values from 0 to 1."""
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_locator(MaxNLocator("auto", steps=(1, 2, 5, 10)))  # no halves to be rounded


def marked(exhibits: dict) -> dict:
    """A museum's exhibits: ✓ before the title of the first, which is right, ✗ before the others."""
    return {
        f"{'✗' if n else '✓'} {title}": shown for n, (title, shown) in enumerate(exhibits.items())
    }


def panels(columns: int, rows: int = 1, width: float = 3.2, height: float | None = None):
    """A row or grid of equal axes, always as a flat list: ``figure, [axes]``.

    Args:
        columns, rows: how many.
        width, height: of one of them, in inches; height defaults to width and room for a title.
            Both shrink where the column of a page has no room for so many.
    """
    height = width + 0.35 if height is None else height
    shrink = min(1, WIDEST / (columns * width))
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(shrink * columns * width, shrink * rows * height),
        squeeze=False,
        layout="constrained",
    )
    if rows > 1:  # else titles touch the pictures above them
        figure.get_layout_engine().set(hspace=0.05)
    return figure, list(axes.flat)
