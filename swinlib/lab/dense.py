"""Dense tasks, an answer for every token: trained, counted, and looked at place by place.

fingerprints.py and mosaics.py each have one.
"""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swinlib.training.devices import autocast
from swinlib.training.loop import parameter_groups


def first_weights(model: nn.Module, spread: float) -> None:
    """Draw the linear layers' weights anew, with this spread; narrow models begin faster so."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=spread)


def fit(
    model: nn.Module,
    draw: Callable[[], tuple[Tensor, Tensor]],
    steps: int,
    peak: float,
    *,
    scores: Callable[[Tensor], Tensor] | None = None,
    weight_decay: float = 0.01,
    precision: str = "float32",
    on_step: Callable[[dict], None] | None = None,
) -> nn.Module:
    """Train with AdamW and a one-cycle learning rate, on new pictures in every step.

    Args:
        model: changed in place.
        draw: gives a batch: pictures, and the answers ``(B, h, w)`` of int64.
        steps: of the optimiser.
        peak: highest learning rate.
        scores: pictures to ``(B, K, h, w)``; default: the model.
        weight_decay: not of norms, biases and bias tables.
        precision: "float32", or "bfloat16" for autocast.
        on_step: called with step (from 1), steps, loss, seconds.

    Returns:
        The model, in eval mode.
    """
    start = time.perf_counter()
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), lr=peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps)
    for step in range(1, steps + 1):
        pictures, wanted = draw()
        with autocast(pictures.device, precision):
            found = (scores or model)(pictures).float()
        loss = F.cross_entropy(found, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step:
            seconds = time.perf_counter() - start
            on_step({"step": step, "steps": steps, "loss": loss.item(), "seconds": seconds})
    return model.eval()


def recorded_entries(folder, names: Iterable[str], kind: str) -> dict[str, list[dict]]:
    """What is recorded in ``folder / f"{name}_seed{seed}.json"``: an entry for each seed, by name.

    Raises:
        FileNotFoundError: none of the names is; `kind` says of what.
    """
    paths = {name: sorted(Path(folder).glob(f"{name}_seed*.json")) for name in names}
    if not any(paths.values()):
        raise FileNotFoundError(f"folder={str(folder)!r} holds no recorded {kind}")
    return {
        name: [json.loads(path.read_text(encoding="utf-8")) for path in found]
        for name, found in paths.items()
        if found
    }
