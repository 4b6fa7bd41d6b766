"""Widgets: one per lesson where the idea is spatial. Each module is loaded when first asked for."""

from importlib import import_module

MODULES = {
    "PatchExplorer": "patches",  # lesson 01
    "AttentionExplorer": "attention",  # 02
    "WindowExplorer": "windows",  # 03
    "ShiftMaskExplorer": "shift",  # 04
    "FootprintExplorer": "footprint",
    "PositionExplorer": "position",  # 05
    "MergingExplorer": "merging",  # 06
    "ShapeLedger": "ledger",  # 07
    "FingerprintExplorer": "fingerprints",
    "TrainedAttentionExplorer": "trained",  # 08
}

__all__ = list(MODULES)


def __getattr__(name: str):
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
