"""Rows of data that go together: x, y and weights, arrays or dicts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Piece", "checked", "joined"]

_PARTS = ("x", "y", "sample_weight")


@dataclass(frozen=True)
class Piece:
    """Rows that were read together.

    Args:
        x: (N, ...), or by name.
        y: (N,) or (N, K), or by name.
        weight: (N,), by name, or None.
        where: The place that they are from, for messages.
    """

    x: Any
    y: Any
    weight: Any
    where: str

    def __len__(self) -> int:
        return _length(self.x)

    def rows(self, rows: Any) -> Piece:
        """Some of the rows."""
        x, y, weight = (None if each is None else _taken(each, rows) for each in self._parts())
        return Piece(x, y, weight, self.where)

    def _parts(self) -> tuple[Any, Any, Any]:
        return self.x, self.y, self.weight

    def form(self) -> list[tuple[str, tuple[int, ...]]]:
        """What all pieces of a source have in common: the arrays by name, and their widths."""
        return [
            (name, array.shape[1:])
            for part, each in zip(_PARTS, self._parts(), strict=True)
            if each is not None
            for name, array in _arrays(part, each)
        ]


def _arrays(name: str, given: Any) -> list[tuple[str, Any]]:
    if isinstance(given, Mapping):
        return [(f"{name}[{key!r}]", each) for key, each in given.items()]
    return [(name, given)]


def _length(given: Any) -> int:
    return len(next(iter(given.values())) if isinstance(given, Mapping) else given)


def _taken(given: Any, rows: Any) -> Any:
    if isinstance(given, Mapping):
        return {key: each[rows] for key, each in given.items()}
    return given[rows]


def joined(pieces: Sequence[Piece]) -> Piece:
    """Pieces of one form one after the other; one alone is as it was."""
    if len(pieces) == 1:
        return pieces[0]
    first, last = pieces[0], pieces[-1]
    parts = zip(*(piece._parts() for piece in pieces), strict=True)
    x, y, weight = (None if each[0] is None else _joined(each) for each in parts)
    where = first.where if first.where == last.where else f"{first.where} to {last.where}"
    return Piece(x, y, weight, where)


def _joined(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], Mapping):
        return {key: np.concatenate([each[key] for each in parts]) for key in parts[0]}
    return np.concatenate(parts)


def checked(piece: Piece, form: list[tuple[str, tuple[int, ...]]] | None) -> Piece:
    """A piece as it is.

    Raises:
        ValueError: Its arrays are of different lengths, of another form than the pieces before, or
            hold NaN or infinity; the message tells where.
    """
    rows = len(piece)
    every = [
        pair
        for part, each in zip(_PARTS, piece._parts(), strict=True)
        if each is not None
        for pair in _arrays(part, each)
    ]
    for name, array in every:
        if len(array) != rows:
            raise ValueError(f"{piece.where}: {name} has {len(array)} rows, and x has {rows}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            at = np.argwhere(~np.isfinite(array))[0].tolist()
            column = f", column {at[1]}" if len(at) > 1 else ""
            raise ValueError(
                f"{piece.where}: {name} must be finite, got {array[tuple(at)]} in row {at[0]}"
                f"{column} of it"
            )
    if form is not None and piece.form() != form:
        raise ValueError(
            f"{piece.where} has {_told(piece.form())}, and what came before {_told(form)}"
        )
    return piece


def _told(form: list[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, ('N', *shape)))})" for name, shape in form)
