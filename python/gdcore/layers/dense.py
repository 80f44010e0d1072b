"""Layers whose units see every input."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import ClassVar

from gdcore import initializers
from gdcore._check import flag, integer
from gdcore._frozen import frozen
from gdcore._layer import Layer
from gdcore.activations import Activation
from gdcore.typing import ActivationName, InitializerName

__all__ = ["Dense"]


@frozen
class Dense(Layer):
    """A dense layer: every unit sees every input.

    y = f(x W^T + b), x (N, inputs), W (units, inputs), b (units,), y (N, units).

    Args:
        units: Number of outputs, at least 1.
        activation: f, by name or as an object such as ``gdcore.LeakyReLU(0.2)``.
        bias: Whether there is a b.
        weight_init: How W starts, a name or an object from `gdcore.initializers`. The default is
            that of PyTorch's ``Linear``.
        bias_init: How b starts. None means ``"pytorch"`` beside ``weight_init="pytorch"``, else
            ``"zeros"``.
        name: What stands for the layer's index in the keys of ``state_dict``: ``"hidden.weight"``
            in place of ``"0.weight"``. Not empty, without dots, unique in its network.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain or names nothing that there is.
    """

    kind: ClassVar[str] = "dense"

    units: int
    activation: ActivationName | Activation = "identity"
    _: KW_ONLY
    bias: bool = True
    weight_init: InitializerName | initializers.Initializer = "pytorch"
    bias_init: InitializerName | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves names and defaults."""
        weight_init = initializers.resolve_weights("weight_init", self.weight_init)
        bias_init = self.bias_init
        if bias_init is None:
            bias_init = "pytorch" if weight_init == "pytorch" else "zeros"
        resolved = {
            "units": integer("units", self.units),
            "activation": Activation.resolve("activation", self.activation),
            "bias": flag("bias", self.bias),
            "weight_init": weight_init,
            "bias_init": initializers.resolve("bias_init", bias_init),
        }
        for field, value in resolved.items():
            object.__setattr__(self, field, value)
        if bias_init == "orthogonal":
            raise ValueError("bias_init must be no initializer of matrices, got 'orthogonal'")
        super().__post_init__()

    def output_activation(self) -> Activation:
        """Its own."""
        return Activation.resolve("activation", self.activation)

    def shown(self) -> str:
        """Units, and the activation if there is one."""
        name = Activation.resolve("activation", self.activation).name
        return f"{self.units}" + (f" {name}" if name != "identity" else "")
