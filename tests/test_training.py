"""swinlib.training: configuration, data, augmentation, the loop and the command line."""

import json
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from training_runs import PLAIN as TINY

from swinlib.training import batches as batches_module
from swinlib.training import cifar as cifar_module
from swinlib.training import data as data_module
from swinlib.training import folders as folders_module
from swinlib.training import loop as loop_module
from swinlib.training.__main__ import main
from swinlib.training.augment import normalise, random_crop, random_flip
from swinlib.training.config import PRESETS, TrainConfig, choose_device, choose_preset, preset
from swinlib.training.data import (
    CIFAR10_CLASSES,
    DatasetError,
    ImageSet,
    balanced_order,
    draw_shapes,
    load_dataset,
)
from swinlib.training.loop import (
    build_model,
    confusion_matrix,
    evaluate,
    learning_rate,
    parameter_groups,
    train,
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No environment variable and no network reaches a test."""
    monkeypatch.delenv("SWINLIB_DATASET", raising=False)
    monkeypatch.delenv("SWINLIB_PRESET", raising=False)
    monkeypatch.setattr(data_module, "online", lambda: False)


@pytest.fixture(scope="module")
def shapes():
    images, labels = draw_shapes(140, seed=3)
    return ImageSet(
        images[:70], labels[:70], images[70:100], labels[70:100], images[100:], labels[100:],
        data_module.SHAPE_CLASSES, "generated shapes (not CIFAR-10)", (0.5,) * 3, (0.25,) * 3,
    )  # fmt: skip


def make_folder(root, classes=("cat", "dog"), train=6, test=3, size=8, suffix="png", **more):
    """An image folder with a grey picture each, whose brightness tells split, class and number."""
    for number, (split, count) in enumerate({"train": train, "test": test, **more}.items()):
        for c, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                grey = np.full((size, size, 3), number * 100 + c * 10 + i, np.uint8)
                Image.fromarray(grey).save(root / split / name / f"{i:04d}.{suffix}")
    return root


# ----------------------------------------------------------------------------- configuration


RECIPES = "smoke laptop night gpu_quick gpu_medium gpu imagenet finetune".split()


@pytest.mark.parametrize("name", RECIPES)
def test_presets_are_valid_and_build(name):
    config = preset(name)
    assert config.name == name and set(PRESETS) == set(RECIPES)
    assert build_model(config, 10)(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert TrainConfig(**json.loads(json.dumps(config.to_dict()))) == config
    assert PRESETS[name].__doc__


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patch_size", 0),
        ("embed_dim", 2.5),
        ("depths", ()),
        ("depths", (2, 0)),
        ("depths", (2, 2, 2)),
        ("depths", 2),
        ("num_heads", (3, 4)),
        ("window_size", -4),
        ("mlp_ratio", 0),
        ("init_std", 0.0),
        ("drop_path_rate", 1.0),
        ("val_size", 0),
        ("train_limit", 0),
        ("test_limit", -1),
        ("crop_padding", -1),
        ("crop_fill", "mirror"),
        ("flip_probability", 1.5),
        ("batch_size", True),
        ("ema_every", 0),
        ("ema_decay", 1.0),
        ("randaugment_ops", -1),
        ("randaugment_magnitude", 31),
        ("erasing_probability", 1.1),
        ("mix_probability", -0.1),
        ("mixup_alpha", -1),
        ("cutmix_alpha", math.inf),
        ("image_size", 0),
        ("stream", "yes"),
        ("learning_rate", math.nan),
        ("learning_rate", "1e-3"),
        ("final_learning_rate", -1e-6),
        ("weight_decay", math.inf),
        ("epochs", 0),
        ("warmup_epochs", 11),
        ("label_smoothing", 1.0),
        ("clip_norm", 0),
        ("precision", "float16"),
        ("compile", "yes"),
        ("seed", -1),
    ],
)
def test_bad_values_are_named(field, value):
    with pytest.raises(ValueError, match="wanted") as error:
        TrainConfig().replace(**{field: value})
    assert repr(value) in str(error.value)
    assert field in str(error.value) or field == "depths"


def test_first_weights_have_the_wanted_spread():
    for wanted in (0.02, 0.06):
        model = build_model(TrainConfig(init_std=wanted), 10)
        linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
        assert len(linear) == 4 * 4 + 2  # qkv, proj, fc1, fc2 of four blocks; a merging, the head
        for module in linear:
            assert module.weight.std().item() == pytest.approx(wanted, rel=0.15)
            assert module.bias is None or not module.bias.any()


def test_replace_and_unknown_names():
    config = TrainConfig()
    assert config.replace(epochs=3).epochs == 3 and config.epochs == 10
    with pytest.raises(ValueError, match="no field 'epoch'"):
        config.replace(epoch=3)
    with pytest.raises(ValueError, match="preset 'fast' is not known.*smoke, laptop, night, gpu"):
        preset("fast")
    with pytest.raises(AttributeError):
        config.epochs = 3


def test_choices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_preset().name == "laptop"
    assert choose_device().type in ("cpu", "mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90", "compute_120"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    capabilities = {(6, 0): "cpu", (7, 0): "cpu", (7, 5): "cuda", (8, 6): "cpu", (9, 0): "cuda"}
    for capability, wanted in (capabilities | {(12, 0): "cuda", (13, 1): "cuda"}).items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        assert choose_device().type == wanted, capability
        if wanted == "cpu":
            with pytest.raises(ValueError, match=r"'cuda' has compute capability \(.*sm_75, sm_90"):
                choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["gfx90a"])  # AMD's
    assert choose_device().type == "cuda"
    cards = {(9, 132): "gpu_quick", (8, 82): "gpu_quick", (8, 58): "laptop", (7, 40): "laptop"}
    for (major, count), wanted in cards.items():  # H100, RTX 3090, L4, T4
        card = SimpleNamespace(major=major, multi_processor_count=count)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, card=card: card)
        assert choose_preset().name == wanted
    monkeypatch.setenv("SWINLIB_PRESET", "smoke")
    assert choose_preset().name == "smoke"
    monkeypatch.setenv("SWINLIB_PRESET", "huge")
    with pytest.raises(ValueError, match="'huge'"):
        choose_preset()


# -------------------------------------------------------------------------------------- data


def test_shapes_are_repeatable_and_balanced():
    images, labels = draw_shapes(500, seed=5)
    again, _ = draw_shapes(500, seed=5)
    other, _ = draw_shapes(500, seed=6)
    assert images.shape == (500, 3, 32, 32) and images.dtype == torch.uint8
    assert labels.dtype == torch.int64 and torch.equal(labels.bincount(), torch.full((10,), 50))
    assert torch.equal(images, again) and not torch.equal(images, other)


def test_fallback_to_shapes_is_announced(tmp_path, monkeypatch):
    splits = {"train": draw_shapes(60, 1), "test": draw_shapes(20, 2)}
    small = splits, data_module.SHAPE_CLASSES, "shapes"
    monkeypatch.setattr(data_module, "_shapes", lambda size: small)
    for download, why in ((True, "server cannot be reached"), (False, "switched off")):
        data = load_dataset(tmp_path, download=download, config=TINY)
        assert "NOT CIFAR-10" in data.announcement and why in data.announcement
        assert "\n" not in data.announcement
    asked = load_dataset(tmp_path, "shapes", config=TINY)
    assert "NOT CIFAR-10" in asked.announcement
    assert not (tmp_path / "cache").exists()


def test_split_is_disjoint_balanced_and_fixed(tmp_path):
    make_folder(tmp_path / "cifar10", ("a", "b", "c"), train=10)
    config = TINY.replace(val_size=6, train_limit=15)
    data = load_dataset(tmp_path, "imagefolder", config=config)
    assert torch.equal(data.val_labels.bincount(), torch.tensor([2, 2, 2]))
    assert torch.equal(data.train_labels.bincount(), torch.tensor([5, 5, 5]))
    train = set(data.train_images[:, 0, 0, 0].tolist())  # brightness: one number per picture
    val = set(data.val_images[:, 0, 0, 0].tolist())
    assert len(train) == 15 and len(val) == 6 and not train & val
    assert set(data.test_images[:, 0, 0, 0].tolist()) == {
        100 + 10 * c + i for c in range(3) for i in range(3)
    }
    again = load_dataset(tmp_path, "imagefolder", config=config.replace(seed=7))
    assert torch.equal(again.val_images, data.val_images)
    values = data.train_images[:, 0].double() / 255
    assert data.mean == pytest.approx([values.mean().item()] * 3)
    assert data.std == pytest.approx([values.std(correction=0).item()] * 3)
    few = load_dataset(tmp_path, "imagefolder", config=config.replace(test_limit=3))
    assert few.test_labels.sort().values.tolist() == [0, 1, 2]
    with pytest.raises(DatasetError, match="val_size=30 of 30 training pictures leaves none"):
        load_dataset(tmp_path, "imagefolder", config=config.replace(val_size=30))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_folder_with_pictures_to_validate_on(tmp_path, name, stream):
    """They choose the epoch, all others of train are learned from, test is for the end."""
    folder = make_folder(tmp_path / "pets", **{name: 4})
    config = TINY.replace(val_size=2, stream=stream, image_size=8 if stream else None)
    data = load_dataset(tmp_path, str(folder), config=config)
    for split, wanted in (
        ("train", [10 * c + i for c in range(2) for i in range(6)]),
        ("test", [100 + 10 * c + i for c in range(2) for i in range(3)]),
        ("val", [200 + 10 * c + i for c in range(2) for i in range(4)]),
    ):
        (images,) = getattr(data, f"{split}_images").split(100)
        greys = images[:, 0, 0, 0].tolist()
        assert sorted(greys) == wanted
        assert getattr(data, f"{split}_labels").tolist() == [grey % 100 // 10 for grey in greys]
    assert data.label == "image folder pets"
    few = load_dataset(tmp_path, str(folder), config=config.replace(train_limit=4))
    assert few.train_labels.bincount().tolist() == [2, 2] and len(few.val_labels) == 8
    (folder / "test").rename(folder / "elsewhere")
    data = load_dataset(tmp_path, str(folder), config=config)
    assert data.label == f"image folder pets ({name} serves as test)"
    assert [len(x) for x in (data.train_labels, data.val_labels, data.test_labels)] == [10, 2, 8]


def test_pictures_to_validate_on_that_do_not_fit(tmp_path):
    folder = make_folder(tmp_path / "pets", val=1)
    (folder / "val" / "dog").rename(folder / "val" / "wolf")
    with pytest.raises(DatasetError, match="class 'wolf' is in .*val but .*train.wolf is missing"):
        load_dataset(tmp_path, str(folder))
    (folder / "val" / "wolf").rename(folder / "val" / "dog")
    (folder / "valid").mkdir()
    with pytest.raises(DatasetError, match="pets/val and .*pets/valid are both there, wanted one"):
        load_dataset(tmp_path, str(folder))


def test_balanced_order_with_uneven_classes():
    labels = torch.tensor([0] * 5 + [1] * 2 + [2] * 3)
    order = balanced_order(labels, seed=0)
    assert order.sort().values.tolist() == list(range(10))
    assert sorted(labels[order[:3]].tolist()) == [0, 1, 2]
    assert sorted(labels[order[:6]].tolist()) == [0, 0, 1, 1, 2, 2]


def test_validation_takes_the_same_share_of_uneven_classes(tmp_path, monkeypatch):
    def split(counts, **changes):
        labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        both = torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8), labels
        source = {"train": both, "test": both}, tuple("abc")[: len(counts)], "uneven"
        monkeypatch.setattr(data_module, "_shapes", lambda size: source)
        data = load_dataset(tmp_path, "shapes", config=TINY.replace(**changes))
        return [getattr(data, f"{s}_labels").bincount().tolist() for s in ("train", "val", "test")]

    assert split([16, 320], val_size=0.15) == [[14, 272], [2, 48], [16, 320]]
    assert split([16, 320], val_size=42, train_limit=42) == [[2, 40], [2, 40], [16, 320]]
    assert split([16, 320], val_size=0.15, test_limit=20)[2] == [10, 10]
    assert split([30, 30, 30], val_size=12) == [[26] * 3, [4] * 3, [30] * 3]
    with pytest.raises(DatasetError, match="val_size=8 of 10 .* leaves none of class 'a' to train"):
        split([1, 9], val_size=8)


@pytest.mark.parametrize("count", [1, 3, 5000])  # 5000: CIFAR-10's, whose split is recorded
def test_the_same_share_of_equal_classes_is_the_same_number(count):
    labels = torch.arange(10).repeat(count)[torch.randperm(10 * count)]
    assert torch.equal(balanced_order(labels, 0), balanced_order(labels, 0, shares=True))


def test_image_folder_label_names_and_own_path(tmp_path):
    folder = make_folder(tmp_path / "pets", suffix="jpg")
    config = TINY.replace(val_size=2)
    data = load_dataset(tmp_path, str(folder), config=config)
    assert data.class_names == ("cat", "dog") and data.label == "image folder pets"
    assert data.announcement == "" and data.num_classes == 2
    assert "10 training, 2 validation, 6 test pictures, 8x8x3, 2 classes" in repr(data)
    copy = make_folder(tmp_path / "cifar10", CIFAR10_CLASSES, 2, 1, size=32, suffix="jpg")
    data = load_dataset(tmp_path, config=config)  # "auto" finds the copy
    assert data.label == "CIFAR-10, JPEG copy (part of it: 20 + 10 pictures)"
    assert data.class_names == CIFAR10_CLASSES
    assert load_dataset(tmp_path, copy, config=config).label == data.label


def test_environment_variable_chooses_the_dataset(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "pets")
    config = TINY.replace(val_size=2)
    monkeypatch.setenv("SWINLIB_DATASET", str(folder))
    assert load_dataset(tmp_path, config=config).label == "image folder pets"
    monkeypatch.setenv("SWINLIB_DATASET", "mnist")
    with pytest.raises(ValueError, match="'mnist'.*wanted 'auto'"):
        load_dataset(tmp_path, config=config)
    assert load_dataset(tmp_path, config=config.replace(dataset=str(folder))).num_classes == 2


def test_cache_is_reused_renewed_and_survives_damage(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "cifar10")
    config = TINY.replace(val_size=2)
    reads = []
    decode = folders_module._decode
    monkeypatch.setattr(
        folders_module, "_decode", lambda f, size: reads.append(len(f)) or decode(f, size)
    )
    first = load_dataset(tmp_path, "imagefolder", config=config)
    second = load_dataset(tmp_path, "imagefolder", config=config)
    assert reads == [18] and torch.equal(first.train_images, second.train_images)
    (cached,) = (tmp_path / "cache").iterdir()  # nothing half-written left behind
    cached.write_bytes(cached.read_bytes()[:100])
    third = load_dataset(tmp_path, "imagefolder", config=config)
    assert len(reads) == 2 and torch.equal(first.train_images, third.train_images)
    (folder / "train" / "cat" / "0000.png").unlink()
    assert len(load_dataset(tmp_path, "imagefolder", config=config).train_labels) == 9
    assert reads == [18, 18, 17]


def test_unwritable_cache_costs_nothing_but_time(tmp_path):
    make_folder(tmp_path / "cifar10")
    (tmp_path / "cache").write_text("a file where the folder should be")
    data = load_dataset(tmp_path, "imagefolder", config=TINY.replace(val_size=2))
    assert len(data.train_labels) == 10


@pytest.mark.parametrize("split", ["train", "test"])
def test_missing_class(tmp_path, split):
    folder = make_folder(tmp_path / "cifar10")
    for file in (folder / split / "dog").iterdir():
        file.unlink()
    with pytest.raises(DatasetError, match=f"{split}/dog holds no picture that Pillow"):
        load_dataset(tmp_path)
    (folder / split / "dog").rmdir()
    with pytest.raises(DatasetError, match=f"'dog'.*{split}/dog is missing. Unpack"):
        load_dataset(tmp_path)


def test_missing_split_and_empty_folder(tmp_path):
    with pytest.raises(
        DatasetError, match="has no folders in it, wanted two classes. Wanted .*train/<class>"
    ):
        load_dataset(tmp_path, "imagefolder")
    with pytest.raises(DatasetError, match="nowhere is no folder, wanted one with train/<class>"):
        load_dataset(tmp_path / "nowhere", "imagefolder")
    (tmp_path / "cifar10" / "train").mkdir(parents=True)
    with pytest.raises(DatasetError, match="cifar10/train has no class folders"):
        load_dataset(tmp_path)


def test_unreadable_and_misshapen_pictures(tmp_path):
    folder = make_folder(tmp_path / "cifar10", suffix="jpg", size=32)
    file = folder / "test" / "dog" / "0001.jpg"
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"not a picture", b""):
        file.write_bytes(broken)
        with pytest.raises(DatasetError, match="test/dog/0001.jpg cannot be read.*remove it") as no:
            load_dataset(tmp_path)
        assert "<" not in str(no.value)  # of Python's words for an open file
    Image.new("RGB", (20, 32)).save(file)
    with pytest.raises(DatasetError, match="0001.jpg is 32x20 pixels and .*0000.jpg is 32x32"):
        load_dataset(tmp_path)
    assert not (tmp_path / "cache").exists()


def test_grey_and_transparent_pictures_become_rgb(tmp_path):
    folder = make_folder(tmp_path / "cifar10")
    Image.new("L", (8, 8), 7).save(folder / "train" / "cat" / "0000.png")
    Image.new("RGBA", (8, 8), (1, 2, 3, 255)).save(folder / "train" / "cat" / "0001.png")
    data = load_dataset(tmp_path, config=TINY.replace(val_size=2))
    assert data.train_images.shape == (10, 3, 8, 8)


def test_official_files_missing_or_damaged(tmp_path, monkeypatch):
    pytest.importorskip("torchvision")
    with pytest.raises(DatasetError, match="missing, cut short or damaged.*Delete"):
        load_dataset(tmp_path, "cifar10", download=False)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"half an archive")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"half a batch")
    splits = {"train": draw_shapes(60, 1), "test": draw_shapes(20, 2)}
    small = splits, data_module.SHAPE_CLASSES, "shapes"
    monkeypatch.setattr(data_module, "_shapes", lambda size: small)
    data = load_dataset(tmp_path, download=False, config=TINY)
    assert "damaged" in data.announcement and "cifar-10-python.tar.gz" in data.announcement
    assert "cifar-10-python.tar.gz has 15 bytes and a wrong checksum" in data.announcement
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    with pytest.raises(DatasetError, match="data_batch_1 has 12 bytes and a wrong checksum"):
        load_dataset(tmp_path, "cifar10", download=False)


def test_official_files_are_read(tmp_path, monkeypatch):
    """With a stand-in for torchvision's class: no 170 MB here."""
    datasets = pytest.importorskip("torchvision").datasets

    class Stub:
        filename, base_folder, url = "a.tar.gz", "cifar-10-batches-py", "https://example.invalid"
        tgz_md5 = "0"

        def __init__(self, root, train, download=False):
            if download:
                (tmp_path / "cifar-10-batches-py").mkdir()
            if not (tmp_path / "cifar-10-batches-py").exists():
                raise RuntimeError("Dataset not found or corrupted.")
            n = 50 if train else 10
            self.data = np.arange(n, dtype=np.uint8)[:, None, None, None] + np.zeros(
                (1, 32, 32, 3), np.uint8
            )
            self.targets, self.classes = [i % 10 for i in range(n)], list(CIFAR10_CLASSES)

    monkeypatch.setattr(datasets, "CIFAR10", Stub)
    monkeypatch.setattr(data_module, "online", lambda: True)
    monkeypatch.setattr(cifar_module, "_download", lambda url, path, md5: None)
    for _ in range(2):  # the first one downloads
        data = load_dataset(tmp_path, config=TINY)
        assert data.label == "CIFAR-10" and data.announcement == ""
        assert data.test_images.shape == (10, 3, 32, 32)
        assert data.test_images[:, 0, 0, 0].tolist() == list(range(10))
    larger = load_dataset(tmp_path, config=TINY.replace(image_size=48))
    assert larger.train_images.shape[1:] == larger.test_images.shape[1:] == (3, 48, 48)
    assert larger.test_images[:, 2, 40, 7].tolist() == list(range(10))
    with pytest.raises(DatasetError, match="CIFAR-10: stream=True is for folders of pictures"):
        load_dataset(tmp_path, config=TINY.replace(image_size=32, stream=True))


# ------------------------------------------------------------------------------ augmentation


@pytest.mark.parametrize("fill", ["reflect", "zero"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_random_crop_against_one_picture_at_a_time(fill, dtype):
    images = torch.randint(1, 256, (40, 3, 7, 9)).to(dtype)
    out = random_crop(images, 3, torch.Generator().manual_seed(1), fill)
    moves = torch.randint(-3, 4, (2, 40), generator=torch.Generator().manual_seed(1))
    mode = "reflect" if fill == "reflect" else "constant"
    padded = F.pad(images.float(), (3, 3, 3, 3), mode=mode).to(dtype)
    for b in range(40):
        top, left = (moves[:, b] + 3).tolist()
        assert torch.equal(out[b], padded[b, :, top : top + 7, left : left + 9])
    assert out.dtype == dtype and moves.unique().tolist() == list(range(-3, 4))


def test_random_flip_against_one_picture_at_a_time():
    images = torch.rand(50, 3, 4, 5)
    out = random_flip(images, 0.5, torch.Generator().manual_seed(1))
    flipped = [torch.equal(o, i.flip(-1)) for o, i in zip(out, images, strict=True)]
    kept = [torch.equal(o, i) for o, i in zip(out, images, strict=True)]
    assert all(f != k for f, k in zip(flipped, kept, strict=True)) and 10 < sum(flipped) < 40
    assert torch.equal(random_flip(images, 0.0, torch.Generator()), images)
    assert torch.equal(random_flip(images, 1.0, torch.Generator()), images.flip(-1))


def test_crop_off_and_bad_values():
    images = torch.rand(2, 3, 8, 8)
    assert random_crop(images, 0, torch.Generator()) is images
    with pytest.raises(ValueError, match="padding=8, wanted 0 to 7 for 8x8"):
        random_crop(images, 8, torch.Generator())
    with pytest.raises(ValueError, match="padding=-1"):
        random_crop(images, -1, torch.Generator(), "zero")
    with pytest.raises(ValueError, match="fill='edge'"):
        random_crop(images, 1, torch.Generator(), "edge")


def test_normalise():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 2, 1, 1)
    out = normalise(images, (0.2, 0.5), (0.1, 0.5))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out[:, 0].flatten(), torch.tensor([-2.0, 0.0, 8.0]))
    torch.testing.assert_close(out[:, 1].flatten(), torch.tensor([-1.0, -0.6, 1.0]))


# ---------------------------------------------------------------------------------- the loop


def test_learning_rate():
    rates = [learning_rate(s, 100, 10, 1e-3, 1e-5) for s in range(100)]
    assert rates[:10] == pytest.approx([1e-4 * i for i in range(1, 11)])
    assert max(rates) == rates[9] and rates[99] == pytest.approx(1e-5)
    assert rates[54] == pytest.approx((1e-3 + 1e-5) / 2)  # half way down the cosine
    assert all(a > b for a, b in zip(rates[9:], rates[10:], strict=False))
    assert learning_rate(0, 1, 0, 1.0, 0.1) == pytest.approx(0.1)
    assert learning_rate(4, 5, 5, 1.0) == 1.0  # nothing but warm-up


def test_parameter_groups_of_the_model():
    model = build_model(TINY, 10)
    model.head.bias.requires_grad_(False)
    decay, keep = parameter_groups(model, 0.05)
    assert decay["weight_decay"] == 0.05 and keep["weight_decay"] == 0.0
    names = {id(p): n for n, p in model.named_parameters()}
    decay, keep = ({names[id(p)] for p in group["params"]} for group in (decay, keep))
    assert decay | keep | {"head.bias"} == set(names.values()) and not decay & keep
    assert "layers.0.blocks.0.attn.relative_position_bias_table" in keep
    assert {"layers.0.blocks.0.norm1.weight", "patch_embed.proj.bias"} <= keep
    assert {
        "patch_embed.proj.weight",
        "head.weight",
        "layers.0.downsample.reduction.weight",
    } <= decay
    assert all(n.endswith("weight") and "norm" not in n for n in decay)


def test_parameter_groups_obey_any_model():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, 4, 4))
            self.linear = nn.Linear(2, 2)

        def no_weight_decay(self):
            return {"absolute_pos_embed"}

    decay, keep = parameter_groups(Net(), 0.1)
    assert [tuple(p.shape) for p in decay["params"]] == [(2, 2)]
    assert [tuple(p.shape) for p in keep["params"]] == [(1, 4, 4), (2,)]
    assert len(parameter_groups(nn.Linear(2, 2), 0.1)[0]["params"]) == 1


class Fixed(nn.Module):
    """Always sure of class 0, a little."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))
        self.batches = []

    def forward(self, x):
        assert not self.training
        self.batches.append(len(x))
        return self.logits.expand(len(x), 3)


def test_evaluate_counts_pictures_not_batches():
    model, labels = Fixed().train(), torch.tensor([0, 0, 0, 0, 0, 1, 2])
    images = torch.zeros(7, 3, 4, 4, dtype=torch.uint8)
    result = evaluate(model, images, labels, (0.5,) * 3, (0.5,) * 3, batch_size=5)
    assert model.batches == [5, 2] and model.training
    assert result.accuracy == pytest.approx(5 / 7)
    expected = F.cross_entropy(model.logits.expand(7, 3), labels).item()
    assert result.loss == pytest.approx(expected)
    assert result.predictions.tolist() == [0] * 7 and result.probabilities.shape == (7, 3)
    assert "71.43%" in repr(result)
    whole = evaluate(model, images, labels, (0.5,) * 3, (0.5,) * 3, label_smoothing=0.1)
    smooth = F.cross_entropy(model.logits.expand(7, 3), labels, label_smoothing=0.1).item()
    assert whole.loss == pytest.approx(smooth)
    for i, n in ((images[:0], labels[:0]), (images, labels[:3])):
        with pytest.raises(ValueError, match="wanted one for each"):
            evaluate(model, i, n, (0.5,) * 3, (0.5,) * 3)


def test_evaluate_puts_every_part_s_mode_back():
    """Also after an error or an interrupt: whoever froze a part does not find it thawed."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3), nn.BatchNorm1d(3), nn.Dropout())
    images, labels = torch.zeros(4, 3, 4, 4, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    model.train()
    model[2].eval()
    seen, modes = [], [module.training for module in model.modules()]
    model[3].register_forward_hook(lambda module, *_: seen.append(module.training))
    evaluate(model, images, labels, (0.5,) * 3, (0.5,) * 3)
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(IndexError):
        evaluate(model, images, labels + 9, (0.5,) * 3, (0.5,) * 3)
    assert [module.training for module in model.modules()] == modes and seen == [False] * 2


def test_confusion_matrix():
    labels, predictions = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 0, 2])
    assert confusion_matrix(labels, predictions, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert confusion_matrix(labels[:0], labels[:0], 2).tolist() == [[0, 0], [0, 0]]
    assert confusion_matrix([0, 1], np.array([1, 1], np.uint8), 2).tolist() == [[0, 1], [0, 1]]
    assert confusion_matrix([], [], 2).sum() == 0
    many = torch.full((300,), 15, dtype=torch.uint8)  # 15 * 16 + 15 fits 8 bits, 16 * 16 does not
    assert confusion_matrix(many, many, 20)[15, 15] == 300
    for labels, predictions, words in (
        ([0], [2], "predictions must lie in 0..1"),
        ([-1], [0], "labels must lie in 0..1"),
        ([0, 1, 1], [1], "3 labels and 1 predictions, wanted one for each"),
        ([1], [0, 1, 1], "1 labels and 3 predictions"),
        ([[0, 1]], [[0, 1]], r"labels are of shape \(1, 2\), wanted \(N,\)"),
        ([0, 1], [0.0, 1.0], "predictions are torch.float32, wanted whole numbers"),
        ([True, False], [0, 1], "labels are torch.bool, wanted whole numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            confusion_matrix(torch.tensor(labels), torch.tensor(predictions), 2)


def test_train_reports_logs_and_returns_the_best(shapes, tmp_path):
    steps, epochs, log = [], [], tmp_path / "runs" / "log.jsonl"
    config = TINY.replace(epochs=3)
    result = train(config, shapes, "cpu", steps.append, epochs.append, log=log)

    assert [s["step"] for s in steps] == list(range(1, 13)) and steps[0]["steps"] == 12  # 70 // 16
    assert [s["epoch"] for s in steps] == [1] * 4 + [2] * 4 + [3] * 4
    assert steps[-1]["seconds_left"] == 0 and steps[0]["seconds_left"] > 0
    first = [s["loss"] for s in steps[:4]]
    assert steps[3]["train_loss"] == pytest.approx(sum(first) / 4)
    assert steps[-1]["learning_rate"] == pytest.approx(config.final_learning_rate)
    assert epochs == result.history and len(epochs) == 3
    assert set(epochs[0]) == {
        "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate",
        "pictures_per_second", "seconds",
    }  # fmt: skip

    best = max(result.history, key=lambda r: r["val_accuracy"])
    assert result.best_epoch == best["epoch"] and not result.model.training
    mean, std = shapes.mean, shapes.std
    val = evaluate(result.model, shapes.val_images, shapes.val_labels, mean, std)
    assert val.accuracy == best["val_accuracy"]
    test = evaluate(result.model, shapes.test_images, shapes.test_labels, mean, std)
    assert test.accuracy == result.test_accuracy
    assert torch.equal(test.predictions, result.test_predictions)
    assert result.test_probabilities.shape == (40, 10)
    assert "generated shapes (not CIFAR-10)" in repr(result)

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line.pop("kind") for line in lines] == ["config", "epoch", "epoch", "epoch", "test"]
    assert TrainConfig(**lines[0]["config"]) == config and lines[0]["device"] == "cpu"
    assert lines[0]["dataset"] == shapes.label
    assert lines[1:4] == result.history
    assert lines[4]["test_accuracy"] == result.test_accuracy


def test_the_test_set_is_touched_once_and_last(shapes, monkeypatch):
    seen = []
    real = evaluate

    def spy(model, images, *args, **kwargs):
        seen.append("test" if images is shapes.test_images else "val")
        return real(model, images, *args, **kwargs)

    monkeypatch.setattr(loop_module, "evaluate", spy)
    train(TINY, shapes, "cpu")
    assert seen == ["val", "val", "test"]


def test_same_seed_same_numbers(shapes):
    def run(config):
        result = train(config, shapes, "cpu")
        losses = [(r["train_loss"], r["val_loss"]) for r in result.history]
        return losses, result.test_loss, result.model.state_dict()

    losses, test_loss, weights = run(TINY)
    torch.rand(3)  # whatever happened before in the process does not matter
    again = run(TINY)
    assert again[:2] == (losses, test_loss)
    assert all(torch.equal(weights[k], again[2][k]) for k in weights)
    assert run(TINY.replace(seed=1))[0] != losses


def test_it_learns(shapes):
    config = TINY.replace(
        epochs=30, learning_rate=5e-3, init_std=0.1, crop_padding=0, flip_probability=0.0
    )
    config = config.replace(label_smoothing=0.0, drop_path_rate=0.0)
    history = train(config, shapes, "cpu").history
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]


def test_fewer_pictures_than_a_batch(shapes):
    steps = []
    train(TINY.replace(batch_size=1000, epochs=1), shapes, "cpu", on_step=steps.append)
    assert [s["steps"] for s in steps] == [1]


@pytest.mark.parametrize("look_every", [1, 3])
def test_loss_not_finite(shapes, monkeypatch, look_every, tmp_path):
    real, calls = batches_module.augment, []

    def spoil(*arguments):
        calls.append(1)
        return real(*arguments) * (math.nan if len(calls) == 2 else 1)

    monkeypatch.setattr(batches_module, "augment", spoil)
    # Every 3: as on a GPU, where the loss is looked at only now and then.
    monkeypatch.setitem(loop_module.REPORT_EVERY, "cpu", look_every)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 2 \(epoch 1.*learning_rate"):
        train(TINY, shapes, "cpu", log=tmp_path / "log.jsonl")
    assert json.loads((tmp_path / "log.jsonl").read_text())["kind"] == "config"


# -------------------------------------------------------------------------- the command line


def test_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PRESETS, "smoke", lambda: TINY.replace(name="smoke", epochs=4))
    folder = make_folder(tmp_path / "pets", train=20, size=16)
    out = tmp_path / "run"
    argv = ["--preset", "smoke", "--data", str(tmp_path), "--out", str(out), "--device", "cpu"]
    argv += ["--dataset", str(folder), "--epochs", "1", "--seed", "3"]
    result = main(argv)
    assert result.config.epochs == 1 and result.config.seed == 3
    text = capsys.readouterr().out
    assert f"test accuracy {result.test_accuracy:.2%} on image folder pets (6 pictures)" in text
    assert "epoch   1 of 1" in text and "NOT CIFAR" not in text
    assert {f.name for f in out.iterdir()} == {"config.json", "log.jsonl", "model.safetensors"}
    about = json.loads((out / "config.json").read_text())
    config = TrainConfig(**about["config"])
    assert config == result.config and about["class_names"] == ["cat", "dog"]
    model = build_model(config, 2)
    model.load_state_dict(load_file(out / "model.safetensors"))
    data = load_dataset(tmp_path, folder, config=config)
    test = evaluate(model, data.test_images, data.test_labels, about["mean"], about["std"])
    assert test.accuracy == result.test_accuracy
    for extra, words in ((argv, "holds a finished run"), (["--epochs", "0"], "epochs=0")):
        with pytest.raises(SystemExit):
            main(extra)
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--preset", "smoke", "--dataset", "nothing", "--data", str(tmp_path)])
    assert "dataset 'nothing'" in capsys.readouterr().err


def test_help_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0 and "--preset" in capsys.readouterr().out


def test_import_is_light():
    code = (
        "import sys, swinlib.training; "
        "print([m for m in ('matplotlib', 'ipywidgets', 'torchvision', 'PIL') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
