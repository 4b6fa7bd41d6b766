"""What importing swinlib brings, and who imports whom.

Lessons <- what stands beside them <- training <- lab: each may import what stands before it.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import swinlib

PACKAGE = Path(swinlib.__file__).parent
HEAVY = ["torchvision", "matplotlib", "ipywidgets", "IPython", "PIL", "swinlib.lab"]
HEAVY += ["swinlib.training", "safetensors", "torch._dynamo"]

# The order of the lessons: a module may use those before it.
LESSONS = ["_checks", "patches", "attention", "windows", "shift", "_masks"]
LESSONS += ["position", "merging", "model", "pyramid"]
BESIDE = ["cost", "pretrained", "attention_maps", "onepage", "published"]
COMMANDS = ["predict"]  # what `python -m` runs and nothing imports
LAZILY = {"model": {"published"}}  # inside a function, for whoever asks for it
BESIDE += ["_files", "_imagenet", "_layouts", "_misfits"]  # parts of pretrained
BESIDE += ["_console"]  # of commands

PROMISED = """
    image_to_patches patches_to_image PatchEmbed attention MultiHeadSelfAttention pad_to_multiple
    window_partition window_reverse cyclic_shift reverse_cyclic_shift region_ids shifted_window_mask
    relative_position_index PatchMerging Mlp DropPath WindowAttention SwinTransformerBlock
    BasicLayer SwinTransformer swin_tiny swin_small swin_base swin_large model_flops msa_flops
    wmsa_flops load_pretrained record_attention
""".split()


def imported_by(path):
    """Dotted names of all modules that a file imports, wherever it does so."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "swinlib." * (node.level > 0) + (node.module or "")
            names |= {module.rstrip(".")} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def of_swinlib(path):
    return {name.split(".")[1] for name in imported_by(path) if name.startswith("swinlib.")}


def test_import_swinlib_loads_nothing_heavy():
    code = f"import sys, swinlib; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_every_module_is_known_here():
    assert sorted(p.stem for p in PACKAGE.glob("*.py")) == sorted(
        LESSONS + BESIDE + COMMANDS + ["__init__"]
    )


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_uses_only_the_lessons_before_it(name):
    lazily = LAZILY.get(name, set())
    assert of_swinlib(PACKAGE / f"{name}.py") <= set(LESSONS[: LESSONS.index(name)]) | lazily


@pytest.mark.parametrize("name", [*LESSONS, *BESIDE, "__init__"])
def test_neither_lab_nor_training_nor_anything_heavy_is_imported(name):
    names = imported_by(PACKAGE / f"{name}.py")
    roots = {n.split(".")[0] for n in names}
    # For whoever has such a file, or asks for names.
    lazily = {"_files": {"safetensors"}, "published": {"torchvision", "certifi"}}.get(name, set())
    assert roots <= {"swinlib", "torch"} | lazily | sys.stdlib_module_names
    assert not of_swinlib(PACKAGE / f"{name}.py") & {"lab", "training"}


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("training/**/*.py")), ids=lambda p: p.stem)
def test_training_knows_nothing_of_lab(path):
    assert "lab" not in of_swinlib(path)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_knows_nothing_of_lab_and_nothing_imports_it(name):
    assert "lab" not in of_swinlib(PACKAGE / f"{name}.py")
    assert not [path for path in PACKAGE.rglob("*.py") if name in of_swinlib(path)]


def test_everything_promised_is_at_the_top_level():
    for name in PROMISED:
        assert name in swinlib.__all__
    for name in swinlib.__all__:
        thing = getattr(swinlib, name)
        assert thing.__doc__
        assert getattr(thing, "__module__", thing.__name__).startswith("swinlib.")
    assert len(set(swinlib.__all__)) == len(swinlib.__all__)
