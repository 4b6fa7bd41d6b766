"""Watch a training run: curves that grow in the notebook while the model trains.

    monitor = TrainingMonitor()
    display(monitor)
    result = train(config, data, on_step=monitor.on_step, on_epoch=monitor.on_epoch)

The picture is SVG text in an ``ipywidgets.HTML``: a few kilobytes per update, no Output widget, no
JavaScript. :func:`render` makes it from plain values and needs no browser. Pages that cannot run
widgets show a still picture of the same curves instead.
"""

import base64
import io
import math
import time

import ipywidgets

WIDTH, HEIGHT = 380, 240  # of one panel, in pixels
TRACE_POINTS = 200  # of the thin line that follows the loss from step to step
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 30, 36  # room for tick labels, title and axis label
FAINT = 'fill="#7D8590" opacity="0.3"'  # on a light page and on a dark one
# Okabe and Ito's blue and vermilion; markers and dashes differ as well, never colour alone.
STYLES = {"train": ("training", "#0072B2", ""), "val": ("validation", "#D55E00", "6 3")}


class TrainingMonitor(ipywidgets.HTML):
    """A live view of :func:`swinlib.training.train`: loss, accuracy, progress, time left.

    Pass ``on_step`` and ``on_epoch`` to ``train``. ``history`` holds the epochs seen so far. The
    browser is sent a new picture at most every ``interval`` seconds, and after every epoch.
    """

    def __init__(self, interval=0.5):
        self.interval = interval  # seconds
        self._drawn = -math.inf
        self._restart()
        super().__init__(value=render([], None))

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

    def _draw(self):
        self.value = render(self.history, self._state, self._trace)
        self._drawn = time.monotonic()

    def __repr__(self):  # short and fixed: it is stored in the notebook and compared by nbval
        return "TrainingMonitor()"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        # Shown where widgets cannot run, as on GitHub.
        bundle["image/png"] = base64.b64encode(_png(self.history, self._state)).decode()
        words, _ = _progress(self.history, self._state)
        return bundle, {"image/png": {"alt": f"Loss and accuracy by epoch. {words}"}}


def render(history, state, trace=()) -> str:
    """The picture as HTML: two panels of SVG and a line of text.

    history: list of the dicts that ``train`` makes, one per finished epoch; may be empty.
    state: the latest dict that ``train`` handed to ``on_step``, or None before the first step.
    trace: (epoch, loss) pairs of single steps or a few of them, drawn as a thin line.
    """
    curves, epochs = _curves(history, state)
    words, share = _progress(history, state)
    panels = _panel(curves, "loss", epochs, trace) + _panel(curves, "accuracy", epochs, (), WIDTH)
    bar = f'<rect y="{HEIGHT}" width="{2 * WIDTH}" height="8" {FAINT}/>'
    bar += f'<rect y="{HEIGHT}" width="{2 * WIDTH * share:.1f}" height="8" fill="#009E73"/>'
    return (
        '<div style="padding:8px;max-width:776px;'
        'font-family:sans-serif;font-size:13px">'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT + 8}" '
        f'width="100%" role="img" aria-label="Loss and accuracy by epoch. {words}" '
        f'font-family="sans-serif" font-size="12" fill="currentColor">'
        f"<title>Loss and accuracy by epoch</title>{panels}{bar}</svg>"
        f'<div style="margin-top:6px;font-variant-numeric:tabular-nums">{words}</div></div>'
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


def _panel(curves, kind, epochs, trace, left=0):
    """One pair of axes with its two curves, moved ``left`` pixels to the right."""
    lines = {split: curves[f"{split}_{kind}"] for split in STYLES}
    values = [v for line in [trace, *lines.values()] for _, v in line]
    top = 1.0 if kind == "accuracy" else max(0.5, math.ceil(2 * max(values, default=2.0)) / 2)

    def place(epoch, value):
        x = LEFT + (WIDTH - LEFT - RIGHT) * epoch / epochs
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value / top, 1)
        return f"{x:.1f}", f"{y:.1f}"

    parts = [f'<g transform="translate({left} 0)">']
    spaces = round(2 * top) if kind == "loss" and top <= 3 else 4
    for i in range(spaces + 1):  # horizontal lines with their values
        value = top * i / spaces
        text = f"{value:.0%}" if kind == "accuracy" else f"{value:g}"
        _, y = place(0, value)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#7D8590" opacity="0.4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" dy="4" text-anchor="end">{text}</text>')
    for epoch in range(0, epochs + 1, max(1, math.ceil(epochs / 10))):
        x, _ = place(epoch, 0)
        parts.append(f'<text x="{x}" y="{HEIGHT - 20}" text-anchor="middle">{epoch}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">epoch</text>')
    parts.append(f'<text x="{LEFT}" y="16" font-weight="bold">{kind}</text>')
    parts.append(_line([place(*point) for point in trace], "#999999", "", width=1))
    for i, (split, (name, colour, dash)) in enumerate(STYLES.items()):
        x = WIDTH - RIGHT - 190 + 95 * i  # the legend
        parts.append(_line([(x, 12), (x + 20, 12)], colour, dash))
        parts.append(_marker(split, x + 10, 12, colour))
        parts.append(f'<text x="{x + 26}" y="16">{name}</text>')
        points = [place(*point) for point in lines[split]]
        parts.append(_line(points, colour, dash))
        if len(points) <= 25:  # more would run into each other
            parts += [_marker(split, x, y, colour) for x, y in points]
    return "".join(parts) + "</g>"


def _line(points, colour, dash, width=2):
    path = " ".join(f"{x},{y}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'
    )


def _marker(split, x, y, colour):
    """A circle for training, a square for validation."""
    if split == "train":
        return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'
    x, y = float(x) - 3.5, float(y) - 3.5
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="7" height="7" fill="{colour}"/>'


def _png(history, state) -> bytes:
    """The same curves as a still picture, drawn without pyplot."""
    from matplotlib.figure import Figure

    curves, epochs = _curves(history, state)
    figure = Figure(figsize=(7.6, 2.5), layout="constrained")
    for axes, kind in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, (name, colour, dash) in STYLES.items():
            x, y = zip(*curves[f"{split}_{kind}"], strict=True) if history else ((), ())
            style = {"linestyle": "--" if dash else "-", "marker": "s" if dash else "o"}
            axes.plot(x, y, color=colour, label=name, **style)
        axes.set(title=kind, xlabel="epoch", xlim=(0, epochs), ylim=(0, 1))
        if kind == "loss":
            axes.set_ylim(0, 1.05 * max([1.0, *(r["train_loss"] for r in history)]))
        axes.legend()
        if not history:
            axes.text(
                0.5, 0.5, "curves grow here\nduring training", ha="center", transform=axes.transAxes
            )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
