"""Sparse rows, known by their attributes: none of the packages that have them is imported."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Csr", "cut", "is_csr", "refuse_sparse"]


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


def refuse_sparse(network: Any) -> None:
    """ValueError where a network reads sparse rows, and what asks cannot cut them into batches."""
    for each in network.inputs:
        if each.sparse:
            raise ValueError(
                f"a loss that is a Python function takes dense rows, and {each!r} has sparse ones: "
                "forward(x, training=True), backward and apply_gradients take them"
            )
