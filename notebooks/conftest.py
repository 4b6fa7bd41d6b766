"""What `pytest --nbval notebooks` checks beyond strict nbval, and the conditions it runs under."""

import os

import pytest
from nbval.plugin import IPyNbCell, NbCellError

from nbcompare import problems
from nbtool import CELL_TIMEOUT, ENVIRONMENT

NBVAL_DEFAULT_TIMEOUT = 2000  # seconds: half an hour of silence before a hanging cell is reported


def pytest_configure(config):
    """The kernels inherit this process's environment, so it is set before the first one starts."""
    if config.option.nbval:
        os.environ.update(ENVIRONMENT)
        config.option.nbval_current_env = True
        if config.option.nbval_cell_timeout == NBVAL_DEFAULT_TIMEOUT:
            config.option.nbval_cell_timeout = CELL_TIMEOUT


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
