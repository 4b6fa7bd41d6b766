"""How a verdict looks: text where text is all there is; live, coloured and with hints to unfold.

The hints are folded into the page, one inside the other, so they need no kernel and are there when
the notebook is opened again.
"""

import re
from dataclasses import dataclass
from html import escape

from swinlib.lab.exercises.checking import Exercise, Verdict
from swinlib.lab.exercises.comparing import UNLIKE
from swinlib.lab.showing import code_html

# Okabe and Ito's; a sign stands beside each, since colour alone says nothing to many.
COLOURS = {"right": "#009e73", "wrong": "#d55e00", "unanswered": "#7d8590"}
BUTTON = (
    "display:inline-block;cursor:pointer;border:1px solid #7d8590;border-radius:4px;"
    "padding:2px 10px;margin:6px 0 2px"
)
PRE = (
    "white-space:pre;word-break:normal;overflow-x:auto;margin:6px 0 0;background:transparent;"
    "color:inherit"
)


@dataclass(frozen=True)
class Told:
    """A verdict on an answer to an exercise, as a notebook shows it."""

    verdict: Verdict
    asked: Exercise

    def __repr__(self) -> str:
        return str(self.verdict)

    def _repr_html_(self) -> str:
        verdict, colour = self.verdict, COLOURS[self.verdict.state]
        parts = [f"<strong>{verdict.sign} <code>{verdict.name}</code></strong>: "]
        parts.append(in_code(verdict.says))
        for lines in (verdict.example, verdict.printed):
            if lines:
                parts.append(f'<pre style="{PRE}">{marked(lines)}</pre>')
        if not verdict.right:
            parts.append(folded_hints(self.asked))
        return (
            f'<div class="swin-verdict swin-{verdict.state}" style="border-left:5px solid {colour};'
            f'border-radius:4px;background:{colour}1f;padding:6px 12px;line-height:1.5">'
            f"{''.join(parts)}</div>"
        )


def folded_hints(asked: Exercise) -> str:
    """The hints, each inside the one before it, and the solution inside the last."""
    html = folded("show a solution", code_html(asked.source))
    for number, hint in reversed(list(enumerate(asked.hints, 1))):
        label = "hint" if number == 1 else "one more hint"
        html = folded(label, f"<div>{number}. {in_code(hint)}</div>{html}")
    return html


def folded(label: str, html: str) -> str:
    """A button that shows what is behind it."""
    return f'<details><summary style="{BUTTON}">{label}</summary>{html}</details>'


def in_code(text: str) -> str:
    """Text as HTML, what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def marked(lines: str) -> str:
    """An example as HTML, its unlike numbers on the colour of what is wrong."""
    style = f"background:{COLOURS['wrong']}55;color:inherit;border-radius:3px"
    number = rf"(?<=\s)(\S+{re.escape(UNLIKE)})(?=\s|$)"
    html = escape(lines, quote=False)
    return re.sub(number, rf'<mark style="{style}">\1</mark>', html)
