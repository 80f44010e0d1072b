"""What is read piece by piece: in which order, and from any place in it on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from gdcore import _core
from gdcore._check import integer, optional_integer
from gdcore.data.pieces import Piece, checked, joined

__all__ = ["Source"]

PART = 16_384  # rows that a trainer gets at once, or one batch


class Source(ABC):
    """Rows for `gdcore.Trainer.fit` that need not fit into memory; see the subclasses.

    An epoch takes its units, such as the row groups of files, one after the other. Shuffled it
    takes them in random order, collects ``shuffle_buffer`` rows at a time and gives these in random
    order. Both orders depend on the trainer's seed and the epoch alone.

    Args:
        shuffle_buffer: Rows that are shuffled together, at least 1; so many are held in memory
            twice.
        rows_per_epoch: Ends each epoch after so many rows; shuffled they are a sample of the units,
            another one in each epoch. None: all.
        ahead: Parts of up to 16,384 rows that a thread reads ahead, at least 0; 0 reads when they
            are asked for, without a thread.

    Raises:
        TypeError: An argument is no integer.
        ValueError: One is out of its domain.
    """

    def __init__(
        self,
        *,
        shuffle_buffer: int = 65_536,
        rows_per_epoch: int | None = None,
        ahead: int = 2,
    ) -> None:
        self._buffer = integer("shuffle_buffer", shuffle_buffer)
        self._limit = optional_integer("rows_per_epoch", rows_per_epoch)
        self._ahead = integer("ahead", ahead, at_least=0)

    @property
    def rows(self) -> int | None:
        """Rows of an epoch; None where that is not known before."""
        sizes = self._sizes()
        total = None if sizes is None else sum(sizes)
        if self._limit is None or total is None:
            return total
        return min(self._limit, total)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the columns of x, where they have some."""
        return None

    @abstractmethod
    def _sizes(self) -> Sequence[int] | None:
        """Rows of each unit; None where they come in one order only, and nobody knows how many."""

    @abstractmethod
    def _read(self, unit: int, dtype: np.dtype[Any]) -> Piece:
        """Reads a unit."""

    def _stream(self, dtype: np.dtype[Any]) -> Iterator[Piece]:
        """All there is, in its one order; for those without units."""
        raise NotImplementedError

    def _pieces(self, order: Sequence[int], begin: int, dtype: np.dtype[Any]) -> Iterator[Piece]:
        """The rows of an epoch from ``begin`` on, checked, with their units in order."""
        sizes = self._sizes()
        left = None if self._limit is None else self._limit - begin
        form = None
        for piece in self._stream(dtype) if sizes is None else self._units(order, begin, dtype):
            if not len(piece):
                continue
            each = checked(piece, form)
            form = form or each.form()
            if sizes is None and begin:  # there is no other way to get there
                skipped = min(begin, len(each))
                begin -= skipped
                each = each.rows(slice(skipped, None))
            if left is not None:
                each = each.rows(slice(left))
                left -= len(each)
            if len(each):
                yield each
            if left == 0:
                return

    def _units(self, order: Sequence[int], begin: int, dtype: np.dtype[Any]) -> Iterator[Piece]:
        sizes = self._sizes()
        assert sizes is not None
        for unit in order:
            if begin >= sizes[unit]:  # is not even read
                begin -= sizes[unit]
                continue
            piece = self._read(unit, dtype)
            if len(piece) != sizes[unit]:
                raise ValueError(
                    f"{piece.where} must hold {sizes[unit]} rows, as when it was opened, got "
                    f"{len(piece)}"
                )
            yield piece.rows(slice(begin, None)) if begin else piece
            begin = 0

    def _shuffled(self, seed: int, epoch: int, begin: int, dtype: np.dtype[Any]) -> Iterator[Piece]:
        """The same in random order: windows of ``shuffle_buffer`` rows, each shuffled in itself."""
        sizes = self._sizes()
        order = () if sizes is None else _order(len(sizes), seed, epoch, 0).tolist()
        window, skipped = divmod(begin, self._buffer)
        held: list[Piece] = []
        count = 0

        def given() -> Piece:
            whole = joined(held)
            rows = _order(len(whole), seed, epoch, window + 1)
            return whole.rows(rows[skipped:])

        for piece in self._pieces(order, begin - skipped, dtype):
            rest = piece
            while count + len(rest) >= self._buffer:
                cut = self._buffer - count
                held.append(rest.rows(slice(cut)))
                rest = rest.rows(slice(cut, None))
                yield given()
                held, count, window, skipped = [], 0, window + 1, 0
            if len(rest):
                held.append(rest)
                count += len(rest)
        if held:
            yield given()

    def _epoch(
        self,
        seed: int,
        epoch: int,
        begin: int,
        together: int,
        dtype: np.dtype[Any],
        *,
        shuffle: bool,
    ) -> Generator[tuple[Piece, bool], None, None]:
        """An epoch from row ``begin`` on, in parts of whole updates, each with whether it is last.

        Args:
            seed: The trainer's.
            epoch: Of the trainer, from 0 on.
            begin: Rows done, a multiple of together.
            together: Rows of an update.
            dtype: The network's.
            shuffle: Whether the order is random.
        """
        size = max(together, PART // together * together)
        sizes = self._sizes()
        if shuffle:
            pieces = self._shuffled(seed, epoch, begin, dtype)
        else:
            pieces = self._pieces(range(len(sizes or ())), begin, dtype)
        held: list[Piece] = []
        count = 0
        for piece in pieces:
            rest = piece
            while count + len(rest) > size:  # one row is kept, so that there is a last part
                held.append(rest.rows(slice(size - count)))
                rest = rest.rows(slice(size - count, None))
                yield joined(held), False
                held, count = [], 0
            held.append(rest)
            count += len(rest)
        if not held:
            begun = f" after row {begin}" if begin else ""
            raise ValueError(f"{self} has no rows in epoch {epoch + 1}{begun}")
        yield joined(held), True


def _order(count: int, seed: int, epoch: int, number: int) -> Any:
    """A permutation of so many: of units, number 0, or of the rows of a window."""
    return _core.shuffled(count, seed, ((epoch << 32) + number + (1 << 63)) % (1 << 64))
