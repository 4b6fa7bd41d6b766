"""``python -m swinlib.training --preset laptop --data data --out runs/laptop``"""

import argparse
import json
from pathlib import Path

from safetensors.torch import save_file

from swinlib.training.config import PRESETS, choose_device, choose_preset, preset
from swinlib.training.data import DatasetError, load_dataset
from swinlib.training.loop import train


def main(argv=None):
    """Trains as notebook 08 does and leaves config.json, log.jsonl and model.safetensors in --out.

    Returns the TrainResult. Refuses a folder that holds a finished run.
    """
    parser = argparse.ArgumentParser(
        prog="python -m swinlib.training", description="Train a Swin Transformer on small pictures."
    )
    parser.add_argument("--preset", choices=PRESETS, help="default: what fits this machine")
    parser.add_argument("--data", default="data", help="folder of the pictures (%(default)s)")
    parser.add_argument("--out", help="folder for the results (runs/<preset>)")
    parser.add_argument("--dataset", help="auto, cifar10, imagefolder, shapes or a folder")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--seed", type=int, help="instead of the preset's")
    parser.add_argument("--device", help="cuda, mps or cpu; default: the fastest here")
    args = parser.parse_args(argv)

    try:
        config = preset(args.preset) if args.preset else choose_preset()
        if args.epochs is not None:
            warmup = min(config.warmup_epochs, args.epochs / 2)
            config = config.replace(epochs=args.epochs, warmup_epochs=warmup)
        if args.seed is not None:
            config = config.replace(seed=args.seed)
        out = Path(args.out or f"runs/{config.name}")
        if (out / "model.safetensors").exists():
            parser.error(f"{out} holds a finished run; choose another --out or delete it")
        data = load_dataset(args.data, args.dataset, config=config)
    except (DatasetError, ValueError) as error:
        parser.error(str(error))

    if data.announcement:
        print(data.announcement)
    device = args.device or choose_device()
    print(f"{config.name} on {device}; {data}")
    out.mkdir(parents=True, exist_ok=True)
    about = {"config": config.to_dict(), "dataset": data.label, "class_names": data.class_names}
    about |= {"mean": data.mean, "std": data.std}  # what the weights need to be used again
    (out / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def show(record):
        print(
            f"epoch {record['epoch']:3d} of {config.epochs}: "
            f"loss {record['train_loss']:.3f} training, {record['val_loss']:.3f} validation; "
            f"accuracy {record['train_accuracy']:.1%} training, "
            f"{record['val_accuracy']:.1%} validation; "
            f"{record['pictures_per_second']:.0f} pictures/s; {record['seconds']:.0f} s",
            flush=True,
        )

    result = train(config, data, device, on_epoch=show, log=out / "log.jsonl")
    weights = {name: value.cpu().contiguous() for name, value in result.model.state_dict().items()}
    save_file(weights, out / "model.safetensors")
    print(
        f"test accuracy {result.test_accuracy:.2%} on {result.dataset} ({len(data.test_labels)} "
        f"pictures), best epoch {result.best_epoch}; written to {out}"
    )
    return result


if __name__ == "__main__":
    main()
