"""The model that a configuration describes: Swin, or one of three baselines to compare it with.

The baselines are what everybody knows, as plain as it can be written. They are not what the course
teaches: they say what its numbers are worth, by the same recipe on the same pictures.
"""

from torch import nn

from swinlib.model import SwinTransformer
from swinlib.training.variants import ConvolutionalStem, take_away


def build_model(config, num_classes, picture_size=None) -> nn.Module:
    """The model that a configuration describes, freshly initialised: a SwinTransformer, unless
    ``config.model`` names a baseline.

    picture_size: (height, width) of the pictures in pixels, by which ``without="windows"`` makes
        its windows; None takes ``config.image_size``, or 32 where that is None.

    Linear layers get first weights of spread ``config.init_std``. The official 0.02 is made for
    wide models: a narrow one starts slowly with it, because each layer passes on too little.
    """
    height, width = picture_size or [config.image_size or 32] * 2
    if config.model != "swin":
        return BASELINES[config.model](num_classes, height, width)
    model = SwinTransformer(
        patch_size=config.patch_size,
        num_classes=num_classes,
        embed_dim=config.embed_dim,
        depths=config.depths,
        num_heads=config.num_heads,
        window_size=config.window_size,
        mlp_ratio=config.mlp_ratio,
        drop_path_rate=config.drop_path_rate,
    )
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=config.init_std)
    if config.stem != "patches":
        deep = config.stem == "deep"
        model.patch_embed = ConvolutionalStem(config.patch_size, 3, config.embed_dim, deep)
    if config.without:
        P = config.patch_size
        take_away(model, config.without, (-(-height // P), -(-width // P)))
    return model


def _linear(num_classes, height, width):
    """Every pixel votes for every class."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * height * width, num_classes))


def _cnn(num_classes, height, width):
    """Six convolutions with batch norm, which halve the picture twice; 0.43 million weights."""
    layers, before = [], 3
    for after, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1)):
        layers += [
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        before = after
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *pool, nn.Linear(before, num_classes))


def _vit(num_classes, height, width):
    """A plain vision transformer of 0.61 million weights: patches of 4, a position embedding, three
    blocks that attend over the whole picture, and a class token.

    Raises ValueError for pictures that are not square, or no multiple of 4 pixels wide.

    Source: Dosovitskiy et al. 2021; torchvision's `VisionTransformer`.
    """
    from torchvision.models import VisionTransformer

    if height != width or height % 4:
        raise ValueError(
            f"model='vit' with pictures of {height}x{width} pixels, wanted square ones whose side "
            "is a multiple of 4"
        )
    return VisionTransformer(
        image_size=height, patch_size=4, num_layers=3, num_heads=4, hidden_dim=128, mlp_dim=512,
        num_classes=num_classes,
    )  # fmt: skip


BASELINES = {"linear": _linear, "cnn": _cnn, "vit": _vit}
