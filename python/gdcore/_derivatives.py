"""What `Trainer.fit` is given to train on derivatives beside values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdcore._check import real
from gdcore._frames import array, feature_names
from gdcore.losses import LossFunction

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["FIGURES", "Derivatives"]

# Of the history, beside the loss.
FIGURES: dict[str, bool | None] = {"value_loss": False, "derivative_loss": False}

_ALONE = 1.0  # derivative_weight where none is given
_OF_ONE = (int, float, np.integer, np.floating)


class Derivatives:
    """The derivatives of the targets by the inputs, and what those by each input count."""

    def __init__(self, dy: Any, weight: Any, trainer: Trainer) -> None:
        """Checks what it can without x and y."""
        if isinstance(trainer.loss, LossFunction):
            raise ValueError("dy needs a loss of gdcore, got a Python function")
        self.weights = _weights(weight, trainer.network.input_size)
        self._dy = array(dy, "dy")

    @classmethod
    def given(cls, dy: Any, weight: Any, trainer: Trainer, x: Any) -> Derivatives | None:
        """The arguments of `fit`, checked; None without dy.

        Where x is a table whose columns stand in another order than the network reads them, so
        does the last axis of dy.
        """
        if dy is None:
            if isinstance(weight, _OF_ONE) and weight == _ALONE:
                return None
            raise ValueError(f"derivative_weight goes with dy, got {weight!r} without")
        made = cls(dy, weight, trainer)
        names, expected = feature_names(x), trainer.network.feature_names
        if names is not None and expected is not None and sorted(names) == sorted(expected):
            made._reorder([names.index(name) for name in expected])
        return made

    def beside(self, trainer: Trainer, data: Any, held_out: Any) -> Any:
        """The data with derivatives; `held_out`: arrays of the last rows, cut off, or None."""
        dy = self._dy
        samples = data.samples + (0 if held_out is None else len(held_out[0]))
        if dy.ndim and len(dy) == samples:
            dy = dy[: data.samples]
        native: Any = trainer._native
        return native.with_derivatives(data, dy)

    def _reorder(self, order: list[int]) -> None:
        if self._dy.ndim and self._dy.shape[-1] == len(order):
            self._dy = self._dy[..., order]


def _weights(given: Any, inputs: int) -> list[float]:
    name = "derivative_weight"
    if isinstance(given, _OF_ONE):
        return [real(name, given, at_least=0)] * inputs
    if isinstance(given, (str, bytes)) or not isinstance(given, (Sequence, np.ndarray)):
        raise TypeError(
            f"{name} must be a number or a sequence of one an input, got {type(given).__name__}"
        )
    if np.ndim(given) != 1 or len(given) != inputs:
        raise ValueError(f"{name} must be one number or {inputs}, one an input, got {given!r}")
    return [real(f"{name}[{i}]", each, at_least=0) for i, each in enumerate(given)]
