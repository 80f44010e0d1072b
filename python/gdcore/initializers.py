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
``orthogonal``      see `Orthogonal`, gain 1    Saxe et al., arXiv:1312.6120; of weights alone
``zeros``           0                           the usual bias
==================  ==========================  ================================================

The values depend on the network's seed, the layer and the tensor, and on nothing else; `from_data`
goes by data as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from gdcore._check import listed, real_field
from gdcore._formula import Formula, formula
from gdcore._names import choice, unknown
from gdcore.typing import InitializerName

if TYPE_CHECKING:
    from gdcore.network import Network

__all__ = ["NAMES", "Initializer", "Orthogonal", "from_data", "resolve"]


def __dir__() -> list[str]:
    return __all__


NAMES: tuple[InitializerName, ...] = (
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "pytorch",
    "normal",
    "zeros",
)


class Initializer(Formula, family="an initializer"):
    """Base of initializers with parameters."""


@formula
class Orthogonal(Initializer):
    """A random matrix W (m, n) whose rows are orthogonal and of length ``gain``.

    W W^T = gain^2 I for m <= n, else W^T W = gain^2 I: the columns are. It is Q of the QR
    decomposition of a matrix of normal numbers, with the signs that make every Q as likely as any
    other, in float64 and the same on every machine. That takes some 4 min(m, n)^2 max(m, n)
    operations on one thread: below 0.1 s up to 256 x 256, a minute at 3,000 x 3,000.

    >>> gdcore.Dense(64, "tanh", weight_init=gdcore.initializers.Orthogonal(2**0.5))

    Source: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014, arXiv:1312.6120.

    Args:
        gain: Finite; sqrt(2) before relu keeps the size of what goes through.

    Raises:
        TypeError: gain is no number.
        ValueError: gain is not finite.
    """

    name: ClassVar[str] = "orthogonal"
    gain: float = real_field(1.0)


def resolve(argument: str, value: object) -> InitializerName:
    """Returns ``value`` if it names an initializer.

    Raises:
        TypeError: It is no string.
        ValueError: No initializer has this name.
    """
    return choice(argument, value, NAMES)


def resolve_weights(argument: str, value: object) -> InitializerName | Initializer:
    """The same for weights, which may also start from an initializer with parameters.

    Raises:
        TypeError: It is neither a string nor an initializer.
        ValueError: No initializer has this name.
    """
    if isinstance(value, str):
        return resolve(argument, value)
    return Initializer.resolve(argument, value)  # type: ignore[arg-type]


def from_data(network: Network, x: ArrayLike, *, layers: Sequence[str] | None = None) -> None:
    """Scales dense layers so that what they make of x has mean 0 and variance 1 in each unit.

    Layer after layer, each behind those that are scaled already: with the mean m and the standard
    deviation s of a unit's sums z = w x + b over the rows, before its activation,

    w <- w / s,  b <- (b - m) / s

    Without bias the mean stays. A unit that is the same for all rows is left alone. Call it once,
    before training, with a few hundred typical rows: then no layer starts with signals that vanish
    or explode, whatever its initializer.

    >>> gdcore.initializers.from_data(net, x[:1000])

    Source: Kraehenbuehl, Doersch, Donahue and Darrell, "Data-dependent initializations of
    convolutional neural networks", ICLR 2016, arXiv:1511.06856, the within-layer normalization;
    Mishkin and Matas, "All you need is a good init", ICLR 2016, arXiv:1511.06422, scale whole
    layers, from orthogonal matrices.

    Args:
        network: Its parameters are changed in place.
        x: (N, input_size) of at least 2 rows, finite.
        layers: Names of dense layers, as in the keys of ``state_dict`` before ``".weight"``; None:
            all of them.

    Raises:
        TypeError: x is complex, of objects or of strings, or layers no sequence of strings.
        ValueError: x is of another shape, not finite, or has fewer than 2 rows, a name is none of a
            dense layer, or the sums of a layer are not finite; then nothing has changed.
    """
    native: Any = network._native
    dense = [name for name, kind in native.layers if kind == "dense"]
    wanted = dense if layers is None else listed("layers", layers, "names")
    for name in wanted:
        if name not in dense:
            raise unknown("layers", name, dense)
    before = network.state_dict()
    try:
        for name in dense:
            if name in wanted:
                _scale(native, name, x)
    except BaseException:
        network.load_state_dict(before)
        raise


def _scale(native: Any, name: str, x: ArrayLike) -> None:
    sums = native.layer_output(name, x).astype(np.float64)
    if len(sums) < 2:
        raise ValueError(f"x must have at least 2 rows, got {len(sums)}")
    if not np.isfinite(sums).all():
        raise ValueError(f"the sums of layer {name!r} must be finite, got NaN or infinity")
    state = native.state_dict()
    weight, bias = f"{name}.weight", f"{name}.bias"
    if weight not in state:
        raise ValueError(f"layer {name!r} must have a plain weight to be scaled")
    spread = sums.std(axis=0)
    # Of a unit that says nothing, but for rounding, there is nothing to scale.
    still = spread <= 1e-6 * np.abs(sums).max(axis=0)
    scale = np.where(still, 1.0, spread)
    native.set_parameter(weight, state[weight] / scale[:, None])
    if bias in state:
        middle = np.where(still, 0.0, sums.mean(axis=0))
        native.set_parameter(bias, (state[bias] - middle) / scale)
