"""The form of a stored notebook.

`violations` lists what departs from it, without running anything. `canonical` puts right what a
machine can put right: metadata, cell ids, split streams. What is left is for the author.
"""

import ast
import json
import re
import symtable
import unicodedata
from collections.abc import Iterator
from pathlib import Path

# One template for all: anything else here records who ran the notebook last, and on what machine.
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
MAX_BYTES = 1_500_000
MAX_LINES = 15
COLUMN = 848  # pixels that JupyterLab has for an output, in a window of 1280
WORDS_A_MINUTE, LINES_A_MINUTE = 200, 17  # of prose, and of code with what it prints
SLACK_MINUTES = 6  # "about"
LETTERS = 9  # pixels, of a figure's smallest
# What a cell shows on a live page, beside the plain forms that are stored: see swinlib.lab.showing.
LIVE = "text/html"
PICTURES = ("image/png", "image/jpeg")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
EXERCISE = "exercise"  # tag of the cells that hold a stub

MACHINE_PATH = re.compile(
    r"(?<![\w./+~])/(?:work|root|tmp|home|Users|private/var|var/folders)\b"
    r"|file:///"
    r"|\b[A-Za-z]:\\+Users\b"
)
# `at 0x…` is how a repr shows an address; a bare hexadecimal constant is long enough only there.
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{8,}")
# A prediction: the question ends a cell, code answers it, and what it means is folded.
PREDICT = re.compile(r"\*\*Predict\b(?!\*\* box)")
BOX = "> **Predict.** "
FOLD = "<details><summary>What it means</summary>\n\n"
OPTION = re.compile(r"\*\*\(([a-z])\)\*\*")
ASSERT = re.compile(r"^[ \t]*assert\b.*(?:\n[ \t]+.*)*", re.MULTILINE)
CLAIM = re.compile(r"^[ \t]*(?:assert\b|(?:lab\.)?compare\()", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])\d[\d_,]*(?:\.\d+)?(?![\w])")
DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")


# --- reading ------------------------------------------------------------------------------------


def text(value: str | list[str]) -> str:
    """A multi-line string, which notebook files may hold as a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def tags(cell: dict) -> list[str]:
    return cell.get("metadata", {}).get("tags", [])


def prose(markdown: str) -> str:
    """Markdown without its code blocks and inline code, which may show anything."""
    markdown = re.sub(r"^(```+|~~~+).*?^\1\s*$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", markdown)


def output_texts(output: dict) -> Iterator[str]:
    """Whatever an output holds as readable text; pictures and widget references are none."""
    if output["output_type"] == "stream":
        yield text(output["text"])
    elif output["output_type"] == "error":
        yield from (output.get("ename", ""), output.get("evalue", ""))
        yield from output.get("traceback", [])
    for mime, value in output.get("data", {}).items():
        if mime == WIDGET_VIEW or (mime.startswith("image/") and mime != "image/svg+xml"):
            continue
        yield json.dumps(value) if isinstance(value, dict) else text(value)


# --- the rules ----------------------------------------------------------------------------------


def check_file(path: Path) -> list[str]:
    """Every violation in a notebook file, each a line of text that begins with the file's name."""
    raw = path.read_bytes()
    try:
        found = violations(json.loads(raw), len(raw))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = [f"cannot be read as a notebook ({type(error).__name__}: {error})"]
    if not raw.endswith(b"}\n"):
        found.append("does not end in exactly one newline")
    return [f"{path.name}: {line}" for line in found]


def violations(nb: dict, size: int = 0) -> list[str]:
    """Every violation in a notebook as parsed from its JSON; `size` is the file's, in bytes."""
    cells = nb["cells"]
    found = [
        *check_whole(nb, size),
        *check_ids(cells),
        *check_titles(cells),
        *check_minutes(cells),
        *check_exercises(cells),
        *check_predictions(cells),
        *check_rebinding(cells),
    ]
    count = 0
    for number, cell in enumerate(nb["cells"], 1):
        problems = list(check_cell(cell))
        if cell["cell_type"] == "code":
            count += 1
            problems += check_run(cell, count)
            problems += check_outputs(cell)
        elif cell["cell_type"] == "markdown":
            problems += check_markdown(cell)
        where = f"cell {number} ({cell.get('id', 'no id')})"
        found += [f"{where}: {problem}" for problem in problems]
    return found


def check_whole(nb: dict, size: int) -> Iterator[str]:
    if (nb.get("nbformat"), nb.get("nbformat_minor")) != (4, 5):
        yield f"format {nb.get('nbformat')}.{nb.get('nbformat_minor')}, wanted 4.5"
    if nb.get("metadata") != METADATA:
        extra = sorted(set(nb.get("metadata", {})) - set(METADATA))
        yield "metadata is not the template" + (f" (has {', '.join(extra)})" if extra else "")
    if size >= MAX_BYTES:
        yield f"{size:,} bytes, wanted under {MAX_BYTES:,}"


def check_ids(cells: list[dict]) -> Iterator[str]:
    seen = set()
    for number, cell in enumerate(cells, 1):
        name = cell.get("id")
        if not is_readable(name):
            yield f"cell {number}: id {name!r} is not readable"
        elif name in seen:
            yield f"cell {number}: id {name!r} is taken by an earlier cell"
        seen.add(name)


def check_titles(cells: list[dict]) -> Iterator[str]:
    titles = [
        (number, line)
        for number, cell in enumerate(cells, 1)
        if cell["cell_type"] == "markdown"
        for line in prose(text(cell["source"])).splitlines()
        if re.match(r"# ", line)
    ]
    first = [title for title in titles if title[0] == 1]
    for number, line in first[1:] + [title for title in titles if title[0] != 1]:
        yield f"cell {number}: title {line!r}: one `# ` title, in the first cell, is wanted"
    seen = set()
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] == "markdown":
            for line in re.findall(r"^##+ .*$", prose(text(cell["source"])), re.MULTILINE):
                if line in seen:
                    yield f"cell {number}: heading {line!r} is taken by an earlier cell"
                seen.add(line)


def check_minutes(cells: list[dict]) -> Iterator[str]:
    """The minutes that the first cell promises: those of the exercises add up, the rest is read."""
    said = re.search(r"^\| Time \|.*$", text(cells[0]["source"]), re.MULTILINE) if cells else None
    asked = [
        int(minutes)
        for cell in cells
        if cell["cell_type"] == "markdown"
        for minutes in re.findall(r"importance [●○]+ · (\d+) minutes", text(cell["source"]))
    ]
    if not said or not asked:
        return
    words = sum(len(text(c["source"]).split()) for c in cells if c["cell_type"] == "markdown")
    lines = sum(text(c["source"]).count("\n") + 1 for c in cells if c["cell_type"] == "code")
    reading, exercises = words / WORDS_A_MINUTE + lines / LINES_A_MINUTE, 5 * -(-sum(asked) // 5)
    found = [int(number) for number in re.findall(r"\d+", said.group())]
    if not found or abs(found[0] - reading) > SLACK_MINUTES:
        yield f"cell 1: {said.group()!r}: reading takes about {reading:.0f} minutes"
    if exercises not in found[1:]:
        yield f"cell 1: {said.group()!r}: the exercises say {exercises} minutes together"


def check_exercises(cells: list[dict]) -> Iterator[str]:
    count = sum(EXERCISE in tags(cell) for cell in cells)
    if count and not 2 <= count <= 5:
        yield f"{count} exercises, wanted 2 to 5"


def check_predictions(cells: list[dict]) -> Iterator[str]:
    """A reader chooses before anything tells: the box, then code that answers it, then the fold."""
    for n, cell in enumerate(cells):
        source = text(cell["source"])
        boxes = len(PREDICT.findall(source)) if cell["cell_type"] == "markdown" else 0
        if not boxes:
            continue
        where = f"cell {n + 1} ({cell.get('id', 'no id')}): prediction"
        box = source.rstrip().split("\n\n")[-1]
        if boxes > 1 or not box.startswith(BOX):
            yield f"{where}: one box, the cell's last paragraph, beginning {BOX!r}, is wanted"
            continue
        options = OPTION.findall(box)
        if len(options) < 2 or options != [chr(ord("a") + i) for i in range(len(options))]:
            yield f"{where}: options **(a)**, **(b)**, … are wanted in its text, got {options}"
        end = n + 1
        while end < len(cells) and cells[end]["cell_type"] == "code":
            if CLAIM.search(text(cells[end]["source"])):
                yield f"{where}: cell {end + 1} asserts before the fold; assert below it"
            end += 1
        if end == n + 1:
            yield f"{where}: the next cell is no code that answers it"
        folded = text(cells[end]["source"]) if end < len(cells) else ""
        fold, closed, _ = folded.partition("\n\n</details>")
        if not folded.startswith(FOLD) or not closed:
            yield f"{where}: after the code a cell is wanted that begins with {FOLD.strip()!r}"
        elif options and not set(OPTION.findall(fold)) & set(options):
            yield f"{where}: the fold names none of its options"
        for told in told_above(cells[:n], box):
            yield f"{where}: {told}"


def told_above(cells: list[dict], box: str) -> Iterator[str]:
    """Asserts above a box that hold a number which its options name.

    Small whole numbers stand everywhere and mean many things; they are left to the author.
    """
    options = numbers(box[match.start() :]) if (match := OPTION.search(box)) else set()
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] == "code":
            for claim in ASSERT.findall(text(cell["source"])):
                for told in sorted(options & numbers(claim)):
                    yield f"cell {number} asserts {told:g}, which its options name"


def numbers(written: str) -> set[float]:
    found = {float(re.sub("[_,]", "", match)) for match in NUMBER.findall(written)}
    return {value for value in found if value >= 100 or value % 1}


def check_rebinding(cells: list[dict]) -> Iterator[str]:
    """A name that one cell takes from another is bound in one cell only.

    Else a cell that is run again, after a later one has rebound the name, silently works on
    something else. Names that live and die inside their cells may be used again.
    """
    code = [(cell.get("id"), text(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    bound, needed = {}, {}
    for cell, source in code:
        try:
            binds, needs = names_of(source)
        except SyntaxError:  # a magic, or a mistake that running the cell reports
            continue
        for name in binds:
            bound.setdefault(name, []).append(cell)
        for name in needs:
            needed.setdefault(name, []).append(cell)
    for name in sorted(bound.keys() & needed.keys()):
        if len(bound[name]) > 1:
            yield (
                f"name {name!r} is bound in cells {', '.join(map(str, bound[name]))} and taken "
                f"from outside by {needed[name][0]}; bind it once, or call the others otherwise"
            )


def names_of(source: str) -> tuple[set[str], set[str]]:
    """Names that a cell binds, and those that it needs from elsewhere, built-in ones included.

    Raises:
        SyntaxError: not Python.
    """
    bound: set[str] = set()
    needed: set[str] = set()
    for statement in ast.parse(source).body:
        table = symtable.symtable(ast.unparse(statement), "a cell", "exec")
        binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        reads = global_names(table)
        if isinstance(statement, ast.Assign | ast.AugAssign):  # reads before it binds
            reads |= binds if isinstance(statement, ast.AugAssign) else set()
        else:
            reads -= binds
        needed |= reads - bound
        bound |= binds
    return bound, needed


def global_names(table: symtable.SymbolTable) -> set[str]:
    """Module-level names that are read in a scope or in one inside it."""
    top = table.get_type() == "module"
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    if not top:
        names = {name for name in names if table.lookup(name).is_global()}
    return names.union(*map(global_names, table.get_children()))


def check_cell(cell: dict) -> Iterator[str]:
    source = text(cell["source"])
    if not source.strip():
        yield "is empty"
    if cell.get("attachments"):
        yield "has an attachment; put the picture in a file, or let a code cell draw it"
    if cell.get("metadata") != kept_metadata(cell):
        yield f"has metadata {cell.get('metadata')}; only tags and a folded source are wanted"
    if match := MACHINE_PATH.search(source):
        yield f"names a path of a machine: {match.group()}"
    if match := ADDRESS.search(source):
        yield f"names an address: {match.group()}"


def check_markdown(cell: dict) -> Iterator[str]:
    source = prose(text(cell["source"]))
    for match in re.finditer(r"!\[\s*\]", source):
        yield f"picture without alternative text: {source[match.start() :].split()[0]}"
    for image in re.findall(r"<img\b[^>]*>", source, flags=re.IGNORECASE):
        if not re.search(r"""\balt\s*=\s*(["'])\s*[^"'\s]""", image, flags=re.IGNORECASE):
            yield f"picture without alternative text: {image}"


def check_run(cell: dict, count: int) -> Iterator[str]:
    source = text(cell["source"])
    if source.rstrip().endswith(";"):
        yield "ends in `;`, which the test run ignores; write `_ = f()` or end with `plt.show()`"
    lines = sum(bool(line.strip()) for line in source.splitlines())
    if lines > MAX_LINES:
        yield f"{lines} lines of code, wanted at most {MAX_LINES}"
    stored = cell.get("execution_count")
    if stored is None:
        yield "was never run"
    elif stored != count:
        yield f"has execution count {stored}, wanted {count}"
    for output in cell.get("outputs", []):
        if output.get("execution_count", stored) != stored:
            yield f"has an output of execution {output['execution_count']}, wanted {stored}"


def check_outputs(cell: dict) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if output["output_type"] == "error" and "raises-exception" not in tags(cell):
            yield f"has an error in its outputs: {output.get('ename')}: {output.get('evalue')}"
        if output.get("name") == "stderr":
            yield f"has stderr in its outputs: {text(output['text']).strip()[:80]!r}"
        for shown in output_texts(output):
            shown = DATA_URI.sub("", shown)
            if match := MACHINE_PATH.search(shown):
                yield f"shows a path of a machine: {match.group()}"
            if match := ADDRESS.search(shown):
                yield f"shows an address: {match.group()}"
        data = output.get("data", {})
        if LIVE in data and len(data) > 1:
            yield f"holds {LIVE} beside a plain form, which is enough for a stored page"
        for mime in PICTURES:
            if mime in data:
                yield from check_picture(output.get("metadata", {}).get(mime, {}))
        if text(data.get("text/plain", "")).startswith("<Figure") and "image/png" not in data:
            yield "shows a figure's text without its picture"
        if WIDGET_VIEW in data and "image/png" not in data:
            yield "shows a widget without a still picture: give it an image/png of its own"


def check_picture(about: dict) -> Iterator[str]:
    """`about` is what an output's metadata say of its picture."""
    if not about.get("alt", "").strip():
        yield "shows a picture without alternative text; swinlib.lab.showing gives it one"
    if about.get("width", 0) > COLUMN:
        yield f"shows a picture {about['width']} pixels wide, wanted at most {COLUMN}"
    if about.get("letters", LETTERS) < LETTERS:
        yield f"shows letters of {about['letters']} pixels, wanted at least {LETTERS}"
    for pair in about.get("crowded", []):
        yield f"shows words that run into each other: {pair!r}"


# --- the canonical form -------------------------------------------------------------------------


def canonical(nb: dict) -> dict:
    """The same notebook (changed in place) with template metadata, readable ids, whole streams."""
    nb["nbformat"], nb["nbformat_minor"] = 4, 5
    nb["metadata"] = json.loads(json.dumps(METADATA))
    name_cells(nb["cells"])
    for cell in nb["cells"]:
        cell["metadata"] = kept_metadata(cell)
        if cell["cell_type"] == "code":
            cell["outputs"] = join_streams(cell["outputs"])
            name_widgets(cell)
    return nb


def kept_metadata(cell: dict) -> dict:
    kept = {}
    if tags(cell):
        kept["tags"] = cell["metadata"]["tags"]
    if cell.get("metadata", {}).get("jupyter", {}).get("source_hidden"):
        kept["jupyter"] = {"source_hidden": True}
    return kept


def join_streams(outputs: list[dict]) -> list[dict]:
    """Neighbouring pieces of one stream as one: where the kernel cuts them is a matter of time."""
    joined: list[dict] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] = text(last["text"]) + text(output["text"])
        else:
            joined.append(output)
    return joined


def name_widgets(cell: dict) -> None:
    """Every run gives its widgets new random names, which mean nothing once its kernel is gone."""
    shown = [output.get("data", {}) for output in cell["outputs"]]
    views = [data[WIDGET_VIEW] for data in shown if WIDGET_VIEW in data]
    for number, view in enumerate(views, 1):
        view["model_id"] = f"{cell['id']}-{number}"


def is_readable(name: str | None) -> bool:
    """Words joined by hyphens; the hexadecimal ids that editors hand out are not readable."""
    if not name or len(name) > 64 or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        return False
    random = re.fullmatch(r"[0-9a-f]{8,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name)
    return not random and bool(re.search(r"[a-z]", name))


def name_cells(cells: list[dict]) -> None:
    """Readable ids stay; the rest, and second uses, get one made from what the cell says."""
    taken = {cell["id"] for cell in cells if is_readable(cell.get("id"))}
    seen = set()
    for cell in cells:
        name = cell.get("id")
        if not is_readable(name) or name in seen:
            stem, suffix = slug(cell), 2
            name = stem
            while name in taken:
                name, suffix = f"{stem}-{suffix}", suffix + 1
            cell["id"] = name
            taken.add(name)
        seen.add(name)


def slug(cell: dict) -> str:
    lines = [line.strip() for line in text(cell["source"]).splitlines() if line.strip()]
    if cell["cell_type"] == "markdown":
        lines = [line for line in lines if line.startswith("#")] or lines
    line = lines[0] if lines else ""
    plain = unicodedata.normalize("NFKD", line).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)[:6] or [cell["cell_type"]]
    while len(words) > 1 and len("-".join(words)) > 40:
        words.pop()
    name = "-".join(words)[:40].rstrip("-")
    return name if is_readable(name) else f"cell-{name}"
