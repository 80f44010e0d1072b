"""The formulas or layers of a module as directives for its page of the reference."""

from __future__ import annotations

import importlib


def formulas(module: str) -> str:
    """An autoclass for each public one of activations, layers, losses or optimizers, as defined."""
    told = vars(importlib.import_module(f"gdcore.{module}"))
    families = (vars(told[each]) for each in told["__all__"])
    if "Layer" in told["__all__"]:
        members = told["Layer"].kinds.values()
    else:
        members = next(each["members"] for each in families if "members" in each).values()
    public = [cls.__name__ for cls in members if cls.__name__ in told["__all__"]]
    return "\n".join(f".. autoclass:: gdcore.{name}" for name in public)
