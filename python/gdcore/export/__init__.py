"""Networks for other programs, and from them.

>>> gdcore.export.to_torch(net)  # an nn.Module with the same keys
>>> gdcore.export.to_onnx(net, "model.onnx")
>>> gdcore.export.to_c(net, "model.c")

What a target has no equal of is a ValueError that names the layer.
"""

from __future__ import annotations

from gdcore.export._torch import from_torch, load_torch_state, to_torch, torch_state

__all__ = ["from_torch", "load_torch_state", "to_torch", "torch_state"]


def __dir__() -> list[str]:
    return __all__
