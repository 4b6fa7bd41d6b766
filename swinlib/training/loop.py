"""The training loop, and the four small things it is made of.

    data = load_dataset("data")
    result = train(preset("laptop"), data)
    result.test_accuracy

Optimiser and schedule follow section A2.1 of the Swin paper: AdamW, a warm-up in a straight line,
then half a cosine; no weight decay on norms, biases and bias tables.
"""

import copy
import importlib.util
import json
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from swinlib.model import SwinTransformer
from swinlib.training.augment import normalise, random_crop, random_flip
from swinlib.training.config import TrainConfig, choose_device

REPORT_EVERY = {"cpu": 1, "cuda": 10, "mps": 10}  # steps; looking at a GPU's numbers stalls it


@dataclass(frozen=True, repr=False)
class TrainResult:
    """What :func:`train` returns. Losses are means per picture, accuracies shares from 0 to 1."""

    model: nn.Module  # on `device`, in eval mode, with the weights of the best epoch
    history: list  # one dict per epoch, see `train`
    best_epoch: int  # counted from 1: highest validation accuracy, the earlier one of equals
    test_loss: float
    test_accuracy: float
    test_predictions: torch.Tensor  # (number of test pictures,) int64 on the CPU
    test_probabilities: torch.Tensor  # (number of test pictures, classes) float32 on the CPU
    dataset: str  # where the pictures come from; belongs beside the accuracy
    device: torch.device
    config: TrainConfig

    def __repr__(self):
        return (
            f"{self.config.name}: test accuracy {self.test_accuracy:.2%} on {self.dataset}, "
            f"best epoch {self.best_epoch} of {len(self.history)}"
        )


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What :func:`evaluate` returns; tensors on the CPU."""

    loss: float  # mean cross-entropy per picture
    accuracy: float  # share of pictures classified right, 0 to 1
    predictions: torch.Tensor  # (N,) int64
    probabilities: torch.Tensor  # (N, classes) float32, each row sums to 1

    def __repr__(self):
        return (
            f"loss {self.loss:.4f}, accuracy {self.accuracy:.2%}, {len(self.predictions)} pictures"
        )


def build_model(config, num_classes) -> SwinTransformer:
    """The Swin Transformer that a configuration describes, freshly initialised.

    Linear layers get first weights of spread ``config.init_std``. The official 0.02 is made for
    wide models: a narrow one starts slowly with it, because each layer passes on too little.
    """
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
    return model


def parameter_groups(model, weight_decay) -> list:
    """Two groups for AdamW: weights that decay, and those that must not.

    Decay pulls a weight towards 0. That is wrong for a LayerNorm's scale, pointless for a bias, and
    a model may name more in ``no_weight_decay()`` (names) and ``no_weight_decay_keywords()`` (parts
    of names): Swin names its position embedding and its bias tables. Frozen weights are left out.
    """
    names = getattr(model, "no_weight_decay", set)()
    keywords = getattr(model, "no_weight_decay_keywords", set)()
    decay, keep = [], []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        spared = weight.ndim <= 1 or name in names or any(k in name for k in keywords)
        (keep if spared else decay).append(weight)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": keep, "weight_decay": 0.0},
    ]


def learning_rate(step, steps, warmup_steps, peak, final=0.0) -> float:
    """The learning rate at a step counted from 0.

    It climbs in a straight line to ``peak`` at step ``warmup_steps - 1``, then follows half a
    cosine down to exactly ``final`` at the last step, ``steps - 1``.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = (step - warmup_steps + 1) / max(1, steps - warmup_steps)  # above 0, up to 1
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@torch.no_grad()
def evaluate(
    model, images, labels, mean, std, *, batch_size=500, label_smoothing=0.0, precision="float32"
) -> Evaluation:
    """Loss, accuracy and predictions of a model in eval mode (its mode is put back afterwards).

    images: (N, C, H, W) uint8. labels: (N,) int64. mean, std: per channel, see ``normalise``.
    Pictures count equally, also when the last batch is smaller. Runs on the model's device. Raises
    ValueError when there are no pictures or not one label for each.
    """
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels, wanted one for each")
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    losses, probabilities = [], []
    for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        with _autocast(device, precision):
            logits = model(normalise(x.to(device), mean, std)).float()
        loss = F.cross_entropy(
            logits, y.to(device), label_smoothing=label_smoothing, reduction="none"
        )
        losses.append(loss.cpu())
        probabilities.append(logits.softmax(-1).cpu())
    model.train(was_training)
    losses, probabilities = torch.cat(losses), torch.cat(probabilities)
    predictions = probabilities.argmax(-1)
    accuracy = (predictions == labels.cpu()).double().mean().item()
    return Evaluation(losses.double().mean().item(), accuracy, predictions, probabilities)


def confusion_matrix(labels, predictions, num_classes) -> torch.Tensor:
    """How often class i (row) was taken for class j (column): (num_classes, num_classes) int64.

    labels, predictions: (N,) int64 from 0 to num_classes - 1; ValueError outside that.
    """
    for name, values in (("labels", labels), ("predictions", predictions)):
        if len(values) and not (0 <= values.min() and values.max() < num_classes):
            raise ValueError(f"{name} must lie in 0..{num_classes - 1}")
    cells = labels.cpu() * num_classes + predictions.cpu()
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)


def train(
    config, data, device=None, on_step=None, on_epoch=None, progress=True, log=None
) -> TrainResult:
    """Trains a fresh model and returns it with the weights of its best epoch.

    After each epoch the model is measured on the validation pictures, and the epoch with the
    highest accuracy there wins. The test pictures are used once, at the very end, with its weights.

    config: a TrainConfig. data: an ImageSet. device: None chooses cuda, mps or cpu.
    on_step: called with a dict after every step (every ten on a GPU): step, steps, epoch, epochs;
        loss of this step; train_loss and train_accuracy so far in this epoch; learning_rate;
        pictures_per_second; seconds so far; seconds_left.
    on_epoch: called with the epoch's entry of the history, a dict: epoch (from 1), train_loss,
        train_accuracy, val_loss, val_accuracy, learning_rate (at its end), pictures_per_second
        (training only), seconds (since the start, validation included).
    progress: a bar on the console; notebooks and files get none (see swinlib.lab.monitor).
    log: a path; JSON lines go there: the configuration, then each epoch, then the test.

    All losses contain the label smoothing, so that they can be compared. train_loss and
    train_accuracy are means over the epoch, of augmented pictures, while the model still changes.

    Sets PyTorch's global seed: one seed and one machine give the same numbers again on the CPU.
    Raises FloatingPointError when the loss is not a finite number, naming the step.
    """
    device = torch.device(device) if device is not None else choose_device()
    torch.manual_seed(config.seed)  # first weights, drop path
    generator = torch.Generator().manual_seed(config.seed)  # order, crops, flips
    model = build_model(config, data.num_classes).to(device)
    groups = parameter_groups(model, config.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=device.type != "mps")
    compiled = config.compile and _can_compile(device)
    if compiled:
        model.compile()  # in place: the names of the weights stay as they are

    start = time.perf_counter()
    history, best_epoch, best_weights = [], 0, None
    with _json_lines(log) as write, _bar(config, data, progress) as bar:
        header = {"config": config.to_dict(), "dataset": data.label, "device": str(device)}
        header |= {"torch": torch.__version__, "compiled": compiled}
        write({"kind": "config", **header})

        def report(state):
            state["seconds"] = time.perf_counter() - start
            state["seconds_left"] = (
                state["seconds"] / state["step"] * (state["steps"] - state["step"])
            )
            bar.update(state["step"] - bar.n)
            bar.set_postfix_str(f"loss {state['train_loss']:.3f}")
            if on_step:
                on_step(state)

        for epoch in range(1, config.epochs + 1):
            state = _train_epoch(epoch, model, optimizer, config, data, device, generator, report)
            val = _evaluate(model, data.val_images, data.val_labels, data, config)
            record = {
                "epoch": epoch,
                "train_loss": state["train_loss"],
                "train_accuracy": state["train_accuracy"],
                "val_loss": val.loss,
                "val_accuracy": val.accuracy,
                "learning_rate": state["learning_rate"],
                "pictures_per_second": state["pictures_per_second"],
                "seconds": time.perf_counter() - start,
            }
            history.append(record)
            write({"kind": "epoch", **record})
            if best_weights is None or val.accuracy > history[best_epoch - 1]["val_accuracy"]:
                best_epoch, best_weights = epoch, copy.deepcopy(model.state_dict())
            if on_epoch:
                on_epoch(record)

        model.load_state_dict(best_weights)
        model.eval()
        test = _evaluate(model, data.test_images, data.test_labels, data, config)
        write(
            {
                "kind": "test",
                "best_epoch": best_epoch,
                "test_loss": test.loss,
                "test_accuracy": test.accuracy,
                "seconds": time.perf_counter() - start,
            }
        )
    return TrainResult(
        model, history, best_epoch, test.loss, test.accuracy, test.predictions,
        test.probabilities, data.label, device, config,
    )  # fmt: skip


def _train_epoch(epoch, model, optimizer, config, data, device, generator, report):
    """One pass over the training pictures; returns the last state that was reported."""
    images, labels = data.train_images.to(device), data.train_labels.to(device)
    per_epoch = steps_per_epoch(config, data)
    steps, warmup = config.epochs * per_epoch, round(config.warmup_epochs * per_epoch)
    order = torch.randperm(len(labels), generator=generator)  # the last, smaller batch is left out
    look_every = REPORT_EVERY[device.type]
    losses, right, seen, unread = 0.0, 0, 0, []
    start = time.perf_counter()
    model.train()
    for i, chosen in enumerate(order.split(config.batch_size)[:per_epoch], start=1):
        step = (epoch - 1) * per_epoch + i  # from 1
        rate = learning_rate(
            step - 1, steps, warmup, config.learning_rate, config.final_learning_rate
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = chosen.to(device)
        x = random_crop(images[chosen], config.crop_padding, generator, config.crop_fill)
        x = random_flip(x, config.flip_probability, generator)
        x, y = normalise(x, data.mean, data.std), labels[chosen]

        with _autocast(device, config.precision):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=config.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()

        unread.append(torch.stack([loss.detach(), (logits.detach().argmax(-1) == y).sum()]))
        if i % look_every and i != per_epoch:
            continue
        for late, (loss, hits) in enumerate(torch.stack(unread).tolist(), start=1 - len(unread)):
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {step + late} (epoch {epoch}, learning rate about "
                    f"{rate:.2g}). A lower learning_rate, a longer warmup_epochs or a smaller "
                    "clip_norm usually helps."
                )
            losses, right, seen = losses + loss, right + hits, seen + len(y)
        unread = []
        state = {
            "step": step,
            "steps": steps,
            "epoch": epoch,
            "epochs": config.epochs,
            "loss": loss,
            "train_loss": losses / i,
            "train_accuracy": right / seen,
            "learning_rate": rate,
            "pictures_per_second": seen / (time.perf_counter() - start),
        }
        report(state)
    return state


def steps_per_epoch(config, data) -> int:
    """Full batches in the training pictures; 1 where there are fewer pictures than a batch."""
    return max(1, len(data.train_labels) // config.batch_size)


def _evaluate(model, images, labels, data, config):
    return evaluate(
        model,
        images,
        labels,
        data.mean,
        data.std,
        label_smoothing=config.label_smoothing,
        precision=config.precision,
    )


def _autocast(device, precision):
    on = precision == "bfloat16" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=on)


def _can_compile(device):
    """On a GPU torch.compile needs Triton, which not every platform has; on the CPU a C++ compiler,
    which whoever sets ``compile`` for a CPU is trusted to have."""
    return device.type == "cpu" or importlib.util.find_spec("triton") is not None


def _bar(config, data, progress):
    """A bar on the console. disable=None: none where stderr is no terminal (notebooks, files)."""
    total = config.epochs * steps_per_epoch(config, data)
    return tqdm(total=total, unit="step", disable=None if progress else True)


@contextmanager
def _json_lines(path):
    """A function that appends one JSON object per line to a new file, or does nothing."""
    if path is None:
        yield lambda entry: None
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:

        def write(entry):
            file.write(json.dumps(entry) + "\n")
            file.flush()  # a run that is killed leaves the epochs it finished

        yield write
