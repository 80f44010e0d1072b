"""Activations: the function that a layer applies to each of its sums.

Everywhere an activation is expected, its name does as well: ``"relu"`` is ``ReLU()``. Names and
defaults are PyTorch's. x stands for one sum of a layer, W a + b.
"""

from __future__ import annotations

import math
from typing import ClassVar

from gdcore._check import real_field
from gdcore._formula import Formula, formula
from gdcore._node import Node, made_by

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "GELUTanh",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


def __dir__() -> list[str]:
    return __all__


class Activation(Formula, family="an activation"):
    """Base of all activations; see `gdcore.Dense`."""

    def __call__(self, node: Node) -> Node:
        """Makes a node of a node; see `gdcore.Node`.

        Raises:
            TypeError: What it is called on is no node.
        """
        return made_by(self, (node,), 1)

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
class ReLU6(Activation):
    """f(x) = min(max(x, 0), 6).

    At x = 0 and x = 6 the derivative is taken to be 0.

    Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """

    name: ClassVar[str] = "relu6"

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 to 6."""
        return 0.0, 6.0


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
class CELU(Activation):
    """f(x) = x for x > 0, else alpha (exp(x / alpha) - 1): smooth for any alpha.

    Source: Barron, "Continuously differentiable exponential linear units", arXiv:1704.07483.

    Args:
        alpha: -alpha is the limit for x to minus infinity; above 0.
    """

    name: ClassVar[str] = "celu"
    alpha: float = real_field(1.0, above=0)

    @property
    def bounds(self) -> tuple[float, float]:
        """From -alpha up."""
        return -self.alpha, math.inf


@formula
class SELU(Activation):
    """f(x) = s x for x > 0, else s alpha (exp(x) - 1), s = 1.0507..., alpha = 1.6732...

    With these two numbers mean 0 and variance 1 are a fixed point from layer to layer, if the
    weights start with ``weight_init="lecun_normal"``. At x = 0 the derivative is taken to be
    s alpha.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks",
    NIPS 2017, arXiv:1706.02515.
    """

    name: ClassVar[str] = "selu"

    @property
    def bounds(self) -> tuple[float, float]:
        """From about -1.758 up."""
        return -1.7581, math.inf


@formula
class Sigmoid(Activation):
    """f(x) = 1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 to 1."""
        return 0.0, 1.0


@formula
class LogSigmoid(Activation):
    """f(x) = log(1 / (1 + exp(-x))) = -log(1 + exp(-x)).

    It is not for the last layer under ``"bce_with_logits"``, which takes logits.
    """

    name: ClassVar[str] = "logsigmoid"

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 down."""
        return -math.inf, 0.0


@formula
class Hardsigmoid(Activation):
    """f(x) = min(max((x + 3) / 6, 0), 1): sigmoid in straight lines.

    At x = -3 and x = 3 the derivative is taken to be 0.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244; an older form
    with another slope: Courbariaux, Bengio and David, "BinaryConnect", NIPS 2015, arXiv:1511.00363.
    """

    name: ClassVar[str] = "hardsigmoid"

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
class Tanhshrink(Activation):
    """f(x) = x - tanh(x), with all its digits near 0, where it is about x^3 / 3."""

    name: ClassVar[str] = "tanhshrink"


@formula
class Hardtanh(Activation):
    """f(x) = min(max(x, min_val), max_val).

    At x = min_val and x = max_val the derivative is taken to be 0.

    Source: Collobert, "Large scale machine learning", PhD thesis, Paris VI, 2004.

    Args:
        min_val: The lower bound.
        max_val: The upper bound; above min_val.
    """

    name: ClassVar[str] = "hardtanh"
    min_val: float = real_field(-1.0)
    max_val: float = real_field(1.0)

    def __post_init__(self) -> None:
        """Checks each number, and their order."""
        super().__post_init__()
        if not self.min_val < self.max_val:
            raise ValueError(
                f"max_val must be above min_val, got min_val {self.min_val:g} and max_val "
                f"{self.max_val:g}"
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """From min_val to max_val."""
        return self.min_val, self.max_val


@formula
class Softsign(Activation):
    """f(x) = x / (1 + |x|).

    Source: Bergstra, Desjardins, Lamblin and Bengio, "Quadratic polynomials learn better image
    features", technical report 1337, Universite de Montreal, 2009.
    """

    name: ClassVar[str] = "softsign"

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
class Hardswish(Activation):
    """f(x) = x min(max(x + 3, 0), 6) / 6: swish in straight lines and a parabola.

    At x = -3 the derivative is taken to be 0, at x = 3 to be 1.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.
    """

    name: ClassVar[str] = "hardswish"

    @property
    def bounds(self) -> tuple[float, float]:
        """From -0.375 up."""
        return -0.375, math.inf


@formula
class Mish(Activation):
    """f(x) = x tanh(log(1 + exp(x))).

    Source: Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020,
    arXiv:1908.08681.
    """

    name: ClassVar[str] = "mish"

    @property
    def bounds(self) -> tuple[float, float]:
        """From about -0.31 up."""
        return -0.31, math.inf


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
class Softshrink(Activation):
    """f(x) = x - lambd for x > lambd, x + lambd for x < -lambd, else 0.

    At x = lambd and x = -lambd the derivative is taken to be 0.

    Source: Donoho, "De-noising by soft-thresholding", IEEE Transactions on Information Theory 41
    (1995).

    Args:
        lambd: How far numbers are drawn to 0; at least 0. Named as in PyTorch.
    """

    name: ClassVar[str] = "softshrink"
    lambd: float = real_field(0.5, at_least=0)


@formula
class Hardshrink(Activation):
    """f(x) = x for |x| > lambd, else 0.

    It jumps at x = lambd and x = -lambd, where the derivative is taken to be 0.

    Source: Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81
    (1994).

    Args:
        lambd: Up to which size numbers become 0; at least 0. Named as in PyTorch.
    """

    name: ClassVar[str] = "hardshrink"
    lambd: float = real_field(0.5, at_least=0)


@formula
class Threshold(Activation):
    """f(x) = x for x > threshold, else value.

    At x = threshold, where it jumps unless value is the same, the derivative is taken to be 0.
    PyTorch's has no defaults; with these it is `ReLU`.

    Args:
        threshold: Up to which x becomes value.
        value: What it becomes.
    """

    name: ClassVar[str] = "threshold"
    threshold: float = real_field(0.0)
    value: float = real_field(0.0)

    @property
    def bounds(self) -> tuple[float, float]:
        """From threshold or value up, whichever is less."""
        return min(self.threshold, self.value), math.inf


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


@formula
class LogSoftmax(Activation):
    """f(x)_i = x_i - log sum_j exp(x_j) over the units of the layer: logarithms of probabilities.

    For the last layer, with a loss of your own such as -f(x)_c. ``"cross_entropy"`` has it inside:
    over this activation, which changes nothing a second time, it gives what it gives without, for
    one more pass.
    """

    name: ClassVar[str] = "log_softmax"

    @property
    def bounds(self) -> tuple[float, float]:
        """From 0 down."""
        return -math.inf, 0.0
