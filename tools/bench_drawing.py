"""What the measurements look like: as lines, as a table, and as bars."""

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
    """All rows as bars: times as fast as torchvision, with quartiles and the floor."""
    import matplotlib.pyplot as plt

    rows = results["rows"]
    names = ["torchvision", "timm", "swinlib"]
    looks = {"torchvision": ("#999999", ""), "timm": ("#e69f00", "//"), "swinlib": ("#0072b2", "")}
    figure, ax = plt.subplots(figsize=(8, 0.9 + 0.75 * len(rows)), layout="constrained")
    for number, row in enumerate(rows):
        for place, name in enumerate(names):
            if name not in row["ratio_to_torchvision"]:
                continue
            value = row["ratio_to_torchvision"][name]
            colour, hatch = looks[name]
            y = number + (place - 1) * 0.26
            error = [[value["median"] - value["low"]], [value["high"] - value["median"]]]
            ax.barh(y, value["median"], 0.24, color=colour, hatch=hatch, edgecolor="white",
                    xerr=error, label=name if number == 0 else None)  # fmt: skip
            ax.text(0.02, y, f"{value['median']:.2f}", va="center", fontsize=7.5,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
        limit = row["ratio_to_torchvision"]["floor"]["median"]
        ax.plot([limit] * 2, [number - 0.38, number + 0.38], color="#cc3311", linewidth=2,
                label="bare matrix products" if number == 0 else None)  # fmt: skip
    ax.set_yticks(range(len(rows)), [line(row).splitlines()[0] for row in rows], fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.axvline(1, color="#333333", linewidth=1)
    ax.set_xlabel("times as fast as torchvision, median of the rounds and quartiles")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
