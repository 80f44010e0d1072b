"""Networks for other programs, and from them.

>>> gdcore.export.to_torch(net)  # an nn.Module with the same keys
>>> gdcore.export.to_onnx(net, "model.onnx")
>>> gdcore.export.to_c(net, "model.c")

What a target has no equal of is a ValueError that names the layer.
"""

from __future__ import annotations

from gdcore.export._c import to_c
from gdcore.export._keras import from_keras_weights, to_keras_weights
from gdcore.export._onnx import to_onnx
from gdcore.export._sklearn import from_sklearn, to_sklearn
from gdcore.export._targets import targets
from gdcore.export._torch import from_torch, load_torch_state, to_torch, torch_state

__all__ = [
    "from_keras_weights",
    "from_sklearn",
    "from_torch",
    "load_torch_state",
    "targets",
    "to_c",
    "to_keras_weights",
    "to_onnx",
    "to_sklearn",
    "to_torch",
    "torch_state",
]


def __dir__() -> list[str]:
    return __all__
