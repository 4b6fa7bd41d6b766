"""What is to be judged: found, imported, made ready."""

import importlib
import importlib.util
import inspect
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import nn

from swinlib.lab.judge.models import SMALL, Builder, CannotBuild
from swinlib.lab.judge.parts import PARTS, run_source, with_part

CLASS = "SwinTransformer"


@dataclass
class Target:
    """What is to be judged.

    Attributes:
        what: "my_swin.py", "my_swin.py:Name" or "module:Name".
        arguments: for the class, by its own names; none for the judge's choice.
        part: 1 to 4, of a file; 0 for all of it.
        source: the file's text where there is no file; `what` is then only a name.
        sizes: (H, W) of the pictures; none for the judge's choice.
        wanted: the options that a model is made with that was given no arguments.
    """

    what: str
    arguments: dict = field(default_factory=dict)
    part: int = 0
    source: str | None = None
    sizes: list = field(default_factory=list)
    wanted: dict = field(default_factory=lambda: dict(SMALL))

    def as_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict) -> "Target":
        wanted = {k: tuple(v) if isinstance(v, list) else v for k, v in found.pop("wanted").items()}
        return cls(wanted=wanted, **found)

    @property
    def path(self) -> str | None:
        """Of the file, if it is one."""
        stem, colon, name = self.what.rpartition(":")
        # A drive's colon, as in C:\\my_swin.py, is followed by a slash.
        path = stem if colon and name.isidentifier() else self.what
        return path if path.endswith(".py") else None

    @property
    def name(self) -> str:
        """Of the class."""
        name = self.what.rpartition(":")[2]
        return name if ":" in self.what and name.isidentifier() else CLASS


def load(target: Target) -> tuple[Builder, list[str]]:
    """The class to be judged, and remarks.

    Raises:
        CannotBuild: there is no such file, module or class.
        Exception: whatever the file raises.
    """
    remarks = []
    if target.part:
        source = target.source
        if source is None:
            source = _text(target.path or target.what)
        defined, lacking = with_part(target.part, source, target.path or target.what)
        if len(lacking) == len(PARTS[target.part]):
            names = ", ".join(PARTS[target.part])
            raise CannotBuild(f"nothing of part {target.part} is written yet: {names}")
        if lacking:
            names = ", ".join(lacking)
            remarks.append(f"Not written yet, and taken from the one-page model: {names}.")
        made = defined[CLASS]
    elif target.source is not None:
        defined = {"__name__": "my_swin"}
        run_source(target.source, target.what, defined)
        made = _named(defined, target)
    elif target.path:
        _text(target.path)
        sys.path.insert(0, str(Path(target.path).resolve().parent))
        spec = importlib.util.spec_from_file_location("judged_file", target.path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["judged_file"] = module
        spec.loader.exec_module(module)
        made = _named(vars(module), target)
    else:
        module, colon, _ = target.what.partition(":")
        if not colon:
            raise CannotBuild(f"{target.what!r} is no file: give my_swin.py, or module:Class")
        sys.path.insert(0, "")
        made = _named(vars(importlib.import_module(module)), target)
    return Builder(made, dict(target.arguments), dict(target.wanted), target.name), remarks


def _text(path: str) -> str:
    if not Path(path).is_file():
        raise CannotBuild(f"there is no file {path}")
    return Path(path).read_text(encoding="utf-8")


def _named(defined: dict, target: Target):
    if target.name in defined:
        return defined[target.name]
    classes = [
        name
        for name, thing in defined.items()
        if inspect.isclass(thing)
        and issubclass(thing, nn.Module)
        and thing.__module__ == defined.get("__name__")
    ]
    there = f"there are {', '.join(classes)}" if classes else "it defines no nn.Module"
    raise CannotBuild(f"{target.what} has no class {target.name}; {there}")
