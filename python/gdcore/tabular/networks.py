"""Networks over what a preparation makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gdcore._layer import Layer
from gdcore._node import Input, Node
from gdcore.activations import Activation
from gdcore.layers import Concat, Dense, Embedding
from gdcore.network import Network
from gdcore.tabular.fitted import CODES, NUMBERS, Fitted

__all__ = ["SIZE", "network_over"]

SIZE = 8  # numbers in a vector
# More categories than that, and steps that update them all take many times as long as those that do
# not. Of fewer they are worth it: after as many epochs held-out rows are predicted better.
ALL_UPDATED = 100_000


def network_over(
    preparation: Fitted,
    hidden: Sequence[Layer | Activation],
    outputs: int,
    size: int,
    first: Layer | None = None,
    **options: Any,
) -> Network:
    """A network of hidden layers over what a preparation makes.

    Args:
        preparation: Of the columns.
        hidden: Layers in a row.
        outputs: How many.
        size: Numbers in the vector of a category, where columns are embedded.
        first: What the inputs that are numbers go through before all else.
        options: Dtype and seed.
    """
    layers = [*hidden, Dense(outputs)]
    if not preparation.embedded:
        layers = layers if first is None else [first, *layers]
        return Network(layers, input_size=preparation.input_size, **options)
    categories = [each.size for each in preparation.embedded]
    codes = Input(categories=categories, name=CODES)
    # Beside numbers of deviation 1, vectors of length 1 learn faster than the longer of N(0, 1).
    embedding = Embedding(size, sum(categories) > ALL_UPDATED, weight_init="lecun_normal")
    if not preparation.input_size:
        return Network([embedding, *layers], inputs=codes, **options)
    numbers = Input(preparation.input_size, name=NUMBERS)
    node: Node = numbers if first is None else first(numbers)
    node = Concat()(node, embedding(codes))
    for layer in layers:
        node = layer(node)
    return Network(inputs=[numbers, codes], outputs=node, **options)
