"""Pictures under the hand, in a real browser and without Jupyter: hover, click, drag, keys, motion.

The front-end module of the widgets runs in an empty page; behind it stands the widget itself, here.
What lights up must be what `lit_by` says, and what a click, a drag or a key changes must be what
the drawing says of that place. tests/test_browser.py shows the same widgets in notebooks.
"""

import random
import statistics
import time
from contextlib import contextmanager
from functools import cache

import pytest

pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser")
pytest.importorskip("anywidget")

import torch  # noqa: E402
from browser import dragged, find_browser, on_top, steps_of  # noqa: E402
from drawing_reader import lit_by, part_at  # noqa: E402

from swinlib import SwinTransformer  # noqa: E402
from swinlib.lab import widgets  # noqa: E402
from swinlib.lab.drawing import WHITE, Drawing, part  # noqa: E402
from swinlib.lab.style import CALM  # noqa: E402
from swinlib.lab.widgets.explorer import SCRIPT, Explorer  # noqa: E402

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no browser to touch pictures in")

SYNCED = ("svg", "caption", "panel", "answers")  # in this order: an answer comes last
SECONDS = 10  # until the page has followed; test machines are busy

PAGE = """async ([source, css, state]) => {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  const heard = {};
  const model = {
    get: (name) => state[name],
    on: (event, handler) => ((heard[event] ??= []).push(handler)),
    send: async (values) => {
      window.sent.push(values);
      window.busy++;
      const said = await window.answer(values);
      const changed = Object.keys(said).filter(
        (name) => JSON.stringify(said[name]) !== JSON.stringify(state[name])
      );
      Object.assign(state, said);
      for (const name of changed) heard[`change:${name}`]?.forEach((handler) => handler());
      window.shown.push(performance.now());
      window.busy--;
    },
  };
  window.sent = [];
  window.shown = [];
  window.busy = 0;
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const el = document.body.appendChild(document.createElement("div"));
  widget.render({ model, el });
}"""


class Hand:
    """A widget in a page, and the hand that touches it."""

    def __init__(self, page, explorer: Explorer):
        self.page, self.explorer = page, explorer
        state = {name: getattr(explorer, name) for name in SYNCED}
        css = SCRIPT.with_suffix(".css").read_text(encoding="utf-8")
        page.expose_function("answer", self._answer)
        page.evaluate(PAGE, [SCRIPT.read_text(encoding="utf-8"), css, state])
        page.wait_for_function("() => window.busy === 0")  # it has asked whether anybody is there
        assert page.evaluate("() => window.sent.splice(0)") == [{}]

    def _answer(self, values: dict) -> dict:
        self.explorer._told(self.explorer, values, None)
        return {name: getattr(self.explorer, name) for name in SYNCED}

    def at(self, panel: str, row: int = 0, column: int = 0) -> tuple[float, float]:
        """The middle of a place, in the page."""
        field = self.explorer.drawing.fields()[panel]
        x = field["x"] + (column + 0.5) * field["width"]
        y = field["y"] + (row + 0.5) * field["height"]
        picture = self.page.locator("svg")
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        scale = box["width"] / self.explorer.drawing.width
        return box["x"] + x * scale, box["y"] + y * scale

    def lit(self) -> set[tuple[str, int, int]]:
        marks = self.page.evaluate(
            "() => [...document.querySelectorAll('.swin-marks rect')].map((r) => r.dataset.place)"
        )
        assert len(marks) == len(set(marks))
        return {(panel, int(i), int(j)) for panel, i, j in (m.rsplit(" ", 2) for m in marks)}

    def hover(self, *place) -> None:
        self.page.mouse.move(*self.at(*place))

    def click(self, *place) -> None:
        self.page.mouse.click(*self.at(*place))

    def settle(self) -> None:
        """Until all that was said is answered; then the page shows the widget's own picture."""
        self.page.wait_for_function("() => window.busy === 0", timeout=1000 * SECONDS)
        shown = self.page.evaluate(
            """(svg) => {
              const written = document.createElement("div");
              written.innerHTML = svg;
              const [here, wanted] = [document.querySelector(".swin-picture"), written];
              const plain = (host) => {
                const copy = host.querySelector("svg").cloneNode(true);
                copy.querySelectorAll(".swin-marks, [role=option]").forEach((e) => e.remove());
                const names = ["aria-activedescendant", "data-lm-suppress-shortcuts"];
                for (const name of names)
                  copy.querySelectorAll("g").forEach((e) => e.removeAttribute(name));
                return copy.outerHTML;
              };
              return plain(here) === plain(wanted);
            }""",
            self.explorer.svg,
        )
        assert shown, "the page shows another picture"
        assert self.page.locator("figcaption").text_content() == self.explorer.caption


@pytest.fixture
def open_page(chromium):
    """Opens a page that has no motion, or has."""
    contexts = []

    def open_page(motion="reduce", scheme="light", width=1280):
        size = {"width": width, "height": 800}
        look = {"reduced_motion": motion, "color_scheme": scheme}
        contexts.append(chromium.new_context(viewport=size, **look))
        contexts[-1].set_default_timeout(1000 * SECONDS)
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


@contextmanager
def no_problems(page):
    """The page complains of nothing within the block."""
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: m.type == "error" and problems.append(m.text))
    yield
    assert problems == []


# --- every widget ---------------------------------------------------------------------------------


@cache
def trained():
    torch.manual_seed(0)
    model = SwinTransformer(
        patch_size=4, embed_dim=8, depths=(2, 2), num_heads=(2, 2), window_size=4, num_classes=3
    )
    return model, torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)


@cache
def recorded():
    shares = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0))
    return {"whole": shares, "shift": shares.flip(1)}


MAKERS = {
    "PatchExplorer": lambda: widgets.PatchExplorer(patch_size=4, patch=(53, 44)),
    "AttentionExplorer": lambda: widgets.AttentionExplorer(query=(10, 9)),
    "WindowExplorer": lambda: widgets.WindowExplorer(),
    "ShiftMaskExplorer": lambda: widgets.ShiftMaskExplorer(),
    "FootprintExplorer": lambda: widgets.FootprintExplorer(),
    "PositionExplorer": lambda: widgets.PositionExplorer(),
    "MergingExplorer": lambda: widgets.MergingExplorer(height=5, width=7, token=2),
    "ShapeLedger": lambda: widgets.ShapeLedger(image_size=256),
    "FingerprintExplorer": lambda: widgets.FingerprintExplorer(recorded()),
    "TrainedAttentionExplorer": lambda: widgets.TrainedAttentionExplorer(*trained(), stage=2),
}


def some_places(drawing: Drawing, per_panel: int = 2) -> list[tuple[str, int, int]]:
    """Places of every panel, and no more of those with a hundred panels alike."""
    chance, found = random.Random(0), []
    panels = list(drawing.fields().items())
    for panel, field in panels if len(panels) <= 14 else chance.sample(panels, 14):
        size = len(field["rows"]), len(field["columns"])
        found += {(panel, *map(chance.randrange, size)) for _ in range(per_panel)}
    return found


def test_every_widget_is_touched():
    assert set(MAKERS) == set(widgets.__all__)


# What can be dragged in the picture that an explorer begins with.
DRAGGED = {
    "PatchExplorer": {"patch_size"},
    "AttentionExplorer": {"temperature"},
    "WindowExplorer": {"window_size", "height", "width"},
    "ShiftMaskExplorer": {"shift_rows", "shift_columns", "height", "width"},
    "PositionExplorer": {"query", "key"},
    "FootprintExplorer": {"row", "column"},
    "MergingExplorer": {"height", "width"},
    "ShapeLedger": {"height", "width"},
}


@pytest.mark.parametrize("name", MAKERS)
def test_hover_click_and_drag(name, open_page, report):
    """All that a picture offers to the hand does what the picture says."""
    page, explorer = open_page(), MAKERS[name]()
    drags = {drag.name for f in explorer.drawing.fields().values() for drag in f["drag"]}
    assert drags == DRAGGED.get(name, set())
    with no_problems(page):
        hand = Hand(page, explorer)
        hand.settle()
        hover_everywhere(hand)
        click_everywhere(hand)
        drag_everything(hand)
        report(f"{name:26} click to picture {click_times(hand):4.0f} ms, median")
        fits_the_screen(hand)


def hover_everywhere(hand: Hand) -> None:
    drawing, linked = hand.explorer.drawing, 0
    follows = {panel for panel, field in drawing.fields().items() if field["follow"]}
    for place in some_places(drawing):
        if not on_top(drawing, place) or place[0] in follows:
            continue
        hand.hover(*place)
        wanted = lit_by(drawing, *place)
        assert hand.lit() == wanted, f"on {place}"
        linked += len({panel for panel, *_ in wanted}) > 1
    assert linked, "nothing lights up in another panel"
    hand.page.mouse.move(1, 1)
    assert hand.lit() == set()


def click_everywhere(hand: Hand) -> None:
    explorer, changed = hand.explorer, 0
    start = explorer.state
    for place in some_places(explorer.drawing):
        drawing = explorer.drawing
        if not on_top(drawing, place):
            continue
        hand.click(*place)
        hand.settle()
        after, sets = explorer.state, part_at(drawing, *place).sets
        explorer.touch(**start)
        explorer.touch(**sets)
        assert after == explorer.state, f"a click on {place}"
        changed += after != start
        explorer.touch(**start)
        hand.page.evaluate("() => document.querySelector('[data-name=reset]').click()")
        hand.settle()
    assert changed, "no click changes anything"


def drag_everything(hand: Hand) -> None:
    """One step along each axis; then quickly all over the page and back."""
    explorer = hand.explorer
    for panel, field in explorer.drawing.fields().items():
        for drag in field["drag"]:
            if not (up := steps_of(drag)):
                continue
            begin, scale = explorer.state, hand.page.locator("svg").bounding_box()["width"]
            scale /= explorer.drawing.width
            x, y = hand.at(panel)
            way = up * drag.pixels * scale
            end = (x + way, y) if drag.axis == "right" else (x, y + way)
            hand.page.mouse.move(x, y)
            hand.page.mouse.down()
            for share in (0.4, 3, -2, 0.8, 1):  # as fast as it goes: the last one counts
                hand.page.mouse.move(x + share * (end[0] - x), y + share * (end[1] - y))
            hand.page.mouse.up()
            hand.settle()
            after = explorer.state
            explorer.touch(**begin)
            explorer.touch(**{drag.name: dragged(explorer, drag, up)})
            assert after == explorer.state, f"{panel} dragged {drag.axis}"
            assert after != begin
            hand.page.evaluate("() => document.querySelector('[data-name=reset]').click()")
            explorer.touch(**begin)
            hand.settle()


def click_times(hand: Hand) -> float:
    """Milliseconds from a click to the frame after its picture, Python included."""
    times, page = [], hand.page
    places = [
        place
        for place in some_places(hand.explorer.drawing, 9)
        if on_top(hand.explorer.drawing, place) and part_at(hand.explorer.drawing, *place).sets
    ]
    for place in places[:9]:
        x, y = hand.at(*place)
        page.mouse.move(x, y)
        page.mouse.down()
        page.evaluate("() => { window.clicked = performance.now(); window.shown.length = 0 }")
        page.mouse.up()
        hand.settle()
        times += page.evaluate("() => window.shown.slice(0, 1).map((t) => t - window.clicked)")
    return statistics.median(times)


def fits_the_screen(hand: Hand) -> None:
    """Controls and picture are seen together, and none is wider than a narrow page."""
    page = hand.page
    page.evaluate("() => scrollTo(0, 0)")
    assert page.locator("[data-name=reset]").is_visible()
    bottom = page.locator("svg").bounding_box()
    assert bottom["y"] + bottom["height"] <= 700, "controls and picture do not fit a screen"
    page.set_viewport_size({"width": 800, "height": 800})
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 800


# --- the keyboard ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_the_keyboard(name, open_page):
    """Tab reaches every panel; arrows walk through it, light up and are read out; Enter clicks."""
    page, explorer = open_page(), MAKERS[name]()
    hand = Hand(page, explorer)
    drawing = explorer.drawing
    panels = drawing.fields()
    tabs = page.evaluate(
        "() => [...document.querySelectorAll('.swin-field')].map((f) => f.tabIndex)"
    )
    assert tabs == [0] * len(panels)
    panel = max(panels, key=lambda name: len(panels[name]["rows"]) * len(panels[name]["columns"]))
    rows, columns = len(panels[panel]["rows"]), len(panels[panel]["columns"])
    page.locator(f'[data-panel="{panel}"]').focus()
    row = column = 0
    for key, down, right in (
        ("ArrowRight", 0, 1),
        ("ArrowRight", 0, 1),
        ("ArrowDown", 1, 0),
        ("ArrowLeft", 0, -1),
        ("ArrowUp", -1, 0),
        ("ArrowUp", -1, 0),
        ("ArrowDown", 1, 0),
    ):
        page.keyboard.press(key)
        hand.settle()  # some panels follow
        row = min(max(row + down, 0), rows - 1)
        column = min(max(column + right, 0), columns - 1)
        assert hand.lit() == lit_by(explorer.drawing, panel, row, column)
        option = page.locator(f'[data-panel="{panel}"] [role=option]')
        said = part_at(explorer.drawing, panel, row, column).name
        assert option.get_attribute("aria-label") == said
        field = page.locator(f'[data-panel="{panel}"]')
        assert field.get_attribute("aria-activedescendant") == option.get_attribute("id")
    sets = part_at(explorer.drawing, panel, row, column).sets
    before = explorer.state
    page.keyboard.press("Enter")
    hand.settle()
    after = explorer.state
    explorer.touch(**before)
    explorer.touch(**sets)
    assert after == explorer.state
    assert page.evaluate("() => document.activeElement.dataset.panel") == panel  # it stays


# --- controls -------------------------------------------------------------------------------------


# As JupyterLab does, after which the browser does not take it for the end of what is written.
KEEPS_ENTER = """() =>
  document.addEventListener("keydown", (e) => e.key === "Enter" && e.preventDefault())"""


def test_controls(open_page):
    page, explorer = open_page(), widgets.ShiftMaskExplorer()
    hand = Hand(page, explorer)
    page.evaluate(KEEPS_ENTER)
    for name, low, high in (("shift_rows", 0, 3), ("height", 1, 16)):
        box = page.locator(f"[data-name={name}]")
        field, slider = box.locator("input[type=number]"), box.locator("input[type=range]")
        for typed, value in (("2", 2), ("99", high), ("-5", low), ("x", low), ("", low)):
            field.focus()
            page.keyboard.press("Control+A")
            page.keyboard.press("Delete")
            page.keyboard.type(typed)
            page.keyboard.press("Tab")
            hand.settle()
            assert explorer.state[name] == value
            assert (field.input_value(), slider.input_value()) == (str(value),) * 2
        # A number that is written over another one, and is what stood there before that one.
        for typed, end, value in (("99", "Enter", high), (str(low), "Tab", low)):
            field.focus()
            page.keyboard.press("Control+A")
            page.keyboard.type(typed)
            page.keyboard.press(end)
            hand.settle()
            assert explorer.state[name] == value
            assert (field.input_value(), slider.input_value()) == (str(value),) * 2
        field.press("ArrowUp")
        hand.settle()
        slider.press("ArrowRight")
        hand.settle()
        assert explorer.state[name] == low + 2 and field.input_value() == str(low + 2)
        for _ in range(30):
            slider.press("ArrowRight")  # as fast as they go
        hand.settle()
        assert explorer.state[name] == high
    page.locator("[data-name=without_mask] input").click()
    hand.settle()
    assert explorer.state["without_mask"]
    page.get_by_role("button", name="4 regions").click()
    hand.settle()
    assert explorer.state["step"] == 4
    pressed = page.locator("[aria-pressed=true]")
    assert pressed.text_content() == "4 regions"
    page.locator("[data-name=reset]").click()
    hand.settle()
    assert explorer.state == widgets.ShiftMaskExplorer().state


def test_it_plays_from_the_first_step_to_the_last_and_pauses(open_page):
    page, explorer = open_page(), widgets.ShiftMaskExplorer(step=7)
    hand = Hand(page, explorer)
    button = page.locator(".swin-play")
    button.click()
    hand.settle()
    assert explorer.state["step"] == 1
    page.wait_for_function("() => window.sent.length === 3")  # steps 1, 2, 3
    button.click()
    hand.settle()
    assert explorer.state["step"] == 3
    sent = [{"step": 1}, {"step": 2}, {"step": 3}]
    assert page.evaluate("() => window.sent") == sent
    explorer.set(step=6)
    page.get_by_role("button", name="6 attention").click()
    hand.settle()
    button.click()
    hand.settle()
    assert explorer.state["step"] == 7 and "play" in button.text_content()


def test_controls_stay_while_an_answer_is_on_its_way(open_page, monkeypatch):
    """Hidden for a moment they would lose the focus, and the next key with it."""
    page, explorer = open_page(), widgets.ShiftMaskExplorer(step=7)
    hand = Hand(page, explorer)
    told = explorer._told
    monkeypatch.setattr(explorer, "_told", lambda *said: (time.sleep(0.2), told(*said)))
    page.evaluate("""() => {
      window.gone = 0;
      const root = document.querySelector(".swin-explorer");
      new MutationObserver(() => (window.gone += root.classList.contains("swin-still")))
        .observe(root, { attributes: true });
    }""")
    page.locator('[data-name="query"] input[type=number]').focus()
    for key in ["ArrowUp", "ArrowDown"] * 8:  # beyond the moment when the page looks for answers
        page.keyboard.press(key)
        hand.settle()
    assert page.evaluate("() => window.gone") == 0


# --- motion ---------------------------------------------------------------------------------------


def test_the_roll_is_seen(open_page):
    """Every token glides from its place on the map to its place on the rolled map."""
    page, explorer = open_page("no-preference"), widgets.ShiftMaskExplorer(step=2)
    hand = Hand(page, explorer)
    page.get_by_role("button", name="3 roll").click()
    page.wait_for_function("() => window.busy === 0")
    moves = page.evaluate(
        """() => Object.fromEntries(
          document.getAnimations().map((a) => {
            a.pause();
            a.currentTime = 0;
            const { key } = a.effect.target.dataset;
            const { x, y } = new DOMMatrix(getComputedStyle(a.effect.target).transform)
              .transformPoint(a.effect.target.getBBox());
            return [key, [a.effect.getTiming().duration, x, y]];
          }))"""
    )
    drawing = explorer.drawing
    places = {s["key"]: s for kind, s in drawing.shapes if kind == "rect" and "key" in s}
    rolled = [key for key in places if key.startswith("rolled-")]
    assert len(rolled) == 64
    for key in rolled:
        duration, x, y = moves[key]
        origin = places[key.replace("rolled", "map")]
        assert 300 <= duration <= 500
        assert (x, y) == pytest.approx((origin["x"], origin["y"]), abs=0.1)
    page = open_page("reduce")
    hand = Hand(page, widgets.ShiftMaskExplorer(step=2))
    page.get_by_role("button", name="3 roll").click()
    hand.settle()
    assert page.evaluate("() => document.getAnimations().length") == 0


def test_the_page_gives_the_colours(open_page):
    """On a dark page a picture is no white block, and its letters are light."""
    page = open_page()
    drawing = Drawing(40, 30, "A square.")
    drawing.rect(0, 0, 10, 10, "#ff0000")
    drawing.rect(10, 0, 10, 10, WHITE, opacity=0.5)  # a veil
    drawing.text(20, 20, "a")
    drawing.text(20, 25, "b", fill=CALM)
    drawing.touch("square", 0, 0, 10, None, [part("square", square=1)])
    colours = "--swin-paper:#101010;--swin-ink:#eeeeee;--swin-calm:#56b4e9"
    page.set_content(f'<div style="{colours}">{drawing.svg()}</div>')
    colour = "e => getComputedStyle(e).fill"
    found = page.locator("svg > rect").evaluate_all(f"all => all.map({colour})")
    assert found == ["rgb(16, 16, 16)", "rgb(255, 0, 0)", "rgb(16, 16, 16)"]
    found = page.locator("text").evaluate_all(f"all => all.map({colour})")
    assert found == ["rgb(238, 238, 238)", "rgb(86, 180, 233)"]
