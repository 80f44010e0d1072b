"""Arrays by the name of an output: one matrix within, a dict outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gdcore._frames import real_array

__all__ = ["by_head", "joined", "split", "split_derivatives"]

V = TypeVar("V")


class Column(Protocol):
    """What of a `gdcore.Input` counts here."""

    @property
    def name(self) -> str | None: ...
    @property
    def size(self) -> int: ...
    @property
    def categories(self) -> tuple[int, ...] | None: ...
    @property
    def sparse(self) -> bool: ...


def by_head(
    argument: str, given: object, heads: Iterable[str], *, default: V | None = None
) -> dict[str, Any]:
    """A mapping that has something for each head and for nothing else, in their order.

    Args:
        argument: Its name in messages.
        given: The mapping.
        heads: Names of the outputs.
        default: What stands for one that is missing; None: none may be.

    Raises:
        TypeError: It is no mapping.
        ValueError: A head is missing, or it has something that is no head.
    """
    names = list(heads)
    known = ", ".join(map(repr, names))
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{argument} must be a dict with what belongs to each output ({known}), got "
            f"{type(given).__name__}"
        )
    for key in given:
        if key not in names:
            raise ValueError(f"{argument} has {key!r}, which is no output: there are {known}")
    for name in names:
        if name not in given and default is None:
            raise ValueError(f"{argument} lacks the output {name!r}")
    return {name: given.get(name, default) for name in names}


def split(output: NDArray[Any], heads: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """(N, all outputs) as an array of its own for each head."""
    found, begin = {}, 0
    for name, width in heads.items():
        found[name] = np.ascontiguousarray(output[:, begin : begin + width])
        begin += width
    return found


def joined(argument: str, given: object, heads: Mapping[str, int]) -> NDArray[Any]:
    """What `split` made of one matrix, put together again; errors name argument and head."""
    arrays: list[NDArray[Any]] = []
    for name, each in by_head(argument, given, heads).items():
        array = real_array(f"{argument}[{name!r}]", each)
        rows = len(arrays[0]) if arrays else None
        if array.ndim != 2 or array.shape[1] != heads[name] or rows not in (None, len(array)):
            wanted = "N" if rows is None else rows
            raise ValueError(
                f"{argument}[{name!r}] must have shape ({wanted}, {heads[name]}), got {array.shape}"
            )
        arrays.append(array)
    return np.concatenate(arrays, axis=1)


def split_derivatives(
    found: NDArray[Any], inputs: Sequence[Column], heads: Mapping[str, int]
) -> Any:
    """(N, all outputs, all inputs) by head, where there are some, and by input where it is a dict.

    What is of one input of real numbers is an array; of several a dict, without those of codes and
    of sparse rows.
    """
    if heads:
        begin, each = 0, {}
        for name, width in heads.items():
            each[name] = split_derivatives(found[:, begin : begin + width], inputs, {})
            begin += width
        return each
    if len(inputs) == 1 and not inputs[0].categories and not inputs[0].sparse:
        return np.ascontiguousarray(found)
    begin, by_input = 0, {}
    for node in inputs:
        width = 1 if node.sparse else node.size  # of sparse rows there is one column, without sense
        if not node.categories and not node.sparse:
            by_input[node.name] = np.ascontiguousarray(found[:, :, begin : begin + width])
        begin += width
    return by_input
