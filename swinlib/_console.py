"""What a command needs to print."""

import sys


def write_utf_8() -> None:
    """So that ✓ and any name come out where output is no console, which on Windows takes less."""
    out = sys.stdout
    if hasattr(out, "reconfigure") and not out.isatty():  # a notebook's has none
        out.reconfigure(encoding="utf-8", errors=out.errors)
