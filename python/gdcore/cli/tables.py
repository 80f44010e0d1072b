"""Tables: what DATA names, read into columns."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore._names import unknown
from gdcore.cli.columns import Column, Rows, no_column

__all__ = ["NAMES", "Table", "read"]

NAMES = ("digits",)
ENDINGS = (".csv", ".csv.gz", ".parquet", ".npz")


@dataclass(frozen=True)
class Table:
    """Columns of one length, at least 1, with different names.

    Args:
        frame: The columns as the file has them; those of an array ``x`` are ``x[0]``, ``x[1]``, ...
        rows: How messages call the rows.
        width: Number of columns of the array ``x``; None where columns have names of their own.
        empty_rows: How many rows without any cell were passed over.
    """

    frame: pl.DataFrame
    rows: Rows
    width: int | None = None
    empty_rows: int = 0

    def __len__(self) -> int:
        """Number of rows."""
        return self.frame.height

    @property
    def inputs(self) -> list[str]:
        """Names of the columns, without those of an array of targets."""
        return self.frame.columns[: self.width]

    def targets(self, name: str) -> list[str]:
        """Names of the columns that ``--target name`` means: one, or those of a whole array.

        Raises:
            ValueError: There are none.
        """
        if self.width is not None:
            return self.frame.columns[self.width :]  # `read` has looked for the array
        if name not in self.frame.columns:
            raise no_column("--target", name, self.frame.columns)
        return [name]

    def column(self, name: str, na: Iterable[str] = ()) -> Column:
        """One column that there is; see `Column.of`."""
        return Column.of(self.frame[name], self.rows, na)


def read(data: str, target: str | None = None) -> Table:
    """Reads a table.

    Args:
        data: ``digits``, 1797 images of 8 x 8 pixels that come with scikit-learn, or a file that
            ends in .csv, .csv.gz, .parquet or .npz.
        target: The array of an NPZ file that holds the targets; None reads the inputs alone. Other
            files are read whole.

    Raises:
        OSError: The file cannot be read.
        ValueError: There is no such name, or the file is damaged, empty, or holds something else.
    """
    if data in NAMES:
        return _digits(target)
    path = Path(data)
    ending = next((each for each in ENDINGS if path.name.lower().endswith(each)), None)
    if ending is None:
        names = [*NAMES, *(f"a file that ends in {each}" for each in ENDINGS)]
        raise unknown("DATA", data, names)
    with path.open("rb") as file:
        if ending == ".npz":
            return _npz(file, data, target)
        table = _table(_parquet if ending == ".parquet" else _csv, file, data)
    if not table.frame.width or not len(table):
        raise ValueError(f"{data} holds no rows")
    return table


def _digits(target: str | None) -> Table:
    from sklearn.datasets import load_digits  # only here: it takes longer than the training

    x, y = load_digits(return_X_y=True)
    return _arrays("digits", x, target, None if target is None else {"y": y}.get(target))


def _table(reader: Callable[[IO[bytes], str], Table], file: IO[bytes], data: str) -> Table:
    try:
        return reader(file, data)
    except OSError as error:  # of the file, or of the decompressor about what it read
        reason = error.strerror or str(error)
    # The last is no Exception: polars stumbled where it should have found the file damaged.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).strip().partition("\n")[0]
    raise ValueError(f"{data} cannot be read: {reason}")


def _csv(file: IO[bytes], data: str) -> Table:
    # All cells as text: what a column holds is for Column to judge, who can tell row and cell.
    header = pl.read_csv(file, has_header=False, n_rows=1, infer_schema=False)
    names = [str(name or "").strip() for name in header.row(0)]
    _check_names(names, data)
    file.seek(0)
    frame = pl.read_csv(file, infer_schema=False)
    frame.columns = names
    # Empty lines, also at the end, come as rows without a cell.
    there = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    numbers = np.flatnonzero(there.to_numpy()) + 1
    empty = frame.height - len(numbers)
    return Table(frame.filter(there), Rows(numbers, "the first below the header"), None, empty)


def _parquet(file: IO[bytes], data: str) -> Table:
    frame = pl.read_parquet(file)
    _check_names(frame.columns, data)
    return Table(frame, _counted(frame.height))


def _check_names(names: list[str], data: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{data} has two columns with the name {name!r}")
        seen.add(name)


def _npz(file: IO[bytes], data: str, target: str | None) -> Table:
    try:
        arrays = np.load(file, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array, written with numpy.save")
        for name in ("x", *([] if target is None else [target])):
            if name not in arrays:
                option = "x, the inputs" if name == "x" else f"{name}, the array of --target"
                there = ", ".join(arrays) or "none"
                raise ValueError(f"it must hold the array {option}; its arrays: {there}")
        x, y = arrays["x"], None if target is None else arrays[target]
    # What zipfile, zlib and NumPy raise where bytes are not what they should be.
    except (
        EOFError, KeyError, NotImplementedError, OSError, RuntimeError, SyntaxError, TypeError,
        ValueError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise ValueError(f"{data} cannot be read: {error}") from None
    return _arrays(data, x, target, y)


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
    return Table(pl.DataFrame(columns), _counted(len(x)), x.shape[1])


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


def _counted(rows: int) -> Rows:
    return Rows(np.arange(1, rows + 1), "the first")
