"""swinlib.training: pictures of differing sizes in folders, in memory and streamed from files."""

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import TINY, outcome, run

from swinlib import SwinTransformer
from swinlib.training import pictures as pictures_module
from swinlib.training import stream as stream_module
from swinlib.training.__main__ import main
from swinlib.training.batches import training_batches
from swinlib.training.data import DatasetError, load_dataset
from swinlib.training.distributed import Ranks
from swinlib.training.loop import BatchTooLarge
from swinlib.training.stream import PictureFiles

CONFIG = TINY.replace(
    image_size=16, stream=True, val_size=4, crop_padding=0, patch_size=2, batch_size=4, epochs=2
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("SWINLIB_DATASET", raising=False)
    monkeypatch.setattr(stream_module, "usable_processors", lambda: 1)  # one worker process


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Like ImageNet: train and val, .JPEG, no two of one size, one grey, one with transparency."""
    root, draw = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for name in ("n01", "n02"):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                h, w = 18 + 3 * i, 40 - 2 * i
                pixels = draw.integers(0, 256, (h, w, 3), np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.JPEG")
    Image.new("L", (25, 19), 90).save(root / "train" / "n01" / "0.JPEG")
    Image.new("RGBA", (25, 19), (1, 2, 3, 4)).save(root / "train" / "n02" / "rgba.png")
    return root


@pytest.fixture(scope="module")
def data(folder):
    return load_dataset(folder, "imagefolder", config=CONFIG)


def test_what_is_loaded(folder, data):
    assert isinstance(data.train_images, PictureFiles) and data.class_names == ("n01", "n02")
    assert [len(x) for x in (data.train_labels, data.val_labels, data.test_labels)] == [13, 4, 6]
    assert "13 training, 4 validation, 6 test pictures, 16x16x3, 2 classes" in repr(data)
    assert all(0.2 < m < 0.8 for m in data.mean) and all(s > 0.05 for s in data.std)
    names = {f.name for f in data.train_images.files} | {f.name for f in data.val_images.files}
    assert "rgba.png" in names and {f.parts[-3] for f in data.test_images.files} == {"val"}


def test_middles_are_the_same_as_resizing_by_hand(data):
    (first, second) = data.test_images.split(4)
    assert first.shape == (4, 3, 16, 16) and second.shape == (2, 3, 16, 16)
    with Image.open(data.test_images.files[1]) as picture:  # 21 x 38 pixels, 18 = 16 * 8 / 7
        small = picture.resize((int(18 * 38 / 21), 18), Image.Resampling.BICUBIC)
    left, top = round((small.width - 16) / 2), 1
    expected = np.asarray(small.crop((left, top, left + 16, top + 16))).transpose(2, 0, 1)
    assert np.array_equal(first[1].numpy(), expected)


def test_random_parts_depend_on_seed_epoch_and_picture_only(data):
    def read(chosen, seed):
        return torch.cat(list(data.train_images.batches([torch.tensor(c) for c in chosen], seed)))

    whole = read([[3, 1, 4, 0]], (7, 2))
    assert whole.shape == (4, 3, 16, 16) and whole.dtype == torch.uint8
    assert torch.equal(whole, read([[3, 1], [4, 0]], (7, 2)))
    assert torch.equal(whole.flip(0), read([[0, 4, 1, 3]], (7, 2)))
    for other in ((7, 3), (8, 2)):  # 3.JPEG of the first class is large enough to show it
        assert not torch.equal(whole[0], read([[3]], other)[0])


def test_how_much_is_seen_is_what_the_configuration_says(folder):
    whole = CONFIG.replace(crop_area=1.0, crop_stretch=1.0)
    images = load_dataset(folder, "imagefolder", config=whole).train_images
    one, other = (torch.cat(list(images.batches([torch.arange(13)], (7, e)))) for e in (2, 3))
    assert torch.equal(one, other)  # nothing is left to chance


def test_reading_draws_no_global_numbers(data):
    before = torch.get_rng_state()
    list(data.train_images.batches([torch.tensor([0])], (0, 1)))
    list(data.val_images.split(4))
    assert torch.equal(before, torch.get_rng_state())


def test_two_processes_read_half_each(data):
    order = torch.arange(8).split(4)
    config = CONFIG.replace(mixup_alpha=0, cutmix_alpha=0, crop_padding=2)
    assert config.randaugment_ops and config.erasing_probability and config.flip_probability

    def batches(ranks):
        generator = torch.Generator().manual_seed(1)
        return list(training_batches(order, 1, config, data, torch.device("cpu"), generator, ranks))

    whole, halves = batches(Ranks()), [batches(Ranks(rank, 2)) for rank in range(2)]
    for i in range(2):
        for part in range(2):  # pictures, labels
            both = torch.cat([half[i][part] for half in halves])
            assert torch.equal(whole[i][part], both)


def test_training_and_resuming_inside_an_epoch(data, tmp_path):
    def stop(state):
        if state["step"] == 5:
            raise InterruptedError

    expected = outcome(run(CONFIG, data))
    with pytest.raises(InterruptedError):
        run(CONFIG, data, checkpoints=tmp_path, on_step=stop)
    assert outcome(run(CONFIG, data, checkpoints=tmp_path)) == expected


def test_a_batch_too_large_for_memory_is_answered_with_one_that_fits(data, monkeypatch):
    forward = SwinTransformer.forward

    def with_little_memory(self, images):
        if len(images) > 2 and self.training:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, images)

    monkeypatch.setattr(SwinTransformer, "forward", with_little_memory)
    with pytest.raises(BatchTooLarge, match="batch_size=4 does not fit into memory; 2 fits"):
        run(CONFIG, data)


def test_an_unreadable_picture_is_named(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "val" / "n02" / "1.JPEG"
    file.write_bytes(file.read_bytes()[:200])
    data = load_dataset(copy, "imagefolder", config=CONFIG)
    with pytest.raises(DatasetError, match="val/n02/1.JPEG cannot be read.*Unpack it again"):
        list(data.test_images.split(6))
    shutil.rmtree(copy / "val" / "n02")
    with pytest.raises(DatasetError, match="'n02' is in .*train but .*val/n02 is missing"):
        load_dataset(copy, "imagefolder", config=CONFIG)


def test_in_memory_resized(folder, monkeypatch, tmp_path):
    config = CONFIG.replace(stream=False)
    data = load_dataset(tmp_path, str(folder), config=config)
    assert data.train_images.shape == (13, 3, 16, 16) and data.train_images.dtype == torch.uint8
    other = load_dataset(tmp_path, str(folder), config=config.replace(image_size=12))
    assert other.train_images.shape == (13, 3, 12, 12)  # not the first one's cache
    with pytest.raises(DatasetError, match=r"all pictures must have one size. Use .*image_size"):
        load_dataset(tmp_path, str(folder), config=config.replace(image_size=None))
    monkeypatch.setattr(pictures_module, "MEMORY_LIMIT", 35_000)
    with pytest.raises(DatasetError, match="23 pictures of 16x16 pixels take.*stream=True"):
        load_dataset(tmp_path, str(folder), config=config)
    assert len(load_dataset(tmp_path, str(folder), config=CONFIG).train_labels) == 13


def test_streaming_needs_a_size():
    with pytest.raises(ValueError, match="image_size=None, wanted pixels per side, since stream"):
        TINY.replace(stream=True)


def test_command_line_with_the_imagenet_recipe(folder, tmp_path, capsys):
    small = """
        embed_dim=8 depths=(1,1) num_heads=(1,2) window_size=4 image_size=16 val_size=4 batch_size=4
        compile=False
    """.split()
    argv = ["--preset", "imagenet", "--data", str(folder), "--out", str(tmp_path / "run")]
    main([*argv, "--device", "cpu", "--epochs", "1", "--set", *small])
    assert "on image folder imagenet" in capsys.readouterr().out
    assert (tmp_path / "run" / "model.safetensors").exists()
