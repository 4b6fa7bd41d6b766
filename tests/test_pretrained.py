"""Checkpoints: both layouts, strictly, and refusals that say why."""

import pickle

import pytest
import torch
import torch.nn.functional as F
import torchvision.models
from oracles import official_keys, randomise, torchvision_key

from swinlib import SwinTransformer, load_pretrained
from swinlib.pretrained import resize_bias_table

SMALL = {
    "embed_dim": 16,
    "depths": (2, 2),
    "num_heads": (2, 4),
    "window_size": 4,
    "num_classes": 5,
}


def make_model(seed=0, **options):
    return randomise(SwinTransformer(**(SMALL | options)), seed).eval()


def microsoft_state(**options):
    """A checkpoint as the official code stores it, buffers included."""
    model = make_model(seed=1, **options)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for i, layer in enumerate(model.layers):
        for j in range(1, len(layer.blocks), 2):
            state[f"layers.{i}.blocks.{j}.attn_mask"] = torch.zeros(64, 16, 16)
    return state


def assert_loaded(model, state):
    """Every parameter of the model has come from the state."""
    for name, p in model.named_parameters():
        assert torch.equal(p, state[name]), name


# --- what is taken --------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [dict, lambda s: {"model": s}, lambda s: {"model": s, "epoch": 3}])
def test_microsofts_layout(wrap):
    state, model = microsoft_state(), make_model()
    assert load_pretrained(model, wrap(state)) is model
    assert_loaded(model, state)


def test_a_state_dict_of_swinlib_itself():
    model, other = make_model(), make_model(seed=1)
    load_pretrained(model, other.state_dict())
    x = torch.randn(1, 3, 40, 28)
    assert torch.equal(model(x), other(x))


@pytest.mark.parametrize("as_path", [str, lambda path: path])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file(tmp_path, as_path, wrapped):
    state, model = microsoft_state(), make_model()
    path = tmp_path / "swin.pth"
    torch.save({"model": state, "optimizer": {"lr": 0.1}} if wrapped else state, path)
    load_pretrained(model, as_path(path))
    assert_loaded(model, state)


def test_stored_buffers_are_ignored_whatever_they_hold():
    state, model = microsoft_state(), make_model()
    index = model.layers[0].blocks[0].attn.relative_position_index.clone()
    for key in state:
        if key.endswith("relative_position_index"):
            state[key] = torch.zeros(3, 3, dtype=torch.int64)
        if key.endswith("attn_mask"):
            state[key] = torch.full((7,), torch.nan)
    load_pretrained(model, state)
    assert_loaded(model, state)
    assert torch.equal(model.layers[0].blocks[0].attn.relative_position_index, index)


def test_stored_buffers_may_be_missing():
    state = {k: v for k, v in microsoft_state().items() if "index" not in k and "mask" not in k}
    model = make_model()
    load_pretrained(model, state)
    assert_loaded(model, state)


def test_a_state_dict_of_torchvision():
    theirs = randomise(
        torchvision.models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=5)
    )
    state, model = theirs.state_dict(), make_model()
    load_pretrained(model, state)
    used = {torchvision_key(name) for name, _ in model.named_parameters()}
    assert used == {name for name, _ in theirs.named_parameters()}
    for name, p in model.named_parameters():
        assert torch.equal(p, state[torchvision_key(name)]), name


def test_half_precision_weights_in_a_float_model():
    state = {k: v.half() if v.is_floating_point() else v for k, v in microsoft_state().items()}
    model = make_model()
    load_pretrained(model, state)
    assert model.head.weight.dtype == torch.float32
    assert torch.equal(model.head.weight, state["head.weight"].float())


def test_the_source_is_left_alone():
    state = microsoft_state(window_size=3)
    keys, tables = list(state), {k: v.clone() for k, v in state.items()}
    model = make_model()
    load_pretrained(model, state, resize_bias=True)
    with torch.no_grad():
        model.head.weight.zero_()
    assert list(state) == keys
    assert all(torch.equal(state[k], tables[k]) for k in keys)


# --- what is refused ------------------------------------------------------------------------------


def refusal(model, source, **options):
    """The message, after making sure that the model has not changed."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load_pretrained(model, source, **options)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return str(error.value)


def test_another_width():
    message = refusal(make_model(embed_dim=32), microsoft_state())
    assert "embed_dim is 16 there, 32 here" in message
    assert "misshapen: patch_embed.proj.weight is (16, 3, 4, 4) in the checkpoint" in message
    assert "(32, 3, 4, 4) in the model" in message


def test_another_window_size():
    message = refusal(make_model(), microsoft_state(window_size=3))
    assert "window_size is 3 there" in message
    assert "resize_bias=True" in message
    assert "layers.0.blocks.0.attn.relative_position_bias_table is (25, 2)" in message
    assert "(4 in all)" in message


def test_another_number_of_classes():
    message = refusal(make_model(num_classes=7), microsoft_state())
    assert "num_classes is 5 there, 7 here" in message
    assert "head.weight is (5, 32) in the checkpoint, (7, 32) in the model (2 in all)" in message


def test_deeper():
    message = refusal(make_model(depths=(2, 4)), microsoft_state())
    assert "depths" in message
    assert "missing: layers.1.blocks.2.norm1.weight (26 in all)" in message
    assert "unexpected" not in message and "misshapen" not in message


def test_shallower():
    message = refusal(make_model(), microsoft_state(depths=(2, 4)))
    assert "depths" in message
    assert "unexpected: layers.1.blocks.2.norm1.weight (26 in all)" in message


def test_more_stages():
    model = make_model(depths=(2, 2, 2), num_heads=(2, 4, 8))
    message = refusal(model, microsoft_state())
    assert "depths" in message
    assert "missing: layers.1.downsample." in message


def test_another_number_of_heads():
    assert "num_heads" in refusal(make_model(num_heads=(4, 4)), microsoft_state())


def test_one_has_no_head():
    assert "head" in refusal(make_model(), microsoft_state(num_classes=0))
    message = refusal(make_model(num_classes=0), microsoft_state())
    assert "unexpected: head.weight (2 in all)" in message
    assert "num_classes=0" in message


def test_another_patch_size_or_number_of_channels():
    assert "patch_size" in refusal(make_model(patch_size=2), microsoft_state())
    assert "input channels" in refusal(make_model(in_chans=1), microsoft_state())


@pytest.mark.parametrize(
    "options", [{"patch_norm": False}, {"ape": True, "img_size": 32}, {"mlp_ratio": 2.0}]
)
def test_another_option(options):
    (name, *_) = options
    reason = refusal(make_model(**options), microsoft_state()).split("Likely reason")[1]
    assert name in reason
    reason = refusal(make_model(), microsoft_state(**options)).split("Likely reason")[1]
    assert name in reason


@pytest.mark.parametrize("there, here", [(True, False), (False, True)])
def test_qkv_bias_on_one_side_only(there, here):
    reason = refusal(make_model(qkv_bias=here), microsoft_state(qkv_bias=there))
    reason = reason.split("Likely reason")[1]
    assert "qkv_bias" in reason
    assert "depths" not in reason


def test_version_two():
    state = microsoft_state()
    for key in list(state):
        if key.endswith("relative_position_bias_table"):
            attn = key.rpartition(".")[0]
            del state[key]
            state[f"{attn}.logit_scale"] = torch.ones(2, 1, 1)
            state[f"{attn}.cpb_mlp.0.weight"] = torch.ones(512, 2)
    assert "V2" in refusal(make_model(), state)
    theirs = torchvision.models.SwinTransformer(
        [4, 4],
        16,
        [2, 2],
        [2, 4],
        [4, 4],
        num_classes=5,
        block=torchvision.models.swin_transformer.SwinTransformerBlockV2,
        downsample_layer=torchvision.models.swin_transformer.PatchMergingV2,
    )
    assert "V2" in refusal(make_model(), theirs.state_dict())


@pytest.mark.parametrize("state", [{}, {"conv1.weight": torch.zeros(64, 3, 7, 7)}])
def test_not_a_swin(state):
    message = refusal(make_model(), state)
    assert "not a Swin Transformer checkpoint" in message
    assert "missing: patch_embed.proj.weight" in message


def test_a_key_too_few_and_a_key_too_many():
    state = microsoft_state()
    state["surplus"] = state.pop("layers.0.blocks.0.norm1.bias")
    message = refusal(make_model(), state)
    assert "missing: layers.0.blocks.0.norm1.bias (1 in all)" in message
    assert "unexpected: surplus (1 in all)" in message


class Harmful:
    """What a checkpoint from a stranger may hold: code that runs when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_file_with_code_in_it_is_refused(tmp_path):
    path, trace = tmp_path / "swin.pth", tmp_path / "trace"
    torch.save({"model": microsoft_state(), "config": Harmful(trace)}, path)
    model = make_model()
    before = model.head.weight.clone()
    with pytest.raises(pickle.UnpicklingError):
        load_pretrained(model, path)
    assert not trace.exists()
    assert torch.equal(model.head.weight, before)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_pretrained(make_model(), tmp_path / "nothing.pth")


@pytest.mark.parametrize(
    "source", [3, None, [1], {"state_dict": {}}, {"model": {"a": 1}}, {"a": torch.zeros(1), "b": 2}]
)
def test_something_else_than_tensors_by_name(source):
    with pytest.raises(TypeError, match="source.*got"):
        load_pretrained(make_model(), source)


def test_tensors_by_number():
    with pytest.raises(TypeError, match="source"):
        load_pretrained(make_model(), {0: torch.zeros(1)})


# --- bias tables of another window size -----------------------------------------------------------


def test_a_table_of_the_same_size_stays_as_it_is():
    table = torch.randn(49, 3)
    assert torch.equal(resize_bias_table(table, (4, 4)), table)


@pytest.mark.parametrize("M, window", [(7, (12, 12)), (12, (7, 7)), (3, (4, 6)), (1, (3, 3))])
def test_a_table_is_resampled_like_a_picture_per_head(M, window):
    table = torch.randn((2 * M - 1) ** 2, 3)
    size = (2 * window[0] - 1, 2 * window[1] - 1)
    resized = resize_bias_table(table, window)
    assert resized.shape == (size[0] * size[1], 3)
    for head in range(3):
        picture = table[:, head].view(1, 1, 2 * M - 1, 2 * M - 1)
        wanted = F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
        torch.testing.assert_close(resized[:, head], wanted.flatten())


def test_a_table_keeps_its_symmetry_and_its_dtype():
    table = torch.randn(25, 2)
    symmetric = table + table.flip(0)
    resized = resize_bias_table(symmetric, (5, 5))
    torch.testing.assert_close(resized, resized.flip(0))
    assert resize_bias_table(table.half(), (5, 5)).dtype == torch.float16


@pytest.mark.parametrize("window", [3, 6, (2, 5)])
def test_a_resized_model_runs(window):
    state, model = microsoft_state(), make_model(window_size=window)
    load_pretrained(model, state, resize_bias=True)
    for name, p in model.named_parameters():
        if name.endswith("relative_position_bias_table"):
            size = model.layers[0].blocks[0].window_size
            assert torch.equal(p, resize_bias_table(state[name], size))
        else:
            assert torch.equal(p, state[name])
    assert model(torch.randn(2, 3, 40, 28)).isfinite().all()


def test_resizing_repairs_only_the_window_size():
    model = make_model(window_size=3, num_classes=7)
    message = refusal(model, microsoft_state(), resize_bias=True)
    assert "num_classes" in message
    assert "relative_position_bias_table" not in message


@pytest.mark.parametrize("window", [(3, 5), (1, 5)])
def test_resizing_leaves_fitting_tables_of_windows_that_are_not_square(window):
    model, state = make_model(window_size=window), microsoft_state(window_size=window)
    load_pretrained(model, state, resize_bias=True)
    assert_loaded(model, state)


def test_resized_maps_to_the_same_keys():
    model = make_model(window_size=3)
    load_pretrained(model, microsoft_state(), resize_bias=True)
    assert set(model.state_dict()) == official_keys((2, 2))
