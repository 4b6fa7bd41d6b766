"""Which parameter of a model is which of the reference's: by name, or by shape and order."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

MANY = 6  # names that are listed; of more only the first


@dataclass
class Match:
    """How the parameters of a model fit the reference's.

    Attributes:
        pairs: the reference's name of each that was found, and the model's.
        missing: names of the reference's that the model lacks.
        extra: names of the model's that the reference lacks.
        misshapen: (reference's name, model's name, wanted shape, shape).
        how: "name", "shape and order" or "shape and order of use".
    """

    pairs: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    misshapen: list[tuple[str, str, tuple, tuple]] = field(default_factory=list)
    how: str = "name"

    @property
    def fits(self) -> bool:
        return not (self.missing or self.extra or self.misshapen)

    @property
    def footprint(self) -> tuple:
        """What is wrong, for comparing with what a known mistake does."""
        return (
            tuple(sorted(self.missing)),
            tuple(sorted(self.extra)) if self.how == "name" else len(self.extra),
            tuple(sorted((name, got) for name, _, _, got in self.misshapen)),
        )

    def took(self) -> list[str]:
        """What was taken for what, each kind of name once, unless it is the official one."""
        kinds = {}
        for ours, theirs in self.pairs.items():
            if ours == theirs:
                continue
            ours, theirs = (re.sub(r"\.(weight|bias)$", "", name) for name in (ours, theirs))
            key = tuple(re.sub(r"\b\d+\b", "#", name) for name in (ours, theirs))
            kinds.setdefault(key[0], (theirs, ours))
        return [f"{theirs} for {ours}" for theirs, ours in kinds.values()]


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names and shapes, in order; a convolution over single places counts as a linear layer."""
    return {name: squeezed(p.shape) for name, p in model.named_parameters()}


def squeezed(shape) -> tuple[int, ...]:
    shape = tuple(shape)
    return shape[:2] if len(shape) == 4 and shape[2:] == (1, 1) else shape


def match(model: nn.Module, reference: nn.Module, order_of_use=None) -> Match:
    """Find the reference's parameters in a model.

    Args:
        order_of_use: takes a model and gives its parameters' names in the order in which a forward
            pass uses them, or None; called where the order in the class does not decide.
    """
    theirs, ours = shapes_of(model), shapes_of(reference)
    named = None
    if 2 * len(theirs.keys() & ours.keys()) >= min(len(ours), len(theirs)):
        named = by_name(theirs, ours)
        if named.fits:
            return named
    groups, wanted = grouped(theirs), grouped(ours)
    if [shapes for _, shapes in groups] == [shapes for _, shapes in wanted]:
        return Match(_pairs(wanted, groups), how="shape and order")
    if order_of_use is not None and (pairs := by_use(model, reference, order_of_use)):
        return Match(pairs, how="shape and order of use")
    return named or by_alignment(groups, wanted, theirs, ours)


def by_name(theirs: dict, ours: dict) -> Match:
    """Names decide; what is left over is paired where the shapes leave no choice."""
    found = Match()
    for name, shape in ours.items():
        if name not in theirs:
            found.missing.append(name)
        elif theirs[name] != shape:
            found.misshapen.append((name, name, shape, theirs[name]))
        else:
            found.pairs[name] = name
    found.extra = [name for name in theirs if name not in ours]
    lacking, spare = by_shape(found.missing, ours), by_shape(found.extra, theirs)
    for shape, names in lacking.items():
        if len(spare.get(shape, ())) == len(names):
            for name, other in zip(names, spare[shape], strict=True):
                found.pairs[name] = other
                found.missing.remove(name)
                found.extra.remove(other)
    return found


def by_shape(names, shapes: dict) -> dict[tuple, list[str]]:
    groups = defaultdict(list)
    for name in names:
        groups[shapes[name]].append(name)
    return groups


def grouped(shapes: dict) -> list[tuple[list[str], tuple]]:
    """Names of parameters that stand in one module, and their shapes, in order."""
    groups: dict[str, list[str]] = {}
    for name in shapes:
        module, _, last = name.rpartition(".")
        # The parameters of a list, or of a whole model, do not belong together.
        alone = last.isdigit() or not module
        groups.setdefault(name if alone else module, []).append(name)
    return [(names, tuple(shapes[name] for name in names)) for names in groups.values()]


def _pairs(wanted, groups) -> dict[str, str]:
    return {
        ours: theirs
        for (a, _), (b, _) in zip(wanted, groups, strict=True)
        for ours, theirs in zip(a, b, strict=True)
    }


def by_use(model, reference, order_of_use) -> dict[str, str] | None:
    """Pairs of equal shapes in the order in which a forward pass comes to them; None if unknown."""
    sorted_groups = []
    for m in (reference, model):
        order = order_of_use(m)
        shapes = shapes_of(m)
        if order is None or set(order) != set(shapes):
            return None
        place = {name: number for number, name in enumerate(order)}
        groups = defaultdict(list)
        for names, signature in grouped(shapes):
            groups[signature].append((min(place[name] for name in names), names))
        sorted_groups.append({shapes: sorted(some) for shapes, some in groups.items()})
    ours, theirs = sorted_groups
    if {k: len(v) for k, v in ours.items()} != {k: len(v) for k, v in theirs.items()}:
        return None
    return {
        a: b
        for signature, some in ours.items()
        for (_, wanted), (_, got) in zip(some, theirs[signature], strict=True)
        for a, b in zip(wanted, got, strict=True)
    }


def by_alignment(groups, wanted, theirs: dict, ours: dict) -> Match:
    """The longest row of modules that fit one after another, and what is left of either side."""
    found = Match(how="shape and order")
    matcher = SequenceMatcher(
        None, [shapes for _, shapes in wanted], [shapes for _, shapes in groups], autojunk=False
    )
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            found.pairs |= _pairs(wanted[a:b], groups[c:d])
            continue
        lacking = [name for names, _ in wanted[a:b] for name in names]
        spare = [name for names, _ in groups[c:d] for name in names]
        if len(lacking) == len(spare):
            for name, other in zip(lacking, spare, strict=True):
                if ours[name] == theirs[other]:
                    found.pairs[name] = other
                else:
                    found.misshapen.append((name, other, ours[name], theirs[other]))
        else:
            found.missing += lacking
            found.extra += spare
    return found


# --- in the order of use ------------------------------------------------------------------------


class UseRecorder(TorchFunctionMode):
    """Notes when a parameter is first used, and what the other tensor in that call was.

    Attributes:
        order: names of parameters, by their first use.
        beside: for each, the largest tensor that was given to the same function.
    """

    def __init__(self, model: nn.Module, keep: set[str] | None = None):
        super().__init__()
        self.names = {id(p): name for name, p in model.named_parameters()}
        self.keep = keep or set()
        self.order: list[str] = []
        self.beside: dict[str, Tensor] = {}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if getattr(function, "__name__", "") == "__get__" and not isinstance(result, Tensor):
            return result  # reading an attribute such as the shape is no use
        tensors = [t for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
        for tensor in tensors:
            name = self.names.get(id(tensor))
            if name is not None and name not in self.order:
                self.order.append(name)
                others = [t for t in tensors if id(t) not in self.names]
                if name in self.keep and others:
                    self.beside[name] = max(others, key=Tensor.numel).detach().clone()
        return result


def order_of_use(images: Tensor):
    """A function that gives a model's parameters in the order in which it uses them."""

    @torch.no_grad()
    def order(model: nn.Module) -> list[str] | None:
        recorder = UseRecorder(model)
        try:
            with recorder:
                model(images)
        except Exception:  # whatever a learner's code may raise; the forward pass will tell
            return None
        return recorder.order

    return order
