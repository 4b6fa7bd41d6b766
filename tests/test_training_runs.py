"""Finished runs, read back: what the console leaves is enough to use the model again."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from swinlib.lab.figures.training import validation_accuracy
from swinlib.training import confusion_matrix, load_dataset, load_model, normalise, read_run
from swinlib.training.__main__ import _config, _parser, main
from swinlib.training.config import PRESETS

RUNS = Path(__file__).parent.parent / "data" / "runs"
README = (RUNS / "README.md").read_text(encoding="utf-8")
TINY = ["train_limit=200", "val_size=50", "test_limit=60", "epochs=2", "stem=convolutions"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = ["--preset", "smoke", "--dataset", "shapes", "--device", "cpu"]
    result = main([*arguments, "--data", str(out.parent), "--out", str(out), "--set", *TINY])
    return out, result


def test_the_log_says_what_train_returned(finished):
    out, result = finished
    run = read_run(out)
    assert run.config == result.config
    assert (run.test_accuracy, run.best_epoch) == (result.test_accuracy, result.best_epoch)
    assert run.history == result.history
    assert run.dataset == result.dataset and run.device == "cpu"
    assert f"{run.test_accuracy:.2%} on generated shapes" in repr(run)
    labels = load_dataset(out.parent, "shapes", config=result.config).test_labels
    assert torch.equal(run.confusion, confusion_matrix(labels, result.test_predictions, 10))


def test_logs_from_before_the_confusion_matrix_are_read(finished, tmp_path):
    lines = (finished[0] / "log.jsonl").read_text().splitlines()
    test = json.loads(lines[-1])
    del test["confusion"]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines[:-1], json.dumps(test)]) + "\n")
    run = read_run(tmp_path)
    assert run.confusion is None and run.test_accuracy == test["test_accuracy"]


def test_the_model_predicts_as_it_did(finished):
    out, result = finished
    loaded = load_model(out)
    data = load_dataset(out.parent, "shapes", config=result.config)
    with torch.inference_mode():
        logits = loaded.model(normalise(data.test_images, loaded.mean, loaded.std))
    assert torch.equal(logits.argmax(-1), result.test_predictions)
    assert loaded.class_names == tuple(data.class_names)


def test_half_precision_weights_are_used_as_float32(finished):
    out, _ = finished
    half = out.parent / "half"
    half.mkdir()
    (half / "config.json").write_text((out / "config.json").read_text())
    weights = load_file(out / "model.safetensors")
    halved = {k: w.half() if w.is_floating_point() else w for k, w in weights.items()}
    save_file(halved, half / "model.safetensors")
    model = load_model(half).model
    assert all(p.dtype == torch.float32 for p in model.parameters())
    x = torch.randn(2, 3, 32, 32)
    assert torch.allclose(model(x), load_model(out).model(x), atol=0.02)


def test_loading_leaves_the_random_numbers_alone(finished):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_model(finished[0])
    assert torch.equal(torch.rand(1), expected)


def test_an_unfinished_run_is_refused(finished, tmp_path):
    lines = (finished[0] / "log.jsonl").read_text().splitlines()
    (tmp_path / "log.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ValueError, match="ends in an entry 'epoch': the run is not finished"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "3", "{}", "[" * 100_000, '{"kind": "test"', ""])
def test_a_damaged_log_is_named(tmp_path, text):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"log.jsonl is (damaged|empty)"):
        read_run(tmp_path)


@pytest.mark.parametrize("line", [0, 1, -1])
def test_a_log_that_lacks_a_line_or_a_part_of_it_is_named(finished, tmp_path, line):
    lines = (finished[0] / "log.jsonl").read_text().splitlines()
    if line == 0:  # the configuration
        lines = lines[1:]
    elif line == 1:  # a field that no version knows
        lines[0] = lines[0].replace("batch_size", "size_of_a_batch")
    else:
        lines[-1] = '{"kind": "test"}'
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match="log.jsonl is damaged: wanted .*configuration first"):
        read_run(tmp_path)


@pytest.mark.parametrize("what", ["cut short", "not ours", "[]", "{"])
def test_weights_that_are_damaged_or_of_no_run_are_named(finished, tmp_path, what):
    whole, weights = finished[0] / "model.safetensors", tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path)
    if what == "cut short":
        weights.write_bytes(whole.read_bytes()[:-100])
    else:
        save_file(load_file(whole), weights, {"format": "pt"})
        with pytest.raises(FileNotFoundError):  # config.json
            load_model(tmp_path)
        about = '{"model_type": "swin"}' if what == "not ours" else what
        (tmp_path / "config.json").write_text(about)
    with pytest.raises(ValueError, match="model.safetensors is damaged, or no run of swinlib"):
        load_model(tmp_path)


@pytest.mark.parametrize("path", sorted(RUNS.rglob("log.jsonl")), ids=lambda p: p.parent.name)
def test_recorded_runs_are_whole(path):
    run = read_run(path.parent)
    assert run.dataset == "CIFAR-10, JPEG copy"
    assert [entry["epoch"] for entry in run.history] == list(range(1, run.config.epochs + 1))
    best = max(run.history, key=lambda entry: entry["val_accuracy"])
    assert best["epoch"] == run.best_epoch
    assert 0.1 < run.test_accuracy < 1
    if run.confusion is not None:
        assert (run.confusion.sum(1) == 1000).all()  # test pictures of each class
        assert run.confusion.trace() / run.confusion.sum() == pytest.approx(run.test_accuracy)


@pytest.mark.parametrize("name", [p.parent.name for p in RUNS.glob("*/model.safetensors")])
def test_shipped_weights_fit_their_run(name):
    loaded = load_model(RUNS / name)
    assert loaded.config == read_run(RUNS / name).config
    assert json.loads((RUNS / name / "config.json").read_text())["dataset"] == loaded.dataset
    assert (RUNS / name / "model.safetensors").stat().st_size < 16_000_000
    assert loaded.model(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_the_readme_s_commands_give_the_configurations_of_the_logs():
    rows = re.findall(r"^\| `(\S+)` \| `(--preset [^`]*)` \|", README, flags=re.M)
    assert {"laptop_seed0", "laptop_seed1", "laptop_seed2"} <= {folder for folder, _ in rows}
    for folder, arguments in rows:
        told = _config(_parser().parse_args(shlex.split(arguments)))
        logged = read_run(RUNS / folder).config
        assert told == logged.replace(dataset=told.dataset), folder


def test_the_readme_says_what_the_logs_say():
    rows = re.findall(r"^\| `(\S+)` \|.* \| ([\d.]+) % \|$", README, flags=re.M)
    number = r"([\d.,]+)"
    row = rf"^\| `(\S+)` \| .* \| {number} % \| {number} % \| {number} \| {number} \|$"
    runs = re.findall(row, README, flags=re.M)
    ablation = [row for row in rows if row[0].startswith("ablation/")]
    assert len(runs) >= 5 and len(ablation) == 6
    for folder, validation, test, seconds, rate in runs:
        run = read_run(RUNS / folder)
        rates = sorted(entry["pictures_per_second"] for entry in run.history)
        assert f"{100 * validation_accuracy(run):.2f}" == validation
        assert f"{100 * run.test_accuracy:.2f}" == test
        assert f"{run.seconds:,.0f}" == seconds and f"{rates[len(rates) // 2]:,.0f}" == rate
    for folder, mean in ablation:
        each = [validation_accuracy(read_run(path)) for path in RUNS.glob(f"{folder}_seed*")]
        assert len(each) == 2 and f"{100 * sum(each) / 2:.2f}" == mean
    recorded = {str(path.parent.relative_to(RUNS)) for path in RUNS.rglob("log.jsonl")}
    assert {folder for folder, *_ in runs} == {f for f in recorded if "ablation" not in f}


def test_the_night_is_told_as_it_was():
    run = read_run(RUNS / "night_seed0")
    rates = sorted(epoch["pictures_per_second"] for epoch in run.history)
    batches = (50_000 - run.config.val_size) // run.config.batch_size
    pictures = batches * run.config.batch_size * len(run.history)
    hours = f"{pictures / rates[len(rates) // 2] / 3600:.1f} hours"
    front = (RUNS.parent.parent / "README.md").read_text(encoding="utf-8")
    assert hours in README and hours in front
    assert f"`night` reaches {100 * run.test_accuracy:.1f} %" in front
    assert f"{100 * run.test_accuracy:.1f} per cent" in PRESETS["night"].__doc__
