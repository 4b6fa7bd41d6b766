"""``python -m swinlib.training --preset laptop --data data --out runs/laptop``

On eight GPUs: ``torchrun --nproc-per-node=8 -m swinlib.training`` and the same arguments.
"""

import argparse
import ast
import json
import shutil
from pathlib import Path

from safetensors.torch import save

from swinlib.training.arithmetic import not_available
from swinlib.training.checkpoint import CheckpointError, write_whole
from swinlib.training.config import PRESETS, choose_preset, preset
from swinlib.training.data import DatasetError, load_dataset
from swinlib.training.distributed import find_ranks, join, one_after_the_other
from swinlib.training.loop import train


def main(argv=None):
    """Trains as notebook 08 does and leaves config.json, log.jsonl and model.safetensors in --out.

    A run that was interrupted goes on where its last checkpoint, in --out/checkpoints, left it.
    Returns the TrainResult. Refuses a folder that holds a finished run, or one of another
    configuration.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        config = _config(args)
        out = Path(args.out or f"runs/{config.name}")
        if (out / "model.safetensors").exists():
            parser.error(f"{out} holds a finished run; choose another --out or delete it")
        with join(args.device) as device:
            return _train(config, args, out, device, find_ranks())
    except (CheckpointError, DatasetError, FloatingPointError, ValueError) as error:
        parser.error(str(error))


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m swinlib.training",
        description="Train a Swin Transformer. Run again after an interruption, it resumes.",
    )
    parser.add_argument("--preset", choices=PRESETS, help="default: what fits this machine")
    parser.add_argument("--data", default="data", help="folder of the pictures (%(default)s)")
    parser.add_argument("--out", help="folder for the results (runs/<preset>)")
    parser.add_argument("--dataset", help="auto, cifar10, imagefolder, shapes or a folder")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--seed", type=int, help="instead of the preset's")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE",
                        help="any other field of TrainConfig, such as batch_size=256")  # fmt: skip
    parser.add_argument("--device", help="cuda, mps or cpu; default: the fastest here")
    parser.add_argument("--checkpoint-seconds", type=float, default=30.0, metavar="SECONDS",
                        help="time from one checkpoint to the next (%(default)s)")  # fmt: skip
    return parser


def _config(args):
    """The preset with everything that the command line changes."""
    config = preset(args.preset) if args.preset else choose_preset()
    config = config.replace(**dict(_field_and_value(text) for text in args.set))
    if args.epochs is not None:
        warmup = min(config.warmup_epochs, args.epochs / 2)
        config = config.replace(epochs=args.epochs, warmup_epochs=warmup)
    if args.seed is not None:
        config = config.replace(seed=args.seed)
    return config


def _field_and_value(text):
    """ "depths=(2, 2)" -> ("depths", (2, 2)); what is no Python value is taken as a word."""
    field, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text!r}, wanted FIELD=VALUE such as batch_size=256")
    try:
        return field, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return field, value


def _train(config, args, out, device, ranks):
    data = one_after_the_other(ranks, lambda: load_dataset(args.data, args.dataset, config=config))
    checkpoints = out / "checkpoints"
    if ranks.first:
        if data.announcement:
            print(data.announcement)
        print(f"{config.name} on {device}; {data}")
        if missing := not_available(config, device):
            print(missing)
        if not checkpoints.exists():  # else it belongs to the run that was begun
            _write_about(config, data, out)
    result = train(
        config, data, device, on_epoch=_show(config), log=out / "log.jsonl",
        checkpoints=checkpoints, checkpoint_seconds=args.checkpoint_seconds,
    )  # fmt: skip
    if ranks.first:
        weights = {k: v.cpu().contiguous() for k, v in result.model.state_dict().items()}
        write_whole(out / "model.safetensors", save(weights))
        shutil.rmtree(checkpoints)  # of no use to a finished run
        print(
            f"test accuracy {result.test_accuracy:.2%} on {result.dataset} "
            f"({len(data.test_labels)} pictures), best epoch {result.best_epoch}; written to {out}"
        )
    return result


def _write_about(config, data, out):
    """config.json: the configuration, and what the weights need to be used again."""
    out.mkdir(parents=True, exist_ok=True)
    about = {"config": config.to_dict(), "dataset": data.label, "class_names": data.class_names}
    about |= {"mean": data.mean, "std": data.std}
    write_whole(out / "config.json", (json.dumps(about, indent=2) + "\n").encode())


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
    main()
