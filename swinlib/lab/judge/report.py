"""What the judge says."""

from dataclasses import asdict, dataclass, field

from swinlib.lab.exercises.checking import in_lines

LARGE = 28  # tokens; a larger map is not written in letters


@dataclass
class Finding:
    """Something that is not as it should be.

    Attributes:
        about: "file", "parameters", "forward" or "training".
        says: in a sentence or two.
        reread: lesson and section.
        mistake: name of the known mistake, if it is one.
        place: official name of the module it was found in.
        pattern: name of the pattern on the map.
        size: (H, W) of the pictures that the picture below is of.
        map: (h, w) of the largest difference of each token, over the place's largest number.
        window, shift: (height, width) of the windows on that map, if it is a block's.
    """

    about: str
    says: str
    reread: str = ""
    mistake: str = ""
    place: str = ""
    pattern: str = ""
    size: tuple[int, int] | None = None
    map: list[list[float]] | None = None
    window: tuple[int, int] | None = None
    shift: tuple[int, int] = (0, 0)

    def lines(self, letters: bool = True) -> list[str]:
        sign = "~" if self.about == "training" else "✗"
        lines = [in_lines(f"{sign} {self.says}")]
        if self.reread:
            lines.append(f"  Reread {self.reread}.")
        if letters and self.map and max(len(self.map), len(self.map[0])) <= LARGE:
            lines += ["  The map; # where a token differs, | and - between windows:"]
            lines += [f"    {line}" for line in self.letters()]
        return lines

    def letters(self) -> list[str]:
        """The map in letters, with the windows' walls."""
        from swinlib.lab.judge.places import TOLERANCE

        rows, columns = walls(self)
        lines = []
        for y, row in enumerate(self.map):
            cells = ["#" if value > TOLERANCE else "." for value in row]
            line = "".join(f"|{c}" if x in columns else f" {c}" for x, c in enumerate(cells))
            if y in rows:
                lines.append("--" * len(row))
            lines.append(line.rstrip())
        return lines


def walls(finding: Finding) -> tuple[list[int], list[int]]:
    """Rows and columns of the map before which a window begins, moved ones where they moved."""
    H, W = len(finding.map), len(finding.map[0])
    if not finding.window:
        return [], []
    return tuple(
        [n for n in range(1, length) if (n - s) % m == 0]
        for length, m, s in zip((H, W), finding.window, finding.shift, strict=True)
    )


@dataclass
class Report:
    """All that was found.

    Attributes:
        name: of what was judged.
        findings: what is wrong, the first thing first.
        remarks: what is worth knowing and not wrong.
        took: what was taken for what, where names are not the official ones.
        sizes: (size, what happened) of every forward pass.
        largest: the largest difference at the head, over its largest number.
        seconds: of two pictures, the model's and the reference's; None if not measured.
        verdict: the last line.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    took: list[str] = field(default_factory=list)
    sizes: list[tuple[str, str]] = field(default_factory=list)
    largest: float | None = None
    seconds: tuple[float, float] | None = None
    verdict: str = ""

    def __str__(self) -> str:
        """All of it, for a terminal or a cell."""
        return "\n".join([*self.seen(), *self.said()])

    def seen(self) -> list[str]:
        """Lines on what was looked at."""
        lines = [self.name]
        lines += [in_lines(f"  · {remark}") for remark in self.remarks]
        if self.took:
            lines.append("  · What it took for what, one of each kind:")
            lines += [f"      {line}" for line in self.took]
        for size, what in self.sizes:
            sign = "✓" if what.startswith("equal") else "✗"
            lines.append(in_lines(f"  {sign} {size:<9}{what}"))
        return lines

    def said(self, drawn: bool = False) -> list[str]:
        """Lines on what is wrong, and the verdict; the map too, unless it is drawn."""
        lines = []
        for finding in self.findings:
            lines += ["", *finding.lines(letters=not drawn)]
        return [*lines, "", in_lines(f"{self.sign} {self.verdict}")]

    @property
    def sign(self) -> str:
        """Of the verdict: ✓, ✗, ~ where training alone would differ, … where nothing was judged."""
        if self.right:
            return "✓"
        if self.equal:
            return "~"
        return "✗" if self.findings else "…"

    def show(self) -> "Report":
        """Print it, and in a notebook draw where the numbers differ.

        The sentences stand below the map: that is where the page ends up after a cell was run.
        """
        picture = next((f for f in self.findings if f.map), None)
        print("\n".join(self.seen()))
        if picture:
            from IPython.display import Image, display

            from swinlib.lab.judge.picture import difference_map

            drawn = difference_map(picture)
            display(Image(drawn.png(), alt=drawn.caption))
        print("\n".join(self.said(drawn=picture is not None)))
        return self

    @property
    def equal(self) -> bool:
        """Whether the forward pass is the official one's at every size."""
        first = self.findings[0].about if self.findings else "training"
        return self.largest is not None and first == "training"

    @property
    def right(self) -> bool:
        return self.equal and not self.findings

    def as_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict) -> "Report":
        findings = [Finding(**finding) for finding in found.pop("findings")]
        return cls(findings=findings, **found)


def name_of(size) -> str:
    return f"{size[0]}x{size[1]}"


def conclude(report: Report) -> Report:
    """Write the last line."""
    if not report.equal:
        report.verdict = "Not yet the Swin Transformer."
        return report
    report.verdict = "A Swin Transformer, equal to the official one"
    if report.largest:
        report.verdict += f": the largest difference is {report.largest:.1e} of the largest score"
    else:
        report.verdict += " to the last bit"
    if report.seconds:
        mine, reference = report.seconds
        report.verdict += f"; {mine:.3f} s where the reference takes {reference:.3f} s"
    report.verdict += "."
    if report.findings:
        times = "one thing" if len(report.findings) == 1 else f"{len(report.findings)} things"
        report.verdict += f" In training {times} would differ."
    return report
