"""Makes a case smaller for as long as it goes wrong in the same way."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

from tools.soak.finding import Answer, Case, kind_of

__all__ = ["smallest"]

_OPTIONAL = ("options", "bad")  # dicts of which any part may be left out


def smallest(
    case: Case, answer: Answer, ask: Callable[[Case], Answer], seconds: float
) -> tuple[Case, Answer]:
    """A case of which no single part can be left out or made smaller, as far as time allows."""
    kind, end = kind_of(answer), time.monotonic() + seconds
    found = True
    while found:
        found = False
        for candidate in _smaller(case):
            if time.monotonic() > end:
                return case, answer
            told = ask(candidate)
            if "finding" in told and kind_of(told) == kind:
                case, answer, found = candidate, told, True
                break
    return case, answer


def _smaller(case: Case) -> Iterator[Case]:
    for path, value in list(_parts(case)):
        optional = path[-1] in _OPTIONAL and isinstance(value, dict)
        for less in _without_one(value) if optional else _less(value):
            changed = copy.deepcopy(case)
            at: Any = changed
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = less
            yield changed


def _parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _parts(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _parts(each, (*path, index))


def _less(value: Any) -> Iterator[Any]:
    """What is simpler than a value; a case that then makes no sense goes wrong in another way."""
    if value is None or value is False or isinstance(value, str):
        return
    if value is True:
        yield False
    elif isinstance(value, int):
        yield from (less for less in dict.fromkeys((1, value // 2, value - 1)) if 0 < less < value)
    elif isinstance(value, list):
        if len(value) > 3:
            yield value[: len(value) // 2]
            yield value[len(value) // 2 :]
        yield from (value[:at] + value[at + 1 :] for at in range(len(value)) if len(value) > 1)
    else:
        yield None


def _without_one(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return ({k: v for k, v in value.items() if k != key} for key in value)
