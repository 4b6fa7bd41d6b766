"""What a device can do: bfloat16, compiling, and the batch that fits into its memory."""

import importlib.util

import torch
import torch.nn.functional as F


class BatchTooLarge(ValueError):
    """A step does not fit into the device's memory; the message names a batch size that does."""


def has_bfloat16(device) -> bool:
    """Whether bfloat16 is fast: on CUDA cards from Ampere on. Older ones emulate it, slowly."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def can_compile(device) -> bool:
    """Whether torch.compile works. On a GPU it needs Triton, which not every platform has and which
    wants a card of compute capability 7.0 or later; on the CPU a C++ compiler, which whoever sets
    ``compile`` for a CPU is trusted to have."""
    if device.type == "cpu":
        return True
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (7, 0):
        return False
    return importlib.util.find_spec("triton") is not None


def autocast(device, precision):
    """The context for a forward pass: matrix products in bfloat16 where that is wanted and fast."""
    on = precision == "bfloat16" and has_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=on)


def not_available(config, device) -> str:
    """A sentence on what the configuration asks for and this device lacks; "" if nothing."""
    missing = []
    if config.precision == "bfloat16" and not has_bfloat16(device):
        missing.append("bfloat16 is off (float32 instead)")
    if config.compile and not can_compile(device):
        missing.append("torch.compile is off")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"On this device ({name}) {' and '.join(missing)}." if missing else ""


def largest_batch(model, image_shape, config, device) -> int | None:
    """The largest of batch_size / 2, / 4, ... for which a training step fits into memory.

    model: in training mode. image_shape: (C, H, W). Returns None where not even one picture fits.
    Leaves no gradients.
    """
    size = config.batch_size // 2
    while size:
        try:
            x = torch.zeros(size, *image_shape, device=device)
            y = torch.zeros(size, dtype=torch.int64, device=device)
            with autocast(device, config.precision):
                logits = model(x)
            F.cross_entropy(logits.float(), y).backward()
            return size
        except torch.OutOfMemoryError:
            size //= 2
        finally:
            x = y = logits = None
            model.zero_grad()
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return None


def explain_out_of_memory(model, image_shape, config, device) -> BatchTooLarge:
    """What to raise in place of an out-of-memory error: it names a batch size that fits."""
    size = largest_batch(model, image_shape, config, device)
    if size is None:
        advice = "not even one picture fits: use a smaller model or smaller pictures"
    else:
        rate = config.learning_rate * size / config.batch_size
        advice = f"{size} fits: --set batch_size={size} learning_rate={rate:.2g}"
    return BatchTooLarge(f"batch_size={config.batch_size} does not fit into memory; {advice}")
