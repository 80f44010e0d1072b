"""Parquet and Arrow files, by row groups and record batches."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from gdcore._check import checked_path
from gdcore.data.pieces import Piece
from gdcore.data.source import Units

__all__ = ["Arrow", "Parquet"]

_BLOCK = 2048

PathLike = str | os.PathLike[str]


class Preparing(Protocol):
    """What turns rows of a table into inputs and targets, as `gdcore.tabular.Preparation`."""

    def transform(self, frame: Any, dtype: Any) -> Any:
        """X."""

    def transform_target(self, frame: Any) -> Any:
        """Y."""


class _Files(Units):
    """Files of tables in parts, each of which is a unit."""

    _endings: ClassVar[tuple[str, ...]]
    _unit: ClassVar[str]  # what a part is called

    def __init__(
        self,
        path: PathLike | Sequence[PathLike],
        target: str | Sequence[str] | None = None,
        *,
        columns: Sequence[str] | None = None,
        sample_weight: str | None = None,
        preparation: Preparing | None = None,
        shuffle_buffer: int = 65_536,
        rows_per_epoch: int | None = None,
        ahead: int = 2,
    ) -> None:
        super().__init__(shuffle_buffer=shuffle_buffer, rows_per_epoch=rows_per_epoch, ahead=ahead)
        _arrow(type(self).__name__)
        self._path = path
        self._files = self._found(path)
        if preparation is None and target is None:
            raise TypeError("target must name a column, or columns in a list, got None")
        if preparation is not None and (target is not None or columns is not None):
            raise TypeError("target and columns must be None with a preparation, which knows them")
        self._preparation = preparation
        self._targets = [target] if isinstance(target, str) else list(target or ())
        self._flat = isinstance(target, str)
        self._weight = sample_weight
        self._fields: dict[str, str] = {}  # of the first file: columns that are read, with types
        self._columns: list[str] = []
        self._places: list[tuple[int, int]] = []  # file and part of each unit
        self._rows: list[int] = []
        for number in range(len(self._files)):
            with self._opened(number) as file:
                if not number:
                    self._choose(file, columns)
                self._check(number, file)
                sizes = self._parts(file)
            self._places += [(number, part) for part in range(len(sizes))]
            self._rows += sizes
        if not sum(self._rows):
            raise ValueError(f"{self} has no rows")

    def __repr__(self) -> str:
        some = self._path if isinstance(self._path, (str, os.PathLike)) else self._files[0]
        more = f", {len(self._files)} files" if len(self._files) > 1 else ""
        return f"{type(self).__name__}({os.fspath(some)}{more})"

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the columns of x; None where a preparation makes others of them."""
        return None if self._preparation is not None else tuple(self._columns)

    def _sizes(self) -> Sequence[int]:
        return self._rows

    def _found(self, path: Any) -> list[str]:
        if isinstance(path, (str, os.PathLike)):
            from pathlib import Path  # only here: training loads this module, and stays light

            one = Path(checked_path(path))
            if not one.is_dir():
                return [str(one)]
            found = sorted(
                str(each)
                for each in one.rglob("*")
                if each.suffix in self._endings and each.is_file() and each.name[0] not in "._"
            )
            if not found:
                raise FileNotFoundError(
                    f"{one} holds no file that ends in {' or '.join(self._endings)}"
                )
            return found
        found = [os.fspath(checked_path(each)) for each in path]
        if not found:
            raise ValueError("path must name a file, a folder or several files, got none")
        return found

    def _choose(self, file: Any, columns: Sequence[str] | None) -> None:
        """Which columns are read, by the first file."""
        names = self._schema(file).names
        wanted = list(columns or ())
        for argument, each in (
            *(("target", name) for name in self._targets),
            *(("columns", name) for name in wanted),
            *((("sample_weight", self._weight),) if self._weight is not None else ()),
        ):
            if each not in names:
                shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
                raise ValueError(f"{argument} must be a column ({shown}), got {each!r}")
        away = {*self._targets, self._weight}
        self._columns = wanted or [name for name in names if name not in away]
        if not self._columns:
            raise ValueError(f"{self._files[0]} must have a column beside the target, has none")
        every = [*self._columns, *(each for each in away if each is not None)]
        types = {field.name: str(field.type) for field in self._schema(file)}
        self._fields = {name: types[name] for name in every}

    def _check(self, number: int, file: Any) -> None:
        """ValueError where a file has not the columns of the first."""
        types = {field.name: str(field.type) for field in self._schema(file)}
        first = self._files[0]
        for name, wanted in self._fields.items():
            if name not in types:
                raise ValueError(f"{self._files[number]} has no column {name!r}, which {first} has")
            if types[name] != wanted:
                raise ValueError(
                    f"{self._files[number]} has {types[name]} in column {name!r}, and {first} has "
                    f"{wanted}"
                )
        if self._preparation is not None and len(types) > len(self._fields):
            more = next(name for name in types if name not in self._fields)
            raise ValueError(f"{self._files[number]} has a column {more!r}, which {first} has not")

    def _read(self, unit: int, dtype: np.dtype[Any]) -> Piece:
        number, part = self._places[unit]
        where = f"{self._files[number]}, {self._unit} {part}"
        try:
            with self._opened(number) as file:
                self._check(number, file)
                table = self._table(file, part)
        except ValueError as error:
            told = str(error)
            raise ValueError(told if where in told else f"{where}: {told}") from None
        weight = None
        if self._weight is not None:
            weight = _column(table, self._weight, where).astype(np.float64)
        if self._preparation is not None:
            if self._weight is not None:
                table = table.drop_columns([self._weight])
            try:
                x = self._preparation.transform(table, dtype)
                y = self._preparation.transform_target(table)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{where}: {error}") from None
            return Piece(x, y, weight, where)
        x = np.empty((table.num_rows, len(self._columns)), dtype)
        with np.errstate(over="ignore"):  # told as infinity
            cells = [_column(table, name, where) for name in self._columns]
            # Rows that stay in the cache while their columns come side by side.
            for begin in range(0, len(x), _BLOCK):
                rows = slice(begin, begin + _BLOCK)
                x[rows] = np.stack([column[rows] for column in cells], casting="unsafe").T
        y = [_column(table, name, where) for name in self._targets]
        return Piece(x, y[0] if self._flat else np.column_stack(y), weight, where)

    def _opened(self, number: int) -> Any:
        """A file, open; ValueError where it is damaged."""
        import pyarrow as pa

        path = self._files[number]
        try:
            return self._open(path)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} cannot be read: {_line(error)}") from None

    @abstractmethod
    def _open(self, path: str) -> Any:
        """A file, open; what pyarrow raises where it is damaged."""

    @abstractmethod
    def _schema(self, file: Any) -> Any:
        """Names and types of its columns."""

    @abstractmethod
    def _parts(self, file: Any) -> list[int]:
        """Rows of each part."""

    @abstractmethod
    def _table(self, file: Any, part: int) -> Any:
        """A part, with the columns that are read; ValueError where it is damaged."""


class Parquet(_Files):
    """Parquet files, read by row groups.

    >>> trainer.fit(gdcore.data.Parquet("rides/", target="fare"), epochs=3, batch_size=256)

    One row group of all columns that are used must fit into memory, beside the shuffle buffer. It
    needs the extra ``gdcore[data]``.

    Args:
        path: A file, a folder of which all files that end in .parquet are taken, by name, also from
            folders within it, or several files in a list.
        target: The column to predict, y (N,); or several in a list, (N, K). They hold numbers.
        columns: The columns of x, in order; None: all but the target and the weights.
        sample_weight: The column of weights, or None.
        preparation: In place of target and columns a fitted `gdcore.tabular.Preparation`, which
            prepares each row group.
        shuffle_buffer: As in `Source`.
        rows_per_epoch: As in `Source`.
        ahead: As in `Source`.

    Raises:
        ImportError: pyarrow is not installed.
        OSError: A file cannot be read; FileNotFoundError where there is none.
        TypeError: An argument is of the wrong type, or target is missing.
        ValueError: A file is damaged or has other columns than the first, there is no such column,
            or no row.
    """

    _endings = (".parquet",)
    _unit = "row group"

    def _open(self, path: str) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(path, memory_map=False)

    def _schema(self, file: Any) -> Any:
        return file.schema_arrow

    def _parts(self, file: Any) -> list[int]:
        about = file.metadata
        return [about.row_group(part).num_rows for part in range(about.num_row_groups)]

    def _table(self, file: Any, part: int) -> Any:
        try:
            return file.read_row_group(part, columns=list(self._fields), use_threads=False)
        except (OSError, IndexError, RuntimeError) as error:  # what pyarrow says of damaged pages
            raise ValueError(_line(error)) from None


class Arrow(_Files):
    """Arrow IPC files, such as Feather's, read by record batches through memory maps.

    Args:
        path: As in `Parquet`; files of a folder end in .arrow or .feather.
        target: As in `Parquet`.
        columns: As in `Parquet`.
        sample_weight: As in `Parquet`.
        preparation: As in `Parquet`.
        shuffle_buffer: As in `Source`.
        rows_per_epoch: As in `Source`.
        ahead: As in `Source`.

    Raises:
        ImportError: pyarrow is not installed.
        OSError: A file cannot be read; FileNotFoundError where there is none.
        TypeError: An argument is of the wrong type, or target is missing.
        ValueError: As in `Parquet`.
    """

    _endings = (".arrow", ".feather")
    _unit = "record batch"

    def _open(self, path: str) -> Any:
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(path))

    def _schema(self, file: Any) -> Any:
        return file.schema

    def _parts(self, file: Any) -> list[int]:
        return [file.get_batch(part).num_rows for part in range(file.num_record_batches)]

    def _table(self, file: Any, part: int) -> Any:
        import pyarrow as pa

        try:
            batch = file.get_batch(part)
            batch.validate()
        except (OSError, IndexError, RuntimeError, pa.ArrowInvalid) as error:
            raise ValueError(_line(error)) from None
        return pa.Table.from_batches([batch]).select(list(self._fields))


def _column(table: Any, name: str, where: str) -> NDArray[Any]:
    """A column of numbers (N,) without gaps."""
    import pyarrow as pa

    cells, types = table.column(name), pa.types
    kind = cells.type
    if not (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    ):
        raise TypeError(
            f"{where}: column {name!r} must hold numbers, got {kind}: leave it out by columns, or "
            "give a preparation"
        )
    if cells.null_count:
        missing = np.asarray(cells.is_null().to_numpy())
        raise ValueError(
            f"{where}: column {name!r} must have no missing cells, got {cells.null_count}, the "
            f"first in row {int(missing.argmax())} of it: give a preparation that fills them"
        )
    if types.is_decimal(kind):
        cells = cells.cast(pa.float64())
    made: NDArray[Any] = cells.to_numpy()
    if made.dtype.kind == "f" and not np.isfinite(made).all():
        at = int((~np.isfinite(made)).argmax())
        raise ValueError(
            f"{where}: column {name!r} must be finite, got {made[at]} in row {at} of it"
        )
    return made


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _arrow(what: str) -> None:
    try:
        import pyarrow
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f"gdcore.data.{what} needs {error.name}, which is not installed. Install it with: "
            'python -m pip install "gdcore[data]"'
        ) from None
