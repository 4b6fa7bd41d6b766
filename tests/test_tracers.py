"""Tracers, exporters, transforms, and what others' training code asks of a model."""

import copy
import io

import pytest
import torch
from oracles import randomise, relative_error
from small_models import images, make_model
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor

import swinlib
from swinlib import SwinTransformerBlock
from swinlib.training import parameter_groups

# --- torch.fx -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"ape": True, "img_size": (40, 28)}, {"window_size": (3, 5), "patch_norm": False}],
)
def test_symbolic_trace(options):
    """One graph for all sizes and batches, since a step that looks at sizes is one node of it."""
    model = make_model(**options)
    graph = torch.fx.symbolic_trace(model)
    sizes = [(2, 40, 28)] if "ape" in options else [(2, 40, 28), (1, 64, 48), (3, 9, 33), (1, 4, 4)]
    for B, H, W in sizes:
        x = images(B, 3, H, W)
        assert torch.equal(graph(x), model(x))
    assert torch.equal(copy.deepcopy(graph)(x), model(x))
    with pytest.raises(ValueError, match="images must be"):  # the checks are in the graph too
        graph(images(1, 4, 40, 28))


def test_traced_in_training_mode():
    model = make_model(drop_rate=0.1, attn_drop_rate=0.1, drop_path_rate=0.3).train()
    graph, x = torch.fx.symbolic_trace(model), images(4, 3, 40, 28)
    outs = []
    for run in (model, graph):
        torch.manual_seed(3)
        outs.append(run(x))
    assert torch.equal(*outs)


def test_a_traced_backbone():
    model = make_model(out_indices=(0, 1))
    x = images(2, 3, 40, 28)
    assert all(map(torch.equal, torch.fx.symbolic_trace(model)(x), model(x)))


def test_torchvisions_feature_extractor():
    extraction = pytest.importorskip("torchvision.models.feature_extraction")
    model, x = make_model(), images(2, 3, 40, 28)
    train, evaluation = extraction.get_graph_node_names(model)
    assert "layers.1.blocks.1.attn.qkv" in train and "layers.1.blocks.1.attn.qkv" in evaluation
    names = {"layers.0.blocks.1.add_1": "stage", "layers.1.blocks.1.norm1": "norm", "norm": "last"}
    features = extraction.create_feature_extractor(model, names)(x)
    seen = {}
    for name in ("layers.0.blocks.1", "layers.1.blocks.1.norm1", "norm"):
        keep = lambda module, args, out, name=name: seen.update({name: out})  # noqa: E731
        model.get_submodule(name).register_forward_hook(keep)
    model(x)
    for key, name in zip(("stage", "norm", "last"), seen, strict=True):
        assert torch.equal(features[key], seen[name]), name


# --- torch.func and forward-mode AD ---------------------------------------------------------------


def loss_of(model, x):
    return lambda p: torch.func.functional_call(model, p, (x,)).square().sum()


def test_gradients_of_torch_func():
    model, x = make_model().double(), images(2, 3, 20, 12).double()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    wanted = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    loss = loss_of(model, x)
    for got in (
        torch.func.grad(loss)(parameters),
        torch.func.vjp(loss, parameters)[1](torch.tensor(1.0).double())[0],
    ):
        torch.testing.assert_close(tuple(got.values()), wanted)
    direction = {name: torch.randn_like(p) for name, p in parameters.items()}
    slope = sum((g * direction[n]).sum() for n, g in zip(parameters, wanted, strict=True))
    torch.testing.assert_close(torch.func.jvp(loss, (parameters,), (direction,))[1], slope)


def test_derivatives_by_the_picture():
    """Of every output: backward, forward, forward over backward, and by dual numbers."""
    model, x = make_model().double(), images(1, 3, 8, 8).double().requires_grad_()
    out = model(x)[0]
    wanted = torch.stack([torch.autograd.grad(y, x, retain_graph=True)[0] for y in out])
    x = x.detach()
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(jacobian(model)(x)[0], wanted)
    direction = torch.randn_like(x)
    along = (wanted * direction).sum((1, 2, 3, 4))
    with torch.autograd.forward_ad.dual_level():
        out = model(torch.autograd.forward_ad.make_dual(x, direction))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(out).tangent[0], along)
    slope = torch.func.grad(lambda x: model(x).square().sum())
    second = torch.func.jvp(slope, (x,), (direction,))[1]
    near = (slope(x + 1e-5 * direction) - slope(x - 1e-5 * direction)) / 2e-5
    assert relative_error(second, near) < 1e-4


def test_an_ensemble():
    """As PyTorch's tutorial on it: the weights stacked, one call for all models."""
    models, x = [make_model(seed) for seed in range(3)], images(2, 3, 40, 28)
    parameters, buffers = torch.func.stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")

    def call(parameters, buffers):
        return torch.func.functional_call(base, (parameters, buffers), (x,))

    outs = torch.vmap(call)(parameters, buffers)
    for out, model in zip(outs, models, strict=True):
        assert relative_error(out, model(x)) < 1e-5


def test_a_gradient_for_every_picture():
    model, x = make_model(), images(3, 3, 20, 12)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters, picture):
        return torch.func.functional_call(model, parameters, (picture[None],)).square().sum()

    got = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for i in range(3):
        wanted = torch.autograd.grad(model(x[i : i + 1]).square().sum(), list(model.parameters()))
        for name, gradient in zip(parameters, wanted, strict=True):
            assert relative_error(got[name][i], gradient) < 1e-4, name


def test_the_fused_kernel_serves_whoever_does_not_transform(monkeypatch):
    calls = []
    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        "torch.nn.functional.scaled_dot_product_attention",
        lambda *args, **options: calls.append(1) or real(*args, **options),
    )
    model, x = make_model(), images(1, 3, 16, 16)
    torch.func.jacfwd(lambda x: model(x).sum())(x)
    assert not calls
    model(x)
    assert len(calls) == 4


# --- other tracers --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # that sizes become constants
def test_jit_trace_serves_other_batches():
    """As Lightning's to_torchscript("trace") calls it."""
    model = make_model()
    traced = torch.jit.trace(model, images(2, 3, 40, 28))
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    for run in (traced, torch.jit.load(file)):
        for B in (1, 2, 5):
            x = images(B, 3, 40, 28)
            assert relative_error(run(x), model(x)) < 1e-6


def test_make_fx_and_aot():
    from functorch.compile import aot_module, nop

    model, x = make_model(), images(2, 3, 40, 28)
    assert relative_error(make_fx(model)(x)(x), model(x)) < 1e-6
    module = aot_module(copy.deepcopy(model), nop)
    module(x).sum().backward()
    model(x).sum().backward()
    for p, other in zip(module.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p.grad, other.grad)


@torch.no_grad()
def test_subclasses_of_tensors():
    class Sub(torch.Tensor):
        pass

    model, x = make_model(), images(2, 3, 40, 28)
    wanted = model(x)
    out = model(x.as_subclass(Sub))
    assert type(out) is Sub and torch.equal(out.as_subclass(torch.Tensor), wanted)
    two = model(TwoTensor(x, 2 * x))  # two calls in one
    assert torch.equal(two.a, wanted) and torch.equal(two.b, model(2 * x))


# --- compiled -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dynamic", [None, True, False])
def test_compiled_once_for_every_size(dynamic):
    """For any batch, and nothing that runs in between makes it compile again."""
    block = randomise(SwinTransformerBlock(8, 2, 4, 2)).eval().requires_grad_(False)
    model = make_model().eval().requires_grad_(False)
    sizes = [(8, 8), (12, 8), (7, 12), (18, 19), (8, 8), (12, 8), (18, 19)]
    assert len(compiled_for(block, [(2, H, W, 8) for H, W in sizes], dynamic)) == 4
    pictures = [(2, 3, 32, 32), (2, 3, 30, 41), (2, 3, 32, 32), (2, 3, 64, 29)]
    assert len(compiled_for(model, pictures, dynamic)) == 3
    if dynamic:
        assert len(compiled_for(model, [(B, 3, 30, 41) for B in (4, 3, 5, 2)], dynamic)) == 1


def compiled_for(module, shapes, dynamic) -> list:
    """The graphs of a module that is compiled and sees inputs of these shapes."""
    graphs = []

    def count(graph, examples):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(module, backend=count, fullgraph=True, dynamic=dynamic)
    for shape in shapes:
        x = torch.randn(shape)
        assert torch.equal(compiled(x), module(x))
        module(torch.cat([x, x], dim=2)[:1])
    torch._dynamo.reset()
    return graphs


# --- what others' training code asks for ----------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"out_indices": (0, 1)}])
def test_timms_layer_wise_decay(options):
    optim = pytest.importorskip("timm.optim")
    model = make_model(ape=True, img_size=40, **options)
    optimizer = optim.create_optimizer_v2(
        model, "adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.5
    )
    groups = optimizer.param_groups
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    depth = {"patch_embed": 0, "absolute_pos_embed": 0}
    depth |= {"layers.0.blocks.0": 1, "layers.0.blocks.1": 2, "layers.0.downsample": 2}
    depth |= {"layers.1.blocks.0": 3, "layers.1.blocks.1": 4, "norm": 4, "norm0": 4, "norm1": 4}
    depth |= {} if options else {"head": 5}
    last = max(depth.values())
    for name, p in model.named_parameters():
        (part,) = (n for n in depth if name == n or name.startswith(f"{n}."))
        assert scale[id(p)] == pytest.approx(0.5 ** (last - depth[part])), name
        spared = p.ndim == 1 or "bias_table" in name or name == "absolute_pos_embed"
        assert decay[id(p)] == (0.0 if spared else 0.05), name


def test_timms_groups_by_stage():
    manipulate = pytest.importorskip("timm.models._manipulate")
    model = make_model(ape=True, img_size=40)
    groups = manipulate.group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    stages = {"patch_embed": 0, "absolute": 0, "layers.0": 1, "layers.1": 2, "norm": 3, "head": 3}
    for name, group in groups.items():
        (wanted,) = (stage for part, stage in stages.items() if name.startswith(part))
        assert group == wanted, name


def test_timms_optimiser_spares_the_tables():
    optim = pytest.importorskip("timm.optim")
    model = make_model(ape=True, img_size=40)
    optimizer = optim.create_optimizer_v2(model, "adamw", lr=1e-3, weight_decay=0.05)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    for name, p in model.named_parameters():
        spared = p.ndim == 1 or "bias_table" in name or name == "absolute_pos_embed"
        assert decay[id(p)] == (0.0 if spared else 0.05), name


WRAPPERS = {
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "DataParallel": nn.DataParallel,
    "torch.compile": torch.compile,
    "DataParallel of torch.compile": lambda model: nn.DataParallel(torch.compile(model)),
    "a detector": lambda model: nn.ModuleDict({"backbone": model}),
}


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_our_optimiser_spares_the_tables_in_a_wrapper(wrap):
    model = make_model(ape=True, img_size=40)
    wrapped = WRAPPERS[wrap](model)
    inner = wrapped.module if wrap == "AveragedModel" else model  # which is a copy
    decay, keep = (group["params"] for group in parameter_groups(wrapped, 0.05))
    spared = {id(p) for p in keep}
    assert len(decay) + len(keep) == len(list(wrapped.parameters()))
    for name, p in inner.named_parameters():
        wanted = p.ndim == 1 or "bias_table" in name or name == "absolute_pos_embed"
        assert (id(p) in spared) == wanted, name


@pytest.mark.parametrize(
    "switch",
    [
        lambda model: model.set_grad_checkpointing(),
        lambda model: model.set_grad_checkpointing(enable=True),
        lambda model: model.gradient_checkpointing_enable(),
        lambda model: model.gradient_checkpointing_enable({"use_reentrant": False}),
    ],
)
def test_checkpointing_switched_by_others(switch):
    model, x = make_model().train(), images(2, 3, 40, 28)
    wanted = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    calls = []
    model.layers[1].blocks[0].register_forward_pre_hook(lambda *args: calls.append(1))
    switch(model)
    torch.testing.assert_close(
        torch.autograd.grad(model(x).sum(), list(model.parameters())), wanted
    )
    assert len(calls) == 2  # computed again
    model.gradient_checkpointing_disable()
    assert not any(layer.use_checkpoint for layer in model.layers)
    with pytest.raises(TypeError, match="enable must be True or False"):
        model.set_grad_checkpointing("yes")


def test_every_parameter_of_a_backbone_is_used_by_its_maps(tmp_path):
    """What DistributedDataParallel asks for: it stops where one gets no gradient."""
    x = images(2, 3, 40, 28)
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    try:
        model = nn.parallel.DistributedDataParallel(make_model(out_indices=(0, 1)).train())
        for _ in range(2):
            sum(out.sum() for out in model(x)).backward()
        assert all(p.grad is not None for p in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


# --- Grad-CAM -------------------------------------------------------------------------------------


def test_grad_cam():
    """By hand, on the last norm, whose (B, H, W, C) becomes the (B, C, H, W) of that method."""
    model, x = make_model(), images(2, 3, 40, 28)
    maps = []
    handle = model.norm.register_forward_hook(lambda module, args, out: maps.append(out))
    score = model(x)[:, 3]
    handle.remove()
    (x4,) = maps
    (gradient,) = torch.autograd.grad(score.sum(), x4)
    activations, gradient = x4.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    cam = (gradient.mean((2, 3), keepdim=True) * activations).sum(1).relu()
    # The head is linear in the mean over places, so the gradient is its weight over their number.
    places = x4.shape[1] * x4.shape[2]
    assert relative_error(cam, (x4 @ model.head.weight[3] / places).relu()) < 1e-5
    assert (
        relative_error(((x4 @ model.head.weight[3]).mean((1, 2)) + model.head.bias[3]), score)
        < 1e-5
    )


# --- ONNX -----------------------------------------------------------------------------------------


def export_onnx(model, path, x, batch=None):
    shapes = None if batch is None else ({0: batch},)
    torch.onnx.export(model, (x,), dynamo=True, dynamic_shapes=shapes, verbose=False).save(path)


def run_onnx(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    (name,) = (i.name for i in session.get_inputs())
    return [torch.from_numpy(out) for out in session.run(None, {name: x.numpy()})]


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")


at_onnx = pytest.mark.usefixtures("onnx")
quietly = pytest.mark.filterwarnings("ignore")


@at_onnx
@quietly
@torch.no_grad()
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float16, 0.02)])
def test_onnx(tmp_path, dtype, tolerance):
    """Exported with its gradients, as people do; any batch."""
    model = make_model().to(dtype)
    with torch.enable_grad():
        batch = torch.export.Dim("batch", min=1, max=64)
        export_onnx(model, tmp_path / "swin.onnx", images(2, 3, 40, 28).to(dtype), batch)
    for B in (2, 1, 5):
        x = images(B, 3, 40, 28).to(dtype)
        (out,) = run_onnx(tmp_path / "swin.onnx", x)
        assert out.dtype == dtype
        assert relative_error(out.float(), model(x).float()) < tolerance


@at_onnx
@quietly
@torch.no_grad()
def test_onnx_of_a_backbone(tmp_path):
    model, x = make_model(out_indices=(0, 1), depths=(1, 1)), images(1, 3, 40, 28)
    export_onnx(model, tmp_path / "swin.onnx", x)  # one batch, one size
    for out, wanted in zip(run_onnx(tmp_path / "swin.onnx", x), model(x), strict=True):
        assert relative_error(out, wanted) < 1e-5


@at_onnx
@quietly
@torch.no_grad()
def test_onnx_of_the_smallest_attention(tmp_path):
    """What PyTorch's exporter could not convert (pytorch #136543)."""
    attn = randomise(swinlib.WindowAttention(4, (1, 2), 2)).eval()
    x = images(1, 2, 4)
    with torch.enable_grad():
        export_onnx(attn, tmp_path / "attn.onnx", x)
    (out,) = run_onnx(tmp_path / "attn.onnx", x)
    assert relative_error(out, attn(x)) < 1e-5


NAMED = ["swin_tiny", "swin_small", "swin_base", "swin_large"]


@at_onnx
@quietly
@torch.no_grad()
@pytest.mark.parametrize(
    "name", [NAMED[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMED[1:])]
)
def test_onnx_of_the_named_sizes(tmp_path, name, report):
    model, x = randomise(getattr(swinlib, name)()).eval(), images(1, 3, 224, 224)
    path = tmp_path / f"{name}.onnx"
    export_onnx(model, path, x)
    (out,) = run_onnx(path, x)
    error = relative_error(out, model(x))
    size = sum(file.stat().st_size for file in tmp_path.iterdir()) / 1e6
    report(f"{name}: ONNX file {size:.0f} MB, largest relative difference {error:.1e}")
    assert error < 1e-4
