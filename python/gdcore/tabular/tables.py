"""Tables: what DATA names, read into columns."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore.tabular.cells import Notation
from gdcore.tabular.columns import Column, Rows, named
from gdcore.tabular.delimited import read_records
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.sources import expanded, joined, opened

__all__ = ["NAMES", "Table", "read"]

NAMES = ("digits",)
# What pandas calls an index that has no name: in Parquet, and as it reads CSV.
_INDEX = re.compile(r"__index_level_\d+__")
_UNNAMED = "Unnamed: {}"


@dataclass(frozen=True)
class Table:
    """Columns of one length, at least 1, with different names.

    Args:
        frame: The columns as the file has them; those of an array ``x`` are ``x[0]``, ``x[1]``, ...
        rows: How messages call the rows.
        width: Number of columns of the array ``x``; None where columns have names of their own.
        categories: Columns that the file says to be categories, beside those whose type does.
        unnamed: Columns that the file gives no name; they are called ``Unnamed: 0``, ... by their
            place.
        notes: What the user should know of the file.
    """

    frame: pl.DataFrame
    rows: Rows
    width: int | None = None
    categories: frozenset[str] = frozenset()
    unnamed: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Number of rows."""
        return self.frame.height

    @property
    def inputs(self) -> list[str]:
        """Names of the columns, without those of an array of targets."""
        return self.frame.columns[: self.width]

    def rows_of(self, kept: NDArray[np.bool_]) -> Table:
        """The rows that are to be kept, which are called as they were."""
        places = np.flatnonzero(kept)
        if self.rows.places is not None:
            places = self.rows.places[places]
        return replace(self, frame=self.frame.filter(kept), rows=replace(self.rows, places=places))

    def targets(self, name: str) -> list[str]:
        """Names of the columns that ``--target name`` means: one or more, or a whole array's.

        Raises:
            ValueError: There are none.
        """
        if self.width is not None:
            return self.frame.columns[self.width :]  # `read` has looked for the array
        return list(named("--target", [name], self.frame.columns))

    def column(self, name: str, notation: Notation, *, dates: bool = False) -> Column:
        """One column that there is; see `Column.of`."""
        return Column.of(self.frame[name], self.rows, notation, name in self.categories, dates)

    def texts(self, given: Iterable[str]) -> tuple[str, ...]:
        """The texts that the values of an option name: one that a cell has, or several."""
        found: dict[str, None] = {}
        for value in given:
            whole = "," not in value or any(
                (column.str.strip_chars() == value).any()
                for column in self.frame.iter_columns()
                if column.dtype == pl.String
            )
            parts = [value] if whole else value.split(",")
            found |= dict.fromkeys(each.strip() for each in parts if each.strip())
        return tuple(found)

    def indexes(self) -> list[str]:
        """Columns that number the rows, as pandas writes them beside the data."""
        found = [each for each in self.frame.columns if _INDEX.fullmatch(each)]
        first = self.frame.columns[0]
        if self.width is None and re.fullmatch(r"Unnamed: 0(\.\d+)?", first):
            numbers = self.frame[first].cast(pl.Int64, strict=False)
            spans = numbers.null_count() == 0 and numbers.n_unique() == len(self)
            if spans and numbers.max() - numbers.min() == len(self) - 1:  # type: ignore[operator]
                found.append(first)
        return found


def read(data: str, target: str | None = None, dialect: Dialect | None = None) -> Table:
    """Reads a table.

    Args:
        data: ``digits``, 1797 images of 8 x 8 pixels that come with scikit-learn, a file that ends
            in one of `gdcore.tabular.sources.ENDINGS`, a pattern as ``part*.csv`` of such files
            with the same columns, or ``-`` for standard input.
        target: The array of an NPZ file that holds the targets; None reads the inputs alone. Other
            files are read whole.
        dialect: How a CSV file is delimited; else as `Dialect` has it.

    Raises:
        OSError: The file cannot be read.
        ValueError: There is no such name, or the file is damaged, empty, or holds something else.
    """
    if data in NAMES:
        return _digits(target)
    paths = expanded(data, NAMES)
    parts = [_file(path, target, dialect or Dialect()) for path in paths]
    if len(parts) == 1:
        return parts[0]
    frame, files = joined(paths, [each.frame for each in parts])
    lines = [each.rows.lines for each in parts if each.rows.lines is not None]
    rows = Rows(np.concatenate(lines) if len(lines) == len(parts) else None, files)
    categories = frozenset[str]().union(*(each.categories for each in parts))
    notes = [
        f"{path}: {each}" for path, part in zip(paths, parts, strict=True) for each in part.notes
    ]
    notes.insert(0, f"{data} is {len(parts)} files, {paths[0]} to {paths[-1]}")
    return replace(parts[0], frame=frame, rows=rows, categories=categories, notes=notes)


def _file(data: str, target: str | None, dialect: Dialect) -> Table:
    with opened(data) as (file, ending):
        if ending == ".npz":
            return _npz(file, data, target)
        if ending.startswith(".tsv") and dialect.delimiter is None:
            dialect = replace(dialect, delimiter="\t")
        table = _parquet(file, data) if ending == ".parquet" else _csv(file, data, dialect)
    if not table.frame.width or not len(table):
        raise ValueError(f"{data} holds no rows")
    return table


def _digits(target: str | None) -> Table:
    from sklearn.datasets import load_digits  # only here: it takes longer than the training

    x, y = load_digits(return_X_y=True)
    return _arrays("digits", x, target, None if target is None else {"y": y}.get(target))


def _csv(file: IO[bytes], data: str, dialect: Dialect) -> Table:
    # All cells as text: what a column holds is for Column to judge, who can tell row and cell.
    records = read_records(file.read(), data, dialect)
    frame, names = records.frame, list(records.names)
    unnamed = [at for at, name in enumerate(names) if not name]
    # Delimiters at the ends of lines make columns of nothing.
    empty = [at for at in unnamed if (frame[:, at].fill_null("").str.strip_chars() == "").all()]
    notes = list(records.notes)
    if empty and len(frame):
        places = ", ".join(str(at + 1) for at in empty)
        notes.append(f"left out column {places} of the file: it has no name and no cell")
    for at in unnamed:
        names[at] = _UNNAMED.format(at)
    kept = [at for at in range(len(names)) if at not in empty]
    names = [names[at] for at in kept]
    _check_names(names, data, header=True)
    frame = frame[:, kept]
    frame.columns = names
    called = tuple(_UNNAMED.format(at) for at in unnamed if at in kept)
    return Table(frame, Rows(records.lines), None, frozenset(), called, notes)


def _parquet(file: IO[bytes], data: str) -> Table:
    try:
        frame = pl.read_parquet(file)
        categories = _said_categories(file)
    except OSError as error:
        reason = error.strerror or str(error)
    # The last is no Exception: polars stumbled where it should have found the file damaged.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).strip().partition("\n")[0]
    else:
        _check_names(frame.columns, data)
        return Table(frame, Rows(), None, categories)
    raise ValueError(f"{data} cannot be read: {reason}")


def _said_categories(file: IO[bytes]) -> frozenset[str]:
    """Columns of numbers or truth values that pandas held as categories."""
    if not hasattr(pl, "read_parquet_metadata"):  # before polars 1.30
        return frozenset()
    file.seek(0)
    try:
        columns = json.loads(pl.read_parquet_metadata(file).get("pandas", "{}"))["columns"]
        return frozenset(
            each["field_name"] for each in columns if each["pandas_type"] == "categorical"
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return frozenset()  # who writes something else there says nothing


def _check_names(names: list[str], data: str, *, header: bool = False) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            hint = ". Has it no header?" if header and _all_numbers(names) else ""
            raise ValueError(f"{data} has two columns with the name {name!r}{hint}")
        seen.add(name)


def _all_numbers(names: list[str]) -> bool:
    return pl.Series(names, dtype=pl.String).cast(pl.Float64, strict=False).null_count() == 0


def _npz(file: IO[bytes], data: str, target: str | None) -> Table:
    try:
        if file.read(2) not in (b"PK", b"\x93N"):  # else NumPy advises to unpickle it
            raise ValueError("it is no archive of NumPy")
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array, written with numpy.save")
        with loaded as arrays:
            for name in ("x", *([] if target is None else [target])):
                if name not in arrays:
                    option = "x, the inputs" if name == "x" else f"{name}, the array of --target"
                    there = ", ".join(arrays) or "none"
                    raise ValueError(f"it must hold the array {option}; its arrays: {there}")
            x, y = _array(arrays, "x"), None if target is None else _array(arrays, target)
    # What zipfile, zlib and NumPy raise where bytes are not what they should be.
    except (
        EOFError, KeyError, NotImplementedError, OSError, RuntimeError, SyntaxError, TypeError,
        ValueError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise ValueError(f"{data} cannot be read: {error}") from None
    return _arrays(data, x, target, y)


def _array(arrays: Any, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = arrays[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(
            f"{name} holds Python objects, not numbers, truth values or text: convert it before it "
            "is saved, e.g. with astype"
        ) from None
    return array


def _arrays(data: str, x: NDArray[Any], target: str | None, y: NDArray[Any] | None) -> Table:
    """The table of an array of inputs, and of one of targets if there is a ``target``."""
    if target == "x" or (target is not None and y is None):
        raise ValueError(f"--target must be 'y', the array of {data} beside x, got {target!r}")
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{data}: x must have shape (N, D) with at least one row, got {x.shape}")
    columns = _columns("x", x, data)
    if y is not None:
        if y.ndim not in (1, 2) or len(y) != len(x) or 0 in y.shape:
            raise ValueError(
                f"{data}: {target} must have shape ({len(x)},) or ({len(x)}, K) to go with x "
                f"{x.shape}, got {y.shape}"
            )
        flat = y.ndim == 1 or y.shape[1] == 1
        columns += _columns(str(target), y.reshape(len(y)) if flat else y, data)
        if columns[-1].name in {each.name for each in columns[: x.shape[1]]}:
            raise ValueError(f"--target must not be {target!r}, which is a column of x")
    return Table(pl.DataFrame(columns), Rows(), x.shape[1])


def _columns(name: str, array: NDArray[Any], data: str) -> list[pl.Series]:
    kind = array.dtype.kind
    if kind not in "biufU":
        raise ValueError(
            f"{data}: {name} must hold numbers, truth values or text, got {array.dtype}"
        )
    if kind == "f":
        array = array.astype(np.float64)
    elif kind in "iu":
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 1:
        return [pl.Series(name, array)]
    return [pl.Series(f"{name}[{i}]", array[:, i]) for i in range(array.shape[1])]
