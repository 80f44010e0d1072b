"""Layers for the columns of a table: a common scale, and numbers as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np

from gdcore._check import (
    checked_field,
    flag,
    integer,
    listed,
    numbers,
    real,
    required_field,
)
from gdcore._frames import feature_names, real_columns
from gdcore._frozen import frozen
from gdcore._layer import Layer
from gdcore._names import choice
from gdcore.activations import Activation
from gdcore.typing import ActivationName

__all__ = [
    "LinearReLUEmbedding",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "Standardize",
]


def _scales(argument: str, value: object) -> tuple[float, ...]:
    return numbers(argument, value, above=0)


def _positive(argument: str, value: object) -> float:
    return real(argument, value, above=0)


@frozen
class Standardize(Layer):
    """Brings each column to a scale that is given, and stays.

    y = (x - mean) / scale, x and y (N, width), mean and scale (width,). Both stand in
    ``state_dict`` as ``mean`` and ``scale`` and are saved with the network, so that what predicts
    takes columns as they come; no rule updates them.

    >>> layers = [gdcore.Standardize.of(x), gdcore.Dense(64, "relu"), gdcore.Dense(1)]
    >>> net = gdcore.Network(layers, input_size=x.shape[1])

    Args:
        means: One a column.
        scales: One a column, above 0.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or there are not as many scales as means.
    """

    kind: ClassVar[str] = "standardize"

    means: Sequence[float] = required_field(numbers)
    scales: Sequence[float] = required_field(_scales)
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description."""
        super().__post_init__()
        if len(self.means) != len(self.scales):
            raise ValueError(
                f"scales must be as many as means, {len(self.means)}, got {len(self.scales)}"
            )

    @classmethod
    def of(cls, x: Any, *, name: str | None = None) -> Standardize:
        """The layer that gives the columns of x mean 0 and variance 1.

        mean = sum_i x_i / N and scale = sqrt(sum_i (x_i - mean)^2 / N), in float64, as
        scikit-learn's ``StandardScaler`` has them.

        Args:
            x: (N, width), finite, an array or a table; of the training data alone.
            name: As in `Dense`.

        Raises:
            TypeError: x does not hold real numbers.
            ValueError: x is of another shape, empty, or not finite, or a column holds one number
                alone: it tells nothing, and there is no scale for it.
        """
        columns = real_columns("x", x)
        means, scales = columns.mean(axis=0), columns.std(axis=0)
        same = np.flatnonzero((columns == columns[0]).all(axis=0))
        if len(same):
            names = feature_names(x)
            column = same[0] if names is None else repr(names[same[0]])
            raise ValueError(
                f"x must hold different numbers in each column, got {columns[0, same[0]]:g} alone "
                f"in column {column}: leave it out, or give means and scales"
            )
        return cls(means.tolist(), scales.tolist(), name=name)

    def shown(self) -> str:
        """Its kind: the numbers would fill the row."""
        return self.kind


@frozen
class LinearReLUEmbedding(Layer):
    """Makes a vector of each number of a row.

    y = max(0, x w + b) for each column by itself, x (N, width), w and b (width, size), y
    (N, width size): first what is made of the first column. Keys and shapes, ``linear.weight`` and
    ``linear.bias``, are those of ``LinearReLUEmbeddings`` in rtdl_num_embeddings, whose output has
    a dimension for the columns.

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep
    learning", NeurIPS 2022.

    Args:
        size: Length of each vector, at least 1.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "linear_relu_embedding"

    size: int = checked_field(32, integer)
    _: KW_ONLY
    name: str | None = None


@frozen
class PeriodicEmbedding(Layer):
    """Makes a vector of each number of a row, by waves of several lengths.

    y = f(W h + c), h = (cos(2 pi w x), sin(2 pi w x)) for each column by itself, x (N, width),
    w (width, frequencies), W (width, 2 frequencies, size), c (width, size), y (N, width size):
    first what is made of the first column. With phase h = cos(2 pi w x + b), b (width,
    frequencies), so that W is (width, frequencies, size). With keep_input x itself stands behind
    all that is made of it, and size counts it: W makes size - 1.

    w starts at N(0, sigma^2), drawn again where it is beyond 3 sigma but for phase; b within
    [-pi, pi), W and c within 1 / sqrt(inputs of W). **sigma decides what can be learnt**: about
    the number of waves in a standard deviation of x. Columns should have a common scale, see
    `Standardize`.

    Keys and shapes, ``periodic.weight``, ``linear.weight`` and ``linear.bias``, are those of
    ``PeriodicEmbeddings`` in rtdl_num_embeddings, whose output has a dimension for the columns;
    ``periodic.bias`` is b.

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep
    learning", NeurIPS 2022; lite: Gorishniy et al., "TabR", ICLR 2024; phase and keep_input, the
    "PBLD" of RealMLP: Holzmueller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024.

    Args:
        size: Length of each vector, at least 1, with keep_input at least 2.
        frequencies: Waves of each column, at least 1.
        sigma: Spread of the first frequencies, above 0.
        activation: f, by name or as an object; none that needs whole rows.
        lite: One W, (size, 2 frequencies), and one c, (size,), for all columns.
        phase: Whether the waves have a phase that is learnt, and no sines.
        keep_input: Whether x is part of the output.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or names nothing that there is.
    """

    kind: ClassVar[str] = "periodic_embedding"

    size: int = checked_field(24, integer)
    _: KW_ONLY
    frequencies: int = checked_field(48, integer)
    sigma: float = checked_field(0.01, _positive)
    activation: ActivationName | Activation = "relu"
    lite: bool = checked_field(False, flag)
    phase: bool = checked_field(False, flag)
    keep_input: bool = checked_field(False, flag)
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves the activation."""
        activation = Activation.resolve("activation", self.activation)
        object.__setattr__(self, "activation", activation)
        super().__post_init__()
        if self.keep_input and self.size < 2:
            raise ValueError(
                f"size must be at least 2 where the input is one of its columns, got {self.size}"
            )

    @classmethod
    def pbld(
        cls,
        size: int = 4,
        *,
        frequencies: int = 16,
        sigma: float = 0.1,
        name: str | None = None,
    ) -> PeriodicEmbedding:
        """The form that RealMLP has: waves with a phase, no activation, and x beside.

        Args:
            size: Length of each vector with x, at least 2.
            frequencies: As in `PeriodicEmbedding`.
            sigma: As in `PeriodicEmbedding`.
            name: As in `Dense`.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: An argument is out of its domain.
        """
        return cls(
            size,
            frequencies=frequencies,
            sigma=sigma,
            activation="identity",
            phase=True,
            keep_input=True,
            name=name,
        )


def _bins(argument: str, value: object) -> tuple[tuple[float, ...], ...]:
    columns = listed(argument, value, "bin edges, a sequence for each column")
    if not columns:
        raise ValueError(f"{argument} must hold the edges of at least one column, got none")
    checked = []
    for index, each in enumerate(columns):
        where = f"{argument}[{index}]"
        edges = numbers(where, each)
        if len(edges) < 2:
            raise ValueError(f"{where} must hold at least two edges, got {len(edges)}")
        for low, high in pairwise(edges):
            if low >= high:
                raise ValueError(f"{where} must hold edges that grow, got {low:g} before {high:g}")
        checked.append(edges)
    return tuple(checked)


@frozen
class PiecewiseLinearEmbedding(Layer):
    """Makes a vector of each number of a row, by its place among bins.

    Version "B": y = f(W e(x)) + w x + b for each column by itself, x (N, width), W (width, bins,
    size), w and b (width, size), y (N, width size): first what is made of the first column. e(x)
    has a place for each bin: 1 where x is above it, (x - low) / (high - low) within it, 0 where x
    is below; the first and the last bin go on outwards. W starts at 0, so that at first the
    embedding is linear. Version "A": y = f(W e(x) + b), W and b within 1 / sqrt(bins).

    bins is the most that a column has; of one that has fewer, the last bin stands at the end and
    the places before it count nothing. So keys and shapes, ``linear.weight``, ``linear.bias``,
    ``linear0.weight`` and ``linear0.bias``, are those of ``PiecewiseLinearEmbeddings`` in
    rtdl_num_embeddings, whose output has a dimension for the columns. All edges, one after the
    other, stand in ``state_dict`` as ``bins`` and are saved with the network; no rule updates them.

    >>> bins = gdcore.compute_bins(x)
    >>> layers = [gdcore.PiecewiseLinearEmbedding(bins, 16), gdcore.Dense(1)]

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep
    learning", NeurIPS 2022; version "B": Gorishniy, Kotelnikov and Babenko, "TabM", ICLR 2025.

    Args:
        bins: For each column the edges of its bins, at least two numbers that grow; see
            ``gdcore.compute_bins``.
        size: Length of each vector, at least 1.
        activation: f, by name or as an object; none that needs whole rows.
        version: ``"A"`` or ``"B"``.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or names nothing that there is.
    """

    kind: ClassVar[str] = "piecewise_linear_embedding"

    bins: Sequence[Sequence[float]] = required_field(_bins)
    size: int = checked_field(16, integer)
    _: KW_ONLY
    activation: ActivationName | Activation = "identity"
    version: Literal["A", "B"] = checked_field(
        "B", lambda argument, value: choice(argument, value, ("A", "B"))
    )
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves the activation."""
        activation = Activation.resolve("activation", self.activation)
        object.__setattr__(self, "activation", activation)
        super().__post_init__()

    def options(self) -> dict[str, Any]:
        """Edges of all columns in one list, and how many each has."""
        found = super().options()
        del found["bins"]
        found["edges"] = [edge for column in self.bins for edge in column]
        found["edge_counts"] = [len(column) for column in self.bins]
        return found

    def shown(self) -> str:
        """Its kind: the edges would fill the row."""
        return self.kind
