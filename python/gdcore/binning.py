"""Bins of columns, for `gdcore.PiecewiseLinearEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore._frames import feature_names, real_array, real_columns
from gdcore._names import choice

__all__ = ["compute_bins"]


def __dir__() -> list[str]:
    return __all__


def compute_bins(
    x: Any,
    n_bins: int = 48,
    *,
    y: Any = None,
    task: str | None = None,
    tree: Mapping[str, Any] | None = None,
) -> tuple[tuple[float, ...], ...]:
    """Cuts the range of each column into bins.

    Without y at the quantiles 0, 1/n_bins, ..., 1 of the column, equal ones counted once. With y
    where a decision tree of at most n_bins leaves splits the column to tell y, and at the least and
    the largest number; that needs scikit-learn. As ``compute_bins`` of rtdl_num_embeddings.

    Source: Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep
    learning", NeurIPS 2022, section 3.2.

    Args:
        x: (N, width), finite, an array or a table; of the training data alone.
        n_bins: Most bins of a column, at least 2 and below N.
        y: (N,) targets, for bins that tell them apart.
        task: ``"regression"`` or ``"classification"``, what y is; needed with y.
        tree: Options of scikit-learn's ``DecisionTreeRegressor`` or ``DecisionTreeClassifier``,
            such as ``{"min_samples_leaf": 64}``; without ``max_leaf_nodes``, which is n_bins.

    Returns:
        For each column its edges, from 2 to n_bins + 1 numbers that grow.

    Raises:
        ImportError: y is given and scikit-learn is missing.
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain or has no meaning without y, or a column holds
            one number alone.
    """
    columns = real_columns("x", x)
    rows = len(columns)
    if rows < 3:
        raise ValueError(f"x must have at least 3 rows, more than bins, got {rows}")
    n_bins = integer("n_bins", n_bins, at_least=2, at_most=rows - 1)
    same = np.flatnonzero((columns == columns[0]).all(axis=0))
    if len(same):
        names = feature_names(x)
        column = same[0] if names is None else repr(names[same[0]])
        raise ValueError(
            f"x must hold different numbers in each column, got {columns[0, same[0]]:g} alone in "
            f"column {column}"
        )
    if y is not None:
        return _by_trees(columns, n_bins, y, task, {} if tree is None else tree)
    for argument, value in (("task", task), ("tree", tree)):
        if value is not None:
            raise ValueError(f"{argument} has no meaning without y, got {value!r}")
    quantiles = np.quantile(columns, np.linspace(0, 1, n_bins + 1), axis=0)
    return tuple(tuple(np.unique(column).tolist()) for column in quantiles.T)


def _by_trees(
    columns: NDArray[np.float64], n_bins: int, y: Any, task: Any, options: Mapping[str, Any]
) -> tuple[tuple[float, ...], ...]:
    kind = choice("task", task, ("regression", "classification"))
    targets = real_array("y", y)
    if targets.shape != (len(columns),):
        raise ValueError(f"y must have shape ({len(columns)},) like x, got {targets.shape}")
    if not isinstance(options, Mapping):
        raise TypeError(f"tree must be a mapping of options, got {type(options).__name__}")
    if "max_leaf_nodes" in options:
        raise ValueError("tree must not hold max_leaf_nodes, which is n_bins")
    try:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
    except ImportError:
        raise ImportError(
            'bins by trees need scikit-learn. Install it with: python -m pip install "gdcore[cli]"'
        ) from None
    model = DecisionTreeRegressor if kind == "regression" else DecisionTreeClassifier
    found = []
    for column in columns.T:
        made = model(**{"max_leaf_nodes": n_bins, **options})
        tree = made.fit(column.reshape(-1, 1), targets).tree_
        splits = tree.threshold[tree.children_left != tree.children_right]
        found.append(tuple(np.unique([column.min(), *splits, column.max()]).tolist()))
    return tuple(found)
