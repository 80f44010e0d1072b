"""Losses: what training makes small.

Everywhere a loss is expected, its name does as well: ``"huber"`` is ``Huber()``. Names and defaults
are PyTorch's. The loss l_i of sample i is the mean over its K outputs where PyTorch takes the mean
over all elements; the loss of a batch is

    L = sum_i w_i l_i / sum_i w_i,    w_i = 1 without sample weights,

which then is PyTorch's ``reduction="mean"``. p stands for outputs, y for targets. Targets of shape
(N, K) may be (N,) for a network with one output.

What the last layer may be depends on the loss. ``"bce_with_logits"`` and ``"cross_entropy"`` take
logits, which may be any number: a last layer that bounds them is an error or a warning of
`gdcore.Trainer`.
"""

from __future__ import annotations

from typing import ClassVar

from gdcore._check import real_field
from gdcore._formula import Formula, formula
from gdcore.typing import Task

__all__ = ["MAE", "MSE", "BCEWithLogits", "CrossEntropy", "Huber", "Loss"]


def __dir__() -> list[str]:
    return __all__


class Loss(Formula, family="a loss"):
    """Base of all losses; see `gdcore.Trainer`.

    Attributes:
        task: What the outputs mean, as metrics want to know it: ``"regression"``, numbers;
            ``"binary"``, each output the logit of a label of its own; ``"multiclass"``, the logits
            of one class of K; None, not told.
    """

    task: ClassVar[Task | None] = None


@formula
class MSE(Loss):
    """Mean squared error, l = 1/K sum_k (p_k - y_k)^2. Targets: (N, K).

    There is no factor 1/2: the gradient at an output is 2/K (p_k - y_k).
    """

    name: ClassVar[str] = "mse"
    task: ClassVar[Task | None] = "regression"


@formula
class MAE(Loss):
    """Mean absolute error, l = 1/K sum_k |p_k - y_k|. Targets: (N, K). PyTorch's L1Loss."""

    name: ClassVar[str] = "mae"
    task: ClassVar[Task | None] = "regression"


@formula
class Huber(Loss):
    """Squared near zero, linear far out. Targets: (N, K).

    l = 1/K sum_k h(p_k - y_k), h(d) = d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2).

    Source: Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 1964.

    Args:
        delta: Where squared turns linear; above 0.
    """

    name: ClassVar[str] = "huber"
    task: ClassVar[Task | None] = "regression"
    delta: float = real_field(1.0, above=0)


@formula
class BCEWithLogits(Loss):
    """Binary cross entropy of logits. Targets: (N, K) within [0, 1].

    l = -1/K sum_k (y_k log s(p_k) + (1 - y_k) log(1 - s(p_k))), s the logistic function, computed
    as max(p, 0) - p y + log(1 + exp(-|p|)), which neither overflows nor loses digits. The last
    layer is linear, without sigmoid; s(p) are the probabilities.
    """

    name: ClassVar[str] = "bce_with_logits"
    task: ClassVar[Task | None] = "binary"


@formula
class CrossEntropy(Loss):
    """Cross entropy over K classes, of logits. Targets: class indices (N,) or probabilities (N, K).

    K is at least 2: for two classes take two outputs, or one and `BCEWithLogits`. The probabilities
    of a row add up to 1, within 1/256: rounding to float16 or bfloat16 makes no more of a
    difference.

    l = -sum_k q_k log softmax(p)_k with q the target distribution, one-hot for a class index,
    smoothed to (1 - label_smoothing) q_k + label_smoothing / K. The last layer is linear, or has
    the activation ``"softmax"``: then training works on its logits inside, and ``predict`` gives
    probabilities.

    Source of the smoothing: Szegedy et al., "Rethinking the Inception architecture for computer
    vision", arXiv:1512.00567.

    Args:
        label_smoothing: Share of the uniform distribution in the targets, within [0, 1].
    """

    name: ClassVar[str] = "cross_entropy"
    task: ClassVar[Task | None] = "multiclass"
    label_smoothing: float = real_field(0.0, at_least=0, at_most=1)
