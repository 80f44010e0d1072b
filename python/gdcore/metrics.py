"""Metrics: what training is judged by, beside its loss.

Wherever metrics are expected, a name does as well: ``"auc"`` is ``AUC()``. Each metric is called
with targets and outputs, and computes in NumPy, in float64:

>>> gdcore.metrics.TopK(3)(y, net.predict(x))
0.93

p stands for the outputs, (N, K), y for the targets: (N, K), or for one output (N,) as well; for
classes labels from 0 to K - 1, (N,), or probabilities (N, K). That is as the losses take them; a
metric that is called on its own takes labels in (N, 1) too, which no loss does. w_i are the sample
weights, 1 without.

What the outputs mean is the ``task``. A trainer tells it, as the `Loss.task` of its loss; where a
metric is called on its own, the argument of that name may:

- ``"regression"``: numbers. MAE, RMSE and R2 judge them, and AUC where there is one output and all
  targets are 0 or 1.
- ``"binary"``: each of K outputs is the logit of a label of its own, a target within [0, 1]; a
  sample may have several labels. Accuracy and AUC judge them.
- ``"multiclass"``: the logits of K classes, at least 2, of which a sample has one. Accuracy, top k
  and, of two classes, AUC judge them, and the metrics of numbers the probabilities after softmax.

Anything else is an error. Without a task, metrics of numbers judge whatever comes, and for the
others one output is binary, labels are multiclass, and targets (N, K) are multiclass if they add up
to 1 in each row, else binary.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore._check import integer, listed
from gdcore._formula import Formula, formula
from gdcore._frames import real_array
from gdcore._metric_arrays import (
    Array,
    are_probabilities,
    area,
    classes_of,
    first_largest,
    numbers_of,
    ordered,
    positive_labels,
    task_of,
    weighted_mean,
    weights_of,
)
from gdcore.typing import Task

__all__ = ["AUC", "MAE", "R2", "RMSE", "Accuracy", "Metric", "TopK"]


def __dir__() -> list[str]:
    return __all__


TASKS: tuple[Task, ...] = ("multiclass", "binary", "regression")


class Metric(Formula, family="a metric"):
    """Base of all metrics; a metric of one's own sets ``name`` and says `value`.

    Where it has no parameters, a function f(y, output) or f(y, output, sample_weight) does as well.

    Attributes:
        higher_is_better: Whether a model is better where the metric is larger. None: not told.
    """

    higher_is_better: ClassVar[bool | None] = None

    @property
    def key(self) -> str:
        """What results and the history call it; with ``val_`` before it for validation data."""
        return self.name

    def __call__(
        self,
        y: ArrayLike,
        output: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        task: Task | None = None,
    ) -> float:
        """Computes the metric.

        Args:
            y: The targets, as the losses take them, finite.
            output: (N, K), what `Network.predict` gives.
            sample_weight: (N,), finite, at least 0, not all 0.
            task: What the outputs mean: ``"multiclass"``, ``"binary"`` or ``"regression"``, see
                `gdcore.metrics`. None tells it from y.

        Returns:
            The metric; NaN where outputs that are NaN decide it.

        Raises:
            TypeError: An array is complex, of objects or of strings, or labels are no integers.
            ValueError: An array is of another shape, empty, or holds labels or weights out of
                range, there is no such task, or the metric is not defined for such data.
        """
        if task is not None and task not in TASKS:
            raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
        outputs = real_array("output", output)
        if outputs.ndim != 2 or 0 in outputs.shape:
            raise ValueError(
                f"output must have shape (N, K) with at least one row, got {outputs.shape}"
            )
        targets = real_array("y", y)
        if not np.isfinite(targets).all():
            raise ValueError("y must be finite, got NaN or infinity")
        with np.errstate(over="ignore", invalid="ignore"):
            weights = weights_of(sample_weight, len(outputs))
            numbers = outputs.astype(np.float64)
            return float(self.value(self._targets(targets, numbers, task), numbers, weights))

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """The metric of arrays that are checked already; one weight a sample, 1 without weights.

        Args:
            y: In the shape of the output, or labels (N,). For accuracy, top k and AUC labels of
                integers, or bools in the shape of the output.
            output: (N, K).
            weights: (N,).
        """
        raise NotImplementedError(f"{type(self).__name__} must define value(y, output, weights)")

    def _targets(self, y: NDArray[Any], output: Array, task: Task | None) -> NDArray[Any]:
        """The targets as `value` takes them."""
        samples, outputs = output.shape
        if y.shape[:1] != (samples,):
            raise ValueError(f"y must have {samples} rows as output has, got shape {y.shape}")
        return y.reshape(output.shape) if outputs == 1 and y.shape == (samples,) else y


class _OfNumbers(Metric):
    """A metric of outputs that are numbers in the units of the targets."""

    def _targets(self, y: NDArray[Any], output: Array, task: Task | None) -> NDArray[Any]:
        targets = numbers_of(y, output)
        # After softmax they are.
        logits = task == "multiclass" and not are_probabilities(output[~np.isnan(output[:, 0])])
        if task == "binary" or logits:
            raise ValueError(
                f"the metric {self.key!r} judges numbers, got logits, which are not in the units "
                "of the targets"
            )
        return targets


class OfClasses(Metric):
    """A metric of outputs that are logits."""

    def _targets(self, y: NDArray[Any], output: Array, task: Task | None) -> NDArray[Any]:
        told = task_of(y, output) if task is None else task
        if told == "regression":
            raise ValueError(
                f"the metric {self.key!r} judges classes or labels, got a regression: its outputs "
                "are numbers"
            )
        return classes_of(y, output) if told == "multiclass" else positive_labels(y, output)


@formula
class Accuracy(OfClasses):
    """Share of right answers, sum_i w_i [sample i is right] / sum_i w_i.

    Of several outputs the largest must be the class: the label, or the largest of the target
    probabilities; of equal ones the first counts. Where outputs are labels of their own, as under
    ``"bce_with_logits"``, each is a logit: it must be above 0 where the target is above 1/2, and
    not above 0 where it is not, and sample i counts by its share of right outputs. That is the
    accuracy of `Trainer.evaluate`.

    Source: Metz, "Basic principles of ROC analysis", Seminars in Nuclear Medicine 8, 1978.
    """

    name: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool | None] = True

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        if y.ndim == 1:
            return weighted_mean(first_largest(output) == y, weights)
        return weighted_mean(((output > 0) == y).mean(axis=1), weights)


@formula
class TopK(OfClasses):
    """Share of samples whose class is among the k largest outputs.

    sum_i w_i [fewer than k outputs come before p_i,y_i] / sum_i w_i. A larger output comes before a
    smaller one, and of equal ones the first, so that ``TopK(1)`` is `Accuracy` for classes. Its key
    is ``"top5"`` for k = 5. ValueError where outputs are labels of their own or numbers.

    Source: Russakovsky et al., "ImageNet large scale visual recognition challenge",
    arXiv:1409.0575.

    Args:
        k: How many, from 1 to the number of outputs.
    """

    name: ClassVar[str] = "top_k"
    higher_is_better: ClassVar[bool | None] = True
    k: int = field(default=5, metadata={"check": integer})

    @property
    def key(self) -> str:
        """``"top5"`` for k = 5."""
        return f"top{self.k}"

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        classes = output.shape[1]
        if y.ndim != 1:
            raise ValueError(
                f"the metric {self.key!r} ranks the outputs of classes, one class a sample, got "
                "labels of their own: one output, or targets that do not add up to 1 in each row"
            )
        if self.k > classes:
            raise ValueError(f"k of TopK must be at most the {classes} outputs, got {self.k}")
        order = ordered(output)
        wanted = y[:, None]
        own = np.take_along_axis(order, wanted, axis=1)
        before = (order > own) | ((order == own) & (np.arange(classes) < wanted))
        return weighted_mean(before.sum(axis=1) < self.k, weights)


@formula
class MAE(_OfNumbers):
    """Mean absolute error, sum_i w_i (1/K sum_k |p_ik - y_ik|) / sum_i w_i, as the loss.

    Source: Willmott and Matsuura, "Advantages of the mean absolute error (MAE) over the root mean
    square error (RMSE)", Climate Research 30, 2005.
    """

    name: ClassVar[str] = "mae"
    higher_is_better: ClassVar[bool | None] = False

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        return weighted_mean(np.abs(output - y).mean(axis=1), weights)


@formula
class RMSE(_OfNumbers):
    """Root of the mean squared error, sqrt(sum_i w_i (1/K sum_k (p_ik - y_ik)^2) / sum_i w_i).

    It is the root of the loss ``"mse"``. Of several outputs, scikit-learn's
    ``root_mean_squared_error`` takes the mean of roots instead, one root for each output.

    Source: Willmott and Matsuura, as for `MAE`.
    """

    name: ClassVar[str] = "rmse"
    higher_is_better: ClassVar[bool | None] = False

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        return math.sqrt(weighted_mean(((output - y) ** 2).mean(axis=1), weights))


@formula
class R2(_OfNumbers):
    """Coefficient of determination, 1/K sum_k R2_k; 1 is perfect, 0 no better than the mean.

    R2_k = 1 - sum_i w_i (p_ik - y_ik)^2 / sum_i w_i (y_ik - m_k)^2, m_k the weighted mean of the
    targets of output k. Where these are all the same, R2_k is 1 if all outputs hit them and 0 if
    not; of a single sample it is NaN. That is scikit-learn's ``r2_score``.

    Source: Wright, "Correlation and causation", Journal of Agricultural Research 20, 1921.
    """

    name: ClassVar[str] = "r2"
    higher_is_better: ClassVar[bool | None] = True

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        if len(y) < 2:
            return math.nan
        column = weights[:, None]
        counted = y[weights > 0]
        same = counted.min(axis=0) == counted.max(axis=0)  # rounding would make the mean another
        mean = (column * y).sum(axis=0) / weights.sum()
        missed = (column * (output - y) ** 2).sum(axis=0)
        spread = np.where(same, 0.0, (column * (y - mean) ** 2).sum(axis=0))
        none = np.where(missed == 0, 1.0, np.where(np.isnan(missed), math.nan, 0.0))
        scores = np.where(spread == 0, none, 1 - missed / np.where(spread == 0, 1.0, spread))
        return float(scores.mean())


@formula
class AUC(OfClasses):
    """Area under the ROC curve of two classes: how often a positive sample is above a negative one.

    sum_ij w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / sum_ij w_i w_j over all pairs of a positive
    sample i and a negative sample j. Of two classes the second is positive, and the score s is its
    output minus the first's. Where outputs are labels of their own, as under
    ``"bce_with_logits"``, each is a score, and targets above 1/2, within [0, 1], are positive: the
    metric is the mean over the labels, as scikit-learn's ``roc_auc_score(average="macro")``. Under
    a loss of numbers, the one output is a score if all targets are 0 or 1. It is NaN where a score
    is.

    ValueError where the targets of a label, as far as they have weight, are of one class only, and
    for more than two classes.

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, 1982.
    """

    name: ClassVar[str] = "auc"
    higher_is_better: ClassVar[bool | None] = True

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        outputs = output.shape[1]
        if y.ndim == 2:
            areas = [
                area(y[:, k], output[:, k], weights, f" in column {k}" * (outputs > 1))
                for k in range(outputs)
            ]
            return float(np.mean(areas))
        if outputs != 2:
            raise ValueError(
                f"output must have 1 or 2 columns for auc, got {outputs}, of a class each: a score "
                "tells only two classes apart"
            )
        return area(y == 1, output[:, 1] - output[:, 0], weights, "")

    def _targets(self, y: NDArray[Any], output: Array, task: Task | None) -> NDArray[Any]:
        # A score of two classes may come from any loss.
        if task == "regression" and output.shape[1] == 1 and np.isin(y, (0, 1)).all():
            return positive_labels(y, output)
        return super()._targets(y, output, task)


class Computed(Protocol):
    """What `resolve_metrics` makes of a metric."""

    def __call__(
        self, y: Any, output: Any, sample_weight: Any = None, *, task: Task | None = None
    ) -> float:
        """See `Metric.__call__`."""


@dataclass(frozen=True)
class _Function:
    """A function of the caller's with the signature of a metric."""

    key: str
    function: Callable[..., Any]
    weighted: bool  # whether it takes sample_weight

    def __call__(
        self, y: Any, output: Any, sample_weight: Any = None, *, task: Task | None = None
    ) -> float:
        weights = {"sample_weight": sample_weight} if self.weighted else {}
        found = self.function(y, output, **weights)
        real = isinstance(found, numbers.Real) and not isinstance(found, bool)
        value = float(found) if real else math.inf
        if math.isinf(value):
            told = f"{found!r} ({type(found).__name__})"
            raise TypeError(
                f"the metric {self.key!r} must return a finite number or NaN, got {told}"
            )
        return value


def resolve_metrics(metrics: object) -> list[tuple[str, Computed]]:
    """Returns a key and a function f(y, output, sample_weight) for each of ``metrics``, in order.

    Args:
        metrics: A sequence of names, `Metric` objects and functions f(y, output) -> float. The key
            of a function is its ``__name__``. Where it has an argument ``sample_weight``, it gets
            the weights, or None; else none.

    Raises:
        TypeError: ``metrics`` is no sequence, or an entry is none of these. A function that returns
            no number, or an infinite one, raises when it is called.
        ValueError: No metric has this name, a function has no name of its own, or two have the same
            key.
    """
    if isinstance(metrics, str) or callable(metrics):
        shown = repr(metrics) if isinstance(metrics, (str, Metric)) else _name(metrics)
        raise TypeError(f"metrics must be a sequence of metrics, got one: write ({shown},)")
    found: dict[str, Computed] = {}
    for number, entry in enumerate(listed("metrics", metrics, "metrics")):
        argument = f"metrics[{number}]"
        key, function = _resolved(argument, entry)
        if key == "loss":
            raise ValueError(f"{argument} must have another name than 'loss', which is the loss")
        if key in found:
            raise ValueError(f"{argument} must have a name of its own, got {key!r} twice")
        found[key] = function
    return list(found.items())


def _resolved(argument: str, entry: Any) -> tuple[str, Computed]:
    if isinstance(entry, type) and not issubclass(entry, Metric):
        raise TypeError(f"{argument} must be an object or a function, got the class {_name(entry)}")
    if isinstance(entry, (str, Metric, type)) or not callable(entry):
        metric = Metric.resolve(argument, entry)
        return metric.key, metric
    name = getattr(entry, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            f"{argument} must be a function with a name for its key, got {_name(entry)}: "
            "write it with def, or set its __name__"
        )
    return name, _Function(name, entry, _takes_weights(entry))


def takes_no_weights(metric: Computed) -> bool:
    """Whether what `resolve_metrics` returned is a function that leaves sample weights out."""
    return isinstance(metric, _Function) and not metric.weighted


def _takes_weights(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions of C do not tell theirs
        return False
    found = parameters.get("sample_weight")
    return found is not None and found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY)


def _name(value: Any) -> str:
    name = getattr(value, "__name__", type(value).__name__)
    return "a lambda" if name == "<lambda>" else str(name)
