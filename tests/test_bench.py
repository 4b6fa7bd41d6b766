"""The benchmark's parts; its numbers are for people to judge."""

import json
import os

import pytest
import torch

import bench
import bench_measuring as measuring
import swinlib
from bench_drawing import line, markdown


def test_ratios_are_taken_within_rounds():
    """A machine that gets twice as slow in the second half changes no ratio."""
    seconds = {"torchvision": [2.0, 2.0, 4.0, 4.0], "swinlib": [1.0, 1.0, 2.0, 2.0]}
    table = measuring.ratios(seconds, "torchvision")
    assert table["swinlib"] == {"median": 2.0, "low": 2.0, "high": 2.0}
    assert table["torchvision"]["median"] == 1.0


def test_the_candidates_take_turns():
    order = []
    runners = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = measuring.race(runners, rounds=3, device="cpu")
    assert "".join(order) == "aabbcc" + "abc" + "bca" + "cab"
    assert [len(times) for times in seconds.values()] == [3, 3, 3]


def test_the_floor_does_the_model_s_multiplications():
    model = swinlib.swin_tiny().eval()
    products = measuring.matrix_products(model, torch.zeros(1, 3, 224, 224))
    done = sum(batch * n * k * m for batch, n, k, m in products)
    # The official count adds one operation for every number that a norm of a merging touches.
    assert done == pytest.approx(swinlib.model_flops(model, 224, 224), rel=1e-3)


def test_a_candidate_that_computes_something_else_is_refused(monkeypatch):
    config = measuring.preset("smoke")
    models = measuring.candidates(config, 10, 32)
    assert {"torchvision", "swinlib"} <= set(models)
    monkeypatch.setattr(swinlib, "load_pretrained", lambda model, state: model)
    with pytest.raises(AssertionError, match="swinlib computes something else"):
        measuring.candidates(config, 10, 32)


@pytest.mark.parametrize("name", ["laptop", "gpu"])
def test_every_preset_that_is_timed_is_the_same_model_everywhere(name):
    assert {"torchvision", "swinlib"} <= set(measuring.cifar(name, 2).models)


def test_memory_is_the_most_at_one_moment():
    def run():
        a = torch.empty(1000, 1000)
        del a
        b = torch.empty(500, 1000)
        return b.sum()

    assert 4_000_000 <= measuring.peak_bytes(run, "cpu") < 4_100_000


@pytest.mark.parametrize("pays", [True, False])
def test_a_quick_run_leaves_a_table_and_a_picture(tmp_path, capsys, monkeypatch, pays):
    chosen = "bfloat16" if pays else "float32"
    monkeypatch.setattr(measuring, "choose_precision", lambda config, device: chosen)
    results = bench.main(
        ["--quick", "--rounds", "3", "--device", "cpu", "--plain-malloc", "--out", str(tmp_path)]
    )
    assert json.loads((tmp_path / "bench_cpu.json").read_text()) == results
    assert (tmp_path / "bench_cpu.png").stat().st_size > 5000
    printed = capsys.readouterr().out
    for row in results["rows"]:
        assert row["ratio_to_torchvision"]["torchvision"]["median"] == 1
        assert row["multiple_of_floor"]["floor"] == 1
        assert line(row) in printed
    kinds = [(row["kind"], row["precision"]) for row in results["rows"]]
    both = ("float32", "bfloat16") if pays else ("float32",)
    assert kinds == [(kind, p) for kind in ("inference", "training step") for p in both]
    assert [", bfloat16" in line(row) for row in results["rows"]] == [
        precision == "bfloat16" for _, precision in kinds
    ]


def test_the_floor_computes_as_the_candidates_do():
    """In their precision, so that nobody is measured against another arithmetic."""
    for precision in ("float32", "bfloat16"):
        dtype, seen = getattr(torch, precision), []

        class Spy(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                if function is torch.ops.aten.bmm.out:
                    seen.append(args[0].dtype)  # noqa: B023
                return function(*args, **(kwargs or {}))

        run = measuring.floor([(1, 4, 3, 2)], False, "cpu", dtype)
        with Spy():
            run()
        assert seen == [dtype]


def test_fewer_rounds_than_quartiles_are_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--rounds", "2"])
    assert "--rounds 2: at least 3" in capsys.readouterr().err


def test_timm_s_fast_path_is_asked_for():
    """Whether or not timm is here: timm reads this when it is imported."""
    assert os.environ["TIMM_FUSED_ATTN"] == "2"


@pytest.mark.parametrize("path", sorted(bench.RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_the_page_shows_what_was_measured(path):
    results = json.loads(path.read_text(encoding="utf-8"))
    page = (bench.RESULTS / "README.md").read_text(encoding="utf-8")
    assert markdown(results) in page
    assert f"({path.stem}.png)" in page and path.with_suffix(".png").exists()
    versions = ("torch", "torchvision", "timm")
    assert all(f"{v} {results['where'][v].split('+')[0]}" in page for v in versions)
