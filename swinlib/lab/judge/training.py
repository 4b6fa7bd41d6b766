"""How a model behaves in training, measured from outside.

The weights are chosen so that every number that comes out of a branch is known: then what was
dropped, and how often, can be read off. Nothing has to be known of how a model is written.
"""

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from swinlib.lab.judge.models import Builder, draw_weights, give_weights, some_images
from swinlib.lab.judge.patterns import shift_of, window_numbers
from swinlib.lab.judge.places import Place, Run, Tap, compare, layouts
from swinlib.training import parameter_groups

TINY = {
    "patch_size": 4,
    "in_chans": 3,
    "num_classes": 4,
    "embed_dim": 16,
    "depths": (2, 2, 2),
    "num_heads": (2, 4, 8),
    "window_size": 2,
    "mlp_ratio": 4.0,
}
RATE_NAMES = ("drop_rate", "attn_drop_rate", "drop_path_rate")
RATE = 0.6  # of drop path in the last block
HALF = 0.5
# What one coin may decide for, the right thing first.
COINS = ("", "picture", "batch", "window", "token", "number")
SIZE = (32, 32)  # pixels; maps of 8 x 8, 4 x 4 and 2 x 2 tokens with patches of 4


class CannotHear(Exception):
    """A model's blocks cannot be listened to."""


class Subject:
    """A class, ready to be made with other rates.

    Args:
        builder: makes the models.
        pairs: the parameters' official names, and the class's own.
        places: of the reference.
        size: pictures it takes.
    """

    def __init__(self, builder: Builder, pairs: dict[str, str], places: list[Place], size=SIZE):
        self.builder, self.pairs, self.places, self.size = builder, pairs, places, size
        self.shapes = {n: p.shape for n, p in builder.reference().named_parameters()}
        self.maps = self._maps()
        self.window = builder.reference().layers[0].blocks[0].window_size
        self.tap: Tap | None = None  # of the model that was run last
        # Coins enough to tell what one decides for, in a second or two.
        self.pictures = 16 if self.shapes["norm.weight"][0] <= 128 else 4

    def _maps(self) -> dict[str, torch.Size]:
        """The shape of every place's output, for one picture."""
        reference = self.builder.reference()
        tap = Tap(reference, {name: name for name in self.shapes}, self.places)
        run = tap.run(some_images(self.size, reference.patch_embed.in_chans, 1))
        return {name: out[0].shape for name, out in run.outputs.items()}

    def make(self, **rates) -> nn.Module:
        extra = {"img_size": self.size[0]} if self.builder.is_static else {}
        return self.builder.model(**rates, **extra)

    def run(self, model: nn.Module, weights: dict[str, Tensor], pictures: int) -> Run:
        give_weights(model, weights, self.pairs)
        channels = self.shapes["patch_embed.proj.weight"][1]
        if self.tap is None or self.tap.model is not model:
            self.tap = Tap(model, self.pairs, self.places)
        run = self.tap.run(some_images(self.size, channels, pictures))
        if run.error is not None:
            raise run.error
        return run

    def silent(self) -> dict[str, Tensor]:
        """Weights with which nothing but zeros flows."""
        return {name: torch.zeros(shape) for name, shape in self.shapes.items()}

    def blocks(self) -> list[Place]:
        return [place for place in self.places if place.kind == "block"]

    def outputs(self, run: Run, pictures: int) -> dict[str, Tensor]:
        """Blocks' outputs as (B, H, W, C), by name, as far as they were heard.

        Raises:
            CannotHear: none was.
        """
        found = {}
        for place in self.blocks():
            shape = torch.Size([pictures, *self.maps[place.name][1:]])
            maps = [m for t in run.outputs.get(place.name, []) for m in layouts(t, shape)]
            if maps:
                found[place.name] = maps[0]
        if not found:
            raise CannotHear
        return found


# --- drop path ----------------------------------------------------------------------------------


def drop_path(subject: Subject) -> dict:
    """What drop path does: rates by block, what a coin decides, whether it is made up for.

    Attention gives ones at even channels, the MLP at odd ones, and nothing else flows; what is
    added to the map is then a branch's coin, over the probability of keeping.
    """
    if not subject.builder.can_set("drop_path_rate"):
        return {}
    model = subject.make(drop_path_rate=RATE).train()
    weights = subject.silent()
    for place in subject.blocks():
        weights[f"{place.name}.attn.proj.bias"][0::2] = 1
        weights[f"{place.name}.mlp.fc2.bias"][1::2] = 1
    pictures, added = subject.pictures, {}
    for _ in range(8):
        out = subject.outputs(subject.run(model, weights, pictures), pictures)
        for place in subject.blocks():
            before = f"layers.{place.stage}.blocks.{place.block - 1}"
            if place.name in out and (place.block == 0 or before in out):
                came = out[before] if place.block else 0.0
                added.setdefault(place.name, []).append(out[place.name] - came)
    rates, facts = [], {"coin": "", "made up for": True, "branches": ""}
    for place in subject.blocks():
        if place.name not in added:
            rates.append(None)
            continue
        # (runs, pictures, tokens, channels)
        x = torch.stack(added[place.name]).flatten(2, 3)
        branches = x[..., 0::2], x[..., 1::2]
        rates.append(tuple(_rate(branch) for branch in branches))
        _describe(branches, _windows(subject, place), facts)
    facts["rates"] = tuple(rates)
    return facts


def _rate(coins: Tensor) -> float | tuple[str, float]:
    """The probability of dropping: from what is made up for, else by counting."""
    largest = coins.max().item()
    if largest > 1.001:
        return round(1 - 1 / largest, 2)
    dropped = (coins.abs() < 1e-6).float().mean().item()
    return ("about", dropped)


def _windows(subject: Subject, place: Place) -> Tensor:
    """The number of each token's window in a block, (tokens,)."""
    size = subject.maps[place.name][1:3]
    window = subject.window
    shift = shift_of(*size, place, window)
    rows, columns = map(window_numbers, size, window, shift)
    return (rows[:, None] * (columns.max() + 1) + columns).flatten()


def _describe(branches: tuple[Tensor, Tensor], windows: Tensor, facts: dict) -> None:
    """Add what one block's coins tell."""
    dropped = [coins.abs() < 1e-6 for coins in branches]
    shares = [d.float().mean().item() for d in dropped]
    if min(coins.min().item() for coins in branches) < -1e-3:
        facts["branches"] = "the map itself"
    if not 0.02 < max(shares) < 0.98:
        return
    some = max(range(2), key=shares.__getitem__)
    if branches[some].max() < 1.001:
        facts["made up for"] = False
    # In a single window a coin for every window is one for every picture.
    pairs = zip(dropped, shares, strict=True)
    coins = [_coin(d, windows) for d, share in pairs if 0.02 < share < 0.98]
    facts["coin"] = max([facts["coin"], *coins], key=COINS.index)
    if min(shares) < 0.02:
        facts["branches"] = facts["branches"] or ("the MLP", "attention")[shares[0] > shares[1]]
    elif facts["coin"] == "picture":
        both = dropped[0][..., 0] == dropped[1][..., 0]
        facts["branches"] = facts["branches"] or ("together" if both.all() else "each")


def _coin(dropped: Tensor, windows: Tensor) -> str:
    """What one coin decides for, from (runs, pictures, tokens, channels) of bool."""
    if (dropped != dropped[..., :1]).any():
        return "number"
    if (dropped != dropped[:, :, :1]).any():
        alone = (dropped[:, :, windows == n] for n in windows.unique())
        return "token" if any((d != d[:, :, :1]).any() for d in alone) else "window"
    if (dropped != dropped[:, :1]).any():
        return "picture"
    return "batch"


# --- dropout ------------------------------------------------------------------------------------


def dropout(subject: Subject) -> dict:
    """Where drop_rate and attn_drop_rate act, as (place, rate): by option."""
    facts = {}
    for option in ("drop_rate", "attn_drop_rate"):
        if subject.builder.can_set(option):
            model = subject.make(**{"drop_path_rate": 0.0, option: HALF}).train()
            facts[option] = tuple(_dropped(subject, model))
    return facts


def _dropped(subject: Subject, model: nn.Module):
    block = subject.blocks()[0].name
    attn, mlp = f"{block}.attn", f"{block}.mlp"
    hidden, C = subject.shapes[f"{mlp}.fc1.weight"]

    def out(**values) -> Tensor:
        """The first block's output, if only these weights are not zero."""
        weights = subject.silent()
        for name, value in values.items():
            weights[name][:] = value
        outputs = subject.outputs(subject.run(model, weights, 16), 16)
        if block not in outputs:
            raise CannotHear
        return outputs[block]

    if _share(out(**{"patch_embed.norm.bias": 1.0})) > 0.1:
        yield "tokens"
    projection = _share(out(**{f"{attn}.proj.bias": 1.0})) > 0.1
    if projection:
        yield "projection"
    if _share(out(**{f"{mlp}.fc2.bias": 1.0})) > 0.1:
        yield "after the MLP"
    spread = torch.full((C, hidden), 1.0 / hidden)
    if _varies(out(**{f"{mlp}.fc1.bias": 1.0, f"{mlp}.fc2.weight": spread})):
        yield "inside the MLP"
    # All values are 1 and all weights alike, so that attention gives ones.
    values = torch.tensor([0.0, 0.0, 1.0]).repeat_interleave(C)
    ones = out(**{f"{attn}.qkv.bias": values, f"{attn}.proj.weight": torch.eye(C)})
    if _varies(ones):
        yield "weights"
    elif _share(ones) > 0.1 and not projection:
        yield "attention's output"


def _share(x: Tensor) -> float:
    """Of numbers that are zero."""
    return (x.abs() < 1e-6).float().mean().item()


def _varies(x: Tensor) -> bool:
    """Whether the numbers that are not zero are of several kinds."""
    kept = x[x.abs() > 1e-6]
    return len(kept) > 0 and (kept.max() - kept.min()).item() > 1e-3 * kept.max().item()


# --- evaluation, first weights, decay -----------------------------------------------------------


@torch.no_grad()
def evaluation(subject: Subject) -> dict:
    """Which rates also act in evaluation."""
    acting = []
    weights = draw_weights(subject.builder.reference())
    for option in ("drop_rate", "attn_drop_rate", "drop_path_rate"):
        if subject.builder.can_set(option):
            model = subject.make(**{"drop_path_rate": 0.0, option: HALF}).eval()
            first, second = (subject.run(model, weights, 8).outputs["head"] for _ in range(2))
            if not compare(first, second[0]).equal:
                acting.append(option)
    return {"in evaluation": tuple(acting)}


ROLES = {
    "linear weights": lambda n, p: p.ndim == 2 and "table" not in n,
    "linear biases": lambda n, p: p.ndim == 1 and "norm" not in n and "patch_embed" not in n,
    "norms' weights": lambda n, p: p.ndim == 1 and "norm" in n and n.endswith("weight"),
    "norms' biases": lambda n, p: p.ndim == 1 and "norm" in n and n.endswith("bias"),
    "bias tables": lambda n, p: n.endswith("relative_position_bias_table"),
    "the embedding's convolution": lambda n, p: n == "patch_embed.proj.weight",
}


def first_weights(subject: Subject) -> dict[str, tuple[float, float]]:
    """(mean, standard deviation) of the parameters of each role, as a model is made."""
    torch.manual_seed(0)
    own = dict(subject.make().named_parameters())
    facts = {}
    for role, belongs in ROLES.items():
        names = [n for n, shape in subject.shapes.items() if belongs(n, torch.empty(shape))]
        values = [own[subject.pairs[n]].detach().flatten() for n in names if n in subject.pairs]
        if values:
            # Each on its own scale where a rule looks at the layer's width.
            spread = torch.stack([v.std() for v in values if len(v) > 1]).mean().item()
            facts[role] = (torch.cat(values).mean().item(), spread)
    return facts


def _near(a, b) -> bool:
    if a is None:
        return True
    # Few numbers are drawn, and the mistakes worth telling are many times larger.
    return abs(a[0] - b[0]) <= 0.5 * b[1] + 1e-4 and abs(a[1] - b[1]) <= 0.25 * b[1] + 1e-4


def decay(subject: Subject) -> dict:
    """Official names of the parameters that weight decay spares, as an optimizer gets them.

    Vectors are spared whether a model names them or not, see `parameter_groups`.
    """
    model = subject.make()
    told = SimpleNamespace(
        modules=lambda: [told],
        parameters=model.parameters,
        named_parameters=model.named_parameters,
        no_weight_decay=lambda: _told(model, "no_weight_decay"),
        no_weight_decay_keywords=lambda: _told(model, "no_weight_decay_keywords"),
    )
    spared = {id(p) for p in parameter_groups(told, 1.0)[1]["params"]}
    own = dict(model.named_parameters())
    names = [ours for ours, theirs in subject.pairs.items() if id(own[theirs]) in spared]
    facts = {"spared": tuple(sorted(names))}
    if any(ROLES["bias tables"](name, None) and name not in names for name in subject.pairs):
        # Then it matters whether it was forgotten or misnamed, and else it does not.
        facts["says"] = bool(set(told.no_weight_decay()) | set(told.no_weight_decay_keywords()))
    return facts


def _told(model: nn.Module, method: str):
    told = getattr(model, method, ())
    return told() if callable(told) else told


# --- all of it ----------------------------------------------------------------------------------

MEASURES = {
    "evaluation": evaluation,
    "drop path": drop_path,
    "dropout": dropout,
    "initial": first_weights,
    "decay": decay,
}


def unlike(a: dict, b: dict) -> list[str]:
    """Names of the facts of `b` that `a` has otherwise; what could not be measured is left out."""
    return [name for name in b if name in a and not _same(name, a[name], b[name])]


def _same(name: str, a, b) -> bool:
    if name in ROLES:
        return _near(a, b)
    if name == "rates":
        return all(x is None or y is None or _same_rates(x, y) for x, y in zip(a, b, strict=False))
    return a == b


def _same_rates(a, b) -> bool:
    """Of attention and MLP; rates that were counted are not exact."""
    return all(_same_rate(x, y) for x, y in zip(a, b, strict=True))


def _same_rate(x, y) -> bool:
    counted = isinstance(x, tuple) or isinstance(y, tuple)
    x, y = (rate[1] if isinstance(rate, tuple) else rate for rate in (x, y))
    return abs(x - y) <= (0.15 if counted else 0.011)
