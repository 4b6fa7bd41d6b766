"""Mistakes of lesson 10: how a good checkpoint becomes a bad classifier without an error."""

import torch
from torch import Tensor, nn

from swinlib._imagenet import CLASSES_1K_IN_22K
from swinlib.lab.museum import Room
from swinlib.model import DropPath

# --- a head for 21,841 classes read as one for 1,000 ----------------------------------------------


def rows_of_the_list(head: Tensor) -> Tensor:
    """The (1000, C) of ImageNet-1K's classes out of a (21841, C) head of ImageNet-22K."""
    return head[list(CLASSES_1K_IN_22K)]


def the_first_thousand_rows(head):
    return head[:1000]


def the_list_sorted(head):
    return head[sorted(CLASSES_1K_IN_22K)]


def numbered_head() -> Tensor:
    """A head whose rows hold their own number."""
    return torch.arange(21841.0)[:, None]


def a_class_keeps_its_row(version) -> bool:
    rows = version(numbered_head())[:, 0].long().tolist()
    return tuple(rows) == CLASSES_1K_IN_22K


HEAD = Room(
    right=rows_of_the_list,
    wrong=(the_first_thousand_rows, the_list_sorted),
    properties=(a_class_keeps_its_row,),
    examples=lambda: [(numbered_head(),)],
)

# --- what a picture's numbers mean --------------------------------------------------------------

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: red, green, blue


def as_in_training(picture: Tensor) -> Tensor:
    """(3, H, W) of uint8, red first, to the numbers that the checkpoint was trained with."""
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return (picture / 255 - mean) / std


def blue_first(picture):
    return as_in_training(picture.flip(0))  # OpenCV's order


def mean_and_spread_of_another(picture):
    return (picture / 255 - 0.5) / 0.5


def bytes_as_they_are(picture):
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return (picture - mean) / std


def _plain(red, green, blue):
    return torch.tensor([red, green, blue], dtype=torch.uint8)[:, None, None].expand(3, 2, 2)


def red_stays_red(version) -> bool:
    red = version(_plain(255, 0, 0))
    return bool(red[0].min() > red[1:].max())


def the_mean_is_zero(version) -> bool:
    grey = version(_plain(*(round(255 * m) for m in MEAN)))
    return bool(grey.abs().max() < 0.02)


INPUT = Room(
    right=as_in_training,
    wrong=(blue_first, mean_and_spread_of_another, bytes_as_they_are),
    properties=(red_stays_red, the_mean_is_zero),
    examples=lambda: [(_plain(200, 100, 30),)],
)

# --- eval() -------------------------------------------------------------------------------------


def in_eval_mode(model: nn.Module, x: Tensor) -> Tensor:
    """What a model says of x."""
    model.eval()
    return model(x)


def eval_forgotten(model, x):
    return model(x)


def _paths():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), DropPath(0.5), nn.Linear(4, 2)).requires_grad_(False)


def says_the_same_twice(version) -> bool:
    model, x = _paths(), torch.ones(16, 4)
    return torch.equal(version(model.train(), x), version(model.train(), x))


MODE = Room(
    right=in_eval_mode,
    wrong=(eval_forgotten,),
    properties=(says_the_same_twice,),
    examples=lambda: [(_paths().train(), torch.ones(16, 4))],
)

# --- test pictures ------------------------------------------------------------------------------


def middle_of_the_test_picture(image: Tensor, training: bool, seed: int) -> Tensor:
    """(3, H, W) to the square that the model sees: a random part in training, else the middle."""
    side = min(image.shape[1:])
    top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
    if training:
        draws = torch.Generator().manual_seed(seed)
        side = side // 2
        top = int(torch.randint(image.shape[1] - side + 1, (), generator=draws))
        left = int(torch.randint(image.shape[2] - side + 1, (), generator=draws))
    return image[:, top : top + side, left : left + side]


def test_pictures_augmented(image, training, seed):
    return middle_of_the_test_picture(image, True, seed)


test_pictures_augmented.__test__ = False  # its name is no sign of a test for pytest


def squeezed_into_a_square(image, training, seed):
    if training:
        return middle_of_the_test_picture(image, training, seed)
    side = min(image.shape[1:])
    rows = torch.arange(side) * image.shape[1] // side
    columns = torch.arange(side) * image.shape[2] // side
    return image[:, rows][:, :, columns]


def _wide():
    return torch.arange(3 * 8 * 12).view(3, 8, 12)


def judged_twice_the_same(version) -> bool:
    return torch.equal(version(_wide(), False, 1), version(_wide(), False, 2))


def neighbours_stay_neighbours(version) -> bool:
    seen = version(_wide(), False, 1)
    return bool((seen.diff(dim=2) == 1).all())


PICTURES = Room(
    right=middle_of_the_test_picture,
    wrong=(test_pictures_augmented, squeezed_into_a_square),
    properties=(judged_twice_the_same, neighbours_stay_neighbours),
    examples=lambda: [(_wide(), False, seed) for seed in range(3)],
)

# --- what is frozen -----------------------------------------------------------------------------

# A backbone with a batch norm, as many have; the room's versions train it with the head for some
# steps and tell by how much the features of one picture have moved, and the head.


def frozen_and_in_eval_mode(steps: int) -> tuple[float, float]:
    """(how far the features moved, how far the head moved)."""
    return _trained(steps, lambda backbone: backbone.requires_grad_(False).eval())


def frozen_but_in_training_mode(steps):
    return _trained(steps, lambda backbone: backbone.requires_grad_(False))


def matrices_frozen_alone(steps):
    return _trained(steps, lambda backbone: backbone[0].requires_grad_(False), norm_in_eval=True)


def all_of_it_frozen(steps):
    return _trained(steps, lambda backbone: backbone.requires_grad_(False).eval(), head=False)


def _trained(steps, freeze, norm_in_eval=False, head=True):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        classify = nn.Linear(8, 2).requires_grad_(head)
        x, y = 3 + torch.randn(64, 4), torch.randint(2, (64,))
    model = nn.Sequential(backbone, classify).train()
    freeze(backbone)
    if norm_in_eval:
        backbone[1].eval()
    before = _features(backbone, x), classify.weight.detach().clone()
    rate = 0.1
    for _ in range(steps if head or any(p.requires_grad for p in model.parameters()) else 0):
        loss = nn.functional.cross_entropy(model(x), y)
        learning = [p for p in model.parameters() if p.requires_grad]
        for p, gradient in zip(learning, torch.autograd.grad(loss, learning), strict=True):
            p.data -= rate * gradient
    moved = (_features(backbone, x) - before[0]).abs().max()
    return float(moved), float((classify.weight.detach() - before[1]).abs().max())


@torch.no_grad()
def _features(backbone, x):
    training = [module.training for module in backbone]
    features = backbone.eval()(x).clone()
    for module, was in zip(backbone, training, strict=True):
        module.train(was)
    return features


def features_stay(version) -> bool:
    return version(5)[0] == 0


def the_head_learns(version) -> bool:
    return version(5)[1] > 0


FROZEN = Room(
    right=frozen_and_in_eval_mode,
    wrong=(frozen_but_in_training_mode, matrices_frozen_alone, all_of_it_frozen),
    properties=(features_stay, the_head_learns),
    examples=lambda: [(5,)],
)

# --- how fast -----------------------------------------------------------------------------------


def a_small_rate(steps: int) -> float:
    """How far AdamW moves weights of spread 0.02, the gradients agreeing: a share of the spread."""
    return _moved(steps, 2e-5)


def the_rate_of_pre_training(steps):
    return _moved(steps, 1e-3)


def a_rate_of_nothing(steps):
    return _moved(steps, 1e-12)


def _moved(steps, rate):
    weight = nn.Parameter(torch.zeros(10))
    optimizer = torch.optim.AdamW([weight], lr=rate, weight_decay=0.0)
    for _ in range(steps):
        weight.grad = torch.ones(10)
        optimizer.step()
    return float(weight.detach().abs().max()) / 0.02


def twenty_steps_are_a_correction(version) -> bool:
    return version(20) < 0.1


def it_moves(version) -> bool:
    return version(20) > 1e-3


RATE = Room(
    right=a_small_rate,
    wrong=(the_rate_of_pre_training, a_rate_of_nothing),
    properties=(twenty_steps_are_a_correction, it_moves),
    examples=lambda: [(20,)],
)

ROOMS = (HEAD, INPUT, MODE, PICTURES, FROZEN, RATE)
