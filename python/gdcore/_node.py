"""Nodes: what a network is given, and what layers make of it, before there is a network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, NoReturn

from gdcore._check import flag, integer, listed

__all__ = ["Input", "Node", "checked_name", "made_by"]

_number = count()


class Node:
    """A value in a network: an `Input`, or what a layer makes of other nodes.

    Calling a layer, or an activation, on nodes makes one. A node is made of nodes that are there
    already, so that there is no way to a cycle; it never changes, and equals itself alone. It holds
    no numbers: `gdcore.Network` makes a network of nodes.

    >>> x = gdcore.Input(8)
    >>> h = gdcore.Dense(32, "relu")(x)
    >>> net = gdcore.Network(inputs=x, outputs=gdcore.Dense(1)(h))
    """

    __slots__ = ("_layer", "_number", "_reads")

    _layer: Any
    _number: int
    _reads: tuple[Node, ...]

    def __init__(self) -> None:
        """Refused: layers make nodes."""
        raise TypeError("a Node is made by calling a layer on nodes: Dense(8)(x)")

    @property
    def layer(self) -> Any:
        """The layer or activation that makes it; None of an `Input`."""
        return self._layer

    @property
    def reads(self) -> tuple[Node, ...]:
        """The nodes that the layer reads."""
        return self._reads

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refused: nodes never change."""
        raise AttributeError(f"cannot assign to {name!r} of a node")

    def __delattr__(self, name: str) -> NoReturn:
        """Refused: nodes never change."""
        raise AttributeError(f"cannot delete {name!r} of a node")

    def __copy__(self) -> Node:
        """Itself."""
        return self

    def __deepcopy__(self, memo: object) -> Node:
        """Itself."""
        return self

    def __reduce__(self) -> Any:
        """Refused but for inputs: networks are pickled, not what they are made of."""
        raise TypeError("a Node cannot be pickled: pickle the network that is made of it")

    def __repr__(self) -> str:
        return f"<Node {self._layer!r}>"


class Input(Node):
    """What a network is given: columns of real numbers, or of codes.

    Codes stand for categories: whole numbers from 0 on, of any integer dtype, or of a float dtype
    that holds them exactly. A layer that reads codes, as `gdcore.Embedding`, makes numbers of them;
    no other layer takes them. Within the network they are kept as numbers of its dtype, so that
    float32 allows 2^24 categories a column.

    Sparse rows are those of a CSR array of SciPy's, or of anything with its ``format``,
    ``indptr``, ``indices``, ``data`` and ``shape``: a `gdcore.Dense` that reads them takes as long
    as they have elements, and no dense copy is ever made. Dense arrays are taken too, without their
    zeros.

    Args:
        size: Number of columns of real numbers, at least 1.
        categories: In place of size, for codes: how many each column has, each at least 1.
        sparse: Whether rows of numbers are taken, and read, without their zeros. At most 2^31 - 1
            columns.
        name: What calls it where data go in; needed where a network has several inputs.

    Raises:
        TypeError: An argument is of the wrong type, or neither or both of size and categories are
            given.
        ValueError: An argument is out of its domain.
    """

    __slots__ = ("_categories", "_name", "_size", "_sparse")

    _categories: tuple[int, ...] | None
    _name: str | None
    _size: int
    _sparse: bool

    def __init__(
        self,
        size: int | None = None,
        *,
        categories: Sequence[int] | None = None,
        sparse: bool = False,
        name: str | None = None,
    ) -> None:
        if (size is None) == (categories is None):
            raise TypeError(
                "an Input takes either size, for real numbers, or categories, for codes, got "
                f"{'neither' if size is None else 'both'}"
            )
        codes = None
        if categories is not None:
            given = listed("categories", categories, "integers, one for each column")
            if not given:
                raise ValueError("categories must have an integer for each column, got none")
            codes = tuple(integer(f"categories[{i}]", each) for i, each in enumerate(given))
        if flag("sparse", sparse) and codes is not None:
            raise ValueError("sparse is for rows of numbers, and categories are codes")
        if name is not None:
            checked_name("name", name)
        parts = {
            "_layer": None,
            "_reads": (),
            "_number": next(_number),
            "_size": integer("size", size) if codes is None else len(codes),
            "_categories": codes,
            "_sparse": bool(sparse),
            "_name": name,
        }
        for key, value in parts.items():
            object.__setattr__(self, key, value)

    @property
    def size(self) -> int:
        """Number of columns."""
        return self._size

    @property
    def categories(self) -> tuple[int, ...] | None:
        """Of each column how many codes it has; None of real numbers."""
        return self._categories

    @property
    def sparse(self) -> bool:
        """Whether its rows are read without their zeros."""
        return self._sparse

    @property
    def name(self) -> str | None:
        """What calls it where data go in, or None."""
        return self._name

    def described(self) -> tuple[str, int, list[int], bool]:
        """As C++ takes it."""
        return self._name or "", self._size, list(self._categories or ()), self._sparse

    def __reduce__(self) -> Any:
        """Makes another of the same description."""
        size = None if self._categories else self._size
        arguments = (size, self._categories, self._name, self._sparse)
        return _input_of, arguments

    def __repr__(self) -> str:
        first = f"categories={self._categories!r}" if self._categories else f"{self._size}"
        first += ", sparse=True" if self._sparse else ""
        return f"Input({first}" + (f", name={self._name!r})" if self._name is not None else ")")


def _input_of(
    size: int | None, categories: tuple[int, ...] | None, name: str | None, sparse: bool = False
) -> Input:
    return Input(size, categories=categories, sparse=sparse, name=name)


def made_by(layer: Any, nodes: tuple[Any, ...], reads: int | None) -> Node:
    """The node that a layer makes of nodes; ``reads`` is how many it takes, None any number.

    Raises:
        TypeError: What it is called on is no node, or there are too many or too few.
    """
    kind = type(layer).__name__
    for node in nodes:
        if isinstance(node, Node):
            continue
        got = type(node).__name__
        if isinstance(node, (list, tuple)):
            hint = f": write {kind}(...)(a, b), without brackets"
        elif hasattr(node, "__array__"):
            hint = ": a layer describes, and computes nothing; Network.predict does"
        else:
            hint = ""
        raise TypeError(f"{kind} is called on nodes, as Input(8), got {got}{hint}")
    if reads is not None and len(nodes) != reads:
        joined = ": Concat() or Add() makes one of them" if len(nodes) > 1 else ""
        raise TypeError(f"{kind} reads {_values(reads)}, got {len(nodes)}{joined}")
    if not nodes:
        raise TypeError(f"{kind} reads at least one value, got none")
    made: Node = object.__new__(Node)
    for key, value in (("_layer", layer), ("_reads", nodes), ("_number", next(_number))):
        object.__setattr__(made, key, value)
    return made


def _values(count: int) -> str:
    return "one value" if count == 1 else f"{count} values"


def checked_name(argument: str, name: object) -> str:
    """A name of an input or an output: text, not empty.

    Raises:
        TypeError: It is no string.
        ValueError: It is empty, or UTF-8 cannot hold it.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a string, got {type(name).__name__}")
    if not name:
        raise ValueError(f"{argument} must not be empty")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{argument} must be text that UTF-8 can hold, got {name!r}") from None
    return name
