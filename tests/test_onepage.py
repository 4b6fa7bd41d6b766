"""The model on one page: the same as swinlib's, to the last bit."""

import ast
from pathlib import Path

import pytest
import torch
from oracles import randomise

from swinlib import model, onepage

SOURCE = Path(onepage.__file__).read_text(encoding="utf-8")
SMALL = dict(embed_dim=24, depths=(2, 2, 4, 2), num_heads=(3, 6, 12, 24), num_classes=10)
SIZES = [(224, 224), (225, 190), (224, 448), (64, 48), (33, 57), (9, 11), (1, 1)]
DROPPING = dict(drop_rate=0.1, attn_drop_rate=0.2, drop_path_rate=0.3)


def both(**options):
    """swinlib's model and the page's, made from the same seed."""
    models = []
    for module in (model, onepage):
        torch.manual_seed(0)
        models.append(module.SwinTransformer(**SMALL | options))
    return models


def same_state(a, b):
    assert list(a) == list(b)  # the same names in the same order
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("window_size", [7, 4])
@torch.no_grad()
def test_output_is_equal_to_the_last_bit(size, window_size):
    ours, page = (randomise(m).eval() for m in both(window_size=window_size))
    images = torch.randn(2, 3, *size)
    assert torch.equal(page(images), ours(images))


def test_swin_t_without_a_word():
    with torch.device("meta"):
        a, b = model.SwinTransformer(), onepage.SwinTransformer()
    shapes = [{name: p.shape for name, p in m.state_dict().items()} for m in (a, b)]
    assert list(shapes[0].items()) == list(shapes[1].items())


@pytest.mark.parametrize(
    "options", [{}, {"patch_size": 2, "in_chans": 1, "depths": (1, 3), "num_heads": (1, 2)}]
)
def test_initial_weights_are_drawn_alike(options):
    ours, page = both(**options)
    assert same_state(ours.state_dict(), page.state_dict())


def test_a_training_step_is_equal_to_the_last_bit():
    """Loss and gradients, with all that is dropped dropped alike."""
    found = []
    for m in both(**DROPPING):
        torch.manual_seed(1)
        loss = randomise(m).train()(torch.randn(4, 3, 33, 57)).square().mean()
        loss.backward()
        found.append((loss, {name: p.grad for name, p in m.named_parameters()}))
    assert torch.equal(found[0][0], found[1][0])
    assert same_state(found[0][1], found[1][1])


def test_drop_path_rates_and_what_must_not_decay():
    ours, page = both(**DROPPING)
    rates = [
        [getattr(block.drop_path, "drop_prob", 0.0) for layer in m.layers for block in layer.blocks]
        for m in (ours, page)
    ]
    assert rates[0] == rates[1]
    assert page.no_weight_decay_keywords() == ours.no_weight_decay_keywords()


def test_in_half_precision_as_autocast_does_it():
    ours, page = (randomise(m).eval() for m in both())
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        exact = ours(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            errors = [(model(images) - exact).norm() for model in (ours, page)]
    # By other kernels (fused_attention), and so not equal: equally near.
    assert all(error.isfinite() for error in errors)
    assert max(errors) < 2 * min(errors) < 0.05 * exact.norm()


def test_it_is_one_page_and_needs_torch_alone():
    tree = ast.parse(SOURCE)
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {"torch", "torch.nn.functional"}
    documented = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                documented |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    code = [
        line
        for number, line in enumerate(SOURCE.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#") and number not in documented
    ]
    assert len(code) <= 170, len(code)
    assert not any(isinstance(node, ast.Raise | ast.Assert) for node in ast.walk(tree))
