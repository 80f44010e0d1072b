"""What exists where, out of the tables that the targets are written by."""

from __future__ import annotations

from gdcore.activations import Activation
from gdcore.export import _c_operations, _keras, _lowered, _sklearn, _torch
from gdcore.export._c_parts import ACTIVATIONS as C
from gdcore.export._onnx_activations import ACTIVATIONS as ONNX
from gdcore.export._torch_activations import MODULES as TORCH
from gdcore.layers import Layer

__all__ = ["targets"]

# A layer that is made of others, and what C++ knows of it beside them.
_MADE_OF = {"residual": "add"}


def targets() -> dict[str, tuple[str, ...]]:
    """Tells which layers and activations exist where.

    Returns:
        By the name of each class of `gdcore.layers` and `gdcore.activations`, those that there are
        of ``"torch"``, ``"onnx"``, ``"c"``, ``"keras"`` and ``"sklearn"``. To Keras go weights
        alone, whatever the activation. An option may be what a target has not, such as
        ``weight_norm`` of `Dense` in Keras: the error tells.
    """
    found: dict[str, tuple[str, ...]] = {}
    for kind, layer in Layer.kinds.items():
        own = _MADE_OF.get(kind, kind)
        written = own in _lowered.KINDS
        there = {
            "torch": kind in _torch.KINDS,
            "onnx": written,
            "c": written,
            "keras": own in _keras.KINDS,
            "sklearn": kind in _sklearn.KINDS,
        }
        found[layer.__name__] = tuple(name for name, yes in there.items() if yes)
    for name, activation in Activation.members.items():
        there = {
            "torch": name in TORCH,
            "onnx": name in ONNX,
            "c": name in C or name in _c_operations.ROW_WISE,
            "keras": True,
            "sklearn": name in _sklearn.HIDDEN or name in _sklearn.LAST,
        }
        found[activation.__name__] = tuple(name for name, yes in there.items() if yes)
    return found
