"""After a training: whether inputs stand far out, or units of a layer have stopped to learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import Concat, Dense, Embedding, Input, Network
from gdcore._layer import Layer
from gdcore._node import Node
from gdcore.activations import Activation
from gdcore.tabular.fitted import NUMBERS, Fitted, Prepared, taken
from gdcore.tabular.inputs import EmbeddedColumn, NumericColumn

__all__ = ["of"]

ROWS = 1000  # that are looked at
FAR = 30.0  # deviations from the mean
NEAR = 0.2  # between the quartiles, where a few numbers make the deviation
MANY = 1 / 3  # of the units of a layer
MOSTLY = 0.95  # of the rows in which a unit must be at an end
# Beyond these a unit has next to no slope.
_ENDS = {"relu": (0.0, np.inf), "tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}


def of(net: Network, preparation: Fitted, x: Prepared) -> list[str]:
    """Sentences on what a network and the rows it was trained on show, none where all is well.

    Args:
        net: As the command line makes them, of layers in a row behind the inputs.
        preparation: Of the rows.
        x: The rows.
    """
    rows = slice(ROWS)
    return [*_of_inputs(preparation, x), *_of_layers(net, taken(x, rows))]


def _of_inputs(preparation: Fitted, x: Prepared) -> Iterator[str]:
    numbers = x.get(NUMBERS) if isinstance(x, dict) else x
    at = 0
    for column in preparation.columns:
        if isinstance(column, EmbeddedColumn) or numbers is None:
            continue
        own = numbers[:, at]
        at += column.width
        if not isinstance(column, NumericColumn):
            continue
        far = float(np.abs(own).max())
        # A column that is 0 but for a few rows has such numbers, and nothing is wrong with it.
        first, third = np.quantile(own, [0.25, 0.75])
        if far > FAR and 0 < third - first < NEAR:
            yield (
                f"column {column.name!r} has a number {far:,.0f} deviations from its mean, beside "
                "which all others look alike: correct it, or give the logarithm of the column"
            )
            return  # one is enough to look at the table


def _of_layers(net: Network, x: Prepared) -> Iterator[str]:
    hidden = 0
    for place, layer in enumerate(net.layers[:-1]):
        hidden += isinstance(layer, Dense)
        activation = layer.activation if isinstance(layer, Dense) else layer
        ends = _ENDS.get(activation.name) if isinstance(activation, Activation) else None
        if ends is None:
            continue
        assert isinstance(activation, Activation)
        share = float(_at_an_end(_upto(net, place).predict(x), ends, activation.name).mean())
        if share > MANY:
            what = "dead: they give 0 for all rows" if activation.name == "relu" else "saturated"
            other = "leaky_relu" if activation.name == "relu" else "relu"
            yield (
                f"{share:.0%} of the {activation.name} units in hidden layer {hidden} are {what}, "
                f"and learn no more: give a smaller --lr, --norm layer or --activation {other}"
            )


def _at_an_end(made: NDArray[Any], ends: tuple[float, float], name: str) -> NDArray[Any]:
    low, high = ends
    over = ((made <= low) | (made >= high)).mean(axis=0)
    found: NDArray[Any] = over == 1 if name == "relu" else over >= MOSTLY
    return found


def _upto(net: Network, last: int) -> Network:
    """The same network as far as a layer, the outputs of which are its own."""
    layers = net.layers[: last + 1]
    made: Network
    if not any(isinstance(each, Embedding) for each in layers):
        made = Network(list(layers), input_size=net.input_size, dtype=net.dtype)
    else:
        inputs = [
            Input(categories=each.categories, name=each.name)
            if each.categories
            else Input(each.size, name=each.name)
            for each in net.inputs
        ]
        made = Network(inputs=inputs, outputs=_joined(inputs, layers), dtype=net.dtype)
    state = net.state_dict()
    made.load_state_dict({key: state[key] for key in made.state_dict()})
    return made


def _joined(inputs: list[Input], layers: tuple[Layer | Activation, ...]) -> Node:
    codes = next(each for each in inputs if each.categories)
    numbers = [each for each in inputs if not each.categories]
    node: Node | None = None
    for layer in layers:
        if isinstance(layer, Embedding):
            node = layer(codes)
        elif isinstance(layer, Concat):
            assert node is not None
            node = layer(*numbers, node)
        else:
            assert node is not None
            node = layer(node)
    assert node is not None
    return node
