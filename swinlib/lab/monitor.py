"""Watch a training run: curves that grow in the notebook while the model trains.

    monitor = TrainingMonitor()
    display(monitor)
    result = train(config, data, on_step=monitor.on_step, on_epoch=monitor.on_epoch)

The picture is a `Drawing`, as SVG text in a widget: a few kilobytes per update, no Output widget.
:func:`draw` makes it from plain values and needs no browser. Pages that cannot run widgets show the
same drawing as a still.
"""

import base64
import math
import time

import anywidget
import traitlets

from swinlib.lab.drawing import GREY, Drawing
from swinlib.lab.style import ACCENT, CALM, REGION_COLOURS

WIDTH, HEIGHT, BAR = 380, 240, 8  # of one panel, and of the bar below both, in pixels
TRACE_POINTS = 200  # of the thin line that follows the loss from step to step
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 30, 36  # room for tick labels, title and axis label
FAINT = "#7d859066"  # on a light page and on a dark one
# Markers and dashes differ as well, never colour alone.
STYLES = {"train": ("training", CALM, False), "val": ("validation", ACCENT, True)}


class TrainingMonitor(anywidget.AnyWidget):
    """A live view of :func:`swinlib.training.train`: loss, accuracy, progress, time left.

    Pass ``on_step`` and ``on_epoch`` to ``train``. ``history`` holds the epochs seen so far. The
    browser is sent a new picture at most every ``interval`` seconds, and after every epoch.
    """

    value = traitlets.Unicode().tag(sync=True)  # HTML
    _esm = """
    function render({ model, el }) {
      const show = () => { el.innerHTML = model.get("value"); };
      model.on("change:value", show);
      show();
    }
    export default { render };
    """

    def __init__(self, interval=0.5):
        self.interval = interval  # seconds
        self._drawn = -math.inf
        self._restart()
        super().__init__(value=page(draw([], None)))

    def _restart(self):
        self.history, self._state = [], None
        self._trace, self._losses = [], []  # (epoch, mean loss) pairs; losses of the next pair

    def on_step(self, state):
        """Takes the dict that ``train`` hands to its ``on_step``."""
        if self._state and state["step"] <= self._state["step"]:
            self._restart()  # a new run on the same monitor
        self._state = dict(state)
        self._losses.append(state["loss"])
        if state["step"] / state["steps"] * TRACE_POINTS >= len(self._trace) + 1:
            mean = sum(self._losses) / len(self._losses)
            self._trace.append((state["step"] / state["steps"] * state["epochs"], mean))
            self._losses = []
        if time.monotonic() - self._drawn >= self.interval:
            self._draw()

    def on_epoch(self, record):
        """Takes the dict that ``train`` hands to its ``on_epoch``."""
        if self.history and record["epoch"] <= self.history[-1]["epoch"]:
            self._restart()  # a run that resumes hands over its epochs from the first one on
        self.history = [*self.history, dict(record)]
        self._draw()

    @property
    def drawing(self) -> Drawing:
        """The picture of what has been seen so far."""
        return draw(self.history, self._state, self._trace)

    def _draw(self):
        self.value = page(self.drawing)
        self._drawn = time.monotonic()

    def __repr__(self):  # short and fixed: it is stored in the notebook and compared by nbval
        return "TrainingMonitor()"

    def _repr_mimebundle_(self, **kwargs):
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        # Shown where widgets cannot run, as on GitHub.
        drawing = self.drawing
        bundle["image/png"] = base64.b64encode(drawing.png()).decode()
        return bundle, metadata | {"image/png": {"alt": drawing.caption}}


def draw(history, state, trace=()) -> Drawing:
    """Two panels, loss and accuracy by epoch, and a bar of what is done.

    history: list of the dicts that ``train`` makes, one per finished epoch; may be empty.
    state: the latest dict that ``train`` handed to ``on_step``, or None before the first step.
    trace: (epoch, loss) pairs of single steps or a few of them, drawn as a thin line.
    """
    curves, epochs = _curves(history, state)
    words, share = _progress(history, state)
    drawing = Drawing(2 * WIDTH, HEIGHT + BAR, f"Loss and accuracy by epoch. {words}")
    _panel(drawing, 0, "loss", curves, epochs, trace)
    _panel(drawing, WIDTH, "accuracy", curves, epochs, ())
    drawing.rect(0, HEIGHT, 2 * WIDTH, BAR, FAINT)
    drawing.rect(0, HEIGHT, 2 * WIDTH * share, BAR, REGION_COLOURS[2])
    return drawing


def page(drawing) -> str:
    """A drawing as HTML, with the second sentence of its caption below."""
    words = drawing.caption.partition(". ")[2]
    return (
        # The page's paper and ink, or it would be a white block on a dark page.
        '<div style="--swin-paper:transparent;--swin-ink:currentColor;padding:8px;max-width:776px;'
        'overflow-x:auto;font-family:sans-serif;font-size:13px">'
        f'{drawing.svg()}<div style="margin-top:6px;font-variant-numeric:tabular-nums">{words}'
        "</div></div>"
    )


def _curves(history, state):
    """{"train_loss": [(epoch, value), ...], ...} and the last epoch of the axis. The epoch under
    way adds one unfinished point to the training curves."""
    names = [f"{split}_{kind}" for split in STYLES for kind in ("loss", "accuracy")]
    curves = {name: [(r["epoch"], r[name]) for r in history] for name in names}
    epochs = max([1, *(r["epoch"] for r in history)])
    if state:
        epochs = max(epochs, state["epochs"])
        now = state["step"] / state["steps"] * state["epochs"]
        if now > len(history):
            for name in ("train_loss", "train_accuracy"):
                curves[name].append((now, state[name]))
    return curves, epochs


def _progress(history, state):
    """A line of words, and the share of all steps that is done."""
    if not state:
        return "Waiting for the first step.", 0.0
    share = state["step"] / state["steps"]
    words = [
        f"epoch {state['epoch']} of {state['epochs']}",
        f"step {state['step']:,} of {state['steps']:,}",
        f"training loss {state['train_loss']:.3f}, accuracy {state['train_accuracy']:.1%}",
    ]
    if history:
        best = max(history, key=lambda r: r["val_accuracy"])
        words.append(f"best validation {best['val_accuracy']:.1%} in epoch {best['epoch']}")
    words.append(f"{state['pictures_per_second']:,.0f} pictures a second")
    words.append(f"{_clock(state['seconds'])} gone, {_clock(state['seconds_left'])} left")
    return " · ".join(words), share


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _panel(drawing, left, kind, curves, epochs, trace):
    """One pair of axes with its two curves, ``left`` pixels from the edge."""
    lines = {split: curves[f"{split}_{kind}"] for split in STYLES}
    values = [v for line in [trace, *lines.values()] for _, v in line]
    top = 1.0 if kind == "accuracy" else max(0.5, math.ceil(2 * max(values, default=2.0)) / 2)
    begin, end = left + LEFT, left + WIDTH - RIGHT
    middle = (begin + end) / 2

    def place(epoch, value):
        high = (HEIGHT - TOP - BOTTOM) * min(value / top, 1)
        return begin + (end - begin) * epoch / epochs, HEIGHT - BOTTOM - high

    spaces = round(2 * top) if kind == "loss" and top <= 3 else 4
    for i in range(spaces + 1):  # horizontal lines with their values
        value = top * i / spaces
        _, y = place(0, value)
        drawing.line(begin, y, end, y, FAINT)
        drawing.text(
            begin - 6, y, f"{value:.0%}" if kind == "accuracy" else f"{value:g}", 12, "end"
        )
    for epoch in range(0, epochs + 1, max(1, math.ceil(epochs / 10))):
        drawing.text(place(epoch, 0)[0], HEIGHT - 24, epoch)
    drawing.text(middle, HEIGHT - 9, "epoch")
    drawing.text(begin, 12, kind, 12, "start", bold=True)
    drawing.polyline([place(*point) for point in trace], "#999999", 1)
    for i, (split, (name, colour, dash)) in enumerate(STYLES.items()):
        x = end - 190 + 95 * i  # the legend
        drawing.polyline([(x, 12), (x + 20, 12)], colour, dash=dash)
        _marker(drawing, split, x + 10, 12, colour)
        drawing.text(x + 26, 12, name, 12, "start")
        points = [place(*point) for point in lines[split]]
        drawing.polyline(points, colour, dash=dash)
        if len(points) <= 25:  # more would run into each other
            for x, y in points:
                _marker(drawing, split, x, y, colour)
    if not values:
        between = place(0, 0.375 * top)[1]  # two lines
        drawing.text(middle, between, "a curve grows here during training", fill=GREY)


def _marker(drawing, split, x, y, colour):
    """A diamond for training, a square for validation."""
    if split == "train":
        drawing.polygon([(x - 5, y), (x, y - 5), (x + 5, y), (x, y + 5)], colour)
    else:
        drawing.rect(x - 3.5, y - 3.5, 7, 7, colour)
