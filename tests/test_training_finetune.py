"""Fine-tuning: which model a file is for, what of it is kept, and who learns how fast."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from training_runs import TINY, outcome, run, tiny_data, tiny_folder

import swinlib
from swinlib import SwinTransformer, export_state_dict, read_architecture
from swinlib.model import DropPath
from swinlib.pretrained import LAYOUTS
from swinlib.training import load_dataset, load_model, preset, start_from
from swinlib.training.__main__ import main
from swinlib.training.checkpoint import CheckpointError
from swinlib.training.config import TrainConfig
from swinlib.training.finetune import freeze, frozen_parts, rates, train_mode
from swinlib.training.loop import _gradients, build_model, parameter_groups, start_run
from swinlib.training.pictures import DatasetError

SHIPPED = "data/runs/laptop_seed0"
# Nothing random but the order: two ways to the same numbers can be compared.
PLAIN = TINY.replace(
    drop_path_rate=0.0, randaugment_ops=0, erasing_probability=0.0, mixup_alpha=0.0,
    cutmix_alpha=0.0, ema_decay=0.0,
)  # fmt: skip


@pytest.fixture
def weights(tmp_path):
    """A checkpoint of TINY's model with seven classes, in the official layout."""
    torch.manual_seed(9)
    file = tmp_path / "seven.pth"
    torch.save({"model": build_model(TINY, 7).state_dict()}, file)
    return file


def tuned(weights, **changes):
    return PLAIN.replace(weights=weights, name="tuned", **changes)


# ------------------------------------------------------------------- which model a file is for


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", [7, 12])
@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
def test_the_size_is_read_from_the_keys(size, window, layout):
    with torch.device("meta"):
        model = getattr(swinlib, f"swin_{size}")(num_classes=21841, window_size=window)
    state = export_state_dict(model, layout)
    state = {k: v for k, v in state.items() if not k.endswith("relative_position_index")}
    found = read_architecture(state)
    assert found["embed_dim"] == model.embed_dim
    assert found["depths"] == tuple(len(stage.blocks) for stage in model.layers)
    assert found["num_heads"] == tuple(s.blocks[0].attn.num_heads for s in model.layers)
    assert found["window_size"] == (window, window) and found["patch_size"] == (4, 4)
    assert found["num_classes"] == 21841 and found["mlp_ratio"] == 4


@pytest.mark.parametrize(
    "options",
    [
        {"window_size": (2, 3)}, {"window_size": (3, 2)}, {"patch_size": (2, 4)},
        {"in_chans": 5}, {"qkv_bias": False}, {"ape": True, "img_size": 32},
        {"patch_norm": False}, {"num_classes": 0}, {"mlp_ratio": 2.0},
    ],
    ids=str,
)  # fmt: skip
def test_every_option_is_read(options):
    made = {"embed_dim": 8, "depths": (1, 2), "num_heads": (2, 4), "num_classes": 3, **options}
    model = SwinTransformer(**made)
    found = read_architecture(model.state_dict())
    again = SwinTransformer(**found, img_size=32)
    swinlib.load_pretrained(again, model.state_dict())
    for name, value in options.items():
        if name != "img_size":
            assert found[name] == value


def test_what_is_no_swin_is_refused():
    v2 = {"layers.0.blocks.0.attn.logit_scale": torch.zeros(3, 1, 1)}
    with pytest.raises(ValueError, match="V2"):
        read_architecture(v2)
    with pytest.raises(ValueError, match="not a Swin Transformer"):
        read_architecture({"conv1.weight": torch.zeros(3)})
    state = SwinTransformer(embed_dim=8, depths=(1,), num_heads=(2,)).state_dict()
    state = {k: v[:10] if "table" in k else v for k, v in state.items() if "_index" not in k}
    with pytest.raises(ValueError, match="bias tables of 10 rows, which are those of no window"):
        read_architecture(state)


# A model of which nothing is a default of TrainConfig.
UNUSUAL = {
    "patch_size": 2, "embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2), "window_size": 3,
    "mlp_ratio": 2.0,
}  # fmt: skip


def test_a_start_from_elsewhere(tmp_path):
    weights = tmp_path / "unusual.pth"
    torch.save(SwinTransformer(**UNUSUAL).state_dict(), weights)
    config = start_from(weights, preset("finetune"))
    assert {name: getattr(config, name) for name in UNUSUAL} == UNUSUAL
    assert config.image_size == 2 * 2 * 3
    assert config.mean == (0.485, 0.456, 0.406) and config.std == (0.229, 0.224, 0.225)
    assert config.weights == str(weights)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"window_size": (2, 3)}, r"window_size=\(2, 3\), and training knows only squares"),
        ({"patch_size": (2, 4)}, r"patch_size=\(2, 4\), and training knows only squares"),
        ({"qkv_bias": False}, "qkv_bias=False, and training knows only qkv_bias=True"),
        ({"patch_norm": False}, "patch_norm=False, and training knows only patch_norm=True"),
        ({"ape": True, "img_size": 24}, "ape=True, and training knows only ape=False"),
    ],
)
def test_a_start_that_training_cannot_build_is_told(tmp_path, odd, words):
    weights = tmp_path / "odd.pth"
    torch.save(SwinTransformer(**UNUSUAL | odd).state_dict(), weights)
    with pytest.raises(ValueError, match=words):
        start_from(weights, PLAIN)


def saved_run(folder, config):
    """A run's weights as `load_model` and `start_from` expect them, without the run."""
    about = {"config": config.to_dict(), "class_names": ["a"], "mean": [0.5] * 3, "std": [0.5] * 3}
    told = {"about": json.dumps(about)}
    save_file(build_model(config, 1).state_dict(), folder / "model.safetensors", told)


def test_a_start_from_a_run_of_an_unusual_model(tmp_path):
    saved_run(tmp_path, TINY.replace(**UNUSUAL))
    config = start_from(tmp_path, preset("finetune"))
    assert {name: getattr(config, name) for name in UNUSUAL} == UNUSUAL


def test_a_start_from_a_run():
    config, run = start_from(SHIPPED, preset("finetune")), load_model(SHIPPED)
    assert config.stem == "deep" and config.image_size == 32
    assert config.mean == run.mean and config.std == run.std
    model = start_run(config.replace(stream=False), tiny_data(), torch.device("cpu")).model
    own = run.model.state_dict()
    for name, value in model.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(value, own[name]), name
    assert model.head.weight.shape == (10, 128)
    assert not torch.equal(model.head.weight, own["head.weight"])


def test_another_window_gets_resampled_tables(weights):
    config = start_from(weights, PLAIN).replace(window_size=8)
    model = start_run(config, tiny_data(), torch.device("cpu")).model
    state = torch.load(weights)["model"]
    key = "layers.0.blocks.0.attn.relative_position_bias_table"
    wanted = swinlib.pretrained.resize_bias_table(state[key], (8, 8))
    assert torch.equal(model.state_dict()[key], wanted)


@pytest.mark.parametrize("without", ["relative_bias", ("shift", "relative_bias"), "shift", None])
def test_a_piece_that_is_taken_away_does_not_come_back_with_the_weights(weights, without):
    start = start_run(tuned(weights, without=without), tiny_data(), torch.device("cpu"))
    tables = [
        block.attn.relative_position_bias_table for s in start.model.layers for block in s.blocks
    ]
    gone = "relative_bias" in (without or ())
    assert all(table.any() != gone and table.requires_grad != gone for table in tables)
    assert start.model.layers[1].blocks[1].shift_size == (
        (0, 0) if "shift" in (without or ()) else (2, 2)
    )


def test_bad_starts_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file, nor a published checkpoint"):
        start_from(tmp_path / "nothing.pth", PLAIN)
    broken = tmp_path / "page.pth"
    broken.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match="web page"):
        start_from(broken, PLAIN)
    wide = tmp_path / "wide.pth"
    torch.save(SwinTransformer(embed_dim=8, depths=(1,), num_heads=(1,), in_chans=4).state_dict(),
               wide)  # fmt: skip
    with pytest.raises(ValueError, match="in_chans=4"):
        start_from(wide, PLAIN)
    saved_run(tmp_path, TINY.replace(model="cnn"))
    with pytest.raises(ValueError, match="is a run of model='cnn', wanted 'swin'"):
        start_from(tmp_path, PLAIN)


# ----------------------------------------------------------------------------- what stays frozen


LEARNING = {
    None: lambda name: True,
    "backbone": lambda name: name.startswith("head."),
    "all_but_norms": lambda name: "norm" in name or name.startswith("head."),
    0: lambda name: not name.startswith("patch_embed"),
    1: lambda name: not name.startswith(("patch_embed", "layers.0.")),
    2: lambda name: name.startswith(("norm.", "head.")),
}


@pytest.mark.parametrize("what", LEARNING, ids=str)
def test_what_is_frozen_does_not_move(weights, what):
    config = tuned(weights, freeze=what, epochs=1, warmup_epochs=0.0)
    before = start_run(config, tiny_data(), torch.device("cpu")).model.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    model = run(config).model
    for name, weight in model.named_parameters():
        learns = LEARNING[what](name)
        assert weight.requires_grad == learns, name
        assert torch.equal(weight, before[name]) == (not learns), name


def test_frozen_parts_drop_nothing_in_training():
    model = build_model(TINY.replace(drop_path_rate=0.5), 3)
    for what, training in ((None, True), (1, True), (2, False), ("backbone", False)):
        train_mode(model, what)
        assert model.training and model.head.training
        last = model.layers[1].blocks[-1]
        assert all(m.training == training for m in last.modules() if isinstance(m, DropPath))
        for part in frozen_parts(model, what):
            assert not any(module.training for module in part.modules())


@pytest.mark.parametrize(
    ("what", "learn", "count"),
    [
        (None, "convolutions and batch norms", True),
        ("all_but_norms", "batch norms", True),
        (0, "nothing", False),
        ("backbone", "nothing", False),
    ],
)
def test_batch_norms_of_a_stem_are_frozen_with_it(tmp_path, what, learn, count):
    """Their running means too, which move in every forward pass of training mode."""
    config, weights = PLAIN.replace(stem="deep", epochs=1, warmup_epochs=0.0), tmp_path / "deep.pth"
    torch.save(build_model(config, 7).state_dict(), weights)
    config = config.replace(weights=weights, freeze=what)
    before = start_run(config, tiny_data(), torch.device("cpu")).model.patch_embed.convolutions
    after = run(config).model.patch_embed.convolutions
    assert isinstance(after[1], nn.BatchNorm2d)
    for part, other in zip(before, after, strict=True):
        name = "batch norms" if isinstance(part, nn.BatchNorm2d) else "convolutions"
        for mine, yours in zip(part.parameters(), other.parameters(), strict=True):
            assert torch.equal(mine, yours) == (name not in learn)
        for mine, yours in zip(part.buffers(), other.buffers(), strict=True):
            assert torch.equal(mine, yours) != count


def test_an_ape_is_frozen_with_the_stages():
    model = SwinTransformer(embed_dim=8, depths=(1,), num_heads=(1,), ape=True, img_size=32)
    freeze(model, 0)
    assert not model.absolute_pos_embed.requires_grad and model.norm.weight.requires_grad


# -------------------------------------------------------------------------- who learns how fast


def place_in_the_official_code(name, depths):
    """As get_swin_layer numbers, of 0 to sum(depths) + 1."""
    if name.startswith("patch_embed"):
        return 0
    if not name.startswith("layers"):
        return sum(depths) + 1
    stage, kind = int(name.split(".")[1]), name.split(".")[3]
    if kind in ("reduction", "norm"):
        return sum(depths[: stage + 1])
    return sum(depths[:stage]) + int(kind) + 1


def test_rates_by_depth_are_the_official_ones():
    with torch.device("meta"):
        model = swinlib.swin_tiny(num_classes=5)
    shares = rates(model, TrainConfig(layer_decay=0.8, head_rate=10))
    depths = (2, 2, 6, 2)
    for name, share in shares.items():
        wanted = 0.8 ** (sum(depths) + 1 - place_in_the_official_code(name, depths))
        assert share == pytest.approx(10 if name.startswith("head.") else wanted), name
    assert rates(model, TrainConfig()) is None


def test_every_parameter_is_in_one_group_with_its_rate(weights):
    config = tuned(weights, layer_decay=0.5, head_rate=7)
    start = start_run(config, tiny_data(), torch.device("cpu"))
    shares = rates(start.model, config)
    names = {id(weight): name for name, weight in start.model.named_parameters()}
    seen = []
    for group in start.optimizer.param_groups:
        for weight in group["params"]:
            name = names[id(weight)]
            seen.append(name)
            assert group["rate"] == shares[name]
            spared = weight.ndim == 1 or "table" in name
            assert group["weight_decay"] == (0 if spared else config.weight_decay)
    assert sorted(seen) == sorted(names.values())


def test_a_step_is_as_long_as_the_rate_says(weights):
    """AdamW's first step moves every weight by its rate, whatever the gradient."""
    config = tuned(weights, layer_decay=0.5, head_rate=7, weight_decay=0.0, warmup_epochs=0.0,
                   optimizer="adamw", clip_norm=None, learning_rate=1e-3)  # fmt: skip
    start = start_run(config, tiny_data(), torch.device("cpu"))
    before = {name: weight.detach().clone() for name, weight in start.model.named_parameters()}
    after = {}

    class Enough(Exception):
        pass

    def stop(state):
        raise Enough

    import swinlib.training.loop as loop

    made = []
    original = loop.start_run
    loop.start_run = lambda *a, **k: made.append(original(*a, **k)) or made[-1]
    try:
        with pytest.raises(Enough):
            run(config, on_step=stop)
    finally:
        loop.start_run = original
    after = dict(made[0].model.named_parameters())
    for name, share in rates(made[0].model, config).items():
        moved = (after[name] - before[name]).abs().max().item()
        assert moved == pytest.approx(share * made[0].learning_rate, rel=0.05), name


def test_groups_of_old_stay_two():
    decay, keep = parameter_groups(build_model(TINY, 3), 0.05)
    assert decay["weight_decay"] == 0.05 and keep["weight_decay"] == 0.0


# -------------------------------------------------------------------------- gradients in parts


@pytest.mark.parametrize("parts", [2, 4, 16])
def test_a_batch_in_parts_gives_the_same_numbers(parts):
    whole, in_parts = run(PLAIN), run(PLAIN.replace(accumulate=parts))
    for a, b in zip(whole.history, in_parts.history, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["train_accuracy"] == pytest.approx(b["train_accuracy"], abs=0.04)
    assert torch.allclose(whole.test_probabilities, in_parts.test_probabilities, atol=2e-3)


@pytest.mark.parametrize(("count", "parts"), [(16, 4), (7, 2)])  # 7: parts of 4 and 3
def test_gradients_of_parts_add_up(count, parts):
    """Which a run does not show: AdamW and clipping hardly notice a gradient's size."""
    x, y, found = torch.randn(count, 3, 32, 32), torch.arange(count) % 10, []
    cpu = torch.device("cpu")
    for n in (1, parts):
        model = start_run(PLAIN, tiny_data(), cpu).model
        told = _gradients(x, y, model, model, PLAIN.replace(accumulate=n), cpu, "float32")
        found.append([*told, *(weight.grad for weight in model.parameters())])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_parts_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="accumulate=3, wanted a number that divides batch_size"):
        PLAIN.replace(accumulate=3)


# ------------------------------------------------------------------------------ resumed, refused


def test_a_killed_run_goes_on_with_the_same_numbers(weights, tmp_path):
    config = tuned(weights, freeze=1, layer_decay=0.7, head_rate=5, accumulate=2)
    wanted = outcome(run(config))

    def kill(state):
        if state["step"] == 6:
            raise RuntimeError("killed")

    place = tmp_path / "checkpoints"
    with pytest.raises(RuntimeError, match="killed"):
        run(config, checkpoints=place, on_step=kill)
    moved = tmp_path / "elsewhere.pth"
    weights.rename(moved)
    assert outcome(run(config.replace(weights=moved), checkpoints=place)) == wanted


def test_a_run_of_other_weights_is_refused(weights, tmp_path):
    place = tmp_path / "checkpoints"
    run(tuned(weights), checkpoints=place)
    torch.save({"model": build_model(TINY, 3).state_dict()}, weights)
    with pytest.raises(CheckpointError, match="of another run: weights is"):
        run(tuned(weights), checkpoints=place)


# --------------------------------------------------------------------------------------- folders


def classes_alone(root):
    """tiny_folder's training pictures, without train/ above them."""
    return tiny_folder(root) / "train"


FOLDER = PLAIN.replace(val_size=0.2)


def test_a_folder_of_classes_is_split_and_says_so(tmp_path):
    folder = classes_alone(tmp_path)
    data = load_dataset(folder, "imagefolder", config=FOLDER)
    assert "20% of each class set aside for the test, by seed 0" in data.label
    assert len(data.test_labels) == 10 and len(data.train_labels) + len(data.val_labels) == 60
    assert data.test_labels.bincount().tolist() == [1] * 10
    again = load_dataset(folder, "imagefolder", config=FOLDER.replace(seed=5))
    assert torch.equal(data.test_images, again.test_images)  # and its cache is no class


def test_too_few_classes_or_pictures(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(DatasetError, match="only the class 'one' in it, wanted two classes"):
        load_dataset(tmp_path, "imagefolder", config=FOLDER)
    folder = classes_alone(tmp_path / "some")
    for file in sorted((folder / "star").iterdir())[2:]:
        file.unlink()
    with pytest.raises(DatasetError, match="star holds 2 pictures, wanted at least 3.*train/<"):
        load_dataset(folder, "imagefolder", config=FOLDER)


def test_a_share_for_validation_and_a_given_mean(tmp_path):
    config = FOLDER.replace(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    data = load_dataset(tiny_folder(tmp_path), "imagefolder", config=config)
    assert (len(data.val_labels), len(data.train_labels)) == (14, 56)
    assert data.mean == (0.1, 0.2, 0.3) and data.std == (0.5, 0.6, 0.7)
    with pytest.raises(DatasetError, match="nothing to validate on"):
        load_dataset(tmp_path, "imagefolder", config=FOLDER.replace(val_size=0.001))


# ------------------------------------------------------------------------------ from the console


def test_from_weights_to_a_model_at_the_console(weights, tmp_path, capsys):
    folder = classes_alone(tmp_path / "pictures")
    out = tmp_path / "mine"
    arguments = ["--weights", str(weights), "--data", str(folder), "--out", str(out)]
    arguments += ["--epochs", "1", "--freeze", "backbone", "--device", "cpu"]
    main([*arguments, "--set", "batch_size=20", "accumulate=2", "precision=float32"])
    told = capsys.readouterr().out
    assert "set aside for the test" in told and "a new head; the head alone learns" in told
    about = json.loads((out / "config.json").read_text())
    assert about["config"]["freeze"] == "backbone" and about["config"]["stream"]
    run = load_model(out)
    state = torch.load(weights)["model"]
    assert torch.equal(run.model.layers[0].blocks[0].attn.qkv.weight,
                       state["layers.0.blocks.0.attn.qkv.weight"])  # fmt: skip
    assert run.class_names[0] == "bar" and run.picture_size == (32, 32)
    assert isinstance(run.model.head, nn.Linear) and run.model.head.out_features == 10

    # All of it goes on from there: the classes are the same, and so is the head.
    more = tmp_path / "more"
    arguments = ["--weights", str(out), "--data", str(folder), "--out", str(more), "--epochs", "1"]
    rate = ["learning_rate=1e-9", "final_learning_rate=0.0"]
    main([*arguments, "--device", "cpu", "--set", "batch_size=20", "precision=float32", *rate])
    assert "the same classes, so its head too; all of it learns" in capsys.readouterr().out
    torch.testing.assert_close(load_model(more).model.head.weight, run.model.head.weight)


def test_finetuning_without_weights_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["--preset", "finetune", "--data", "nowhere"])
    assert "wanted --weights FILE" in capsys.readouterr().err
