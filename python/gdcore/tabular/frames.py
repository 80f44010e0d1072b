"""Tables in memory: of pandas, polars, pyarrow or NumPy, each column by its own type.

None of these packages but NumPy is loaded here, unless a table is of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.tabular import converting
from gdcore.tabular.cells import Notation, canonical, iso_dates
from gdcore.tabular.converting import Raw

__all__ = ["Frame", "FrameColumn", "no_such_column", "one_column"]

SHOWN = 8  # names in a message
_WAYS = {
    "missing": ": fill them, or fit a Preparation with missing='mean' or 'median'",
    "category": ": correct it, or fit a Preparation with unseen='other'",
    "far": ": correct it, or fit a Preparation with numbers='robust' or 'quantile'",
}


@dataclass(frozen=True)
class FrameColumn:
    """A column of a frame.

    Args:
        name: Its name.
        raw: What its cells are.
        notation: How its text writes numbers and missing cells.
    """

    name: str
    raw: Raw
    notation: Notation

    @classmethod
    def of(cls, name: str, cells: Any, notation: Notation) -> FrameColumn:
        """Reads the cells by their type.

        Raises:
            TypeError: They are of a type that is no input.
        """
        raw = converting.raw(name, cells)
        if raw.kind in ("text", "category") and all(isinstance(e, str) for e in raw.names):
            raw = _stripped(raw, notation)
        return cls(name, raw, notation)

    def __len__(self) -> int:
        return len(self.raw.values)

    @property
    def kind(self) -> str:
        """``"number"``, ``"truth"``, ``"text"``, ``"category"``, ``"date"`` or ``"empty"``."""
        return "empty" if self.missing().all() else self.raw.kind

    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing."""
        values = self.raw.values
        if self.raw.kind == "date":
            return np.asarray(np.isnat(values))
        if self.raw.kind == "number":
            return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        return np.asarray(values < 0)

    def numbers(self) -> NDArray[np.float64]:
        """See `gdcore.tabular.inputs.Column.numbers`.

        Raises:
            TypeError: The cells are dates.
            ValueError: A cell is text that is no number, or infinite.
        """
        raw = self.raw
        if raw.kind == "number":
            values = raw.values.astype(np.float64)
        elif raw.kind == "date":
            raise TypeError(f"column {self.name!r} must hold numbers, got {raw.dtype}")
        else:
            values = np.array([*map(self._number, raw.names), np.nan], np.float64)[raw.values]
        if (infinite := np.isinf(values)).any():
            at = int(infinite.argmax())
            raise ValueError(
                f"column {self.name!r} must hold finite numbers, got {self.cell(at)} in "
                f"{self.place(at)}: correct it"
            )
        return values

    def _number(self, name: Any) -> float:
        if not isinstance(name, str):
            return float(name)
        value = self.notation.parsed(name)
        if value is None:
            at = int((self.raw.values == self.raw.names.index(name)).argmax())
            raise ValueError(
                f"column {self.name!r} must hold numbers, got {name!r} in {self.place(at)}: "
                "correct it"
            )
        return value

    def distinct(self) -> tuple[NDArray[np.int64], list[Any]]:
        """For each cell the place of its value, -1 where missing; and the values, Python's own."""
        raw, missing = self.raw, self.missing()
        if raw.kind not in ("number", "date"):
            return raw.values, list(raw.names)
        values, places = np.unique(raw.values[~missing], return_inverse=True)
        codes = np.full(len(missing), -1, np.int64)
        codes[~missing] = places.reshape(-1)
        return codes, values.tolist()

    def factorized(self) -> tuple[NDArray[np.int64], list[str]]:
        """See `gdcore.tabular.inputs.Column.factorized`.

        Raises:
            TypeError: The cells are dates.
        """
        if self.raw.kind == "date":
            raise TypeError(f"column {self.name!r} must hold categories, got {self.raw.dtype}")
        codes, values = self.distinct()
        return codes, [_name(each) for each in values]

    def dates(self) -> NDArray[np.datetime64]:
        """See `gdcore.tabular.inputs.Column.dates`.

        Raises:
            TypeError: The cells are numbers or truth values.
            ValueError: A cell is text that is no date.
        """
        raw = self.raw
        if raw.kind == "date":
            return np.asarray(raw.values)
        if raw.kind not in ("text", "category", "empty") or not all(
            isinstance(each, str) for each in raw.names
        ):
            raise TypeError(f"column {self.name!r} must hold dates, got {raw.dtype}")
        found = iso_dates([*raw.names, "NaT"])[raw.values]
        if (wrong := np.isnat(found) & (raw.values >= 0)).any():
            at = int(wrong.argmax())
            raise ValueError(
                f"column {self.name!r} must hold dates, as 2024-12-31, got {self.cell(at)} in "
                f"{self.place(at)}: correct it"
            )
        return np.asarray(found)

    def cell(self, at: int) -> str:
        """See `gdcore.tabular.inputs.Column.cell`."""
        value = self.raw.values[at]
        if self.raw.kind not in ("number", "date"):
            return repr(self.raw.names[value]) if value >= 0 else "a missing cell"
        return str(value)

    def place(self, at: int) -> str:
        """See `gdcore.tabular.inputs.Column.place`."""
        return f"row {at} (the first is 0)"

    def hint(self, what: str) -> str:
        """See `gdcore.tabular.inputs.Column.hint`."""
        return _WAYS.get(what, "")


def _name(value: Any) -> str:
    """The name of a category, the same for 1, 1.0 and ``"1"``."""
    text = str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value)
    return text if isinstance(value, str) else (canonical([text]) or {}).get(text, text)


def _stripped(raw: Raw, notation: Notation) -> Raw:
    """Without blanks around texts; what is empty, or means so, is missing."""
    names = [each.strip() for each in raw.names]
    places: dict[str, int] = {}
    for each in names:
        if each and each not in notation.na:
            places.setdefault(each, len(places))
    if list(places) == raw.names:
        return raw
    codes = np.array([*(places.get(each, -1) for each in names), -1], np.int64)[raw.values]
    return replace(raw, values=codes, names=list(places))


class Frame:
    """A table in memory; see `gdcore.tabular.fitted.Rows`."""

    def __init__(self, columns: Mapping[str, Any], rows: int, width: int | None = None) -> None:
        """Columns of so many rows by their names; width where they are those of an array."""
        self._columns = dict(columns)
        self._rows = rows
        self._width = width

    @classmethod
    def of(cls, given: Any, argument: str = "frame") -> Frame:
        """Takes a table apart.

        Raises:
            TypeError: It is none, or a column's name is no text.
            ValueError: It is empty, two columns have one name, or their lengths differ.
        """
        if isinstance(given, Frame):
            return given
        names, cells, width = _parts(given, argument)
        for name in names:
            if not isinstance(name, str):
                raise TypeError(
                    f"{argument} must have columns whose names are text, got {name!r} "
                    f"({type(name).__name__}): rename them"
                )
            if names.count(name) > 1:
                raise ValueError(f"{argument} has two columns with the name {name!r}: rename one")
        lengths = {name: len(each) for name, each in zip(names, cells, strict=True)}
        if not lengths or 0 in lengths.values():
            raise ValueError(f"{argument} must have a column and a row at least, got none")
        first = lengths[names[0]]
        for name, length in lengths.items():
            if length != first:
                raise ValueError(
                    f"{argument} must have columns of one length, got {first} cells in "
                    f"{names[0]!r} and {length} in {name!r}"
                )
        return cls(dict(zip(names, cells, strict=True)), first, width)

    def __len__(self) -> int:
        return self._rows

    @property
    def inputs(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    @property
    def width(self) -> int | None:
        """Number of columns of an array; None where columns have names of their own."""
        return self._width

    def column(self, name: str, notation: Notation, *, dates: bool = False) -> FrameColumn:
        """One column that there is; see `FrameColumn.of`."""
        return FrameColumn.of(name, self._columns[name], notation)


def _parts(given: Any, argument: str) -> tuple[list[Any], list[Any], int | None]:
    """Names and cells of the columns, and how many there are of an array without names."""
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"{argument} must not be a masked array: fill or drop what is masked first")
    if isinstance(given, np.ndarray):
        if given.dtype.names is not None:
            if given.ndim != 1:
                raise ValueError(f"{argument} must be a row of records, got shape {given.shape}")
            return list(given.dtype.names), [given[name] for name in given.dtype.names], None
        if given.ndim != 2:
            raise ValueError(f"{argument} must have shape (N, columns), got {given.shape}")
        width = given.shape[1]
        return [f"x[{i}]" for i in range(width)], list(given.T), width
    if isinstance(given, Mapping):
        return list(given), list(map(_sequence, given.values())), None
    if hasattr(given, "iloc") and hasattr(given, "columns"):  # pandas
        return list(given.columns), [given.iloc[:, i] for i in range(given.shape[1])], None
    if hasattr(given, "collect_schema") and not hasattr(given, "get_columns"):
        raise TypeError(f"{argument} must be a table in memory, got a LazyFrame: collect() it")
    if hasattr(given, "get_columns"):  # polars
        return list(given.columns), list(given.get_columns()), None
    if hasattr(given, "column_names") and hasattr(given, "schema"):  # pyarrow
        names = list(given.column_names)
        return names, [given.column(i) for i in range(len(names))], None
    raise TypeError(
        f"{argument} must be a table of pandas, polars or pyarrow, an array (N, columns), an array "
        f"of records or a dict of columns, got {type(given).__name__}"
    )


def _sequence(cells: Any) -> Any:
    return np.asarray(cells) if isinstance(cells, (list, tuple)) else cells


def one_column(given: Any, name: str) -> Any:
    """What y is, as cells of a column or of several: an array (N,) or (N, K), or a frame."""
    if isinstance(given, (list, tuple)):
        given = np.asarray(given)
    if isinstance(given, np.ndarray) and given.dtype.names is not None:
        return given
    if isinstance(given, np.ndarray) and given.ndim == 2:
        width = given.shape[1]
        names = [name] if width == 1 else [f"{name}[{i}]" for i in range(width)]
        return dict(zip(names, given.T, strict=True))
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return {name: given}
    if hasattr(given, "columns") or hasattr(given, "column_names") or isinstance(given, Mapping):
        return given
    if hasattr(given, "dtype") or hasattr(given, "type"):  # a column of some package
        return {str(getattr(given, "name", None) or name): given}
    if isinstance(given, np.ndarray):
        raise ValueError(f"{name} must have shape (N,) or (N, K), got {given.shape}")
    raise TypeError(f"{name} must be a column or an array, got {type(given).__name__}")


def no_such_column(argument: str, name: str, there: Sequence[str]) -> ValueError:
    """The error for a name that no column has."""
    import difflib  # only here: it takes a while to load

    lowered = {each.lower(): each for each in there}
    close = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(lowered[each]) for each in close)}?" if close else ""
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    return ValueError(
        f"{argument} must be a column ({', '.join(there[:SHOWN])}{more}), got {name!r}{hint}"
    )
