"""The widgets where learners meet them: every notebook in a real browser, moved by hand.

Each notebook that has a widget is opened in JupyterLab, and its widgets' cells are run; one runs
from top to bottom, there and in Notebook 7. Then every control is moved by keys and by mouse, and
the picture is pointed at, clicked, dragged and walked through by the keyboard. After each move the
controls and their bounds must be those of a twin of the widget that is moved here, without a
browser, and picture and caption those that the drawing function gives for their state. All that a
picture offers to the hand is tried in tests/test_touch.py, without Jupyter.
"""

import os
import statistics
import time

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser")
pytest.importorskip("jupyterlab", reason="no JupyterLab to show a notebook in a browser")
pytest.importorskip("notebook", reason="no Notebook 7 to show a notebook in a browser")

import browser  # noqa: E402
from browser import SETTLE, LiveExplorer, dragged, on_top, steps_of  # noqa: E402
from drawing_reader import lit_by, part_at  # noqa: E402

from swinlib.lab import widgets  # noqa: E402
from swinlib.lab.drawing import Drawing  # noqa: E402
from swinlib.lab.widgets.explorer import Choice, Number  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        browser.find_browser() is None,
        reason="no browser, so the widgets are not tested in one: on Debian, apt install chromium",
    ),
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="ends servers by their process group"),
]

TIMED, RAPID = 10, 24  # keys: one after the other, and as fast as they go

EXPLORERS = browser.stored_explorers()
# (app, notebook, whether the whole of it is run)
WHOLE = "04_cyclic_shift_masks"
VISITS = [("jupyterlab", name, name == WHOLE) for name, shown in EXPLORERS.items() if shown]
VISITS += [("notebook", WHOLE, True)]


@pytest.fixture(scope="module")
def visits(request, tmp_path_factory, chromium):
    """One browser, and a server of each kind when it is first asked for."""
    items = [item for item in request.session.items if item.originalname == "test_explorers_follow"]
    order = [tuple(item.callspec.params.values()) for item in items]
    folder = tmp_path_factory.mktemp("servers")
    with browser.Visits(chromium, folder, order) as visits:
        yield visits


def test_every_explorer_is_in_a_notebook():
    shown = {name for names in EXPLORERS.values() for name in names}
    assert shown == set(widgets.__all__)


@pytest.mark.parametrize(("app", "name", "whole"), VISITS)
def test_explorers_follow(app, name, whole, visits, report):
    """Run a notebook, move all its explorers, and find nothing to complain about."""
    with visits.visit(app, name, whole) as page:
        assert browser.errors(page.ran_cells()) == []
        explorers = page.explorers()
        assert [explorer.name for explorer in explorers] == EXPLORERS[name]
        for explorer in explorers:
            explorer.shows_twin("running the cell")
            for control in explorer.twin.parts:
                move(explorer, control)
            reset(explorer)
            hover(explorer)
            click(explorer)
            reset(explorer)
            drag(explorer)
            reset(explorer)
            walk(explorer)
            reset(explorer)
            report(f"{app:10} {explorer.name:24} {times(explorer)}")
            reset(explorer)
            rapid_keys(explorer)
            fits_a_narrow_page(explorer)
        assert page.problems == []


# --- controls -------------------------------------------------------------------------------------


def move(explorer: LiveExplorer, name: str) -> None:
    """A control by keys and by mouse."""
    part, keys = explorer.twin.parts[name], explorer.page.page.keyboard
    if isinstance(part, Number):
        explorer.field(name).focus()
        step_with(explorer, name, "ArrowUp", "ArrowDown")
        explorer.slider(name).focus()
        step_with(explorer, name, "ArrowRight", "ArrowLeft")
        write(explorer, name, part.high + 1, "Enter")  # comes back to the bound
        write(explorer, name, part.low, "Tab")
        click_on_track(explorer, name)
    elif isinstance(part, Choice):
        values = [value for _, value in part.options]
        place = values.index(part.value)
        down = place + 1 < len(values)
        following = values[place + (1 if down else -1)]
        if part.play:
            explorer.box(name).locator("[aria-pressed]").nth(values.index(following)).click()
        else:  # the list is the system's: it answers to keys, not to a test's mouse
            explorer.box(name).locator("select").focus()
            keys.press("Space")
            keys.press("ArrowDown" if down else "ArrowUp")
            keys.press("Enter")
        explorer.follow(f"choosing another {name}", **{name: following})
    else:
        explorer.box(name).locator("input").focus()
        keys.press("Space")
        explorer.follow(f"Space on {name}", **{name: not part.value})
        explorer.box(name).locator("input").click()
        explorer.follow(f"click on {name}", **{name: not part.value})


def step_with(explorer: LiveExplorer, name: str, more: str, less: str) -> None:
    """One key that changes a number by one, up if there is room."""
    part = explorer.twin.parts[name]
    up = part.value < part.high
    explorer.page.page.keyboard.press(more if up else less)
    value = min(max(part.value + (1 if up else -1), part.low), part.high)
    explorer.follow(f"{more if up else less} on {name}", part.low == part.high, **{name: value})


def write(explorer: LiveExplorer, name: str, number: int, end: str) -> None:
    """Write a number into a field."""
    keys = explorer.page.page.keyboard
    explorer.field(name).focus()
    keys.press("ControlOrMeta+A")
    keys.type(str(number))
    keys.press(end)
    explorer.follow(f"{number} and {end} in {name}", may_stay=True, **{name: number})


def click_on_track(explorer: LiveExplorer, name: str) -> None:
    """The slider's handle goes where the mouse is, and all the rest with it."""
    slider = explorer.slider(name)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    explorer.page.page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    part, value = explorer.twin.parts[name], int(slider.input_value())
    wanted = part.low + 0.8 * (part.high - part.low)
    assert abs(value - wanted) <= 1 + (part.high - part.low) / 8, f"{value}, wanted {wanted:.0f}"
    explorer.follow(f"a click on the track of {name}", part.low == part.high, **{name: value})


def reset(explorer: LiveExplorer) -> None:
    explorer.box("reset").press("Enter")
    explorer.twin.reset()
    explorer.stays_with_twin("Enter on reset")


# --- the picture ----------------------------------------------------------------------------------


def hover(explorer: LiveExplorer) -> None:
    """What lights up is what the drawing says, on a place that lights up as many panels as any."""
    drawing = explorer.twin.drawing
    still = [p for p in places(drawing) if not drawing.fields()[p[0]]["follow"]][:60]
    panel, row, column = max(still, key=lambda place: len({p for p, *_ in lit_by(drawing, *place)}))
    x, y = explorer.place(panel, row, column)
    explorer.page.page.mouse.move(x, y)
    assert explorer.lit() == lit_by(drawing, panel, row, column), f"on {panel}, {row}, {column}"


def click(explorer: LiveExplorer) -> None:
    """A place that is not the chosen one."""
    drawing, before = explorer.twin.drawing, explorer.twin.state
    panel, row, column = next(
        place
        for place in places(drawing)
        if (sets := part_at(drawing, *place).sets) and before != before | sets
    )
    explorer.page.page.mouse.click(*explorer.place(panel, row, column))
    explorer.follow(f"a click on {panel}", **part_at(drawing, panel, row, column).sets)


def places(drawing: Drawing):
    """Places that nothing lies over: first the corners of all panels, then all the rest."""
    fields = drawing.fields().items()
    corners = [(panel, 0, 0) for panel, _ in fields]
    for place in corners + [
        (panel, row, column)
        for panel, field in fields
        for row in range(len(field["rows"]))
        for column in range(len(field["columns"]))
    ]:
        if on_top(drawing, place):
            yield place


def drag(explorer: LiveExplorer) -> None:
    """To and fro as fast as it goes: the last place wins. Not all pictures can be dragged."""
    drawing, twin, mouse = explorer.twin.drawing, explorer.twin, explorer.page.page.mouse
    drags = [
        (panel, drag)
        for panel, field in drawing.fields().items()
        for drag in field["drag"]
        if steps_of(drag) and on_top(drawing, (panel, 0, 0))
    ]
    if not drags:
        return
    panel, how = drags[0]
    value = dragged(twin, how, steps_of(how))
    x, y = explorer.place(panel)
    way = steps_of(how) * how.pixels * explorer.scale()
    right, down = (way, 0) if how.axis == "right" else (0, way)
    mouse.move(x, y)
    mouse.down()
    for share in [0.4, 3, -2, 0.8] * 3 + [1]:
        mouse.move(x + share * right, y + share * down)
    mouse.up()
    explorer.follow(f"a drag of {panel}", **{how.name: value})
    explorer.stays_with_twin(f"a drag of {panel}")


def walk(explorer: LiveExplorer) -> None:
    """Arrow keys in a panel, which light up what they come to, and Enter, which is a click."""
    drawing, keys = explorer.twin.drawing, explorer.page.page.keyboard
    panel = max(drawing.fields(), key=lambda name: len(drawing.fields()[name]["columns"]))
    field = explorer.content().locator(f'[data-panel="{panel}"]')
    field.focus()
    keys.press("ArrowRight")
    column = min(1, len(drawing.fields()[panel]["columns"]) - 1)
    sets = part_at(drawing, panel, 0, column).sets
    if drawing.fields()[panel]["follow"]:
        explorer.follow(f"an arrow key in {panel}", may_stay=True, **sets)
    assert explorer.lit() == lit_by(explorer.twin.drawing, panel, 0, column)
    keys.press("Enter")
    explorer.follow(f"Enter in {panel}", may_stay=True, **sets)
    assert explorer.focused() == panel


# --- in time --------------------------------------------------------------------------------------


def widest(explorer: LiveExplorer) -> tuple[str, bool]:
    """The number with the most room on one side, and whether that is upwards.

    Of those that change the picture: at lesson 04's first step the query is not in it yet.
    """
    twin = explorer.twin

    def is_seen(name, part):
        state, before = twin.state, twin.svg
        twin.touch(**{name: part.value + (1 if part.value < part.high else -1)})
        after = twin.svg
        twin.set(**state)
        return after != before

    numbers = {n: p for n, p in twin.parts.items() if isinstance(p, Number) and is_seen(n, p)}
    above = {name: part.high - part.value for name, part in numbers.items()}
    below = {name: part.value - part.low for name, part in numbers.items()}
    name = max(numbers, key=lambda name: max(above[name], below[name]))
    return name, above[name] >= below[name]


def times(explorer: LiveExplorer) -> str:
    """From a key to the frame with its picture, and how much of that the picture itself takes."""
    name, up = widest(explorer)
    page, in_python = explorer.page.page, []
    explorer.field(name).focus()
    page.evaluate("cell => swin.startTiming(cell)", explorer.cell)
    part = explorer.twin.parts[name]
    room = part.high - part.value if up else part.value - part.low
    presses = min(TIMED, room)
    for _ in range(presses):
        page.keyboard.press("ArrowUp" if up else "ArrowDown")
        start = time.perf_counter()
        value = explorer.twin.parts[name].value + (1 if up else -1)
        explorer.twin.touch(**{name: value})
        in_python.append(1000 * (time.perf_counter() - start))
        explorer.shows_twin(f"an arrow in {name}")
    to_pixels = page.evaluate("seconds => swin.stopTiming(seconds)", SETTLE)
    assert len(to_pixels) == presses and max(to_pixels) < 1000 * SETTLE
    return (
        f"key to picture {statistics.median(to_pixels):4.0f} ms (slowest {max(to_pixels):4.0f}), "
        f"of which drawing {statistics.median(in_python):5.1f} ms"
    )


def rapid_keys(explorer: LiveExplorer) -> None:
    """Many keys as fast as they go: the last value wins, and no picture comes after its own."""
    name, up = widest(explorer)
    part, page = explorer.twin.parts[name], explorer.page.page
    explorer.field(name).focus()
    for _ in range(RAPID):
        page.keyboard.press("ArrowUp" if up else "ArrowDown")
    what = f"{RAPID} quick keys on {name}"
    explorer.follow(what, **{name: part.value + (RAPID if up else -RAPID)})
    explorer.stays_with_twin(what)


# --- on the page ----------------------------------------------------------------------------------


def fits_a_narrow_page(explorer: LiveExplorer) -> None:
    """Controls wrap, the caption too, and the picture scrolls by itself where it cannot shrink."""
    page, size = explorer.page.page, explorer.page.page.viewport_size
    page.set_viewport_size({"width": 800, "height": size["height"]})
    width, needed = page.evaluate("cell => swin.widths(cell)", explorer.cell)
    assert 0 < needed <= width, f"{explorer.name} needs {needed} px and has {width}"
    page.set_viewport_size(size)


# --- tomorrow -------------------------------------------------------------------------------------

TOMORROW = """from swinlib.lab.widgets import ShiftMaskExplorer
ShiftMaskExplorer()"""


@pytest.mark.parametrize("app", ["jupyterlab", "notebook"])
def test_a_widget_is_a_picture_tomorrow(app, visits):
    """Saved, closed and opened again, and when the kernel restarts: never an error in its place."""
    server, path = visits.server(app), browser.write_notebook(visits.server(app), TOMORROW)
    page = browser.NotebookPage.start(visits.browser, server, path.stem)
    page.arrive()
    page.explorers()[0].shows_twin("running the cell")
    page.restart()
    shows_a_still(page)
    page.page.evaluate(f"() => swin.visit({browser.OPEN}, {browser.RUN})")
    (explorer,) = page.explorers()
    explorer.page.page.mouse.click(*explorer.place("map", 1, 1))
    explorer.follow("a click", **part_at(explorer.twin.drawing, "map", 1, 1).sets)
    page.save()
    page.close()

    page = browser.NotebookPage.open(visits.browser, server, path.stem)  # our own, so trusted
    shows_a_still(page)
    assert explorer.twin.caption in page.page.locator("figcaption").text_content()
    page.close()

    path.write_text(path.read_text().replace("ShiftMaskExplorer()", "ShiftMaskExplorer() "))
    page = browser.NotebookPage.open(visits.browser, server, path.stem)  # somebody else's
    page.wait("() => document.querySelector('.jp-OutputArea img')?.naturalWidth > 500", 60, "a PNG")
    assert "Error displaying widget" not in page.page.content()
    page.close()


def shows_a_still(page: browser.NotebookPage) -> None:
    """The picture and how to bring it to life; no controls; it lights up under the pointer."""
    again = "() => document.querySelector('.swin-again')?.offsetHeight > 0"
    page.wait(again, browser.OPEN, "the line that says how to bring it to life")
    assert "Error displaying widget" not in page.page.content()
    assert page.page.locator(".swin-controls").first.is_hidden()
    picture = page.page.locator(".swin-picture svg")
    picture.scroll_into_view_if_needed()
    page.page.locator('[data-panel="map"]').hover()
    assert page.page.locator(".swin-marks rect").count() == 2  # the map and the rolled map


# --- from lesson to lesson ------------------------------------------------------------------------

MAP = """from swinlib import lab
lab.setup()
lab.roadmap("04")"""


@pytest.mark.parametrize("app", ["jupyterlab", "notebook"])
def test_the_map_leads_to_the_other_lessons(app, visits):
    """By mouse and by keyboard, where the page trusts the map and where it does not."""
    server, path = visits.server(app), browser.write_notebook(visits.server(app), MAP)
    page = browser.NotebookPage.start(visits.browser, server, path.stem)
    page.arrive()
    others = {f"{name}.ipynb" for name in EXPLORERS if name[:2] not in ("04", "09")}
    assert leads_to(page) == others
    page.save()
    follow_link(page, "05_relative_position_index", lambda link: link.click())
    page.close()

    # Somebody else's, whose HTML is cleaned before it is shown.
    path.write_text(path.read_text().replace("lab.setup()", "lab.setup() "))
    page = browser.NotebookPage.open(visits.browser, server, path.stem)
    page.wait("() => document.querySelector('.swin-links img')?.naturalWidth > 500", 60, "a map")
    assert page.page.locator(".swin-links style").count() == 0
    assert leads_to(page) == others
    follow_link(page, "11_dense_prediction", lambda link: link.press("Enter"))
    page.close()


def leads_to(page: browser.NotebookPage) -> set[str]:
    """The notebooks that the map's links lead to; each link lies on the picture, none twice in the
    order of the Tab key."""
    links = page.page.locator(".swin-links a")
    picture = page.page.locator(".swin-links img").bounding_box()
    for box in map(lambda link: link.bounding_box(), links.all()):
        assert box["width"] > 20 and box["height"] > 15
        assert picture["x"] < box["x"] < box["x"] + box["width"] < picture["x"] + picture["width"]
        assert picture["y"] < box["y"] < box["y"] + box["height"] < picture["y"] + picture["height"]
    reached = page.page.locator(".swin-links a:not([tabindex])")
    found = reached.evaluate_all("all => all.map((a) => a.href.split('?')[0].split('/').at(-1))")
    assert len(found) == len(set(found))
    return set(found)


def follow_link(page: browser.NotebookPage, name: str, act) -> None:
    """JupyterLab opens another notebook beside this one, Notebook 7 on a page of its own."""
    link = page.page.locator(f'.swin-links a[href*="{name}"]').first
    if page.server.app == "notebook":
        with page.page.context.expect_page() as opened:
            act(link)
        opened.value.wait_for_url(f"**/{name}.ipynb**")
        opened.value.close()
    else:
        act(link)
        shown = "name => swin.panel()?.context?.path === `notebooks/${name}.ipynb`"
        page.wait(shown, browser.OPEN, f"{name} to open", name)


# --- the learner's way in -------------------------------------------------------------------------


def test_the_printed_address_leads_to_the_learners_first_lesson(visits, tmp_path):
    """And to nothing that wants to be answered first, whoever's Jupyter it is."""
    with browser.learn(tmp_path) as address, visits.browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(1000 * browser.OPEN)
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        assert page.url.endswith("/lab/tree/learn/01_patches.ipynb")
        with pytest.raises(sync_api.TimeoutError):
            page.wait_for_selector(".Toastify__toast", timeout=5000)  # the question about news
        assert (tmp_path / "course" / "learn" / "08_cifar_training.ipynb").exists()


def test_a_page_of_problems_is_noticed():
    """What `errors` finds in cells; the rest of this file would pass without it."""
    cells = [
        {"cell_type": "markdown", "id": "words"},
        {"cell_type": "code", "id": "fine", "execution_count": 1, "outputs": []},
        {"cell_type": "code", "id": "never", "execution_count": None, "outputs": []},
    ]
    broken = {"output_type": "error", "ename": "ValueError", "evalue": "no"}
    warned = {"output_type": "stream", "name": "stderr", "text": "careful"}
    cells.append(
        {"cell_type": "code", "id": "bad", "execution_count": 2, "outputs": [broken, warned]}
    )
    assert browser.errors(cells) == [
        "never was not run",
        "bad: ValueError: no",
        "bad on stderr: careful",
    ]
