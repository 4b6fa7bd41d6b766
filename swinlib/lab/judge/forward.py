"""The same weights in both models, and where their numbers part."""

import time
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from swinlib.lab.exercises.comparing import close
from swinlib.lab.judge.mistakes import MISTAKES, Mistake
from swinlib.lab.judge.models import give_weights, some_images, without_drawing
from swinlib.lab.judge.parts import made_in
from swinlib.lab.judge.places import TOLERANCE, Place, Run, Tap, compare

# What divides evenly, what does not, oblong maps, and, last, one smaller than a window.
SIZES = ((224, 224), (225, 190), (224, 448), (64, 48), (33, 57), (20, 24))
BRANCH_ENDS = ("attn.proj.", "mlp.fc2.")  # without these a block is silent
QUICK = 3  # of the smallest sizes are enough to tell most mistakes apart


@dataclass
class Seen:
    """What a model did at one size.

    Attributes:
        state: "equal", "differs", "unlike" (no shape that fits), "stops", or "silent" where there
            is nothing to compare.
        place: the first place that differs.
        after: the last place before it that is equal, None where all differ.
        largest: the largest difference at the head where equal, else at the place; over the
            place's largest number.
        got, wanted: the numbers at the place, (B, H, W, C) or (B, C).
        numbers: how many numbers came, where the shape does not fit.
        says: what is wrong with the shape.
        heard: names of the places that could be compared.
        error: what stopped it.
    """

    state: str
    place: Place | None = None
    after: Place | None = None
    largest: float = 0.0
    got: Tensor | None = None
    wanted: Tensor | None = None
    numbers: int = 0
    says: str = ""
    heard: frozenset[str] = frozenset()
    error: Exception | None = None


def first_difference(run: Run, wanted: dict[str, Tensor], places: list[Place], only=None) -> Seen:
    """Where a run leaves the reference's.

    What is equal further on proves what comes before, so that a place that was mistaken for
    another in a strange class does no harm.

    Args:
        only: names of the places to look at; None for all that were found.
    """
    found = {
        place: compare(run.outputs[place.name], wanted[place.name])
        for place in places
        if place.name in run.outputs and (only is None or place.name in only)
    }
    order = [place for place in found if found[place].got is not None or not guessed(run, place)]
    seen = Seen("silent", heard=frozenset(place.name for place in order), error=run.error)
    equal = [number for number, place in enumerate(order) if found[place].equal]
    after = order[equal[-1]] if equal else None
    rest = order[equal[-1] + 1 :] if equal else order
    if not rest and run.error is not None:
        upcoming = places[places.index(after) + 1] if after else places[0]
        return replace(seen, state="stops", place=upcoming, after=after)
    if not rest:
        return replace(seen, state="equal", largest=found[after].largest) if after else seen
    place = rest[0]
    result = found[place]
    seen = replace(seen, place=place, after=after, says=result.says, largest=result.largest)
    if result.got is None:
        numbers = sum(t.numel() for t in run.outputs[place.name])
        return replace(seen, state="unlike", numbers=numbers)
    return replace(seen, state="differs", got=result.got, wanted=wanted[place.name])


def guessed(run: Run, place: Place) -> bool:
    return place.name in run.guessed


class Models:
    """The reference and the mistaken one-page models, with one set of options and weights.

    What they give is kept.

    Args:
        reference: swinlib's model; it is given the weights.
        weights: by official name.
        places: of the reference.
        options: the page's, for the same model.
    """

    def __init__(
        self,
        reference: nn.Module,
        weights: dict[str, Tensor],
        places: list[Place],
        options: dict,
    ):
        self.reference, self.options = reference.eval(), options
        self.weights, self.places = weights, places
        self.in_chans = reference.patch_embed.in_chans
        self.own = Tap(self.reference, {name: name for name in weights}, places)
        give_weights(self.reference, weights, self.own.pairs)
        self.run = lru_cache(maxsize=None)(self._run)
        self.wanted_at = lru_cache(maxsize=None)(self._wanted_at)

    def images(self, size) -> Tensor:
        return some_images(size, self.in_chans)

    def _wanted_at(self, size) -> dict[str, Tensor]:
        """The reference's output at every place, for pictures of a size."""
        run = self.own.run(self.images(size))
        return {name: outputs[0] for name, outputs in run.outputs.items()}

    def _run(self, mistake: Mistake, size: tuple[int, int]) -> Run | None:
        try:
            with without_drawing():
                model = mistake.model(**self.options).eval()
        except TypeError:  # options that the page does not have
            return None
        pairs = {name: name for name in self.weights}
        give_weights(model, self.weights, pairs)
        return Tap(model, pairs, self.places).run(self.images(size))


class Contest:
    """A model beside the reference, with the same weights.

    Args:
        tap: listens to the model.
        models: the reference and the known mistakes.
        part: the sitting's, 0 for a whole model.
    """

    def __init__(self, tap: Tap, models: Models, part: int = 0):
        self.tap, self.models, self.part = tap, models, part
        self.places, self.images, self.wanted_at = models.places, models.images, models.wanted_at
        self.runs: dict[tuple[int, int], Run] = {}  # the model's, by size

    def see(self, size) -> Seen:
        self.runs[size] = self.tap.run(self.images(size))
        return first_difference(self.runs[size], self.wanted_at(size), self.places)

    @torch.no_grad()
    def seconds(self, size) -> tuple[float, float]:
        """How long the model and the reference take for two pictures, the best of three."""
        images, taken = self.images(size), ([], [])
        for _ in range(3):
            for model, times in zip((self.tap.model, self.models.reference), taken, strict=True):
                start = time.perf_counter()
                model(images)
                times.append(time.perf_counter() - start)
        return min(taken[0]), min(taken[1])

    def recognise(self, seen: dict[tuple[int, int], Seen]) -> Mistake | None:
        """The known mistake that does the same, wherever it was looked: None if none does."""
        small = sorted(seen, key=lambda size: size[0] * size[1])[:QUICK]
        failing = [size for size in small if seen[size].state != "equal"]
        sizes = failing[:1] + [size for size in small if size not in failing[:1]]
        if not failing:  # where small pictures show nothing, the first large one must decide
            sizes += [size for size in seen if seen[size].state != "equal"][:1]
        found = [
            mistake
            for mistake in MISTAKES
            if mistake.shows == "forward"
            and made_in(mistake, self.part)
            and all(self.does(mistake, size, seen[size]) for size in sizes)
        ]
        # Mistakes that begin alike may go on differently.
        last = (failing or sizes)[-1]
        to_the_end = [m for m in found if self.ends_like(m, last)]
        found = to_the_end or found
        if len(found) > 1:  # then the larger pictures decide, which take longer
            everywhere = [m for m in found if all(self.does(m, *both) for both in seen.items())]
            found = everywhere or found
        return next(iter(found), None)

    def does(self, mistake: Mistake, size, seen: Seen) -> bool:
        run = self.models.run(mistake, size)
        if run is None:
            return False
        # Where something stops, it is not listening that ended early.
        only = None if seen.state == "stops" else seen.heard
        return alike(seen, first_difference(run, self.wanted_at(size), self.places, only))

    def ends_like(self, mistake: Mistake, size) -> bool:
        """Whether also the head gives the same."""
        ends = [
            first_difference(run, self.wanted_at(size), self.places, {"head"})
            for run in (self.runs[size], self.models.run(mistake, size))
        ]
        return alike(*ends) and ends[0].state == "differs"

    def unheard_before(self, seen: Seen) -> list[Place]:
        """Blocks between the last place that is equal and the first that differs, unheard."""
        begin = self.places.index(seen.after) + 1 if seen.after else 0
        between = self.places[begin : self.places.index(seen.place)]
        return [p for p in between if p.kind == "block" and p.name not in seen.heard]

    def is_random(self, size, place: Place) -> bool:
        """Whether another pass over the same pictures gives other numbers at a place."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch.initial_seed() + 1)  # not that of the first pass
            again = self.tap.run(self.images(size)).outputs.get(place.name, [])
        return not all(map(close, again, self.runs[size].outputs[place.name]))

    def by_silencing(self, size) -> Place | None:
        """The block at fault, for models in which only the scores can be compared.

        In both models all blocks from one on are silenced, so that only the residuals pass: the
        scores begin to differ with the first block that is wrong. None if they differ without any:
        then no branch is at fault, but what passes by in a block, or something between blocks.
        """
        blocks = [place for place in self.places if place.kind == "block"]
        for number in range(len(blocks) + 1):
            silent = tuple(
                f"{place.name}.{part}" for place in blocks[number:] for part in BRANCH_ENDS
            )
            if self._see_silenced(size, silent, {"head"}).state != "equal":
                return blocks[number - 1] if number else None
        return None

    def branch(self, size, place: Place) -> str:
        """Which part of a block is at fault: its other parts are silenced, in both models.

        Returns:
            "attention", "the MLP", "attention and the MLP", "what passes by" (the residuals), or
            "" where that cannot be told.
        """
        ends = (f"{place.name}.{part}" for part in BRANCH_ENDS)
        parts = dict(zip(("attention", "the MLP"), ends, strict=True))
        wrong = [name for name in parts if self._differs_without(size, place, parts, name)]
        if self._differs_without(size, place, parts, None):
            return "what passes by"
        return " and ".join(wrong)

    def _differs_without(self, size, place: Place, parts: dict[str, str], kept) -> bool:
        silent = tuple(prefix for name, prefix in parts.items() if name != kept)
        seen = self._see_silenced(size, silent)
        if seen.place is None:
            return False
        return self.places.index(seen.place) <= self.places.index(place)

    def _see_silenced(self, size, silent: tuple[str, ...], only=None) -> Seen:
        """What is seen while parameters whose names begin so are zero, in both models."""
        models = self.models
        weights = {
            name: torch.zeros_like(w) if name.startswith(silent) else w
            for name, w in models.weights.items()
        }
        try:
            give_weights(self.tap.model, weights, self.tap.pairs)
            give_weights(models.reference, weights, models.own.pairs)
            wanted = {n: out[0] for n, out in models.own.run(self.images(size)).outputs.items()}
            return first_difference(self.tap.run(self.images(size)), wanted, self.places, only)
        finally:
            give_weights(self.tap.model, models.weights, self.tap.pairs)
            give_weights(models.reference, models.weights, models.own.pairs)


def alike(a: Seen, b: Seen) -> bool:
    """Whether two models do the same wrong thing at one size, to rounding."""
    if a.state == "equal" or b.state == "equal":
        return a.state == b.state
    if a.place != b.place or a.state != b.state:
        return False
    if a.state == "stops":  # an error's type alone would be too little
        return type(a.error) is type(b.error) and str(a.error) == str(b.error)
    if a.state == "unlike":
        return a.numbers == b.numbers
    if a.got.shape != b.got.shape:
        return False
    if not a.got.isfinite().all() or not b.got.isfinite().all():
        return bool((a.got.isfinite() == b.got.isfinite()).all())
    apart = (a.got - b.got).abs().max()
    scale = max(a.got.abs().max(), a.wanted.abs().max())
    return bool(apart <= min(4 * TOLERANCE * scale, 0.2 * (a.got - a.wanted).abs().max()))
