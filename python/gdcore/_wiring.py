"""How a network's layers are joined: in a row, or by nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gdcore._check import integer, listed
from gdcore._layer import Graph, Layer, Spec, checked_layers, layer_names
from gdcore._node import Input, Node, checked_name, made_by
from gdcore.activations import Activation, Identity
from gdcore.layers.joins import Concat

__all__ = ["JOINED", "Wiring"]

_INPUT = {"size", "categories", "sparse", "name"}
JOINED = "(outputs)"  # the layer of C++ that puts several outputs side by side


@dataclass(frozen=True)
class Wiring:
    """A network's description but for dtype and seed.

    Attributes:
        inputs: At least one.
        layers: In the order in which they were made, each after those it reads.
        names: What stands for each in the keys of ``state_dict``.
        reads: Of each layer what it reads: an index counts the inputs first, then the layers.
        heads: Name and index of each output; one without a name where outputs are one array.
    """

    inputs: tuple[Input, ...]
    layers: tuple[Layer | Activation, ...]
    names: tuple[str, ...]
    reads: tuple[tuple[int, ...], ...]
    heads: tuple[tuple[str | None, int], ...]

    @classmethod
    def of(cls, layers: Any, input_size: Any, inputs: Any, outputs: Any) -> Wiring:
        """The description out of what `Network` was given: a row of layers, or nodes."""
        if layers is not None and outputs is not None:
            raise TypeError("layers and outputs must not be given together: outputs lead to layers")
        if input_size is not None and inputs is not None:
            raise TypeError("input_size and inputs must not be given together")
        if layers is not None or (outputs is None and input_size is not None):
            row = checked_layers("layers", layers)
            if isinstance(inputs, (list, tuple)) and len(inputs) == 1:
                inputs = inputs[0]
            if inputs is not None and not isinstance(inputs, Input):
                raise TypeError(
                    "inputs must be one gdcore.Input for layers in a row, got "
                    f"{type(inputs).__name__}: nodes join several"
                )
            if inputs is None and input_size is None:
                raise TypeError(
                    "a network of layers in a row needs input_size, or inputs, got neither"
                )
            return cls.of_row(row, inputs or Input(integer("input_size", input_size)))
        if outputs is None:
            raise TypeError("a network needs layers, or inputs and outputs, got neither")
        if inputs is None:
            raise TypeError("a network with outputs needs its inputs, got none")
        return cls.of_nodes(inputs, outputs)

    @classmethod
    def of_row(cls, layers: tuple[Layer | Activation, ...], given: Input) -> Wiring:
        """Layers in a row; ValueError where two have one name."""
        names = layer_names("layers", layers)
        reads = tuple((index,) for index in range(len(layers)))
        return cls((given,), layers, names, reads, ((None, len(layers)),))

    @classmethod
    def of_nodes(cls, inputs: object, outputs: object) -> Wiring:
        """What leads from inputs to outputs.

        Raises:
            TypeError: They are no nodes.
            ValueError: A name is missing, doubled or cannot be, an input leads nowhere or is
                another network's, or there is no layer.
        """
        given = _checked_inputs(inputs)
        heads = _checked_outputs(outputs)
        found = _leading_to([node for _, node in heads])
        known = set(given)
        for node in found:
            if isinstance(node, Input) and node not in known:
                raise ValueError(
                    f"outputs must be made of the network's inputs, got one made of {node!r} too, "
                    "which is not among inputs"
                )
        read = set(found)
        for index, each in enumerate(given):
            if each not in read:
                raise ValueError(
                    f"inputs[{index}], {each!r}, is read by nothing that makes outputs"
                )
        made = [node for node in found if not isinstance(node, Input)]
        if not made:
            raise ValueError("outputs must be made by at least one layer, got an input itself")
        place = {node: index for index, node in enumerate([*given, *made])}
        layers = tuple(node.layer for node in made)
        return cls(
            given,
            layers,
            layer_names("layers", layers, called=True),
            tuple(tuple(place[each] for each in node.reads) for node in made),
            tuple((name, place[node]) for name, node in heads),
        )

    @property
    def is_row(self) -> bool:
        """Whether it is layers in a row."""
        row = tuple((index,) for index in range(len(self.layers)))
        return self.reads == row and self.heads == ((None, len(self.layers)),)

    @property
    def is_plain(self) -> bool:
        """Whether it is layers in a row over columns of real numbers without a name."""
        first = self.inputs[0]
        is_plain = first.categories is None and not first.sparse
        return self.is_row and is_plain and first.name is None

    def described(self) -> dict[str, Any]:
        """All but the layers themselves, as files have it."""
        inputs = []
        for each in self.inputs:
            size = {"size": each.size} if each.categories is None else {}
            codes = {} if each.categories is None else {"categories": list(each.categories)}
            sparse = {"sparse": True} if each.sparse else {}
            inputs.append({**size, **codes, **sparse, "name": each.name})
        outputs = [[name, index] for name, index in self.heads]
        return {"inputs": inputs, "reads": [list(each) for each in self.reads], "outputs": outputs}

    @classmethod
    def from_described(
        cls, layers: Sequence[Layer | Activation], described: Mapping[str, Any]
    ) -> Wiring:
        """What `described` was given; TypeError or ValueError where it cannot be."""
        inputs = []
        for each in _rows("inputs", described):
            if not isinstance(each, dict) or not each.keys() <= _INPUT:
                raise ValueError("an input is not described")
            inputs.append(Input(each.get("size"), **{k: v for k, v in each.items() if k != "size"}))
        reads, outputs = _rows("reads", described), _rows("outputs", described)
        rows = [*reads, *outputs]
        if len(reads) != len(layers) or not all(isinstance(row, list) for row in rows):
            raise ValueError("what the layers read is not described")
        nodes: list[Node] = [*inputs]

        def node(index: object) -> Node:
            return nodes[integer("an index of a node", index, at_least=0, at_most=len(nodes) - 1)]

        for layer, row in zip(layers, reads, strict=True):
            takes = layer.reads if isinstance(layer, Layer) else 1
            nodes.append(made_by(layer, tuple(node(index) for index in row), takes))
        heads = [(name, node(index)) for name, index in outputs]
        if len({name for name, _ in heads}) != len(heads):
            raise ValueError("two outputs have one name")
        if [name for name, _ in heads] == [None]:
            return cls.of_nodes(inputs, heads[0][1])
        return cls.of_nodes(inputs, dict(heads))

    def arguments(self) -> dict[str, Any]:
        """What `gdcore.Network` takes to make it again."""
        if self.is_row:
            return {"layers": self.layers, "inputs": self.inputs[0]}
        inputs, outputs = self._nodes()
        return {"inputs": inputs, "outputs": outputs}

    def _nodes(self) -> tuple[list[Input], Any]:
        """Inputs and outputs to make it again of; new ones."""
        inputs = [
            Input(
                None if codes else each.size, categories=codes, sparse=each.sparse, name=each.name
            )
            for each in self.inputs
            for codes in (each.categories,)
        ]
        nodes: list[Node] = [*inputs]
        for layer, reads in zip(self.layers, self.reads, strict=True):
            nodes.append(made_by(layer, tuple(nodes[i] for i in reads), None))
        if self.heads[0][0] is None:
            return inputs, nodes[self.heads[0][1]]
        return inputs, {name: nodes[index] for name, index in self.heads}

    def graph(self) -> Graph:
        """The layers as C++ takes them, and what puts several outputs side by side."""
        graph = Graph(len(self.inputs))
        for layer, name, reads in zip(self.layers, self.names, self.reads, strict=True):
            graph.follow(layer, name, reads)
        graph.heads = [(name or "", graph.places[index]) for name, index in self.heads]
        if len(self.heads) > 1:
            graph.add(Spec("concat", JOINED, [node for _, node in graph.heads], {}), Concat())
        return graph

    def last(self, head: str | None = None) -> Activation:
        """What makes the outputs, those of one head, of sums that may be any number."""
        index = dict(self.heads)[head] - len(self.inputs)
        if index < 0:
            return Identity()
        layer = self.layers[index]
        return layer if isinstance(layer, Activation) else layer.output_activation()

    def readers(self, head: str) -> int:
        """How many layers and outputs read what makes a head, that head among them."""
        index = dict(self.heads)[head]
        return sum(each.count(index) for each in self.reads) + [i for _, i in self.heads].count(
            index
        )


def _checked_inputs(inputs: object) -> tuple[Input, ...]:
    several = [inputs] if isinstance(inputs, Node) else listed("inputs", inputs, "Input")
    for index, each in enumerate(several):
        if not isinstance(each, Input):
            kind = type(each).__name__
            raise TypeError(f"inputs[{index}] must be a gdcore.Input, got {kind}")
    if not several:
        raise ValueError("inputs must have at least one Input, got none")
    names: dict[str, int] = {}
    for index, each in enumerate(several if len(several) > 1 else ()):
        if each.name is None:
            raise ValueError(
                f"inputs[{index}] must have a name where there are several, got {each!r}"
            )
        if each.name in names:
            raise ValueError(
                f"inputs[{names[each.name]}] and inputs[{index}] must have different names, got "
                f"{each.name!r} twice"
            )
        names[each.name] = index
    return tuple(several)


def _checked_outputs(outputs: object) -> list[tuple[str | None, Node]]:
    if isinstance(outputs, Node):
        return [(None, outputs)]
    if not isinstance(outputs, Mapping):
        raise TypeError(
            "outputs must be a node or a dict of nodes by name, got "
            f"{type(outputs).__name__}: a layer called on a node makes one"
        )
    if not outputs:
        raise ValueError("outputs must have at least one node, got none")
    for name, node in outputs.items():
        checked_name("a name in outputs", name)
        if name == "val" or name.startswith("val_"):
            raise ValueError(
                f"a name in outputs must not begin with 'val', got {name!r}: in a history that "
                "stands for validation data"
            )
        if not isinstance(node, Node):
            raise TypeError(f"outputs[{name!r}] must be a node, got {type(node).__name__}")
    return list(outputs.items())


def _rows(key: str, described: Mapping[str, Any]) -> list[Any]:
    found = described.get(key)
    if not isinstance(found, list):
        raise ValueError(f"{key} are not described")
    return found


def _leading_to(outputs: Sequence[Node]) -> list[Node]:
    """All nodes on the way to the outputs, those first that were made first."""
    found: set[Node] = set()
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.reads
    return sorted(found, key=lambda node: node._number)
