"""What all widgets share: labelled controls, a picture that follows them, a reset, a still copy.

A widget decides nothing about Swin. It reads its controls, asks a pure function
``draw(**state) -> Drawing`` for the picture and shows it as SVG in an HTML widget, the fastest way
from a key to a pixel that we measured.
"""

import base64
from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as widgets

from swinlib.lab.drawing import Drawing


class Explorer(widgets.VBox):
    """Controls above a picture that follows them.

    A subclass sets `draw` and, in `controls`, makes one control for every keyword of `draw`, in
    order. `bounds` may narrow them as controls before them move, so that no setting is impossible.

    Args:
        **state: values to begin with, and to come back to on reset; the rest as in `controls`.

    Raises:
        TypeError: a keyword that is no control.
        ValueError: a value outside its control's bounds.
    """

    draw: Callable[..., Drawing]

    def __init__(self, **state):
        self.parts = self.controls()
        unknown = [name for name in state if name not in self.parts]
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no control {unknown[0]!r}; it has "
                f"{', '.join(self.parts)}"
            )
        self._busy = False
        self.picture = widgets.HTML()
        self.picture.add_class("swin-picture")
        reset = widgets.Button(description="reset", tooltip="back to the lesson's example")
        reset.on_click(lambda _: self.reset())
        for part in self.parts.values():
            part.observe(self._moved, names="value")
        self.set(**state)
        self._start = self.state
        controls = widgets.Box(
            [*(part.box for part in self.parts.values()), reset],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="2px 18px"),
        )
        super().__init__([controls, self.picture])
        self.add_class("swin-explorer")

    def controls(self) -> dict[str, "Control"]:
        """The controls by name."""
        raise NotImplementedError

    def bounds(self, **state) -> dict[str, tuple[int, int]]:
        """Lowest and highest value of the controls that depend on others before them."""
        return {}

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
        for name in state:
            if name not in self.parts:
                raise TypeError(f"{name!r} is no control of {type(self).__name__}")
        before = self.state
        self._busy = True
        try:
            # In the order of the controls, for bounds depend on the controls before.
            for name in self.parts:
                if name in state:
                    self._narrow()
                    self.parts[name].put(name, state[name])
            self._narrow()
        except ValueError:
            for name, value in before.items():
                self._narrow()
                self.parts[name].value = value
            self._narrow()
            raise
        finally:
            self._busy = False
        self._redraw()

    def reset(self) -> None:
        """Back to the state that the widget began with."""
        self.set(**self._start)

    @property
    def drawing(self) -> Drawing:
        """The picture of the present state."""
        return type(self).draw(**self.state)

    def save(self, path: str | Path) -> None:
        """Write the picture as a file; its ending says which kind, .svg or .png.

        Raises:
            ValueError: another ending.
        """
        path = Path(path)
        if path.suffix == ".svg":
            path.write_text(self.drawing.svg(), encoding="utf-8")
        elif path.suffix == ".png":
            path.write_bytes(self.drawing.png())
        else:
            raise ValueError(f"path must end in .svg or .png, got {str(path)!r}")

    def _moved(self, change) -> None:
        if self._busy:
            return
        self._busy = True  # narrowing one control may move another: draw once, at the end
        try:
            self._narrow()
        finally:
            self._busy = False
        self._redraw()

    def _narrow(self) -> None:
        for name, part in self.parts.items():  # in order: one that is narrowed may narrow the next
            bounds = self.bounds(**self.state)
            if name in bounds:
                part.narrow(*bounds[name])

    def _redraw(self) -> None:
        drawing = self.drawing
        # A picture too wide for the page scrolls by itself; width 0, or it would widen all around.
        self.picture.value = (
            '<figure style="margin:4px 0"><div style="overflow-x:auto;width:0;min-width:100%">'
            f"{drawing.svg()}</div>"
            '<figcaption aria-live="polite" style="color:var(--jp-ui-font-color1,#222);'
            'max-width:70em;line-height:1.4">'
            f"{escape(drawing.caption)}</figcaption></figure>"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(self, **kwargs):
        """The live widget where one can run; beside it a still for pages where none can."""
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        bundle["text/plain"] = repr(self)
        bundle["image/png"] = base64.b64encode(self.drawing.png()).decode()
        return bundle, {"image/png": {"alt": self.drawing.caption}}


class Control:
    """One value under the reader's hand.

    Attributes:
        box: what is shown.
    """

    def __init__(self, main: widgets.Widget, box: widgets.Widget | None = None):
        self.main = main
        self.box = main if box is None else box

    @property
    def value(self):
        return self.main.value

    @value.setter
    def value(self, value):
        self.main.value = value

    def put(self, name: str, value) -> None:
        """Set the value, or say what would be possible."""
        self.main.value = value

    def narrow(self, low: int, high: int) -> None:
        raise NotImplementedError("only numbers have bounds")

    def observe(self, handler, names) -> None:
        self.main.observe(handler, names)


class Number(Control):
    """A whole number: a slider, and a field beside it, which the keyboard reaches everywhere.

    Args:
        label: its name.
        value: to begin with.
        low, high: bounds, both possible.
    """

    def __init__(self, label: str, value: int, low: int, high: int):
        field = widgets.BoundedIntText(
            value=value,
            min=low,
            max=high,
            description=label,
            tooltip=label,  # without one, some front ends show the word null
            style={"description_width": "auto"},
            layout=widgets.Layout(width=f"{len(label) + 9}ch"),
        )
        slider = widgets.IntSlider(
            value=value,
            min=low,
            max=high,
            readout=False,
            tooltip=label,
            layout=widgets.Layout(width="130px"),
        )
        widgets.link((field, "value"), (slider, "value"))
        self.slider = slider
        # The handle is wider than its place at either end.
        visible = widgets.Layout(overflow="visible")
        super().__init__(field, widgets.HBox([field, slider], layout=visible))

    def put(self, name: str, value) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not self.main.min <= value <= self.main.max:
            raise ValueError(
                f"{name} must be a whole number from {self.main.min} to {self.main.max}, "
                f"got {value!r}"
            )
        self.main.value = value

    def narrow(self, low: int, high: int) -> None:
        if (low, high) == (self.main.min, self.main.max):
            return
        for part in (self.main, self.slider):
            # The order keeps min <= max at every moment.
            if low > part.max:
                part.max, part.min = high, low
            else:
                part.min, part.max = low, high


class Choice(Control):
    """One of a few named values.

    Args:
        label: its name.
        options: pairs of a name and its value.
        value: to begin with.
    """

    def __init__(self, label: str, options: list[tuple[str, object]], value):
        self.options = options
        main = widgets.Dropdown(
            options=options,
            value=value,
            description=label,
            tooltip=label,
            style={"description_width": "auto"},
            layout=widgets.Layout(width="max-content"),
        )
        super().__init__(main)

    def put(self, name: str, value) -> None:
        possible = [option for _, option in self.options]
        if value not in possible:
            raise ValueError(f"{name} must be one of {possible}, got {value!r}")
        self.main.value = value


class Switch(Control):
    """On or off."""

    def __init__(self, label: str, value: bool = False):
        super().__init__(
            widgets.Checkbox(
                value=value,
                description=label,
                indent=False,
                layout=widgets.Layout(width="max-content"),
            )
        )

    def put(self, name: str, value) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")
        self.main.value = value
