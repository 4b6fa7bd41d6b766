"""The learner's command: `python -m swinlib.lab`.

lab       lays what is missing in learn/ and opens JupyterLab on the first lesson there; further
          options are JupyterLab's, such as  --no-browser --port 8899
copies    lays what is missing in learn/: for VS Code, Colab and other front ends
fresh     sets a copy aside and lays a new one, for  fresh 04  of lesson 04
progress  shows which exercises are answered, right, open
"""

import argparse
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from swinlib._console import write_utf_8
from swinlib.lab.learner import ROOT, copy_of, lay_afresh, lay_copies, lessons, outdated
from swinlib.lab.progress import progress

SETTINGS = Path(__file__).with_name("jupyter")  # JupyterLab's, unless the learner's say otherwise


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m swinlib.lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["lab", "copies", "fresh", "progress"])
    options, others = parser.parse_known_args(arguments)
    if others and options.action not in ("lab", "fresh"):
        parser.error(f"{options.action} takes nothing more, got {' '.join(others)}")
    try:
        if options.action == "progress":
            progress(root)
        elif options.action == "fresh":
            fresh(others, root)
        else:
            copies(root)
            if options.action == "lab":
                return jupyterlab(others, root)
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def copies(root: Path) -> None:
    """Lay the missing copies; say what is new, and what the course has newer."""
    if new := lay_copies(root):
        print(f"Your own copies, in learn/: {', '.join(copy.stem for copy in new)}")
    if old := [lesson.name[:2] for lesson in outdated(root)]:
        print(
            f"The course has moved on since your copy of {', '.join(old)} was made. "
            f"A new one, with yours kept beside it: {command_for_fresh(old)}"
        )


def command_for_fresh(names: list[str]) -> str:
    """As whoever reads it started this: from make, or without."""
    if "MAKELEVEL" in os.environ:
        return f'make fresh NB="{" ".join(names)}"'
    python, here = Path(sys.executable), Path.cwd()
    python = python.relative_to(here) if python.is_relative_to(here) else "python"
    return f"{python} -m swinlib.lab fresh {' '.join(names)}"


def fresh(names: list[str], root: Path) -> None:
    if not names:
        raise ValueError(f"fresh needs a lesson, such as {command_for_fresh(['04'])}")
    for name in names:
        copy, aside = lay_afresh(name, root)
        kept = f"; yours is now learn/{aside.name}" if aside else ""
        print(f"learn/{copy.name} is new{kept}")
    print("If it is open in JupyterLab: File, Reload Notebook from Disk.")


def jupyterlab(options: list[str], root: Path) -> int:
    """Run JupyterLab until it ends; the address that it prints leads to the first lesson."""
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/learn/{copy_of(lessons(root)[0]).name}",
        f"--LabApp.app_settings_dir={SETTINGS}",
        # Jupyter asks for this from root, which is who one is in many containers.
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        *options,
    ]
    # An installation remembers its folder; the kernels are to find this one, moved or copied too.
    paths = filter(None, [str(root), os.environ.get("PYTHONPATH")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(sys.executable, command, environment)  # without what this process has loaded
    server = subprocess.Popen(command, env=environment)
    while True:
        with suppress(KeyboardInterrupt):  # JupyterLab gets it too, and decides
            return server.wait()


if __name__ == "__main__":
    write_utf_8()
    sys.exit(main())
