"""Layers: what a network is made of. Descriptions only; `gdcore.Network` owns the parameters.

Wherever a layer is expected in a list of layers, an activation does as well, as an object or by its
name: ``[Dense(64), LayerNorm(), "relu", Dense(10)]``. Names and defaults are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import ClassVar

from gdcore import initializers
from gdcore._check import checked_field, flag, flag_field, integer, real, real_field
from gdcore._frozen import frozen
from gdcore._layer import Graph, Layer, LayerLike, Spec, checked_layers, layer_names
from gdcore.activations import Activation
from gdcore.typing import ActivationName, InitializerName

__all__ = [
    "GLU",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "LayerNorm",
    "PReLU",
    "RMSNorm",
    "Residual",
    "Scale",
]


def __dir__() -> list[str]:
    return __all__


def _eps(argument: str, value: object) -> float:
    """What a normalization adds; a larger number is a width, as PyTorch's layers take it first."""
    number = real(argument, value, at_least=0)
    if number >= 1:
        raise ValueError(
            f"{argument} must be below 1, got {number:g}: the width of the input is not given, the "
            "layer finds it"
        )
    return number


@frozen
class Dense(Layer):
    """A dense layer: every unit sees every input.

    y = f(x W^T + b), x (N, inputs), W (units, inputs), b (units,), y (N, units).

    Args:
        units: Number of outputs, at least 1.
        activation: f, by name or as an object such as ``gdcore.LeakyReLU(0.2)``.
        bias: Whether there is a b.
        weight_init: How W starts, a name from `gdcore.initializers`. The default is that of
            PyTorch's ``Linear``.
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
    weight_init: InitializerName = "pytorch"
    bias_init: InitializerName | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves names and defaults."""
        weight_init = initializers.resolve("weight_init", self.weight_init)
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
        super().__post_init__()

    def output_activation(self) -> Activation:
        """Its own."""
        return Activation.resolve("activation", self.activation)

    def shown(self) -> str:
        """Units, and the activation if there is one."""
        name = Activation.resolve("activation", self.activation).name
        return f"{self.units}" + (f" {name}" if name != "identity" else "")


@frozen
class BatchNorm(Layer):
    """Brings each column to mean 0 and variance 1, then to a mean and spread that are learnt.

    y = (x - mean) / sqrt(var + eps) * weight + bias, x and y (N, width), weight and bias (width,).
    In training (`Trainer.step`, `Trainer.fit`, ``forward(x, training=True)``) mean and
    var = mean((x - mean)^2) are those of the batch's columns, and running averages remember them:
    running = (1 - momentum) * running + momentum * batch, of the variance N / (N - 1) times that of
    the batch. Elsewhere mean and var are those averages; `check_gradients` compares gradients with
    them. They stand in ``state_dict`` as ``running_mean`` and ``running_var``, (width,), and are
    saved with the network; no rule updates them. PyTorch's count of batches is not kept.

    All rows of a batch go through the network together, so that training takes memory for a whole
    batch (`Trainer.memory_plan` tells) and at least 2 rows; rows of weight 0 count as others do.

    Source: Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", ICML 2015.

    Args:
        eps: Added to the variance, in [0, 1). The width is no argument: it is that of x.
        momentum: What a batch counts in the running averages, in [0, 1].
        affine: Whether there are weight, which starts at 1, and bias, which starts at 0.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "batch_norm"

    eps: float = checked_field(1e-5, _eps)
    momentum: float = real_field(0.1, at_least=0, at_most=1)
    affine: bool = flag_field(True)
    _: KW_ONLY
    name: str | None = None


@frozen
class Dropout(Layer):
    """Leaves out elements at random, in training only.

    In training y = 0 with probability rate, else x / (1 - rate), x and y (N, width); elsewhere
    y = x. Training is `Trainer.step` and `Trainer.fit`, and ``forward(x, training=True)``: each
    call of that draws anew. Which elements a trainer leaves out follows from its seed, the number
    of its step, the layer and the row in the batch, whatever the threads: a run that goes on from a
    file draws what it would have drawn. `check_gradients` compares gradients without it.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15, 2014.

    Args:
        rate: Share of elements that are left out, in [0, 1).
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "dropout"

    rate: float = real_field(0.5, at_least=0, below=1)
    _: KW_ONLY
    name: str | None = None


@frozen
class LayerNorm(Layer):
    """Brings each row to mean 0 and variance 1, then to a mean and spread that are learnt.

    y = (x - mean) / sqrt(var + eps) * weight + bias, x and y (N, width), weight and bias (width,);
    mean and var = mean((x - mean)^2) are those of each row.

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.

    Args:
        eps: Added to the variance, in [0, 1). The width is no argument: it is that of x.
        affine: Whether there are weight, which starts at 1, and bias, which starts at 0.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "layer_norm"

    eps: float = checked_field(1e-5, _eps)
    affine: bool = flag_field(True)
    _: KW_ONLY
    name: str | None = None


@frozen
class RMSNorm(Layer):
    """Brings each row to a mean square of 1, then to a spread that is learnt.

    y = x / sqrt(mean(x^2) + eps) * weight, x and y (N, width), weight (width,); the mean is that of
    each row.

    Source: Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Args:
        eps: Added to the mean square, in [0, 1). None: the distance from 1 to the next number of
            the network's dtype, as in PyTorch.
        affine: Whether there is a weight, which starts at 1.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "rms_norm"

    eps: float | None = None
    affine: bool = flag_field(True)
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description."""
        if self.eps is not None:
            object.__setattr__(self, "eps", _eps("eps", self.eps))
        super().__post_init__()


@frozen
class Residual(Layer):
    """Adds what layers make of their input to the input itself.

    y = x + f(x), x and y (N, width), f the layers in a row; with a shortcut g, y = g(x) + f(x).

    The keys in ``state_dict`` of the layers within are those of a nested ``Sequential`` of
    PyTorch: ``"2.0.weight"`` for the first layer of a Residual that is the network's third, and
    ``"2.shortcut.0.weight"`` in a shortcut.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.

    Args:
        layers: At least one layer; the last has as many outputs as x, or the shortcut, has columns.
        shortcut: Layers that x goes through; None: x itself.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: There is no layer, or two of them have one name.
    """

    kind: ClassVar[str] = "residual"

    layers: Sequence[LayerLike]
    shortcut: Sequence[LayerLike] | None = None
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves names."""
        for which in ("layers", "shortcut"):
            if getattr(self, which) is not None:
                object.__setattr__(self, which, checked_layers(which, getattr(self, which)))
                self._row(which, "")
        super().__post_init__()

    def shown(self) -> str:
        """The layers within, in brackets."""
        row, _ = self._row("layers", "")
        told = (each.name if isinstance(each, Activation) else each.shown() for each in row)
        return f"residual({' -> '.join(told)})"

    def build(self, graph: Graph, name: str, node: int) -> int:
        """Adds the layers within, and the sum."""
        start = node
        if self.shortcut is not None:
            start = graph.extend(*self._row("shortcut", f"{name}.shortcut"), node)
        end = graph.extend(*self._row("layers", name), node)
        return graph.add(Spec("add", name, [start, end], {}), self)

    def _row(self, which: str, prefix: str) -> tuple[tuple[Layer | Activation, ...], list[str]]:
        row: tuple[Layer | Activation, ...] = getattr(self, which)
        return row, [f"{prefix}.{name}" for name in layer_names(which, row)]


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
