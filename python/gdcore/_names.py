"""Finding things by name, with a suggestion for a name that is nearly right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

__all__ = ["choice", "unknown"]

Name = TypeVar("Name", bound=str)


def unknown(argument: str, value: object, known: Iterable[str]) -> ValueError:
    """The error for a name that nothing has, with the nearest known name where there is one."""
    import difflib  # only here: an import of gdcore need not wait for it

    names = list(known)
    wanted = f"one of {', '.join(names)}" if len(names) > 1 else repr(names[0])
    word = str(value).lower()
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    close.sort(key=lambda name: sorted(name) != sorted(word))  # the same letters come first
    close = close or [name for name in names if word and name.startswith(word)]
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return ValueError(f"{argument} must be {wanted}, got {value!r}{hint}")


def choice(argument: str, value: object, known: Iterable[Name]) -> Name:
    """Returns ``value`` if it is one of the ``known`` names.

    Raises:
        TypeError: ``value`` is not a string.
        ValueError: It is a string, but no known name.
    """
    names = list(known)
    if not isinstance(value, str):
        kind = type(value).__name__
        raise TypeError(f"{argument} must be one of {', '.join(names)}, got {value!r} ({kind})")
    if value not in names:
        raise unknown(argument, value, names)
    return names[names.index(value)]
