"""What only the notebooks need: drawing, showing source, comparing. Swin itself is not here.

Every number that a figure shows comes from the lessons' own functions.
"""

from swinlib.lab.compare import compare
from swinlib.lab.figures.roadmap import roadmap
from swinlib.lab.photograph import photograph, small_pictures
from swinlib.lab.progress import progress
from swinlib.lab.source import show_source
from swinlib.lab.style import setup

__all__ = [
    "setup",
    "roadmap",
    "show_source",
    "compare",
    "photograph",
    "small_pictures",
    "progress",
]
