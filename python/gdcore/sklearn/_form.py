"""The network of an estimator: its layers, and where scikit-learn's matrices are in it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore._check import real
from gdcore._layer import Layer
from gdcore._node import Input
from gdcore.activations import Activation
from gdcore.layers import Dense, Dropout
from gdcore.network import Network

__all__ = ["Form", "activations_of", "rates_of"]

_NAMES = {"logistic": "sigmoid"}  # scikit-learn's, where it is another


class Form(NamedTuple):
    """What makes the network of an estimator, but for its parameters.

    Attributes:
        sizes: Of inputs, hidden layers and outputs.
        activations: Of each hidden layer, an activation or a layer that stands behind it.
        dropout: Of each hidden layer, the rate of a `gdcore.Dropout` behind it.
        dtype: ``"float32"`` or ``"float64"``.
        sparse: Whether it reads CSR rows.
    """

    sizes: tuple[int, ...]
    activations: tuple[Any, ...]
    dropout: tuple[float, ...]
    dtype: str
    sparse: bool

    def network(self) -> Network:
        """One with first values of its own."""
        layers: list[Any] = []
        for units, activation, rate in zip(
            self.sizes[1:-1], self.activations, self.dropout, strict=True
        ):
            if isinstance(activation, Layer):
                layers += [Dense(units), activation]
            else:
                layers.append(Dense(units, activation))
            if rate > 0:
                layers.append(Dropout(rate))
        layers.append(Dense(self.sizes[-1]))
        given = Input(self.sizes[0], sparse=self.sparse)
        return Network(layers, inputs=given, dtype=self.dtype)  # type: ignore[arg-type]

    def dense(self) -> list[str]:
        """The names, in the network's state, of the layers that scikit-learn has too."""
        names, at = [], 0
        for activation, rate in zip(self.activations, self.dropout, strict=True):
            names.append(str(at))
            at += 1 + isinstance(activation, Layer) + (rate > 0)
        return [*names, str(at)]

    @classmethod
    def of(cls, coefs: Sequence[NDArray[Any]], activation: Any, dropout: Any, sparse: bool) -> Form:
        """That of an estimator's matrices.

        Raises:
            TypeError: An activation is none, or a rate no number.
            ValueError: There are more or fewer of them than hidden layers, or one is out of its
                domain.
        """
        hidden = len(coefs) - 1
        sizes = (len(coefs[0]), *(each.shape[1] for each in coefs))
        dtype = "float32" if coefs[0].dtype == np.float32 else "float64"
        activations = activations_of(activation, hidden)
        return cls(sizes, activations, rates_of(dropout, hidden), dtype, sparse)


def activations_of(given: Any, hidden: int) -> tuple[Any, ...]:
    """The parameter activation, one for each hidden layer."""
    row = _each("activation", given, hidden, (list, tuple))
    found: list[Any] = []
    for argument, each in row:
        if isinstance(each, Layer):
            found.append(each)
        else:
            name = _NAMES.get(each, each) if isinstance(each, str) else each
            found.append(Activation.resolve(argument, name))
    return tuple(found)


def rates_of(given: Any, hidden: int) -> tuple[float, ...]:
    """The parameter dropout, one for each hidden layer."""
    if not isinstance(given, (list, tuple, np.ndarray, Real)):
        raise TypeError(f"dropout must be a number or a list of them, got {given!r}")
    row = _each("dropout", given, hidden, (list, tuple, np.ndarray))
    return tuple(real(argument, each, at_least=0, below=1) for argument, each in row)


def _each(argument: str, given: Any, hidden: int, rows: Any) -> list[tuple[str, Any]]:
    if not isinstance(given, rows):
        return [(argument, given)] * hidden
    if len(given) != hidden:
        raise ValueError(
            f"{argument} must have one entry for each of {hidden} hidden layers, got {len(given)}"
        )
    return [(f"{argument}[{i}]", each) for i, each in enumerate(given)]
