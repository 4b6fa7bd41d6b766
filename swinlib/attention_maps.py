"""Every block's attention weights, and the way back from windows to the picture."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from swinlib.model import SwinTransformerBlock
from swinlib.shift import reverse_cyclic_shift
from swinlib.windows import window_reverse


@dataclass(repr=False)
class AttentionRecord:
    """What one block attended to, in one forward pass.

    Attributes:
        name: the block, as in ``model.get_submodule(name)``.
        weights: ``(B, num_windows, num_heads, N, N)``, N tokens in a window, query before key.
        grid_size: (H, W) of the feature map, in tokens.
        padded_size: the same with the padding to whole windows.
        window_size: (Mh, Mw), in tokens.
        shift_size: (sh, sw) that the block really used on this map, in tokens.
        gradient: of the weights, as large as they are, by the last backward pass, if they were
            recorded with detach=False. What it says is laid on the map like the weights:
            ``dataclasses.replace(record, weights=record.weights * record.gradient).map_of(3, 5)``.
    """

    name: str
    weights: Tensor
    grid_size: tuple[int, int]
    padded_size: tuple[int, int]
    window_size: tuple[int, int]
    shift_size: tuple[int, int]
    gradient: Tensor | None = None

    def locate(self, row: int, column: int) -> tuple[int, int]:
        """Which window, and which token of it, holds the token at (row, column) of the map.

        Raises:
            ValueError: the place is outside the map.
        """
        (H, W), (mh, mw) = self.grid_size, self.window_size
        if not (0 <= row < H and 0 <= column < W):
            raise ValueError(f"(row, column) must lie in the {H}x{W} map, got ({row}, {column})")
        row = (row - self.shift_size[0]) % self.padded_size[0]
        column = (column - self.shift_size[1]) % self.padded_size[1]
        window = row // mh * (self.padded_size[1] // mw) + column // mw
        return window, row % mh * mw + column % mw

    def map_of(self, row: int, column: int) -> Tensor:
        """Where the token at (row, column) looked, laid back on the map.

        Rolled back if the block is shifted, the padding cropped (so that, where there was some, a
        map may add up to less than 1), and 0 outside the token's window.

        Returns:
            ``(B, num_heads, H, W)``.

        Raises:
            ValueError: the place is outside the map.
        """
        window, token = self.locate(row, column)
        seen = self.weights[:, window, :, token]  # (B, num_heads, N)
        windows = torch.zeros_like(self.weights[:, :, :, 0]).transpose(2, 3)  # (B, n, N, num_heads)
        windows[:, window] = seen.transpose(1, 2)
        windows = windows.flatten(0, 1).unflatten(1, self.window_size)
        x = window_reverse(windows, self.window_size, *self.padded_size)
        x = reverse_cyclic_shift(x, self.shift_size)
        return x[:, : self.grid_size[0], : self.grid_size[1]].permute(0, 3, 1, 2)

    def received(self) -> Tensor:
        """How much each token was looked at: the mean weight that the tokens of its window gave it,
        times their number, so that 1 is its even share. Rolled back and cropped as in `map_of`.

        Returns:
            ``(B, num_heads, H, W)``.
        """
        seen = self.weights.mean(3) * self.weights.shape[3]  # (B, n, num_heads, N)
        windows = seen.transpose(2, 3).flatten(0, 1).unflatten(1, self.window_size)
        x = window_reverse(windows, self.window_size, *self.padded_size)
        x = reverse_cyclic_shift(x, self.shift_size)
        return x[:, : self.grid_size[0], : self.grid_size[1]].permute(0, 3, 1, 2)

    def __repr__(self) -> str:
        (H, W), (mh, mw), (sh, sw) = self.grid_size, self.window_size, self.shift_size
        return f"{self.name}: {H}x{W} tokens, windows {mh}x{mw}, shift ({sh}, {sw})"


@contextmanager
def record_attention(
    model: nn.Module, *, detach: bool = True
) -> Iterator[dict[str, AttentionRecord]]:
    """Record the attention weights of every block while the context lasts.

    Inside, the blocks take the explicit path, which computes the weights; the output stays the
    same to rounding. Each forward pass overwrites the records of the one before. Other threads run
    the model as ever, and are not recorded::

        with record_attention(model) as records:
            model(images)
        records["layers.0.blocks.1"].map_of(row=3, column=5)

    Args:
        model: a `SwinTransformer`, or anything that holds `SwinTransformerBlock`.
        detach: False keeps the weights in the graph, and a backward pass, also one after the
            context, leaves the gradient that reaches them in the records.

    Yields:
        A dict from block names to `AttentionRecord`, filled by the forward pass.

    Raises:
        TypeError: `model` is no module.
        ValueError: the model holds no block.
        RuntimeError: the model, or a part of it, is being recorded already; inside the context:
            the model is copied or pickled, which would copy the recording with it.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    blocks = {n: m for n, m in model.named_modules() if isinstance(m, SwinTransformerBlock)}
    if not blocks:
        raise ValueError(f"model must hold a SwinTransformerBlock, got {type(model).__name__}")
    for name, block in blocks.items():
        if any(isinstance(hook, _Hook) for hook in block._forward_pre_hooks.values()):
            raise RuntimeError(
                f"model must not be recorded already, but block {name!r} is: "
                "use the records of the context around this one"
            )
    records: dict[str, AttentionRecord] = {}
    handles = []
    # What is computed again after the context would take the other path: no checkpointing inside.
    checkpointed = [m for m in model.modules() if getattr(m, "use_checkpoint", False)]
    for layer in checkpointed:
        layer.use_checkpoint = False

    for name, block in blocks.items():

        def remember_size(block, args, kwargs, name=name):
            x = args[0] if args else kwargs["x"]
            (mh, mw), (H, W) = block.window_size, x.shape[1:3]
            padded_size = (H + -H % mh, W + -W % mw)
            shift_size = block.shift_that_fits(*padded_size)
            records[name] = AttentionRecord(
                name, torch.empty(0), (H, W), padded_size, block.window_size, shift_size
            )

        def ask_for_weights(attn, args, kwargs):
            return args, {**kwargs, "return_weights": True}

        def keep_weights(attn, args, result, name=name):
            out, weights = result
            if name not in records:  # not called by its block, so on a map of unknown size
                return out
            record = records[name]
            (pH, pW), (mh, mw) = record.padded_size, record.window_size
            num_windows = (pH // mh) * (pW // mw)
            kept = weights.detach() if detach else weights
            record.weights = kept.unflatten(0, (-1, num_windows))

            def keep_gradient(gradient):
                record.gradient = gradient.detach().unflatten(0, (-1, num_windows))

            if not detach and weights.requires_grad:
                weights.register_hook(keep_gradient)
            return out

        handles += [
            block.register_forward_pre_hook(_Hook(remember_size), with_kwargs=True),
            block.attn.register_forward_pre_hook(_Hook(ask_for_weights), with_kwargs=True),
            block.attn.register_forward_hook(_Hook(keep_weights)),
        ]
    # A compiled model would run past hooks that came later. Where there is no compiler loaded, no
    # model is compiled, and asking for it would load it, which takes seconds.
    loaded = "torch._dynamo" in sys.modules
    eagerly = torch.compiler.set_stance("force_eager") if loaded else nullcontext()
    try:
        with eagerly:
            yield records
    finally:
        for handle in handles:
            handle.remove()
        for layer in checkpointed:
            layer.use_checkpoint = True


class _Hook:
    """A hook for the thread that made it, which cannot get into a copy of the module."""

    def __init__(self, function):
        self.function, self.thread = function, threading.get_ident()

    def __call__(self, *args):
        return self.function(*args) if threading.get_ident() == self.thread else None

    def __reduce__(self):  # asked by copy.deepcopy, pickle and torch.save
        raise RuntimeError(
            "a model cannot be copied or saved inside record_attention: do it before or after"
        )
