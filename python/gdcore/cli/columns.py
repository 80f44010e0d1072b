"""One column of a table: what its cells are, and which of them are wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["Column", "Rows", "no_column"]

# From this share of numbers on, what is none is taken for a mistake and not for a category.
MOSTLY = 0.9
LISTED = 20  # names in a message


@dataclass(frozen=True)
class Rows:
    """How messages call the rows: their numbers in the file, and where these begin."""

    numbers: NDArray[np.intp]
    first: str

    def told(self, at: int) -> str:
        """``row 5 (the first below the header is 1)``."""
        return f"row {self.numbers[at]} ({self.first} is 1)"


@dataclass(frozen=True)
class Column:
    """A column, with its cells as text, numbers or truth values, null where they are missing."""

    name: str
    cells: pl.Series
    rows: Rows

    @classmethod
    def of(cls, cells: pl.Series, rows: Rows, na: Iterable[str] = ()) -> Column:
        """Reads the cells as what they can be.

        Args:
            cells: As the file has them.
            rows: The same number of rows.
            na: Texts that mean that a cell is missing, as an empty one does.

        Raises:
            ValueError: The file has dates, lists or something else that is no input.
        """
        dtype = cells.dtype
        if dtype.is_float() or dtype.is_decimal():
            cells = cells.cast(pl.Float64).fill_nan(None)
        elif dtype == pl.Null or dtype == pl.String or dtype in (pl.Categorical, pl.Enum):
            cells = cells.cast(pl.String).str.strip_chars()
            cells = cells.set(cells.is_in(["", *na]), None)
        elif not (dtype.is_integer() or dtype == pl.Boolean):
            raise ValueError(
                f"column {cells.name!r} holds {dtype}, which is neither text, number nor truth "
                f"value: convert it, or leave it out with --drop {cells.name}"
            )
        return cls(cells.name, cells, rows)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing."""
        return self.cells.is_null().to_numpy()

    @property
    def is_text(self) -> bool:
        """Whether the file has text here; it may well be text of numbers."""
        return self.cells.dtype == pl.String

    def kind(self) -> Literal["numeric", "categorical", "empty"]:
        """What the cells are, by the cells that are there.

        Raises:
            ValueError: Most are numbers, and some are text.
        """
        there = len(self.cells) - self.cells.null_count()
        if there == 0:
            return "empty"
        if self.cells.dtype == pl.Boolean:
            return "categorical"
        if not self.is_text:
            return "numeric"
        texts = self._no_numbers()
        if not texts.any():
            return "numeric"
        wrong = int(texts.sum())
        if wrong > there - MOSTLY * there:
            return "categorical"
        at = int(texts.argmax())
        raise ValueError(
            f"column {self.name!r} has text in a number column: {self.cells[at]!r} in "
            f"{self.rows.told(at)}, and {there - wrong} of its {there} cells are numbers. Correct "
            f"it, or give --na {self.cells[at]} if it means a missing cell, --categories "
            f"{self.name} if the numbers are codes, or --drop {self.name}"
        )

    def numbers(self) -> NDArray[np.float64]:
        """The cells as numbers, NaN where missing.

        Raises:
            ValueError: A cell is text or infinite.
        """
        if self.is_text and (texts := self._no_numbers()).any():
            at = int(texts.argmax())
            raise ValueError(
                f"column {self.name!r} must hold numbers, got {self.cells[at]!r} in "
                f"{self.rows.told(at)}"
            )
        values = self.cells.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
        if (infinite := np.isinf(values)).any():
            at = int(infinite.argmax())
            raise ValueError(
                f"column {self.name!r} must hold finite numbers, got {self.cells[at]} in "
                f"{self.rows.told(at)}"
            )
        return values

    def texts(self) -> pl.Series:
        """The cells as text, null where missing."""
        return self.cells.cast(pl.String)

    def values(self) -> list[Any]:
        """The cells as Python's own values: text of numbers becomes numbers where all are."""
        if self.is_text:
            whole = self.cells.cast(pl.Int64, strict=False)
            if whole.null_count() == self.cells.null_count():
                return whole.to_list()
            if not self._no_numbers().any():
                return [None if np.isnan(each) else float(each) for each in self.numbers()]
        return self.cells.to_list()

    def _no_numbers(self) -> NDArray[np.bool_]:
        numbers = self.cells.cast(pl.Float64, strict=False)
        return (numbers.is_null() & self.cells.is_not_null()).to_numpy()


def no_column(option: str, name: str, names: Iterable[str]) -> ValueError:
    """The error for a name that no column has, with the names there are and the nearest of them."""
    known = list(names)
    lowered = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    hint = f"; did you mean {lowered[close[0]]!r}?" if close else ""
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    listed = ", ".join(known[:LISTED])
    return ValueError(f"{option} must be a column ({listed}{more}), got {name!r}{hint}")
