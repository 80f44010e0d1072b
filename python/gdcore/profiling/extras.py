"""Packages that only some of a profile's forms need."""

from __future__ import annotations

from typing import Any

from gdcore import _pictures

__all__ = ["needed"]


def needed(module: str) -> Any:
    """Imports a module of a package of the extra ``profile``.

    Raises:
        ImportError: It is not installed; the message tells how to.
    """
    return _pictures.needed(module, "profile")
