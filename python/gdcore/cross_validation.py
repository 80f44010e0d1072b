"""Rows in parts: folds for cross-validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _core
from gdcore._check import flag, integer
from gdcore._frames import array

__all__ = ["folds"]


def __dir__() -> list[str]:
    return __all__


Rows = NDArray[np.int64]

_NO_EPOCH = 2**64 - 1  # what shuffles an epoch's samples counts from 0: this order is none of them


def folds(
    n_or_y: Any, k: int, *, seed: int = 0, stratify: bool | None = None
) -> list[tuple[Rows, Rows]]:
    """Cuts rows into k parts, each of which is held out once.

    >>> rows = gdcore.folds(y, 5)
    >>> results = gdcore.fit_many(trainers, x, y, rows=rows, epochs=20)

    Rows are taken in an order that n, k and seed decide, the same on every machine. The parts have
    the same size, to within a row.

    Args:
        n_or_y: The number of rows, at least k; or the targets, an array of as many.
        k: How many parts, at least 2.
        seed: Decides the order, at least 0.
        stratify: Whether each part has its share of every class, to within a row; then n_or_y are
            classes (n,). None: where n_or_y are integers, booleans or strings (n,).

    Returns:
        k tuples of two arrays of int64, in increasing order: the rows for training, and those held
        out. A class of less than k rows is missing in some parts.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: There are fewer rows than parts, an argument is out of its domain, or there are
            no classes to stratify by.
    """
    k = integer("k", k, at_least=2)
    seed = integer("seed", seed, at_least=0)
    stratify = None if stratify is None else flag("stratify", stratify)
    classes = None
    if hasattr(n_or_y, "__index__") and not isinstance(n_or_y, np.ndarray):
        n = integer("n_or_y", n_or_y)
        if stratify:
            raise ValueError("stratify needs the classes in place of n_or_y, got a number of rows")
    else:
        y = array(n_or_y, "n_or_y")
        if y.ndim == 0:
            raise TypeError(f"n_or_y must be an integer or an array, got {n_or_y!r}")
        n = len(y)
        if stratify or (stratify is None and y.ndim == 1 and y.dtype.kind in "biuSUO"):
            classes = _classes(y)
    if n < k:
        raise ValueError(f"k must be at most the number of rows, {n}, got {k}")
    order = np.asarray(_core.shuffled(n, seed, _NO_EPOCH))
    if classes is not None:  # class after class: one row to each part in turn
        order = order[np.argsort(classes[order], kind="stable")]
    part = np.empty(n, np.int64)
    part[order] = np.arange(n) % k
    return [(np.flatnonzero(part != each), np.flatnonzero(part == each)) for each in range(k)]


def _classes(y: NDArray[Any]) -> NDArray[Any]:
    """(n,) numbers of classes."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"stratify needs classes of shape (n,), got n_or_y of shape {y.shape}")
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        raise ValueError("stratify needs classes, got numbers in n_or_y that are not whole")
    try:
        found: NDArray[Any] = np.unique(y, return_inverse=True)[1]
    except TypeError:
        raise TypeError("n_or_y must hold classes of one type, to stratify by") from None
    return found.reshape(-1)
