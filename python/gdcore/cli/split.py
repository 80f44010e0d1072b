"""Which rows are held out of training."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer, real

__all__ = ["split"]


def split(
    rows: int, share: float, seed: int, labels: NDArray[np.int64] | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the rows for training and those that are held out, in an order by ``seed``.

    Args:
        rows: How many there are.
        share: Of them that is held out, at least 0 and below 1; the number is rounded down.
        seed: At least 0.
        labels: (rows,) classes from 0 on. Each has its share held out, to within a row, and at
            least one row for training.

    Raises:
        TypeError: share is no number, or seed no integer.
        ValueError: One is out of its domain, or a share of more than 0 holds no row.
    """
    share = real("--validation", share, at_least=0, below=1)
    seed = integer("--seed", seed, at_least=0)
    # 0.29 of 100 rows is a little less than 29; one row is left for training in any case.
    count = min(int(rows * share + 1e-9), rows - 1)
    if share > 0 and count == 0:
        raise ValueError(
            f"--validation must hold out at least one of the {rows} rows, or be 0 for none, got "
            f"{share:g}"
        )
    order = _shuffled(rows, seed)
    if labels is None or count == 0:
        held_out, kept = np.split(order, [count])
        return kept, held_out
    sizes = np.bincount(labels)
    quotas = _quotas(sizes, count)
    if not quotas.any():
        raise ValueError("--validation must be 0: no class has a second row to hold out")
    # The first rows of each class in that order.
    by_class = np.argsort(labels[order], kind="stable")
    places = np.empty(rows, np.int64)
    places[by_class] = np.arange(rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    out = places < quotas[labels[order]]
    return order[~out], order[out]


def _quotas(sizes: NDArray[Any], count: int) -> NDArray[Any]:
    """``count`` shared out among classes by their sizes, the largest remainders first."""
    exact = sizes * count  # in parts of the number of rows
    rows = int(sizes.sum())
    quotas: NDArray[Any] = np.minimum(exact // rows, sizes - 1)
    for at in np.argsort(-(exact % rows), kind="stable"):
        if quotas.sum() < count and quotas[at] < sizes[at] - 1:
            quotas[at] += 1
    # Classes of one row may have left some over: the largest take it.
    for at in np.argsort(-sizes, kind="stable"):
        quotas[at] += min(count - int(quotas.sum()), int(sizes[at]) - 1 - int(quotas[at]))
    return quotas


def _shuffled(count: int, seed: int) -> NDArray[Any]:
    """0 to count - 1 in an order that is the same in every version of Python and NumPy."""
    generator = random.Random(seed)
    return np.argsort([generator.random() for _ in range(count)], kind="stable")
