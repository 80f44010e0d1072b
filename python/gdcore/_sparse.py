"""Sparse rows, known by their attributes: none of the packages that have them is imported."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Csr", "cut", "is_csr", "refuse_sparse", "rows_of"]


class Csr(NamedTuple):
    """Some rows of a CSR array, whose elements are where they were."""

    indptr: NDArray[Any]
    indices: NDArray[Any]
    data: NDArray[Any]
    shape: tuple[int, int]

    @property
    def format(self) -> str:
        """As SciPy has it."""
        return "csr"


def is_csr(x: Any) -> bool:
    """Whether it has what sparse rows are taken by."""
    return getattr(x, "format", None) == "csr" and hasattr(x, "indptr")


def cut(x: Any, kept: int) -> tuple[Csr, Csr]:
    """The first rows of a CSR array that was found to be right, and the others."""
    indptr, indices, data = map(np.asarray, (x.indptr, x.indices, x.data))
    rows, columns = x.shape
    middle = indptr[kept]
    first = Csr(indptr[: kept + 1], indices[:middle], data[:middle], (kept, columns))
    rest = Csr(indptr[kept:] - middle, indices[middle:], data[middle:], (rows - kept, columns))
    return first, rest


def rows_of(x: Any, rows: NDArray[np.int64]) -> Csr:
    """Some rows of a CSR array that was found to be right, in that order."""
    indptr, indices, data = map(np.asarray, (x.indptr, x.indices, x.data))
    counts = np.diff(indptr)[rows]
    ends = np.concatenate([[0], np.cumsum(counts)])
    # Of each element its place: the row's begin, then one after the other.
    places = np.repeat(indptr[rows] - ends[:-1], counts) + np.arange(ends[-1])
    own = ends.astype(indptr.dtype)
    return Csr(own, indices[places], data[places], (len(rows), x.shape[1]))


def refuse_sparse(network: Any) -> None:
    """ValueError where a network reads sparse rows, and what asks cannot cut them into batches."""
    for each in network.inputs:
        if each.sparse:
            raise ValueError(
                f"a loss that is a Python function takes dense rows, and {each!r} has sparse ones: "
                "forward(x, training=True), backward and apply_gradients take them"
            )
