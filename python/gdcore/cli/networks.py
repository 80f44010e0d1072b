"""The network that the options of a command describe, for columns that are prepared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gdcore import Concat, Dense, Embedding, Input, Network
from gdcore._check import integer
from gdcore._layer import Layer
from gdcore._node import Node
from gdcore.activations import Activation
from gdcore.cli.preparation import CODES, NUMBERS, Preparation

__all__ = ["Embedded", "made", "vector_size"]

SIZE = 8  # numbers in a vector
# More categories than that, and steps that update them all take many times as long as those that do
# not. Of fewer they are worth it: after as many epochs held-out rows are predicted better.
ALL_UPDATED = 100_000


@dataclass(frozen=True)
class Embedded:
    """What the user says about columns of many categories.

    Args:
        above: Columns of more categories get a vector for each of them; None: no column.
        size: Numbers in a vector.
    """

    above: int | None = None
    size: int = SIZE

    @classmethod
    def of(cls, embed: int | None, embed_size: int | None) -> Embedded:
        """What the options say.

        Raises:
            TypeError: One is no integer.
            ValueError: One is below 1, or there is a size of nothing.
        """
        size = SIZE if embed_size is None else integer("--embed-size", embed_size)
        if embed is not None:
            return cls(integer("--embed", embed), size)
        if embed_size is not None:
            raise ValueError(
                f"--embed-size is for columns that --embed embeds, got {embed_size} without it"
            )
        return cls()


def made(
    preparation: Preparation,
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
    categories = [len(each.categories) for each in preparation.embedded]
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


def vector_size(net: Network) -> int | tuple[int, ...]:
    """Numbers in the vector of a category; 0 where no column is embedded."""
    sizes = [each.size for each in net.layers if isinstance(each, Embedding)]
    return sizes[0] if sizes else 0
