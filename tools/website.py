"""Builds the web site from README, the stored notebooks and the docstrings, running no lesson.

`python tools/website.py` lays the pages out in docs/_build/pages, with these changes, and lets
Sphinx make docs/_build/html of them:

- Every stored picture becomes a file, with its alternative text and its links.
- A widget becomes its own drawing as SVG, which answers to the mouse; lesson 04's explorer all
  seven steps of it.
"""

import ast
import base64
import contextlib
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html import escape
from importlib.resources import files
from pathlib import Path

from nbform import WIDGET_VIEW, names_of, text

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILD = DOCS / "_build"
PROJECT = (
    *("data/bench/README.md", "data/runs/README.md", "docs/ports.md"),
    *("CONTRIBUTING.md", "CHANGELOG.md"),
)
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")

API = """# Public API

Every public name, in the order of the lessons, with its own docstring. Feature maps are
`(B, H, W, C)`; names, parameters and `state_dict` keys are those of the official code."""
TRAINING = """## from swinlib import training

Lesson 08's engine: `python -m swinlib.training` trains from the console with the same functions."""
# Latin, Greek, arrows and operators, and the italic letters of both that MathML takes instead.
FORMULAS = (
    *((0x20, 0x7F), (0xA0, 0x100), (0x302, 0x303), (0x370, 0x3D0), (0x2032, 0x2034)),
    *((0x210E, 0x210F), (0x2190, 0x2300), (0x1D434, 0x1D468), (0x1D6FC, 0x1D71C)),
)
NAVIGATION = """

```{{toctree}}
:hidden:
:caption: {caption}
{pages}
```
"""


def main() -> int:
    shutil.rmtree(BUILD, ignore_errors=True)
    failed = build(BUILD)
    if not failed:
        print(f"The site is in {(BUILD / 'html').relative_to(ROOT)}: open index.html there.")
    return failed


def build(folder: Path) -> int:
    """Makes folder/html, and says whether Sphinx had something to complain about."""
    pages, static, html = folder / "pages", folder / "static", folder / "html"
    pictures = lay_out(pages)
    static.mkdir()
    hand(static)
    mathematics_font(static / "mathematics.woff")
    command = [*(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet")]
    command += ["-c", str(DOCS), "-d", str(folder / "doctrees")]
    command += ["-D", f"html_static_path=_static,{static}", str(pages), str(html)]
    failed = subprocess.run(command, cwd=ROOT).returncode
    if not failed:
        for path in notebooks():  # for whoever wants to run one
            shutil.copy(path, html / "notebooks")
        for name, data in pictures.items():
            (html / "notebooks" / name).write_bytes(data)
        (html / ".nojekyll").touch()  # or Pages leaves out the folders that begin with _
    return failed


def hand(folder: Path) -> None:
    """Writes what lets pictures be touched, as in a notebook, for steps.js to take from."""
    from swinlib.lab.widgets.explorer import SCRIPT

    words = SCRIPT.read_text(encoding="utf-8")
    (folder / "touch.js").write_text(f"{words}\nexport {{ move, touch }};\n", encoding="utf-8")


def notebooks() -> list[Path]:
    """The lessons in order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def mathematics_font(path: Path) -> None:
    """The letters and signs of formulas, with what MathML needs to place them.

    Many systems have no font of this kind, and set indices on the line then. STIX Two Math is free
    under the SIL Open Font Licence.
    """
    from fontTools import subset

    options = subset.Options(flavor="woff", layout_features=[], name_IDs=["*"])
    font = subset.load_font(str(files("ziamath.fonts") / "STIXTwoMath-Regular.ttf"), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in FORMULAS for code in range(first, last)])
    subsetter.subset(font)
    subset.save_font(font, str(path), options)


# --- pages ----------------------------------------------------------------------------------------


def lay_out(folder: Path) -> dict[str, bytes]:
    """Writes the sources of all pages; returns the lessons' pictures by their file's name."""
    (folder / "notebooks").mkdir(parents=True)
    lessons = [f"notebooks/{path.stem}" for path in notebooks()]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for caption, pages in (("Lessons", lessons), ("swinlib", ["api"]), ("Project", PROJECT)):
        readme += NAVIGATION.format(caption=caption, pages="\n".join(pages))
    write_page(folder, "index.md", readme)
    for name in PROJECT:
        write_page(folder, name, (ROOT / name).read_text(encoding="utf-8"))
    (folder / "api.md").write_text(api(), encoding="utf-8")
    pictures: dict[str, bytes] = {}
    for path in notebooks():
        notebook = json.loads(path.read_text(encoding="utf-8"))
        lesson = Lesson(notebook, path.stem, folder / "notebooks")
        lesson.write()
        pictures |= lesson.pictures
    return pictures


def write_page(folder: Path, name: str, markdown: str) -> None:
    """Writes a page, and the files that it links to, where they are in the course."""
    here = (folder / name).parent
    here.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(LINK.sub(to_index, markdown), encoding="utf-8")
    for link, _ in LINK.findall(markdown):
        source, target = (ROOT / name).parent / link, here / link
        if source.is_file() and source.suffix not in (".md", ".ipynb"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def to_index(link: re.Match) -> str:
    """The course's README is the start page; links to those of folders stay."""
    return re.sub(r"\]\(((\.\./)*)README\.md", r"](\1index.md", link[0])


def api() -> str:
    """The page of the public names, module by module; their docstrings are read by Sphinx."""
    import swinlib
    from swinlib import training

    parts = [API]
    for package in (swinlib, training):
        parts.append(f"## import {package.__name__}" if package is swinlib else TRAINING)
        modules: dict[str, list[str]] = {}
        for name in package.__all__:
            thing = getattr(package, name)
            module = thing.__name__ if inspect.ismodule(thing) else package.__name__
            module = getattr(thing, "__module__", module)
            modules.setdefault(module, []).append(name)
        for module, names in modules.items():
            about = inspect.getdoc(sys.modules[module]).splitlines()[0]
            is_name = module.rpartition(".")[-1] in names  # which says this of itself
            parts.append(f"### {module}" + ("" if is_name else f"\n\n{about}"))
            parts += [directive(package.__name__, name, getattr(package, name)) for name in names]
    return "\n\n".join(parts) + "\n"


def directive(package: str, name: str, thing) -> str:
    """What lets Sphinx show a public name; of a dictionary, which has no docstring, its keys."""
    if isinstance(thing, dict):
        about = f".. py:currentmodule:: {package}\n\n.. py:data:: {name}\n\n   A dictionary of "
        about += ", ".join(thing) + "."
    elif inspect.ismodule(thing):
        about = f".. automodule:: {package}.{name}\n   :members:"
    elif inspect.isclass(thing) and issubclass(thing, Exception):
        about = f".. autoexception:: {package}.{name}"
    else:
        about = f".. auto{'class' if inspect.isclass(thing) else 'function'}:: {package}.{name}"
    return f"```{{eval-rst}}\n{about}\n```"


class Lesson:
    """A notebook on its way to a page.

    Args:
        notebook: as parsed from its JSON; it is changed.
        name: without an ending.
        folder: for the page.

    Attributes:
        pictures: files that are to lie beside the finished page, once it is written.
    """

    def __init__(self, notebook: dict, name: str, folder: Path):
        self.notebook, self.name, self.folder = notebook, name, folder
        self.cells = notebook["cells"]
        self.pictures: dict[str, bytes] = {}

    def write(self) -> None:
        for number, cell in enumerate(self.cells):
            for place, output in enumerate(cell.get("outputs", [])):
                data = output.get("data", {})
                if explorer_in(output):
                    explorer = last_value(self.cells[: number + 1])
                    output["data"] = {"text/html": live_still(explorer)}
                elif "image/png" in data:
                    file = f"{self.name}-{cell['id']}-{place}.png"
                    self.pictures[file] = base64.b64decode(text(data["image/png"]))
                    about = output.get("metadata", {}).get("image/png", {})
                    about = {"alt": self.caption(number)} | about
                    output["data"] = {"text/html": picture(file, about)}
        path = self.folder / f"{self.name}.ipynb"
        path.write_text(json.dumps(self.notebook), encoding="utf-8")

    def caption(self, number: int) -> str:
        """What the text says of a picture: the caption below it, else the sentence above."""
        below = self.cells[number + 1 : number + 3]
        for cell in below:
            if cell["cell_type"] == "markdown":
                for paragraph in text(cell["source"]).split("\n\n"):
                    if re.match(r"\*[^*]", paragraph):
                        return plain(paragraph)
        above = [c for c in self.cells[:number] if c["cell_type"] == "markdown"]
        return plain(text(above[-1]["source"]).strip().split("\n\n")[-1])


# --- widgets --------------------------------------------------------------------------------------


def explorer_in(output: dict) -> str | None:
    """The name of the explorer that an output shows; None if it shows another widget or none."""
    from swinlib.lab import widgets

    data = output.get("data", {})
    name = text(data.get("text/plain", "")).removesuffix("()")
    return name if WIDGET_VIEW in data and name in widgets.__all__ else None


def last_value(cells: list[dict]):
    """What the last cell's last line is, from the statements that it needs and from no others."""
    source = "\n".join(text(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    *before, last = ast.parse(source).body
    wanted, kept = names_of(ast.unparse(last))[1], []
    for statement in reversed(before):
        binds, needs = names_of(ast.unparse(statement))
        if binds & wanted:
            kept.insert(0, statement)
            wanted = (wanted - binds) | needs
    values = {}
    here = os.getcwd()
    os.chdir(ROOT / "notebooks")  # where lessons run
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(ast.Module(kept, []), "lesson", "exec"), values)
            return eval(compile(ast.Expression(last.value), "lesson", "eval"), values)
    finally:
        os.chdir(here)


def live_still(explorer) -> str:
    """The explorer's drawing as a figure; one for each step where it has steps."""
    step = explorer.parts.get("step")
    if step is None:
        return f'<figure class="swin-still">{panel(explorer)}</figure>'
    now, panels = step.value, []
    for name, value in step.options:
        explorer.set(step=value)
        panels.append(panel(explorer, f'data-step="{escape(name)}"', hidden=value != now))
    explorer.set(step=now)
    return f'<figure class="swin-still" data-steps="">{"".join(panels)}</figure>'


def panel(explorer, attributes: str = "", hidden: bool = False) -> str:
    """A drawing, which scrolls by itself where it is too wide, and its caption."""
    drawing = explorer.drawing
    return (
        f'<div class="swin-panel" {attributes}{" hidden" if hidden else ""}>'
        f'<div class="swin-scroll" tabindex="0">{drawing.svg()}</div>'
        f"<figcaption>{escape(drawing.caption)}</figcaption></div>"
    )


def picture(file: str, about: dict) -> str:
    """A stored picture; `about` holds its alternative text, its size on the page and its links.

    Those to notebooks lead to their pages here.
    """
    from swinlib.lab.showing import linked

    size = [f'{name}="{round(about[name])}"' for name in ("width", "height") if name in about]
    html = f'<img class="swin-picture dark-light" src="{file}" alt="{escape(about["alt"])}" ' + (
        " ".join([*size, "/>"])
    )
    links = about.get("links", [])
    return linked(html, [a | {"to": re.sub(r"\.ipynb$", ".html", a["to"])} for a in links])


# --- words ----------------------------------------------------------------------------------------


def plain(markdown: str) -> str:
    """A paragraph without its marks."""
    without_links = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"[*`$]", "", without_links).split())


if __name__ == "__main__":
    sys.exit(main())
