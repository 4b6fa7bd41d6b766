"""What the measurements look like: as lines, as a table, and as points."""

from pathlib import Path


def line(row: dict) -> str:
    """A row of the table."""
    title = f"{row['task']}, {row['kind']}, batch {row['batch']}"
    title += ", bfloat16" if row["precision"] == "bfloat16" else ""
    title += ", compiled" if row["compiled"] else ""
    cells = []
    for name, value in row["ratio_to_torchvision"].items():
        spread = f"{value['median']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
        cells.append(f"{name} {spread} = {row['multiple_of_floor'][name]:.2f} floors")
    memory = "".join(f"; {n} {b / 2**20:.0f} MiB" for n, b in row["peak_bytes"].items())
    return f"{title}\n    " + "\n    ".join(cells) + memory


def markdown(results: dict) -> str:
    """The table of data/bench/README.md: times as fast as torchvision, median [quartiles]."""
    names = ["timm", "swinlib", "floor"]
    lines = ["| task | timm | swinlib | bare products |", "| --- | --- | --- | --- |"]
    for row in results["rows"]:
        cells = [line(row).splitlines()[0]]
        for name in names:
            value = row["ratio_to_torchvision"].get(name)
            spread = "[{low:.2f}, {high:.2f}]".format(**value) if value else ""
            cells.append(f"{value['median']:.2f} {spread}" if value else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(results: dict, path: Path) -> None:
    """A panel for each task: times as fast as torchvision, with quartiles and the floor."""
    import matplotlib.pyplot as plt

    tasks = {}
    for row in results["rows"]:
        tasks.setdefault(f"{row['task']}, batch {row['batch']}", []).append(row)
    looks = {"timm": ("#e69f00", "s", -0.17), "swinlib": ("#0072b2", "o", 0.17)}
    figure, axes = plt.subplots(
        len(tasks), sharex=True, squeeze=False, layout="constrained",
        figsize=(8, 1.3 + 0.45 * len(results["rows"])),
        height_ratios=[len(rows) for rows in tasks.values()],
    )  # fmt: skip
    for ax, (task, rows) in zip(axes[:, 0], tasks.items(), strict=True):
        ax.axvline(1, color="#333333", linewidth=1, label="torchvision")
        for number, row in enumerate(rows):
            for name, (colour, marker, off) in looks.items():
                value = row["ratio_to_torchvision"].get(name)
                if value is None:
                    continue
                error = [[value["median"] - value["low"]], [value["high"] - value["median"]]]
                ax.errorbar(value["median"], number + off, xerr=error, color=colour, fmt=marker,
                            label=name, markersize=6, elinewidth=2)  # fmt: skip
            limit = row["ratio_to_torchvision"]["floor"]["median"]
            ax.plot([limit] * 2, [number - 0.35, number + 0.35], color="#cc3311", linewidth=2.5,
                    label="bare matrix products")  # fmt: skip
        ax.set_title(task, loc="left", fontsize=10)
        ax.set_yticks(range(len(rows)), [_way(row) for row in rows], fontsize=9)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.grid(axis="x", color="#dddddd")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("times as fast as torchvision: median of the rounds, and quartiles")
    handles = {}
    for ax in axes[:, 0]:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _way(row):
    """What a row measures of its task."""
    parts = [row["kind"], row["precision"], "compiled" if row["compiled"] else ""]
    return ", ".join(part for part in parts if part)
