"""Widgets: one per lesson where the idea is spatial. Each module is loaded when first asked for."""

from importlib import import_module

MODULES = {
    "patches": ("PatchExplorer", "draw_patches"),  # lesson 01
    "attention": ("AttentionExplorer", "draw_attention"),  # 02
    "windows": ("WindowExplorer", "draw_windows"),  # 03
    "shift": ("ShiftMaskExplorer", "draw_shift_mask"),  # 04
    "footprint": ("FootprintExplorer", "draw_footprint"),
    "position": ("PositionExplorer", "draw_relative_position"),  # 05
    "merging": ("MergingExplorer", "draw_merging"),  # 06
    "ledger": ("ShapeLedger", "draw_ledger"),  # 07
    "fingerprints": ("FingerprintExplorer", "draw_fingerprint"),
    "trained": ("TrainedAttentionExplorer", "draw_trained_attention"),  # 08
}
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}

__all__ = list(_MODULE_OF)


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
