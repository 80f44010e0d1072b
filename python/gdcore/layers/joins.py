"""Layers that make one value of several, and the inputs that a graph of layers begins with."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import ClassVar

from gdcore._frozen import frozen
from gdcore._layer import Layer
from gdcore._node import Input, Node

__all__ = ["Add", "Concat", "Input", "Node"]


@frozen
class Add(Layer):
    """Adds values of one width, element by element.

    y = x_0 + x_1 + ..., in this order, all (N, width). It is called on nodes:

    >>> h = gdcore.Add()(a, b)

    Args:
        name: As in `Dense`.

    Raises:
        TypeError: name is no string.
        ValueError: name is out of its domain.
    """

    kind: ClassVar[str] = "add"
    reads: ClassVar[int | None] = None

    _: KW_ONLY
    name: str | None = None


@frozen
class Concat(Layer):
    """Puts values side by side.

    y = (x_0, x_1, ...), x_i (N, width_i), y (N, sum of all widths). It is called on nodes:

    >>> h = gdcore.Concat()(a, b)

    Args:
        name: As in `Dense`.

    Raises:
        TypeError: name is no string.
        ValueError: name is out of its domain.
    """

    kind: ClassVar[str] = "concat"
    reads: ClassVar[int | None] = None

    _: KW_ONLY
    name: str | None = None
