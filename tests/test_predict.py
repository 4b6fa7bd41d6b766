"""``python -m swinlib.predict``: classes of pictures, as a line, as JSON, with a look inside."""

import dataclasses
import json
import shutil

import pytest
import torch
from oracles import randomise
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from swinlib import SwinTransformer, record_attention
from swinlib.predict import load_predictor, main
from swinlib.training import evaluate, load_model
from swinlib.training.pictures import read_picture
from swinlib.training.stream import middle

BICUBIC = Image.Resampling.BICUBIC
RUN, CAT = "data/runs/laptop_seed0", "data/pictures/cat.png"


def test_it_says_what_evaluation_says():
    predictor, run = load_predictor(RUN), load_model(RUN)
    pixels = predictor.pixels(CAT)
    wanted = evaluate(run.model, pixels[None], torch.tensor([3]), run.mean, run.std).probabilities
    assert torch.allclose(predictor.probabilities(pixels[None]), wanted, atol=1e-6)
    best = predictor.best(pixels, 3)
    assert [b["class"] for b in best] == [run.class_names[i] for i in wanted[0].topk(3).indices]


def test_a_large_picture_is_cut_as_in_training(tmp_path):
    file = tmp_path / "wide.png"
    Image.effect_noise((90, 60), 80).convert("RGB").save(file)
    pixels = load_predictor(RUN).pixels(file)
    assert pixels.shape == (3, 32, 32)
    shown = pil_to_tensor(middle(read_picture(file), 32, 32))
    assert torch.equal(pixels, shown)


@pytest.mark.parametrize(
    ("name", "prepared"),
    [
        ("swin_tiny_torchvision", lambda picture: middle(picture, 224, 232)),
        ("swin_base_patch4_window12_384", lambda picture: picture.resize((384, 384), BICUBIC)),
    ],
)
def test_a_published_checkpoint_sees_pictures_as_it_was_measured(
    tmp_path, monkeypatch, name, prepared
):
    small = SwinTransformer(embed_dim=8, depths=(1,), num_heads=(1,))
    monkeypatch.setattr("swinlib.published.load", lambda found, build: small)
    file = tmp_path / "wide.png"
    Image.effect_noise((500, 300), 80).convert("RGB").save(file)
    predictor = load_predictor(name)
    assert torch.equal(predictor.pixels(file), pil_to_tensor(prepared(read_picture(file))))
    assert len(predictor.class_names) == 1000 and not predictor.model.training


def test_lines_json_and_a_picture(tmp_path, capsys):
    assert main([RUN, CAT, "--device", "cpu", "--top", "2"]) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{CAT}: ") and line.count("%") == 2
    seen = tmp_path / "seen.png"
    assert main([RUN, CAT, CAT, "--device", "cpu", "--json", "--attention", str(seen)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["picture"] for entry in told] == [CAT, CAT]
    assert set(told[0]["predictions"][0]) == {"class", "probability"}
    assert Image.open(seen).width > 300


def test_pictures_of_one_name_have_a_row_each(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(CAT, tmp_path / folder / "cat.png")
    seen = tmp_path / "seen.png"
    files = [str(tmp_path / folder / "cat.png") for folder in ("a", "b")]
    heights = []
    for some in (files[:1], files):
        assert main([RUN, *some, "--device", "cpu", "--attention", str(seen)]) == 0
        heights.append(Image.open(seen).height)
    assert heights[1] == 2 * heights[0]


def test_one_bad_picture_does_not_hide_the_others(capsys):
    assert main([RUN, "README.md", CAT, "--device", "cpu"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(CAT) and "README.md cannot be read as a picture" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", CAT], "nor a published checkpoint"),
        (["data/pictures", CAT], "model.safetensors"),
        ([RUN, CAT, "--top", "0"], "--top 0, wanted at least 1"),
        (["swin_tiny_patch4_window7_224_22k", CAT], "ImageNet-22K"),
        ([RUN, CAT, "--attention", "x.nonsense"], "--attention x.nonsense"),
    ],
)
def test_errors_are_sentences(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--device", "cpu"])
    assert stop.value.code and words in capsys.readouterr().err


@pytest.mark.parametrize("size", [(28, 28), (30, 41)])
def test_what_is_received_is_what_all_maps_give(size):
    torch.manual_seed(0)
    model = SwinTransformer(
        patch_size=1, embed_dim=8, depths=(2,), num_heads=(2,), window_size=7, num_classes=2
    ).eval()
    randomise(model)
    with record_attention(model) as records, torch.no_grad():
        model(torch.randn(1, 3, *size))
    for record in records.values():
        received = record.received()
        assert received.shape == (1, 2, *size)
        whole = dataclasses.replace(record, grid_size=record.padded_size)  # padding asks too
        H, W = whole.grid_size
        given = sum(whole.map_of(r, c) for r in range(H) for c in range(W))
        wanted = given[..., : size[0], : size[1]]
        torch.testing.assert_close(received, wanted, rtol=1e-4, atol=1e-4)
        assert given.mean().item() == pytest.approx(1, abs=1e-5)
