"""Keeps the notebooks in order: `python tools/nbtool.py refresh` or `check`, with names or without.

refresh  runs notebooks from top to bottom, in place, under the same conditions as the tests, and
         leaves their canonical form, so that a diff shows only what changed.
check    lists what departs from that form, without running anything.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from nbcompare import PICTURES, decode, indistinguishable, lighter, pictures
from nbform import canonical, check_file

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_TIMEOUT = 240  # seconds; the longest cell is the training of notebook 08 at its CI length

# What stored outputs are made and compared under; the same everywhere, or they could not be equal.
NOWHERE = "http://127.0.0.1:9"
ENVIRONMENT = {
    "SWINLIB_PRESET": "smoke",
    "SWINLIB_DATASET": "shapes",
    "SWINLIB_EXERCISES": "",  # exercises are stored unanswered, which is no error
    "CUDA_VISIBLE_DEVICES": "",
    # One thread: sums come out in the same order, and two notebooks can run side by side.
    "OMP_NUM_THREADS": "1",
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["refresh", "check"])
    parser.add_argument("names", nargs="*", help="a path, or how a name begins: 03; default all")
    options = parser.parse_args(arguments)
    paths = find(options.names)
    if options.action == "refresh":
        return 0 if all([refresh(path) for path in paths]) else 1
    found = [line for path in paths for line in check_file(path)]
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


def refresh(path: Path) -> bool:
    """Runs a notebook and writes it back in canonical form; one that fails is left as it was."""
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
    # The kernel's own stderr holds notices about itself; what cells write goes to the notebook.
    client.execute(env={**os.environ, **ENVIRONMENT}, stderr=subprocess.DEVNULL)


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
