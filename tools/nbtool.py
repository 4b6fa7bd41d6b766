"""Keeps the notebooks in order: `python tools/nbtool.py refresh` or `check`, with names or without.

refresh  runs notebooks from top to bottom, in place, under the same conditions as the tests, and
         leaves their canonical form, so that a diff shows only what changed.
check    lists what departs from that form, without running anything.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nbcompare import decode, indistinguishable, lighter, pictures
from nbform import LIVE, PICTURES, canonical, check_file, text

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_TIMEOUT = 240  # seconds; the longest cell is the training of notebook 08 at its CI length

# Whatever begins like this is somebody's own: how their Python warns, what their IPython loads, how
# their figures look, whether their terminal likes colours. An installation's is not.
PERSONAL = (
    *("PYTHON", "IPYTHON", "JUPYTER", "MATPLOTLIB", "MPL", "TQDM", "SWINLIB"),
    *("FORCE_COLOR", "NO_COLOR", "CLICOLOR", "COLUMNS", "LINES"),
)
NEEDED = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")

# What stored outputs are made and compared under; the same everywhere, or they could not be equal.
NOWHERE = "http://127.0.0.1:9"
ENVIRONMENT = {
    "SWINLIB_PRESET": "smoke",
    "SWINLIB_DATASET": "shapes",
    "SWINLIB_EXERCISES": "",  # exercises are stored unanswered, which is no error
    "CUDA_VISIBLE_DEVICES": "",
    # One thread: sums come out in the same order, and two notebooks can run side by side.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Figures as in a notebook, in matplotlib's own style.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": os.devnull,
    # No official weights, although somebody's home folder may hold some.
    "TORCH_HOME": os.devnull,
    # Offline: a proxy at which nobody answers turns a download into an error at once.
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "no_proxy": "localhost,127.0.0.1",
    "NO_PROXY": "localhost,127.0.0.1",
}


def is_personal(variable: str) -> bool:
    """Whether an environment variable is a setting of the user's own."""
    return variable.startswith(PERSONAL) and variable not in NEEDED


def conditions(folder: str) -> dict[str, str]:
    """The whole environment of a kernel whose outputs are stored or compared.

    Args:
        folder: empty, for what IPython keeps; the user's may hold a profile.
    """
    kept = {name: value for name, value in os.environ.items() if not is_personal(name)}
    return kept | ENVIRONMENT | {"IPYTHONDIR": folder}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["refresh", "check"])
    parser.add_argument("names", nargs="*", help="a path, or how a name begins: 03; default all")
    parser.add_argument(
        "--fewer-pictures", action="store_true", help="refresh: a cell may draw less than it stores"
    )
    options = parser.parse_intermixed_args(arguments)
    paths = find(options.names)
    if options.action == "refresh":
        return 0 if all([refresh(path, options.fewer_pictures) for path in paths]) else 1
    found = [line for path in paths for line in [*check_file(path), *lost_since_commit(path)]]
    print(*found or [f"{len(paths)} notebooks in order"], sep="\n")
    return 1 if found else 0


def find(names: list[str]) -> list[Path]:
    """The notebooks meant by `names`, or all of them."""
    everything = sorted(NOTEBOOKS.glob("*.ipynb"))
    chosen = []
    for name in names:
        here = [Path(name)] if Path(name).is_file() else []
        matches = here or [path for path in everything if path.name.startswith(name)]
        if not matches:
            known = ", ".join(path.stem for path in everything) or "none"
            sys.exit(f"no notebook called {name!r}; there are: {known}")
        chosen += matches
    return chosen or everything


def refresh(path: Path, fewer_pictures: bool = False) -> bool:
    """Runs a notebook and writes it back in canonical form.

    One that fails is left as it was; so is one that would lose pictures, unless that is allowed.
    """
    import nbformat
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.from_dict(stored)
    start = time.perf_counter()
    try:
        execute(fresh, path.parent)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{path.name}: failed, file left as it was\n{error}", file=sys.stderr)
        return False
    lost = lost_pictures(stored, fresh)
    if lost and not fewer_pictures:
        print(f"{path.name}: file left as it was, since pictures would go", *lost, sep="\n  ")
        print("  If that is meant: make refresh ARGS=--fewer-pictures")
        return False
    leave_html(fresh)
    make_lighter(fresh)
    keep_pictures(stored, fresh)
    nbformat.write(canonical(fresh), path)
    print(f"{path.name}: {time.perf_counter() - start:.1f} s")
    found = check_file(path)
    print(*found, sep="\n", end="\n" if found else "")
    return not found


def execute(nb, folder: Path) -> None:
    """Runs all cells in this environment's Python, with `folder` as the working directory."""
    from nbclient import NotebookClient

    client = NotebookClient(
        nb,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    with tempfile.TemporaryDirectory() as ipython:
        # The kernel's own stderr holds notices about itself; cells write to the notebook.
        client.execute(env=conditions(ipython), stderr=subprocess.DEVNULL)


def lost_pictures(before: dict, after: dict) -> list[str]:
    """The cells of both notebooks that hold fewer pictures after than before, each with a line."""
    now = {cell.get("id"): count_pictures(cell) for cell in after["cells"]}
    then = {cell.get("id"): count_pictures(cell) for cell in before["cells"]}
    return [
        f"cell {name}: {count} pictures before, {now[name]} now"
        for name, count in then.items()
        if now.get(name, count) < count
    ]


def count_pictures(cell: dict) -> int:
    """How many of a cell's outputs hold a pixel picture."""
    shown = [output.get("data", {}) for output in cell.get("outputs", [])]
    return sum(any(mime in data for mime in PICTURES) for data in shown)


def lost_since_commit(path: Path) -> list[str]:
    """Unchanged cells that have lost pictures since the last commit; nothing where git is none."""
    try:
        command = ["git", "show", f"HEAD:./{path.name}"]
        run = subprocess.run(command, cwd=path.parent, capture_output=True, check=True)
        before, after = json.loads(run.stdout), json.loads(path.read_bytes())
        same = {text(c["source"]) for c in before["cells"]}
        kept = {"cells": [c for c in after["cells"] if text(c["source"]) in same]}
        return [f"{path.name}: {line}" for line in lost_pictures(before, kept)]
    except (OSError, subprocess.CalledProcessError, ValueError, KeyError, TypeError):
        return []  # no git, a new notebook, or one that `check_file` has something to say of


def leave_html(nb: dict) -> None:
    """Drops what only a live page gets: a stored one shows the plain forms beside it."""
    for cell in nb["cells"]:
        for output in cell.get("outputs", []):
            if len(output.get("data", {})) > 1:
                output["data"].pop(LIVE, None)


def make_lighter(nb: dict) -> None:
    """Gives every PNG the smallest form in which it looks the same."""
    for cell in nb["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = lighter(output["data"]["image/png"])


def keep_pictures(stored: dict, fresh: dict) -> None:
    """Puts stored pictures back where the fresh ones show the same to the eye.

    Another version of a drawing library changes every byte of a picture and nothing in it.
    """
    for old, new in zip(stored["cells"], fresh["cells"], strict=True):
        before = [output["data"] for output in old.get("outputs", []) if pictures([output])]
        after = [output["data"] for output in new.get("outputs", []) if pictures([output])]
        if len(before) != len(after):
            continue
        for mime in PICTURES:
            for a, b in zip(before, after, strict=True):
                if mime in a and mime in b and indistinguishable(decode(a[mime]), decode(b[mime])):
                    b[mime] = a[mime]


if __name__ == "__main__":
    sys.exit(main())
