"""Descriptions as JSON and back: layers, and whatever is a formula with parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from gdcore._formula import Formula
from gdcore.activations import Activation
from gdcore.layers import Dense

__all__ = ["described_formula", "described_layer", "formula_from", "layer_from", "made", "shapes"]

F = TypeVar("F", bound=Formula)
T = TypeVar("T")


def described_formula(formula: Formula) -> dict[str, Any]:
    """Its name and fields; a formula within it is described in turn."""
    result: dict[str, Any] = {"name": formula.name}
    for field in fields(formula):
        value = getattr(formula, field.name)
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


def described_layer(layer: Dense) -> dict[str, Any]:
    """All that makes the layer again, but for its parameters."""
    described = {field.name: getattr(layer, field.name) for field in fields(layer)}
    described["activation"] = described_formula(Activation.resolve("activation", layer.activation))
    return {"kind": "dense", **described}


def layer_from(index: int, described: Any) -> Dense:
    """The layer that `described_layer` was given; ValueError where there is none."""
    if not isinstance(described, dict) or described.get("kind") != "dense":
        raise ValueError(f"layer {index} is of an unknown kind")
    arguments = {key: value for key, value in described.items() if key != "kind"}
    activation = formula_from(Activation, "activation", arguments.get("activation"))
    return made(f"layer {index}", Dense, arguments | {"activation": activation})


def shapes(layers: Iterable[Dense], inputs: Any) -> dict[str, tuple[Any, ...]]:
    """Of the layers' parameters, by their keys; with what a file says is the number of inputs."""
    found: dict[str, tuple[Any, ...]] = {}
    for index, layer in enumerate(layers):
        name = str(index) if layer.name is None else layer.name
        found[f"{name}.weight"] = (layer.units, inputs)
        if layer.bias:
            found[f"{name}.bias"] = (layer.units,)
        inputs = layer.units
    return found


def made(what: str, factory: Callable[..., T], arguments: Mapping[str, Any]) -> T:
    """What a file describes; ValueError where the arguments are wrong."""
    try:
        return factory(**arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{what} cannot be: {error}") from None
