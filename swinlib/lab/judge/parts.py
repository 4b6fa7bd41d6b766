"""The four sittings in which the model is written, and what belongs to each."""

import linecache

from swinlib import onepage
from swinlib.lab.judge.models import ONE_PAGE

PARTS = {
    1: ("PatchEmbed", "pad_to_windows", "window_partition", "window_reverse"),
    2: ("shifted_window_mask", "relative_position_index", "WindowAttention"),
    3: ("Mlp", "SwinTransformerBlock", "PatchMerging", "BasicLayer"),
    4: ("DropPath", "SwinTransformer"),
}


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
