"""A dense network: y = activation(x W^T + b), layer after layer, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import activations
from .activations import Array


@dataclass(frozen=True)
class Layer:
    """What a layer does to its input; its numbers stand in the network's state."""

    name: str
    activation: str = "identity"
    parameters: Mapping[str, float] = field(default_factory=dict)
    bias: bool = True


class ReferenceNetwork:
    """Parameters as in state_dict: "name.weight" is (out, in), "name.bias" is (out,)."""

    def __init__(self, layers: Sequence[Layer], state: Mapping[str, NDArray[np.floating]]) -> None:
        self.layers = list(layers)
        self.state = {key: np.array(value, dtype=np.float64) for key, value in state.items()}
        self._inputs: list[Array] = []
        self._sums: list[Array] = []

    def forward(self, x: NDArray[np.generic]) -> Array:
        self._inputs, self._sums = [], []
        h = np.asarray(x, dtype=np.float64)
        for layer in self.layers:
            self._inputs.append(h)
            z = h @ self.state[f"{layer.name}.weight"].T
            if layer.bias:
                z = z + self.state[f"{layer.name}.bias"]
            self._sums.append(z)
            h = activations.VALUE[layer.activation](z, **layer.parameters)
        return h

    def backward(self, grad: Array) -> tuple[Array, dict[str, Array]]:
        """Gradients at the input and at every parameter, for the latest forward."""
        gradients: dict[str, Array] = {}
        for layer, h, z in zip(
            reversed(self.layers), reversed(self._inputs), reversed(self._sums), strict=True
        ):
            grad = activations.backward(layer.activation, z, grad, **layer.parameters)
            gradients[f"{layer.name}.weight"] = grad.T @ h
            if layer.bias:
                gradients[f"{layer.name}.bias"] = grad.sum(axis=0)
            grad = grad @ self.state[f"{layer.name}.weight"]
        return grad, {key: gradients[key] for key in self.state}
