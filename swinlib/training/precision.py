"""In which precision a run computes, and what a device lacks of all that a configuration asks for.

On a CPU it depends on the model and on the processor whether bfloat16 pays: with instructions for
it (AVX512-BF16, AMX) a step takes half the time, without them several times as long. So a step of
the very model is timed, once.
"""

from functools import cache

import torch
import torch.nn.functional as F

from swinlib.training.devices import (
    PAYS,
    all_processors,
    autocast,
    bfloat16_gain,
    can_compile,
    has_bfloat16,
)
from swinlib.training.models import build_model

CLASSES = 10  # of the model that is timed: the head counts for nothing


def choose_precision(config, device) -> str:
    """What a run of this configuration computes in on this device: "bfloat16" or "float32".

    On a CPU bfloat16 is taken where a training step with it is at least a seventh faster. What was
    measured holds for this process; a run that goes on from a checkpoint asks the checkpoint.
    """
    if config.precision != "bfloat16" or not has_bfloat16(device):
        return "float32"
    if device.type == "cpu" and _gain_of(config.replace(name="trial", seed=0)) < PAYS:
        return "float32"
    return "bfloat16"


@cache
def _gain_of(config):
    """See `bfloat16_gain`. Times forward and backward pass, with as many pixels as 64 pictures of
    CIFAR-10 have, or one picture if it has more."""
    side = config.image_size or 32
    count = max(1, min(config.batch_size, 64 * 32**2 // side**2))
    with torch.random.fork_rng(devices=[]):  # the run's own random numbers stay as they are
        model = build_model(config, CLASSES)
        x, y = torch.randn(count, 3, side, side), torch.randint(CLASSES, (count,))

        def step(precision):
            model.zero_grad()
            with autocast(x.device, precision):
                logits = model(x)
            F.cross_entropy(logits.float(), y).backward()

        with all_processors():
            return bfloat16_gain(step)


def not_available(config, device) -> str:
    """A sentence on what the configuration asks for and this device lacks; "" if nothing."""
    missing = []
    if config.precision != choose_precision(config, device):
        slow = " does not pay" if has_bfloat16(device) else " is missing"
        missing.append(f"bfloat16{slow} (float32 instead)")
    if config.compile and not can_compile(device):
        missing.append("torch.compile is off")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"On this device ({name}) {' and '.join(missing)}." if missing else ""
