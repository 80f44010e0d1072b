"""Layers that read codes of categories."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any, ClassVar

import gdcore.initializers as initializers
from gdcore._check import flag_field, integer, listed
from gdcore._frozen import frozen
from gdcore._layer import Layer
from gdcore.typing import InitializerName

__all__ = ["Embedding"]


@frozen
class Embedding(Layer):
    """Puts a learnt row of numbers in place of each code, a table for each column.

    y = [W_0[c_0], W_1[c_1], ...], c (N, columns) of codes from 0 on, W_k (categories of column k,
    size), y (N, columns * size). It reads an input of codes, ``gdcore.Input(categories=...)``. The
    tables stand in ``state_dict`` as ``"<layer>.0.weight"``, ``"<layer>.1.weight"``, ..., as those
    of a ``ModuleList`` of PyTorch's ``Embedding`` do.

    The gradient at a row is the sum of what the rows of the batch with its code give, in their
    order, and 0 at a row that no code names. With ``sparse=False`` the update rule sees those zeros
    too, as it does in PyTorch: momentum and weight decay go on moving every row at each step, which
    takes as long as the tables are large. With ``sparse=True`` a step touches the rows that its
    batch names, and no others: weights and states of the rest stay as they are, as in PyTorch's
    ``SparseAdam``, and a step takes as long as its batch is large. The number of the step, as in
    Adam's corrections, is that of the trainer for all rows.

    Args:
        size: Numbers in a row, at least 1; a sequence: one for each column.
        sparse: Whether rules leave the rows alone that a batch does not name.
        weight_init: How the tables start, a name from `gdcore.initializers`, for n = size inputs
            and m = categories outputs. The default ``"pytorch"`` is that of PyTorch's ``Embedding``
            here, the same as ``"normal"``.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain or names nothing that there is.
    """

    kind: ClassVar[str] = "embedding"

    size: int | tuple[int, ...]
    sparse: bool = flag_field(False)
    _: KW_ONLY
    weight_init: InitializerName = "pytorch"
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description."""
        object.__setattr__(self, "size", _size(self.size))
        found = initializers.resolve("weight_init", self.weight_init)
        object.__setattr__(self, "weight_init", found)
        super().__post_init__()

    def shown(self) -> str:
        """The sizes."""
        return f"embedding {self.size}"


def _size(size: Any) -> int | tuple[int, ...]:
    if not isinstance(size, (list, tuple)):
        return integer("size", size)
    sizes = enumerate(listed("size", size, "integers"))
    found = tuple(integer(f"size[{k}]", each) for k, each in sizes)
    if not found:
        raise ValueError("size must be an integer or hold one for each column, got none")
    return found
