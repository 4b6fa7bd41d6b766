"""The training loop, and the small things it is made of.

    data = load_dataset("data")
    result = train(preset("laptop"), data)
    result.test_accuracy

Optimiser and schedule follow section A2.1 of the Swin paper: AdamW, a warm-up in a straight line,
then half a cosine; no weight decay on norms, biases and bias tables. Muon, in AdamW's place for
matrices, is younger than the paper.
"""

import copy
import dataclasses
import json
import math
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from swinlib.training.augment import normalise
from swinlib.training.batches import on_device, training_batches
from swinlib.training.checkpoint import Checkpoints, arithmetic, found, write_atomically
from swinlib.training.config import TrainConfig, choose_device
from swinlib.training.devices import all_processors, autocast, can_compile
from swinlib.training.distributed import find_ranks
from swinlib.training.ema import start_ema, update_ema
from swinlib.training.finetune import freeze, load_start, rates, train_mode
from swinlib.training.lock import locked
from swinlib.training.models import build_model
from swinlib.training.muon import Muon
from swinlib.training.precision import choose_precision


class BatchTooLarge(ValueError):
    """A step does not fit into the device's memory; the message names a batch size that does."""


REPORT_EVERY = {"cpu": 1, "cuda": 50, "mps": 10}  # steps; looking at a GPU's numbers stalls it


@dataclass(frozen=True, repr=False)
class TrainResult:
    """What :func:`train` returns. Losses are means per picture, accuracies shares from 0 to 1.

    ``class_names``, ``mean``, ``std`` and ``picture_size``, height and width in pixels, are the
    pictures': see ImageSet. Whoever uses the model needs them.
    """

    model: nn.Module  # on `device`, in eval mode, with the weights of the best epoch
    history: list  # one dict per epoch, see `train`
    best_epoch: int  # counted from 1: highest validation accuracy, the earlier one of equals
    test_loss: float
    test_accuracy: float
    test_predictions: torch.Tensor  # (number of test pictures,) int64 on the CPU
    test_probabilities: torch.Tensor  # (number of test pictures, classes) float32 on the CPU
    dataset: str  # where the pictures come from; belongs beside the accuracy
    class_names: tuple
    mean: tuple
    std: tuple
    picture_size: tuple
    device: torch.device
    config: TrainConfig
    interrupted: bool  # before the last epoch

    def __repr__(self):
        return (
            f"{self.config.name}: test accuracy {self.test_accuracy:.2%} on {self.dataset}, "
            f"best epoch {self.best_epoch} of {len(self.history)}"
            f"{', interrupted' if self.interrupted else ''}"
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


@dataclass
class Run:
    """Everything that changes while a model trains, and so all that a checkpoint must hold.

    A new field of plain values is in it at once; one of tensors has to be added to checkpoint.py.
    """

    model: nn.Module
    ema: AveragedModel | None  # of the weights, see ema.py
    optimizer: torch.optim.Optimizer
    generator: torch.Generator  # draws the order of the pictures and the augmentation
    epoch: int = 1  # the one under way
    order: torch.Tensor | None = None  # of its pictures; None before it has begun
    batch: int = 0  # how many batches of it are done
    losses: float = 0.0  # their sum
    correct: float = 0.0  # pictures of it that were classified right
    seen: int = 0  # pictures of it
    epoch_seconds: float = 0.0  # training, validation not included
    learning_rate: float = 0.0  # of the latest step
    seconds: float = 0.0  # since the start; lost work of a killed run does not count
    history: list = field(default_factory=list)  # one dict per finished epoch, see `train`
    best_epoch: int = 0
    best_weights: dict | None = None
    arithmetic: list = field(default_factory=list)  # on what it was computed, see checkpoint.py

    @property
    def precision(self) -> str:
        """What it computes in, which is not always what its configuration asks for."""
        return self.arithmetic[-1]["precision"]

    def ema_or_model(self) -> nn.Module:
        """The model that is validated and kept: the averaged one once there is one."""
        averaged = self.ema is not None and self.ema.n_averaged > 0  # its first weights are random
        return self.ema.module if averaged else self.model

    def finish_epoch(self, record):
        """Takes the epoch's record into the history, keeps the best weights, begins the next."""
        best = self.history[self.best_epoch - 1]["val_accuracy"] if self.best_epoch else -1.0
        if record["val_accuracy"] > best:
            weights = copy.deepcopy(
                self.ema_or_model().state_dict()
            )  # takes longest: an interrupt ...
            self.best_epoch, self.best_weights = self.epoch, weights  # ... finds both or neither
        self.history.append(record)
        self.epoch, self.order, self.batch = self.epoch + 1, None, 0
        self.losses, self.correct, self.seen, self.epoch_seconds = 0.0, 0.0, 0, 0.0


def parameter_groups(model, weight_decay, rates=None) -> list:
    """Groups for AdamW: weights that decay, and those that must not; two, if all learn equally.

    Decay pulls a weight towards 0. That is wrong for a LayerNorm's scale, pointless for a bias, and
    a model may name more in ``no_weight_decay()`` (names) and ``no_weight_decay_keywords()`` (parts
    of names): Swin names its position embedding and its bias tables. Also a model that is inside
    another, such as DistributedDataParallel or a detector, is asked. Frozen weights are left out.

    rates: a share of the learning rate for every name, see finetune.py; None: 1 for all. Each share
        has two groups of its own, which keep it as "rate".
    """
    named = set()
    for module in model.modules():
        names = getattr(module, "no_weight_decay", set)()
        keywords = getattr(module, "no_weight_decay_keywords", set)()
        named |= {
            id(weight)
            for name, weight in module.named_parameters()
            if name in names or any(k in name for k in keywords)
        }
    groups = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            rate = 1.0 if rates is None else rates[name]
            decay, keep = groups.setdefault(rate, ([], []))
            (keep if weight.ndim <= 1 or id(weight) in named else decay).append(weight)
    return [
        {"params": params, "weight_decay": decay, "rate": rate}
        for rate, both in groups.items()
        for params, decay in zip(both, (weight_decay, 0.0), strict=True)
    ]


def start_optimizer(model, config, precision="float32") -> torch.optim.Optimizer:
    """AdamW or Muon, as the configuration has it, for a model on its device.

    Muon moves what decays and is a matrix, but for the last linear layer's: the head's weights are
    one vector for each class, and rather a table than a matrix that passes something on.
    """
    groups = parameter_groups(model, config.weight_decay, rates(model, config))
    more = {"lr": config.learning_rate, "fused": next(model.parameters()).device.type != "mps"}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **more)
    *_, head = (m.weight for m in model.modules() if isinstance(m, nn.Linear))
    split = []
    for decay, keep in zip(groups[::2], groups[1::2], strict=True):  # of every rate
        hidden = [w for w in decay["params"] if w.ndim == 2 and w is not head]
        ids = {id(w) for w in hidden}
        others = {**decay, "params": [w for w in decay["params"] if id(w) not in ids]}
        split += [{**decay, "params": hidden, "orthogonal": True}, others, keep]
    return Muon(split, getattr(torch, precision), **more)


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
@all_processors()
def evaluate(
    model, images, labels, mean, std, *, batch_size=500, label_smoothing=0.0, precision="float32"
) -> Evaluation:
    """Loss, accuracy and predictions of a model in eval mode.

    Every part's own mode is put back afterwards, whatever happens.

    images: (N, C, H, W) uint8. labels: (N,) int64. mean, std: per channel, see ``normalise``.
    precision: "bfloat16" computes in it where the device has it, a CPU always, fast or slow.
    Pictures count equally, also when the last batch is smaller. Runs on the model's device. Raises
    ValueError when there are no pictures or not one label for each.
    """
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels, wanted one for each")
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    losses, probabilities = [], []
    try:
        model.eval()
        for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            with autocast(device, precision):
                logits = model(normalise(x.to(device), mean, std)).float()
            loss = F.cross_entropy(
                logits, y.to(device), label_smoothing=label_smoothing, reduction="none"
            )
            losses.append(loss.cpu())
            probabilities.append(logits.softmax(-1).cpu())
    finally:
        for module, training in modes:
            module.training = training
    losses, probabilities = torch.cat(losses), torch.cat(probabilities)
    predictions = probabilities.argmax(-1)
    accuracy = (predictions == labels.cpu()).double().mean().item()
    return Evaluation(losses.double().mean().item(), accuracy, predictions, probabilities)


def confusion_matrix(labels, predictions, num_classes) -> torch.Tensor:
    """How often class i (row) was taken for class j (column): (num_classes, num_classes) int64.

    labels, predictions: (N,) whole numbers from 0 to num_classes - 1, one of each for a picture.

    Raises ValueError for other numbers and for lengths that differ.
    """
    numbers = []
    for name, values in (("labels", labels), ("predictions", predictions)):
        values = torch.as_tensor(values).cpu()
        if values.ndim != 1:
            raise ValueError(f"{name} are of shape {tuple(values.shape)}, wanted (N,)")
        if len(values) and (values.is_floating_point() or values.dtype == torch.bool):
            raise ValueError(f"{name} are {values.dtype}, wanted whole numbers")
        if len(values) and not (0 <= values.min() and values.max() < num_classes):
            raise ValueError(f"{name} must lie in 0..{num_classes - 1}")
        numbers.append(values.long())
    labels, predictions = numbers
    if len(labels) != len(predictions):
        raise ValueError(
            f"{len(labels)} labels and {len(predictions)} predictions, wanted one for each"
        )
    cells = labels * num_classes + predictions
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)


def start_run(config, data, device, precision="float32") -> Run:
    """A run before its first step: fresh weights, or ``config.weights``, with a fresh head for
    other classes; everything seeded with ``config.seed``.
    """
    torch.manual_seed(config.seed)  # first weights, drop path
    model = build_model(config, data.num_classes, data.train_images.shape[-2:])
    if config.weights is not None:
        load_start(model, config, data.class_names)
    freeze(model, config.freeze)
    model.to(device)
    return Run(
        model=model,
        ema=start_ema(model, config.ema_decay),
        optimizer=start_optimizer(model, config, precision),
        generator=torch.Generator().manual_seed(config.seed),
        arithmetic=[arithmetic(device, precision)],
    )


def train(
    config,
    data,
    device=None,
    on_step=None,
    on_epoch=None,
    progress=True,
    log=None,
    checkpoints=None,
    resume=True,
    checkpoint_seconds=30.0,
    test_interrupted=True,
) -> TrainResult:
    """Trains a fresh model, or one that starts from ``config.weights``, and returns it with the
    weights of its best epoch.

    After each epoch the model is measured on the validation pictures, and the epoch with the
    highest accuracy there wins. The test pictures are used once, at the very end, with its weights.
    With ``config.ema_decay`` above 0 what is measured and kept are the averaged weights.

    Args:
        config: a TrainConfig.
        data: an ImageSet.
        device: None chooses cuda, mps or cpu.
        on_step: called with a dict after every step (every fifty on a GPU): step, steps, epoch,
            epochs; loss of this step; train_loss and train_accuracy so far in this epoch;
            learning_rate; pictures_per_second; seconds so far; seconds_left.
        on_epoch: called with the epoch's entry of the history, a dict: epoch (from 1), train_loss,
            train_accuracy, val_loss, val_accuracy, learning_rate (at its end), pictures_per_second
            (training only), seconds (since the start, validation included). A resumed run first
            hands over the epochs that were done before.
        progress: a bar on the console; notebooks and files get none (see swinlib.lab.monitor).
        log: a path; JSON lines go there: the configuration, then each epoch, then the test.
        checkpoints: a folder; the run is saved there every ``checkpoint_seconds``, inside an epoch
            too, and after the last one. None: nowhere.
        resume: go on from the newest checkpoint in that folder, if there is one. On the CPU a run
            that was killed and resumed gives the same numbers, bit for bit, as one that never was.
            With another number of threads, processor or PyTorch it goes on too, and warns that it
            differs.
        checkpoint_seconds: at least 0.
        test_interrupted: whether an interrupted run is tested and returned; False raises
            KeyboardInterrupt at once, for whoever goes on from the checkpoints.

    All losses contain the label smoothing, so that they can be compared. train_loss and
    train_accuracy are means over the epoch, of augmented pictures, while the model still changes;
    a mixed picture counts as right when the larger part is recognised.

    An interrupt (Ctrl-C, a notebook's stop button) ends the run early: it says so in a line, and
    the best epoch so far is tested and returned, with ``interrupted`` set. With checkpoints the
    next call goes on where the last of them left it. Before the end of the first epoch there is
    nothing to return, and KeyboardInterrupt is raised. After the last epoch an interrupt only makes
    the test begin anew; while an interrupted run is tested, or a test has begun anew, it is raised.

    While it runs, ``log`` and ``checkpoints`` are its own: see lock.py.

    Sets PyTorch's global seed: one seed and one machine give the same numbers again on the CPU.
    Joined with others (see distributed.py) this process takes its share of every batch.
    Raises FloatingPointError when a loss, in training, validation or test, is not a finite number;
    CheckpointError when the checkpoints cannot be used; InUseError when another run uses the same
    log or folder; BatchTooLarge when a step does not fit into the device's memory, naming a batch
    size that does; ValueError for a device that is not there, for pictures that the configuration
    does not fit, and when processes cannot share a batch equally.
    """
    device, ranks = choose_device(device), find_ranks()
    _require_equal_shares(config, data, ranks)
    _require_fit(config, data)
    with ExitStack() as stack:
        stack.enter_context(all_processors())
        if checkpoints is not None:
            Path(checkpoints).mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_if_empty, Path(checkpoints))
        for place in (checkpoints, log) if ranks.is_main else ():
            if place is not None:
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(place))
        saver = Checkpoints(checkpoints, config, data, device, ranks, checkpoint_seconds)
        return _train(
            config, data, device, ranks, saver, on_step, on_epoch, progress, log, resume,
            test_interrupted,
        )  # fmt: skip


def _remove_if_empty(folder):
    with suppress(OSError):
        folder.rmdir()


def _train(
    config, data, device, ranks, saver, on_step, on_epoch, progress, log, resume, test_interrupted
):
    precision = ranks.broadcast(choose_precision(config, device))  # one clock decides for all
    run = start_run(config, data, device, precision)
    if not ranks.is_main:
        torch.manual_seed(config.seed + ranks.rank)  # each process drops other paths
        progress, log, on_step, on_epoch = False, None, None, None
    data = on_device(saver.restore(run, resume), device)
    if isinstance(run.optimizer, Muon):  # in what the checkpoint says, whatever was chosen here
        run.optimizer.dtype = getattr(torch, run.precision)
    forward = wrapped = ranks.wrap(run.model)
    compiled = config.compile and can_compile(device)
    if compiled:  # the training steps only: measuring compiles nothing
        # CUDA graphs, unless processes talk to one another inside: launching kernels one by one
        # takes a processor longer than a GPU needs for them.
        # Nor where gradients add up: a graph would write over what it left the time before.
        graphs = device.type == "cuda" and ranks.count == 1 and config.accumulate == 1
        forward = torch.compile(forward, mode="reduce-overhead" if graphs else None)

    start = time.perf_counter() - run.seconds
    header = {"config": config.to_dict(), "dataset": data.label, "device": str(device)}
    header |= {"torch": torch.__version__, "compiled": compiled, "processes": ranks.count}
    header["arithmetic"] = run.arithmetic  # of more than one: resumed, and not bit for bit
    with _json_lines(log, header, run.history) as write, _bar(run, config, data, progress) as bar:

        def report(state):
            run.seconds = time.perf_counter() - start
            _show(bar, state, run.seconds)
            if on_step:
                on_step(state)
            saver.save_if_due(run)

        for record in run.history if on_epoch else ():
            on_epoch(record)
        interrupted = False
        try:
            while run.epoch <= config.epochs:
                if not _fits(
                    lambda: _train_epoch(run, forward, config, data, device, ranks, report, wrapped)
                ):
                    raise _too_large(config, data, device, ranks, run.precision)
                val = _evaluate(run, data.val_images, data.val_labels, data, config, ranks)
                _require_finite("validation", val.loss, run.epoch, run.learning_rate)
                run.seconds = time.perf_counter() - start
                record = _record(run, val)
                run.finish_epoch(record)
                write({"kind": "epoch", **record})
                if on_epoch:
                    on_epoch(record)
                saver.save_if_due(run, now=run.epoch > config.epochs)
            test = _test(run, data, config, ranks)
        except KeyboardInterrupt:
            if not test_interrupted:
                raise
            interrupted = run.epoch <= config.epochs
            if interrupted:
                _report_interrupt(run, config, ranks, saver)
            test = _test(run, data, config, ranks)
        _require_finite("test", test.loss, run.best_epoch, run.learning_rate)
        if not interrupted:  # else the log stays that of an unfinished run
            write(
                {
                    "kind": "test",
                    "best_epoch": run.best_epoch,
                    "test_loss": test.loss,
                    "test_accuracy": test.accuracy,
                    "confusion": confusion_matrix(
                        data.test_labels, test.predictions, data.num_classes
                    ).tolist(),
                    "seconds": time.perf_counter() - start,
                }
            )
    return TrainResult(
        run.ema_or_model(), run.history, run.best_epoch, test.loss, test.accuracy,
        test.predictions, test.probabilities, data.label, data.class_names, data.mean, data.std,
        tuple(data.train_images.shape[-2:]), device, config, interrupted,
    )  # fmt: skip


def _gradients(x, y, forward, wrapped, config, device, precision):
    """Leaves the batch's gradient in the weights, part after part where ``config.accumulate`` says
    so. Returns the mean loss and the number of pictures classified right."""
    loss, hits = 0.0, 0
    parts = min(config.accumulate, len(x))
    for i, (x_part, y_part) in enumerate(
        zip(x.tensor_split(parts), y.tensor_split(parts), strict=True), start=1
    ):
        # Processes exchange their gradients once, with the last part.
        alone = i < parts and isinstance(wrapped, nn.parallel.DistributedDataParallel)
        with wrapped.no_sync() if alone else nullcontext():
            with autocast(device, precision):
                logits = forward(x_part)
            part = F.cross_entropy(logits.float(), y_part, label_smoothing=config.label_smoothing)
            part = part * (len(x_part) / len(x))
            part.backward()
        loss, hits = loss + part.detach(), hits + _count_correct(logits, y_part)
    return loss, hits


def _report_interrupt(run, config, ranks, saver):
    """Says what the run is worth; raises KeyboardInterrupt again where that is nothing."""
    saved = f" A run with the checkpoints in {saver.folder} goes on." if found(saver.folder) else ""
    if ranks.count > 1:  # the others would have to stop too
        raise KeyboardInterrupt(f"in epoch {run.epoch} of {config.epochs}.{saved}") from None
    if not run.best_epoch:
        raise KeyboardInterrupt(f"before the end of the first epoch.{saved}") from None
    print(
        f"Interrupted in epoch {run.epoch} of {config.epochs}: this is epoch {run.best_epoch}, the "
        f"best so far.{saved}"
    )


def _train_epoch(run, forward, config, data, device, ranks, report, wrapped=None):
    """Takes the run from where it stands to the end of its epoch.

    forward: the model, perhaps compiled and shared with other processes. wrapped: the same, not
    compiled.
    """
    per_epoch = steps_per_epoch(config, data)
    steps, warmup = config.epochs * per_epoch, round(config.warmup_epochs * per_epoch)
    if run.order is None:
        run.order = torch.randperm(len(data.train_labels), generator=run.generator)
    # The last, smaller batch is left out; so are batches done before the run was resumed.
    order = run.order.split(config.batch_size)[run.batch : per_epoch]
    batches = training_batches(order, run.epoch, config, data, device, run.generator, ranks)
    unread, start = [], time.perf_counter() - run.epoch_seconds
    train_mode(run.model, config.freeze)
    for i, (x, y) in enumerate(batches, start=run.batch + 1):
        step = (run.epoch - 1) * per_epoch + i  # from 1
        rate = learning_rate(
            step - 1, steps, warmup, config.learning_rate, config.final_learning_rate
        )
        for group in run.optimizer.param_groups:
            group["lr"] = rate * group["rate"]

        run.optimizer.zero_grad()  # before the forward pass: CUDA graphs use the memory again
        loss, hits = _gradients(x, y, forward, wrapped, config, device, run.precision)
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(run.model.parameters(), config.clip_norm)
        run.optimizer.step()
        if step % config.ema_every == 0:
            update_ema(run.ema, run.model, warming_up=step <= warmup)

        unread.append(torch.stack([loss / ranks.count, hits]))
        if i % REPORT_EVERY[device.type] and i != per_epoch:
            continue
        loss = _add_losses(run, ranks.all_reduce(torch.stack(unread)).tolist(), step, rate)
        run.seen += len(unread) * len(y) * ranks.count
        run.batch, run.learning_rate, unread = i, rate, []
        run.epoch_seconds = time.perf_counter() - start
        report(
            {
                "step": step,
                "steps": steps,
                "epoch": run.epoch,
                "epochs": config.epochs,
                "loss": loss,
                "learning_rate": rate,
                **_running_means(run),
            }
        )


def _fits(work) -> bool:
    """Whether the device's memory was enough. The error is not handed on: its traceback would keep
    the tensors that did not fit."""
    try:
        work()
    except torch.OutOfMemoryError:
        return False
    return True


def _too_large(config, data, device, ranks, precision) -> BatchTooLarge:
    """The error for a batch that does not fit, with one of half the size, a quarter, ... that does:
    two steps of a new run are taken with it."""
    size = config.batch_size // config.accumulate
    says = f"batch_size={config.batch_size} does not fit into memory"
    if config.accumulate > 1:
        says += f" in {config.accumulate} parts"
    if ranks.count > 1:  # the others would have to take part
        return BatchTooLarge(f"{says}, wanted a smaller one")
    while size > 1:
        size //= 2
        if device.type == "cuda":
            torch.cuda.empty_cache()
        trial = config.replace(batch_size=size, accumulate=1)
        some = torch.arange(min(2 * size, len(data.train_labels)))
        few = dataclasses.replace(
            data, train_images=data.train_images[some], train_labels=data.train_labels[some]
        )

        def two_steps(trial=trial, few=few):
            new = start_run(trial, few, device, precision)
            _train_epoch(new, new.model, trial, few, device, ranks, lambda state: None)

        if _fits(two_steps):
            rate, parts = config.learning_rate * size / config.batch_size, config.batch_size // size
            same = f"accumulate={parts} takes it in parts, with the same numbers; or "
            same = same if config.batch_size % parts == 0 else ""
            return BatchTooLarge(f"{says}; {size} fits: {same}--set batch_size={size} "
                                 f"learning_rate={rate:.2g}")  # fmt: skip
    return BatchTooLarge(f"{says}, nor does a single picture: use a smaller model")


def _add_losses(run, unread, step, rate):
    """Adds the (loss, pictures right) of the latest steps, up to `step`, and returns the last loss.

    Raises FloatingPointError for a loss that is not a finite number.
    """
    for late, (loss, hits) in enumerate(unread, start=1 - len(unread)):
        _require_finite("training", loss, run.epoch, rate, f" at step {step + late}")
        run.losses, run.correct = run.losses + loss, run.correct + hits
    return loss


def _require_finite(kind, loss, epoch, rate, where=""):
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the {kind} loss is {loss}{where} (epoch {epoch}, learning rate about {rate:.2g}). A "
            "lower learning_rate, a longer warmup_epochs or a smaller clip_norm usually helps."
        )


def _running_means(run):
    """The means of the epoch under way."""
    return {
        "train_loss": run.losses / run.batch,
        "train_accuracy": run.correct / run.seen,
        "pictures_per_second": run.seen / run.epoch_seconds,
    }


def _record(run, val):
    """The epoch's entry in the history."""
    so_far = _running_means(run)
    return {
        "epoch": run.epoch,
        "train_loss": so_far["train_loss"],
        "train_accuracy": so_far["train_accuracy"],
        "val_loss": val.loss,
        "val_accuracy": val.accuracy,
        "learning_rate": run.learning_rate,
        "pictures_per_second": so_far["pictures_per_second"],
        "seconds": run.seconds,
    }


def _count_correct(logits, y):
    """How many pictures were classified right; of shares (B, classes) the largest one counts."""
    classes = y if y.ndim == 1 else y.argmax(-1)
    return (logits.detach().argmax(-1) == classes).sum()


def steps_per_epoch(config, data) -> int:
    """Full batches in the training pictures; 1 where there are fewer pictures than a batch."""
    return max(1, len(data.train_labels) // config.batch_size)


def _test(run, data, config, ranks):
    """Measures the best epoch on the test pictures, and leaves its weights in the model."""
    run.ema_or_model().load_state_dict(run.best_weights)
    run.ema_or_model().eval()
    return _evaluate(run, data.test_images, data.test_labels, data, config, ranks)


def _evaluate(run, images, labels, data, config, ranks):
    """In batches as large as those of CIFAR-10 in pixels, or as this process trains with."""
    H, W = images.shape[-2:]
    share = config.batch_size // config.accumulate // ranks.count
    return evaluate(
        run.ema_or_model(),
        images,
        labels,
        data.mean,
        data.std,
        batch_size=min(500, max(share, 500 * 32**2 // (H * W), 1)),
        label_smoothing=config.label_smoothing,
        precision=run.precision,
    )


def _require_equal_shares(config, data, ranks):
    parts = ranks.count * config.accumulate
    if config.batch_size % parts:
        times = f" times accumulate={config.accumulate}" if config.accumulate > 1 else ""
        raise ValueError(
            f"batch_size={config.batch_size} cannot be shared equally by {ranks.count} processes"
            f"{times}, wanted a multiple of {parts}"
        )
    if ranks.count > 1 and len(data.train_labels) < config.batch_size:
        raise ValueError(
            f"batch_size={config.batch_size} with {len(data.train_labels)} training pictures, "
            f"wanted at least one full batch for {ranks.count} processes"
        )


def _require_fit(config, data):
    side = min(data.train_images.shape[-2:])
    if config.crop_fill == "reflect" and config.crop_padding >= side:
        raise ValueError(
            f"crop_padding={config.crop_padding} with pictures of {side} pixels, wanted 0 to "
            f"{side - 1}, or crop_fill='zero'"
        )


def _bar(run, config, data, progress):
    """A bar on the console. disable=None: none where stderr is no terminal (notebooks, files)."""
    per_epoch = steps_per_epoch(config, data)
    return tqdm(
        total=config.epochs * per_epoch,
        initial=(run.epoch - 1) * per_epoch + run.batch,
        unit="step",
        disable=None if progress else True,
        # Done, and the time left; _show adds loss, accuracy and pictures per second.
        bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
    )


def _show(bar, state, seconds):
    """Adds the times to the state and moves the bar to it."""
    state["seconds"] = seconds
    state["seconds_left"] = seconds / state["step"] * (state["steps"] - state["step"])
    bar.set_postfix_str(
        f"loss {state['train_loss']:.3f}, accuracy {state['train_accuracy']:.1%}, "
        f"{state['pictures_per_second']:,.0f} pictures/s",
        refresh=False,
    )
    bar.update(state["step"] - bar.n)


@contextmanager
def _json_lines(path, header, history):
    """A function that appends one JSON object per line to a file, or does nothing.

    The file begins anew, with the configuration and the epochs done before the run was resumed: so
    each epoch is in it once, even if the run was killed between its line and its checkpoint.
    """
    if path is None:
        yield lambda entry: None
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"kind": "config", **header}, *({"kind": "epoch", **r} for r in history)]
    write_atomically(path, "".join(_line(entry) for entry in entries).encode())
    with path.open("a", encoding="utf-8") as file:

        def write(entry):
            file.write(_line(entry))
            file.flush()  # a run that is killed leaves the epochs it finished

        yield write


def _line(entry):
    return json.dumps(entry, allow_nan=False) + "\n"
