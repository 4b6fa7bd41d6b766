"""Lesson 11: a pyramid of feature maps, and a class for every token."""

import torch.nn.functional as F
from torch import Tensor, nn

from swinlib._checks import check_flags, check_int, check_ints
from swinlib.model import SwinTransformer


class FeaturePyramid(nn.Module):
    """Maps of a backbone, fine to coarse, to maps of one width that all know what the coarse knows.

        top[i] = lateral[i](map[i]) + upsample(top[i + 1])
        out[i] = smooth[i](top[i])

    Args:
        in_channels: channels of the maps, the finest first.
        dim: channels of every map that comes out.
        smooth: the 3x3 convolutions; without them every token's numbers come from the tokens above
            it alone, its neighbours have no say.

    forward takes the maps ``(B, in_channels[i], h_i, w_i)``, each about half as high and wide as
    the one before, and returns as many ``(B, dim, h_i, w_i)``.

    Raises:
        TypeError: an argument of another type.
        ValueError: a width below 1; forward: another number of maps.

    Source: Lin et al. 2017, "Feature Pyramid Networks for Object Detection", section 3; equal to
    torchvision's `FeaturePyramidNetwork`.
    """

    def __init__(self, in_channels: tuple[int, ...], dim: int, smooth: bool = True):
        super().__init__()
        check_ints("in_channels", in_channels)
        check_int("dim", dim)
        check_flags(smooth=smooth)
        self.lateral = nn.ModuleList(nn.Conv2d(width, dim, 1) for width in in_channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(dim, dim, 3, padding=1) if smooth else nn.Identity() for _ in in_channels
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        if len(maps) != len(self.lateral):
            raise ValueError(f"maps must be {len(self.lateral)}, one a stage, got {len(maps)}")
        tops = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for i in reversed(range(len(tops) - 1)):
            tops[i] = tops[i] + F.interpolate(tops[i + 1], size=tops[i].shape[-2:])  # nearest
        return [smooth(top) for smooth, top in zip(self.smooth, tops, strict=True)]


class SwinSegmenter(nn.Module):
    """A class for every token of the first stage: backbone, pyramid, and a 1x1 convolution.

    Args:
        backbone: a `SwinTransformer` with out_indices; of one stage or several.
        num_classes: the background, if there is one, included.
        dim: channels of the pyramid.
        smooth: as in `FeaturePyramid`.

    forward takes images ``(B, in_chans, H, W)`` and returns scores ``(B, num_classes, h, w)``, with
    h and w of the finest map that the backbone gives.

    Raises:
        TypeError: an argument of another type.
        ValueError: a backbone without out_indices; a number below 1.
    """

    def __init__(
        self, backbone: SwinTransformer, num_classes: int, dim: int = 64, smooth: bool = True
    ):
        super().__init__()
        check_int("num_classes", num_classes)
        if not isinstance(backbone, SwinTransformer):
            kind = f"{type(backbone).__module__}.{type(backbone).__qualname__}"
            raise TypeError(f"backbone must be a swinlib.SwinTransformer, got {kind}")
        if backbone.out_indices is None:
            raise ValueError("backbone must have out_indices: it gives maps then, not class scores")
        self.backbone = backbone
        widths = [backbone.num_features[i] for i in backbone.out_indices]
        self.pyramid = FeaturePyramid(widths, dim, smooth)
        self.classifier = nn.Conv2d(dim, num_classes, 1)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that weight decay should leave alone."""
        return {f"backbone.{name}" for name in self.backbone.no_weight_decay()}

    def no_weight_decay_keywords(self) -> set[str]:
        """Parts of names of parameters that weight decay should leave alone."""
        return self.backbone.no_weight_decay_keywords()

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(F.relu(self.pyramid(self.backbone(images))[0]))


def intersection_over_union(confusion: Tensor) -> Tensor:
    """Per class, the tokens that are it and were called it, over those that are it or were called.

    Args:
        confusion: ``(K, K)``, how often class i (row) was taken for class j (column), counted over
            all pictures together: the mean over pictures is another number.

    Returns:
        ``(K,)`` of float64 from 0 to 1; nan for a class that neither is nor was called anywhere.

    Raises:
        ValueError: confusion is not square.
    """
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion must be (K, K), got {tuple(confusion.shape)}")
    counts = confusion.double()
    both = counts.diagonal()
    return both / (counts.sum(0) + counts.sum(1) - both)
