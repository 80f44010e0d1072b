"""Layers that draw at random in training."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import ClassVar

from gdcore._check import real_field
from gdcore._frozen import frozen
from gdcore._layer import Layer

__all__ = ["Dropout"]


@frozen
class Dropout(Layer):
    """Leaves out elements at random, in training only.

    In training y = 0 with probability rate, else x / (1 - rate), x and y (N, width); elsewhere
    y = x. Training is `Trainer.step` and `Trainer.fit`, and ``forward(x, training=True)``: each
    call of that draws anew. Which elements a trainer leaves out follows from its seed, the number
    of its step, the layer and the row in the batch, whatever the threads: a run that goes on from a
    file draws what it would have drawn. `check_gradients` compares gradients without it.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15, 2014.

    Args:
        rate: Share of elements that are left out, in [0, 1), to the nearest 1/65536.
        name: As in `Dense`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """

    kind: ClassVar[str] = "dropout"

    rate: float = real_field(0.5, at_least=0, below=1)
    _: KW_ONLY
    name: str | None = None

    def shown(self) -> str:
        """With its rate."""
        return f"dropout {self.rate:g}"
