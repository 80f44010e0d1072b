"""Tables as arrays: columns by their names, and each by its own type.

A table is what has columns: of pandas, polars, pyarrow, or of anything else that names them in
``columns`` or ``column_names``. None of these packages is imported here.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "array",
    "feature_names",
    "order",
    "ordered",
    "ordered_row",
    "real_array",
    "real_columns",
]


def feature_names(x: Any) -> tuple[str, ...] | None:
    """The names of a table's columns; None for anything else.

    Also where not all are strings, or two are the same: nothing could be found by them.
    """
    names = _names(_labels(x))
    return names if names is not None and len(set(names)) == len(names) else None


def ordered(x: Any, argument: str, expected: Sequence[str] | None, dtype: Any) -> Any:
    """A table as an array (N, columns), its columns in the order of ``expected``.

    Anything but a table stays as it is, and a table without names keeps its order.

    Raises:
        TypeError: A column does not hold real numbers; the message names it.
        ValueError: Columns are missing or left over, or a number is missing or not finite.
    """
    labels = _labels(x)
    if labels is None:
        return x
    places = order(_names(labels), expected, argument)
    return _matrix(x, labels, argument, places, dtype)


def ordered_row(x: Any, argument: str, expected: Sequence[str] | None) -> Any:
    """The same for one sample, a row of a table as pandas gives it, whose index has the names."""
    if isinstance(x, np.ndarray) or expected is None or not hasattr(x, "iloc"):
        return x
    places = order(_names(_listed(getattr(x, "index", None))), expected, argument)
    return x if places is None else x.iloc[places]


def real_array(argument: str, x: Any) -> NDArray[Any]:
    """The same of real numbers, none of them masked.

    Raises:
        TypeError: They are complex, objects or strings, or masked.
        ValueError: It cannot be made an array.
    """
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{argument} must not be a masked array: fill or drop what is masked first")
    made = array(x, argument)
    if made.dtype.kind not in "biuf":
        raise TypeError(f"{argument} must hold real numbers, got dtype {made.dtype}")
    return np.asarray(made, order="C")  # NumPy's sums depend on how an array lies


def real_columns(argument: str, x: Any) -> NDArray[np.float64]:
    """(N, columns) of finite real numbers, N at least 1, in float64.

    Raises:
        TypeError: They are complex, objects or strings, or masked.
        ValueError: It is of another shape, empty, or not finite; the message names the column.
    """
    made = np.asarray(real_array(argument, x), np.float64)
    if made.ndim != 2:
        raise ValueError(f"{argument} must have shape (N, columns), got {made.shape}")
    if not made.size:
        raise ValueError(f"{argument} must not be empty, got shape {made.shape}")
    wrong = ~np.isfinite(made).all(axis=0)
    if wrong.any():
        column = int(wrong.argmax())
        names = feature_names(x)
        told = column if names is None else repr(names[column])
        raise ValueError(f"{argument} must be finite, got NaN or infinity in column {told}")
    return made


def array(x: Any, argument: str) -> NDArray[Any]:
    """Any object as NumPy sees it; what has missing values, or columns of several types, as floats.

    Raises:
        TypeError: What is in a column is no number.
        ValueError: It cannot be made an array.
    """
    if isinstance(x, Mapping):
        raise TypeError(
            f"{argument} must be an array, got a {type(x).__name__}: arrays by name are for "
            "networks with several inputs, or with names for their outputs"
        )
    try:
        # NumPy's own way in comes first: what has no other is taken by DLPack, without a copy too.
        by_dlpack = hasattr(x, "__dlpack__") and not hasattr(x, "__array__")
        made = np.from_dlpack(x) if by_dlpack else np.asarray(x)
    except MemoryError:
        raise
    except Exception as error:  # of whatever made x, such as a tensor that requires grad
        raise ValueError(f"{argument} cannot be made an array: {error}") from None
    if made.dtype.kind != "O":
        return made
    if hasattr(x, "tocsr"):
        raise TypeError(
            f"{argument} is sparse where dense rows are taken: give {argument}.toarray(), or make "
            "the network with inputs=gdcore.Input(columns, sparse=True)"
        )
    labels = _labels(x)
    if labels is not None:
        return _matrix(x, labels, argument, None, np.float64)
    if made.ndim == 1 and hasattr(x, "dtype") and not isinstance(x, np.ndarray):  # a column
        return _numbers(made, argument, None)
    return made


def _labels(x: Any) -> list[Any] | None:
    """The labels of a table's columns, None for anything else."""
    if isinstance(x, (np.ndarray, np.generic, list, tuple, int, float)):
        return None
    found = _listed(getattr(x, "column_names", None))  # pyarrow's `columns` are the data
    if found is None:
        found = _listed(getattr(x, "columns", None))
    if found is None and hasattr(x, "__dataframe__"):
        found = _listed(x.__dataframe__().column_names())
    return found


def _listed(labels: Any) -> list[Any] | None:
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        return None
    return list(labels)


def _names(labels: list[Any] | None) -> tuple[str, ...] | None:
    if not labels or not all(isinstance(label, str) for label in labels):
        return None
    return tuple(map(str, labels))


def order(
    own: tuple[str, ...] | None, expected: Sequence[str] | None, argument: str
) -> list[int] | None:
    """Where in ``own`` each of ``expected`` is; None where nothing moves."""
    if own is None or expected is None or own == tuple(expected):
        return None
    twice = sorted({name for name in own if own.count(name) > 1})
    told = [
        (sorted(set(expected) - set(own)), "lacks"),
        (sorted(set(own) - set(expected)), "has beside them"),
        (twice, "has twice"),
    ]
    wrong = [f"{verb} {', '.join(map(repr, names))}" for names, verb in told if names]
    if wrong:
        raise ValueError(
            f"{argument} must have the columns that the network was trained with, "
            f"{_some(expected)}; it {' and '.join(wrong)}"
        )
    place = {name: index for index, name in enumerate(own)}
    return [place[name] for name in expected]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return shown if len(names) <= 8 else f"{shown}, ... ({len(names)})"


def _matrix(
    x: Any, labels: list[Any], argument: str, wanted: list[int] | None, dtype: Any
) -> NDArray[Any]:
    places = list(range(len(labels))) if wanted is None else wanted
    whole = _whole(x) if _only_numbers(x) else None
    columns = None if _is_matrix(whole) else _columns(x, len(labels))
    if columns is not None:
        made = _side_by_side([_column(columns[i], argument, labels[i]) for i in places], dtype)
    else:
        whole = np.asarray(x) if whole is None else whole
        if not _is_matrix(whole) or whole.shape[1] != len(labels):
            return whole  # told as any array
        with np.errstate(all="ignore"):
            made = np.asarray(whole if wanted is None else whole[:, wanted], dtype)
    if not np.isfinite(made).all():
        row, place = np.argwhere(~np.isfinite(made))[0]
        label = labels[places[place]]
        raise ValueError(
            f"{argument} must be finite in {made.dtype}, got {_told(made[row, place])} at row "
            f"{row}, column {label!r}"
        )
    return made


def _is_matrix(array: NDArray[Any] | None) -> bool:
    return array is not None and array.ndim == 2 and array.dtype.kind in "biuf"


def _side_by_side(columns: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    made = np.empty((len(columns[0]) if columns else 0, len(columns)), dtype)
    with np.errstate(all="ignore"):  # what is beyond float32 is told with its place
        for place, column in enumerate(columns):
            made[:, place] = column
    return made


def _told(value: Any) -> str:
    return "NaN or a missing value" if np.isnan(value) else "infinity"


def _whole(x: Any) -> NDArray[Any] | None:
    """A table as one array, where it can be one."""
    try:
        return np.asarray(x)
    except MemoryError:
        raise
    except Exception:
        return None  # told column by column


def _only_numbers(x: Any) -> bool:
    """Whether no column is a date or a category, whose numbers NumPy would take as well."""
    dtypes = _listed(getattr(x, "dtypes", None))
    return dtypes is not None and all(map(_is_number, dtypes))


def _is_number(dtype: Any) -> bool:
    if hasattr(dtype, "is_numeric"):  # of polars
        return bool(dtype.is_numeric())
    return getattr(dtype, "kind", "O") in "biuf"


def _columns(x: Any, count: int) -> Sequence[Any] | None:
    if hasattr(x, "iloc"):  # by place: two labels may be the same
        return [x.iloc[:, place] for place in range(count)]
    for way in ("get_columns", "itercolumns"):  # polars, pyarrow
        if hasattr(x, way):
            columns = list(getattr(x, way)())
            return columns if len(columns) == count else None
    return None


def _column(column: Any, argument: str, label: Any) -> NDArray[Any]:
    dtype = getattr(column, "dtype", None)
    made = _whole(column)
    if str(dtype) == "category" or made is None or made.ndim != 1:
        told = getattr(column, "type", type(column).__name__) if dtype is None else dtype
        raise TypeError(f"{argument} must hold real numbers, got {told} in column {label!r}")
    return _numbers(made, argument, label)


def _numbers(column: NDArray[Any], argument: str, label: Any) -> NDArray[Any]:
    """A column (N,) as numbers: booleans too, and NaN for what is missing."""
    where = "" if label is None else f" in column {label!r}"
    if column.dtype.kind in "biuf":
        return column
    if column.dtype.kind != "O":
        raise TypeError(f"{argument} must hold real numbers, got dtype {column.dtype}{where}")
    import decimal  # only here: it takes a while to load

    made = np.empty(len(column))
    for row, value in enumerate(column):
        if value is None or type(value).__name__ == "NAType":
            made[row] = np.nan
        elif isinstance(value, (numbers.Real, np.bool_, decimal.Decimal)):
            made[row] = float(value)
        else:
            raise TypeError(
                f"{argument} must hold real numbers, got {value!r} ({type(value).__name__}) at "
                f"row {row}{where}"
            )
    return made
