"""swinlib.training: RandAugment, erasing, mixing, and that a seed repeats them."""

import pytest
import torch
from training_runs import TINY, tiny_data

from swinlib.training import augment as augment_module
from swinlib.training.augment import (
    OPERATIONS,
    apply_operations,
    augment,
    mix,
    normalise,
    random_crop,
    random_flip,
)
from swinlib.training.batches import augmented
from swinlib.training.data import draw_shapes


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def pictures(count=64):
    return draw_shapes(count, seed=4)


def rand_augment(images, operations, magnitude, generator, fill=(128, 128, 128)):
    draws = augment_module._draw_operations(len(images), operations, generator)
    return augment_module._operate(images, draws, magnitude, torch.tensor(fill))


def random_erasing(images, probability, generator):
    draws = augment_module._draw_erasing(len(images), generator)
    return augment_module._erase(images, draws, probability)


# ------------------------------------------------------------------------------- RandAugment


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (2, 2)])
@pytest.mark.parametrize("magnitude", [0, 9, 30])
@pytest.mark.parametrize("sign", [-1, 1])
def test_every_operation_is_torchvisions(size, magnitude, sign):
    """To rounding: a grey level in a few pixels."""
    from torchvision.transforms import v2

    images = v2.functional.resize(pictures(8)[0], size)
    theirs = v2.RandAugment(1, magnitude, fill=[1, 2, 3])
    assert tuple(theirs._AUGMENTATION_SPACE) == OPERATIONS
    for place, (name, (levels, signed)) in enumerate(theirs._AUGMENTATION_SPACE.items()):
        level = levels(31, *size)
        level = 0.0 if level is None else float(level[magnitude]) * (sign if signed else 1)
        wanted = theirs._apply_image_or_video_transform(
            images, name, level, v2.InterpolationMode.NEAREST, theirs._fill
        )
        which, signs = torch.full((8,), place), torch.full((8,), sign)
        got = apply_operations(images, which, signs, magnitude, torch.tensor([1, 2, 3]).byte())
        off = (got.int() - wanted.int()).abs()
        assert off.max() <= 1 and (off > 0).float().mean() < 0.1, name
        assert got.dtype == torch.uint8


def test_every_picture_draws_its_own_operations():
    images = pictures(1)[0].repeat(200, 1, 1, 1)
    out = rand_augment(images, 1, 15, seeded())
    kinds = {picture.numpy().tobytes() for picture in out}
    # Thirteen that change something, nine of them in two directions, but for a few that look alike.
    assert 18 <= len(kinds) <= 23
    again = rand_augment(images, 1, 15, seeded())
    assert torch.equal(out, again) and not torch.equal(out, rand_augment(images, 1, 15, seeded(2)))


def test_operations_of_a_batch_do_not_touch_one_another():
    images, _ = pictures(28)
    which, sign = torch.arange(14).repeat(2), torch.tensor([-1, 1]).repeat_interleave(14)
    grey = torch.full((3,), 128, dtype=torch.uint8)
    together = apply_operations(images, which, sign, 20, grey)
    alone = [
        apply_operations(images[i : i + 1], which[i : i + 1], sign[i : i + 1], 20, grey)
        for i in range(28)
    ]
    assert torch.equal(together, torch.cat(alone))


def test_rand_augment_off_and_wrong_type():
    images, _ = pictures(4)
    assert rand_augment(images, 0, 9, seeded()) is images
    with pytest.raises(ValueError, match="images are torch.float32, wanted torch.uint8"):
        augment(images.float(), TINY, (0.5,) * 3, (0.25,) * 3, seeded())


# ----------------------------------------------------------------------------------- erasing


def test_erasing_wipes_one_rectangle_of_the_right_size():
    images = torch.ones(400, 3, 24, 32)
    out = random_erasing(images, 1.0, seeded())
    shares, ratios, places = [], [], set()
    for picture in out:
        gone = picture == 0
        assert torch.equal(gone[0], gone[1]) and torch.equal(gone[0], gone[2])
        rows, columns = gone[0].any(1).nonzero()[:, 0], gone[0].any(0).nonzero()[:, 0]
        height, width = len(rows), len(columns)
        assert gone[0].sum() == height * width  # a full rectangle, in one piece
        assert rows[-1] - rows[0] + 1 == height and columns[-1] - columns[0] + 1 == width
        shares.append(height * width / (24 * 32))
        ratios.append(height / width)
        places.add((rows[0].item(), columns[0].item()))
    shares, ratios = torch.tensor(shares), torch.tensor(ratios)
    assert 0.01 < shares.min() < 0.04 and 0.28 < shares.max() < 0.36
    assert 0.25 < ratios.min() < 0.45 and 2.2 < ratios.max() < 4 and len(places) > 100
    assert (images == 1).all()  # the input is left alone


def test_erasing_probability():
    images = torch.ones(1000, 3, 8, 8)
    assert torch.equal(random_erasing(images, 0.0, seeded()), images)
    erased = (random_erasing(images, 0.25, seeded()) == 0).flatten(1).any(1).float().mean()
    assert erased.item() == pytest.approx(0.25, abs=0.05)


# ------------------------------------------------------------------------------------ mixing


def test_mixup_is_a_weighted_mean_of_neighbours():
    images, labels = torch.randn(12, 3, 8, 8), torch.arange(12) % 5
    x, y = mix(images, labels, 5, seeded(), mixup=0.8)
    one_hot = torch.nn.functional.one_hot(labels, 5).float()
    row = (labels != labels.roll(1)).nonzero()[0, 0]
    weight = y[row, labels[row]]
    assert 0 < weight < 1
    torch.testing.assert_close(x, weight * images + (1 - weight) * images.roll(1, 0))
    torch.testing.assert_close(y, weight * one_hot + (1 - weight) * one_hot.roll(1, 0))


def test_cutmix_labels_are_the_shares_of_the_area():
    images = torch.arange(12.0).view(12, 1, 1, 1).expand(12, 3, 16, 16).contiguous()
    labels = torch.arange(12)
    x, y = mix(images, labels, 12, seeded(3), cutmix=1.0)
    own = (x == images).float().mean(dim=(1, 2, 3))
    assert 0 < own[0] < 1 and (own == own[0]).all()
    torch.testing.assert_close(y[labels, labels], own)
    torch.testing.assert_close(y.sum(1), torch.ones(12))


def test_mix_off_sometimes_and_both():
    images, labels = torch.randn(8, 3, 4, 4), torch.arange(8)
    assert mix(images, labels, 8, seeded()) == (images, labels)
    x, y = mix(images, labels, 8, seeded(), mixup=1.0, probability=0.0)
    assert x is images and torch.equal(y, torch.eye(8))
    generator, kinds = seeded(), {"none": 0, "mixup": 0, "cutmix": 0}
    for _ in range(200):
        x, _ = mix(images, labels, 8, generator, mixup=1.0, cutmix=1.0, probability=0.5)
        same = (x == images).float().mean()
        kinds["none" if same == 1 else "mixup" if same == 0 else "cutmix"] += 1
    # A cut over the whole picture or over nothing looks like one of the others, rarely.
    assert 70 < kinds["none"] < 130 and min(kinds["mixup"], kinds["cutmix"]) > 25


# -------------------------------------------------------------------------------- all together


def test_everything_repeats_with_the_seed_and_leaves_the_global_numbers_alone():
    data = tiny_data()
    images, labels = data.train_images[:32], data.train_labels[:32]
    before = torch.get_rng_state()
    x, y = augmented(images, labels, TINY, data, seeded())
    again, y_again = augmented(images, labels, TINY, data, seeded())
    other, _ = augmented(images, labels, TINY, data, seeded(2))
    assert torch.equal(before, torch.get_rng_state())
    assert x.shape == (32, 3, 32, 32) and x.dtype == torch.float32 and y.shape == (32, 10)
    assert torch.equal(x, again) and torch.equal(y, y_again) and not torch.equal(x, other)


STRONG = TINY.replace(randaugment_ops=2, crop_padding=3, erasing_probability=0.5)


@pytest.mark.parametrize("config", [STRONG, TINY.replace(crop_padding=0, erasing_probability=0.0)])
def test_drawing_first_is_the_same_as_one_after_the_other(config):
    images, mean, std = pictures(32)[0], (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    generator = seeded()
    grey = [round(255 * m) for m in mean]
    x = rand_augment(images, config.randaugment_ops, config.randaugment_magnitude, generator, grey)
    x = random_crop(x, config.crop_padding, generator, config.crop_fill)
    x = random_flip(x, config.flip_probability, generator)
    x = random_erasing(normalise(x, mean, std), config.erasing_probability, generator)
    assert torch.equal(augment(images, config, mean, std, seeded()), x)


def test_it_compiles_to_one_graph_and_only_on_a_gpu(monkeypatch):
    images, asked = pictures(32)[0], []
    mean, std, compiling = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), STRONG.replace(compile=True)
    wanted = augment(images, STRONG, mean, std, seeded())
    compiled = torch.compile(augment_module._transform, fullgraph=True, backend="eager")
    monkeypatch.setattr(augment_module, "_compiled", lambda: asked.append(1) or compiled)
    assert torch.equal(augment(images, compiling, mean, std, seeded()), wanted) and not asked
    monkeypatch.setattr(augment_module, "_runs_compiled", lambda config, device: config.compile)
    assert torch.equal(augment(images, compiling, mean, std, seeded()), wanted) and asked


def test_all_off_is_normalising():
    from swinlib.training.config import TrainConfig

    data = tiny_data()
    config = TrainConfig(crop_padding=0, flip_probability=0.0)
    x, y = augmented(data.train_images, data.train_labels, config, data, seeded())
    assert torch.equal(x, normalise(data.train_images, data.mean, data.std))
    assert y is data.train_labels
