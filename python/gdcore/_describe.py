"""Descriptions as JSON and back: networks, and whatever is a formula with parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from gdcore._formula import Formula
from gdcore._layer import Graph, Layer, layer_names
from gdcore._native import NETWORKS
from gdcore._stored import StoredArray
from gdcore.activations import Activation
from gdcore.network import Network

__all__ = [
    "described_formula",
    "described_network",
    "formula_from",
    "network_from",
    "same_network",
]

F = TypeVar("F", bound=Formula)


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
    made: F = _made(member, what, parameters)
    return made


def described_network(network: Network) -> dict[str, Any]:
    """All that makes the network again, but for its parameters."""
    layers = [_described_layer(layer) for layer in network.layers]
    described = {
        "layers": layers,
        "input_size": network.input_size,
        "dtype": network.dtype.name,
        "seed": network.seed,
    }
    names = network.feature_names
    return described if names is None else {**described, "feature_names": list(names)}


def same_network(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both describe one network; one that has no names may still get them."""
    if "feature_names" in one and "feature_names" in other:
        return one == other
    return _without_names(one) == _without_names(other)


def _without_names(described: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key != "feature_names"}


def network_from(described: Any, arrays: Mapping[str, StoredArray]) -> Network:
    """The network that `described_network` was given, with its parameters among ``arrays``.

    Raises:
        ValueError: Description and arrays do not make a network.
    """
    if not isinstance(described, dict) or not isinstance(described.get("layers"), list):
        raise ValueError("the network is not described")
    if described.get("dtype") not in ("float32", "float64"):  # NumPy would take many a text
        raise ValueError(f"dtype {described.get('dtype')!r} is unknown")
    layers = [_layer(f"layer {i}", each) for i, each in enumerate(described["layers"])]
    # Before anything of the described size is allocated: a forged file may name any.
    expected = _shapes(layers, described["dtype"], described.get("input_size"), arrays)
    arguments = {key: described.get(key) for key in ("input_size", "dtype", "seed")}
    network: Network = _made(Network, "the network", {"layers": layers, **arguments})
    for key in expected:
        if arrays[key].dtype != network.dtype:
            raise ValueError(f"array {key!r} is {arrays[key].dtype}, the network {network.dtype}")
    for key in expected:  # one at a time, for the sake of memory
        network._native.set_parameter(key, arrays[key].read())
    names = described.get("feature_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("the inputs' names are not described")
    if len(names) not in (0, network.input_size):
        raise ValueError(f"there are {len(names)} names of {network.input_size} inputs")
    network._native.input_names = names
    return network


def _described_layer(layer: Layer | Activation) -> dict[str, Any]:
    """Its kind and fields; layers within it are described in turn."""
    if isinstance(layer, Activation):
        return {"kind": "activation", "activation": described_formula(layer)}
    described: dict[str, Any] = {"kind": layer.kind}
    for field in fields(layer):
        value = getattr(layer, field.name)
        if isinstance(value, Formula):
            value = described_formula(value)
        elif isinstance(value, tuple):
            value = [_described_layer(each) for each in value]
        described[field.name] = value
    return described


def _layer(where: str, described: Any) -> Layer | Activation:
    if not isinstance(described, dict):
        raise ValueError(f"{where} is not described")
    arguments = {key: value for key, value in described.items() if key != "kind"}
    kind = described.get("kind")
    for key, value in arguments.items():
        if isinstance(value, list):
            arguments[key] = [_layer(f"{where} {key} {i}", each) for i, each in enumerate(value)]
        elif isinstance(value, dict):
            arguments[key] = formula_from(Activation, key, value)
    if kind == "activation" and set(arguments) == {"activation"}:
        found: Activation = arguments["activation"]
        return found
    member = Layer.members.get(kind) if isinstance(kind, str) else None
    if member is None:
        raise ValueError(f"{where} is of an unknown kind")
    made: Layer = _made(member, where, arguments)
    return made


def _shapes(
    layers: list[Layer | Activation], dtype: str, inputs: Any, arrays: Mapping[str, StoredArray]
) -> dict[str, tuple[int, ...]]:
    graph = Graph()
    try:
        graph.extend(layers, layer_names("layers", layers), 0)
        shapes: dict[str, tuple[int, ...]] = NETWORKS[dtype].shapes(graph.specs, inputs)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the network cannot be: {error}") from None
    for key, shape in shapes.items():
        found = arrays[key].shape if key in arrays else None
        if found != shape:
            raise ValueError(f"array {key!r} should have shape {shape}, and has {found}")
    return shapes


def _made(factory: Callable[..., Any], what: str, arguments: dict[str, Any]) -> Any:
    try:
        return factory(**arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{what} cannot be: {error}") from None
