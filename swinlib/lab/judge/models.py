"""The models that are compared: the reference, the one to be judged, and mistaken ones."""

import inspect
import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from swinlib import onepage
from swinlib.model import SwinTransformer

ONE_PAGE = Path(onepage.__file__).read_text(encoding="utf-8")

# Small enough to be judged in seconds; stages of unequal depth, heads that are no power of two.
SMALL = {
    "patch_size": 4,
    "in_chans": 3,
    "num_classes": 10,
    "embed_dim": 24,
    "depths": (2, 2, 4, 2),
    "num_heads": (3, 6, 12, 24),
    "window_size": 7,
    "mlp_ratio": 4.0,
}
RATES = ("drop_rate", "attn_drop_rate", "drop_path_rate")
NO_DROPPING = dict.fromkeys(RATES, 0.0)
# What others call the official arguments.
ALIASES = {
    "drop_rate": ("dropout", "drop", "p_drop"),
    "attn_drop_rate": ("attention_dropout", "attn_dropout", "attn_drop"),
    "drop_path_rate": ("stochastic_depth_prob", "drop_path", "sd_prob"),
    "num_classes": ("n_classes", "classes"),
    "in_chans": ("in_channels", "channels"),
    "embed_dim": ("hidden_dim", "dim"),
    "num_heads": ("heads", "n_heads"),
}
REFERENCE_TAKES = set(inspect.signature(SwinTransformer).parameters)


class CannotBuild(Exception):
    """A model that is to be judged cannot be made; the message says why, for its author."""


@dataclass
class Builder:
    """Makes models of a class, whatever it calls its arguments.

    Attributes:
        make: the class.
        given: arguments that are always passed, by the class's own names.
        wanted: the reference's options; passed where the class takes them.
        name: for messages.
    """

    make: Callable[..., nn.Module]
    given: dict = field(default_factory=dict)
    wanted: dict = field(default_factory=lambda: dict(SMALL))
    name: str = "SwinTransformer"

    def __post_init__(self):
        try:
            parameters = inspect.signature(self.make).parameters.values()
        except (TypeError, ValueError):
            parameters = []
        self.takes = {p.name for p in parameters}
        self.takes_anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
        official = {self.official(name): name for name in self.takes}
        self.names = {n: official[n] for n in REFERENCE_TAKES if n in official}
        if self.takes_anything and not self.names:
            self.names = {n: n for n in (*SMALL, *RATES)}
        told = {self.official(n): _plain(v) for n, v in self.given.items()}
        told = {n: v for n, v in told.items() if n in REFERENCE_TAKES}
        # What it cannot be told, it must have as the paper's Swin-T; what was given counts.
        settable = set() if self.given else set(self.names)
        self.reference_options = {n: v for n, v in self.wanted.items() if n in settable} | told

    @staticmethod
    def official(name: str) -> str:
        return next((n for n, others in ALIASES.items() if name in others), name)

    def can_set(self, name: str) -> bool:
        return name in self.names

    @property
    def is_static(self) -> bool:
        """Whether the class is told the pictures' size when a model is made."""
        return "img_size" in self.names

    def reference(self) -> SwinTransformer:
        """The reference with the same options, its weights not drawn yet."""
        with without_drawing():
            return SwinTransformer(**NO_DROPPING | self.reference_options)

    def model(self, **changes) -> nn.Module:
        """A model to be judged; `changes` are official options, passed where the class takes them.

        Raises:
            CannotBuild: the class gives something else than an `nn.Module`.
        """
        options = NO_DROPPING | ({} if self.given else self.reference_options)
        passed = {self.names[n]: v for n, v in options.items() if n in self.names} | self.given
        changed = {self.names[n]: v for n, v in changes.items() if n in self.names}
        model = self.make(**passed | changed)
        if not isinstance(model, nn.Module):
            raise CannotBuild(f"{self.name}(...) gives a {type(model).__name__}, not an nn.Module")
        return model


def _plain(value):
    """Lists, as a command line or torchvision has them, as tuples."""
    return tuple(value) if isinstance(value, list) else value


# --- the same weights for all -------------------------------------------------------------------


@torch.no_grad()
def draw_weights(reference: nn.Module) -> dict[str, Tensor]:
    """A value for every parameter, by its official name, and none that hides a mistake.

    Tables and biases are not zero. The numbers that flow from block to block stay small, so that
    also the epsilon of a norm matters.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = {}
    for name, p in reference.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        quiet = 0.1 if re.search(r"patch_embed\.norm|\.proj\.|fc2|reduction|absolute", name) else 1
        if name.endswith("relative_position_bias_table") or name == "absolute_pos_embed":
            drawn[name] = quiet * noise
        elif p.ndim == 1:
            centre = 1.0 if name.endswith("weight") else 0.0
            drawn[name] = quiet * (centre + 0.2 * noise)
        else:
            drawn[name] = quiet * noise / p[0].numel() ** 0.5
    return drawn


def some_images(size: tuple[int, int], in_chans: int = 3, pictures: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(size[0] * 10_000 + size[1])
    return torch.randn(pictures, in_chans, *size, generator=generator)


@contextmanager
def without_drawing():
    """Models are made without first weights, which take most of the time and are replaced."""

    def leave(tensor, *args, **kwargs):
        return tensor

    before = nn.init.trunc_normal_, nn.Linear.reset_parameters, nn.Conv2d.reset_parameters
    nn.init.trunc_normal_ = nn.Linear.reset_parameters = nn.Conv2d.reset_parameters = leave
    try:
        yield
    finally:
        nn.init.trunc_normal_, nn.Linear.reset_parameters, nn.Conv2d.reset_parameters = before


@torch.no_grad()
def give_weights(model: nn.Module, weights: dict[str, Tensor], pairs: dict[str, str]) -> None:
    """Copy weights, by official names, into a model; `pairs` tells its own names."""
    own = dict(model.named_parameters())
    for name, theirs in pairs.items():
        own[theirs].copy_(weights[name].reshape(own[theirs].shape))


# --- the page, changed --------------------------------------------------------------------------


def page_with(changes: tuple[tuple[str, str], ...]) -> str:
    """The source of the one-page model with pieces of text replaced by others.

    Raises:
        ValueError: a piece does not stand there exactly once.
    """
    source = ONE_PAGE
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} stands {source.count(old)} times in onepage.py, wanted once")
        source = source.replace(old, new)
    return source


@cache
def page_classes(changes: tuple[tuple[str, str], ...] = ()) -> dict:
    """What the changed source defines, by name."""
    namespace = {"__name__": "onepage_changed"}
    exec(compile(page_with(changes), "onepage.py", "exec"), namespace)
    return namespace
