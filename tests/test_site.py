"""The web site, built from what is stored and walked in a real browser, as its readers meet it."""

import functools
import http.server
import inspect
import json
import re
import threading
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser")
for package in ("myst_nb", "sphinx_book_theme", "sphinx_copybutton", "ziamath"):
    pytest.importorskip(package, reason="what makes the web site is not installed")

from browser import OPEN, find_browser  # noqa: E402

import swinlib  # noqa: E402
import website  # noqa: E402
from nbcompare import TOLERANCE, decode, lighter, thumbnail_distance  # noqa: E402
from nbform import text  # noqa: E402
from swinlib import training  # noqa: E402
from swinlib.lab.style import setup  # noqa: E402
from swinlib.lab.widgets.shift import ShiftMaskExplorer  # noqa: E402

needs_browser = pytest.mark.skipif(
    find_browser() is None, reason="no browser to walk the site in: on Debian, apt install chromium"
)
DESK, TELEPHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 800}
LESSONS = [path.stem for path in website.notebooks()]
NOTEBOOKS = {path.stem: json.loads(path.read_bytes()) for path in website.notebooks()}
PAGES = ["index", "api", *(f"notebooks/{name}" for name in LESSONS)]
PAGES += [name.removesuffix(".md") for name in website.PROJECT]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the finished site."""
    folder = tmp_path_factory.mktemp("site")
    assert website.build(folder) == 0, "Sphinx warned"
    return folder / "html"


@pytest.fixture(scope="module")
def visit(site, chromium):
    """Opens a page of the site; see `opened`."""
    with served(site) as address:
        yield functools.partial(opened, chromium, address)


@contextmanager
def served(folder: Path):
    """The address at which a folder can be read."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def opened(chromium, address, path, **options):
    """A page that has loaded, and a list of what the browser complained about meanwhile.

    A request to any other place is a complaint, and comes to nothing.
    """
    problems = []

    def decide(route):
        if route.request.url.startswith((address, "data:")):
            return route.continue_()
        problems.append(f"foreign request: {route.request.url}")
        route.abort()

    options = {"viewport": DESK, "color_scheme": "light"} | options
    with chromium.new_context(permissions=["clipboard-read"], **options) as context:
        context.set_default_timeout(1000 * OPEN)
        context.route(re.compile(""), decide)
        page = context.new_page()
        page.on("console", lambda m: m.type == "error" and problems.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        page.on("requestfailed", lambda r: problems.append(f"failed: {r.url} {r.failure}"))
        page.on("response", lambda r: r.status >= 400 and problems.append(f"{r.status}: {r.url}"))
        page.goto(address + path, wait_until="networkidle")
        yield page, problems


# What a page shows and how: pictures without words or pixels, and how much too wide it is.
FAULTS = """() => [
  ...[...document.images].flatMap((image) => [
    ...(image.naturalWidth ? [] : [`no picture: ${image.src}`]),
    ...(image.alt.trim() ? [] : [`no alternative text: ${image.src}`])]),
  ...[...document.querySelectorAll(".bd-article :not(button) > svg")]
    .filter((svg) => !svg.getAttribute("aria-label")?.trim()).map(() => "a drawing without words"),
]"""
EXCESS = "() => document.documentElement.scrollWidth - window.innerWidth"


@needs_browser
@pytest.mark.parametrize("name", PAGES)
def test_walk(name, visit):
    """Every page as it should be, on a desk and on a telephone."""
    with visit(f"{name}.html") as (page, problems):
        assert page.evaluate(FAULTS) == []
        assert page.evaluate(EXCESS) <= 0
        page.set_viewport_size(TELEPHONE)
        page.reload(wait_until="networkidle")  # as on a telephone: the navigation glides away else
        assert page.evaluate(EXCESS) <= 0
        assert problems == []
        if name.startswith("notebooks/"):
            shows_all_of(page, NOTEBOOKS[name.removeprefix("notebooks/")])


def shows_all_of(page, notebook):
    """Every code cell with its button, every stored picture once, and every explorer as SVG."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    drawn = sum(website.explorer_in(output) is not None for output in outputs)
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert page.locator(".cell_input").count() == len(code)
    assert page.locator(".cell_input .copybtn").count() == len(code)
    assert page.locator(".cell_output .copybtn").count() == 0
    assert page.locator(".cell_output .swin-still").count() == drawn
    assert page.locator(".cell_output img").count() == pictures - drawn


@needs_browser
def test_faults_are_noticed(chromium, tmp_path):
    """What `test_walk` looks for; it would pass without."""
    wide = '<p style="width: 3000px">wide</p><img src="gone.png" alt="x"><img src="dot.svg">'
    article = '<div class="bd-article"><p><svg></svg></p></div>'
    script = '<script src="http://another.example/a.js"></script><script>nowhere()</script>'
    (tmp_path / "bad.html").write_text(f"<!doctype html>{wide}{article}{script}")
    dot = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    (tmp_path / "dot.svg").write_text(dot)
    with served(tmp_path) as address, opened(chromium, address, "bad.html") as (page, problems):
        faults = [fault.split(":")[0] for fault in page.evaluate(FAULTS)]
        assert faults == ["no picture", "no alternative text", "a drawing without words"]
        assert page.evaluate(EXCESS) > 1000
    told = "\n".join(problems)
    assert "foreign request: http://another.example/a.js" in told
    assert "nowhere" in told and "404" in told


@needs_browser
def test_explorer_is_stepped_through(visit):
    """Lesson 04's seven steps: the drawings that the widget makes, one at a time."""
    wanted = [
        ShiftMaskExplorer(height=8, width=8, window_size=4, shift_size=2, step=step).drawing
        for step in range(1, 8)
    ]
    with visit("notebooks/04_cyclic_shift_masks.html") as (page, problems):
        figure = page.locator("[data-steps]")

        def shows(step):
            assert figure.locator("svg:visible").count() == 1
            shown = figure.locator("svg:visible").get_attribute("aria-label")
            assert shown == wanted[step - 1].caption
            assert figure.locator("output").inner_text().startswith(str(step))

        back, on, play = (figure.locator("button").nth(i) for i in range(3))
        start = begins_at_step("04_cyclic_shift_masks")
        shows(start)
        for step in range(start + 1, 5):
            on.click()
            shows(step)
        for step in (3, 2, 1):
            back.press("Enter")
            shows(step)
        assert back.is_disabled() and on.is_enabled()
        play.click()
        figure.locator("output", has_text="7").wait_for()
        shows(7)
        assert on.is_disabled() and play.inner_text() == "play"
        assert problems == []


def begins_at_step(lesson: str) -> int:
    """Where the lesson's explorer with steps stands."""
    cells = NOTEBOOKS[lesson]["cells"]
    first = next(
        n for n, c in enumerate(cells) if any(map(website.explorer_in, c.get("outputs", [])))
    )
    return website.last_value(cells[: first + 1]).state["step"]


@needs_browser
@pytest.mark.parametrize("name", [name for name in LESSONS if name[:2] <= "08"])
def test_what_belongs_together_lights_up(name, visit):
    """Under the pointer, without a kernel."""
    with visit(f"notebooks/{name}.html") as (page, problems):
        field = page.locator(".swin-still .swin-field >> visible=true").first
        field.scroll_into_view_if_needed()
        box = field.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert page.locator(".swin-marks rect").count() >= 1
        assert problems == []


@needs_browser
@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_the_map_leads_to_another_lesson(way, visit):
    with visit("notebooks/04_cyclic_shift_masks.html") as (page, problems):
        link = page.locator(".swin-links a", has_text="lesson 06").first
        link.click() if way == "mouse" else link.press("Enter")
        page.wait_for_url("**/notebooks/06_patch_merging.html", wait_until="networkidle")
        assert problems == []


@needs_browser
def test_code_is_copied(visit):
    """The button copies the cell, and nothing else."""
    cell = next(c for c in NOTEBOOKS[LESSONS[0]]["cells"] if c["cell_type"] == "code")
    with visit(f"notebooks/{LESSONS[0]}.html") as (page, _):
        page.locator(".cell_input").first.hover()
        page.locator(".cell_input .copybtn").first.click()
        page.wait_for_function("() => navigator.clipboard.readText()")
        assert page.evaluate("navigator.clipboard.readText()").strip() == text(cell["source"])


@needs_browser
def test_search_finds_lessons(visit):
    with visit("search.html?q=cyclic+shift") as (page, problems):
        page.locator("#search-results li a").first.wait_for()
        found = page.locator("#search-results li a").evaluate_all("all => all.map((a) => a.href)")
        assert any("04_cyclic_shift_masks.html" in address for address in found)
        assert problems == []


# Contrast as WCAG reckons it, of an element's text against the first opaque ground behind it.
CONTRAST = """(element) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3)
    .map((c) => (c /= 255, c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  let ground = element;
  while (ground.parentElement && channels(getComputedStyle(ground).backgroundColor)[3] === 0)
    ground = ground.parentElement;
  const [a, b] = [light(getComputedStyle(element).color),
    light(getComputedStyle(ground).backgroundColor)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read_in_both_themes(theme, visit):
    with visit("notebooks/04_cyclic_shift_masks.html", color_scheme=theme) as (page, problems):
        assert page.locator("html").get_attribute("data-theme") == theme
        for selector in ("article p", "figcaption", ".cell_output pre", ".cell_input pre", "h2"):
            seen = page.locator(f"{selector} >> visible=true")
            assert min(seen.evaluate_all(f"all => all.map({CONTRAST})")) > 4.5, selector
        assert problems == []


@needs_browser
def test_formulas_have_their_font(visit):
    with visit("notebooks/02_attention.html") as (page, _):
        assert page.locator("math").count() > 5
        assert page.evaluate("() => document.fonts.check('16px \"course mathematics\"')")
        index = page.locator("msub").first
        low = index.evaluate(
            "sub => sub.children[1].getBoundingClientRect().bottom"
            " - sub.children[0].getBoundingClientRect().bottom"
        )
        assert low > 0


# --- what needs no browser ------------------------------------------------------------------------


class Page(HTMLParser):
    """The addresses that a page links to and the places in it that can be linked to."""

    def __init__(self, html: str):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken_links(site: Path) -> list[str]:
    """Links inside the site that lead nowhere."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
        if "_static" not in path.parts
    }  # the theme's templates lie there
    found = []
    for path, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            file, place = urldefrag(link)
            target = (path.parent / unquote(urlsplit(file).path)).resolve() if file else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                found.append(f"{path.name}: no file {link}")
            elif place and target in pages and unquote(place) not in pages[target].places:
                found.append(f"{path.name}: no place {link}")
    return found


def test_internal_links_are_whole(site):
    assert broken_links(site) == []


def test_broken_links_are_noticed(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#c">, <a href="d.html">, <a id=e href="#e">')
    (tmp_path / "b.html").write_text('<a href="http://elsewhere.example/x.html">')
    assert broken_links(tmp_path) == ["a.html: no place b.html#c", "a.html: no file d.html"]


def test_lessons_in_order_with_their_files(site):
    """As in the folder: in the navigation, before and after, and to be taken along."""
    links = Page((site / "index.html").read_text(encoding="utf-8")).links
    lessons = [f"notebooks/{name}.html" for name in LESSONS]
    assert [link for link in dict.fromkeys(links) if link in lessons] == lessons
    for name in LESSONS:
        links = Page((site / "notebooks" / f"{name}.html").read_text(encoding="utf-8")).links
        assert f"{name}.ipynb" in links
        assert json.loads((site / "notebooks" / f"{name}.ipynb").read_bytes()) == NOTEBOOKS[name]


def test_every_map_has_its_links(site):
    """To the pages of the other lessons; lesson 09 makes all pieces anew and has no box."""
    for name in LESSONS:
        html = (site / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
        links = re.findall(r'<a href="([^"]+)" title="lesson \d\d [^"]*"', html)
        others = {f"{other}.html" for other in LESSONS if other[:2] not in (name[:2], "09")}
        assert set(links) == others, name


@pytest.mark.parametrize("package", [swinlib, training], ids=lambda package: package.__name__)
def test_every_public_name_is_on_the_page(site, package):
    places = Page((site / "api.html").read_text(encoding="utf-8")).places
    for name in package.__all__:
        module = "module-" if inspect.ismodule(getattr(package, name)) else ""
        assert f"{module}{package.__name__}.{name}" in places


@pytest.mark.parametrize("name", LESSONS)
def test_explorers_are_the_stored_ones(name):
    """Made anew from the few lines that they need, they leave the still that is stored."""
    setup()  # on the paper of the lessons
    cells = NOTEBOOKS[name]["cells"]
    for number, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            if website.explorer_in(output):
                bundle = website.last_value(cells[: number + 1])._repr_mimebundle_()
                bundle = bundle[0] if isinstance(bundle, tuple) else bundle
                stored, fresh = output["data"]["image/png"], bundle["image/png"]
                stored, fresh = decode(stored), decode(lighter(fresh))
                assert stored.size == fresh.size, cell["id"]
                assert thumbnail_distance(stored, fresh) <= TOLERANCE, cell["id"]
