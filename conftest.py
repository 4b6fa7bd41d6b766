"""Tests and notebooks run under conditions of their own, whatever the user's settings are."""

import os

from nbtool import is_personal

pytest_plugins = ["nbplugin"]

# Before anything that reads them is imported; kernels and commands that tests start inherit this.
for name in filter(is_personal, list(os.environ)):
    del os.environ[name]
os.environ["MATPLOTLIBRC"] = os.devnull
os.environ["MPLBACKEND"] = "agg"
