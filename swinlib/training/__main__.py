"""``python -m swinlib.training --preset laptop --data data --out runs/laptop``

On eight GPUs: ``torchrun --nproc-per-node=8 -m swinlib.training`` and the same arguments.
"""

import argparse
import ast
import json
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from safetensors.torch import save

from swinlib._console import write_utf_8
from swinlib.training.checkpoint import clear, found, write_atomically
from swinlib.training.config import PRESETS, choose_preset, preset
from swinlib.training.data import load_dataset
from swinlib.training.distributed import find_ranks, join, main_process_first
from swinlib.training.finetune import keeps_head, start_from
from swinlib.training.lock import InUseError, locked
from swinlib.training.loop import train
from swinlib.training.precision import not_available

# What Python and PyTorch say where memory runs out, of the CPU and of others.
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def main(argv=None):
    """Trains as notebook 08 does and leaves config.json, log.jsonl and model.safetensors in --out.

    A run that was interrupted goes on where its last checkpoint, in --out/checkpoints, left it.
    Returns the TrainResult. Refuses a folder that holds a finished run, one of another
    configuration, and one in which another process trains. Whatever goes wrong is said in a
    sentence, and the exit status is 1; 2 for arguments; 130 after an interrupt.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        config = _config(args)
    except (ValueError, OSError) as error:
        parser.error(error.strerror if isinstance(error, FileNotFoundError) else str(error))
    out = Path(args.out or f"runs/{config.name}")
    checkpoints = out / "checkpoints"
    try:
        with warnings.catch_warnings(), join(args.device) as device:
            warnings.showwarning = _show_warning
            return _train_alone(config, args, out, device, find_ranks())
    except KeyboardInterrupt:
        saved = f"the same command goes on from {checkpoints}"
        parser.exit(
            130, f"interrupted; {saved if found(checkpoints) else 'nothing was saved yet'}\n"
        )
    except (ValueError, FloatingPointError, InUseError) as error:
        parser.exit(1, f"error: {error}\n")
    except OSError as error:
        saved = " The checkpoints are whole: put this right, and the same command goes on."
        what = f"{error.filename or out}: {error.strerror or error}."
        parser.exit(1, f"error: {what}{saved if found(checkpoints) else ''}\n")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in NO_MEMORY):
            raise
        words = str(error).splitlines() or ["Python has none left"]
        parser.exit(
            1,
            f"error: memory ran out ({words[0]}). A smaller batch_size or a smaller model helps.\n",
        )


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m swinlib.training",
        description="Train a Swin Transformer. Run again after an interruption, it resumes.",
    )
    parser.add_argument("--preset", choices=PRESETS, help="default: what fits this machine")
    parser.add_argument("--data", default="data", help="folder of the pictures (%(default)s)")
    parser.add_argument("--out", help="folder for the results (runs/<preset>)")
    parser.add_argument("--dataset", help="auto, cifar10, imagefolder, shapes or a folder")
    parser.add_argument("--weights", metavar="FILE", help="to start from: a checkpoint, a run's "
                        "folder, or a published name (swinlib.published)")  # fmt: skip
    parser.add_argument("--freeze", help="backbone (the head alone learns), all_but_norms, or a "
                        "number of stages")  # fmt: skip
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--seed", type=int, help="instead of the preset's")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="FIELD=VALUE",
                        help="any other field of TrainConfig, such as batch_size=256")  # fmt: skip
    parser.add_argument("--device", help="cuda, mps or cpu; default: the fastest here")
    parser.add_argument("--checkpoint-seconds", type=float, default=30.0, metavar="SECONDS",
                        help="time from one checkpoint to the next (%(default)s)")  # fmt: skip
    return parser


def _config(args):
    """The preset with everything that the command line changes, all at once; what the weights say
    of their model comes before it."""
    named = {name: getattr(args, name) for name in ("dataset", "epochs", "seed", "weights")}
    given = [(name, value) for name, value in named.items() if value is not None]
    if args.freeze is not None:
        given.append(_field_and_value(f"freeze={args.freeze}"))
    changes = {}
    for field, value in given + [_field_and_value(text) for text in args.set]:
        if field in changes and changes[field] != value:
            raise ValueError(f"{field} is set twice, to {changes[field]!r} and to {value!r}")
        changes[field] = value
    weights = changes.pop("weights", None)
    chosen = args.preset or ("finetune" if weights else None)
    config = preset(chosen) if chosen else choose_preset()
    if weights is not None:
        config = start_from(weights, config)
    elif config.name == "finetune":
        raise ValueError("--preset finetune starts from weights, wanted --weights FILE")
    return config.replace(**changes)


def _field_and_value(text):
    """ "depths=(2, 2)" -> ("depths", (2, 2)); what is no Python value is taken as a word."""
    field, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text!r}, wanted FIELD=VALUE such as batch_size=256")
    try:
        return field, ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return field, value


def _train_alone(config, args, out, device, ranks):
    """Trains in a folder that no other process may use meanwhile."""
    if not ranks.is_main:
        return _train(config, args, out, device, ranks)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with locked(out):
            return _train(config, args, out, device, ranks)
    finally:
        with suppress(OSError):  # it is not empty, unless the run was refused
            out.rmdir()


def _train(config, args, out, device, ranks):
    if (out / "model.safetensors").exists():
        raise ValueError(f"{out} holds a finished run; choose another --out or delete it")
    data = main_process_first(ranks, lambda: load_dataset(args.data, config=config))
    checkpoints = out / "checkpoints"
    if ranks.is_main:
        if data.announcement:
            print(data.announcement)
        print(f"{config.name} on {device}; {data}")
        if config.weights:
            print(_start(config, data))
        # A run that goes on computes as it was begun, or a warning says what differs.
        if not found(checkpoints) and (missing := not_available(config, device)):
            print(missing)
    result = train(
        config, data, device, on_epoch=_show(config), log=out / "log.jsonl",
        checkpoints=checkpoints, checkpoint_seconds=args.checkpoint_seconds, test_interrupted=False,
    )  # fmt: skip
    if ranks.is_main:
        _write(result, out)
        clear(checkpoints)  # of no use to a finished run
        print(
            f"test accuracy {result.test_accuracy:.2%} on {result.dataset} "
            f"({len(result.test_predictions)} pictures), best epoch {result.best_epoch}; written "
            f"to {out}"
        )
    return result


def _start(config, data):
    """A line on what a run starts from, and on what of it is kept."""
    kept = {None: "all of it learns", "backbone": "the head alone learns",
            "all_but_norms": "the norms and the head learn"}  # fmt: skip
    what = kept.get(config.freeze, f"frozen up to stage {config.freeze}")
    head = (
        "the same classes, so its head too"
        if keeps_head(config, data.class_names)
        else "a new head"
    )
    return (
        f"from {config.weights}: embed_dim {config.embed_dim}, depths {config.depths}, windows of "
        f"{config.window_size}, pictures of {config.image_size} pixels; {head}; {what}"
    )


def _write(result, out):
    """The weights, and what is needed to use them again: in their own file, so that neither can be
    without the other, and to read in config.json."""
    about = {"config": result.config.to_dict(), "dataset": result.dataset}
    about |= {"class_names": result.class_names, "mean": result.mean, "std": result.std}
    about["picture_size"] = result.picture_size
    text = json.dumps(about, indent=2, allow_nan=False)
    weights = {k: v.cpu().contiguous() for k, v in result.model.state_dict().items()}
    write_atomically(out / "config.json", (text + "\n").encode())
    write_atomically(out / "model.safetensors", save(weights, {"about": text}))


def _show_warning(message, *place, **more):
    """A line for whoever trains, without the line of code that it came from."""
    print(f"warning: {message}", file=sys.stderr)


def _show(config):
    def show(record):
        print(
            f"epoch {record['epoch']:3d} of {config.epochs}: "
            f"loss {record['train_loss']:.3f} training, {record['val_loss']:.3f} validation; "
            f"accuracy {record['train_accuracy']:.1%} training, "
            f"{record['val_accuracy']:.1%} validation; "
            f"{record['pictures_per_second']:.0f} pictures/s; {record['seconds']:.0f} s",
            flush=True,
        )

    return show


if __name__ == "__main__":
    write_utf_8()
    main()
