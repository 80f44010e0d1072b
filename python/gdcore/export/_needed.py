"""Packages of extras, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["needed"]


def needed(what: str, package: str, extra: str | None) -> Any:
    """The package; ImportError that says how to install it where it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != package.split(".")[0]:
            raise
        install = f'"gdcore[{extra}]"' if extra else package
        raise ImportError(
            f"{what} needs {package}, which is not installed. Install it with: "
            f"python -m pip install {install}"
        ) from None
