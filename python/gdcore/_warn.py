"""Warnings that name the line of the caller, however deep inside they are found."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn"]


def warn(message: str) -> None:
    """Warns at the innermost line that is not this package's own."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _is_own(frame.f_globals.get("__name__")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_own(module: object) -> bool:
    return isinstance(module, str) and module.split(".")[0] == "gdcore"
