"""Where two models are compared: after the embedding, every block, every merging, norm, head.

A model may be written in any style, so its places are found through its parameters. A block's
output is that of the smallest module that owns all of the block's parameters and no others. Where
there is no such module it is what the next block's norm is given.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from swinlib.lab.judge.parameters import UseRecorder

# Fractions of a place's largest number. Sums in another order stay below; measured in the tests.
TOLERANCE = 2e-5


@dataclass(frozen=True)
class Place:
    """A place in the model.

    Attributes:
        name: of the official module.
        kind: "embed", "block", "merging", "norm" or "head".
        words: for a sentence.
        stage, block: counted from 0, where there is one.
    """

    name: str
    kind: str
    words: str
    stage: int = -1
    block: int = -1

    @property
    def shifted(self) -> bool:
        return self.kind == "block" and self.block % 2 == 1


def places_of(depths: tuple[int, ...]) -> list[Place]:
    """All places, in the order in which a picture comes to them."""
    places = [Place("patch_embed", "embed", "the embedding")]
    for i, depth in enumerate(depths):
        for j in range(depth):
            what = "shifted" if j % 2 else "not shifted"
            words = f"block {j + 1} of stage {i + 1} (layers.{i}.blocks.{j}, {what})"
            places.append(Place(f"layers.{i}.blocks.{j}", "block", words, i, j))
        if i < len(depths) - 1:
            words = f"the merging after stage {i + 1} (layers.{i}.downsample)"
            places.append(Place(f"layers.{i}.downsample", "merging", words, i))
    places.append(Place("norm", "norm", "the last norm"))
    places.append(Place("head", "head", "the head's scores"))
    return places


@dataclass
class Run:
    """What came out of a forward pass.

    Attributes:
        outputs: by place, as they came; several where a place gives several tensors.
        guessed: places whose output is taken from where it is used next, which may be elsewhere.
        error: what stopped it, if anything.
    """

    outputs: dict[str, list[Tensor]] = field(default_factory=dict)
    guessed: set[str] = field(default_factory=set)
    error: Exception | None = None


class Tap:
    """Listens at a model's places.

    Args:
        model: any model.
        pairs: the official name of each parameter, and the model's own.
        places: from `places_of`.
    """

    def __init__(self, model: nn.Module, pairs: dict[str, str], places: list[Place]):
        self.model, self.pairs, self.places = model, pairs, places
        self.modules, self.fed = {}, {}  # place to module; place to the parameter it is given to
        owned = {}
        for ours, theirs in pairs.items():
            owned.setdefault(self.place_of(ours), []).append(theirs)
        for place, following in zip(places, [*places[1:], None], strict=True):
            if place.kind == "head":
                continue
            if (path := self.owner(owned.get(place.name, []))) is not None:
                self.modules[place.name] = path
            elif following is not None:
                norm = {"block": ".norm1.weight", "norm": ".weight", "head": ".weight"}
                name = pairs.get(following.name + norm.get(following.kind, "?"))
                if name is not None and place.kind != "norm":
                    self.fed[place.name] = name

    def place_of(self, name: str) -> str | None:
        fitting = [p.name for p in self.places if name.startswith(f"{p.name}.")]
        return fitting[0] if fitting else None

    def owner(self, names: list[str]) -> str | None:
        """The smallest module with all of these parameters, if it has no others."""
        if not names:
            return None
        paths = [name.split(".")[:-1] for name in names]
        shortest = min(map(len, paths))
        depth = next((d for d in range(shortest) if len({p[d] for p in paths}) > 1), shortest)
        path = ".".join(paths[0][:depth])
        try:
            module = self.model.get_submodule(path)
        except AttributeError:  # parameters may be called after no module
            return None
        own = {f"{path}.{name}" if path else name for name, _ in module.named_parameters()}
        called = not isinstance(module, nn.ModuleList | nn.ModuleDict)
        return path if path and called and own <= set(names) else None

    def run(self, images: Tensor, gradients: bool = False) -> Run:
        """A forward pass, with what is found at the places."""
        run, handles = Run(), []
        for name, path in self.modules.items():
            handles.append(self.model.get_submodule(path).register_forward_hook(_keep(run, name)))
        recorder = UseRecorder(self.model, set(self.fed.values())) if self.fed else None
        try:
            with torch.set_grad_enabled(gradients):
                if recorder is None:
                    out = self.model(images)
                else:
                    with recorder:
                        out = self.model(images)
            run.outputs["head"] = _tensors(out)
        except Exception as error:  # whatever a learner's code may raise
            run.error = error
        finally:
            for handle in handles:
                handle.remove()
        for name, parameter in self.fed.items():
            if recorder is not None and parameter in recorder.beside:
                run.outputs[name] = [recorder.beside[parameter]]
                run.guessed.add(name)
        return run


def _keep(run: Run, name: str):
    def hook(module, args, output):
        run.outputs.setdefault(name, _tensors(output))  # the first call counts

    return hook


def _tensors(output) -> list[Tensor]:
    outputs = output if isinstance(output, tuple | list) else [output]
    return [t.detach().clone() for t in outputs if isinstance(t, Tensor) and t.is_floating_point()]


# --- compared -----------------------------------------------------------------------------------


@dataclass
class Comparison:
    """Two outputs of a place.

    Attributes:
        equal: whether they are the same to rounding.
        largest: the largest difference, over the wanted output's largest number.
        got: the model's output laid out like the wanted one, (B, H, W, C) or (B, C).
        says: what is wrong where the two cannot be laid side by side.
    """

    equal: bool
    largest: float = float("inf")
    got: Tensor | None = None
    says: str = ""


def compare(got: list[Tensor], wanted: Tensor) -> Comparison:
    """Compare a place's output, whatever its layout, with the wanted one."""
    shapes = [tuple(t.shape) for t in got]
    found = [arranged for t in got for arranged in layouts(t, wanted.shape)]
    if not found:
        what = f"gives {shapes[0]}" if len(shapes) == 1 else f"gives {shapes}"
        if not shapes:
            what = "gives no tensor of floating point numbers"
        return Comparison(False, says=f"{what}, wanted {tuple(wanted.shape)}")
    scale = float(wanted.abs().max())
    errors = [float((t.to(wanted) - wanted).abs().max()) / scale for t in found]
    errors = [e if e == e else float("inf") for e in errors]
    best = min(range(len(found)), key=errors.__getitem__)
    result = Comparison(errors[best] <= TOLERANCE, errors[best], found[best].to(wanted))
    if not result.got.isfinite().all():
        result.says = "some numbers are NaN or infinite"
    return result


def layouts(t: Tensor, shape: torch.Size) -> list[Tensor]:
    """A tensor in all ways in which it can be read as (B, H, W, C), or as (B, C)."""
    if len(shape) == 2:
        return [t.reshape(shape)] if t.shape == shape or t.squeeze().shape == shape else []
    B, H, W, C = shape
    ways = [  # no dictionary: where C is H * W, one shape means several layouts
        ((B, H, W, C), lambda: t),
        ((B, C, H, W), lambda: t.permute(0, 2, 3, 1)),
        ((B, H * W, C), lambda: t.unflatten(1, (H, W))),
        ((B, C, H * W), lambda: t.unflatten(2, (H, W)).permute(0, 2, 3, 1)),
        ((H * W, B, C), lambda: t.transpose(0, 1).unflatten(1, (H, W))),
    ]
    return [way() for layout, way in ways if tuple(t.shape) == layout]
