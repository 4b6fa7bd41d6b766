"""Mistakes of lesson 08: four ways to a number that is not what it says."""

import torch
from torch import Tensor, nn

from swinlib.lab.museum import Room
from swinlib.training.augment import random_crop, random_flip
from swinlib.training.loop import parameter_groups

# --- which epoch, and what it is worth ----------------------------------------------------------


def chosen_by_validation(val: Tensor, test: Tensor) -> tuple[int, float]:
    """The epoch (from 0) and the accuracy to report, from (epochs,) accuracies of two splits."""
    epoch = int(val.argmax())
    return epoch, float(test[epoch])


def the_test_set_chooses(val, test):
    epoch = int(test.argmax())
    return epoch, float(test[epoch])


def measured_epochs(seed: int, epochs: int = 100, pictures: int = 500, truth: float = 0.7):
    """(val, test) accuracies of a model that no longer gets better: its luck on few pictures."""
    draws = torch.Generator().manual_seed(seed)
    right = torch.rand(2, epochs, pictures, generator=draws) < truth
    return right.double().mean(-1).unbind()


def says_what_new_pictures_get(choose) -> bool:
    """Mean of what is reported in 200 runs of 70 % truth, to half a point."""
    reported = [choose(*measured_epochs(seed))[1] for seed in range(200)]
    return abs(sum(reported) / len(reported) - 0.7) < 0.005


def chooses_without_the_test_set(choose) -> bool:
    val, test = measured_epochs(0)
    return choose(val, test)[0] == choose(val, test.flip(0))[0]


CHOICE = Room(
    right=chosen_by_validation,
    wrong=(the_test_set_chooses,),
    properties=(says_what_new_pictures_get, chooses_without_the_test_set),
    examples=lambda: [measured_epochs(seed) for seed in range(3)],
)

# --- accuracy over batches ----------------------------------------------------------------------


def accuracy(right: Tensor, batch_size: int) -> float:
    """Share of True in (N,) of bool, gone through in batches."""
    hits = sum(int(batch.sum()) for batch in right.split(batch_size))
    return hits / len(right)


def mean_of_uneven_batches(right, batch_size):
    shares = [batch.double().mean() for batch in right.split(batch_size)]
    return float(sum(shares) / len(shares))


def _answers():
    right = torch.ones(10, dtype=torch.bool)
    right[8] = False
    return right


def any_batch_size_will_do(measure) -> bool:
    return all(abs(measure(_answers(), size) - 0.9) < 1e-12 for size in range(1, 12))


ACCURACY = Room(
    right=accuracy,
    wrong=(mean_of_uneven_batches,),
    properties=(any_batch_size_will_do,),
    examples=lambda: [(_answers(), 4), (_answers(), 3)],
)

# --- pictures to be judged ----------------------------------------------------------------------


def pictures_as_they_are(images: Tensor, training: bool, seed: int) -> Tensor:
    """What the network gets to see of (B, 3, H, W): augmented in training, else unchanged."""
    if not training:
        return images
    draws = torch.Generator().manual_seed(seed)
    return random_flip(random_crop(images, 4, draws), 0.5, draws)


def augmented_test_pictures(images, training, seed):
    return pictures_as_they_are(images, True, seed)


def _images():
    return torch.arange(2 * 3 * 16 * 16).view(2, 3, 16, 16).remainder(256).to(torch.uint8)


def judged_twice_the_same(prepare) -> bool:
    return torch.equal(prepare(_images(), False, 1), prepare(_images(), False, 2))


PICTURES = Room(
    right=pictures_as_they_are,
    wrong=(augmented_test_pictures,),
    properties=(judged_twice_the_same,),
    examples=lambda: [(_images(), False, 1), (_images(), True, 1)],
)

# --- what decays --------------------------------------------------------------------------------

# A LayerNorm, a linear layer and a bias table, all 1 at first; the room's versions tell what is
# left of each after so many steps of AdamW in which no gradient pulls.
WEIGHTS = ("norm scale", "norm shift", "linear weight", "linear bias", "relative bias table")


def norms_and_biases_are_spared(steps: int) -> tuple[float, ...]:
    return _after(lambda model: parameter_groups(model, weight_decay=0.05), steps)


def everything_decays(steps):
    return _after(lambda model: [{"params": model.parameters(), "weight_decay": 0.05}], steps)


def _after(groups_of, steps):
    model = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3), nn.Embedding(9, 2))
    model.no_weight_decay = lambda: {"2.weight"}  # as Swin names its bias tables
    for weight in model.parameters():
        nn.init.ones_(weight)
        weight.grad = torch.zeros_like(weight)
    optimizer = torch.optim.AdamW(groups_of(model), lr=1e-2)
    for _ in range(steps):
        optimizer.step()
    return tuple(float(weight.detach().max()) for weight in model.parameters())


def norms_and_biases_stay(version) -> bool:
    norm_scale, norm_shift, _, bias, _ = version(20)
    return norm_scale == norm_shift == bias == 1


def bias_tables_stay(version) -> bool:
    return version(20)[4] == 1


def weights_decay(version) -> bool:
    """Or the simplest way to pass the other two would be no decay at all."""
    return version(20)[2] < 1


def nothing_decays(steps):
    return _after(lambda model: [{"params": model.parameters(), "weight_decay": 0.0}], steps)


DECAY = Room(
    right=norms_and_biases_are_spared,
    wrong=(everything_decays, nothing_decays),
    properties=(norms_and_biases_stay, bias_tables_stay, weights_decay),
    examples=lambda: [(1000,)],
)

ROOMS = (CHOICE, ACCURACY, PICTURES, DECAY)
