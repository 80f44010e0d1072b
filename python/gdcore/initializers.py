"""Initializers: the values that a network starts from.

A layer takes them by name, ``Dense(64, "relu", weight_init="he_normal")``. For a layer with n
inputs and m units, U(a) the uniform distribution on [-a, a) and N(s) the normal distribution with
mean 0 and standard deviation s, not truncated:

==================  ==========================  ================================================
name                values                      source
==================  ==========================  ================================================
``he_normal``       N(sqrt(2 / n))              He et al., arXiv:1502.01852
``he_uniform``      U(sqrt(6 / n))              the same
``glorot_normal``   N(sqrt(2 / (n + m)))        Glorot and Bengio, AISTATS 2010
``glorot_uniform``  U(sqrt(6 / (n + m)))        the same
``lecun_normal``    N(sqrt(1 / n))              LeCun et al., "Efficient BackProp", 1998
``lecun_uniform``   U(sqrt(3 / n))              the same
``pytorch``         U(sqrt(1 / n))              PyTorch's ``Linear``, weights and biases
``normal``          N(1)                        PyTorch's ``Embedding``
``zeros``           0                           the usual bias
==================  ==========================  ================================================

The values depend on the network's seed, the layer and the tensor, and on nothing else.
"""

from __future__ import annotations

from gdcore._names import choice
from gdcore.typing import InitializerName

__all__ = ["NAMES", "resolve"]


def __dir__() -> list[str]:
    return __all__


NAMES: tuple[InitializerName, ...] = (
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "pytorch",
    "normal",
    "zeros",
)


def resolve(argument: str, value: object) -> InitializerName:
    """Returns ``value`` if it names an initializer.

    Raises:
        TypeError: It is no string.
        ValueError: No initializer has this name.
    """
    return choice(argument, value, NAMES)
