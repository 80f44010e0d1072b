"""Checks of single numbers. Arrays are checked in C++, at the border, with the argument's name."""

from __future__ import annotations

import math
import numbers as kinds_of_numbers
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

import numpy as np

__all__ = [
    "checked_field",
    "checked_path",
    "flag",
    "flag_field",
    "integer",
    "listed",
    "numbers",
    "optional_integer",
    "real",
    "real_field",
    "required_field",
    "thread_count",
]

_LARGEST = 2**63 - 1
_LARGEST_INT = 2**31 - 1


def _told(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"


def integer(argument: str, value: object, at_least: int = 1, at_most: int = _LARGEST) -> int:
    """Returns ``value`` as an int; bools and floats are no integers, not even 2.0.

    Raises:
        TypeError: It is no integer.
        ValueError: It is below ``at_least`` or above ``at_most``, which is 2**63 - 1 at the most.
    """
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{argument} must be an integer, got {_told(value)}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument} must be an integer, got {_told(value)}") from None
    if number < at_least:
        raise ValueError(f"{argument} must be at least {at_least}, got {number}")
    if number > at_most:
        raise ValueError(f"{argument} must be at most {at_most}, got {number}")
    return number


def optional_integer(argument: str, value: object) -> int | None:
    """None, or ``value`` as an int of at least 1; see `integer`."""
    return None if value is None else integer(argument, value)


def thread_count(value: object) -> int | None:
    """The argument num_threads: None, or at least 1; C++ knows the most there may be."""
    return None if value is None else integer("num_threads", value, at_most=_LARGEST_INT)


def real(
    argument: str,
    value: object,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
) -> float:
    """Returns ``value`` as a finite float within the given bounds.

    Raises:
        TypeError: It is no real number.
        ValueError: It is NaN, infinite or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, kinds_of_numbers.Real):
        raise TypeError(f"{argument} must be a real number, got {_told(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    except Exception:  # it only says that it is a number, as NumPy's spans of time do
        raise TypeError(f"{argument} must be a real number, got {_told(value)}") from None
    if math.isfinite(number) and at_least <= number <= at_most and above < number < below:
        return number
    bounds = (
        ("at least", at_least),
        ("above", above),
        ("at most", at_most),
        ("below", below),
    )
    wanted = [f"{word} {bound:g}" for word, bound in bounds if math.isfinite(bound)]
    if not math.isfinite(number):
        wanted.insert(0, "finite")
    raise ValueError(f"{argument} must be {' and '.join(wanted)}, got {number:g}")


def checked_path(path: object) -> str:
    """The argument path as a string; a TypeError where it is no path."""
    if isinstance(path, (str, os.PathLike)) and isinstance(text := os.fspath(path), str):
        return text
    raise TypeError(
        f"path must be a string or a path such as pathlib.Path, got {type(path).__name__}"
    )


def flag(argument: str, value: object) -> bool:
    """Returns ``value`` as a bool; only bools are.

    Raises:
        TypeError: It is anything else, 0 and 1 included.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} must be True or False, got {_told(value)}")
    return bool(value)


def listed(argument: str, value: object, what: str) -> list[Any]:
    """Returns the entries of ``value``, which are ``what``; a mapping has no order to go by.

    Raises:
        TypeError: It is no sequence.
    """
    wrong = TypeError(f"{argument} must be a sequence of {what}, got {type(value).__name__}")
    if isinstance(value, (Mapping, str, bytes)) or not isinstance(value, Iterable):
        raise wrong
    try:
        return list(value)
    except (TypeError, NotImplementedError):  # as of arrays of shape (), memory of two dimensions
        raise wrong from None


def numbers(argument: str, value: object, **bounds: float) -> tuple[float, ...]:
    """Returns ``value`` as finite floats, at least one, each within the bounds of `real`.

    Raises:
        TypeError: It is no sequence of real numbers.
        ValueError: There are none, or one is NaN, infinite or out of bounds.
    """
    found = listed(argument, value, "numbers")
    if not found:
        raise ValueError(f"{argument} must hold at least one number, got none")
    return tuple(real(f"{argument}[{i}]", each, **bounds) for i, each in enumerate(found))


def required_field(check: Callable[[str, object], object]) -> Any:
    """A dataclass field without a default that holds what ``check(name, value)`` makes of it."""
    return field(metadata={"check": check})


def checked_field(default: object, check: Callable[[str, object], object]) -> Any:
    """A dataclass field that holds what ``check(name, value)`` makes of the value."""
    return field(default=default, metadata={"check": check})


def real_field(default: float, **bounds: float) -> Any:
    """A dataclass field that holds a real number within ``bounds``; see `real`."""
    return checked_field(default, lambda argument, value: real(argument, value, **bounds))


def flag_field(default: bool) -> Any:
    """A dataclass field that holds a bool; see `flag`."""
    return checked_field(default, flag)
