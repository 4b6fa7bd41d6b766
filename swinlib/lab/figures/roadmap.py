"""The map at the top of every lesson: the whole model, with this lesson's piece lit.

Where a page is live, the other pieces lead to their lessons.
"""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from swinlib.lab.learner import lessons
from swinlib.lab.showing import listing, show
from swinlib.lab.style import ACCENT, INK, PALE

# piece: the lesson that makes it
MADE_IN = {
    "patch": "01",
    "attention": "02",
    "windows": "03",
    "shift": "04",
    "bias": "05",
    "merge": "06",
    "mlp": "07",
    "stage": "07",
    "head": "07",
    "training": "08",
    "tuning": "10",
    "dense": "11",
}
MODEL = {"stage", "merge", "patch", "head", "mlp", "windows", "shift", "bias", "attention"}
# lesson: the pieces that it lights
LIT = {
    "01": {"patch"},
    "02": {"attention"},
    "03": {"windows"},
    "04": {"shift"},
    "05": {"bias"},
    "06": {"merge"},
    "07": MODEL,
    "08": {"training"},
    "09": MODEL,
    "10": {"tuning", "head"},
    "11": {"stage", "merge", "patch", "dense"},
}


def roadmap(lesson: str) -> None:
    """Draw the map with a lesson's piece lit, which is also framed and marked with its number.

    Args:
        lesson: a key of `LIT`.

    Raises:
        ValueError: another lesson.
    """
    if lesson not in LIT:
        raise ValueError(f"lesson must be one of {', '.join(LIT)}, got {lesson!r}")
    figure, ax = plt.subplots(figsize=(8.4, 3.1), layout="constrained")
    ax.set(xlim=(-0.4, 93), ylim=(-0.5, 30.5))
    ax.axis("off")
    lit, links, files = LIT[lesson], [], lesson_files()

    def box(piece, x, y, width, height, text, faint=False):
        on = piece in lit
        drawn = ax.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.8",
                facecolor=ACCENT if on else "white" if faint else PALE,
                edgecolor=INK if on else "#9aa5b1",
                linewidth=1.8 if on else 0.8,
            )
        )
        target = files.get(MADE_IN.get(piece))
        if target and MADE_IN[piece] != lesson:
            links.append((drawn, target, "lesson " + target[:-6].replace("_", " ")))
        ax.text(
            x + width / 2,
            y + height / 2,
            text,
            ha="center",
            va="center",
            fontsize=8,
            color="white" if on else INK,
            weight="bold" if on else "normal",
        )

    def arrow(x, y, length):
        ax.annotate(
            "", (x + length, y), (x, y), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 0.9}
        )

    # The model, left to right.
    box("image", 0, 21, 7, 6, "image\nH×W×3", faint=True)
    arrow(7.2, 24, 1.7)
    box("patch", 9, 21, 10, 6, "01 patch\nembedding")
    x = 20.8
    for number, shape in enumerate(("H/4×W/4, C", "H/8×W/8, 2C", "H/16×W/16, 4C", "H/32×W/32, 8C")):
        arrow(x - 1.7, 24, 1.6)
        box("stage", x, 21, 8.6, 6, f"stage {number + 1}\nblocks")
        ax.text(x + 4.3, 28.2, shape, ha="center", fontsize=7.5, color="#555555")
        x += 8.6
        if number < 3:
            arrow(x + 0.1, 24, 1.5)
            box("merge", x + 1.7, 21, 6.2, 6, "06\nmerge")
            x += 9.8
    arrow(x + 0.1, 24, 1.5)
    box("head", x + 1.7, 21, 6, 6, "mean,\nhead")
    box("dense", 81, 16, 11, 4.2, "11 every token")

    # A pair of blocks, opened.
    ax.plot([20.8, 2.5], [20.6, 15.2], color="#9aa5b1", lw=0.8)
    ax.plot([29.4, 76.5], [20.6, 15.2], color="#9aa5b1", lw=0.8)
    box("pair", 0, 0, 79, 15, "", faint=True)
    ax.text(1.2, 12.8, "a pair of blocks, opened", fontsize=8, color="#555555", va="center")
    box("attention", 2, 1.2, 12, 4.6, "02 attention")
    box("bias", 15, 1.2, 14, 4.6, "05 relative bias")
    ax.text(31, 3.5, "inside every W-MSA and SW-MSA", fontsize=8, color="#555555", va="center")
    box("windows", 2, 7.2, 15, 4.2, "03 W-MSA, windows")
    arrow(17.1, 9.3, 1.7)
    box("mlp", 19, 7.2, 9, 4.2, "07 MLP")
    arrow(28.1, 9.3, 1.7)
    box("shift", 30, 7.2, 27, 4.2, "04 SW-MSA, shifted windows + mask")
    arrow(57.1, 9.3, 1.7)
    box("mlp", 59, 7.2, 9, 4.2, "07 MLP")
    box("training", 81, 8, 11, 7, "08 training\non CIFAR-10")
    box("tuning", 81, 0, 11, 6.6, "10 your own\npictures")
    show(
        figure,
        "The whole model as boxes in a row: image, patch embedding, four stages of blocks with a "
        "merging between each two, mean and head; below them a pair of blocks, opened. Lit: "
        f"{listing(sorted(lit))}.",
        links,
    )


def lesson_files() -> dict[str, str]:
    """The notebooks' file names by the numbers of the lessons; none where the course is not."""
    try:
        return {path.name[:2]: path.name for path in lessons()}
    except FileNotFoundError:
        return {}
