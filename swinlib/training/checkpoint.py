"""Checkpoints: a run that is killed goes on as if nothing had happened.

A checkpoint is two files. ``epoch-00003-batch-000120.safetensors`` holds every tensor: weights,
their average, the best epoch's weights, the optimiser's memory, the states of all random numbers,
the order of the pictures. A ``.json`` of the same name holds everything else, readable, among it
the configuration and checksums of both. Nothing is pickled, so opening a stranger's checkpoint runs
none of their code. The JSON is written last: without it there is no checkpoint.
"""

import hashlib
import json
import os
import time
import warnings
from pathlib import Path

import torch
from safetensors.torch import load, save

FORMAT = 1  # raised when the files change their meaning
KEPT = 2  # checkpoints on the disk: if the newest is damaged, the one before serves
# The plain numbers of a Run.
COUNTS = """
    epoch batch losses right seen epoch_seconds learning_rate seconds best_epoch
""".split()


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file, what is wrong and the remedy."""


class _Damaged(Exception):
    pass


def write_whole(path, data):
    """Writes bytes to a file so that it is there whole or, after a crash at any moment, not at all.

    Written beside its place, pushed to the disk, then renamed, which a file system does in one go.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    if os.name == "posix":  # the rename itself reaches the disk with the folder
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


class Checkpoints:
    """The checkpoints of one run, in one folder.

    folder: created when missing; None for no checkpoints, and then every method does nothing.
    config, data, device, ranks: what the run is; a checkpoint of another run is refused.
    every: seconds from one checkpoint to the next.

    With several processes rank 0 writes and all read, so all machines must see the same folder.
    """

    def __init__(self, folder, config, data, device, ranks, every=30.0):
        self.folder = None if folder is None else Path(folder)
        self.ranks, self.device, self.every = ranks, device, every
        self.last = time.perf_counter()
        self.damaged = set()  # names of checkpoints that were passed over
        if self.folder is not None:
            self.identity = {
                "config": json.loads(json.dumps(config.to_dict())),  # lists for tuples, as read
                "data": _fingerprint(data),
                "device": device.type,
                "processes": ranks.count,
            }

    def save_if_due(self, run, now=False):
        """Saves the run if the last time was ``every`` seconds ago, or if told to do it now.

        Raises FloatingPointError, and keeps what is there, when a weight is not a finite number.
        """
        if self.folder is None:
            return
        due = now or time.perf_counter() - self.last >= self.every
        if not self.ranks.obey(due):
            return
        _require_finite(run)
        tensors = _tensors_of(run, self.ranks, self.device)  # all processes: each has random states
        if self.ranks.first:
            self._write(tensors, _facts_of(run))
        self.last = time.perf_counter()

    def _write(self, tensors, facts):
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{facts['epoch']:05d}-batch-{facts['batch']:06d}"
        data = save(tensors)
        facts = {"format": FORMAT, **self.identity, "torch": torch.__version__, **facts}
        facts["sha256 of the tensors"] = hashlib.sha256(data).hexdigest()
        facts["sha256 of these facts"] = _digest(facts)
        write_whole(self.folder / f"{name}.safetensors", data)
        write_whole(self.folder / f"{name}.json", (json.dumps(facts, indent=1) + "\n").encode())
        self.damaged.discard(name)
        self._tidy_up()

    def _tidy_up(self):
        """Removes all but the newest, and what a crash left half-written."""
        whole = [p.stem for p in self._newest_first() if p.stem not in self.damaged]
        kept = whole[:KEPT]
        for path in self.folder.glob("epoch-*"):
            if path.name.split(".")[0] not in kept or path.suffix == ".part":
                path.unlink()

    def _newest_first(self):
        return sorted(self.folder.glob("epoch-*.json"), reverse=True)

    def restore(self, run, resume=True):
        """Puts a new run into the state of the newest checkpoint; leaves it where there is none.

        A damaged one is passed over for the one before it, with a line on the console.

        Raises CheckpointError when there are checkpoints but resume is False, when none of them is
        whole, and when the newest whole one is of another run or format.
        """
        if self.folder is None:
            return
        paths = self._newest_first()
        if paths and not resume:
            raise CheckpointError(
                f"{self.folder} holds checkpoints, and resume=False. Resume, choose another folder "
                "or delete this one."
            )
        for path in paths:
            try:
                facts, tensors = _read(path)
            except _Damaged as error:
                damage = str(error)
                self.damaged.add(path.stem)
                warnings.warn(f"{damage}; trying the checkpoint before it", stacklevel=2)
                continue
            _refuse_a_stranger(path, facts, self.identity)
            _put_back(run, facts, tensors, self.ranks, self.device)
            break
        else:
            if paths:
                raise CheckpointError(
                    f"no checkpoint in {self.folder} is whole; the oldest one: {damage}. Delete "
                    "the folder to begin anew."
                )
        steps = self.ranks.gather(run.epoch * 10**9 + run.batch)
        if len(set(steps)) > 1:
            raise CheckpointError(
                f"the processes find different checkpoints in {self.folder}: it must be one folder "
                "that all machines see."
            )


# ------------------------------------------------------------------- reading, and what is damaged


def _read(path):
    """The facts and tensors of a checkpoint. Raises _Damaged where a file is not as it was written,
    CheckpointError where it is in another format."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        told, version = facts.pop("sha256 of these facts"), facts["format"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _Damaged(f"{path} is cut short or damaged") from error
    if version != FORMAT:
        raise CheckpointError(
            f"{path} is in format {version!r}, wanted {FORMAT}: another version of swinlib wrote "
            "it. Resume with that version, or choose another folder."
        )
    if told != _digest(facts):
        raise _Damaged(f"{path} is damaged: its checksum does not fit")
    tensors = path.with_suffix(".safetensors")
    try:
        data = tensors.read_bytes()
    except OSError as error:
        raise _Damaged(f"{tensors} cannot be read ({error.strerror})") from error
    if facts.get("sha256 of the tensors") != hashlib.sha256(data).hexdigest():
        raise _Damaged(f"{tensors} is damaged: its checksum does not fit")
    return facts, load(data)


def _refuse_a_stranger(path, facts, identity):
    there, here = _flat({key: facts.get(key) for key in identity}), _flat(identity)
    differences = [
        f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    ]
    if differences:
        raise CheckpointError(
            f"{path} is of another run: {'; '.join(differences)}. Choose another folder, or train "
            "as it was begun."
        )


def _flat(facts):
    """{"config": {"epochs": 3}} -> {"config.epochs": 3}"""
    flat = {}
    for key, value in facts.items():
        inner = value if isinstance(value, dict) else {}
        flat |= {f"{key}.{name}": v for name, v in inner.items()} or {key: value}
    return flat


def _digest(facts):
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _fingerprint(data):
    """What tells one set of pictures from another, the pictures themselves included."""
    digest = hashlib.sha256()
    for split in ("train", "val", "test"):
        images, labels = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
        digest.update(labels.contiguous().numpy())
        in_memory = isinstance(images, torch.Tensor)
        digest.update(images.contiguous().numpy() if in_memory else images.fingerprint())
    return {
        "label": data.label,
        "pictures": [len(data.train_labels), len(data.val_labels), len(data.test_labels)],
        "classes": data.num_classes,
        "sha256": digest.hexdigest()[:16],
    }


# ------------------------------------------------------------------------ a run as plain values


def _require_finite(run):
    if not all(bool(weight.isfinite().all()) for weight in run.model.parameters()):
        raise FloatingPointError(
            f"weights are no longer finite numbers in epoch {run.epoch}, after its batch "
            f"{run.batch}: no checkpoint is written, the ones before are kept. A lower "
            "learning_rate, a longer warmup_epochs or a smaller clip_norm usually helps."
        )


def _facts_of(run):
    return {name: getattr(run, name) for name in COUNTS} | {"history": run.history}


def _tensors_of(run, ranks, device):
    """Every tensor of a run by name, on the CPU. Optimiser entries are numbered as PyTorch does."""
    parts = {"model": run.model.state_dict(), "best": run.best_weights or {}}
    if run.average is not None:
        parts["average"] = run.average.state_dict()
    for number, memory in run.optimizer.state_dict()["state"].items():
        parts[f"optimizer.{number}"] = memory
    parts["random"] = {"generator": run.generator.get_state()}
    own = [torch.get_rng_state()]  # drop path draws from PyTorch's global numbers on the device
    if device.type == "cuda":
        own.append(torch.cuda.get_rng_state(device))
    for rank, states in enumerate(ranks.gather(own)):
        for number, state in enumerate(states):
            parts["random"][f"rank{rank}.{number}"] = state
    if run.order is not None:
        parts["order"] = {"pictures": run.order}
    return {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part, values in parts.items()
        for name, value in values.items()
    }


def _put_back(run, facts, tensors, ranks, device):
    """The opposite of `_facts_of` and `_tensors_of`."""
    for name in COUNTS:
        setattr(run, name, facts[name])
    run.history = facts["history"]
    run.model.load_state_dict(_part(tensors, "model"))
    run.best_weights = _part(tensors, "best") or None
    if run.average is not None:
        run.average.load_state_dict(_part(tensors, "average"))
    run.order = tensors.get("order.pictures")
    optimizer = run.optimizer.state_dict()
    for key, value in _part(tensors, "optimizer").items():
        number, name = key.split(".")
        optimizer["state"].setdefault(int(number), {})[name] = value
    run.optimizer.load_state_dict(optimizer)
    run.generator.set_state(tensors["random.generator"])
    torch.set_rng_state(tensors[f"random.rank{ranks.rank}.0"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors[f"random.rank{ranks.rank}.1"], device)


def _part(tensors, part):
    start = part + "."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
