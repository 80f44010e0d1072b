"""Descriptions as JSON and back: layers, and whatever is a formula with parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from gdcore._formula import Formula
from gdcore._layer import Layer
from gdcore.activations import Activation
from gdcore.initializers import Initializer

__all__ = ["described_formula", "described_layer", "formula_from", "layer_from", "made"]

F = TypeVar("F", bound=Formula)
T = TypeVar("T")


def described_formula(formula: Formula) -> dict[str, Any]:
    """Its name and fields; a formula within it is described in turn."""
    result: dict[str, Any] = {"name": formula.name}
    for field in fields(formula):
        value = getattr(formula, field.name)
        # What came later, and is not used, is left out: then earlier versions read the file.
        if field.metadata.get("came_later") and value == field.default:
            continue
        if isinstance(value, Formula):
            value = described_formula(value)
        result[field.name] = list(value) if isinstance(value, tuple) else value
    return result


def formula_from(family: type[F], what: str, described: Any) -> F:
    """The member that `described_formula` was given; ValueError where there is none."""
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        raise ValueError(f"{what} is not described")
    parameters = dict(described)
    member = family.members.get(parameters.pop("name"))
    if member is None:
        raise ValueError(f"{what} {described['name']!r} is unknown")
    for key, value in parameters.items():
        if isinstance(value, list):
            parameters[key] = tuple(value)
        elif isinstance(value, dict):
            parameters[key] = formula_from(family, what, value)
    formula: F = made(what, member, parameters)
    return formula


def described_layer(layer: Layer | Activation) -> dict[str, Any]:
    """All that makes the layer again, but for its parameters; so of layers within it."""
    if isinstance(layer, Activation):
        return {"kind": "activation", "activation": described_formula(layer)}
    described: dict[str, Any] = {"kind": layer.kind}
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.metadata.get("came_later") and value == field.default:
            continue
        described[field.name] = _described(value)
    return described


def _described(value: Any) -> Any:
    if isinstance(value, tuple):
        return [
            described_layer(each) if isinstance(each, (Layer, Activation)) else _described(each)
            for each in value
        ]
    return described_formula(value) if isinstance(value, Formula) else value


def layer_from(where: str, described: Any) -> Layer | Activation:
    """The layer that `described_layer` was given; ValueError where there is none."""
    if not isinstance(described, dict):
        raise ValueError(f"{where} is not described")
    arguments = {key: value for key, value in described.items() if key != "kind"}
    kind = described.get("kind")
    for key, value in arguments.items():
        if isinstance(value, list):
            arguments[key] = [
                layer_from(f"{where} {key} {i}", each) if isinstance(each, dict) else each
                for i, each in enumerate(value)
            ]
        elif isinstance(value, dict):
            family = Initializer if key.endswith("_init") else Activation
            arguments[key] = formula_from(family, key, value)
    if kind == "activation" and set(arguments) == {"activation"}:
        found: Activation = arguments["activation"]
        return found
    member = Layer.kinds.get(kind) if isinstance(kind, str) else None
    if member is None:
        raise ValueError(f"{where} is of an unknown kind")
    layer: Layer = made(where, member, arguments)
    return layer


def made(what: str, factory: Callable[..., T], arguments: Mapping[str, Any]) -> T:
    """What a file describes; ValueError where the arguments are wrong."""
    try:
        return factory(**arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{what} cannot be: {error}") from None
