"""What is read piece by piece: in which order, and from any place in it on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from gdcore import _core
from gdcore._check import integer, optional_integer
from gdcore.data.pieces import Piece, checked, joined

__all__ = ["Source", "Stream", "Units"]

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
    @abstractmethod
    def rows(self) -> int | None:
        """Rows of an epoch; None where that is not known before."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the columns of x, where they have some."""
        return None

    @abstractmethod
    def _coming(
        self, shuffled: tuple[int, int] | None, begin: int, dtype: np.dtype[Any]
    ) -> Iterator[tuple[Piece, int]]:
        """The rows of an epoch from ``begin`` on, and how many of each piece's stand before it.

        Args:
            shuffled: Seed and epoch, of which the order of units is; None: one after the other.
            begin: Rows done.
            dtype: The network's.
        """

    def _pieces(
        self, shuffled: tuple[int, int] | None, begin: int, dtype: np.dtype[Any]
    ) -> Generator[Piece, None, None]:
        """The same checked, up to the end of the epoch."""
        left = None if self._limit is None else self._limit - begin
        form = None
        for piece, before in self._coming(shuffled, begin, dtype):
            if not len(piece):
                continue
            each = checked(piece, form)
            form = form or each.form()
            if before:
                each = each.rows(slice(before, None))
            if left is not None:
                each = each.rows(slice(left))
                left -= len(each)
            if len(each):
                yield each
            if left == 0:
                return

    def _shuffled(self, seed: int, epoch: int, begin: int, dtype: np.dtype[Any]) -> Iterator[Piece]:
        """The same in random order: windows of ``shuffle_buffer`` rows, each shuffled in itself."""
        window, skipped = divmod(begin, self._buffer)
        held: list[Piece] = []
        count = 0

        def given() -> Piece:
            whole = joined(held)
            rows = _order(len(whole), seed, epoch, window + 1)
            return whole.rows(rows[skipped:])

        for piece in self._pieces((seed, epoch), begin - skipped, dtype):
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
        if shuffle:
            pieces = self._shuffled(seed, epoch, begin, dtype)
        else:
            pieces = self._pieces(None, begin, dtype)
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


class Units(Source):
    """Rows in units, such as the row groups of files, each of which can be read by itself."""

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        total = sum(self._sizes())
        return total if self._limit is None else min(self._limit, total)

    @abstractmethod
    def _sizes(self) -> Sequence[int]:
        """Rows of each unit."""

    @abstractmethod
    def _read(self, unit: int, dtype: np.dtype[Any]) -> Piece:
        """Reads a unit."""

    def _coming(
        self, shuffled: tuple[int, int] | None, begin: int, dtype: np.dtype[Any]
    ) -> Iterator[tuple[Piece, int]]:
        sizes = self._sizes()
        count = len(sizes)
        for unit in range(count) if shuffled is None else _order(count, *shuffled, 0).tolist():
            if begin >= sizes[unit]:  # is not even read
                begin -= sizes[unit]
                continue
            piece = self._read(unit, dtype)
            if len(piece) != sizes[unit]:
                raise ValueError(
                    f"{piece.where} must hold {sizes[unit]} rows, as when it was opened, got "
                    f"{len(piece)}"
                )
            yield piece, begin
            begin = 0


class Stream(Source):
    """Rows that come in one order only, of which nobody may know how many there are."""

    @abstractmethod
    def _stream(self, dtype: np.dtype[Any]) -> Iterator[Piece]:
        """All there is."""

    def _coming(
        self, shuffled: tuple[int, int] | None, begin: int, dtype: np.dtype[Any]
    ) -> Iterator[tuple[Piece, int]]:
        for piece in self._stream(dtype):
            before = min(begin, len(piece))  # there is no other way to get there
            begin -= before
            yield piece, before


def _order(count: int, seed: int, epoch: int, number: int) -> Any:
    """A permutation of so many: of units, number 0, or of the rows of a window."""
    return _core.shuffled(count, seed, ((epoch << 32) + number + (1 << 63)) % (1 << 64))
