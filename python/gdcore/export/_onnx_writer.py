"""What the nodes of an ONNX graph are collected in."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Writer"]


class Writer:
    """Nodes and constants under names that are new each."""

    def __init__(self, onnx: Any, dtype: str, taken: set[str]) -> None:
        """For numbers of a dtype; the names in taken are those of inputs and outputs."""
        self.onnx = onnx
        self.dtype = np.dtype(dtype)
        self.wide = dtype == "float64"
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.layer = ""
        self._taken = taken
        self._known: dict[Any, str] = {}

    def name(self, wanted: str) -> str:
        """That, or with a number behind."""
        found, count = wanted, 1
        while found in self._taken:
            found, count = f"{wanted}_{count}", count + 1
        self._taken.add(found)
        return found

    def node(self, kind: str, *reads: str, **attributes: Any) -> str:
        """Adds a node of the layer at hand with one output, whose name it returns."""
        made = self.name(f"{self.layer}/{kind}")
        self.nodes.append(self.onnx.helper.make_node(kind, reads, [made], made, **attributes))
        return made

    def array(self, name: str, values: Any) -> str:
        """Adds an array, whose name it returns."""
        made = self.name(f"{self.layer}.{name}")
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(values), made))
        return made

    def number(self, value: float) -> str:
        """A number of the dtype; the same one again where it was there before."""
        if value not in self._known:
            made = self.name(f"constant {value:g}")
            array = np.asarray(value, self.dtype)
            self.constants.append(self.onnx.numpy_helper.from_array(array, made))
            self._known[value] = made
        return self._known[value]

    def integers(self, *values: int) -> str:
        """The same for a row of integers."""
        if values not in self._known:
            made = self.name(f"integers {' '.join(map(str, values))}")
            array = np.asarray(values, np.int64)
            self.constants.append(self.onnx.numpy_helper.from_array(array, made))
            self._known[values] = made
        return self._known[values]

    def parted(self, x: str, groups: int) -> str:
        """(N, groups, columns of each) of (N, columns)."""
        return self.node("Reshape", x, self.integers(0, groups, -1))

    def flat(self, x: str, columns: int) -> str:
        """(N, columns) of any shape of as many numbers a row."""
        return self.node("Reshape", x, self.integers(-1, columns))
