import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training_runs import TINY, outcome, run

from swinlib.training import build_model
from swinlib.training.loop import start_optimizer
from swinlib.training.muon import Muon, orthogonalised

MUON = TINY.replace(optimizer="muon", drop_path_rate=0.0)


@pytest.mark.parametrize("shape", [(3, 8, 24), (2, 24, 8), (1, 16, 16)])
def test_singular_values_near_one_same_directions(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    got = orthogonalised(matrices)
    assert got.shape == shape
    values = torch.linalg.svdvals(got)
    assert values.min() > 0.3 and values.max() < 1.3  # so the source: its polynomial is no closer
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    inner = u.mT @ got @ v.mT
    assert torch.allclose(inner, torch.diag_embed(values_along(inner)), atol=1e-4)


def values_along(inner):
    return inner.diagonal(dim1=1, dim2=2)


def test_zeros_stay():
    assert not orthogonalised(torch.zeros(2, 3, 4)).any()


def test_which_weights_it_moves():
    """Every matrix of the blocks and the merging; not tables, norms, biases, stem or head."""
    model = build_model(MUON, 10)
    optimizer = start_optimizer(model, MUON)
    names = {id(weight): name for name, weight in model.named_parameters()}
    orthogonal = {
        names[id(w)] for g in optimizer.param_groups if g["orthogonal"] for w in g["params"]
    }
    wanted = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name != "head"
    }
    assert orthogonal == wanted and len(wanted) == 3 * 4 + 1
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(names)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has it from 2.9 on")
def test_the_same_as_pytorch():
    """Theirs computes in bfloat16, so ours does here; one shape at a time adds in another order."""
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape)) for shape in [(8, 24), (24, 8), (8, 24)]]
    theirs = [nn.Parameter(weight.detach().clone()) for weight in ours]
    start = [weight.detach().clone() for weight in ours]
    groups = [{"params": ours, "orthogonal": True, "weight_decay": 0.1}]
    mine = Muon(groups, torch.bfloat16, lr=0.05)
    torchs = torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        mine.step()
        torchs.step()
    for a, b, begun in zip(ours, theirs, start, strict=True):
        moved = (b - begun).norm()
        assert moved > 0.3 and (a - b).norm() < 0.02 * moved


def test_the_others_move_as_by_adamw():
    models = [build_model(MUON, 10) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [
        start_optimizer(models[0], MUON),
        start_optimizer(models[1], MUON.replace(optimizer="adamw")),
    ]
    x, y = torch.randn(4, 3, 32, 32), torch.arange(4)
    for model, optimizer in zip(models, optimizers, strict=True):
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    moved = {id(w) for g in optimizers[0].param_groups if g["orthogonal"] for w in g["params"]}
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b) == (id(a) not in moved)


def test_goes_on_bit_for_bit(tmp_path):
    def on_step(state):
        if state["step"] == 6:
            raise InterruptedError

    undisturbed = outcome(run(MUON))
    with pytest.raises(InterruptedError):
        run(MUON, checkpoints=tmp_path, on_step=on_step)
    assert outcome(run(MUON, checkpoints=tmp_path)) == undisturbed


def test_no_closure():
    with pytest.raises(ValueError, match="no closure"):
        start_optimizer(build_model(MUON, 10), MUON).step(lambda: 0)
