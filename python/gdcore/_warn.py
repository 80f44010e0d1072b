"""Warnings that name the line of the caller, however deep inside they are found."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn"]


# Whose lines are nobody's mistake: our own, and those of what calls us for a user.
_BETWEEN = ("gdcore", "sklearn", "imblearn")


def warn(message: str) -> None:
    """Warns at the innermost line of a user, not of this package or of a pipeline around it."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _is_between(frame.f_globals.get("__name__")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_between(module: object) -> bool:
    return isinstance(module, str) and module.split(".")[0] in _BETWEEN
