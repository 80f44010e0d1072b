"""A network as a few plain operations on rows, which ONNX and C are written from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _classes
from gdcore._node import Input
from gdcore._wiring import JOINED
from gdcore.activations import Activation, Identity, Sigmoid, Softmax
from gdcore.ensembles import Ensemble
from gdcore.export._shapes import Shape, cannot
from gdcore.network import Network
from gdcore.typing import Task

__all__ = ["Lowering", "Operation", "Program", "program_of"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """What makes a value of others.

    Values are rows of columns; in those of an ensemble those of one member stand after the other.
    x is what is read, y what is made, w and b are ``weight`` and ``bias``, m is a group of columns:

    - ``product``: y_m = x_m w^T + b, w (units, inputs), one for all groups;
    - ``products``: y_m = x_m w_m + b_m, w (groups, inputs, units), b (groups, units);
    - ``scaled``: y = (x - ``minus``) / ``over`` * ``times`` + ``plus``, each optional, (columns,);
    - ``repeated``: y_m = x, for each group;
    - ``activated``: y = f(x), of those that see whole rows over each group;
    - ``normed``: y = (x - mean) / sqrt(mean square + ``eps``) * w + b, over each row, the mean
      where it is ``centered``;
    - ``rectified``: y = x for x > 0, else w x, w (columns,);
    - ``sum``, ``joined`` (of ``widths``), ``times``: of several x, the last of two;
    - ``part``: columns from ``begin`` on;
    - ``looked_up``: rows of ``table0``, ``table1``, ... that codes x name, side by side;
    - ``waves``: y_m = cos(2 pi w_m x_m), sin(2 pi w_m x_m) for each column m, w (groups, n); with a
      bias cos(2 pi w_m x_m + b_m) alone;
    - ``places``: y_m = where x_m stands between ``edges`` of column m, in ``most`` bins;
    - ``mean``: of the ``members`` groups of x.

    Attributes:
        kind: One of these.
        layer: The name of the layer that it belongs to.
        reads: Indices of values: the inputs, then what operations make.
        columns: Of what it makes.
        groups: Into how many its columns part.
        arrays: Numbers, of the network's dtype.
        options: Else.
    """

    kind: str
    layer: str
    reads: tuple[int, ...]
    columns: int
    groups: int = 1
    arrays: dict[str, Array] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """Operations, each after those whose values it reads.

    Attributes:
        inputs: What is given.
        dtype: Of all numbers, ``"float32"`` or ``"float64"``.
        operations: In order.
        outputs: Name and value of each; the name is None where outputs have none.
    """

    inputs: tuple[Input, ...]
    dtype: str
    operations: tuple[Operation, ...]
    outputs: tuple[tuple[str | None, int], ...]

    def columns(self, value: int) -> int:
        """Of a value."""
        count = len(self.inputs)
        return self.inputs[value].size if value < count else self.operations[value - count].columns


class Lowering:
    """Adds operations for layers, one after the other.

    Attributes:
        shapes: Of each value how the layers see it.
        layer: The name of the one at hand.
    """

    def __init__(self, network: Network, target: str) -> None:
        self.target = target
        self.dtype = network.dtype
        self.begin(network, "")
        self.shapes = [Shape(each.size, categories=each.categories) for each in network.inputs]
        self.operations: list[Operation] = []

    def begin(self, network: Network, prefix: str) -> None:
        """Goes on with a network, of several one after the other; prefix calls its layers."""
        self.state = network.state_dict()
        self._prefix = prefix
        self.name("")

    def name(self, layer: str) -> None:
        """Goes on with a layer."""
        self._key = layer
        self.layer = self._prefix + layer

    def add(
        self,
        kind: str,
        reads: Sequence[int],
        made: Shape,
        arrays: Mapping[str, Array | None] | None = None,
        **options: Any,
    ) -> int:
        """Adds an operation of the layer at hand; returns its value. Arrays may be None."""
        kept = {}
        for name, each in (arrays or {}).items():
            if each is None:
                continue
            with np.errstate(over="ignore"):  # told below
                kept[name] = np.ascontiguousarray(each, self.dtype)
            if not np.isfinite(kept[name]).all():
                raise ValueError(
                    f"layer {self.layer!r} must have finite parameters to go to {self.target}"
                )
        where = (made.columns, made.members)
        self.operations.append(Operation(kind, self.layer, tuple(reads), *where, kept, options))
        self.shapes.append(Shape(made.width, made.members))
        return len(self.shapes) - 1

    def array(self, name: str) -> Array:
        """What the layer keeps under a name."""
        return self.state[f"{self._key}.{name}"]

    def optional(self, name: str) -> Array | None:
        """The same, or None."""
        return self.state.get(f"{self._key}.{name}")

    def flat(self, value: int) -> int:
        """The value, whose groups are columns of one from here on."""
        self.shapes[value] = Shape(self.shapes[value].columns)
        return value

    def activated(self, x: int, activation: Activation) -> int:
        """f(x); x itself where f is the identity."""
        if isinstance(activation, Identity):
            return x
        return self.add("activated", [x], self.shapes[x], activation=activation)

    def activation(self, x: int, options: Mapping[str, Any]) -> int:
        """f(x) of a layer's options."""
        made: type[Activation] = Activation.named()[options["activation"]]
        return self.activated(x, made(*options["activation_parameters"]))


def program_of(
    model: Network | Ensemble,
    target: str,
    probabilities: bool | str | Collection[str] = False,
    task: Task | None = None,
) -> Program:
    """The operations of a network at inference, as `Network.predict` has it, or of several as one.

    Args:
        model: A network, or an ensemble of several.
        target: What errors call where it goes.
        probabilities: Whether outputs become probabilities, as `Network.predict_proba` has them; of
            several heads the names of those that do.
        task: As in `Network.predict_proba`.

    Raises:
        TypeError: probabilities is of another type.
        ValueError: A layer is not known, a parameter is not finite, there is no such head, or the
            outputs of one cannot be probabilities.
    """
    networks: tuple[Network, ...] = (model,) if isinstance(model, Network) else model.networks
    average = "auto" if isinstance(model, Network) else model.average
    if average == "probabilities" and isinstance(probabilities, bool):
        probabilities = True
    shares = [_shares(each, probabilities, task) for each in networks]
    if isinstance(model, Ensemble):
        for head in shares[0]:
            model._meanings(head, task)  # whether all mean one thing
    low = Lowering(networks[0], target)
    found: list[dict[str | None, int]] = []
    for index, (network, own) in enumerate(zip(networks, shares, strict=True)):
        low.begin(network, f"{index}." if len(networks) > 1 else "")
        found.append(_outputs(low, network, {} if average == "outputs" else own))
    heads = found[0]
    if isinstance(model, Ensemble):
        low.layer = "mean"
        heads = {
            head: _weighted(low, [each[head] for each in found], model.weights) for head in heads
        }
        if average == "outputs":
            heads = {
                head: _shared(low, value, shares[0].get(head)) for head, value in heads.items()
            }
    outputs = tuple(heads.items())
    return Program(networks[0].inputs, low.dtype.name, tuple(low.operations), outputs)


def _outputs(
    low: Lowering, network: Network, shares: Mapping[str | None, Activation]
) -> dict[str | None, int]:
    """Adds the operations of a network; returns the value of each head."""
    from gdcore.export._lowered import KINDS

    graph = network._wiring.graph()
    values = list(range(len(network.inputs)))
    for spec, shown in zip(graph.specs, graph.shown, strict=True):
        if spec.name == JOINED and len(graph.heads) > 1:
            continue  # what puts them side by side
        make = KINDS.get(spec.kind)
        if make is None:
            kind = shown.name if isinstance(shown, Activation) else shown.kind
            raise cannot(low.target, spec.name, str(kind), "this kind of layer has no equal there")
        low.name(spec.name)
        values.append(make(low, spec, [values[index] for index in spec.inputs]))
    outputs: dict[str | None, int] = {}
    for name, node in graph.heads:
        value = _shared(low, values[node], shares.get(name or None))
        width, members, _ = low.shapes[value]
        if members > 1:
            value = low.add("mean", [value], Shape(width), members=members)
        outputs[name or None] = value
    return outputs


def _shared(low: Lowering, value: int, activation: Activation | None) -> int:
    return value if activation is None else low.activated(value, activation)


def _weighted(low: Lowering, values: Sequence[int], weights: Sequence[float]) -> int:
    """The mean of values of one width."""
    made = low.shapes[values[0]]
    scaled = []
    for value, weight in zip(values, weights, strict=True):
        times = np.full(made.columns, weight / sum(weights))
        scaled.append(low.add("scaled", [value], made, {"times": times}))
    return low.add("sum", scaled, made)


def _shares(
    network: Network, probabilities: object, task: Task | None
) -> dict[str | None, Activation]:
    """Of each head that is to tell probabilities, what makes them of what it has."""
    if isinstance(probabilities, str):
        probabilities = [probabilities]
    heads: list[Any] = list(network.heads) or [None]
    if isinstance(probabilities, (bool, np.bool_)):
        chosen: list[Any] = heads if probabilities else []
    elif isinstance(probabilities, (list, tuple, set, frozenset)):
        chosen = list(probabilities)
        for name in chosen:
            if name not in network.heads:
                raise ValueError(
                    "probabilities must be of outputs that there are, "
                    f"{', '.join(network.heads) or 'which have no names'}, got {name!r}"
                )
    else:
        raise TypeError(
            f"probabilities must be a bool, or names of outputs, got {type(probabilities).__name__}"
        )
    if not chosen and task is not None:
        raise ValueError(f"task must be None without probabilities, got {task!r}")
    made: dict[str | None, Activation] = {}
    for head in chosen:
        outputs = _classes.Outputs.of(network, head, task)
        if outputs.last.name not in ("sigmoid", "softmax"):
            made[head] = Softmax() if outputs.task == "multiclass" else Sigmoid()
    return made
