"""Chunks that a function, or any other iterable, of the caller's makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from gdcore._check import optional_integer
from gdcore._frames import real_array
from gdcore.data.pieces import Piece
from gdcore.data.source import Stream

__all__ = ["Chunks"]


class Chunks(Stream):
    """Chunks (x, y) or (x, y, sample_weight) of any number of rows, as they come.

    >>> def days():
    ...     for path in paths:
    ...         yield read(path)
    >>> trainer.fit(gdcore.data.Chunks(days), epochs=3)

    An epoch is one pass over the chunks; where batches begin and end has nothing to do with where
    chunks do. Shuffled it takes the chunks in their order, and shuffles rows within the buffer.
    To go on within an epoch, it goes through the rows before without using them.

    Args:
        chunks: A function without arguments that returns an iterator, such as a generator function,
            or an iterable, which is asked for an iterator in each epoch. A generator itself serves
            for one epoch.
        rows: How many rows an epoch has, where that is known: an epoch that ends before is an
            error. A trainer needs it for a schedule by name.
        shuffle_buffer: As in `Source`.
        rows_per_epoch: As in `Source`; an endless iterator needs it.
        ahead: As in `Source`.

    Raises:
        TypeError: chunks is neither a function nor an iterable.
        ValueError: An argument is out of its domain.
    """

    def __init__(
        self,
        chunks: Callable[[], Iterable[Any]] | Iterable[Any],
        *,
        rows: int | None = None,
        shuffle_buffer: int = 65_536,
        rows_per_epoch: int | None = None,
        ahead: int = 2,
    ) -> None:
        super().__init__(shuffle_buffer=shuffle_buffer, rows_per_epoch=rows_per_epoch, ahead=ahead)
        if not callable(chunks) and not isinstance(chunks, Iterable):
            raise TypeError(
                "chunks must be a function that returns an iterator, or an iterable, got "
                f"{type(chunks).__name__}"
            )
        self._chunks = chunks
        self._rows = optional_integer("rows", rows)

    def __repr__(self) -> str:
        name = getattr(self._chunks, "__name__", type(self._chunks).__name__)
        return f"Chunks({name})"

    @property
    def rows(self) -> int | None:
        """Rows of an epoch, as far as it was told."""
        if self._limit is None or self._rows is None:
            return self._limit if self._rows is None else self._rows
        return min(self._limit, self._rows)

    def _stream(self, dtype: np.dtype[Any]) -> Iterator[Piece]:
        number = done = 0
        iterator = self._iterator()
        while True:
            where = f"chunk {number} of {self}"
            try:
                chunk = next(iterator)
            except StopIteration:
                break
            except Exception as error:
                raise RuntimeError(f"{where} could not be made: it raised {error!r}") from error
            piece = _piece(chunk, where, dtype)
            done += len(piece)
            number += 1
            yield piece
        if not number and iterator is self._chunks:
            raise ValueError(
                f"{self} is used up: a generator serves for one epoch, give a function that makes "
                "one"
            )
        wanted = self.rows
        if wanted is not None and done < wanted:
            raise ValueError(
                f"{self} ended early: after {number} chunks with {done} rows, and it was to have "
                f"{wanted}"
            )

    def _iterator(self) -> Iterator[Any]:
        chunks = self._chunks
        try:
            return iter(chunks() if callable(chunks) else chunks)
        except Exception as error:
            raise RuntimeError(f"{self} could not begin: it raised {error!r}") from error


def _piece(chunk: Any, where: str, dtype: np.dtype[Any]) -> Piece:
    if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
        what = type(chunk).__name__
        what += f" of {len(chunk)}" if isinstance(chunk, (tuple, list)) else ""
        raise TypeError(f"{where} must be (x, y) or (x, y, sample_weight), got {what}")
    x = _arrays(f"{where}: x", chunk[0], dtype)
    if not isinstance(x, Mapping) and x.ndim != 2:
        raise ValueError(f"{where}: x must have shape (N, columns), got {x.shape}")
    y = _arrays(f"{where}: y", chunk[1], None)
    weight = _arrays(f"{where}: sample_weight", chunk[2], None) if len(chunk) == 3 else None
    return Piece(x, y, weight, where)


def _arrays(argument: str, given: Any, dtype: np.dtype[Any] | None) -> Any:
    if isinstance(given, Mapping):
        return {key: _arrays(f"{argument}[{key!r}]", each, dtype) for key, each in given.items()}
    made = real_array(argument, given)
    if made.ndim == 0:
        raise ValueError(f"{argument} must have rows, got a single number")
    # Codes stay integers: what they mean is for the network to say.
    return made.astype(dtype, copy=False) if dtype is not None and made.dtype.kind == "f" else made
