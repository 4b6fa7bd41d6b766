"""How verdicts, code and pictures look on a live page, and what plain pages show in their place."""

import re
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import pytest

from swinlib.lab import showing
from swinlib.lab.exercises import Verdict, all_exercises, check, find
from swinlib.lab.exercises.telling import COLOURS, Told
from swinlib.lab.showing import WIDEST, Code, code_html, smallest_letters
from swinlib.lab.style import ACCENT

ASKED = list(all_exercises().values())
each = pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)


class Html(HTMLParser):
    """What HTML says: all its text, that of every kind of element, and what is folded in what."""

    def __init__(self, html: str):
        super().__init__()
        self.text, self.open, self.inside, self.folds = "", [], {}, []
        self.feed(html)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        if tag in ("img", "br"):
            return
        self.open.append(tag)
        self.inside.setdefault(tag, []).append("")
        if tag == "details":
            self.folds.append(self.open.count("details"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        for tag in set(self.open):
            self.inside[tag][-1] += data


# --- verdicts -------------------------------------------------------------------------------------


def told(asked, state, says="`x` is < 1 & wrong.", example="", printed=""):
    return Told(Verdict(asked.name, state, says, example, printed), asked)


@pytest.mark.parametrize("state", COLOURS)
def test_a_verdict_is_marked_by_a_sign_and_a_colour(state):
    asked = ASKED[0]
    told_so = told(asked, state)
    html = told_so._repr_html_()
    assert f"border-left:5px solid {COLOURS[state]}" in html and f"swin-{state}" in html
    assert Html(html).inside["strong"] == [f"{told_so.verdict.sign} {asked.name}"]
    assert "x is < 1 & wrong." in Html(html).text
    assert repr(told_so) == str(told_so.verdict)  # what is stored, and what terminals show
    assert ("details" in Html(html).inside) == (state != "right")


@each
def test_every_hint_is_behind_the_one_before_it_and_the_solution_behind_the_last(asked):
    html = Html(told(asked, "wrong")._repr_html_())
    assert html.folds == list(range(1, len(asked.hints) + 2))
    labels = ["hint"] + ["one more hint"] * (len(asked.hints) - 1) + ["show a solution"]
    assert html.inside["summary"] == labels
    for number, hint in enumerate(asked.hints, 1):
        assert f"{number}. {hint.replace('`', '')}" in html.text
    assert html.inside["pre"][-1] == asked.source


def test_unlike_numbers_are_marked_in_the_page_and_in_the_text():
    asked = find("roll_by_slicing")
    verdict = check(asked, lambda x, shift_size: -x)
    html = Html(Told(verdict, asked)._repr_html_())
    assert html.inside["pre"][0] == verdict.example
    assert len(html.inside["mark"]) == verdict.example.count("*") > 3
    assert all(re.fullmatch(r"-?\d+\*", number) for number in html.inside["mark"])


def test_what_an_answer_printed_is_text():
    shown = "  it printed, with a case:\n  | <b>bold</b> & more"
    html = Html(told(ASKED[0], "wrong", printed=shown)._repr_html_())
    assert html.inside["pre"][0] == shown and "b" not in html.inside


# --- code -----------------------------------------------------------------------------------------

SOURCE = "def f(x):\n    return x < 1 and '<b>' or x @ x  # & a long line" + " of words" * 20


def test_code_says_the_same_in_every_form():
    code = Code(SOURCE, "swinlib/f.py")
    assert repr(code) == f"# swinlib/f.py\n{SOURCE}"
    assert code._repr_markdown_() == f"`swinlib/f.py`\n```python\n{SOURCE}\n```"
    html = Html(code._repr_html_())
    assert html.inside["pre"] == [SOURCE] and html.text == "swinlib/f.py" + SOURCE
    assert repr(Code(SOURCE)) == SOURCE
    assert Code(SOURCE)._repr_markdown_() == f"```python\n{SOURCE}\n```"
    assert Code(SOURCE)._repr_html_() == code_html(SOURCE)


def test_code_is_coloured_as_the_page_s_own_and_never_breaks_inside_a_word():
    html = code_html(SOURCE)
    assert "var(--jp-mirror-editor-keyword-color," in html
    style = re.search(r'<pre style="([^"]*)"', html)[1]
    assert "white-space:pre;word-break:normal;overflow-x:auto" in style


# --- pictures -------------------------------------------------------------------------------------


def drawn(width=2.0, size=9.0):
    figure, ax = plt.subplots(figsize=(width, 1))
    ax.axis("off")
    ax.text(0, 0, "words", fontsize=size)
    return figure


def test_a_picture_says_what_it_shows_in_every_form():
    picture = showing.picture(drawn(), "Words,\n   and <nothing> else.")
    bundle, about = picture._repr_mimebundle_()
    width, height = picture.size
    said = {"alt": "Words, and <nothing> else.", "width": width, "height": height}
    assert about == {"image/png": said | {"letters": 12.5}}  # 9 points of 72 to an inch of 100
    assert f'alt="Words, and &lt;nothing&gt; else." width="{width}"' in bundle["text/html"]
    assert "links" not in bundle["text/html"]
    assert bundle["text/plain"] == "<Figure>"


def test_figures_that_a_page_cannot_show_are_refused():
    for figure, alt, words in (
        (drawn(), "  \n", "alt must say"),
        (drawn(WIDEST + 0.1), "Words.", "8.5 inches wide, a column has 8.4"),
    ):
        with pytest.raises(ValueError, match=words):
            showing.show(figure, alt)
        plt.close(figure)


def test_letters_that_are_not_seen_do_not_count():
    figure = drawn(size=8)
    ax = figure.axes[0]
    ax.text(0, 0, "hidden", fontsize=3).set_visible(False)
    ax.text(0, 0, "  ", fontsize=2)
    ax.tick_params(labelsize=1)  # of an axis that is off
    assert smallest_letters(figure) == 11.1
    plt.close(figure)
    empty = plt.figure()
    empty.add_axes((0, 0, 1, 1), facecolor=ACCENT).axis("off")
    assert smallest_letters(empty) is None
    plt.close(empty)
