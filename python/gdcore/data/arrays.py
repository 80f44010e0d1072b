"""Arrays in files, mapped into memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import checked_path, integer
from gdcore.data.pieces import Piece
from gdcore.data.source import Units

__all__ = ["NPY"]


class NPY(Units):
    """Arrays that ``numpy.save`` wrote, of which the system holds in memory what it has room for.

    >>> trainer.fit(gdcore.data.NPY("x.npy", "y.npy"), epochs=3)

    Args:
        x: A file of an array (N, columns), or an array, say a ``numpy.memmap``.
        y: The targets, as the loss takes them: (N,) or (N, K).
        sample_weight: (N,), or None.
        unit: Rows that are read together, at least 1: what a shuffled epoch takes in random order.
        shuffle_buffer: As in `Source`.
        rows_per_epoch: As in `Source`.
        ahead: As in `Source`.

    Raises:
        OSError: A file cannot be read.
        TypeError: An argument is of the wrong type, or an array holds no numbers.
        ValueError: A file is no array or is cut short, or lengths differ.
    """

    def __init__(
        self,
        x: str | os.PathLike[str] | NDArray[Any],
        y: str | os.PathLike[str] | NDArray[Any],
        sample_weight: str | os.PathLike[str] | NDArray[Any] | None = None,
        *,
        unit: int = 4096,
        shuffle_buffer: int = 65_536,
        rows_per_epoch: int | None = None,
        ahead: int = 2,
    ) -> None:
        super().__init__(shuffle_buffer=shuffle_buffer, rows_per_epoch=rows_per_epoch, ahead=ahead)
        self._unit = integer("unit", unit)
        self._x, self._told = _mapped("x", x)
        self._y, _ = _mapped("y", y)
        self._weight = None if sample_weight is None else _mapped("sample_weight", sample_weight)[0]
        if self._x.ndim != 2 or not self._x.size:
            raise ValueError(f"x must have shape (N, columns), N at least 1, got {self._x.shape}")
        for name, each in (("y", self._y), ("sample_weight", self._weight)):
            if each is not None and len(each) != len(self._x):
                raise ValueError(
                    f"{name} must have {len(self._x)} rows, as x has, got shape {each.shape}"
                )

    def __repr__(self) -> str:
        return f"NPY({self._told}, {self._x.shape})"

    def _sizes(self) -> Sequence[int]:
        whole, rest = divmod(len(self._x), self._unit)
        return [self._unit] * whole + ([rest] if rest else [])

    def _read(self, unit: int, dtype: np.dtype[Any]) -> Piece:
        begin = unit * self._unit
        rows = slice(begin, begin + self._unit)
        x = np.array(self._x[rows], dtype)  # copied here, ahead of the training
        weight = None if self._weight is None else np.array(self._weight[rows])
        end = begin + len(x) - 1
        return Piece(x, np.array(self._y[rows]), weight, f"{self._told}, rows {begin} to {end}")


def _mapped(name: str, given: Any) -> tuple[NDArray[Any], str]:
    """An array, and how it is called."""
    if isinstance(given, np.ndarray):
        array, told = given, name
    else:
        path = checked_path(given)
        told = os.fspath(path)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (EOFError, ValueError) as error:
            raise ValueError(f"{told} cannot be read: {error}") from None
    if not isinstance(array, np.ndarray) or array.ndim == 0:
        raise ValueError(f"{told} must hold one array of rows")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype} in {told}")
    return array, told
