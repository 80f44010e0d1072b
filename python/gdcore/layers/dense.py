"""Layers whose units see every input."""

from __future__ import annotations

from dataclasses import KW_ONLY, field
from typing import Any, ClassVar, Literal

import gdcore.initializers as initializers
from gdcore._check import flag, integer
from gdcore._frozen import frozen
from gdcore._layer import Graph, Layer, Spec
from gdcore._names import choice
from gdcore.activations import Activation
from gdcore.typing import ActivationName, InitializerName

__all__ = ["Dense"]


@frozen
class Dense(Layer):
    """A dense layer: every unit sees every input.

    y = f(x W^T + b), x (N, inputs), W (units, inputs), b (units,), y (N, units).

    With ``parametrization="ntk"`` y = f(x W^T / sqrt(inputs) + b): W starts with a spread of 1
    whatever the number of inputs, so that one learning rate fits layers of any width. With
    weight_norm W is made of a length and a direction a unit, W = g v / |v|, row by row: the keys
    are ``weight_g`` (units, 1) and ``weight_v`` (units, inputs), which PyTorch's ``weight_norm``,
    the older one and that of ``torch.nn.utils.parametrizations``, both load.

    Source: Jacot, Gabriel and Hongler, "Neural tangent kernel", NeurIPS 2018, as RealMLP has it
    (Holzmueller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024); Salimans and Kingma,
    "Weight normalization", NeurIPS 2016.

    Args:
        units: Number of outputs, at least 1.
        activation: f, by name or as an object such as ``gdcore.LeakyReLU(0.2)``.
        bias: Whether there is a b.
        weight_init: How W starts, or of ``"ntk"`` W / sqrt(inputs), a name or an object from
            `gdcore.initializers`. None means ``"pytorch"``, that of PyTorch's ``Linear``, or for
            ``"ntk"`` ``"lecun_normal"``, so that W starts at N(0, 1).
        bias_init: How b starts. None means ``"pytorch"`` beside ``weight_init="pytorch"``, else
            ``"zeros"``.
        parametrization: ``"standard"`` or ``"ntk"``.
        weight_norm: Whether W is made of lengths and directions; not together with ``"ntk"``.
        sparse: Of a layer that reads sparse rows, ``Input(columns, sparse=True)``: whether rules
            leave the weights and states of columns alone that a batch has no element in. A step
            then takes as long as its batch has elements, and not as W is large. Not together with
            ``"ntk"`` or weight_norm, which read dense rows.
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
    weight_init: InitializerName | initializers.Initializer | None = None
    bias_init: InitializerName | None = None
    parametrization: Literal["standard", "ntk"] = field(
        default="standard", metadata={"came_later": True}
    )
    weight_norm: bool = field(default=False, metadata={"came_later": True})
    sparse: bool = field(default=False, metadata={"came_later": True})
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves names and defaults."""
        parametrization = choice("parametrization", self.parametrization, ("standard", "ntk"))
        weight_init = self.weight_init
        if weight_init is None:
            weight_init = "lecun_normal" if parametrization == "ntk" else "pytorch"
        weight_init = initializers.resolve_weights("weight_init", weight_init)
        bias_init = self.bias_init
        if bias_init is None:
            bias_init = "pytorch" if weight_init == "pytorch" else "zeros"
        resolved = {
            "units": integer("units", self.units),
            "activation": Activation.resolve("activation", self.activation),
            "bias": flag("bias", self.bias),
            "weight_init": weight_init,
            "bias_init": initializers.resolve("bias_init", bias_init),
            "parametrization": parametrization,
            "weight_norm": flag("weight_norm", self.weight_norm),
            "sparse": flag("sparse", self.sparse),
        }
        for argument, value in resolved.items():
            object.__setattr__(self, argument, value)
        if bias_init == "orthogonal":
            raise ValueError("bias_init must be no initializer of matrices, got 'orthogonal'")
        super().__post_init__()
        if self.weight_norm and parametrization == "ntk":
            raise ValueError("weight_norm and parametrization 'ntk' must not be given together")
        if self.sparse and (self.weight_norm or parametrization == "ntk"):
            other = "weight_norm" if self.weight_norm else "parametrization 'ntk'"
            raise ValueError(f"sparse and {other} must not be given together")

    def options(self) -> dict[str, Any]:
        """Without what decides the kind in C++."""
        found = super().options()
        del found["parametrization"], found["weight_norm"]
        return found

    def build(self, graph: Graph, name: str, node: int) -> int:
        """Adds the kind of dense layer that it is."""
        kind = "ntk_dense" if self.parametrization == "ntk" else self.kind
        kind = "weight_norm_dense" if self.weight_norm else kind
        return graph.add(Spec(kind, name, [node], self.options()), self)

    def output_activation(self) -> Activation:
        """Its own."""
        return Activation.resolve("activation", self.activation)

    def shown(self) -> str:
        """Units, and the activation if there is one."""
        name = Activation.resolve("activation", self.activation).name
        return f"{self.units}" + (f" {name}" if name != "identity" else "")
