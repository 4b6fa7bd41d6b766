"""Checkpoints of the real classes of timm, torchvision and transformers: the same logits."""

import pytest
import torch
import torchvision.models
from oracles import randomise, relative_error
from small_models import SMALL, make_model

from swinlib import SwinTransformer, export_state_dict, load_pretrained
from swinlib.pretrained import CLASSES_1K_IN_22K

# Name: embed_dim, heads of the stages. Depths are cut, since what is tested is the same for every
# block of a stage; each size has another, and a shifted block where there is more than one window.
SIZES = {
    "tiny": (96, (3, 6, 12, 24), (1, 2, 1, 1)),
    "small": (96, (3, 6, 12, 24), (2, 1, 2, 1)),
    "base": (128, (4, 8, 16, 32), (1, 1, 2, 1)),
    "large": (192, (6, 12, 24, 48), (1, 1, 2, 1)),
}
NAMED = [(size, 7) for size in SIZES] + [("base", 12), ("large", 12)]
at_named_sizes = pytest.mark.parametrize("size, window", NAMED)


def options_of(size, window, **more):
    embed_dim, num_heads, depths = SIZES[size]
    names = {"embed_dim": embed_dim, "num_heads": num_heads, "depths": depths}
    return names | {"window_size": window, "num_classes": 11} | more


@pytest.fixture
def compare(report, request):
    """Load theirs into ours, and ours into theirs: both ways the same logits."""

    def compare(theirs, options, size, layout, logits=lambda out: out):
        x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            ours = SwinTransformer(**options).eval()
            load_pretrained(ours, theirs.state_dict())
            loaded = relative_error(ours(x), logits(theirs(x)))
            theirs.load_state_dict(export_state_dict(randomise(ours, 2), layout), strict=True)
            exported = relative_error(logits(theirs(x)), ours(x))
        report(f"{request.node.name}: loaded {loaded:.1e}, exported {exported:.1e}")
        assert loaded < 1e-5 and exported < 1e-5

    return compare


# --- timm -----------------------------------------------------------------------------------------


@at_named_sizes
def test_timms_named_models(size, window, compare):
    timm = pytest.importorskip("timm")
    options, pixels = options_of(size, window), 32 * window
    theirs = timm.create_model(
        f"swin_{size}_patch4_window{window}_{pixels}", depths=options["depths"], num_classes=11
    )
    compare(randomise(theirs).eval(), options, pixels, "timm")


@pytest.mark.parametrize("window", [4, (3, 5), (2, 4)])
@pytest.mark.parametrize("depths, num_heads", [((2, 2), (2, 4)), ((1, 1, 2), (2, 4, 8))])
def test_timms_class(window, depths, num_heads, compare):
    timm = pytest.importorskip("timm")
    options = SMALL | {"window_size": window, "depths": depths, "num_heads": num_heads}
    size = 4 * 60 * 2 ** (len(depths) - 1) // 2  # whole windows in every stage
    theirs = timm.models.SwinTransformer(img_size=size, **options)
    compare(randomise(theirs).eval(), options, size, "timm")


def test_timms_features(capsys):
    """Its backbones have no norm."""
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(
        "swin_tiny_patch4_window7_224", features_only=True, depths=(1, 1, 1, 1)
    )
    randomise(theirs).eval()
    ours = SwinTransformer(depths=(1, 1, 1, 1), num_classes=0)
    load_pretrained(ours.eval(), theirs.state_dict(), new_head=True)
    assert "norm left as it is" in capsys.readouterr().out
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        for out, wanted in zip(ours.forward_stages(x), theirs(x), strict=True):
            assert relative_error(out, wanted.permute(0, 3, 1, 2)) < 1e-5


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 7])
def test_timms_way_with_other_channels(channels):
    timm = pytest.importorskip("timm")
    weight = torch.randn(16, 3, 4, 4)
    state = make_model().state_dict() | {"patch_embed.proj.weight": weight}
    ours = load_pretrained(make_model(in_chans=channels), state, adapt_in_chans=True)
    wanted = timm.models.adapt_input_conv(channels, weight.clone())
    torch.testing.assert_close(ours.patch_embed.proj.weight.detach(), wanted)


# --- torchvision ----------------------------------------------------------------------------------


@at_named_sizes
def test_torchvisions_class_at_the_named_sizes(size, window, compare):
    """Its own functions with all their blocks are compared in test_parity.py."""
    options = options_of(size, window)
    depths, heads = list(options["depths"]), list(options["num_heads"])
    theirs = torchvision.models.SwinTransformer(
        [4, 4], options["embed_dim"], depths, heads, [window] * 2, num_classes=11
    )
    compare(randomise(theirs).eval(), options, 16 * window, "torchvision")


@pytest.mark.parametrize("window", [4, (3, 5), (5, 3)])
def test_torchvisions_class(window, compare):
    options = SMALL | {"window_size": window}
    pair = [window] * 2 if isinstance(window, int) else list(window)
    theirs = torchvision.models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], pair, num_classes=5)
    compare(randomise(theirs).eval(), options, 72, "torchvision")


# --- Hugging Face ---------------------------------------------------------------------------------


def config_of(options, size, **more):
    transformers = pytest.importorskip("transformers")
    names = {"num_classes": "num_labels", "ape": "use_absolute_embeddings"}
    config = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
    config = {names.get(k, k): v for k, v in config.items() if k != "img_size"}
    return transformers.SwinConfig(image_size=size, **config, **more)


def in_memory():
    transformers = pytest.importorskip("transformers")
    return "hf5" if int(transformers.__version__.split(".")[0]) >= 5 else "hf"


@pytest.mark.parametrize(
    "size, window, ape",
    [*((*named, False) for named in NAMED if named != ("base", 12)), ("base", 12, True)],
)
def test_hugging_faces_class_at_the_named_sizes(size, window, ape, compare):
    transformers = pytest.importorskip("transformers")
    pixels = 32 * window
    options = options_of(size, window) | ({"ape": True, "img_size": pixels} if ape else {})
    theirs = transformers.SwinForImageClassification(config_of(options, pixels))
    theirs = randomise(theirs).eval()
    compare(theirs, options, pixels, in_memory(), lambda out: out.logits)


def test_hugging_faces_folder(tmp_path):
    """As its library writes it, and as we write it."""
    transformers = pytest.importorskip("transformers")
    safetensors = pytest.importorskip("safetensors.torch")
    theirs = randomise(transformers.SwinForImageClassification(config_of(SMALL, 64))).eval()
    theirs.save_pretrained(tmp_path)
    x, other = torch.randn(2, 3, 64, 64), make_model(seed=2)
    with torch.no_grad():
        ours = load_pretrained(make_model(seed=1), tmp_path)
        assert relative_error(ours(x), theirs(x).logits) < 1e-5
        state = {k: v.contiguous() for k, v in export_state_dict(other, "hf").items()}
        safetensors.save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
        theirs = transformers.SwinForImageClassification.from_pretrained(tmp_path)
        assert relative_error(theirs.eval()(x).logits, other(x)) < 1e-5


def test_hugging_faces_other_classes(capsys):
    """Without a head, with a decoder, and as a backbone with a norm for each stage."""
    transformers = pytest.importorskip("transformers")
    config = config_of(SMALL, 64, encoder_stride=8)
    x = torch.randn(2, 3, 64, 64)
    bare = randomise(transformers.SwinModel(config)).eval()
    pretraining = randomise(transformers.SwinForMaskedImageModeling(config), 1).eval()
    for theirs, module in ((bare, bare), (pretraining, pretraining.swin)):
        ours = load_pretrained(make_model(num_classes=0), theirs.state_dict(), new_head=True)
        with torch.no_grad():
            assert relative_error(ours(x), module(x).last_hidden_state.mean(1)) < 1e-5
    assert "not taken from the checkpoint: decoder, mask_token" in capsys.readouterr().out

    config = config_of(SMALL, 64, out_features=["stage1", "stage2"])
    theirs = randomise(transformers.SwinBackbone(config)).eval()
    ours = make_model(out_indices=(0, 1))
    assert "unexpected: norm.weight (2 in all)" in refusal(ours, theirs.state_dict())
    load_pretrained(ours, theirs.state_dict(), new_head=True)
    with torch.no_grad():
        for out, wanted in zip(ours(x), theirs(x).feature_maps, strict=True):
            assert relative_error(out, wanted) < 1e-5


def refusal(model, source):
    with pytest.raises(ValueError) as error:
        load_pretrained(model, source)
    return str(error.value)


def test_second_versions_are_named():
    transformers = pytest.importorskip("transformers")
    timm = pytest.importorskip("timm")
    config = transformers.Swinv2Config(
        image_size=64, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4
    )
    with torch.device("meta"):
        theirs = transformers.Swinv2ForImageClassification(config)
    timms = timm.models.SwinTransformerV2(
        img_size=64, embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4
    )
    for model in (theirs, timms):
        assert "V2" in refusal(make_model(), model.state_dict())


def test_relatives_are_no_swin():
    timm = pytest.importorskip("timm")
    for name in ("vit_tiny_patch16_224", "twins_svt_small", "pvt_v2_b0", "maxvit_tiny_rw_224"):
        with torch.device("meta"):
            state = timm.create_model(name).state_dict()
        assert "not a Swin Transformer checkpoint" in refusal(make_model(), state), name


def test_a_head_of_22k_of_timm():
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(
        "swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), num_classes=21841
    )
    randomise(theirs).eval()
    ours = SwinTransformer(depths=(1, 1, 1, 1)).eval()
    load_pretrained(ours, theirs.state_dict(), head_22k_to_1k=True)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert relative_error(ours(x), theirs(x)[:, list(CLASSES_1K_IN_22K)]) < 1e-5
