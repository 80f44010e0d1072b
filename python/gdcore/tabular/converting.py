"""The cells of a column of pandas, polars, pyarrow or NumPy, as NumPy has them."""

from __future__ import annotations

import datetime
import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Raw", "raw"]

_MISSING = ("NAType", "NaTType", "NoneType")


@dataclass(frozen=True)
class Raw:
    """Cells.

    Args:
        kind: ``"number"``: values are the numbers, NaN where missing; ``"date"``: datetime64[us],
            NaT where missing; ``"truth"``, ``"text"``, ``"category"`` or ``"empty"``: places in
            names, -1 where missing.
        values: (N,).
        dtype: What they were, for messages.
        names: What the places mean.
    """

    kind: str
    values: NDArray[Any]
    dtype: str
    names: list[Any] = field(default_factory=list)


def raw(name: str, cells: Any) -> Raw:
    """The cells of a column of any of these packages.

    Raises:
        TypeError: They are of a type that is no input; the message names it.
    """
    package = type(cells).__module__.partition(".")[0]
    if package == "polars":
        return _polars(name, cells)
    if package == "pyarrow":
        return _pyarrow(name, cells)
    if hasattr(cells, "iloc"):
        return _pandas(name, cells)
    return _numpy(name, np.asarray(cells))


def _wrong(name: str, dtype: Any) -> TypeError:
    return TypeError(
        f"column {name!r} holds {dtype}, which is neither number, text, truth value, category nor "
        "date: convert it, or leave it out"
    )


def _numpy(name: str, cells: NDArray[Any]) -> Raw:
    kind, dtype = cells.dtype.kind, str(cells.dtype)
    if cells.ndim != 1:
        raise TypeError(f"column {name!r} must hold a single value in each row")
    if kind in "iuf":
        native = cells.astype(cells.dtype.newbyteorder("="), copy=False)
        return Raw("number", native.astype(np.float64) if kind == "f" else native, dtype)
    if kind == "b":
        return Raw("truth", cells.astype(np.int64), dtype, [False, True])
    if kind == "M":
        return Raw("date", cells.astype("datetime64[us]"), dtype)
    if kind in "UT":
        names, places = np.unique(cells, return_inverse=True)
        return Raw("text", places.reshape(-1).astype(np.int64), dtype, names.tolist())
    if kind == "O":
        return _objects(name, cells)
    raise _wrong(name, dtype)


def _objects(name: str, cells: NDArray[Any]) -> Raw:
    """Python's own values, all of one type."""
    places: dict[Any, int] = {}
    codes = np.empty(len(cells), np.int64)
    first: tuple[type, int] | None = None
    for row, value in enumerate(cells):
        if type(value).__name__ in _MISSING or (isinstance(value, float) and value != value):
            codes[row] = -1
            continue
        kind = _type_of(value)
        if kind is None:
            raise TypeError(
                f"column {name!r} holds {value!r} ({type(value).__name__}) in row {row} (the first "
                "is 0), which is neither number, text, truth value nor date: convert it, or leave "
                "it out"
            )
        if first is None:
            first = kind, row
        elif first[0] is not kind:
            raise TypeError(
                f"column {name!r} holds values of several types: {cells[first[1]]!r} in row "
                f"{first[1]} and {value!r} in row {row} (the first is 0): make them one"
            )
        codes[row] = places.setdefault(value, len(places))
    values = list(places)
    if first is None:
        return Raw("empty", codes, "nothing but missing cells")
    if first[0] is str:
        return Raw("text", codes, "text", values)
    if first[0] is bool:
        return Raw("truth", codes, "truth values", [bool(each) for each in values])
    if first[0] is datetime.date:
        made = np.array([*(_utc(each) for each in values), "NaT"], "datetime64[us]")
        return Raw("date", made[codes], "dates")
    whole = not (codes < 0).any() and all(isinstance(each, numbers.Integral) for each in values)
    floats = [*map(float, values), np.nan]
    if whole and all(abs(int(each)) < 2**63 for each in values):
        return Raw("number", np.array([*map(int, values), 0], np.int64)[codes], "numbers")
    return Raw("number", np.array(floats)[codes], "numbers")


def _type_of(value: Any) -> type | None:
    import decimal  # only here: it takes a while to load

    for kind, types in (
        (str, (str,)),
        (bool, (bool, np.bool_)),
        (float, (numbers.Real, decimal.Decimal)),
        (datetime.date, (datetime.date, np.datetime64)),
    ):
        if isinstance(value, types):
            return kind
    return None


def _utc(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value


def _pandas(name: str, cells: Any) -> Raw:
    dtype = cells.dtype
    told, kind = str(dtype), getattr(dtype, "kind", "O")
    if told == "category":
        names = cells.cat.categories.tolist()
        codes = cells.cat.codes.to_numpy().astype(np.int64)
        return _category(name, codes, names, told)
    if told in ("str", "string") or told.startswith("string["):
        codes, names = cells.factorize()
        return Raw("text", codes.astype(np.int64), told, [str(each) for each in names])
    if kind == "M":
        if getattr(dtype, "tz", None) is not None or "tz=" in told:
            cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
        return Raw("date", cells.to_numpy("datetime64[us]"), told)
    if isinstance(dtype, np.dtype):
        return _numpy(name, cells.to_numpy())
    missing = cells.isna().to_numpy()
    if kind == "b":
        truth = cells.fillna(False).to_numpy().astype(np.int64)
        return Raw("truth", np.where(missing, -1, truth), told, [False, True])
    if kind in "iu" and not missing.any():
        return Raw("number", cells.to_numpy().astype(f"{kind}8"), told)
    if kind in "iuf":
        return Raw("number", cells.to_numpy(dtype=np.float64, na_value=np.nan), told)
    return _objects(name, cells.to_numpy(dtype=object))


def _category(name: str, codes: NDArray[np.int64], names: list[Any], dtype: str) -> Raw:
    """Categories that are there, as what they are."""
    used = np.unique(codes[codes >= 0])
    if len(used):
        _objects(name, np.array([*(names[i] for i in used), None], object))  # all of one type
    place = np.full(len(names) + 1, -1, np.int64)
    place[used] = np.arange(len(used))
    return Raw("category", place[codes], dtype, [names[i] for i in used])


def _polars(name: str, cells: Any) -> Raw:
    import polars as pl  # only here: it is the user's

    dtype = cells.dtype
    told = str(dtype)
    if dtype == pl.Null:
        return Raw("empty", np.full(len(cells), -1, np.int64), told)
    if dtype.is_numeric():
        if dtype.is_integer() and not cells.null_count() and "128" not in told:
            return Raw("number", cells.to_numpy(), told)
        return Raw("number", cells.cast(pl.Float64).to_numpy(), told)
    if dtype == pl.Boolean:
        codes = cells.cast(pl.Int64).fill_null(-1).to_numpy()
        return Raw("truth", codes, told, [False, True])
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        text = cells.cast(pl.String)
        names = text.unique(maintain_order=True).drop_nulls()
        codes = text.cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
        return Raw("text" if dtype == pl.String else "category", codes, told, names.to_list())
    if dtype in (pl.Date, pl.Datetime):
        if getattr(dtype, "time_zone", None) is not None:
            cells = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return Raw("date", cells.cast(pl.Datetime("us")).to_numpy(), told)
    raise _wrong(name, dtype)


def _pyarrow(name: str, cells: Any) -> Raw:
    import pyarrow as pa  # only here: it is the user's

    if isinstance(cells, pa.ChunkedArray):
        cells = pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], cells.type)
    told, types, kind = str(cells.type), pa.types, cells.type
    category = types.is_dictionary(kind)
    if category:
        cells, kind = cells.cast(kind.value_type), kind.value_type
    if types.is_null(kind):
        return Raw("empty", np.full(len(cells), -1, np.int64), told)
    if types.is_boolean(kind):
        codes = cells.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        return Raw("truth", codes, told, [False, True])
    if types.is_string(kind) or types.is_large_string(kind) or told == "string_view":
        coded = cells.cast(pa.large_string()).dictionary_encode()
        codes = coded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        return Raw("category" if category else "text", codes, told, coded.dictionary.to_pylist())
    if types.is_date(kind) or types.is_timestamp(kind):
        zone = getattr(kind, "tz", None)
        stamps = cells.cast(pa.timestamp("us", zone), safe=False)
        return Raw("date", stamps.to_numpy(zero_copy_only=False).astype("datetime64[us]"), told)
    if types.is_integer(kind) and not cells.null_count:
        found = Raw("number", cells.to_numpy(), told)
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        floats = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        found = Raw("number", floats, told)
    else:
        raise _wrong(name, told)
    if not category:
        return found
    values, places = np.unique(found.values, return_inverse=True)
    codes = np.where(np.isnan(found.values), -1, places.reshape(-1)).astype(np.int64)
    return Raw("category", codes, told, values[~np.isnan(values)].tolist())
