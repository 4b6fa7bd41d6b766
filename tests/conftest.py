"""What all tests have in common: one thread, and the same random numbers in any order."""

import os

import pytest
import torch
from matplotlib import rc_context

from swinlib.lab import showing

# On small tensors more threads cost time, and a lot of it where cores are shared.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for training, and for the processes of tests


@pytest.fixture(autouse=True)
def same_random_numbers():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def same_look():
    """A lesson's `setup` changes how figures look, for the rest of the process."""
    with rc_context():
        yield


@pytest.fixture
def figures(monkeypatch):
    """The figures that are shown, in place of showing them."""
    shown = []
    monkeypatch.setattr(showing, "picture", lambda figure, alt, *_: shown.append(figure) or alt)
    return shown


@pytest.fixture(scope="module")
def chromium():
    """A real browser, for tests that are skipped where `find_browser` finds none."""
    from browser import FLAGS, find_browser
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=find_browser(), args=FLAGS) as chromium:
            yield chromium


LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def report(request):
    """Takes lines to print after all tests, such as measured times."""
    return request.config.stash.setdefault(LINES, []).append


def pytest_terminal_summary(terminalreporter, config):
    if lines := config.stash.get(LINES, []):
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
