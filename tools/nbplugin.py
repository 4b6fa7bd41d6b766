"""What `pytest --nbval notebooks` checks beyond strict nbval, and the conditions it runs under.

A pytest plugin, which the conftest.py at the top loads.
"""

import os
import tempfile

import pytest
from nbval.plugin import IPyNbCell, NbCellError

from nbcompare import problems
from nbform import EXERCISE, LIVE, tags
from nbsolve import solve
from nbtool import CELL_TIMEOUT, conditions
from swinlib.lab.exercises import STRICT

NBVAL_DEFAULT_TIMEOUT = 2000  # seconds: half an hour of silence before a hanging cell is reported


def pytest_addoption(parser):
    parser.addoption(
        "--solved",
        action="store_true",
        help="run the notebooks with every exercise answered by its solution",
    )


def pytest_configure(config):
    """The kernels inherit this process's environment, so it is set before the first one starts."""
    if config.option.nbval:
        folder = tempfile.TemporaryDirectory()
        config.add_cleanup(folder.cleanup)
        wanted = conditions(folder.name)
        for name in os.environ.keys() - wanted.keys():
            del os.environ[name]
        os.environ.update(wanted)
        os.environ[STRICT] = "strict" if config.option.solved else ""
        config.option.nbval_current_env = True
        if config.option.nbval_cell_timeout == NBVAL_DEFAULT_TIMEOUT:
            config.option.nbval_cell_timeout = CELL_TIMEOUT


def pytest_collection_modifyitems(config, items):
    for item in items:
        if isinstance(item, IPyNbCell) and LIVE not in item.parent.skip_compare:
            item.parent.skip_compare += (LIVE,)  # it is not stored, see nbtool.leave_html
        if config.option.solved and isinstance(item, IPyNbCell):
            if EXERCISE in tags(item.cell):
                solve(item.cell)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not (isinstance(item, IPyNbCell) and item.config.option.nbval):
        return (yield)
    try:
        result = yield
        if found := problems(item.cell, item.test_outputs):
            raise NbCellError(item.cell_num, "\n  ".join(["", *found]), item.cell.source)
        return result
    except NbCellError as error:
        name, cell = item.path.stem, item.cell.get("id", "without an id")
        advice = f"Repair the cell or, if it is right as it is now, run: make refresh NB={name}"
        error.args = (f"{name}, cell {cell}: {error}\n  {advice}",)
        raise
