"""Stretches of a program with names of the user's, which profiles show above the operations."""

from __future__ import annotations

import inspect
from _thread import get_ident
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from gdcore import _core

__all__ = ["Range", "range"]

P = ParamSpec("P")
R = TypeVar("R")


class Range:
    """What `range` returns for a name: for ``with`` blocks and above functions.

    One object may be entered again within itself, and by several threads at once.
    """

    __slots__ = ("_name", "_open")

    def __init__(self, name: str) -> None:
        if not name:
            raise ValueError("name must be a text of at least one character, got ''")
        if not name.isascii():
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"name must be text, got {name!r} ({error.reason})") from None
        self._name = name
        self._open: dict[int, list[int]] = {}  # by thread, for each knows its own ranges alone

    def __enter__(self) -> None:
        """Begins, if something is being recorded."""
        if _core.profiling():
            number = _core.profile_range_begin(self._name)
            self._open.setdefault(get_ident(), []).append(number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends what this thread began last, if it did: a recording may begin within the block."""
        if self._open:
            thread = get_ident()
            numbers = self._open.get(thread)
            if numbers is not None:
                _core.profile_range_end(numbers.pop())
                if not numbers:
                    del self._open[thread]

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """A function, each call of which is such a stretch."""
        _check_function(function)
        name = self._name

        @wraps(function)
        def named(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _core.profiling():
                return function(*args, **kwargs)
            number = _core.profile_range_begin(name)
            try:
                return function(*args, **kwargs)
            finally:
                _core.profile_range_end(number)

        return named

    def __repr__(self) -> str:
        return f"gdcore.range({self._name!r})"


@overload
def range(name: str) -> Range: ...


@overload
def range(name: Callable[P, R]) -> Callable[P, R]: ...


def range(name: str | Callable[P, R]) -> Range | Callable[P, R]:
    """Names a stretch of a program in profiles: a ``with`` block, or the calls of a function.

    >>> with gdcore.range("augment"):
    ...     x = flipped(x)

    >>> @gdcore.range
    ... def load(path): ...

    >>> @gdcore.range("read a file")
    ... def load(path): ...

    Ranges lie within each other as blocks and calls do, each on the thread that it runs on. While
    nothing is recorded they do nothing. A range in which a recording begins is not in it; one in
    which it ends is, up to there. `Trainer.fit` names what it calls: each callback's methods, as
    ``"EarlyStopping.on_epoch_end"``, ``"validation"``, ``"metric f1"`` and ``"progress"``.

    Args:
        name: What to show; or the function, which is shown by its qualified name.

    Raises:
        TypeError: name is neither text nor a function. Generators and coroutines are none: between
            two parts of such a call others run.
        ValueError: name is empty.
    """
    if isinstance(name, str):
        return Range(name)
    _check_function(name)
    own = getattr(name, "__qualname__", None)
    if not isinstance(own, str):
        raise TypeError(
            f"gdcore.range needs a name for {name!r}, which has none of its own: "
            'write gdcore.range("name")(...)'
        )
    return Range(own)(name)


def _check_function(function: object) -> None:
    if isinstance(function, (staticmethod, classmethod, property)):
        kind = type(function).__name__
        raise TypeError(f"gdcore.range must stand below @{kind}, got it above")
    if isinstance(function, type) or not callable(function):
        what: Any = (
            f"the class {function.__name__}"
            if isinstance(function, type)
            else f"{function!r} ({type(function).__name__})"
        )
        raise TypeError(f"gdcore.range takes a name or a function, got {what}")
    for is_kind, kind in (
        (inspect.iscoroutinefunction, "coroutine"),
        (inspect.isasyncgenfunction, "generator"),
        (inspect.isgeneratorfunction, "generator"),
    ):
        if is_kind(function):
            raise TypeError(
                f"gdcore.range takes functions that run from begin to end, got the {kind} "
                f"{getattr(function, '__qualname__', function)!s}: write with gdcore.range(...) "
                "around a part of it that neither awaits nor yields"
            )
