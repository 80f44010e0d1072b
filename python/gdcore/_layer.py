"""What layers have in common: a kind, a name, options; and the graph that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar, NamedTuple, Union

from gdcore._check import listed
from gdcore._formula import Formula
from gdcore._frozen import Frozen
from gdcore._node import Node, made_by
from gdcore.activations import Activation, Identity
from gdcore.typing import ActivationName

__all__ = [
    "Graph",
    "Layer",
    "LayerLike",
    "Spec",
    "checked_layers",
    "layer_names",
]


class Spec(NamedTuple):
    """A layer as C++ takes it."""

    kind: str
    name: str
    inputs: list[int]
    options: dict[str, Any]


class Graph:
    """Layers as C++ takes them, each after those it reads; the first nodes are the inputs.

    Attributes:
        specs: What C++ takes.
        shown: For each of them the layer of Python's that it is of.
        places: The nodes of the inputs, then of the layers that `follow` added.
        heads: Name and node of each output; empty: the last node is the output.
    """

    def __init__(self, inputs: int = 1) -> None:
        """A graph of so many inputs alone."""
        self._inputs = inputs
        self.specs: list[Spec] = []
        self.shown: list[Layer | Activation] = []
        self.places = list(range(inputs))
        self.heads: list[tuple[str, int]] = []

    def add(self, spec: Spec, shown: Layer | Activation) -> int:
        """Adds a layer of C++, which is shown as one of Python's; returns its node."""
        self.specs.append(spec)
        self.shown.append(shown)
        return self._inputs + len(self.specs) - 1

    def follow(self, layer: Layer | Activation, name: str, reads: Sequence[int]) -> None:
        """Adds a layer behind others, by their index in `places`."""
        nodes = [self.places[index] for index in reads]
        if isinstance(layer, Activation) or layer.reads == 1:
            self.places.append(self.extend([layer], [name], nodes[0]))
        else:
            self.places.append(self.add(Spec(layer.kind, name, nodes, layer.options()), layer))

    def extend(self, layers: Sequence[Layer | Activation], names: Sequence[str], node: int) -> int:
        """Adds layers in a row behind a node; returns the last one's."""
        for layer, name in zip(layers, names, strict=True):
            if isinstance(layer, Activation):
                options = _options_of("activation", layer)
                node = self.add(Spec("activation", name, [node], options), layer)
            else:
                node = layer.build(self, name, node)
        return node


class Layer(Frozen):
    """Base of all layers. Descriptions only; a network owns the parameters.

    A kind of layer is a subclass, made by ``@frozen``, that sets ``kind`` to the name of its file
    in C++ and has its options as fields, and ``name`` as the last of them. Defining the class is
    all: networks, files and tests find it by its kind from then on.
    """

    kind: ClassVar[str]
    members: ClassVar[dict[str, type[Layer]]] = {}
    reads: ClassVar[int | None] = 1  # how many values; None: any number
    name: str | None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):
            Layer.members[cls.kind] = cls

    def __post_init__(self) -> None:
        """Checks all fields.

        Raises:
            TypeError: A field is of the wrong type.
            ValueError: A field is out of its domain.
        """
        super().__post_init__()
        check_name(self.name)

    def __call__(self, *nodes: Node) -> Node:
        """Makes a node of nodes; see `gdcore.Node`.

        Each call is a layer of its own, with parameters of its own.

        Raises:
            TypeError: What it is called on is no node, or there are too many or too few.
        """
        return made_by(self, nodes, self.reads)

    def options(self) -> dict[str, Any]:
        """The fields as C++ takes them; those that are None are left out."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "name" or value is None:
                continue
            found |= _options_of(field.name, value)
        return found

    def output_activation(self) -> Activation:
        """What makes its outputs of sums that may be any number."""
        return Identity()

    def shown(self) -> str:
        """The layer in the row that a network shows itself as."""
        return self.kind

    def build(self, graph: Graph, name: str, node: int) -> int:
        """Adds the layer behind a node of a graph; returns its own."""
        return graph.add(Spec(self.kind, name, [node], self.options()), self)


# What may stand in a list of layers. Union: `|` of strings is no type before Python 3.14.
LayerLike = Union[Layer, Activation, "ActivationName"]


def check_name(name: object) -> None:
    """Checks what is to stand for a layer's index in the keys of ``state_dict``."""
    if name is None:
        return
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {type(name).__name__}")
    if not name or "." in name:
        raise ValueError(f"name must be non-empty and without dots, got {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"name must be text that UTF-8 can hold, got {name!r}") from None


def checked_layers(argument: str, layers: Any) -> tuple[Layer | Activation, ...]:
    """Layers in a row, names of activations resolved.

    Raises:
        TypeError: It is no sequence, or something in it is no layer.
        ValueError: It is empty, or a name is unknown.
    """
    if isinstance(layers, (Layer, Activation)):
        raise TypeError(f"{argument} must be a sequence of layers, got one layer: write [layer]")
    row: list[Layer | Activation] = []
    for index, layer in enumerate(listed(argument, layers, "layers")):
        where = f"{argument}[{index}]"
        if isinstance(layer, Layer):
            row.append(layer)
        elif isinstance(layer, (str, Activation)):
            row.append(Activation.resolve(where, layer))
        elif isinstance(layer, type) and issubclass(layer, (Layer, Activation)):
            raise TypeError(f"{where} must be an object, got the class: write {layer.__name__}()")
        else:
            raise TypeError(f"{where} must be a layer, got {type(layer).__name__}")
    if not row:
        raise ValueError(f"{argument} must hold at least one layer, got none")
    return tuple(row)


def layer_names(
    argument: str, layers: Sequence[Layer | Activation], *, called: bool = False
) -> tuple[str, ...]:
    """What stands for each in the keys of ``state_dict``: its name, or else its index.

    Args:
        argument: What they are called in messages.
        layers: In order.
        called: Whether they were called on nodes, in that order.

    Raises:
        ValueError: Two have one name.
    """
    names: dict[str, int] = {}
    for index, layer in enumerate(layers):
        own = layer.name if isinstance(layer, Layer) else None
        name = str(index) if own is None else own
        if name in names:
            both = f"{argument}[{names[name]}] and {argument}[{index}]"
            hint = ": a layer with a name can be called once, each call is another layer" * called
            raise ValueError(f"{both} must have different names, got {name!r} twice{hint}")
        names[name] = index
    return tuple(names)


def _options_of(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Formula):
        return {name: value.name, f"{name}_parameters": value.parameters()}
    return {name: list(value) if isinstance(value, tuple) else value}
