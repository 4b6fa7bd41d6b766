"""swinlib.training.loop: averaged weights, mixed labels, compiled steps, and the GPU's presets."""

import contextlib
import copy
import dataclasses
import io
import math
import re

import pytest
import torch
from torch import nn
from training_runs import TINY, outcome, run, tiny_data

from swinlib import SwinTransformer
from swinlib.training import batches as batches_module
from swinlib.training import devices as devices_module
from swinlib.training import loop as loop_module
from swinlib.training.config import preset
from swinlib.training.distributed import Ranks
from swinlib.training.ema import start_ema, update_ema
from swinlib.training.loop import evaluate, train

# ---------------------------------------------------------------------------- averaged weights


def test_average_against_the_formula():
    """Of weights and of what a batch norm has counted; numbers of things are those of the latest
    model, and not, as 0.9 * 3 + 0.1 * 3 would have it, one less here and there."""
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model.register_buffer("index", torch.arange(100))
    average, expected = start_ema(model, 0.9), None
    for step in range(1, 8):
        with torch.no_grad():
            model[0].weight += torch.randn(2, 3)
        model(torch.randn(5, 3))
        update_ema(average, model, warming_up=step <= 3)
        new = {name: value.clone() for name, value in model.state_dict().items()}
        expected = {
            name: 0.9 * expected[name] + 0.1 * value
            if step > 3 and value.is_floating_point()
            else value
            for name, value in new.items()
        }
        torch.testing.assert_close(dict(average.module.state_dict()), expected)
    assert average.module[1].num_batches_tracked == 7
    assert start_ema(model, 0.0) is None
    update_ema(None, model, warming_up=False)


def test_the_average_is_what_is_measured_and_returned(monkeypatch):
    kept = {}
    real = loop_module.update_ema

    def spy(average, model, warming_up):
        real(average, model, warming_up)
        kept["average"], kept["last"] = copy.deepcopy(average.module), copy.deepcopy(model)

    monkeypatch.setattr(loop_module, "update_ema", spy)
    data = tiny_data()
    result = run(TINY.replace(epochs=1), data)
    weights = {"average": kept["average"].state_dict(), "last": kept["last"].state_dict()}
    got = result.model.state_dict()
    assert all(torch.equal(got[k], weights["average"][k]) for k in got)
    assert not torch.equal(got["head.weight"], weights["last"]["head.weight"])
    val = evaluate(
        kept["average"], data.val_images, data.val_labels, data.mean, data.std,
        label_smoothing=TINY.label_smoothing,
    )  # fmt: skip
    assert result.history[0]["val_loss"] == pytest.approx(val.loss, abs=1e-6)


def test_warm_up_of_the_average_ends_with_that_of_the_learning_rate(monkeypatch):
    seen = []
    monkeypatch.setattr(loop_module, "update_ema", lambda a, m, warming_up: seen.append(warming_up))
    run(TINY.replace(epochs=2, warmup_epochs=1.5))  # four steps an epoch
    assert seen == [True] * 6 + [False] * 2
    seen.clear()
    run(TINY.replace(epochs=2, warmup_epochs=1.5, ema_every=3))
    assert seen == [True, True]  # after steps 3 and 6 of 8


# -------------------------------------------------------------------------------- mixed labels


def test_right_answers_to_mixed_pictures():
    logits = torch.tensor([[2.0, 1, 0], [0, 2, 1], [0, 1, 2]])
    assert loop_module._count_correct(logits, torch.tensor([0, 1, 1])) == 2
    shares = torch.tensor([[0.6, 0.4, 0], [0.7, 0.3, 0], [0, 0.1, 0.9]])
    assert loop_module._count_correct(logits, shares) == 2


# -------------------------------------------------------------------------------- progress bar


def test_progress_bar(monkeypatch, tmp_path):
    screen = io.StringIO()
    real = loop_module.tqdm

    def bar(**options):
        return real(**options | {"disable": False, "file": screen, "mininterval": 0, "ncols": 200})

    monkeypatch.setattr(loop_module, "tqdm", bar)

    def stop(state):
        if state["step"] == 6:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(TINY, tiny_data(), "cpu", stop, checkpoints=tmp_path, checkpoint_seconds=0)
    lines = screen.getvalue().split("\r")
    assert re.search(r"0/12 \[00:00<\?", lines[1])
    wanted = r"6/12 \[00:\d\d<00:\d\d, loss \d\.\d+, accuracy [\d.]+%, [\d,]+ pictures/s\]"
    assert re.search(wanted, lines[-1])
    screen.seek(0)
    screen.truncate()
    train(TINY, tiny_data(), "cpu", checkpoints=tmp_path)
    lines = screen.getvalue().split("\r")
    assert "5/12 [00:00<?" in lines[1]  # begins where it stopped
    assert "12/12 [" in lines[-1] and "pictures/s]" in lines[-1]


# --------------------------------------------------------------------------- batches on a GPU


def test_batches_are_prepared_prefetch(monkeypatch):
    """The order of events on a GPU's two streams, with stand-ins for both."""
    events = []

    class Stream:
        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            events.append(f"{self.name} waits for {other.name}")

    class Batch:
        def record_stream(self, stream):
            events.append(f"kept for {stream.name}")

    @contextlib.contextmanager
    def stream(which):
        events.append(f"on {which.name}")
        yield
        events.append("back")

    def source():
        events.append("prepared")
        yield (Batch(),)

    monkeypatch.setattr(batches_module, "_side_stream", lambda device: Stream("beside"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("steps"))
    monkeypatch.setattr(torch.cuda, "stream", stream)
    assert len(list(batches_module._prefetch(source(), torch.device("cuda")))) == 1
    assert events == [
        "beside waits for steps", "on beside", "prepared", "back", "steps waits for beside",
        "kept for steps", "on beside", "back",
    ]  # fmt: skip


# -------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("wanted, seen", [(None, 5), ("3", 1)])
def test_training_takes_all_processors_and_gives_them_back(monkeypatch, wanted, seen):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if wanted:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    monkeypatch.setattr(devices_module, "usable_processors", lambda: 5)
    threads = []
    run(TINY.replace(epochs=1), on_step=lambda _: threads.append(torch.get_num_threads()))
    assert set(threads) == {seen} and torch.get_num_threads() == 1


def test_an_average_of_nothing_is_not_measured():
    """A run shorter than `ema_every` keeps what it has learned, not the first weights."""
    plain, never = (outcome(run(TINY.replace(epochs=1, warmup_epochs=0, **more))) for more in (
        {"ema_decay": 0.0}, {"ema_decay": 0.9, "ema_every": 10**6}
    ))  # fmt: skip
    assert plain == never


# ------------------------------------------------------------------------- too large for memory


FITS = (
    "4 fits: accumulate=4 takes it in parts, with the same numbers; or --set batch_size=4 "
    "learning_rate=0.0013"
)


@pytest.mark.parametrize("largest, wanted", [(4, FITS), (0, "nor does a single picture")])
def test_a_batch_too_large_for_memory_is_answered_with_one_that_fits(monkeypatch, largest, wanted):
    forward = SwinTransformer.forward

    def with_little_memory(self, images):
        if len(images) > largest and self.training:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, images)

    monkeypatch.setattr(SwinTransformer, "forward", with_little_memory)
    with pytest.raises(loop_module.BatchTooLarge, match="batch_size=16 does not fit") as error:
        run(TINY)
    assert wanted in str(error.value)


@pytest.mark.parametrize(
    ("side", "batch", "accumulate", "processes", "wanted"),
    [
        (32, 128, 1, 1, 500),
        (32, 2048, 1, 1, 500),
        (16, 128, 1, 1, 500),
        (224, 8, 1, 1, 10),  # as many pixels as 500 pictures of CIFAR-10
        (224, 32, 1, 1, 32),
        (224, 1024, 4, 8, 32),
        (2000, 8, 8, 1, 1),
    ],
)
def test_measuring_takes_no_more_memory_than_training(
    monkeypatch, side, batch, accumulate, processes, wanted
):
    seen = []
    monkeypatch.setattr(
        loop_module, "evaluate", lambda *a, batch_size, **m: seen.append(batch_size)
    )
    data, config = tiny_data(), TINY.replace(batch_size=batch, accumulate=accumulate)
    start = loop_module.start_run(TINY, data, torch.device("cpu"))
    images = torch.zeros(1, 3, 1, 1, dtype=torch.uint8).expand(1, 3, side, side)
    loop_module._evaluate(start, images, None, data, config, Ranks(0, processes))
    assert seen == [wanted]


# ------------------------------------------------------------------------------ compiled steps


@pytest.mark.skipif(
    not devices_module.can_compile(torch.device("cpu")), reason="torch.compile cannot work here"
)
def test_compiled_steps_are_the_same_steps(monkeypatch):
    """With the compiler's front end, which traces the model, and without its slow back end."""
    calls = []
    real = torch.compile

    def quick(model, mode=None):
        calls.append(model)
        return real(model, backend="eager")

    monkeypatch.setattr(torch, "compile", quick)
    config = TINY.replace(epochs=1, drop_path_rate=0.0)
    plain = run(config)
    assert not calls
    compiled = run(config.replace(compile=True))
    assert len(calls) == 1
    assert compiled.history[0]["train_loss"] == pytest.approx(plain.history[0]["train_loss"])
    assert compiled.test_loss == pytest.approx(plain.test_loss)
    assert set(compiled.model.state_dict()) == set(plain.model.state_dict())


# ------------------------------------------------------------------------------- GPU's presets


@pytest.mark.parametrize("name", ["gpu", "gpu_quick"])
def test_gpu_preset_for_a_few_steps(name, tmp_path):
    """The whole recipe and the true model, with few and small batches and without compiling."""
    recipe = preset(name)
    config = recipe.replace(batch_size=8, epochs=2, warmup_epochs=1, compile=False)
    some, steps = slice(16), []
    data = tiny_data()
    data = dataclasses.replace(
        data,
        **{f: getattr(data, f)[some] for f in vars(data) if f.endswith(("images", "labels"))},
    )
    result = train(config, data, "cpu", steps.append, checkpoints=tmp_path, checkpoint_seconds=1000)
    assert len(steps) == 4 and all(math.isfinite(s["loss"]) for s in steps)
    assert steps[0]["loss"] == pytest.approx(math.log(10), abs=1)
    assert steps[1]["learning_rate"] == recipe.learning_rate
    assert steps[-1]["learning_rate"] == pytest.approx(recipe.final_learning_rate)
    weights = result.model.state_dict()
    assert weights["layers.1.blocks.5.attn.qkv.weight"].shape == (3 * 192, 192)
    assert all(w.isfinite().all() for w in weights.values())
    assert result.test_probabilities.shape == (16, 10)


def test_gpu_presets_name_what_they_use():
    full, quick = preset("gpu"), preset("gpu_quick")
    for config in (full, preset("gpu_medium"), quick):
        assert config.precision == "bfloat16" and config.compile and config.ema_decay
        assert config.mixup_alpha and config.cutmix_alpha and config.randaugment_ops
        looks_back = config.ema_every / (1 - config.ema_decay)  # steps
        assert looks_back < 48_000 // config.batch_size * config.epochs / 10
    assert quick.epochs <= full.epochs / 3
    model = {"patch_size", "embed_dim", "depths", "num_heads", "window_size"}
    assert all(getattr(full, field) == getattr(quick, field) for field in model)


# --------------------------------------------------------------------------------- an interrupt


def interrupt_at(step):
    def on_step(state):
        if state["step"] == step:
            raise KeyboardInterrupt

    return on_step


def test_an_interrupt_returns_the_best_epoch_running_means(tmp_path, capsys):
    undisturbed = run()
    places = {"checkpoints": tmp_path / "checkpoints", "log": tmp_path / "log.jsonl"}
    result = run(on_step=interrupt_at(10), **places)  # in the third of three epochs of four steps
    line = f"Interrupted in epoch 3 of 3: this is epoch {result.best_epoch}, the best so far. A run"
    assert line in capsys.readouterr().out
    assert result.interrupted and repr(result).endswith("of 2, interrupted")
    assert [r["val_loss"] for r in result.history] == [
        r["val_loss"] for r in undisturbed.history[:2]
    ]
    data = tiny_data()
    test = evaluate(result.model, data.test_images, data.test_labels, data.mean, data.std)
    assert torch.equal(test.predictions, result.test_predictions)
    best = result.history[result.best_epoch - 1]
    val = evaluate(result.model, data.val_images, data.val_labels, data.mean, data.std)
    assert val.accuracy == best["val_accuracy"] == max(r["val_accuracy"] for r in result.history)
    assert '"kind": "test"' not in (tmp_path / "log.jsonl").read_text()
    again = run(**places)  # goes on
    assert not again.interrupted and outcome(again) == outcome(undisturbed)


def test_an_interrupt_before_there_is_anything_to_return(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="before the end of the first epoch"):
        run(on_step=interrupt_at(2), checkpoints=tmp_path)
    assert outcome(run(checkpoints=tmp_path)) == outcome(run())


def test_an_interrupt_in_the_very_last_moment_is_none(capsys):
    def on_epoch(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    result = run(on_epoch=on_epoch)
    assert not result.interrupted and outcome(result) == outcome(run())
    assert "Interrupted" not in capsys.readouterr().out


def interrupt_the_test(monkeypatch, data, times):
    """The first measurements of the test pictures are interrupted."""
    real, seen = loop_module.evaluate, []

    def interrupted(model, images, *args, **more):
        if images is data.test_images:
            seen.append(images)
            if len(seen) <= times:
                raise KeyboardInterrupt
        return real(model, images, *args, **more)

    monkeypatch.setattr(loop_module, "evaluate", interrupted)
    return seen


def test_an_interrupt_of_the_final_test_loses_no_finished_run(monkeypatch, tmp_path, capsys):
    undisturbed, data = outcome(run()), tiny_data()
    with monkeypatch.context() as patch:
        interrupt_the_test(patch, data, times=1)
        result = run(data=data, log=tmp_path / "log.jsonl")
    assert not result.interrupted and outcome(result) == undisturbed
    assert not any(module.training for module in result.model.modules())
    assert '"kind": "test"' in (tmp_path / "log.jsonl").read_text()
    assert "Interrupted" not in capsys.readouterr().out
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_the_test(patch, data, times=2)
        run(data=data)


@pytest.mark.parametrize("step", [2, 10, None])  # None: in the final test
def test_who_goes_on_from_checkpoints_waits_for_no_test(monkeypatch, tmp_path, capsys, step):
    undisturbed, data = outcome(run()), tiny_data()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        seen = interrupt_the_test(patch, data, times=1)
        on_step = interrupt_at(step)
        run(data=data, on_step=on_step, checkpoints=tmp_path, test_interrupted=False)
    assert len(seen) == (step is None) and "Interrupted" not in capsys.readouterr().out
    assert outcome(run(checkpoints=tmp_path)) == undisturbed


# ------------------------------------------------------------------------- pictures of any size


@pytest.mark.parametrize(("height", "width"), [(30, 30), (33, 20), (64, 64)])
def test_without_windows_every_map_is_one_window(height, width, monkeypatch):
    """The windows are made by the pictures that are there, not by the usual 32."""
    models, real = [], loop_module.build_model

    def spy(*args):
        models.append(real(*args))
        return models[-1]

    monkeypatch.setattr(loop_module, "build_model", spy)
    data = tiny_data()
    sized = {
        f"{split}_images": nn.functional.interpolate(
            getattr(data, f"{split}_images"), (height, width)
        )
        for split in ("train", "val", "test")
    }
    result = run(TINY.replace(without="windows", epochs=1), dataclasses.replace(data, **sized))
    assert result.picture_size == (height, width)
    first = (math.ceil(height / 4), math.ceil(width / 4))
    sides = [block.window_size for stage in models[0].layers for block in stage.blocks]
    assert sides == [first] + [(math.ceil(first[0] / 2), math.ceil(first[1] / 2))] * 2


def test_whole_numbers_where_numbers_are_wanted():
    config = TINY.replace(epochs=1, mixup_alpha=1, cutmix_alpha=1, clip_norm=1, mlp_ratio=2)
    assert config == TINY.replace(
        epochs=1, mixup_alpha=1.0, cutmix_alpha=1.0, clip_norm=1.0, mlp_ratio=2.0
    )
    assert math.isfinite(run(config).test_loss)
