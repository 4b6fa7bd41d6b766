"""The four sittings in which the model is written, and what belongs to each."""

import linecache
import re

from swinlib import onepage
from swinlib.lab.judge.models import ONE_PAGE

PARTS = {
    1: ("PatchEmbed", "pad_to_windows", "window_partition", "window_reverse"),
    2: ("shifted_window_mask", "relative_position_index", "WindowAttention"),
    3: ("Mlp", "SwinTransformerBlock", "PatchMerging", "BasicLayer"),
    4: ("DropPath", "SwinTransformer"),
}

# Lessons that only this part is about.
LESSONS_OF = {1: ("01",), 2: ("02", "04", "05"), 3: ("06",), 4: ("08",)}
# What a hint may speak of, and the parts that have to do with it.
WRITTEN_IN = {
    "mask": (2, 3), "shift": (2, 3), "roll": (3,), "padd": (1, 3), "attention": (2, 3),
    "MLP": (3,), "passes by": (3,), "scale": (2, 3, 4), "mean": (4,),
}  # fmt: skip


def with_part(part: int, source: str, filename: str) -> tuple[dict, list[str]]:
    """A part from a learner's source, and all others from the one-page model.

    Args:
        part: 1 to 4.
        source: the learner's; it may hold other parts too.
        filename: for messages.

    Returns:
        What is then defined, by name; and the part's names that the source does not define.
    """
    page: dict = {"__name__": "one_page"}
    run_source(ONE_PAGE, onepage.__file__, page)
    theirs = page | {"__name__": "my_swin"}
    run_source(source, filename, theirs)
    written = {n: theirs[n] for n in PARTS[part] if is_own(theirs.get(n), page[n])}
    # What is not of this part is the page's, for whoever looks it up.
    others = {n: page[n] for names in PARTS.values() for n in names if n not in written}
    theirs.update(others)
    page.update(written)
    return page, [name for name in PARTS[part] if name not in written]


def run_source(source: str, filename: str, namespace: dict) -> None:
    """Run a text as a module would run, so that an error can show the line it is in."""
    lines = source.splitlines(keepends=True)
    linecache.cache.setdefault(filename, (len(source), None, lines, filename))
    exec(compile(source, filename, "exec"), namespace)


def is_own(thing, page) -> bool:
    """Whether something was written by the learner: neither the page's nor imported."""
    if thing is None or thing is page:
        return False
    return not getattr(thing, "__module__", "").startswith("swinlib")


def page_of(part: int) -> str:
    """What stands in the one-page model for a part: what a solved notebook holds."""
    head, *pieces = re.split(r"(?=^(?:class|def) )", ONE_PAGE, flags=re.MULTILINE)
    found = {re.match(r"(?:class|def) (\w+)", piece)[1]: piece for piece in pieces}
    code = [re.split(r"^# ---", found[name], flags=re.MULTILINE)[0] for name in PARTS[part]]
    return "\n\n".join(piece.strip() + "\n" for piece in code)


def may_name(part: int, words: str) -> bool:
    """Whether a sentence speaks of nothing that is written in another sitting; 0 may name all."""
    strange = [word for word, parts in WRITTEN_IN.items() if word in words and part not in parts]
    return part == 0 or not strange


def made_in(mistake, part: int) -> bool:
    """Whether a known mistake can have been made in a part; in 0, the whole, every one can."""
    own = any(old.strip() in page_of(part) for old, _ in mistake.changes) if part else True
    return own or mistake.lesson in LESSONS_OF[part]
