"""What a caller may give in place of what is asked for; each value by a name that a case can hold.

A value is a function of what is right there, so that an array of another stride or with one NaN
has the right shape but for that.
"""

from __future__ import annotations

import array
import ctypes
import decimal
import fractions
import io
import mmap
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["VALUES", "OwnError"]


class OwnError(Exception):
    """Raised by hostile objects themselves: it may come through."""


class Index:
    """An integer as NumPy's are."""

    def __index__(self) -> int:
        return 3


class BadIndex:
    def __index__(self) -> int:
        raise OwnError("index")


class LyingIndex:
    def __index__(self) -> Any:
        return "3"


class Float:
    def __float__(self) -> float:
        return 0.5


class BadFloat:
    def __float__(self) -> float:
        raise OwnError("float")


class BadBool:
    def __bool__(self) -> bool:
        raise OwnError("bool")

    def __eq__(self, other: object) -> bool:
        raise OwnError("eq")

    __hash__ = None  # type: ignore[assignment]


class BadRepr:
    def __repr__(self) -> str:
        raise OwnError("repr")


class BadLength:
    def __len__(self) -> int:
        return -1

    def __getitem__(self, index: int) -> Any:
        raise IndexError


class BadArray:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise OwnError("array")


class LyingArray:
    def __array__(self, *_: Any, **__: Any) -> Any:
        return [1.0]


class OtherArray:
    """Turns into the right array only when asked."""

    def __init__(self, good: Any) -> None:
        self._good = good

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._good, dtype)


def _at_the_edge(dtype: Any = np.float64) -> Any:
    """One number, behind which nothing may be read: who reads on is ended by the system."""
    page, kind = mmap.PAGESIZE, np.dtype(dtype)
    memory = mmap.mmap(-1, 2 * page)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(begin + page), ctypes.c_size_t(page), 0)
    return np.frombuffer(memory, kind, 1, offset=page - kind.itemsize)


class LyingAstype(np.ndarray):
    """Gives one number, of the right rank, wherever it is converted."""

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        return _at_the_edge(dtype).reshape((1,) * self.ndim)


class LyingShape(np.ndarray):
    @property
    def shape(self) -> Any:
        return (1000, 1000)

    @shape.setter
    def shape(self, value: Any) -> None:
        pass

    def __repr__(self) -> str:  # NumPy's would index beyond what there is
        return "lying shape"

    __str__ = __repr__


class LyingCopies(np.ndarray):
    def __array__(self, *_: Any, **__: Any) -> Any:
        return _at_the_edge(super().dtype)

    def copy(self, *_: Any, **__: Any) -> Any:
        return _at_the_edge(super().dtype)

    def reshape(self, *_: Any, **__: Any) -> Any:
        return _at_the_edge(super().dtype)

    def ravel(self, *_: Any, **__: Any) -> Any:
        return _at_the_edge(super().dtype)

    def max(self, *_: Any, **__: Any) -> Any:
        return np.float64(0)


class LyingDtype(np.ndarray):
    @property
    def dtype(self) -> Any:
        return np.dtype(np.float64)

    @dtype.setter
    def dtype(self, value: Any) -> None:
        pass


class Unfriendly(np.ndarray):
    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        raise OwnError("ufunc")

    def __array_function__(self, *_: Any, **__: Any) -> Any:
        raise OwnError("function")


class Text(str):
    pass


class Integer(int):
    pass


class Real(float):
    pass


class Endless:
    def __iter__(self) -> Any:
        raise OwnError("iter")


def _arr(good: Any) -> Any:
    """What is right there as an array, or some array."""
    found = np.asarray(good) if isinstance(good, np.ndarray) else np.ones((2, 3))
    return found if found.size else np.ones((2, 3))


def _put(number: Any, dtype: Any = None) -> Callable[[Any], Any]:
    def changed(good: Any) -> Any:
        copied = np.array(_arr(good), dtype or np.float64)
        copied.flat[copied.size // 2] = number
        return copied

    return changed


def _cast(dtype: Any) -> Callable[[Any], Any]:
    return lambda good: _arr(good).astype(dtype)


def _of(kind: type[Any]) -> Callable[[Any], Any]:
    """As a subclass of arrays."""
    return lambda good: np.array(_arr(good)).view(kind)


def _misaligned(good: Any) -> Any:
    a = _arr(good)
    memory = np.zeros(a.nbytes + 1, np.uint8)
    moved = np.frombuffer(memory.data, a.dtype, a.size, offset=1).reshape(a.shape)
    np.copyto(moved, a)
    return moved


def _strided(good: Any) -> Any:
    a = _arr(good)
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 7, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def _backwards(good: Any) -> Any:
    return np.array(_arr(good)[::-1])[::-1]


def _read_only(good: Any) -> Any:
    a = np.array(_arr(good))
    a.flags.writeable = False
    return a


def _ragged(good: Any) -> Any:
    rows = _arr(good).tolist()
    return [*rows, [1.0]] if isinstance(rows, list) else [[1.0], 2.0]


def _itself() -> Any:
    row: list[Any] = []
    row.append(row)
    return row


def _frame(name: str, good: Any) -> Any:
    import pandas as pd
    import polars as pl

    a = _arr(good)
    a = a if a.ndim == 2 else a.reshape(len(a), -1)
    frame = pd.DataFrame(a)
    made = {
        "pandas": lambda: frame,
        "pandas nullable": lambda: frame.convert_dtypes(),
        "pandas series": lambda: frame[frame.columns[0]],
        "pandas with NA": lambda: frame.astype("Float64").mask(frame > frame.to_numpy().mean()),
        "polars": lambda: pl.DataFrame(a),
        "polars series": lambda: pl.Series(a[:, 0]),
    }
    return made[name]()


def _torch(grad: bool, good: Any) -> Any:
    try:
        import torch
    except ImportError:
        return None
    made = torch.tensor(np.array(_arr(good), np.float64))
    return made.requires_grad_() if grad else made


# fmt: off
_PLAIN: dict[str, Any] = {
    "None": None, "True": True, "False": False, "0": 0, "1": 1, "-1": -1, "2.5": 2.5, "2.0": 2.0,
    "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "-0.0": -0.0, "1e-320": 1e-320,
    "1e308": 1e308, "2**63": 2**63, "2**64": 2**64, "-2**63": -(2**63), "10**30": 10**30,
    "10**400": 10**400, "1j": 1j, "''": "", "'x'": "x", "'relu'": "relu", "'1'": "1",
    "b'x'": b"x",
    "[]": [], "()": (), "{}": {}, "set()": set(), "{'x': 1}": {"x": 1},
    "[None]": [None],
    "[[]]": [[]], "['a']": ["a"], "[1, 'a']": [1, "a"], "(1, 2)": (1, 2),
    "(0.5, nan)": (0.5, np.nan),
    "range": range(3), "type": int, "function": abs, "Ellipsis": ...,
    "NotImplemented": NotImplemented,
    "module": np, "exception": ValueError("x"), "slice": slice(2),
    "decimal": decimal.Decimal("0.5"), "fraction": fractions.Fraction(1, 2),
    "float32 nan": np.float32("nan"), "float32": np.float32(0.5),
    "float16": np.float16(0.5),
    "longdouble": np.longdouble(0.5), "int8": np.int8(3), "uint64": np.uint64(2**64 - 1),
    "numpy True": np.bool_(True), "complex64": np.complex64(1),
    "datetime": np.datetime64("2020-01-01"),
    "timedelta": np.timedelta64(1, "s"), "numpy text": np.str_("relu"),
    "0-d int": np.array(3), "0-d object": np.array(None), "long text": "x" * 100_000,
    "surrogate": "\ud800", "null": "a\0b", "path": pathlib.Path("/nonexistent/x"),
    "dev null": "/dev/null",
    "text subclass": Text("relu"), "int subclass": Integer(3), "float subclass": Real(0.5),
    "deep list": eval("[" * 90 + "1.0" + "]" * 90),
}
# fmt: on

_MADE: dict[str, Callable[[Any], Any]] = {
    "object": lambda g: object(),
    "generator": lambda g: (v for v in (1.0, 2.0)),
    "stream": lambda g: io.BytesIO(b"abc"),
    "itself": lambda g: _itself(),
    "index": lambda g: Index(),
    "bad index": lambda g: BadIndex(),
    "lying index": lambda g: LyingIndex(),
    "float": lambda g: Float(),
    "bad float": lambda g: BadFloat(),
    "bad bool": lambda g: BadBool(),
    "bad repr": lambda g: BadRepr(),
    "bad length": lambda g: BadLength(),
    "bad array": lambda g: BadArray(),
    "lying array": lambda g: LyingArray(),
    "bad iterator": lambda g: Endless(),
    "other array": lambda g: OtherArray(_arr(g)),
    "list": lambda g: _arr(g).tolist(),
    "tuple": lambda g: tuple(map(tuple, np.atleast_2d(_arr(g)).tolist())),
    "ragged": _ragged,
    "rows of arrays": lambda g: list(_arr(g)),
    "list with None": lambda g: [*_arr(g).tolist()[:-1], None],
    "list of text": lambda g: _arr(g).astype(str).tolist(),
    "bytes": lambda g: _arr(g).tobytes(),
    "memoryview": lambda g: memoryview(np.array(_arr(g))),
    "array.array": lambda g: array.array("d", _arr(g).astype(float).ravel().tolist()),
    "ctypes": lambda g: (ctypes.c_double * 3)(1, 2, 3),
    "empty": lambda g: _arr(g)[:0],
    "no columns": lambda g: _arr(g)[..., :0],
    "0 by 0": lambda g: np.empty((0, 0)),
    "one rank more": lambda g: _arr(g)[None],
    "last axis more": lambda g: _arr(g)[..., None],
    "one rank less": lambda g: _arr(g)[0],
    "flat": lambda g: _arr(g).ravel(),
    "turned": lambda g: _arr(g).T,
    "a row less": lambda g: _arr(g)[:-1],
    "a row more": lambda g: np.concatenate([_arr(g), _arr(g)[:1]]),
    "a column less": lambda g: _arr(g)[..., :-1],
    "twice as wide": lambda g: np.concatenate([_arr(g), _arr(g)], axis=-1),
    "32 axes": lambda g: np.ones((1,) * 32),
    "huge": lambda g: np.broadcast_to(np.float64(1), (2**40, 6)),
    "huge row": lambda g: np.broadcast_to(np.float64(1), (2**59,)),
    "one stride 0": lambda g: np.broadcast_to(_arr(g)[:1], _arr(g).shape),
    "strided": _strided,
    "backwards": _backwards,
    "Fortran": lambda g: np.asfortranarray(_arr(g)),
    "swapped bytes": lambda g: _arr(g).astype(_arr(g).dtype.newbyteorder()),
    "misaligned": _misaligned,
    "read-only": _read_only,
    "masked": lambda g: np.ma.MaskedArray(_arr(g), mask=np.arange(_arr(g).size) % 2 == 0)
    if _arr(g).ndim == 1
    else np.ma.masked_less(_arr(g), 0),
    "no mask": lambda g: np.ma.MaskedArray(_arr(g)),
    "recarray": lambda g: np.rec.fromarrays([np.ones(3)], names="a"),
    "structured": lambda g: np.zeros(_arr(g).shape, [("a", float)]),
    "lying astype": _of(LyingAstype),
    "lying shape": _of(LyingShape),
    "lying copies": _of(LyingCopies),
    "lying dtype": lambda g: _arr(g).astype(np.float32).view(LyingDtype),
    "unfriendly": _of(Unfriendly),
    "lying astype of float16": lambda g: _arr(g).astype(np.float16).view(LyingAstype),
    "lying astype of int8": lambda g: np.abs(_arr(g)).astype(np.int8).view(LyingAstype),
    "lying copies, strided": lambda g: _strided(g).view(LyingCopies),
    "nan inside": _put(np.nan),
    "inf inside": _put(np.inf),
    "-inf inside": _put(-np.inf),
    "1e300 inside": _put(1e300),
    "1e-320 inside": _put(1e-320),
    "-1 inside": _put(-1),
    "99 inside": _put(99),
    "-1 among integers": _put(-1, np.int64),
    "2**64-1 among integers": _put(2**64 - 1, np.uint64),
    "zeros": lambda g: np.zeros_like(_arr(g)),
    "negative": lambda g: -1.0 * _arr(g),
    "largest": lambda g: np.full(_arr(g).shape, 1.7e308),
    **{
        f"as {name}": _cast(name)
        for name in ("f2", "f4", "f8", "g", "i1", "i8", "u1", "u8", "?", "F", "D", "O", "U", "S")
    },
    "0-d": lambda g: np.array(3.0),
    "dates": lambda g: np.zeros(_arr(g).shape, "M8[s]"),
    "spans": lambda g: np.zeros(_arr(g).shape, "m8[s]"),
    "void": lambda g: np.zeros(_arr(g).shape, "V8"),
    **{
        name: lambda g, name=name: _frame(name, g)
        for name in (
            "pandas", "pandas nullable", "pandas series", "pandas with NA", "polars",
            "polars series",
        )
    },
    "torch": lambda g: _torch(False, g),
    "torch with gradient": lambda g: _torch(True, g),
}  # fmt: skip

VALUES: dict[str, Callable[[Any], Any]] = {
    **{name: lambda good, value=value: value for name, value in _PLAIN.items()},
    **_MADE,
}
