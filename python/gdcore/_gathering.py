"""The rows of a source as arrays that lie in a file: to be judged over and over.

What `gdcore.Trainer.evaluate` says hangs on all rows in order, so that pieces are put side by side,
on disk, from where the system brings them when they are read, and drops them for what needs memory.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore._frames import order
from gdcore._judging import NAMES
from gdcore._native import NativeTrainer
from gdcore.data.ahead import ahead
from gdcore.data.pieces import Piece
from gdcore.data.source import Source

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Source", "checked_names", "gathered", "prepared"]


def gathered(
    source: Source, trainer: Trainer, names: Sequence[str] | None, argument: str
) -> tuple[Any, ...]:
    """X and y, and the weights where it has some: read once, in order, by pieces.

    Args:
        source: What is read.
        trainer: Who checks each piece, so that messages tell where it is from.
        names: What the columns must be called, or None.
        argument: What messages call the source.

    Raises:
        OSError: A file cannot be read, or there is no room for them all on disk.
        TypeError: As of arrays.
        ValueError: As of arrays; or there are no rows, or other columns.
    """
    checked_names(source, names, argument)
    columns: list[_Column] = []
    try:
        pieces = source._pieces(None, 0, trainer.network.dtype)
        with closing(pieces), ahead(pieces, source._ahead) as coming:
            for piece in coming:
                prepared(trainer._native, piece)
                every = list(_arrays(piece))
                columns = columns or [_Column(each) for _, each in every]
                for column, (name, each) in zip(columns, every, strict=True):
                    column.add(each, name, piece.where)
        if not columns:
            raise ValueError(f"{argument} must have rows, and {source} has none")
        return _given(piece, iter([column.mapped() for column in columns]))
    finally:
        for column in columns:
            column.file.close()  # what is mapped stays, and the file goes with it


def checked_names(source: Source, names: Sequence[str] | None, argument: str) -> None:
    """ValueError where a source has not the columns that a network was trained with, in order."""
    if order(source.names, names, argument) is not None:
        raise ValueError(
            f"{argument} must have the columns in the order that the network was trained with, "
            f"{list(names or ())}, got {list(source.names or ())}: say which by columns"
        )


def prepared(native: NativeTrainer, piece: Piece) -> Any:
    """A piece as a trainer takes it; what is wrong with it is told with its place."""
    try:
        return native.prepare(piece.x, piece.y, piece.weight, NAMES)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{piece.where}: {error}") from None


class _Column:
    """One of the arrays, on disk."""

    def __init__(self, first: NDArray[Any]) -> None:
        self._dtype, self._shape = first.dtype, first.shape[1:]
        self._rows = 0
        self.file = tempfile.TemporaryFile(prefix="gdcore-")  # noqa: SIM115  (closed by who asks)

    def add(self, rows: NDArray[Any], name: str, where: str) -> None:
        if rows.dtype != self._dtype:
            raise ValueError(f"{where}: {name} is {rows.dtype}, and what came before {self._dtype}")
        self.file.write(np.ascontiguousarray(rows).data)
        self._rows += len(rows)

    def mapped(self) -> NDArray[Any]:
        shape = (self._rows, *self._shape)
        self.file.flush()
        if not self.file.tell():
            return np.empty(shape, self._dtype)
        memory = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(memory, self._dtype).reshape(shape)


def _arrays(piece: Piece) -> Iterator[tuple[str, Any]]:
    for name, part in zip(NAMES, (piece.x, piece.y, piece.weight), strict=True):
        if isinstance(part, Mapping):
            yield from ((f"{name}[{key!r}]", each) for key, each in part.items())
        elif part is not None:
            yield name, part


def _given(like: Piece, arrays: Iterator[Any]) -> tuple[Any, ...]:
    """Arrays in the form of a piece."""
    parts = (like.x, like.y) if like.weight is None else (like.x, like.y, like.weight)
    return tuple(
        {key: next(arrays) for key in part} if isinstance(part, Mapping) else next(arrays)
        for part in parts
    )
