"""Numbers that a port to another framework saved, in place of a model.

`export` writes weights and pictures; the port loads the weights, runs the pictures, and saves what
it finds at the places into a file that `judge_activations` compares.
"""

import numpy as np
import torch
from torch import Tensor

from swinlib.lab.judge.examine import about_forward, frozen, in_words, make_models
from swinlib.lab.judge.forward import SIZES, Contest, Models
from swinlib.lab.judge.models import SMALL
from swinlib.lab.judge.places import Run
from swinlib.lab.judge.report import Finding, Report, conclude, name_of


class Saved:
    """Listens to a file in place of a model; the same methods as `Tap`.

    Args:
        arrays: by "HxW/place".
    """

    def __init__(self, arrays: dict[str, Tensor]):
        self.model = None
        self.outputs: dict[str, dict[str, list[Tensor]]] = {}
        for key, array in arrays.items():
            size, _, place = key.partition("/")
            self.outputs.setdefault(size, {})[place] = [array]
        self.heard = {place for places in self.outputs.values() for place in places}

    def run(self, images: Tensor) -> Run:
        return Run(dict(self.outputs[name_of(tuple(images.shape[2:]))]))


def models_of(options: dict) -> Models:
    """The reference with the judge's weights, and the known mistakes with the same."""
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    return make_models(frozen(SMALL | given), ())


def export(path: str, options: dict) -> str:
    """Write weights and pictures for a port.

    Args:
        path: of the .npz file: "weights/NAME" by official names, "images/HxW" (2, C, H, W).
        options: of the reference, where they are not the judge's.

    Returns:
        A line that says what was written.
    """
    models = models_of(options)
    arrays = {f"weights/{name}": w.numpy() for name, w in models.weights.items()}
    for size in SIZES:
        arrays[f"images/{name_of(size)}"] = models.images(size).numpy()
    np.savez_compressed(path, **arrays)
    places = ", ".join(place.name for place in models.places)
    return (
        f"{path}: {len(models.weights)} weights, pictures of {len(SIZES)} sizes.\n"
        f"Save what comes out as HxW/PLACE, for as many sizes and places as you like: {places}."
    )


def read(path: str) -> dict[str, Tensor]:
    """The arrays of an .npz file, by name."""
    try:
        with np.load(path) as file:
            return {key: torch.as_tensor(file[key]).float() for key in file.files}
    except OSError:
        raise
    except Exception as error:  # whatever the file may hold
        raise ValueError(f"{path} is no .npz file of numbers: {error}") from error


def judge_activations(path: str, options: dict) -> Report:
    """Compare a port's numbers with the reference's.

    Args:
        path: of an .npz file with arrays by "HxW/PLACE"; maps as (B, H, W, C), (B, C, H, W) or
            (B, H*W, C).
        options: what `export` was given.

    Raises:
        OSError: there is no such file.
        TypeError, ValueError: it is no .npz file of numbers, or the reference has no such options.
    """
    report = Report(str(path))
    models = models_of(options)
    known = {place.name for place in models.places}
    arrays = read(path)
    wanted = {f"{name_of(size)}/{place}" for size in SIZES for place in known}
    strange = [key for key in arrays if key not in wanted]
    if strange or not arrays:
        says = f"{strange[0]!r} is no HxW/PLACE." if strange else "The file holds nothing."
        says += f" Sizes are {', '.join(map(name_of, SIZES))}, places {', '.join(sorted(known))}."
        report.findings.append(Finding("file", says))
        return conclude(report)
    sizes = [size for size in SIZES if any(key.startswith(f"{name_of(size)}/") for key in arrays)]
    saved = Saved(arrays)
    contest = Contest(saved, models)
    seen = {size: contest.see(size) for size in sizes}
    report.sizes = [(name_of(size), in_words(s)) for size, s in seen.items()]
    if any(s.state != "equal" for s in seen.values()):
        report.findings.append(about_forward(contest, seen))
    else:
        report.largest = max(s.largest for s in seen.values())
        silent = [place.name for place in models.places if place.name not in saved.heard]
        if silent:
            report.remarks.append(f"Nothing was saved of {', '.join(silent)}.")
            report.verdict = (
                f"Equal to the official one in all that was saved: the largest difference is "
                f"{report.largest:.1e} of a place's largest number."
            )
            return report
    return conclude(report)
