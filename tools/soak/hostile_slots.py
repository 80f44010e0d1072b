"""How a public call takes what stands in a slot: the plain value of it, or an error."""

from __future__ import annotations

import contextlib
import math
import numbers
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from world import PROBABILITIES

__all__ = ["Call", "Slot"]


def seen(value: Any) -> Any:
    """As NumPy sees it, but that pandas' numbers which may be missing are numbers where none is."""
    found = np.asarray(value)
    if found.dtype.kind == "O" and hasattr(value, "convert_dtypes"):
        found = value.to_numpy(np.float64)
    return np.array(found, subok=False)


def plain_array(value: Any, good: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError("a mask")
    found = seen(value)
    if found.dtype.kind not in "biuf":
        raise TypeError(found.dtype)
    kept = found.astype(np.asarray(good).dtype if np.asarray(good).dtype.kind == "f" else float)
    if not np.isfinite(kept).all():
        raise ValueError("not finite")
    return kept


def matrix(value: Any, good: Any) -> Any:
    found = plain_array(value, good)
    if found.shape != good.shape:
        raise ValueError(found.shape)
    return found


def rows(value: Any, good: Any) -> Any:
    """Any number of rows."""
    found = plain_array(value, good)
    if found.ndim != 2 or found.shape[1] != good.shape[1] or not len(found):
        raise ValueError(found.shape)
    return found


def any_array(value: Any, good: Any) -> Any:
    return plain_array(value, good)


def factor(value: Any, good: Any) -> Any:
    """Products of what is not finite are what they are."""
    found = seen(value)
    if found.dtype.kind not in "biuf" or np.ma.is_masked(value):
        raise TypeError(found.dtype)
    return found.astype(np.float64)


def floats(value: Any, good: Any) -> Any:
    """An array to be updated, as it is."""
    found = seen(value)
    if not isinstance(value, np.ndarray) or found.dtype not in (np.float32, np.float64):
        raise TypeError(found.dtype)
    return found


def judged(value: Any, good: Any) -> Any:
    """Outputs may be NaN: then the metric is."""
    with contextlib.suppress(ValueError):
        return matrix(value, good)
    if not isinstance(value, np.ndarray) or value.shape != good.shape:
        raise ValueError("no outputs")
    return np.array(np.asarray(value), np.float64)


def label(value: Any, good: Any) -> Any:
    return int(value) if isinstance(value, (bool, np.bool_)) else count(value, good)


def labels(value: Any, good: Any) -> Any:
    found = seen(value)
    if found.shape == PROBABILITIES.shape:
        found = matrix(value, PROBABILITIES)
        if not np.allclose(found.sum(1), 1, atol=1e-3):
            raise ValueError("no probabilities")
        return found
    if found.dtype.kind not in "biu" or found.shape != good.shape:
        raise ValueError("no labels")
    if (found < 0).any() or (found > 3).any():
        raise ValueError("out of range")
    return found.astype(np.int64)


def unit(value: Any, good: Any) -> Any:
    found = matrix(value, good)
    if (found < 0).any() or (found > 1).any():
        raise ValueError("out of [0, 1]")
    return found


def weight(value: Any, good: Any) -> Any:
    if value is None:
        return None
    found = matrix(value, good)
    if (found < 0).any() or not found.any():
        raise ValueError("no weights")
    return found


def count(value: Any, good: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError("a bool")
    found = operator.index(value)
    if not -(2**63) <= found < 2**63:
        raise ValueError(found)
    return found


def maybe_count(value: Any, good: Any) -> Any:
    return None if value is None else count(value, good)


def real(value: Any, good: Any) -> Any:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError("no number")
    if not math.isfinite(float(value)):
        raise ValueError(value)
    return float(value)


def maybe_real(value: Any, good: Any) -> Any:
    return None if value is None else real(value, good)


def flag(value: Any, good: Any) -> Any:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError("no bool")
    return bool(value)


def word(value: Any, good: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError("no text")
    return str(value)


def maybe_word(value: Any, good: Any) -> Any:
    return None if value is None else word(value, good)


def dtype(value: Any, good: Any) -> Any:
    found = np.dtype(value)
    if value is None or found not in (np.float32, np.float64):
        raise TypeError(found)
    return found.name


def pair(value: Any, good: Any) -> Any:
    first, second = value
    if not isinstance(value, (tuple, list)):
        raise TypeError("no pair")
    return real(first, 0.0), real(second, 0.0)


def as_it_is(value: Any, good: Any) -> Any:
    """Where there is no plain form: only crashes, and what changes beside an error, count."""
    return value


Plain = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Slot:
    """An argument: what is right there, and how a value is taken."""

    good: Any
    plain: Plain
    names: tuple[str, ...] = ()  # in messages, beside the argument's own


@dataclass(frozen=True)
class Call:
    """A public call with good arguments."""

    run: Callable[..., Any]  # takes the world and the slots by name
    slots: dict[str, Slot]
