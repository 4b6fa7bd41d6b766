"""Checkpoints: a run that is killed goes on as if nothing had happened.

A checkpoint is two files. ``epoch-00003-batch-000120.safetensors`` holds every tensor: weights,
their average, the best epoch's weights, the optimiser's memory, the states of all random numbers,
the order of the pictures. A ``.json`` of the same name holds everything else, readable, among it
the configuration and checksums of both. Nothing is pickled, so opening a stranger's checkpoint runs
none of their code. The JSON is written last: without it there is no checkpoint.
"""

import dataclasses
import hashlib
import json
import os
import platform
import re
import time
import warnings
from contextlib import suppress
from pathlib import Path

import torch
from safetensors.torch import load, save

from swinlib.training import finetune
from swinlib.training.stream import PictureFiles

FORMAT = 3  # raised when the files change their meaning
KEPT = 2  # checkpoints on the disk: if the newest is damaged, the one before serves
LOSS = 0.01  # share of the pictures in files that may be gone when a run goes on
# The fields of a Run that are made of tensors: see _tensors_of. All others are plain values.
TENSORS = {"model", "ema", "best_weights", "optimizer", "generator", "order"}
SPLITS = ("train", "val", "test")
OURS = re.compile(r"(epoch-(\d+)-batch-(\d+))\.(json|safetensors)(\.part)?")


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file, what is wrong and the remedy."""


class _Damaged(Exception):
    pass


def write_atomically(path, data):
    """Writes bytes to a file so that it is there whole or, after a crash at any moment, not at all.

    Written beside its place, pushed to the disk, then renamed, which a file system does in one go.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # a full disk needs its room
        part.unlink(missing_ok=True)
        raise
    os.replace(part, path)
    if os.name == "posix":  # the rename itself reaches the disk with the folder
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


class Checkpoints:
    """The checkpoints of one run, in one folder.

    folder: created when missing; None for no checkpoints, and then every method does nothing.
    config, data, device, ranks: what the run is; a checkpoint of another run is refused.
    every: seconds from one checkpoint to the next, at least 0.

    Raises ValueError for another `every`.

    With several processes rank 0 writes and all read, so all machines must see the same folder.
    """

    def __init__(self, folder, config, data, device, ranks, every=30.0):
        if not every >= 0:  # nor nan
            raise ValueError(f"checkpoint_seconds={every!r}, wanted a number of at least 0")
        self.folder = None if folder is None else Path(folder)
        self.ranks, self.device, self.every = ranks, device, every
        self.last = time.perf_counter()
        self.damaged = set()  # names of checkpoints that were passed over
        self.data, self.files = data, {}
        if self.folder is not None:
            self.files = _signatures(data)
            self.identity = {
                "config": config.identity(),
                "data": _fingerprint(data),
                "device": device.type,
                "processes": ranks.count,
            }
            if config.weights is not None:  # whatever the file is called now
                self.identity["weights"] = finetune.digest(config)

    def save_if_due(self, run, now=False):
        """Saves the run if the last time was ``every`` seconds ago, or if told to do it now.

        Raises FloatingPointError, and keeps what is there, when a weight is not a finite number.
        """
        if self.folder is None:
            return
        due = now or time.perf_counter() - self.last >= self.every
        if not self.ranks.broadcast(due):
            return
        _require_finite(run)
        tensors = _tensors_of(run, self.ranks, self.device)  # all processes: each has random states
        tensors |= self.files
        if self.ranks.is_main:
            self._write(tensors, _facts_of(run))
        self.last = time.perf_counter()

    def _write(self, tensors, facts):
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{facts['epoch']:05d}-batch-{facts['batch']:06d}"
        data = save(tensors)
        facts = {"format": FORMAT, **self.identity, **facts}
        facts |= {"mean": list(self.data.mean), "std": list(self.data.std)}
        facts["sha256 of the tensors"] = hashlib.sha256(data).hexdigest()
        facts["sha256 of these facts"] = _digest(facts)
        write_atomically(self.folder / f"{name}.safetensors", data)
        text = json.dumps(facts, indent=1, allow_nan=False) + "\n"
        write_atomically(self.folder / f"{name}.json", text.encode())
        self.damaged.discard(name)
        self._tidy_up()

    def _tidy_up(self):
        """Removes all but the newest, and what a crash left half-written."""
        whole = [p.stem for p in found(self.folder) if p.stem not in self.damaged]
        for path, ours in _ours(self.folder):
            if ours[1] not in whole[:KEPT] or ours[5]:
                path.unlink()

    def restore(self, run, resume=True):
        """Puts a new run into the state of the newest checkpoint; leaves it where there is none.

        A damaged one is passed over for the one before it, with a line on the console. A line also
        says where the run goes on with other arithmetic, or with fewer pictures in files, and so
        not bit for bit.

        Returns the ImageSet to go on with.

        Raises CheckpointError when there are checkpoints but resume is False, when none of them is
        whole, and when the newest whole one is of another run or format.
        """
        if self.folder is None:
            return self.data
        paths = found(self.folder)
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
            here = run.arithmetic[-1]
            _check_same_run(path, facts, self.identity, here)
            _load_state(run, facts, tensors, self.ranks, self.device)
            _note_arithmetic(path, run, here, self.device.type == "cpu")
            if self.files:
                self.data = _check_same_pictures(path, self.data, facts, tensors, self.files, run)
                self.files = _signatures(self.data)
            break
        else:
            if paths:
                raise CheckpointError(
                    f"no checkpoint in {self.folder} is whole; the oldest one: {damage}. Delete "
                    "the folder to start over."
                )
        steps = self.ranks.all_gather(run.epoch * 10**9 + run.batch)
        if len(set(steps)) > 1:
            raise CheckpointError(
                f"the processes find different checkpoints in {self.folder}: it must be one folder "
                "that all machines see."
            )
        return self.data


def found(folder) -> list:
    """The paths of the checkpoints in a folder, the newest first; none where it is None."""
    if folder is None:
        return []
    ours = [(int(o[2]), int(o[3]), p) for p, o in _ours(Path(folder)) if p.suffix == ".json"]
    return [path for _, _, path in sorted(ours, reverse=True)]


def clear(folder):
    """Removes the checkpoints in a folder, and the folder if nothing else is in it."""
    for path, _ in _ours(Path(folder)):
        path.unlink()
    with suppress(OSError):  # somebody else's files are in it, or it is a link
        Path(folder).rmdir()


def _ours(folder):
    """(path, match of OURS) for every file that a run wrote; whatever else lies there is not."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if ours := OURS.fullmatch(path.name):
                yield path, ours


# ------------------------------------------------------------------- reading, and what is damaged


def _read(path):
    """The facts and tensors of a checkpoint. Raises _Damaged where a file is not as it was written,
    CheckpointError where it is in another format."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        told, fits = facts.pop("sha256 of these facts"), _digest(facts)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise _Damaged(f"{path} is cut short or damaged") from error
    if told != fits:  # before anything in it is believed
        raise _Damaged(f"{path} is damaged: its checksum does not fit")
    if facts.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is in format {facts.get('format')!r}, wanted {FORMAT}: another version of "
            "swinlib wrote it. Resume with that version, or choose another folder."
        )
    tensors = path.with_suffix(".safetensors")
    try:
        data = tensors.read_bytes()
    except OSError as error:
        raise _Damaged(f"{tensors} cannot be read ({error.strerror})") from error
    if facts.get("sha256 of the tensors") != hashlib.sha256(data).hexdigest():
        raise _Damaged(f"{tensors} is damaged: its checksum does not fit")
    return facts, load(data)


def _check_same_run(path, facts, identity, arithmetic_here):
    there, here = _flat({key: facts.get(key) for key in identity}), _flat(identity)
    differences = [
        f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
        for name in sorted(here)  # others, of older versions, no longer tell runs apart
        if there.get(name) != here.get(name)
    ]
    if differences:
        then = facts["arithmetic"][-1]["instructions"]
        now = arithmetic_here["instructions"]
        hint = f" Drawn shapes differ in a few pixels between {then} and {now} instructions."
        drawn = then != now and any(words.startswith("data.sha256") for words in differences)
        raise CheckpointError(
            f"{path} is of another run: {'; '.join(differences)}. Choose another folder, or train "
            f"as it was begun.{hint if drawn else ''}"
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
    """What tells one set of pictures from another, the pictures themselves included if they are in
    memory; for those in files see `_check_same_pictures`."""
    about = {"label": data.label, "classes": data.num_classes}
    if isinstance(data.train_images, PictureFiles):
        return about
    digest = hashlib.sha256()
    for split in SPLITS:
        images, labels = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
        digest.update(labels.contiguous().numpy())
        digest.update(images.contiguous().numpy())
    about["pictures"] = [len(getattr(data, f"{split}_labels")) for split in SPLITS]
    about["sha256"] = digest.hexdigest()[:16]
    return about


def _signatures(data):
    """By split, a number for each picture that stays in its file; nothing for those in memory."""
    if not isinstance(data.train_images, PictureFiles):
        return {}
    return {f"files.{split}": getattr(data, f"{split}_images").signatures() for split in SPLITS}


def _check_same_pictures(path, data, facts, tensors, here, run):
    """The pictures with which a run was begun, in the same splits, but for those that are gone.

    A picture that cannot be read comes to light in the middle of an epoch. Whoever removes it must
    not lose the run. Raises CheckpointError where more than a few are gone.
    """
    begun = {key: tensors[key].tolist() for key in here}
    if all(torch.equal(tensors[key], here[key]) for key in here):
        return data
    splits = [getattr(data, f"{split}_images") for split in SPLITS]
    images = splits[0].with_files([file for some in splits for file in some.files])
    labels = torch.cat([getattr(data, f"{split}_labels") for split in SPLITS])
    known = torch.cat([here[f"files.{split}"] for split in SPLITS])
    place = {signature: number for number, signature in enumerate(known.tolist())}
    total = sum(map(len, begun.values()))
    gone = sum(signature not in place for numbers in begun.values() for signature in numbers)
    new = len(place.keys() - {s for numbers in begun.values() for s in numbers})
    if gone > max(1, LOSS * total):
        raise CheckpointError(
            f"{path} is of another run: {gone:,} of its {total:,} pictures are not in {data.label} "
            f"and {new:,} there are new. Choose another folder, or train as it was begun."
        )
    warnings.warn(
        f"{data.label} has changed since {path}: {gone:,} pictures are gone, {new:,} new ones are "
        f"not used. The run goes on{', but not bit for bit' if gone else ''}.",
        stacklevel=5,
    )
    changes = {"mean": tuple(facts["mean"]), "std": tuple(facts["std"])}
    for split in SPLITS:
        left = [place[s] for s in begun[f"files.{split}"] if s in place]
        changes[f"{split}_images"] = images[torch.tensor(left)]
        changes[f"{split}_labels"] = labels[left]
    if run.order is not None:
        # Numbers that count only what is left; those of the batches that are done no longer matter.
        there = torch.tensor([s in place for s in begun["files.train"]])
        renumbered = torch.where(there, there.cumsum(0) - 1, 0)
        done, rest = run.order.tensor_split([run.batch * facts["config"]["batch_size"]])
        run.order = torch.cat([renumbered[done], renumbered[rest[there[rest]]]])
    return dataclasses.replace(data, **changes)


# -------------------------------------------------------------------- what the numbers hang on


def arithmetic(device, precision):
    """What decides the last bits of a run's numbers, beside its configuration and its pictures."""
    gpu = device.type == "cuda"
    return {
        "precision": precision,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": torch.cuda.get_device_name(device) if gpu else _processor(),
    }


def _processor():
    with suppress(OSError):  # Linux tells its name here and not there
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _note_arithmetic(path, run, here, cpu):
    # Older checkpoints know no precision: on a CPU there was but one, a GPU has what it had.
    before = {"precision": "float32" if cpu else here["precision"], **run.arithmetic[-1]}
    if all(before[name] == here[name] for name in ("torch", "instructions", "processor")):
        here = {**here, "precision": before["precision"]}  # a clock must not change a run's mind
    if before == here:
        run.arithmetic[-1] = before
        return
    run.arithmetic = [*run.arithmetic, here]
    differences = ", ".join(
        f"{name} {before.get(name)} there and {value} here"
        for name, value in here.items()
        if before.get(name) != value
    )
    warnings.warn(
        f"the run goes on from {path} with other arithmetic ({differences}): its last bits will "
        "not be those of a run that was never interrupted",
        stacklevel=5,
    )


# ------------------------------------------------------------------------ a run as plain values


def _require_finite(run):
    if not all(bool(weight.isfinite().all()) for weight in run.model.parameters()):
        raise FloatingPointError(
            f"weights are no longer finite numbers in epoch {run.epoch}, after its batch "
            f"{run.batch}: no checkpoint is written, the ones before are kept. A lower "
            "learning_rate, a longer warmup_epochs or a smaller clip_norm usually helps."
        )


def _facts_of(run):
    return {name: getattr(run, name) for name in _plain_fields(run)}


def _plain_fields(run):
    return [field.name for field in dataclasses.fields(run) if field.name not in TENSORS]


def _tensors_of(run, ranks, device):
    """Every tensor of a run by name, on the CPU. Optimiser entries are numbered as PyTorch does."""
    parts = {"model": run.model.state_dict(), "best": run.best_weights or {}}
    if run.ema is not None:
        parts["ema"] = run.ema.state_dict()
    for number, memory in run.optimizer.state_dict()["state"].items():
        parts[f"optimizer.{number}"] = memory
    parts["random"] = {"generator": run.generator.get_state()}
    own = [torch.get_rng_state()]  # drop path draws from PyTorch's global numbers on the device
    if device.type == "cuda":
        own.append(torch.cuda.get_rng_state(device))
    for rank, states in enumerate(ranks.all_gather(own)):
        for number, state in enumerate(states):
            parts["random"][f"rank{rank}.{number}"] = state
    if run.order is not None:
        parts["order"] = {"pictures": run.order}
    return {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part, values in parts.items()
        for name, value in values.items()
    }


def _load_state(run, facts, tensors, ranks, device):
    """The opposite of `_facts_of` and `_tensors_of`."""
    for name in _plain_fields(run):
        setattr(run, name, facts[name])
    run.model.load_state_dict(_part(tensors, "model"))
    run.best_weights = _part(tensors, "best") or None
    if run.ema is not None:
        run.ema.load_state_dict(_part(tensors, "ema"))
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
