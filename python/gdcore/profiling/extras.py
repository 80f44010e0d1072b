"""Packages that only some of a profile's forms need."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["needed"]


def needed(module: str) -> Any:
    """Imports a module of a package of the extra ``profile``.

    Raises:
        ImportError: It is not installed; the message tells how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"this needs {error.name}, which is not installed. Install it with: "
            'python -m pip install "gdcore[profile]"'
        ) from None
