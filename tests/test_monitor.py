"""swinlib.lab.monitor: the picture as text, the widget without a browser."""

import base64
import sys
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

pytest.importorskip("ipywidgets")

from drawing_reader import assert_on_the_page  # noqa: E402

from swinlib.lab.monitor import TrainingMonitor, draw, page  # noqa: E402
from swinlib.lab.style import ACCENT, CALM  # noqa: E402


def record(epoch):
    return {
        "epoch": epoch,
        "train_loss": 2.3 / epoch,
        "train_accuracy": 1 - 1 / (epoch + 1),
        "val_loss": 2.4 / epoch,
        "val_accuracy": 0.9 - 0.5 / epoch,
    }


def state(step, steps=40, epochs=4):
    return {
        "step": step,
        "steps": steps,
        "epoch": min(epochs, 1 + step * epochs // steps),
        "epochs": epochs,
        "loss": 2.0,
        "train_loss": 1.9,
        "train_accuracy": 0.31,
        "learning_rate": 1e-3,
        "pictures_per_second": 1234.5,
        "seconds": 61.0,
        "seconds_left": 125.0,
    }


@pytest.mark.parametrize("epochs_done", [0, 1, 3, 60])
@pytest.mark.parametrize("now", [None, 25])
def test_the_picture_is_whole(epochs_done, now):
    history = [record(e) for e in range(1, epochs_done + 1)]
    drawing = draw(history, now and state(now), [(0.1, 2.3), (0.2, 2.2)])
    assert_on_the_page(drawing)
    assert drawing == draw(history, now and state(now), [(0.1, 2.3), (0.2, 2.2)])
    root = ET.fromstring(page(drawing))
    svg = root.find("{http://www.w3.org/2000/svg}svg")
    assert svg.get("role") == "img" and svg.get("aria-label").startswith("Loss and accuracy")
    assert {"--swin-paper:transparent", "--swin-ink:currentColor"} < set(
        root.get("style").split(";")
    )
    assert drawing.png().startswith(b"\x89PNG")


def test_the_page_says_the_numbers():
    text = ET.fromstring(page(draw([record(1), record(2)], state(25)))).find("div").text
    for words in (
        "epoch 3 of 4", "step 25 of 40", "training loss 1.900, accuracy 31.0%",
        "best validation 65.0% in epoch 2", "1,234 pictures a second", "1:01 gone, 2:05 left",
    ):  # fmt: skip
        assert words in text, words
    assert ET.fromstring(page(draw([], None))).find("div").text == "Waiting for the first step."


def test_curves_grow():
    def points(*seen):
        """How many of every line, by its look; the legend's have two."""
        shapes = [shape for kind, shape in draw(*seen).shapes if kind == "polyline"]
        return [(s["stroke"], s["dash"], len(s["points"])) for s in shapes]

    train, val = (CALM, False), (ACCENT, True)
    assert points([], None) == [(*train, 2), (*val, 2)] * 2
    assert points([record(1)], state(15)) == [(*train, 2), (*train, 2), (*val, 2)] * 2
    seen = [record(1), record(2), record(3)], state(35)
    assert points(*seen) == [(*train, 2), (*train, 4), (*val, 2), (*val, 3)] * 2
    assert points(*seen, [(0.1, 2.3), (0.2, 2.2)])[0] == ("#999999", False, 2)


def test_curves_are_where_their_values_are():
    """The loss falls from 2.3, on axes that end at 2.5; accuracy 0.5 is half-way up."""
    (loss, *_), (accuracy, *_) = (
        [s["points"] for _, s in panel if s["stroke"] == CALM and len(s["points"]) == 3]
        for panel in halves(draw([record(e) for e in (1, 2, 3)], None))
    )
    assert [x for x, _ in loss] == pytest.approx([44 + 324 / 3, 44 + 324 * 2 / 3, 44 + 324])
    assert [y for _, y in loss] == pytest.approx([204 - 174 * 2.3 / e / 2.5 for e in (1, 2, 3)])
    assert accuracy[0] == pytest.approx((380 + 44 + 324 / 3, 204 - 174 / 2))


def halves(drawing):
    """The polylines of the left and of the right panel."""
    lines = [(kind, s) for kind, s in drawing.shapes if kind == "polyline"]
    return (
        [line for line in lines if line[1]["points"][0][0] < 380],
        [line for line in lines if line[1]["points"][0][0] >= 380],
    )


def test_widget_follows_a_run_and_starts_again():
    monitor = TrainingMonitor(interval=0)
    assert "Waiting" in monitor.value
    for step in range(1, 41):
        monitor.on_step(state(step))
        if step % 10 == 0:
            monitor.on_epoch(record(step // 10))
    assert "step 40 of 40" in monitor.value and len(monitor.history) == 4
    assert monitor.value == page(draw(monitor.history, state(40), monitor._trace))
    monitor.on_step(state(1))
    assert monitor.history == [] and "step 1 of 40" in monitor.value


def test_widget_follows_a_run_that_resumes():
    monitor = TrainingMonitor(interval=0)
    for step in range(1, 26):
        monitor.on_step(state(step))
        if step % 10 == 0:
            monitor.on_epoch(record(step // 10))
    monitor.on_epoch(record(1))  # interrupted in step 25; the last checkpoint was after step 23
    monitor.on_epoch(record(2))
    monitor.on_step(state(24))
    assert [r["epoch"] for r in monitor.history] == [1, 2] and "step 24 of 40" in monitor.value


def test_pictures_are_spaced_out():
    monitor = TrainingMonitor(interval=1000)
    values = set()
    for step in range(1, 9):
        monitor.on_step(state(step))
        values.add(monitor.value)
    assert len(values) == 1 and "step 1 of" in monitor.value
    monitor.on_epoch(record(1))
    assert "step 8 of" in monitor.value


def test_long_runs_stay_small():
    monitor = TrainingMonitor(interval=1e9)
    for step in range(1, 5001):
        monitor.on_step(state(step, steps=5000))
    monitor.history = [record(e) for e in range(1, 101)]
    monitor.on_epoch(record(101))
    assert len(monitor._trace) == 200 and len(monitor.value) < 20_000


def test_stored_forms():
    monitor = TrainingMonitor()
    monitor.on_epoch(record(1))
    bundle, about = monitor._repr_mimebundle_()
    assert about["image/png"]["alt"]
    assert repr(monitor) == bundle["text/plain"] == "TrainingMonitor()"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def test_colab_is_told_where_its_widgets_come_from(monkeypatch):
    """Its own manager knows no widgets of today's kind."""
    colab = SimpleNamespace(
        _widgets=SimpleNamespace(_installed_url="https://example.org/manager"),
        enable_custom_widget_manager=lambda: None,
    )
    google = SimpleNamespace(colab=SimpleNamespace(output=colab))
    names = {"google": google, "google.colab": google.colab, "google.colab.output": colab}
    for name, module in names.items():
        monkeypatch.setitem(sys.modules, name, module)
    _, about = TrainingMonitor()._repr_mimebundle_()
    told = about["application/vnd.jupyter.widget-view+json"]
    assert told["colab"]["custom_widget_manager"]["url"] == "https://example.org/manager"
