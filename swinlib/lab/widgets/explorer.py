"""What all widgets share: labelled controls, a picture that answers the hand, a still copy.

A widget decides nothing about Swin and knows nothing of mice. It asks a pure function
``draw(**state) -> Drawing`` for the picture of its controls' state; what a click or a drag on the
picture changes, the picture itself says (see `swinlib.lab.drawing`). One module of plain
JavaScript, touch.js, shows the controls and the picture, and sends back what they become.
"""

import base64
from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

from swinlib.lab.drawing import Drawing

SCRIPT = Path(__file__).with_name("touch.js")
ALIVE = "Run this cell to make it move."


class Control:
    """One value under the reader's hand.

    Args:
        label: its name.
        value: to begin with.
        rare: whether it stands below the picture, with what is seldom moved.
        play: whether it can run through its values by itself.
    """

    kind: str

    def __init__(self, label: str, value, rare: bool = False, play: bool = False):
        self.label, self.value, self.rare, self.play = label, value, rare, play

    def checked(self, name: str, value):
        """The value as the picture is told it.

        Raises:
            ValueError: it is not possible; the message says what would be.
        """
        raise NotImplementedError

    def nearest(self, value):
        """The possible value that is nearest to this one, if it is one of its kind."""
        return value

    def narrow(self, low: int, high: int) -> None:
        raise NotImplementedError("only numbers have bounds")

    def says(self) -> dict:
        """What the front end needs to know of it."""
        return {"kind": self.kind, **vars(self)}


class Number(Control):
    """A whole number: a field, which the keyboard reaches everywhere, and a slider.

    Args:
        low, high: bounds, both possible.
    """

    kind = "number"

    def __init__(self, label: str, value: int, low: int, high: int, **how):
        super().__init__(label, value, **how)
        self.low, self.high = low, high

    def checked(self, name: str, value) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not self.low <= value <= self.high:
            raise ValueError(
                f"{name} must be a whole number from {self.low} to {self.high}, got {value!r}"
            )
        return value

    def nearest(self, value):
        if isinstance(value, int) and not isinstance(value, bool):
            return min(max(value, self.low), self.high)
        return value

    def narrow(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.value = self.nearest(self.value)


class Choice(Control):
    """One of a few named values; buttons instead of a list if it can `play`.

    Args:
        options: pairs of a name and its value.
    """

    kind = "choice"

    def __init__(self, label: str, options: list[tuple[str, object]], value, **how):
        super().__init__(label, value, **how)
        self.options = options

    def checked(self, name: str, value):
        possible = [option for _, option in self.options]
        for option in possible:
            # Python's 2.0 and True equal 2 and 1; a page sends 1.0 as 1.
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return option
        raise ValueError(f"{name} must be one of {possible}, got {value!r}")


class Switch(Control):
    """On or off."""

    kind = "switch"

    def __init__(self, label: str, value: bool = False, **how):
        super().__init__(label, value, **how)

    def checked(self, name: str, value) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")
        return value


class Explorer(anywidget.AnyWidget):
    """A picture that can be touched, with its controls.

    A subclass sets `draw` and, in `controls`, makes one control for every keyword of `draw` that a
    reader moves, in the order in which they are shown. `bounds` may narrow them as controls before
    them move, so that no setting is impossible.

    Args:
        still: what is another in the picture that is left behind for pages without a kernel.
        **state: values to begin with, and to come back to on reset; the rest as in `controls`.

    Attributes:
        svg, caption, panel: the picture, its sentence and what the controls say, as shown.
        answers: how many messages of the page are answered.

    Raises:
        TypeError: a keyword that is no control.
        ValueError: a value outside its control's bounds.
    """

    _esm = SCRIPT.read_text(encoding="utf-8")
    _css = SCRIPT.with_suffix(".css").read_text(encoding="utf-8")
    svg = traitlets.Unicode().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    panel = traitlets.List().tag(sync=True)
    answers = traitlets.Int().tag(sync=True)

    draw: Callable[..., Drawing]

    def __init__(self, still: dict | None = None, **state):
        self.parts, self.still = self.controls(), still or {}
        super().__init__()
        self.set(**state)
        self._start = self.state
        self.on_msg(self._told)

    def controls(self) -> dict[str, Control]:
        """The controls by name."""
        raise NotImplementedError

    def bounds(self, **state) -> dict[str, tuple[int, int]]:
        """Lowest and highest value of the controls that depend on others before them."""
        return {}

    def along(self, moved: dict) -> dict:
        """What moves as well when these controls do: all of it, with new values."""
        return moved

    @property
    def state(self) -> dict:
        """What the controls say, as keywords for `draw` or for a new widget."""
        return {name: part.value for name, part in self.parts.items()}

    def set(self, **state) -> None:
        """Move some controls, and draw once.

        Raises:
            TypeError: a keyword that is no control.
            ValueError: a value outside its control's bounds, given all the others; nothing moves.
        """
        self._move(state)

    def touch(self, **state) -> None:
        """The same as a hand does it: what goes too far stops at the bounds.

        Raises:
            TypeError: a keyword that is no control.
            ValueError: a value of another kind; nothing moves.
        """
        self._move(state, stop=True)

    def reset(self) -> None:
        """Back to the state that the widget began with."""
        self.set(**self._start)

    def picture(self, state: dict) -> Drawing:
        """The picture of a state; overridden where `draw` is told more than the controls say."""
        return type(self).draw(**state)

    @property
    def drawing(self) -> Drawing:
        """The picture of the present state."""
        return self.picture(self.state)

    def still_drawing(self) -> Drawing:
        """The picture for pages without a kernel: see `Drawing.still`."""
        return self.picture(self.state | self.still)

    def save(self, path: str | Path) -> None:
        """Write the picture as a PNG file.

        Raises:
            ValueError: another ending.
        """
        path = Path(path)
        if path.suffix != ".png":
            raise ValueError(f"path must end in .png, got {str(path)!r}")
        path.write_bytes(self.drawing.png())

    def _move(self, state: dict, stop: bool = False, begin: dict | None = None) -> None:
        begin = begin or {}
        for name in [*begin, *state]:
            if name not in self.parts:
                raise TypeError(
                    f"{type(self).__name__} has no control {name!r}; it has {', '.join(self.parts)}"
                )
        before = self.state
        try:
            for name, value in begin.items():
                self.parts[name].value = value
            state = begin | self.along(state)
            # In the order of the controls, for bounds depend on the controls before.
            for name, part in self.parts.items():
                self._narrow()
                if name in state:
                    value = part.nearest(state[name]) if stop else state[name]
                    part.value = part.checked(name, value)
            self._narrow()
            if self.state != before or not self.svg:
                self._redraw()
        except BaseException:  # whatever comes in between, state and picture belong together
            for name, value in before.items():
                self._narrow()
                self.parts[name].value = value
            self._narrow()
            raise

    def _narrow(self) -> None:
        for name, part in self.parts.items():  # in order: one that is narrowed may narrow the next
            bounds = self.bounds(**self.state)
            if name in bounds:
                part.narrow(*bounds[name])

    def _redraw(self) -> None:
        drawing = self.drawing
        with self.hold_sync():
            self.svg, self.caption = drawing.svg(), drawing.caption
            self.panel = [{"name": name, **part.says()} for name, part in self.parts.items()]

    def _told(self, widget, values: dict, buffers) -> None:
        """The page says what the hand did; it waits for an answer before it says more."""
        try:
            begin = values.pop("from", {})  # where a drag began
            self.reset() if values.get("reset") is True else self._move(values, True, begin)
        except (TypeError, ValueError):
            pass  # said of a picture that is no more
        finally:
            self.answers += 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(self, **kwargs):
        """The live widget where one can run; beside it a still for pages where none can."""
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        drawing = self.still_drawing()
        bundle["image/png"] = base64.b64encode(drawing.still(ALIVE)).decode()
        return bundle, metadata | {"image/png": {"alt": drawing.caption}}
