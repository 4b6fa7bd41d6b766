"""swinlib.training.checkpoint: a killed run goes on as if nothing had happened."""

import dataclasses
import errno
import json
import math
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_runs import TINY, outcome, run, tiny_data, without_times

from swinlib.training import __main__ as command
from swinlib.training import batches as batches_module
from swinlib.training import checkpoint as checkpoint_module
from swinlib.training import data as data_module
from swinlib.training import loop as loop_module
from swinlib.training.checkpoint import CheckpointError, Checkpoints, found, write_atomically
from swinlib.training.config import TrainConfig
from swinlib.training.data import SHAPE_CLASSES, draw_shapes
from swinlib.training.distributed import Ranks
from swinlib.training.loop import start_run, train
from swinlib.training.runs import load_model

HERE = Path(__file__).parent


class Stop(Exception):
    pass


def stop_at(number, checkpoints, **more):
    """A run that is interrupted after that many steps."""

    def on_step(state):
        if state["step"] == number:
            raise Stop

    with pytest.raises(Stop):
        run(checkpoints=checkpoints, on_step=on_step, **more)


@pytest.fixture(scope="module")
def undisturbed():
    return outcome(run())


@pytest.fixture(scope="module")
def seventh(tmp_path_factory):
    """Checkpoints of a run that was interrupted in step 7, in the middle of the second epoch."""
    folder = tmp_path_factory.mktemp("seventh") / "checkpoints"
    stop_at(7, folder)
    return folder


@pytest.fixture
def folder(seventh, tmp_path):
    return Path(shutil.copytree(seventh, tmp_path / "checkpoints"))


# ----------------------------------------------------------------------- the same numbers again


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_many_moments(tmp_path, undisturbed):
    done = subprocess.run(
        [sys.executable, HERE / "killed_runs.py", tmp_path, "0"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    ends = told["chosen"]["ends"]
    assert len(ends) == 10 and set(ends.values()) == {9}, (ends, done.stderr)
    assert 1 not in told["random"]["ends"], (told["random"]["ends"], done.stderr)
    assert told["chosen"]["outcome"] == undisturbed
    assert told["random"]["outcome"] == undisturbed
    for name in ("chosen", "random"):
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        log = [json.loads(line) for line in lines]
        assert [e.pop("kind") for e in log] == ["config", "epoch", "epoch", "epoch", "test"]
        assert [without_times(e) for e in log[1:4]] == undisturbed["history"]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("step", [1, 4, 5, 12])
def test_interrupted_at_a_step(tmp_path, undisturbed, step):
    stop_at(step, tmp_path)
    epochs, steps = [], []
    result = run(checkpoints=tmp_path, on_epoch=epochs.append, on_step=steps.append)
    assert outcome(result) == undisturbed
    assert epochs == result.history  # those before the interruption are handed over again
    assert [s["step"] for s in steps] == list(range(step, 13))  # the step itself was not saved


@pytest.mark.parametrize("epoch", [1, 3])
def test_interrupted_before_the_validation_was_saved(tmp_path, undisturbed, epoch):
    def on_epoch(record):
        if record["epoch"] == epoch:
            raise Stop

    with pytest.raises(Stop):
        run(checkpoints=tmp_path, on_epoch=on_epoch)
    assert newest(tmp_path, "json").stem == f"epoch-{epoch:05d}-batch-000004"
    assert outcome(run(checkpoints=tmp_path)) == undisturbed


def test_plain_settings_too(tmp_path):
    """Labels as numbers, no average, no checkpoint yet when it stops."""
    config = TINY.replace(
        randaugment_ops=0, erasing_probability=0, mixup_alpha=0, cutmix_alpha=0, ema_decay=0
    )
    expected = outcome(run(config))
    stop_at(6, tmp_path, config=config)
    assert outcome(run(config, checkpoints=tmp_path)) == expected


def test_checkpoints_change_nothing(tmp_path, undisturbed):
    assert outcome(run(checkpoints=tmp_path)) == undisturbed
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.safetensors"))) == 2
    assert outcome(run(checkpoints=tmp_path)) == undisturbed  # a finished one is measured again


def test_time_between_checkpoints(tmp_path, monkeypatch):
    written = []
    real = checkpoint_module.Checkpoints._write

    def count(self, tensors, facts):
        written.append((facts["epoch"], facts["batch"]))
        real(self, tensors, facts)

    monkeypatch.setattr(checkpoint_module.Checkpoints, "_write", count)
    train(TINY, tiny_data(), "cpu", checkpoints=tmp_path, checkpoint_seconds=1000.0)
    assert written == [(4, 0)]  # only the one at the end


# ------------------------------------------------------------------------------- what is in them


def test_what_a_checkpoint_holds(seventh):
    json_files, tensor_files = (sorted(seventh.glob(f"*.{e}")) for e in ("json", "safetensors"))
    names = ["epoch-00002-batch-000001", "epoch-00002-batch-000002"]  # stopped before it saved 3
    assert [f.stem for f in json_files] == [f.stem for f in tensor_files] == names
    facts = json.loads(json_files[-1].read_text())
    assert TrainConfig(**facts["config"]) == TINY and len(facts["history"]) == 1
    assert (facts["epoch"], facts["batch"], facts["device"]) == (2, 2, "cpu")
    tensors = load_file(tensor_files[-1])
    parts = {name.split(".")[0] for name in tensors}
    assert parts == {"model", "ema", "best", "optimizer", "random", "order"}
    assert tensors["order.pictures"].sort().values.tolist() == list(range(70))
    assert tensors["optimizer.0.exp_avg"].any() and tensors["optimizer.0.exp_avg_sq"].any()
    assert tensors["random.generator"].dtype == torch.uint8


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_new_field_of_a_run_is_never_lost(tmp_path):
    """What a checkpoint holds is what a Run has: plain values by themselves, tensors by name."""

    @dataclasses.dataclass
    class Longer(loop_module.Run):
        turns: int = 0
        more: object = None

    def saved(**fields):
        run = start_run(TINY, tiny_data(), torch.device("cpu"))
        run = Longer(**{f.name: getattr(run, f.name) for f in dataclasses.fields(run)}, **fields)
        saver = Checkpoints(tmp_path, TINY, tiny_data(), torch.device("cpu"), Ranks())
        saver.save_if_due(run, now=True)
        fresh = Longer(
            **{f.name: getattr(run, f.name) for f in dataclasses.fields(loop_module.Run)}
        )
        saver.restore(fresh)
        return fresh

    assert saved(turns=7, more=[1, "a"]).turns == 7
    with pytest.raises(TypeError, match="not JSON serializable"):
        saved(more=torch.zeros(2))
    names = {f.name for f in dataclasses.fields(loop_module.Run)}
    assert names >= checkpoint_module.TENSORS


def test_numbers_are_sorted_as_numbers(folder):
    """Names are filled with zeros only so far."""
    old = newest(folder, "json")
    for name in (
        "epoch-99999-batch-000009",
        "epoch-100000-batch-000001",
        "epoch-100000-batch-999999",
    ):
        for ending in (".json", ".safetensors"):
            shutil.copy(old.with_suffix(ending), folder / (name + ending))
    saver = Checkpoints(folder, TINY, tiny_data(), torch.device("cpu"), Ranks())
    assert found(folder)[0].stem == "epoch-100000-batch-999999"
    run = start_run(TINY, tiny_data(), torch.device("cpu"))
    run.epoch, run.batch = 100_000, 1_000_000
    saver.save_if_due(run, now=True)
    left = {f.name for f in folder.iterdir()}
    kept = ("epoch-100000-batch-1000000", "epoch-100000-batch-999999")
    assert left == {name + ending for name in kept for ending in (".json", ".safetensors")}


def test_what_is_not_ours_stays(folder, tmp_path):
    others = ["epoch-notes.txt", "epoch-00001-batch-000002.txt", "epoch-1.json", "notes.md"]
    for name in others:
        (folder / name).write_text("mine")
    run(checkpoints=folder)
    assert {f.name for f in folder.iterdir() if "batch-00000" not in f.name} == {
        "epoch-notes.txt", "epoch-1.json", "notes.md"
    }  # fmt: skip
    checkpoint_module.clear(folder)
    assert {f.name for f in folder.iterdir()} == set(others)
    for name in others:
        (folder / name).unlink()
    checkpoint_module.clear(folder)
    assert not folder.exists()


# ------------------------------------------------------------------------- damaged and foreign


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def flip_a_bit_in_the_format(path):
    text = path.read_bytes()
    assert text.count(b'"format": 3') == 1
    path.write_bytes(text.replace(b'"format": 3', b'"format": 4'))


def nest_deeply(path):
    path.write_text("[" * 100_000)


def newest(folder, ending):
    return sorted(folder.glob(f"*.{ending}"))[-1]


@pytest.mark.parametrize("damage", [halve, flip_a_bit, Path.unlink, lambda p: p.write_bytes(b"")])
@pytest.mark.parametrize("ending", ["safetensors", "json"])
def test_a_damaged_one_falls_back(folder, undisturbed, damage, ending):
    path = newest(folder, ending)
    damage(path)
    if damage is Path.unlink and ending == "json":  # then there is no sign of it
        assert outcome(run(checkpoints=folder)) == undisturbed
        return
    with pytest.warns(UserWarning, match=f"{path.name}.*trying the checkpoint before it"):
        assert outcome(run(checkpoints=folder)) == undisturbed


@pytest.mark.parametrize("damage", [flip_a_bit_in_the_format, nest_deeply])
def test_damaged_facts_fall_back(folder, undisturbed, damage):
    damage(newest(folder, "json"))
    with pytest.warns(UserWarning, match="damaged.*trying the checkpoint before it"):
        assert outcome(run(checkpoints=folder)) == undisturbed


def test_other_arithmetic_is_told_and_logged(folder, tmp_path, monkeypatch, undisturbed):
    log = tmp_path / "log.jsonl"
    here = checkpoint_module.arithmetic(torch.device("cpu"), "float32")
    assert here["threads"] == 1 and here["instructions"] and here["torch"] == torch.__version__
    other = here | {"threads": 3, "instructions": "SOME"}
    monkeypatch.setattr(loop_module, "arithmetic", lambda device, precision: other)
    words = "other arithmetic .threads 1 there and 3 here, instructions .* there and SOME here"
    with pytest.warns(UserWarning, match=words):
        run(checkpoints=folder, log=log)
    assert json.loads(log.read_text().splitlines()[0])["arithmetic"] == [here, other]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(checkpoints=folder, log=log)  # once more, on the same: nothing to tell
    assert json.loads(log.read_text().splitlines()[0])["arithmetic"] == [here, other]


def test_a_changed_number_is_noticed(folder, undisturbed):
    path = newest(folder, "json")
    text = path.read_text()
    assert text.count('"batch": 2,') == 1
    path.write_text(text.replace('"batch": 2,', '"batch": 1,'))
    with pytest.warns(UserWarning, match=f"{path.name} is damaged: its checksum does not fit"):
        assert outcome(run(checkpoints=folder)) == undisturbed


def test_a_damaged_one_goes_once_there_is_a_better_one(folder):
    """It is of a later moment than the next ones to be written, and must not push them out."""
    late = folder / "epoch-00003-batch-000004.json"
    late.write_text("{")
    late.with_suffix(".safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="epoch-00003-batch-000004.json is cut short"):
        stop_at(9, folder)
    names = [f.stem for f in sorted(folder.glob("*.json"))]
    assert names == ["epoch-00002-batch-000004", "epoch-00003-batch-000000"]
    assert len(list(folder.iterdir())) == 4


def test_machines_that_see_different_folders(folder, monkeypatch):
    monkeypatch.setattr(Ranks, "all_gather", lambda self, value: [value, "something else"])
    with pytest.raises(CheckpointError, match="must be one folder that all machines see"):
        run(checkpoints=folder)


def test_all_damaged(folder):
    for path in folder.glob("*.safetensors"):
        flip_a_bit(path)
    with (
        pytest.warns(UserWarning, match="checksum does not fit"),
        pytest.raises(CheckpointError, match=r"no checkpoint in .* is whole.*batch-000001.*Delete"),
    ):
        run(checkpoints=folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 1e-3}, "config.learning_rate is 0.005 there and 0.001 here"),
        ({"seed": 1, "epochs": 4}, "config.epochs is 3 there and 4 here; config.seed is 0 there"),
        ({"depths": (1, 1)}, r"config.depths is \[1, 2\] there and \[1, 1\] here"),
    ],
)
def test_another_configuration_is_refused(folder, changes, words):
    before = {f: f.read_bytes() for f in folder.iterdir()}
    with pytest.raises(CheckpointError, match=words) as error:
        run(TINY.replace(**changes), checkpoints=folder)
    assert newest(folder, "json").name in str(error.value)
    assert before == {f: f.read_bytes() for f in folder.iterdir()}


def test_the_same_pictures_by_another_name(folder, undisturbed):
    """Also from a checkpoint that says how they were called, as older ones do."""
    path = newest(folder, "json")
    facts = json.loads(path.read_text())
    facts.pop("sha256 of these facts")
    assert "dataset" not in facts["config"]
    facts["config"]["dataset"] = "./pics"
    facts["sha256 of these facts"] = checkpoint_module._digest(facts)
    path.write_text(json.dumps(facts))
    assert outcome(run(TINY.replace(dataset="pics"), checkpoints=folder)) == undisturbed


def test_other_pictures_are_refused(folder):
    data = tiny_data()
    data.train_images[3, 0, 5, 5] ^= 1
    with pytest.raises(CheckpointError, match=r"data.sha256 is '\w+' there and '\w+' here"):
        run(data=data, checkpoints=folder)


def test_another_format_is_refused(folder, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "FORMAT", 4)
    with pytest.raises(CheckpointError, match="in format 3, wanted 4: another version of swinlib"):
        run(checkpoints=folder)


def test_not_resuming_refuses_to_overwrite(folder, tmp_path):
    with pytest.raises(CheckpointError, match="holds checkpoints, and resume=False"):
        run(checkpoints=folder, resume=False)
    run(TINY.replace(epochs=1), checkpoints=tmp_path / "new", resume=False)


# ------------------------------------------------------------------------- numbers that are none


def test_loss_not_finite_keeps_the_last_good_checkpoint(tmp_path, monkeypatch, undisturbed):
    real, calls = batches_module.augment, []

    def spoil(*arguments):
        calls.append(1)
        return real(*arguments) * (math.nan if len(calls) == 7 else 1)

    with monkeypatch.context() as patch:
        patch.setattr(batches_module, "augment", spoil)
        with pytest.raises(FloatingPointError, match=r"loss is nan at step 7 \(epoch 2"):
            run(checkpoints=tmp_path)
    assert newest(tmp_path, "json").stem == "epoch-00002-batch-000002"
    assert outcome(run(checkpoints=tmp_path)) == undisturbed


def test_weights_not_finite_are_not_saved(tmp_path, monkeypatch):
    """The loss of step 7 is still a number, but its gradients spoil the weights."""
    real, calls = torch.nn.utils.clip_grad_norm_, []

    def spoil(parameters, norm):
        parameters = list(parameters)
        calls.append(1)
        if len(calls) == 7:
            parameters[0].grad.fill_(math.inf)
        return real(parameters, norm)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoil)
    with pytest.raises(FloatingPointError, match="no longer finite numbers in epoch 2.*batch 3"):
        run(checkpoints=tmp_path)
    assert newest(tmp_path, "json").stem == "epoch-00002-batch-000002"


# ----------------------------------------------------------------------------- the command line

FIELDS = """
    embed_dim=8 depths=(1,1) num_heads=(1,2) val_size=20 batch_size=16 warmup_epochs=0.5
    train_limit=50 test_limit=20 drop_path_rate=0.2
""".split()


def arguments(out, *more):
    argv = ["--preset", "smoke", "--dataset", "shapes", "--data", str(out.parent), "--out"]
    argv += [str(out), "--device", "cpu", "--epochs", "3", "--checkpoint-seconds", "0"]
    return [*argv, "--set", *FIELDS, *more]


def test_command_line_resumes_by_itself(tmp_path, monkeypatch, capsys):
    few_shapes(monkeypatch)
    out = tmp_path / "run"
    with monkeypatch.context() as patch:

        def show(config):
            def stop(record):
                if record["epoch"] == 2:
                    raise Stop

            return stop

        patch.setattr(command, "_show", show)
        with pytest.raises(Stop):
            command.main(arguments(out))
    assert {f.name for f in out.iterdir()} == {"log.jsonl", "checkpoints"}
    assert newest(out / "checkpoints", "json")

    with pytest.raises(SystemExit):
        command.main(arguments(out, "learning_rate=1e-4"))
    assert "config.learning_rate is 0.002 there and 0.0001 here" in capsys.readouterr().err
    assert {f.name for f in out.iterdir()} == {"log.jsonl", "checkpoints"}

    resumed = command.main(arguments(out))
    assert {f.name for f in out.iterdir()} == {"config.json", "log.jsonl", "model.safetensors"}
    assert outcome(resumed) == outcome(command.main(arguments(tmp_path / "other")))
    with pytest.raises(SystemExit):
        command.main(arguments(out))
    assert "holds a finished run" in capsys.readouterr().err


def finish(out, *more):
    return command.main(arguments(out, *more))


def few_shapes(monkeypatch):
    splits = {"train": draw_shapes(120, 1), "test": draw_shapes(30, 2)}
    few = splits, SHAPE_CLASSES, "generated shapes"
    monkeypatch.setattr(data_module, "_shapes", lambda size: few)


@pytest.mark.parametrize(
    "prepared", ["empty folder", "link", "foreign configuration", "their file"]
)
def test_what_the_weights_are_is_written_with_them(tmp_path, monkeypatch, prepared):
    """Whatever was there before: the checkpoints' folder on another disk, a stale config.json."""
    few_shapes(monkeypatch)
    out = tmp_path / "run"
    out.mkdir()
    if prepared == "empty folder":
        (out / "checkpoints").mkdir()
    if prepared == "link":
        (tmp_path / "disk").mkdir()
        (out / "checkpoints").symlink_to(tmp_path / "disk")
    if prepared == "foreign configuration":
        finish(tmp_path / "other", "label_smoothing=0.2")
        (out / "config.json").write_bytes((tmp_path / "other" / "config.json").read_bytes())
    if prepared == "their file":
        (out / "checkpoints").mkdir()
        (out / "checkpoints" / "epoch-notes.txt").write_text("mine")
    result = finish(out)
    assert (out / "checkpoints" / "epoch-notes.txt").exists() == (prepared == "their file")
    for _ in range(2):  # with config.json and, since the weights' own file says it all, without
        loaded = load_model(out)
        assert loaded.config == result.config and loaded.class_names == SHAPE_CLASSES
        assert (loaded.mean, loaded.std) == (result.mean, result.std)
        assert all(
            torch.equal(w, result.model.state_dict()[k])
            for k, w in loaded.model.state_dict().items()
        )
        if (out / "config.json").exists():
            about = json.loads((out / "config.json").read_text())
            assert TrainConfig(**about["config"]) == result.config
            (out / "config.json").unlink()


def test_a_refused_run_leaves_nothing(tmp_path, monkeypatch, capsys):
    few_shapes(monkeypatch)
    out = tmp_path / "run"
    for more in (
        ["--checkpoint-seconds", "nan"],
        ["--device", "cuda:99"],
        ["--dataset", "nothing"],
    ):
        with pytest.raises(SystemExit):
            command.main([*arguments(out), *more])
        assert "error: " in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--device", "foo"], "device 'foo', wanted one of cpu"),
        (["--device", "meta"], "device 'meta', wanted one of cpu"),
        (["--checkpoint-seconds", "nan"], "checkpoint_seconds=nan, wanted a number of at least 0"),
        (["--checkpoint-seconds", "-1"], "checkpoint_seconds=-1.0, wanted"),
        (["--out", os.devnull], f"{os.devnull}: File exists"),
        (["--out", os.path.join(os.devnull, "x")], "x: Not a directory"),
        (
            ["--set", "crop_padding=32"],
            "crop_padding=32 with pictures of 32 pixels, wanted 0 to 31",
        ),
        (["--set", "image_size=16384"], "17,000 pictures of 16384x16384 pixels take 27380.4 GB"),
        (["--set", "stream=True", "image_size=32"], "stream=True is for folders of pictures"),
        (["--set", "dataset=5"], "dataset=5, wanted 'auto', 'cifar10'"),
        (["--set", "without={}"], "without={}, wanted None, or one or several of"),
        (["--set", "batch_size=9223372036854775808"], "batch_size=9223372036854775808, wanted"),
        (["--seed", "18446744073709551616"], "seed=18446744073709551616, wanted"),
        (["--set", "name=../../x"], "name='../../x', wanted letters"),
        (["--set", "depths=" + "(" * 10_000], "wanted one whole number"),
        (["--epochs", "3", "--set", "epochs=4"], "epochs is set twice, to 3 and to 4"),
    ],
)
def test_a_sentence_and_no_traceback(tmp_path, monkeypatch, capsys, more, words):
    monkeypatch.chdir(tmp_path)
    dataset = [] if "dataset=5" in more else ["--dataset", "shapes"]
    few = ["--set", "train_limit=20", "test_limit=20"]
    with pytest.raises(SystemExit) as ended:
        command.main(["--preset", "smoke", "--device", "cpu", *dataset, *few, *more])
    told = capsys.readouterr().err
    assert words in told and "Traceback" not in told and ended.value.code in (1, 2)
    assert not [p for p in tmp_path.rglob("*") if p.name not in ("runs", "data")]


def test_an_interrupt_at_the_console_ends_at_once_and_says_what_is_saved(
    tmp_path, monkeypatch, capsys
):
    few_shapes(monkeypatch)
    monkeypatch.setattr(command, "not_available", lambda *_: "something is missing")
    out, show, measured = tmp_path / "run", loop_module._show, []
    evaluate = loop_module.evaluate

    def interrupt_at(step):
        def interrupt(bar, state, seconds):
            show(bar, state, seconds)
            if state["step"] == step:
                raise KeyboardInterrupt

        monkeypatch.setattr(loop_module, "_show", interrupt)
        measured.clear()
        with pytest.raises(SystemExit) as ended:
            finish(out)
        assert ended.value.code == 130
        return capsys.readouterr()

    def spy(model, images, *args, **more):
        measured.append(len(images))
        return evaluate(model, images, *args, **more)

    monkeypatch.setattr(loop_module, "evaluate", spy)
    told = interrupt_at(1)
    assert told.err == "interrupted; nothing was saved yet\n" and "something" in told.out
    told = interrupt_at(6)  # in the second epoch of three steps
    assert told.err == f"interrupted; the same command goes on from {out / 'checkpoints'}\n"
    assert measured == [20]  # the validation of the first epoch, and no test
    monkeypatch.setattr(loop_module, "_show", show)
    resumed = finish(out)
    assert "something is missing" not in capsys.readouterr().out  # it goes on as it was begun
    assert outcome(resumed) == outcome(finish(tmp_path / "other"))


def test_a_full_disk_keeps_what_is_saved(tmp_path, monkeypatch, capsys):
    few_shapes(monkeypatch)
    out, real, calls = tmp_path / "run", os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module.os, "fsync", full)
        with pytest.raises(SystemExit) as ended:
            command.main(arguments(out))
    told = capsys.readouterr().err
    assert ended.value.code == 1 and "No space left on device. The checkpoints are whole" in told
    assert not list(out.rglob("*.part")) and newest(out / "checkpoints", "json")
    assert outcome(finish(out)) == outcome(finish(tmp_path / "other"))


def test_out_of_memory_is_told(tmp_path, monkeypatch, capsys):
    few_shapes(monkeypatch)
    argv = ["--preset", "smoke", "--dataset", "shapes", "--out", str(tmp_path), "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        command.main([*argv, "--set", "val_size=20", "embed_dim=65536", "window_size=1024"])
    assert ended.value.code == 1 and "memory ran out" in capsys.readouterr().err


def test_a_loss_that_is_no_number_is_no_result(tmp_path, monkeypatch, capsys):
    """Of the last step, of which no later step tells, and of the test pictures."""
    few_shapes(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        argv = ["--preset", "smoke", "--dataset", "shapes", "--device", "cpu", "--epochs", "1"]
        fields = """learning_rate=1e20 final_learning_rate=1e20 train_limit=50 val_size=20
                    warmup_epochs=0""".split()
        command.main([*argv, "--out", str(tmp_path / "run"), "--set", *fields])
    told = capsys.readouterr().err
    assert ended.value.code == 1 and "validation loss is nan (epoch 1" in told
    assert "NaN" not in (tmp_path / "run" / "log.jsonl").read_text()
    data = tiny_data()
    real = loop_module.evaluate

    def spoil(model, images, *args, **more):
        result = real(model, images, *args, **more)
        return dataclasses.replace(result, loss=math.inf) if images is data.test_images else result

    monkeypatch.setattr(loop_module, "evaluate", spoil)
    with pytest.raises(FloatingPointError, match="test loss is inf"):
        run(data=data, log=tmp_path / "log.jsonl")
    assert '"kind": "test"' not in (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("batch_size", "--set 'batch_size', wanted FIELD=VALUE"),
        ("batch=3", "TrainConfig has no field 'batch'"),
        ("batch_size=many", "batch_size='many', wanted a whole number"),
    ],
)
def test_command_line_set(text, words, capsys):
    with pytest.raises(SystemExit):
        command.main(["--preset", "smoke", "--set", text])
    assert words in capsys.readouterr().err
