"""swinlib.training.config: every field has its rule, and the console follows the same ones."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch

from swinlib.training.__main__ import _config, _parser
from swinlib.training.config import PRESETS, TrainConfig, choose_device, preset


def told(*argv):
    """The configuration that a command line gives."""
    return _config(_parser().parse_args(argv))


def test_every_field_has_a_rule_and_obeys_it():
    for field in dataclasses.fields(TrainConfig):
        assert field.metadata["rule"].allows(field.default), field.name
        with pytest.raises(ValueError, match=rf"{field.name}=<object .*, wanted "):
            TrainConfig(**{field.name: object()})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../x"), ("name", ""), ("name", "a/b"), ("name", ".."), ("name", None),
        ("dataset", 5), ("dataset", ""), ("dataset", None),
        ("without", {}), ("without", 3), ("without", ["mask", "mask"]), ("without", [{}]),
        ("batch_size", 2**63), ("embed_dim", 2**63), ("epochs", 2**63), ("train_limit", 2**63),
        ("image_size", 2**63), ("crop_padding", 2**63), ("val_size", 2**63), ("depths", (2**63,)),
        ("depths", (2, True)), ("seed", 2**64), ("seed", 1.0),
        ("learning_rate", 10**400), ("mlp_ratio", "7"), ("mlp_ratio", 1e9),
        ("compile", 1), ("stream", 0), ("workers", -1), ("workers", 1.5),
    ],
)  # fmt: skip
def test_bad_values_are_named(field, value):
    with pytest.raises(ValueError, match=f"TrainConfig: {field}=.*, wanted ") as error:
        TrainConfig().replace(**{field: value})
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"final_learning_rate": 0.5}, "final_learning_rate=0.5, wanted .* learning_rate=0.001"),
        ({"learning_rate": 1e-6}, "final_learning_rate=1e-05, wanted at most learning_rate=1e-06"),
        ({"warmup_epochs": 11}, "warmup_epochs=11.0, wanted a number from 0 to epochs=10"),
        ({"epochs": 3, "warmup_epochs": 4}, "warmup_epochs=4.0, wanted .* epochs=3"),
        ({"stream": True}, "image_size=None, wanted pixels per side"),
        ({"depths": (2,)}, r"num_heads=\(2, 4\), wanted as many entries as depths=\(2,\)"),
        ({"embed_dim": 66}, r"num_heads=.*stage's width \(132 in stage 1\)"),
        ({"model": "cnn", "without": "shift"}, "without='shift', wanted None: model='cnn' is no"),
        ({"freeze": "backbone"}, "freeze='backbone', wanted None where no weights are given"),
        ({"freeze": 3, "weights": "x"}, r"freeze=3, wanted at most the 2 stages of depths"),
        ({"stem": "convolutions", "patch_size": 6}, "patch_size=6, wanted 2, 4, 8"),
        ({"stem": "convolutions", "patch_size": 1}, "patch_size=1, wanted 2, 4, 8"),
    ],
)  # fmt: skip
def test_rules_between_fields(fields, words):
    if fields.get("embed_dim") == 66:
        fields = fields | {"num_heads": (2, 8)}
    with pytest.raises(ValueError, match=words):
        TrainConfig().replace(**fields)


def test_whole_numbers_are_kept_as_numbers():
    config = TrainConfig(
        cutmix_alpha=1, mixup_alpha=np.float32(0.5), epochs=np.int64(7), clip_norm=2
    )
    assert (config.cutmix_alpha, config.mixup_alpha, config.epochs) == (1.0, 0.5, 7)
    kinds = (config.cutmix_alpha, config.mixup_alpha, config.epochs, config.clip_norm)
    assert [type(value) for value in kinds] == [float, float, int, float]
    assert TrainConfig(**json.loads(json.dumps(config.to_dict()))) == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_fewer_epochs_shorten_the_warm_up_and_nothing_else_does():
    gpu = preset("gpu")
    assert gpu.replace(epochs=3).warmup_epochs == 1.5
    assert gpu.replace(epochs=3, warmup_epochs=2).warmup_epochs == 2
    assert gpu.replace(epochs=100).warmup_epochs == gpu.replace(seed=3).warmup_epochs == 5
    all_warm = TrainConfig(epochs=2, warmup_epochs=2)
    assert all_warm.replace(seed=1).warmup_epochs == all_warm.replace(epochs=9).warmup_epochs == 2


def test_the_console_has_one_rule_for_epochs():
    for more in (["--epochs", "3"], ["--set", "epochs=3"]):
        assert told("--preset", "gpu", *more) == preset("gpu").replace(epochs=3)
    assert told("--preset", "smoke", "--epochs", "100", "--set", "warmup_epochs=20") == (
        preset("smoke").replace(epochs=100, warmup_epochs=20)
    )
    config = told("--preset", "smoke", "--epochs", "2", "--set", "warmup_epochs=2")
    assert (config.epochs, config.warmup_epochs) == (2, 2)


def test_the_console_keeps_every_set():
    argv = ["--set", "epochs=1", "--set", "batch_size=25", "seed=4", "--dataset", "shapes"]
    config = told("--preset", "smoke", *argv)
    assert (config.epochs, config.batch_size, config.seed, config.dataset) == (1, 25, 4, "shapes")
    assert told("--preset", "smoke", "--seed", "4", "--set", "seed=4").seed == 4
    with pytest.raises(ValueError, match="seed is set twice, to 4 and to 5"):
        told("--preset", "smoke", "--seed", "4", "--set", "seed=5")
    with pytest.raises(ValueError, match="weights is set twice, to 'w.pth' and to 'v.pth'"):
        told("--weights", "w.pth", "--set", "weights=v.pth")


def test_what_two_parts_of_a_run_have_in_common():
    config = TrainConfig()
    same = config.identity()
    assert same == json.loads(json.dumps(same)) and set(same) == set(config.to_dict()) - {
        "workers",
        "weights",
        "dataset",
    }
    assert config.replace(workers=3).identity() == same != config.replace(seed=3).identity()


def test_presets_hold_what_their_rules_give():
    for make in PRESETS.values():
        assert TrainConfig(**make().to_dict()) == make()


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == choose_device("cpu") == torch.device("cpu")
    for wrong in ("foo", "cuda", "mps", "meta", "cpu:3", 3.5, ""):
        with pytest.raises(ValueError, match=r"device '.*', wanted one of cpu here"):
            choose_device(wrong)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
    assert choose_device().type == "cuda" and choose_device("cuda:1").index == 1
    with pytest.raises(
        ValueError, match=r"'cuda:2', wanted one of cpu, cuda here \(cuda:0 to cuda:1"
    ):
        choose_device("cuda:2")
