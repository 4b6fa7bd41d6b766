"""swinlib.training.distributed: two processes under torchrun do what one does, half each."""

import json
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from training_runs import TINY, tiny_data, tiny_folder, without_times

from swinlib.training.__main__ import main
from swinlib.training.distributed import Ranks, find_ranks, join, main_process_first
from swinlib.training.loop import _require_equal_shares
from swinlib.training.models import build_model

FIELDS = """
    embed_dim=8 depths=(1,1) num_heads=(1,2) val_size=20 batch_size=16 epochs=6 warmup_epochs=0.5
    train_limit=50 test_limit=20 mixup_alpha=0.8 cutmix_alpha=1.0 randaugment_ops=1
    erasing_probability=0.5 ema_decay=0.8 learning_rate=1e-3
""".split()


def arguments(out, *more):
    """The command line of a small run on the CPU."""
    argv = ["--preset", "smoke", "--data", str(out.parent), "--dataset", str(out.parent / "shapes")]
    return [*argv, "--out", str(out), "--device", "cpu", "--set", *FIELDS, *more]


def torchrun(processes, argv):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*command, f"--nproc-per-node={processes}", "-m", "swinlib.training", *argv]


def stop_after_a_checkpoint(command, out):
    """Starts the command and ends it, at no moment in particular, in the second epoch or later."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as started:
        begun = time.monotonic()
        while not list((out / "checkpoints").glob("epoch-00002-*.json")):
            assert started.poll() is None and time.monotonic() - begun < 300
            time.sleep(0.005)
        started.terminate()  # torchrun hands this on; a plain kill would leave its processes alive
    assert not (out / "model.safetensors").exists()


def log_of(out):
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line.pop("kind") for line in lines] == ["config", *["epoch"] * 6, "test"]
    return lines[0], [without_times(line) for line in lines[1:]]


def assert_same(one, two):
    """What a run left in one process and in two: the same losses and weights, to rounding."""
    assert {f.name for f in two.iterdir()} == {"config.json", "log.jsonl", "model.safetensors"}
    (header, epochs), (other, same) = log_of(one), log_of(two)
    assert (header["processes"], other["processes"]) == (1, 2)
    assert epochs[-1].pop("confusion") == same[-1].pop("confusion")
    for ours, theirs in zip(epochs, same, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    weights, same = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    for name, weight in weights.items():
        torch.testing.assert_close(weight, same[name], rtol=1e-3, atol=1e-4)


def test_two_processes_stopped_and_resumed_follow_one(tmp_path):
    """Same pictures, same augmentation, same losses, same weights, to rounding; no drop path here,
    since each process drops other paths."""
    tiny_folder(tmp_path / "shapes")
    one, two = tmp_path / "one", tmp_path / "two"
    command = torchrun(2, arguments(two))
    stop_after_a_checkpoint([*command, "--checkpoint-seconds", "0"], two)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FutureWarning" not in done.stderr, done.stderr
    assert done.stdout.count("test accuracy") == done.stdout.count("epoch   1 of 6") == 1
    main(arguments(one))
    assert_same(one, two)


def test_two_processes_fine_tune_as_one_does(tmp_path):
    """From weights of other classes, pictures in files, every share of a batch in two parts; the
    one process takes the batch in four."""
    folder, start = tiny_folder(tmp_path / "shapes"), tmp_path / "seven.pth"
    torch.save({"model": build_model(TINY, 7).state_dict()}, start)
    one, two = tmp_path / "one", tmp_path / "two"

    def arguments(out, parts):
        argv = ["--preset", "finetune", "--weights", str(start), "--data", str(folder)]
        argv += ["--out", str(out), "--device", "cpu", "--epochs", "6", "--set", "batch_size=16"]
        return [*argv, f"accumulate={parts}", "drop_path_rate=0.0", "precision=float32"]

    done = subprocess.run(torchrun(2, arguments(two, 2)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("a new head") == 1
    main(arguments(one, 4))
    assert_same(one, two)
    taken = load_file(two / "model.safetensors")["layers.0.blocks.0.attn.qkv.weight"]
    given = torch.load(start)["model"]["layers.0.blocks.0.attn.qkv.weight"]
    assert 0 < (taken - given).norm() < 0.1 * given.norm()  # fine-tuned, and not from scratch


def test_batches_must_be_shared_equally():
    data = tiny_data()
    _require_equal_shares(TINY.replace(batch_size=30), data, Ranks(0, 3))
    with pytest.raises(ValueError, match="batch_size=16 cannot be shared equally by 3 processes"):
        _require_equal_shares(TINY, data, Ranks(0, 3))
    with pytest.raises(ValueError, match="batch_size=80 with 70 training pictures, wanted"):
        _require_equal_shares(TINY.replace(batch_size=80), data, Ranks(0, 2))
    _require_equal_shares(TINY.replace(batch_size=80), data, Ranks(0, 1))


def test_shares_are_the_batch_cut_up():
    batch = torch.arange(12).view(6, 2)
    shares = [Ranks(rank, 3).shard(batch) for rank in range(3)]
    assert [len(s) for s in shares] == [2, 2, 2] and torch.equal(torch.cat(shares), batch)


def test_alone_nothing_changes():
    ranks, model, values = find_ranks(), torch.nn.Linear(1, 1), torch.ones(2)
    assert ranks == Ranks(0, 1) and ranks.is_main and ranks.wrap(model) is model
    assert ranks.all_reduce(values) is values and ranks.all_gather("x") == ["x"]
    assert ranks.broadcast(True)
    batch = torch.ones(3, 2)
    assert torch.equal(ranks.shard(batch), batch)


def test_more_processes_than_gpus(monkeypatch):
    for name, value in {"RANK": "2", "WORLD_SIZE": "3", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
    with pytest.raises(ValueError, match="process 3 of this machine finds 2 GPUs.*per-node=2"):
        with join("cuda"):
            pass


def test_not_under_torchrun(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with join("cpu") as device:
        assert device == torch.device("cpu") and find_ranks().count == 1
    assert main_process_first(Ranks(), lambda: "loaded") == "loaded"
