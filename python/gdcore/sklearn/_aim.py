"""What an estimator trains for: a loss of gdcore, and what scikit-learn's is beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from gdcore.losses import (
    MSE,
    BCEWithLogits,
    CrossEntropy,
    Hinge,
    Loss,
    LossFunction,
    PoissonNLL,
    SquaredHinge,
    resolve_loss,
)

__all__ = ["PLAIN_LOSSES", "Aim"]

PLAIN_LOSSES = ("log_loss", "squared_error", "poisson")  # scikit-learn's own


@dataclass(frozen=True)
class Aim:
    """A loss, with targets in the form that it takes.

    Attributes:
        loss: As a trainer takes it.
        y: The targets of all samples.
        gradient: scikit-learn's gradient by that of loss: it adds up outputs where a loss of ours
            takes their mean, and halves squares.
        told: scikit-learn's loss by ours.
        rest: (N,) what scikit-learn's loss has beside that and does not depend on the network; None
            where there is nothing.
    """

    loss: Loss
    y: NDArray[Any]
    gradient: float = 1.0
    told: float = 1.0
    rest: NDArray[Any] | None = None

    @classmethod
    def of(cls, given: Any, output: str, y: NDArray[Any], dtype: Any) -> Aim:
        """The aim of an estimator.

        Args:
            given: The parameter loss: a name of scikit-learn's, or a loss of ours.
            output: scikit-learn's out_activation_: ``"softmax"``, ``"logistic"``, ``"identity"`` or
                ``"exp"``.
            y: (N, outputs), as scikit-learn has it: of classes a column each, or one.
            dtype: The network's.

        Raises:
            TypeError: given is no loss.
            ValueError: There is no loss of that name.
        """
        outputs = y.shape[1]
        if isinstance(given, str) and given in PLAIN_LOSSES:
            if output == "softmax":
                return cls(CrossEntropy(), _indices(y))
            numbers = y.astype(dtype)
            if output == "logistic":
                return cls(BCEWithLogits(), numbers, outputs, outputs)
            if output == "exp":
                rest = (xlogy(y, y) - y).sum(axis=1)
                return cls(PoissonNLL(), numbers, outputs, outputs, rest)
            return cls(MSE(), numbers, outputs / 2, 0.5)
        loss = resolve_loss("loss", given)
        if isinstance(loss, LossFunction):
            return cls(loss, y.astype(dtype))
        if isinstance(loss, (Hinge, SquaredHinge)):
            return cls(loss, 2 * y.astype(dtype) - 1)
        classes = output == "softmax" and loss.task == "multiclass"
        return cls(loss, _indices(y) if classes else y.astype(dtype))

    def batch_loss(self, loss: float, rows: Any, weights: NDArray[Any] | None) -> float:
        """scikit-learn's loss of some rows, of ours."""
        found = loss * self.told
        if self.rest is not None:
            found += float(np.average(self.rest[rows], weights=weights))
        return found


def _indices(y: NDArray[Any]) -> NDArray[np.int64]:
    """Classes by number, of a column each."""
    found: NDArray[np.int64] = y.argmax(axis=1)
    return found
