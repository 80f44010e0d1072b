"""Layers that work on each column by itself, or on two of them."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import ClassVar

from gdcore._check import flag_field, real_field
from gdcore._frozen import frozen
from gdcore._layer import Layer
from gdcore.activations import Activation
from gdcore.typing import ActivationName

__all__ = ["GLU", "PReLU", "ParametricActivation", "Scale"]


@frozen
class GLU(Layer):
    """A gated linear unit: one half of the input opens the other.

    y = a * f(b), x = (a, b) side by side, x (N, 2 width), y (N, width). With ``"sigmoid"`` that is
    PyTorch's ``GLU``; with ``"silu"`` SwiGLU, with ``"gelu"`` GEGLU.

    Source: Dauphin, Fan, Auli and Grangier, "Language modeling with gated convolutional networks",
    ICML 2017; Shazeer, "GLU variants improve transformer", 2020.

    Args:
        activation: f, by name or as an object.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument names nothing that there is.
    """

    kind: ClassVar[str] = "glu"

    activation: ActivationName | Activation = "sigmoid"
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves the activation."""
        activation = Activation.resolve("activation", self.activation)
        object.__setattr__(self, "activation", activation)
        super().__post_init__()


@frozen
class PReLU(Layer):
    """A rectifier whose slope below 0 is learnt.

    y = x for x > 0, else weight * x, x and y (N, width), weight (1,) or (width,).

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.

    Args:
        shared: Whether there is one weight for all columns, or one a column.
        init: What it starts at.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "prelu"

    shared: bool = flag_field(True)
    init: float = real_field(0.25)
    _: KW_ONLY
    name: str | None = None


@frozen
class ParametricActivation(Layer):
    """An activation that each column may fade out of, or go beyond.

    y = x + (f(x) - x) * weight, x and y (N, width), weight (width,), which is learnt and starts at
    1, where y = f(x).

    Source: Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024.

    Args:
        activation: f, by name or as an object; none that needs whole rows.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument names nothing that there is.
    """

    kind: ClassVar[str] = "parametric_activation"

    activation: ActivationName | Activation
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves the activation."""
        activation = Activation.resolve("activation", self.activation)
        object.__setattr__(self, "activation", activation)
        super().__post_init__()


@frozen
class Scale(Layer):
    """A factor a column, which is learnt and starts at 1.

    y = x * weight, x and y (N, width), weight (width,).

    Args:
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "scale"

    _: KW_ONLY
    name: str | None = None
