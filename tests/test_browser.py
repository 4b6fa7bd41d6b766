"""The widgets where learners meet them: every notebook in a real browser, moved by hand.

Each notebook that has a widget is run from top to bottom in JupyterLab, and one in Notebook 7. Then
every control is moved by keyboard alone and by mouse alone. After each move the controls and their
bounds must be those of a twin of the widget that is moved here, without a browser, and picture and
caption those that the drawing function gives for their state.
"""

import os
import statistics
import time

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser")
pytest.importorskip("jupyterlab", reason="no JupyterLab to show a notebook in a browser")
pytest.importorskip("notebook", reason="no Notebook 7 to show a notebook in a browser")

import browser  # noqa: E402
from browser import SETTLE, LiveExplorer  # noqa: E402

from swinlib.lab.widgets.explorer import Choice, Number  # noqa: E402

CHROMIUM = browser.find_browser()
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="no browser, so the widgets are not tested in one: on Debian, apt install chromium",
    ),
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="ends servers by their process group"),
]

EXPLORERS = {
    "01_patches": ["PatchExplorer"],
    "02_attention": ["AttentionExplorer"],
    "03_windows": ["WindowExplorer"],
    "04_cyclic_shift_masks": ["ShiftMaskExplorer", "FootprintExplorer"],
    "05_relative_position_index": ["PositionExplorer"],
    "06_patch_merging": ["MergingExplorer"],
    "07_full_model": ["ShapeLedger", "FingerprintExplorer"],
    "08_cifar_training": ["TrainedAttentionExplorer"],
}
TIMED, RAPID = 10, 24  # keys: one after the other, and as fast as they go


VISITS = [("jupyterlab", name) for name in EXPLORERS] + [("notebook", "04_cyclic_shift_masks")]


@pytest.fixture(scope="module")
def visits(request, tmp_path_factory):
    """One browser, and a server of each kind when it is first asked for."""
    items = [item for item in request.session.items if item.originalname == "test_explorers_follow"]
    order = [(item.callspec.params["app"], item.callspec.params["name"]) for item in items]
    folder = tmp_path_factory.mktemp("servers")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=browser.FLAGS)
        with chromium, browser.Visits(chromium, folder, order) as visits:
            yield visits


@pytest.mark.parametrize(("app", "name"), VISITS)
def test_explorers_follow(app, name, visits, report):
    """Run a notebook, move all its explorers, and find nothing to complain about."""
    with visits.visit(app, name) as page:
        assert browser.errors(page.cells()) == []
        explorers = page.explorers()
        assert [explorer.name for explorer in explorers] == EXPLORERS[name]
        for explorer in explorers:
            explorer.shows_twin("running the cell")
            for number, control in enumerate(explorer.twin.parts):
                move_by_keyboard(explorer, control)
                move_by_mouse(explorer, control)
                reset_by_mouse(explorer) if number % 2 else reset_by_keyboard(explorer)
            report(f"{app:10} {explorer.name:24} {times(explorer)}")
            reset_by_keyboard(explorer)
            rapid_keys(explorer)
            fits_a_narrow_page(explorer)
        assert page.problems == []


def arrows_move_sliders(explorer: LiveExplorer) -> bool:
    """Notebook 7 takes the arrow keys away from a slider; there they work in the number field."""
    return explorer.page.server.app != "notebook"


# --- by keyboard ----------------------------------------------------------------------------------


def move_by_keyboard(explorer: LiveExplorer, name: str) -> None:
    """Every way in which keys move a control."""
    part, keys = explorer.twin.parts[name], explorer.page.page.keyboard
    if isinstance(part, Number):
        explorer.field(name).focus()
        step_with(explorer, name, "ArrowUp", "ArrowDown")
        if arrows_move_sliders(explorer):
            explorer.slider(name).focus()
            step_with(explorer, name, "ArrowRight", "ArrowLeft")
        write(explorer, name, part.main.min, "Tab")
        press_in_vain(explorer)
        write(explorer, name, part.main.max + 1, "Enter")  # comes back to the bound
        press_in_vain(explorer)
    elif isinstance(part, Choice):
        explorer.box(name).locator("select").focus()
        choose_neighbour(explorer, name, open_with=lambda: keys.press("Space"))
    else:
        explorer.box(name).locator("input").focus()
        keys.press("Space")
        explorer.follow(name, not part.value, f"Space on {name}")


def step_with(explorer: LiveExplorer, name: str, more: str, less: str) -> None:
    """One key that changes a number by one, up if there is room."""
    part = explorer.twin.parts[name]
    up = part.value < part.main.max
    explorer.page.page.keyboard.press(more if up else less)
    what = f"{more if up else less} on {name}"
    explorer.follow(name, part.value + (1 if up else -1), what)


def write(explorer: LiveExplorer, name: str, number: int, end: str) -> None:
    """Write a number into a field."""
    part, keys = explorer.twin.parts[name], explorer.page.page.keyboard
    explorer.field(name).focus()
    keys.press("ControlOrMeta+A")
    keys.type(str(number))
    keys.press(end)
    within = min(max(number, part.main.min), part.main.max)
    explorer.follow(name, within, f"{number} and {end} in {name}", may_stay=True)


def press_in_vain(explorer: LiveExplorer) -> None:
    """Keys on the numbers that can have no other value now do nothing, and break nothing."""
    for name, part in explorer.twin.parts.items():
        if isinstance(part, Number) and part.main.min == part.main.max:
            explorer.field(name).press("ArrowUp")
            explorer.slider(name).press("PageUp")
            explorer.shows_twin(f"keys on {name}, which has one value only")


def choose_neighbour(explorer: LiveExplorer, name: str, open_with) -> None:
    """Open a list, go to the next name, or the one before at the end, and take it.

    An arrow on a closed list is the notebook's and goes to another cell.
    """
    part, keys = explorer.twin.parts[name], explorer.page.page.keyboard
    values = [value for _, value in part.options]
    place = values.index(part.value)
    down = place + 1 < len(values)
    open_with()
    keys.press("ArrowDown" if down else "ArrowUp")
    keys.press("Enter")
    explorer.follow(name, values[place + (1 if down else -1)], f"choosing another {name}")


def reset_by_keyboard(explorer: LiveExplorer) -> None:
    explorer.box("reset").press("Enter")
    explorer.twin.reset()
    explorer.stays_with_twin("Enter on reset")


# --- by mouse -------------------------------------------------------------------------------------


def move_by_mouse(explorer: LiveExplorer, name: str) -> None:
    """Every way in which a mouse moves a control."""
    part = explorer.twin.parts[name]
    if isinstance(part, Number):
        spin(explorer, name)
        drag(explorer, name)
        click_on_track(explorer, name)
    elif isinstance(part, Choice):
        # The list is the system's: opened by a click, it answers to keys, not to a test's mouse.
        choose_neighbour(explorer, name, open_with=explorer.box(name).locator("select").click)
    else:
        explorer.box(name).locator("input").click()
        explorer.follow(name, not part.value, f"click on {name}")


def spin(explorer: LiveExplorer, name: str) -> None:
    """Click on one of the two small arrows at the right end of a number field."""
    part, field = explorer.twin.parts[name], explorer.field(name)
    up = part.value < part.main.max
    field.hover()  # they show only then
    size = field.bounding_box()
    place = {"x": size["width"] - 10, "y": size["height"] * (0.3 if up else 0.7)}
    field.click(position=place)
    what = f"click on the arrow {'up' if up else 'down'} of {name}"
    explorer.follow(name, part.value + (1 if up else -1), what)


def drag(explorer: LiveExplorer, name: str) -> None:
    """Take the handle of a slider to the other half."""
    mouse, share = explorer.page.page.mouse, other_half(explorer, name)
    mouse.move(*middle_of(explorer.slider(name)))
    mouse.down()
    mouse.move(*on_track(explorer, name, share), steps=4)
    mouse.up()
    what = f"dragging the slider of {name}"
    follow_slider(explorer, name, share, what)
    explorer.stays_with_twin(what)


def click_on_track(explorer: LiveExplorer, name: str) -> None:
    """Click in the other half of a slider's track."""
    share = other_half(explorer, name)
    explorer.page.page.mouse.click(*on_track(explorer, name, share))
    follow_slider(explorer, name, share, f"a click on the track of {name}")


def follow_slider(explorer: LiveExplorer, name: str, share: float, what: str) -> None:
    """The handle went where the mouse was, and all the rest to the value that the handle says."""
    part = explorer.twin.parts[name]
    value = round(float(explorer.slider(name).get_attribute("aria-valuenow")))
    values = part.main.max - part.main.min
    wanted = part.main.min + share * values
    assert abs(value - wanted) <= 0.5 + values / 50, f"{what}: {value}, wanted about {wanted:.1f}"
    explorer.follow(name, value, what)


def other_half(explorer: LiveExplorer, name: str) -> float:
    """A place on a slider's track, from 0 to 1, far from where the handle is."""
    main = explorer.twin.parts[name].main
    return 0.8 if main.value - main.min < (main.max - main.min) / 2 else 0.2


def on_track(explorer: LiveExplorer, name: str, share: float) -> tuple[float, float]:
    explorer.slider(name).scroll_into_view_if_needed()
    track = explorer.box(name).locator(".noUi-base").bounding_box()
    return track["x"] + share * track["width"], track["y"] + track["height"] / 2


def middle_of(element) -> tuple[float, float]:
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def reset_by_mouse(explorer: LiveExplorer) -> None:
    explorer.box("reset").click()
    explorer.twin.reset()
    explorer.stays_with_twin("a click on reset")


# --- in time --------------------------------------------------------------------------------------


def widest(explorer: LiveExplorer) -> tuple[str, bool]:
    """The number with the most room on one side, and whether that is upwards."""
    numbers = {n: p for n, p in explorer.twin.parts.items() if isinstance(p, Number)}
    above = {name: part.main.max - part.value for name, part in numbers.items()}
    below = {name: part.value - part.main.min for name, part in numbers.items()}
    name = max(numbers, key=lambda name: max(above[name], below[name]))
    return name, above[name] >= below[name]


def times(explorer: LiveExplorer) -> str:
    """From a key to the frame with its picture, and how much of that the picture itself takes."""
    name, up = widest(explorer)
    page, in_python = explorer.page.page, []
    explorer.field(name).focus()
    page.evaluate("cell => swin.startTiming(cell)", explorer.cell)
    part = explorer.twin.parts[name]
    room = part.main.max - part.value if up else part.value - part.main.min
    presses = min(TIMED, room)
    for _ in range(presses):
        page.keyboard.press("ArrowUp" if up else "ArrowDown")
        start = time.perf_counter()
        value = explorer.twin.parts[name].value + (1 if up else -1)
        explorer.twin.parts[name].main.value = value
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
    if arrows_move_sliders(explorer):
        explorer.slider(name).focus()
    else:
        explorer.field(name).focus()
    for _ in range(RAPID):
        page.keyboard.press("ArrowUp" if up else "ArrowDown")  # on sliders these work too
    value = part.value + (RAPID if up else -RAPID)
    value = min(max(value, part.main.min), part.main.max)
    what = f"{RAPID} quick keys on {name}"
    explorer.follow(name, value, what)
    explorer.stays_with_twin(what)


# --- on the page ----------------------------------------------------------------------------------


def fits_a_narrow_page(explorer: LiveExplorer) -> None:
    """Controls wrap, the caption too, and the picture scrolls by itself where it cannot shrink."""
    page, size = explorer.page.page, explorer.page.page.viewport_size
    page.set_viewport_size({"width": 800, "height": size["height"]})
    width, needed = page.evaluate("cell => swin.widths(cell)", explorer.cell)
    assert 0 < needed <= width, f"{explorer.name} needs {needed} px and has {width}"
    page.set_viewport_size(size)


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
