"""A training run of half a second, with everything switched on, for tests of the engine."""

import hashlib

from PIL import Image

from swinlib.training.config import TrainConfig
from swinlib.training.data import SHAPE_CLASSES, ImageSet, draw_shapes
from swinlib.training.loop import train

TIMES = {"seconds", "pictures_per_second"}  # what no two runs have in common

PLAIN = TrainConfig(
    name="tiny",
    embed_dim=8,
    depths=(1, 2),
    num_heads=(1, 2),
    drop_path_rate=0.1,
    val_size=20,
    batch_size=16,
    epochs=2,
    warmup_epochs=0.5,
)
TINY = PLAIN.replace(
    randaugment_ops=1,
    erasing_probability=0.5,
    mixup_alpha=0.8,
    cutmix_alpha=1.0,
    mix_probability=0.7,
    ema_decay=0.8,
    learning_rate=5e-3,
    epochs=3,
)


def tiny_data():
    images, labels = draw_shapes(140, seed=3)
    return ImageSet(
        images[:70], labels[:70], images[70:100], labels[70:100], images[100:], labels[100:],
        SHAPE_CLASSES, "generated shapes (not CIFAR-10)", (0.5,) * 3, (0.25,) * 3,
    )  # fmt: skip


def outcome(result):
    """All that two equal runs must have in common, as plain values: compare with ==."""
    weights = hashlib.sha256()
    for name, value in sorted(result.model.state_dict().items()):
        weights.update(name.encode() + value.numpy().tobytes())
    return {
        "history": [without_times(record) for record in result.history],
        "best": result.best_epoch,
        "test": [result.test_loss, result.test_accuracy],
        "probabilities": result.test_probabilities.tolist(),
        "weights": weights.hexdigest(),
    }


def without_times(entry):
    return {name: value for name, value in entry.items() if name not in TIMES}


def run(config=TINY, data=None, **more):
    """`train`, saving after every step if there are checkpoints."""
    data = tiny_data() if data is None else data
    return train(config, data, "cpu", progress=False, checkpoint_seconds=0, **more)


def tiny_folder(root):
    """An image folder with a few shapes, for runs in processes of their own."""
    for split, count, seed in (("train", 70, 1), ("test", 20, 2)):
        for i, (image, label) in enumerate(zip(*draw_shapes(count, seed), strict=True)):
            folder = root / split / SHAPE_CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    return root
