"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import ClassVar

from gdcore._frozen import frozen
from gdcore._layer import Graph, Layer, LayerLike, Spec, checked_layers, layer_names
from gdcore.activations import Activation

__all__ = ["Residual"]


@frozen
class Residual(Layer):
    """Adds what layers make of their input to the input itself.

    y = x + f(x), x and y (N, width), f the layers in a row; with a shortcut g, y = g(x) + f(x).

    The keys in ``state_dict`` of the layers within are those of a nested ``Sequential`` of
    PyTorch: ``"2.0.weight"`` for the first layer of a Residual that is the network's third, and
    ``"2.shortcut.0.weight"`` in a shortcut.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.

    Args:
        layers: At least one layer; the last has as many outputs as x, or the shortcut, has columns.
        shortcut: Layers that x goes through; None: x itself.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: There is no layer, or two of them have one name.
    """

    kind: ClassVar[str] = "residual"

    layers: Sequence[LayerLike]
    shortcut: Sequence[LayerLike] | None = None
    _: KW_ONLY
    name: str | None = None

    def __post_init__(self) -> None:
        """Checks the description, and resolves names."""
        for which in ("layers", "shortcut"):
            if getattr(self, which) is not None:
                object.__setattr__(self, which, checked_layers(which, getattr(self, which)))
                self._row(which, "")
        super().__post_init__()

    def shown(self) -> str:
        """The layers within, in brackets."""
        row, _ = self._row("layers", "")
        told = (each.name if isinstance(each, Activation) else each.shown() for each in row)
        return f"residual({' -> '.join(told)})"

    def build(self, graph: Graph, name: str, node: int) -> int:
        """Adds the layers within, and the sum."""
        start = node
        if self.shortcut is not None:
            start = graph.extend(*self._row("shortcut", f"{name}.shortcut"), node)
        end = graph.extend(*self._row("layers", name), node)
        return graph.add(Spec("add", name, [start, end], {}), self)

    def _row(self, which: str, prefix: str) -> tuple[tuple[Layer | Activation, ...], list[str]]:
        row: tuple[Layer | Activation, ...] = getattr(self, which)
        return row, [f"{prefix}.{name}" for name in layer_names(which, row)]
