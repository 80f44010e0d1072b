"""The compiled classes by dtype."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gdcore import _core
from gdcore.typing import DTypeName

__all__ = [
    "DTYPES",
    "NETWORKS",
    "RULES",
    "TRAINERS",
    "NativeNetwork",
    "NativeRule",
    "NativeTrainer",
    "specs_of",
]

NativeNetwork = _core.Network32 | _core.Network64
NativeTrainer = _core.Trainer32 | _core.Trainer64
NativeRule = _core.Rule32 | _core.Rule64

DTYPES: tuple[DTypeName, ...] = ("float32", "float64")
NETWORKS: dict[str, type[NativeNetwork]] = {
    "float32": _core.Network32,
    "float64": _core.Network64,
}
# Any: a trainer takes the network of its own dtype, which the keys guarantee and types cannot say.
TRAINERS: dict[str, Any] = {"float32": _core.Trainer32, "float64": _core.Trainer64}
RULES: dict[str, type[NativeRule]] = {"float32": _core.Rule32, "float64": _core.Rule64}


def specs_of(
    described: Iterable[tuple[str, str, list[int], dict[str, Any]]],
) -> list[_core.LayerSpec]:
    """Layers as their kind, name, inputs and options tell them."""
    return [_core.LayerSpec(*each) for each in described]
