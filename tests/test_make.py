"""The environment that make keeps: made once, and repaired when it does not fit any more.

Python itself is played by a script that writes down what it is asked for.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make to test")

PYTHON = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  --version) echo "Python $VERSION" ;;
  *files*pip*) test -e .venv/pip ;;
  "-m venv --clear .venv")
    rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python
    test -z "$INTERRUPTED" && touch .venv/pip ;;
esac
"""
MADE, LAB = "-m venv --clear .venv", "-r requirements.txt"
TEST, SITE = "-r requirements-test.txt", "-r requirements-site.txt"


@pytest.fixture
def make(tmp_path):
    """Runs make in the only folder beside it; tells what it made and installed."""
    course = tmp_path / "Kurs für 1 Übung"
    course.mkdir()
    for path in (*ROOT.glob("requirements*.txt"), ROOT / "Makefile", ROOT / "pyproject.toml"):
        shutil.copy(path, course)
    (python := tmp_path / "python").write_text(PYTHON)
    python.chmod(0o755)

    def run(target, version="3.12.1", fails=False, **environment):
        (calls := tmp_path / "calls").write_text("")
        environment = {**os.environ, "CALLS": str(calls), "VERSION": version, **environment}
        (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
        command = ["make", f"PYTHON={python}", target]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert bool(done.returncode) == fails, done.stderr
        run.said = done.stderr
        return [what for line in calls.read_text().splitlines() for what in (MADE, LAB, TEST, SITE)
                if line.endswith(what)]  # fmt: skip

    run.folder = course
    return run


def test_made_and_installed_once(make):
    assert make("progress") == [MADE, LAB]
    assert make("progress") == []
    assert make("check") == [TEST]  # what maintainers need is not the learners' to install
    assert make("check") == [] and make("progress") == []
    assert make("site") == [SITE]
    assert make("site") == [] and make("test") == []


def test_what_has_changed_is_installed_again(make):
    make("check")
    stamp = (make.folder / ".venv" / ".test").stat().st_mtime
    os.utime(make.folder / "requirements.txt", (stamp + 5, stamp + 5))
    assert make("check") == [LAB, TEST]


def test_an_environment_moved_or_copied_is_repaired(make, tmp_path):
    make("progress")
    make.folder.rename(tmp_path / "und jetzt so ß")
    assert make("progress") == [LAB]
    assert make("progress") == []


def test_an_environment_that_another_folder_lends_is_not_changed(make, tmp_path_factory):
    make("progress")
    stamp = (make.folder / ".venv" / ".made").read_text()
    lent = (make.folder / ".venv").rename(tmp_path_factory.mktemp("disk") / "environment")
    (make.folder / ".venv").symlink_to(lent)
    assert make("check") == [TEST]  # ours, only kept elsewhere
    (lent / ".made").write_text("Python 3.12 in /srv/another course\n")
    assert make("check", fails=True) == []
    assert "environment of /srv/another course, which make would change" in make.said
    assert (lent / ".made").exists()
    (make.folder / ".venv").unlink()
    assert make("check") == [MADE, LAB, TEST]
    assert (make.folder / ".venv" / ".made").read_text() == stamp


def test_after_an_upgrade_of_python(make):
    make("progress")
    (make.folder / ".venv" / "pip").unlink()  # it belongs to the old one's folder
    assert make("progress", version="3.13.0") == [MADE, LAB]
    assert make("progress", version="3.13.1") == []


def test_a_dangling_python_is_replaced(make):
    make("progress")
    python = make.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    assert make("progress") == [MADE, LAB]


def test_an_interrupt_while_it_was_made(make):
    assert make("progress", fails=True, INTERRUPTED="yes") == [MADE]
    assert make("progress") == [MADE, LAB]


def test_an_environment_made_by_hand_is_kept(make):
    make("progress")
    for stamp in (".made", ".lab"):
        (make.folder / ".venv" / stamp).unlink()
    assert make("progress") == [LAB]
