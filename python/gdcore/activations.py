"""Activations: the function that a layer applies to each of its sums.

Everywhere an activation is expected, its name does as well: ``"relu"`` is ``ReLU()``. Names and
defaults are PyTorch's. x stands for one sum of a layer, W a + b.
"""

from __future__ import annotations

import math
from typing import ClassVar

from gdcore._check import real_field
from gdcore._formula import Formula, formula

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "GELUTanh",
    "Identity",
    "LeakyReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


def __dir__() -> list[str]:
    return __all__


class Activation(Formula, family="an activation"):
    """Base of all activations; see `gdcore.Dense`."""

    @property
    def bounds(self) -> tuple[float, float]:
        """What f(x) does not go below and beyond; infinite where there is no bound."""
        return -math.inf, math.inf


@formula
class Identity(Activation):
    """f(x) = x, the default: a layer that is linear."""

    name: ClassVar[str] = "identity"


@formula
class ReLU(Activation):
    """f(x) = max(x, 0).

    At x = 0, where there is no slope, the derivative is taken to be 0.

    Source: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines",
    ICML 2010.
    """

    name: ClassVar[str] = "relu"

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 up."""
        return 0.0, math.inf


@formula
class LeakyReLU(Activation):
    """f(x) = x for x > 0, else negative_slope x.

    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models",
    ICML 2013.

    Args:
        negative_slope: Slope for x <= 0; at least 0.
    """

    name: ClassVar[str] = "leaky_relu"
    negative_slope: float = real_field(0.01, at_least=0)

    @property
    def bounds(self) -> tuple[float, float]:
        """None, but from 0 up with a slope of 0."""
        return -math.inf if self.negative_slope > 0 else 0.0, math.inf


@formula
class ELU(Activation):
    """f(x) = x for x > 0, else alpha (exp(x) - 1).

    Source: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by
    exponential linear units (ELUs)", ICLR 2016, arXiv:1511.07289.

    Args:
        alpha: -alpha is the limit for x to minus infinity; at least 0.
    """

    name: ClassVar[str] = "elu"
    alpha: float = real_field(1.0, at_least=0)

    @property
    def bounds(self) -> tuple[float, float]:
        """From -alpha up."""
        return -self.alpha, math.inf


@formula
class Sigmoid(Activation):
    """f(x) = 1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 to 1."""
        return 0.0, 1.0


@formula
class Tanh(Activation):
    """f(x) = tanh(x)."""

    name: ClassVar[str] = "tanh"

    @property
    def bounds(self) -> tuple[float, float]:
        """From -1 to 1."""
        return -1.0, 1.0


@formula
class GELU(Activation):
    """f(x) = x Phi(x) = x/2 (1 + erf(x / sqrt(2))), Phi the normal distribution function.

    Source: Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.
    """

    name: ClassVar[str] = "gelu"

    @property
    def bounds(self) -> tuple[float, float]:
        """From about -0.17 up."""
        return -0.17, math.inf


@formula
class GELUTanh(Activation):
    """f(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the cheaper form of GELU.

    PyTorch's ``GELU(approximate="tanh")``. Source: as for `GELU`.
    """

    name: ClassVar[str] = "gelu_tanh"

    @property
    def bounds(self) -> tuple[float, float]:
        """From about -0.17 up."""
        return -0.1701, math.inf


@formula
class SiLU(Activation):
    """f(x) = x / (1 + exp(-x)), also called swish.

    Source: Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", arXiv:1702.03118.
    """

    name: ClassVar[str] = "silu"

    @property
    def bounds(self) -> tuple[float, float]:
        """From about -0.28 up."""
        return -0.28, math.inf


@formula
class Softplus(Activation):
    """f(x) = log(1 + exp(beta x)) / beta, a smooth ReLU.

    Source: Dugas et al., "Incorporating second-order functional knowledge for better option
    pricing", NIPS 2000.

    Args:
        beta: Sharpness; above 0.
    """

    name: ClassVar[str] = "softplus"
    beta: float = real_field(1.0, above=0)

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 up."""
        return 0.0, math.inf


@formula
class Softmax(Activation):
    """f(x)_i = exp(x_i) / sum_j exp(x_j) over the units of the layer: probabilities.

    For the last layer. With the loss ``"cross_entropy"`` the network trains on the sums before the
    softmax, which is exact and cheaper, and ``predict`` gives the probabilities.
    """

    name: ClassVar[str] = "softmax"

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 to 1."""
        return 0.0, 1.0
