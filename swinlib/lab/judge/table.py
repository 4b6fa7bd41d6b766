"""The judge judged: every known mistake made, and what is then said.

`python -m swinlib.lab.judge --table` prints it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from swinlib.lab.judge.examine import examine
from swinlib.lab.judge.mistakes import MISTAKES, Mistake
from swinlib.lab.judge.models import ONE_PAGE, SMALL, Builder
from swinlib.lab.judge.report import Report

# Smaller than for a learner: windows of 5 tokens, and pictures whose maps they fit, or do not.
OPTIONS = SMALL | {"depths": (2, 2, 4), "num_heads": (3, 6, 12), "window_size": 5}
SIZES = ((80, 80), (81, 70), (80, 160), (48, 36), (33, 57), (16, 12))

# Where a change in the page can show first.
KINDS = {
    "PatchEmbed": {"embed"},
    "pad_to_windows": {"block", "merging"},
    "window_partition": {"block"},
    "window_reverse": {"block"},
    "shifted_window_mask": {"block"},
    "relative_position_index": {"block"},
    "WindowAttention": {"block"},
    "Mlp": {"block"},
    "SwinTransformerBlock": {"block"},
    "PatchMerging": {"merging"},
    "BasicLayer": {"block", "merging"},
    "SwinTransformer": {"norm", "head", "embed", "merging"},
}


@dataclass(frozen=True)
class Row:
    """What a mistake was told."""

    mistake: Mistake
    report: Report

    @property
    def told(self) -> bool:
        """Whether it was found wrong at all."""
        return bool(self.report.findings)

    @property
    def rightly(self) -> bool:
        """Whether its own sentence is all that was said."""
        return [finding.mistake for finding in self.report.findings] == [self.mistake.name]

    @property
    def localised(self) -> bool:
        """Whether the place that was named is of the kind that was changed."""
        if not self.told:
            return False
        finding = self.report.findings[0]
        if finding.about == "training":
            return finding.pattern == self.mistake.shows
        return kind_of(finding.place) in set.union(*map(KINDS.get, changed(self.mistake)))


def try_out(mistake: Mistake) -> Row:
    return Row(mistake, examine(Builder(mistake.model, wanted=OPTIONS), SIZES))


def changed(mistake: Mistake) -> list[str]:
    """Names of the page's classes and functions in which a mistake changes something."""
    nodes = [node for node in ast.parse(ONE_PAGE).body if hasattr(node, "name")]
    names = []
    for old, _ in mistake.changes:
        line = ONE_PAGE[: ONE_PAGE.index(old)].count("\n") + 1
        names += [node.name for node in nodes if node.lineno <= line <= node.end_lineno]
    return names


def kind_of(name: str) -> str:
    """The kind of place that an official name, of a parameter or a module, belongs to."""
    if name.startswith("layers."):
        return "merging" if ".downsample" in name else "block"
    return {"patch_embed": "embed", "absolute_pos_embed": "embed"}.get(
        name.partition(".")[0], name.partition(".")[0]
    )


def lines() -> Iterator[str]:
    """The table, a line as soon as it is known."""
    count = {"told": 0, "told rightly": 0, "localised": 0}
    yield f"{'mistake':<40}{'shows in':<12}{'lesson':<8}{'said':<10}place or pattern"
    for mistake in MISTAKES:
        row = try_out(mistake)
        count["told"] += row.told
        count["told rightly"] += row.rightly
        count["localised"] += row.localised
        said = "rightly" if row.rightly else "otherwise" if row.told else "nothing"
        found = row.report.findings[0] if row.told else None
        where = " ".join(filter(None, [found.place, found.pattern])) if found else ""
        where += "" if row.localised else " (not there)"
        yield f"{mistake.name:<40}{mistake.shows:<12}{mistake.lesson:<8}{said:<10}{where}"
    yield ", ".join([f"tried {len(MISTAKES)}", *(f"{what} {n}" for what, n in count.items())])
