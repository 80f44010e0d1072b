"""Objects that show themselves as the call that makes them."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["call_of"]


def call_of(thing: object, **arguments: Any) -> str:
    """``EarlyStopping('val_auc', patience=3)``: the class with the arguments that it was given.

    Args:
        thing: An object.
        **arguments: What each argument of its class was; those at their default are left out.
    """
    told = []
    for name, parameter in inspect.signature(type(thing)).parameters.items():
        if name not in arguments:
            continue
        value = arguments[name]
        default = parameter.default
        if type(value) is type(default) and value == default:
            continue
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        told.append(f"{name}={value!r}" if keyword else repr(value))
    return f"{type(thing).__name__}({', '.join(told)})"
