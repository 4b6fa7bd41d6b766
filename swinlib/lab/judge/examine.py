"""The examination: parameters, forward pass, training, in this order."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import torch

from swinlib.lab.exercises.checking import stumble
from swinlib.lab.judge import parameters, training
from swinlib.lab.judge.forward import SIZES, Contest, Models, Seen
from swinlib.lab.judge.mistakes import MISTAKES, Mistake
from swinlib.lab.judge.models import (
    NO_DROPPING,
    Builder,
    CannotBuild,
    draw_weights,
    give_weights,
    page_classes,
    some_images,
    without_drawing,
)
from swinlib.lab.judge.parts import PARTS, may_name
from swinlib.lab.judge.patterns import COUNTED, padding_tokens, pattern_of, shift_of
from swinlib.lab.judge.places import Tap, places_of
from swinlib.lab.judge.report import Finding, Report, conclude, name_of
from swinlib.model import SwinTransformer

FEW = 3  # names that a sentence on training holds


def static_size(builder: Builder) -> tuple[int, int] | None:
    """The one size of pictures that a model takes which is told it when it is made."""
    if not builder.is_static:
        return None
    size = builder.given.get(builder.names["img_size"], 224)
    return tuple(size) if isinstance(size, tuple | list) else (size, size)


def examine(builder: Builder, sizes=SIZES, say=lambda stage: None, part: int = 0) -> Report:
    """Judge a class.

    Args:
        builder: makes its models.
        sizes: (H, W) of the pictures to compare with.
        say: called with what is done next, so that a hang can be told from a wait.
        part: the only part that is not the one-page model's, 0 for all of it.

    Raises:
        CannotBuild: the reference cannot be made with the class's options.
    """
    report = Report(builder.name)
    if one := static_size(builder):
        sizes = (one, *(size for size in sizes if size != one))
    say("while a model is made")
    try:
        with torch.random.fork_rng(devices=[]):
            model = builder.model(**({"img_size": one[0]} if one else {})).eval()
    except Exception as error:  # whatever a learner's code may raise
        report.findings.append(Finding("file", f"No model could be made: {stumble(error)}."))
        return conclude(report)
    try:
        reference = builder.reference()
    except (TypeError, ValueError) as error:
        raise CannotBuild(f"the official model cannot have these options: {error}") from error

    say("while its parameters are compared")
    images = some_images(sizes[0] if one else (64, 48), reference.patch_embed.in_chans)
    order = parameters.order_of_use(images)
    found = parameters.match(model, reference, order)
    report.took = found.took()
    if found.how != "name" and found.fits:
        report.remarks.append(f"Names are its own; parameters were matched by {found.how}.")
    if not found.fits:
        report.findings.append(about_parameters(found, builder, model))
        if found.extra or found.misshapen or not all(map(can_be_zero, found.missing)):
            return conclude(report)
        report.remarks.append("What is missing was set to zero in the reference, to go on.")

    contest = make_contest(builder, model, found, part)
    seen = {}
    for size in sizes:
        say(f"in a forward pass at {name_of(size)}")
        with torch.random.fork_rng(devices=[]):
            seen[size] = contest.see(size)
        if one and size != one and seen[size].error is not None:
            del seen[size]
    if one and len(seen) < len(sizes):
        other = "alone" if len(seen) == 1 else "and what else it takes"
        report.remarks.append(
            f"It is made for one size of pictures, and was judged at {name_of(one)} {other}."
        )
    report.sizes = [(name_of(size), in_words(s)) for size, s in seen.items()]
    if any(s.state != "equal" for s in seen.values()):
        say("while its difference is looked into")
        finding = about_forward(contest, seen)
        if not (builder.given and finding.mistake == "image_not_padded"):
            report.findings.append(finding)
            return conclude(report)
        # The official code takes one size and does not say; torchvision decides so.
        report.remarks.append("What patches do not fit it drops, where the reference pads.")
        seen = {size: s for size, s in seen.items() if s.state == "equal"}
    report.largest = max(s.largest for s in seen.values())
    report.seconds = contest.seconds(sizes[0])
    if found.fits:
        say("in training mode")
        report.findings += about_training(builder, report)
    return conclude(report)


# --- parameters ---------------------------------------------------------------------------------


def can_be_zero(name: str) -> bool:
    """Whether a missing parameter is as good as one that is zero."""
    return name.endswith((".bias", "relative_position_bias_table"))


def about_parameters(found: parameters.Match, builder: Builder, model) -> Finding:
    if (apart := three_for_one(found, builder, model)) is not None:
        says = "q, k and v are three layers here; one joint layer qkv is wanted."
        return Finding("parameters", says, LESSON_OF["attention"], place=apart)
    details = []
    if found.missing:
        details.append(f"Missing: {listed(found.missing)}.")
    if found.extra:
        details.append(f"Unexpected: {listed(found.extra)}.")
    for name, theirs, wanted, got in found.misshapen[:3]:
        other = "" if name == theirs else f" (for {name})"
        details.append(f"{theirs}{other} has the shape {got}, wanted {wanted}.")
    if len(found.misshapen) > 3:
        details.append(f"{len(found.misshapen) - 3} more have another shape.")
    mistake = same_parameters(found, builder)
    place = (found.missing + [name for name, *_ in found.misshapen] + found.extra)[0]
    says = " ".join(details)
    if mistake:
        return Finding(
            "parameters", f"{sentence(mistake)} {says}", mistake.reread, mistake.name, place
        )
    return Finding("parameters", f"The parameters do not fit. {says}", place=place)


def three_for_one(found: parameters.Match, builder: Builder, model) -> str | None:
    """The first attention of a model that is right but for three layers in place of each qkv."""
    wanted, got = (Counter(parameters.shapes_of(m).values()) for m in (builder.reference(), model))
    ours = parameters.shapes_of(builder.reference())
    joint = [name for name in ours if ".attn.qkv." in name]
    for name in joint:
        shape = ours[name]
        wanted[shape] -= 1
        wanted[(shape[0] // 3, *shape[1:])] += 3
    biases = [ours[name] for name in joint if name.endswith("bias")]
    without = wanted.copy()  # the three may have no biases
    for shape in biases:
        without[(shape[0] // 3,)] -= 3
    right = not found.pairs.keys() & set(joint) and +got in (+wanted, +without)
    return joint[0].removesuffix(".qkv.weight") if right else None


def listed(names: Sequence[str], few: int = parameters.MANY) -> str:
    more = len(names) - few
    few = ", ".join(names[:few])
    return few + (f" and {more} more" if more > 0 else "")


def same_parameters(found: parameters.Match, builder: Builder) -> Mistake | None:
    """The known mistake that has the same parameters missing, too many, or of other shapes."""
    for mistake in MISTAKES:
        if mistake.shows == "parameters":
            footprint = _footprint(mistake, frozen(builder.reference_options))
            if footprint == found.footprint:
                return mistake
    return None


def frozen(options: dict) -> tuple:
    return tuple(sorted(options.items()))


@cache
def _footprint(mistake: Mistake, options: tuple) -> tuple | None:
    builder = Builder(mistake.model, wanted=dict(options))
    try:
        with without_drawing():
            return parameters.match(builder.model(), builder.reference()).footprint
    except Exception:  # options that the page does not have
        return None


# --- forward ------------------------------------------------------------------------------------


@cache
def make_models(options: tuple, zero: tuple[str, ...]) -> Models:
    """Reference and known mistakes with some options, and with weights of which some are zero."""
    with without_drawing():
        reference = SwinTransformer(**NO_DROPPING | dict(options))
    weights = draw_weights(reference)
    for name in zero:
        weights[name].zero_()
    places = places_of(dict(options)["depths"])
    return Models(reference, weights, places, for_the_page(options))


def for_the_page(options: tuple) -> dict:
    """Options as the one-page model takes them: windows and patches are squares."""
    page = dict(options)
    for name in ("window_size", "patch_size"):
        if isinstance(page.get(name), tuple) and len(set(page[name])) == 1:
            page[name] = page[name][0]
    return page


def make_contest(builder: Builder, model, found: parameters.Match, part: int) -> Contest:
    options = {"depths": depths_of(builder)} | builder.reference_options
    models = make_models(frozen(options), tuple(found.missing))
    give_weights(model, models.weights, found.pairs)
    return Contest(Tap(model, found.pairs, models.places), models, part)


def in_words(seen: Seen) -> str:
    if seen.state == "equal":
        return f"equal ({seen.largest:.1e})" if seen.largest else "equal to the last bit"
    if seen.state == "stops":
        return stumble(seen.error).removeprefix("it ")
    how = f"differs by {seen.largest:.1e}" if seen.state == "differs" else seen.says
    return f"{seen.place.words} {how}"


RANDOM = (
    "Two passes over the same pictures give different numbers here: something is random in "
    "evaluation, or left over from the pass before. Is a dropout told its rate, but not "
    "`self.training`?"
)
OUTSIDE = "what passes by in the blocks, the embedding, a merging, the last norm or the head"


def about_forward(contest: Contest, seen: dict[tuple[int, int], Seen]) -> Finding:
    """What is wrong with the numbers, as exactly as it can be told."""
    size, first = earliest(contest, seen)
    window = contest.models.reference.layers[0].blocks[0].window_size
    finding = Finding("forward", "", place=first.place.name, size=size)
    where = f"First difference: {first.place.words}, with pictures of {name_of(size)}."
    pattern, mistake = None, contest.recognise(seen)
    can_rerun = first.state == "differs" and contest.tap.model is not None
    if can_rerun and not mistake and contest.is_random(size, first.place):
        finding.pattern, finding.reread = "random", TRAINING_LESSON["evaluation"]
        finding.says = f"{where} {RANDOM}"
        return finding
    if can_rerun and contest.unheard_before(first):
        place = contest.by_silencing(size)
        finding.place = place.name if place else ""
        what = place.words if place else OUTSIDE
        where = f"With pictures of {name_of(size)} the scores differ."
        if not mistake:
            where += (
                " No forward hook saw its modules' outputs; silencing one block after another "
                f"points to {what}."
            )
    elif first.state == "differs":
        pattern = pattern_of(first.got, first.wanted, first.place, window)
        finding.pattern = pattern.name
        if first.got.ndim == 4:
            apart = (first.got - first.wanted).abs().amax((0, 3)) / first.wanted.abs().max()
            finding.map = apart.nan_to_num(float("inf")).tolist()
            if first.place.kind == "block":
                finding.window = window
                finding.shift = shift_of(*first.got.shape[1:3], first.place, window)
        where += f" {pattern.says}"
        if contest.unheard_before(first):
            where += " Save the blocks too, to learn where it begins."
    elif first.state == "unlike":
        finding.pattern = "shape"
        where += f" It {first.says}."
    else:
        finding.pattern = "stops"
        where = (
            f"With pictures of {name_of(size)} {stumble(first.error)}, "
            f"in or before {first.place.words}."
        )
    if mistake:
        finding.says = f"{sentence(mistake)} {where}"
        finding.reread, finding.mistake = mistake.reread, mistake.name
        return finding
    branch = ""
    if first.place.kind == "block" and can_rerun:
        branch = contest.branch(size, first.place)
    found = hints(seen, first, pattern, branch, window)
    if part := contest.part:
        found = [hint for hint in found if may_name(part, hint)]
        found.append(f"Yours here: {', '.join(PARTS[part])}.")
    finding.says = " ".join([where, *found])
    finding.reread = LESSON_OF.get(branch, LESSON_OF[first.place.kind])
    if part == 1 and first.place.kind != "embed":
        finding.reread = LESSON_OF["windows"]
    elif first.place.shifted and branch == "attention":
        finding.reread = LESSON_OF["shift"]
    return finding


LESSON_OF = {
    "embed": "lesson 01, “The reference”",
    "windows": "lesson 03, “The reference”",
    "block": "lesson 07, “The block: two equations”",
    "attention": "lesson 07, “Attention in a window, complete”",
    "shift": "lesson 04, “The reference”",
    "the MLP": "lesson 07, “The MLP by hand”",
    "merging": "lesson 06, “The reference”",
    "norm": "lesson 07, “The model”",
    "head": "lesson 07, “The model”",
}


def earliest(contest: Contest, seen: dict) -> tuple[tuple[int, int], Seen]:
    """The size whose first difference comes first; of several the first that was tried."""
    failing = {size: s for size, s in seen.items() if s.state != "equal"}
    size = min(failing, key=lambda size: contest.places.index(failing[size].place))
    return size, failing[size]


def hints(seen: dict, first: Seen, pattern, branch: str, window) -> list[str]:
    """What narrows down a mistake that nobody foresaw."""
    says = []
    right = [name_of(size) for size, s in seen.items() if s.state == "equal"]
    failing = [s for s in seen.values() if s.state != "equal"]
    if right:
        says.append(f"Right at {', '.join(right)}: look at what is special about the others.")
    if branch:
        says.append(f"Within the block it is {branch}.")
    suspects = pattern.suspects if pattern else ""
    if right and not suspects and all(pads_and_shifts(s, window) for s in failing):
        suspects = COUNTED
    if suspects:
        says.append(f"Look at {suspects}.")
    if first.place.shifted and not any("Right at" in s for s in says):
        says.append("Blocks that are not shifted are right, so it has to do with the shift.")
    return says


def pads_and_shifts(seen: Seen, window) -> bool:
    """Whether what differs is a shifted block on a map that windows do not fit."""
    if seen.state != "differs" or not seen.place.shifted:
        return False
    return bool(padding_tokens(*seen.got.shape[1:3], seen.place, window).any())


def sentence(mistake: Mistake) -> str:
    """What a mistake is told, with a large letter in front, unless that is a name's."""
    name = "_" in mistake.says.split()[0]
    return mistake.says if name else mistake.says[0].upper() + mistake.says[1:]


# --- training -----------------------------------------------------------------------------------


def about_training(builder: Builder, report: Report) -> list[Finding]:
    """What would be otherwise in training."""
    subject = make_subject(builder)
    if subject is None:
        report.remarks.append("A small copy could not be made, so training was not looked at.")
        return []
    not_told = [name for name in training.RATE_NAMES if not builder.can_set(name)]
    if not_told:
        report.remarks.append(f"It does not take {', '.join(not_told)}: not looked at.")
    options = subject.builder.reference_options
    wanted = facts_of_page((), frozen(options))
    findings = []
    for kind, measure in training.MEASURES.items():
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                facts = measure(subject)
        except training.CannotHear:
            report.remarks.append(
                f"No forward hook saw its blocks' outputs: {kind} was not looked at."
            )
            continue
        except Exception as error:  # whatever a learner's code may raise
            says = f"In training mode, {stumble(error)} ({kind})."
            findings.append(Finding("training", says, pattern=kind))
            continue
        if unlike := training.unlike(facts, wanted[kind]):
            findings.append(about_facts(kind, facts, wanted[kind], unlike, frozen(options)))
    return findings


def make_subject(builder: Builder) -> training.Subject | None:
    small = builder
    size = training.SIZE
    if not builder.given:
        small = Builder(builder.make, {}, dict(training.TINY), builder.name)
    elif builder.is_static:
        size = static_size(builder)
    reference = small.reference()
    try:
        extra = {"img_size": size[0]} if small.is_static else {}
        with torch.random.fork_rng(devices=[]):
            model = small.model(**extra).eval()
        images = some_images(size, reference.patch_embed.in_chans)
        found = parameters.match(model, reference, parameters.order_of_use(images))
    except Exception:  # whatever a learner's code may raise
        return None
    if not found.fits:
        return None
    return training.Subject(small, found.pairs, places_of(depths_of(small)), size)


@cache
def facts_of_page(changes: tuple, options: tuple, kind: str = "") -> dict:
    """What the one-page model does, changed or not, in training; of one kind or of all."""
    builder = Builder(page_classes(changes)["SwinTransformer"], wanted=for_the_page(options))
    names = {name: name for name, _ in builder.reference().named_parameters()}
    subject = training.Subject(builder, names, places_of(depths_of(builder)))
    kinds = [kind] if kind else list(training.MEASURES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {kind: training.MEASURES[kind](subject) for kind in kinds}


def depths_of(builder: Builder) -> tuple[int, ...]:
    return builder.reference_options.get("depths", (2, 2, 6, 2))


def about_facts(kind, facts, wanted, unlike, options) -> Finding:
    for mistake in MISTAKES:
        if mistake.shows == kind:
            theirs = facts_of_page(mistake.changes, options, kind)
            if not training.unlike(facts, theirs[kind]):
                return Finding(
                    "training", sentence(mistake), mistake.reread, mistake.name, pattern=kind
                )
    details = "; ".join(
        f"{name}: {shown(facts[name])}, wanted {shown(wanted[name])}" for name in unlike
    )
    if kind == "decay":
        got, right = set(facts["spared"]), set(wanted["spared"])
        apart = {"Wrongly spared": sorted(got - right), "Wrongly decaying": sorted(right - got)}
        details = ". ".join(f"{what}: {shown(tuple(n))}" for what, n in apart.items() if n)
    lesson = TRAINING_LESSON[kind]
    return Finding("training", f"In training, {kind} differs. {details}.", lesson, pattern=kind)


def shown(fact) -> str:
    """A fact in words: places, or numbers with three digits."""
    if isinstance(fact, tuple) and all(isinstance(part, str) for part in fact):
        return listed(fact, FEW) or "nothing"
    if isinstance(fact, tuple) and all(isinstance(part, float) for part in fact):
        return ", ".join(f"{part:.3g}" for part in fact)
    return str(fact)


TRAINING_LESSON = {
    "evaluation": "lesson 07, “Dropout and drop path: training with holes”",
    "drop path": "lesson 07, “Dropout and drop path: training with holes”",
    "dropout": "lesson 07, “Dropout and drop path: training with holes”",
    "initial": "lesson 08, “First weights”",
    "decay": "lesson 05, “Questions people really ask”",
}
