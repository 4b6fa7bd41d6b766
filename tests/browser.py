"""A real browser on a real Jupyter server: what tests/test_browser.py needs to work with both.

Nothing of the user's is read or written: the server gets folders of its own for all that Jupyter
keeps, and a copy of the notebooks. Nothing waits for a length of time: every wait is for something
to happen, has a deadline, and says what it waited for.
"""

import ast
import builtins
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import torch

import website
from nbform import names_of, text
from nbtool import conditions
from swinlib.lab.drawing import Drag, Drawing
from swinlib.lab.widgets.explorer import Choice, Explorer, Number

ROOT = Path(__file__).parent.parent
SCRIPT = Path(__file__).with_suffix(".js")

# Deadlines in seconds, far above what is needed, since test machines are busy.
START, OPEN, RUN, REPLY = 60, 60, 150, 30
SETTLE = 3  # from a move to its picture: what a reader would no longer call following

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # root is who one is in many containers; only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

# Where the app is, the class that has its options, and options that only this one has.
APPS = {
    "jupyterlab": (
        "lab/tree",
        "LabApp",
        ["--LabApp.extension_manager=readonly", "--LabApp.news_url=None"],
    ),
    "notebook": ("notebooks", "JupyterNotebookApp", []),
}
# What an app complains about by itself, with any notebook.
KNOWN = {
    "jupyterlab": [],
    # Notebook 7.6 builds a menu from settings of a plugin that it has not loaded yet.
    "notebook": ["script: TypeError: Cannot read properties of undefined (reading 'schema')"],
}
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    # By default, cells that are out of sight are not in the page.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


def find_browser() -> str | None:
    """Path of a browser that playwright can drive, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


# --- the server -----------------------------------------------------------------------------------


@dataclass
class Server:
    """A running Jupyter server.

    Attributes:
        app: one of `APPS`.
        address: ends in a slash.
        token: opens it.
        folder: for files of the test.
    """

    app: str
    address: str
    token: str
    folder: Path

    def url(self, name: str) -> str:
        """Where a notebook is; `reset` because the workspace would bring the last one back too."""
        place = APPS[self.app][0]
        return f"{self.address}{place}/notebooks/{name}.ipynb?token={self.token}&reset"

    def request(self, path: str, method: str = "GET") -> bytes:
        """Ask the server itself, past all proxies."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.address + path, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=REPLY) as reply:
            return reply.read()

    def end_kernel(self, name: str) -> None:
        """End a notebook's kernel: with torch it is large."""
        for session in json.loads(self.request("api/sessions")):
            if session["path"] == f"notebooks/{name}.ipynb":
                self.request(f"api/sessions/{session['id']}", "DELETE")


@contextmanager
def serve(app: str, folder: Path) -> Iterator[Server]:
    """A server of this app on a copy of the course in `folder`; it ends with the block.

    Args:
        app: one of `APPS`.
        folder: empty.
    """
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server = Server(app, f"http://127.0.0.1:{port}/", secrets.token_hex(16), folder)
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(server, port, _copy_course(folder)),
            env=_environment(folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(server, process, log)
        yield server
    finally:
        _end(process)


def _command(server: Server, port: int, course: Path) -> list[str]:
    _, options, others = APPS[server.app]
    return [
        *(sys.executable, "-m", server.app, "--no-browser", "--allow-root"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={course}",
        f"--IdentityProvider.token={server.token}",
        f"--{options}.expose_app_in_browser=True",  # as window.jupyterapp
        *others,
    ]


def _copy_course(folder: Path) -> Path:
    """What the notebooks read, and nothing that they or Jupyter could change in the tree."""
    course = folder / "course"
    (course / "notebooks").mkdir(parents=True)
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, course / "notebooks")
    for folder in ("runs", "bench", "pictures"):  # what lessons read
        shutil.copytree(ROOT / "data" / folder, course / "data" / folder)
    return course


def _environment(folder: Path) -> dict[str, str]:
    """As for `make refresh`, and with nothing of the user's own Jupyter."""
    (ipython := folder / "ipython").mkdir()
    environment = conditions(str(ipython))
    environment["PYTHONPATH"] = str(ROOT)  # this swinlib, whichever is installed
    for name in (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
    ):
        environment[name] = str(folder / name.lower())
        (folder / name.lower()).mkdir()
    defaults = Path(environment["JUPYTER_CONFIG_DIR"]) / "labconfig"
    defaults.mkdir()
    (defaults / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    return environment


def _wait_for(server: Server, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            server.request("api/status")
            return
        except OSError:  # nobody listens yet
            time.sleep(0.05)
    state = "ended" if process.poll() is not None else f"did not answer within {START} s"
    raise RuntimeError(f"the Jupyter server {state}:\n{log.read_text()[-3000:]}")


def _end(process: subprocess.Popen) -> None:
    """The server ends its kernels; what it does not manage in time ends with its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def learn(folder: Path) -> Iterator[str]:
    """The learner's own command on a copy of the course; gives the address that Jupyter prints.

    Args:
        folder: empty.
    """
    course, log = _copy_course(folder), folder / "server.log"
    environment = _environment(folder)
    (
        Path(environment["JUPYTER_CONFIG_DIR"]) / "labconfig" / "default_setting_overrides.json"
    ).unlink()
    code = "from pathlib import Path; from swinlib.lab.__main__ import main; "
    code += f"main(['lab', '--no-browser', '--ServerApp.ip=127.0.0.1'], Path({str(course)!r}))"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment | {"MPLBACKEND": "agg"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _printed_address(process, log)
    finally:
        _end(process)


def _printed_address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.findall(r"http://127\.0\.0\.1:\S+", log.read_text()):
            return found[-1]
        time.sleep(0.05)
    raise RuntimeError(f"no address was printed:\n{log.read_text()[-3000:]}")


# --- the page -------------------------------------------------------------------------------------


@dataclass
class NotebookPage:
    """A notebook in a browser's page.

    Attributes:
        page: playwright's.
        server: where the notebook comes from.
        name: of the notebook.
        problems: what the browser complained about.
        ran: the numbers of the cells that were run; None for all of them.
    """

    page: object
    server: Server
    name: str
    problems: list[str] = field(default_factory=list)
    ran: list[int] | None = None

    @classmethod
    def start(cls, browser, server: Server, name: str, whole: bool = True) -> "NotebookPage":
        """Open a notebook and let it run, without waiting for that.

        Args:
            whole: from top to bottom; else its explorers' cells and what these need.
        """
        self = cls.open(browser, server, name)
        if not whole:
            notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_bytes())
            self.ran = cells_for_explorers(notebook["cells"])
        visit = f"cells => void swin.visit({OPEN}, {RUN}, cells)"
        self.page.evaluate(visit, self.ran)
        return self

    @classmethod
    def open(cls, browser, server: Server, name: str) -> "NotebookPage":
        """Open a notebook as it is stored.

        The page sees nothing but this machine. It has a window of its own: of two pages in one, the
        browser stops drawing the one behind.
        """
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            reduced_motion="reduce",  # or pictures would glide for a while
        )
        context.route(re.compile(r"^(?!http://127\.0\.0\.1:)"), lambda route: route.abort())
        context.set_default_timeout(1000 * OPEN)
        self = cls(context.new_page(), server, name)
        self._listen()
        self.page.add_init_script(path=SCRIPT)
        self.page.goto(server.url(name))
        return self

    def arrive(self) -> None:
        """Wait until the notebook has run."""
        self.wait("() => swin.visited", 3 * OPEN + RUN, f"{self.name} to run")
        state = self.page.evaluate("() => swin.visited")
        assert state == "done", f"{self.name}: {state}"

    def save(self) -> None:
        self.page.evaluate(f"() => swin.save({REPLY})")

    def restart(self) -> None:
        """Restart the kernel, which then knows of no widgets."""
        self.page.evaluate(f"() => swin.restart({OPEN})")

    def close(self) -> None:
        self.page.context.close()
        self.server.end_kernel(self.name)

    def _listen(self) -> None:
        def note(words):
            if not words.startswith(tuple(KNOWN[self.server.app])):
                self.problems.append(words)

        self.page.on("console", lambda m: m.type == "error" and note(f"console: {m.text}"))
        self.page.on("pageerror", lambda error: note(f"script: {error.stack or error}"))
        self.page.on("requestfailed", lambda r: note(f"request: {r.url} {r.failure}"))
        self.page.on("response", lambda r: r.status >= 400 and note(f"{r.status}: {r.url}"))

    def wait(self, condition: str, seconds: float, what: str, arg=None) -> None:
        """Wait until a function of the page is true, looking again at every frame.

        Raises:
            AssertionError: it was not in time.
        """
        from playwright.sync_api import TimeoutError

        try:
            self.page.wait_for_function(condition, arg=arg, timeout=1000 * seconds)
        except TimeoutError:
            raise AssertionError(f"waited {seconds} s for {what}") from None

    def cells(self) -> list[dict]:
        """The cells as a notebook's file would hold them now."""
        return self.page.evaluate("() => swin.cells()")

    def ran_cells(self) -> list[dict]:
        """Those that were run."""
        cells = self.cells()
        return cells if self.ran is None else [cells[number] for number in self.ran]

    def ask(self, code: str) -> None:
        """Let the kernel run this, and wait until it has."""
        self.page.evaluate(f"code => swin.ask(code, {REPLY})", code)

    def explorers(self) -> list["LiveExplorer"]:
        """The page's explorers from top to bottom, each with its twin in this process."""
        found = []
        for number, cell in enumerate(self.cells()):
            if any(map(website.explorer_in, cell.get("outputs", []))):
                found.append(LiveExplorer(self, number, self._twin(cell["source"])))
        return found

    def _twin(self, source: str) -> Explorer:
        """The explorer that a cell makes, made here, from what the kernel has where it needs it."""
        names = sorted(names_of(source)[1] - {"torch", *dir(builtins)})
        values = {"torch": torch}
        if names:
            path = str(self.server.folder / "names.pt")
            pairs = ", ".join(f"{name!r}: {name}" for name in names)
            self.ask(f"import torch\ntorch.save({{{pairs}}}, {path!r})")
            values |= torch.load(path, weights_only=False)  # our own
        *statements, last = ast.parse(source).body
        exec(compile(ast.Module(statements, []), "cell", "exec"), values)
        return eval(compile(ast.Expression(last.value), "cell", "eval"), values)


Visit = tuple[str, str, bool]  # an app, a notebook's name, and whether the whole of it is run


class Visits:
    """Pages of notebooks, in an order that is known: the next one runs while one is looked at.

    Args:
        browser: playwright's.
        folder: for the servers' files.
        order: of what is visited.
    """

    def __init__(self, browser, folder: Path, order: list[Visit]):
        self.browser, self.folder, self.order = browser, folder, order
        self.servers: dict[str, Server] = {}
        self.pages: dict[Visit, NotebookPage] = {}
        self.stack = ExitStack()

    def __enter__(self) -> "Visits":
        return self

    def __exit__(self, *error) -> None:
        with self.stack:
            for visit in list(self.pages):
                self.pages.pop(visit).close()

    @contextmanager
    def visit(self, *visit) -> Iterator[NotebookPage]:
        """The page of a notebook that has run; it is closed with the block."""
        page = self._started(visit)
        following = self.order[self.order.index(visit) + 1 :]
        page.arrive()
        if following:
            self._started(following[0])
        try:
            yield page
        finally:
            del self.pages[visit]
            page.close()

    def server(self, app: str) -> Server:
        """The server of this app, started when it is first asked for."""
        if app not in self.servers:
            (folder := self.folder / app).mkdir()
            self.servers[app] = self.stack.enter_context(serve(app, folder))
        return self.servers[app]

    def _started(self, visit: Visit) -> NotebookPage:
        if visit not in self.pages:
            app, name, whole = visit
            self.pages[visit] = NotebookPage.start(self.browser, self.server(app), name, whole)
        return self.pages[visit]


def write_notebook(server: Server, source: str) -> Path:
    """A notebook of one cell among those that a server serves."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    path = server.folder / "course" / "notebooks" / "tomorrow.ipynb"
    nbformat.write(notebook, path)
    return path


def stored_explorers() -> dict[str, list[str]]:
    """The explorers that stored notebooks show, from top to bottom, by the notebook's name."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        outputs = [o for c in json.loads(path.read_bytes())["cells"] for o in c.get("outputs", [])]
        found[path.stem] = [name for name in map(website.explorer_in, outputs) if name]
    return found


def cells_for_explorers(cells: list[dict]) -> list[int]:
    """The numbers of a stored notebook's explorers' cells, and of those that they need."""
    wanted, found = set(), []
    for number, cell in reversed(list(enumerate(cells))):
        if cell["cell_type"] == "code":
            binds, needs = names_of(text(cell["source"]))
            if binds & wanted or any(map(website.explorer_in, cell["outputs"])):
                found.insert(0, number)
                wanted = (wanted - binds) | needs
    return found


def errors(cells: list[dict]) -> list[str]:
    """What went wrong in cells that were run: errors, words on stderr, cells that were not run."""
    found = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        if cell["execution_count"] is None:
            found.append(f"{cell['id']} was not run")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"{cell['id']}: {output['ename']}: {output['evalue']}")
            elif output.get("name") == "stderr":
                found.append(f"{cell['id']} on stderr: {output['text']}")
    return found


# --- an explorer in the page ----------------------------------------------------------------------


@dataclass
class LiveExplorer:
    """An explorer in the page and its twin here, a fresh one that is moved in the same way.

    The controls of both must agree, and then the page must show what the drawing function says for
    this state: asked here, past browser, messages and queues.

    Attributes:
        page: that holds it.
        cell: the number of its cell.
        twin: the same explorer in this process.
    """

    page: NotebookPage
    cell: int
    twin: Explorer

    @property
    def name(self) -> str:
        return type(self.twin).__name__

    def box(self, name: str):
        """The part of the page that holds a control, or the reset button."""
        cell = self.page.page.locator(".jp-Notebook .jp-Cell").nth(self.cell)
        return cell.locator(f'.swin-explorer [data-name="{name}"]')

    def field(self, name: str):
        return self.box(name).locator("input[type=number]")

    def slider(self, name: str):
        return self.box(name).get_by_role("slider")

    def content(self):
        """The part of the page that holds the picture."""
        cell = self.page.page.locator(".jp-Notebook .jp-Cell").nth(self.cell)
        return cell.locator(".swin-picture")

    def scale(self) -> float:
        """Pixels of the page to one of the picture."""
        return self.content().locator("svg").bounding_box()["width"] / self.twin.drawing.width

    def place(self, panel: str, row: int = 0, column: int = 0) -> tuple[float, float]:
        """The middle of a place of the picture, in the page."""
        picture, field = self.content().locator("svg"), self.twin.drawing.fields()[panel]
        picture.scroll_into_view_if_needed()
        box, scale = picture.bounding_box(), self.scale()
        x = field["x"] + (column + 0.5) * field["width"]
        y = field["y"] + (row + 0.5) * field["height"]
        return box["x"] + scale * x, box["y"] + scale * y

    def focused(self) -> str | None:
        """The panel that has the keyboard."""
        return self.page.page.evaluate("() => document.activeElement.dataset.panel")

    def lit(self) -> set[tuple[str, int, int]]:
        """The places that are lit up, as `lit_by` names them."""
        found = [
            place.rsplit(" ", 2)
            for place in self.page.page.evaluate("cell => swin.lit(cell)", self.cell)
        ]
        return {(panel, int(row), int(column)) for panel, row, column in found}

    def follow(self, what: str, may_stay: bool = False, **values) -> None:
        """Move the twin as the page was moved, and compare.

        Args:
            what: was done, for the message.
            may_stay: whether it may have had these values before.
            **values: what the controls should have now.
        """
        before = dict(self.twin.state)
        self.twin.touch(**values)
        # At lesson 04's first step, for one, the query is not in the picture yet.
        assert may_stay or self.twin.state != before, f"{what} leaves all as it is"
        self.shows_twin(what)

    def shows_twin(self, what: str) -> None:
        """All controls with their bounds, the picture and the caption are the twin's, in time.

        Args:
            what: was done before, for the message.
        """
        drawing = self.twin.drawing
        wanted = {
            "controls": controls_of(self.twin),
            "svg": drawing.svg(),
            "caption": drawing.caption,
        }
        difference = self.page.page.evaluate(
            "([cell, wanted, seconds]) => swin.settle(cell, wanted, seconds)",
            [self.cell, wanted, SETTLE],
        )
        assert not difference, f"{self.name} {SETTLE} s after: {what}; {difference}"

    def stays_with_twin(self, what: str) -> None:
        """The same, when the kernel and the page have said all that was on its way."""
        self.page.ask("")
        self.shows_twin(f"{what}, and all its messages")


# --- what a hand can do ---------------------------------------------------------------------------


def on_top(drawing: Drawing, place: tuple[str, int, int]) -> bool:
    """Whether no other field lies over the middle of this place."""
    fields = drawing.fields()
    one = fields[place[0]]
    x = one["x"] + (place[2] + 0.5) * one["width"]
    y = one["y"] + (place[1] + 0.5) * one["height"]
    above = list(fields)[list(fields).index(place[0]) + 1 :]
    return not any(
        0 <= x - fields[n]["x"] <= fields[n]["width"] * len(fields[n]["columns"])
        and 0 <= y - fields[n]["y"] <= fields[n]["height"] * len(fields[n]["rows"])
        for n in above
    )


def steps_of(drag: Drag) -> int:
    """How far to drag: two steps where it goes so far, upwards if it goes there; 0 if nowhere."""
    return min(drag.high, 2) if drag.high > 0 else max(drag.low, -2)


def dragged(explorer: Explorer, drag: Drag, steps: int):
    """What a control says after so many steps of a drag that begins now, if bounds allow it."""
    control = explorer.parts[drag.name]
    if isinstance(control, Choice):
        values = [value for _, value in control.options]
        place = values.index(control.value) + drag.step * steps
        return values[min(max(place, 0), len(values) - 1)]
    return control.value + drag.step * steps


def controls_of(twin: Explorer) -> dict[str, dict]:
    """What the controls in the page should say, by name; as `controls` in browser.js."""
    found = {}
    for name, part in twin.parts.items():
        label = part.label
        if isinstance(part, Number):
            numbers = [part.value, part.low, part.high]
            found[name] = {"label": label, "field": numbers, "slider": numbers}
        elif isinstance(part, Choice):
            names = [name for name, _ in part.options]
            chosen = next(name for name, value in part.options if value == part.value)
            found[name] = {"label": label, "options": names, "chosen": chosen}
        else:
            found[name] = {"label": label, "checked": part.value}
    return found
