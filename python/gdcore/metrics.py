"""Metrics: what training is judged by, beside its loss.

Wherever metrics are expected, a name does as well: ``"auc"`` is ``AUC()``. Each metric is called
with targets and outputs, and computes in NumPy, in float64:

>>> gdcore.metrics.TopK(3)(y, net.predict(x))
0.93

p stands for the outputs, (N, K), y for the targets, as the losses take them: (N,) or (N, 1) for a
network with one output, (N, K) for K outputs, and for classes either labels from 0 to K - 1, in
(N,) or (N, 1), or probabilities (N, K). w_i are the sample weights, 1 without.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore._check import integer, listed
from gdcore._formula import Formula

__all__ = ["AUC", "MAE", "R2", "RMSE", "Accuracy", "Metric", "TopK", "resolve_metrics"]

Array = NDArray[np.float64]


class Metric(Formula, family="a metric"):
    """Base of all metrics; a metric of one's own sets `name` and says `value`.

    Where no parameters and no sample weights are needed, a function f(y, output) does as well.
    """

    higher_is_better: ClassVar[bool | None] = None

    @property
    def key(self) -> str:
        """What results and the history call it; with ``val_`` before it for validation data."""
        return self.name

    def __call__(
        self, y: ArrayLike, output: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Computes the metric.

        Args:
            y: The targets, as the losses take them, finite.
            output: (N, K), what `Network.predict` gives.
            sample_weight: (N,), finite, at least 0, not all 0.

        Returns:
            The metric; NaN where outputs that are NaN decide it.

        Raises:
            TypeError: An array is complex, of objects or of strings, or labels are no integers.
            ValueError: An array is of another shape, empty, or holds labels or weights out of
                range, or the metric is not defined for such data.
        """
        outputs = _real("output", output)
        if outputs.ndim != 2 or 0 in outputs.shape:
            raise ValueError(
                f"output must have shape (N, K) with at least one row, got {outputs.shape}"
            )
        targets = _real("y", y)
        if not np.isfinite(targets).all():
            raise ValueError("y must be finite, got NaN or infinity")
        with np.errstate(over="ignore", invalid="ignore"):
            weights = _weights(sample_weight, len(outputs))
            return float(self.value(targets, outputs.astype(np.float64), weights))

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """The metric of arrays that are checked already; one weight a sample, 1 without weights."""
        raise NotImplementedError(f"{type(self).__name__} must define value(y, output, weights)")


@dataclass(frozen=True)
class Accuracy(Metric):
    """Share of right answers, sum_i w_i [sample i is right] / sum_i w_i.

    Of several outputs the largest must be the class: the label, or the largest of the target
    probabilities; of equal ones the first counts. One output is a logit: it must be above 0 where
    the target, within [0, 1], is above 1/2, and not above 0 where it is not. That is the accuracy
    of `Trainer.evaluate` for ``"cross_entropy"``, and for ``"bce_with_logits"`` with one output;
    with several outputs, ``"bce_with_logits"`` judges each on its own, and this does not.

    Source: Metz, "Basic principles of ROC analysis", Seminars in Nuclear Medicine 8, 1978.
    """

    name: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool | None] = True

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        if output.shape[1] == 1:
            right = (output[:, 0] > 0) == _positive(y, output)
        else:
            right = _first_largest(output) == _classes(y, output)
        return _mean(right, weights)


@dataclass(frozen=True)
class TopK(Metric):
    """Share of samples whose class is among the k largest outputs.

    sum_i w_i [fewer than k outputs come before p_i,y_i] / sum_i w_i. A larger output comes before a
    smaller one, and of equal ones the first, so that ``TopK(1)`` is `Accuracy` for several outputs.
    Its key is ``"top5"`` for k = 5.

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
        if self.k > classes:
            raise ValueError(f"k of TopK must be at most the {classes} outputs, got {self.k}")
        order = _ordered(output)
        wanted = _classes(y, output)[:, None]
        own = np.take_along_axis(order, wanted, axis=1)
        before = (order > own) | ((order == own) & (np.arange(classes) < wanted))
        return _mean(before.sum(axis=1) < self.k, weights)


@dataclass(frozen=True)
class MAE(Metric):
    """Mean absolute error, sum_i w_i (1/K sum_k |p_ik - y_ik|) / sum_i w_i, as the loss.

    Source: Willmott and Matsuura, "Advantages of the mean absolute error (MAE) over the root mean
    square error (RMSE)", Climate Research 30, 2005.
    """

    name: ClassVar[str] = "mae"
    higher_is_better: ClassVar[bool | None] = False

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        return _mean(np.abs(output - _numbers(y, output)).mean(axis=1), weights)


@dataclass(frozen=True)
class RMSE(Metric):
    """Root of the mean squared error, sqrt(sum_i w_i (1/K sum_k (p_ik - y_ik)^2) / sum_i w_i).

    It is the root of the loss ``"mse"``. Of several outputs, scikit-learn's
    ``root_mean_squared_error`` takes the mean of roots instead, one root for each output.

    Source: Willmott and Matsuura, as for `MAE`.
    """

    name: ClassVar[str] = "rmse"
    higher_is_better: ClassVar[bool | None] = False

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        return math.sqrt(_mean(((output - _numbers(y, output)) ** 2).mean(axis=1), weights))


@dataclass(frozen=True)
class R2(Metric):
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
        targets = _numbers(y, output)
        if len(targets) < 2:
            return math.nan
        column = weights[:, None]
        counted = targets[weights > 0]
        same = counted.min(axis=0) == counted.max(axis=0)  # rounding would make the mean another
        mean = (column * targets).sum(axis=0) / weights.sum()
        missed = (column * (output - targets) ** 2).sum(axis=0)
        spread = np.where(same, 0.0, (column * (targets - mean) ** 2).sum(axis=0))
        none = np.where(missed == 0, 1.0, np.where(np.isnan(missed), math.nan, 0.0))
        scores = np.where(spread == 0, none, 1 - missed / np.where(spread == 0, 1.0, spread))
        return float(scores.mean())


@dataclass(frozen=True)
class AUC(Metric):
    """Area under the ROC curve of two classes: how often a positive sample is above a negative one.

    sum_ij w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / sum_ij w_i w_j over all pairs of a positive
    sample i and a negative sample j. The score s is the output, or of two outputs the second minus
    the first. Positive are targets above 1/2, within [0, 1]; of two outputs the label 1, or the
    larger second probability. It is NaN where a score is.

    ValueError where the targets, as far as they have weight, are of one class only.

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, 1982.
    """

    name: ClassVar[str] = "auc"
    higher_is_better: ClassVar[bool | None] = True

    def value(self, y: NDArray[Any], output: Array, weights: Array) -> float:
        """See `Metric.value`."""
        outputs = output.shape[1]
        if outputs > 2:
            raise ValueError(f"output must have 1 or 2 columns for auc, got {outputs}")
        positive = _positive(y, output) if outputs == 1 else _classes(y, output) == 1
        score = output[:, 0] if outputs == 1 else output[:, 1] - output[:, 0]
        for kind, there in (("positive", positive), ("negative", ~positive)):
            if not weights[there].any():
                raise ValueError(f"y must hold samples of both classes for auc, got no {kind} one")
        if np.isnan(score).any():
            return math.nan
        _, group = np.unique(score, return_inverse=True)  # equal scores are one group, ascending
        up, down = np.bincount(group, weights * positive), np.bincount(group, weights * ~positive)
        return float((up * (np.cumsum(down) - down / 2)).sum() / (up.sum() * down.sum()))


Computed = Callable[[Any, Any, Any], float]


@dataclass(frozen=True)
class _Function:
    """A function of the caller's with the signature of a metric; it gets no weights."""

    key: str
    function: Callable[[Any, Any], Any]

    def __call__(self, y: Any, output: Any, sample_weight: Any = None) -> float:
        found = self.function(y, output)
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
            of a function is its ``__name__``. Sample weights are for `Metric` objects alone.

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
    return name, _Function(name, entry)


def _name(value: Any) -> str:
    name = getattr(value, "__name__", type(value).__name__)
    return "a lambda" if name == "<lambda>" else str(name)


# ---- what the metrics share; no products of BLAS, whose sums depend on the machine ----


def _real(argument: str, value: Any) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{argument} must not be a masked array: fill or drop what is masked first")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument} cannot be made an array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument} must hold real numbers, got dtype {array.dtype}")
    return array


def _weights(value: Any, samples: int) -> Array:
    if value is None:
        return np.ones(samples)
    weights: Array = _real("sample_weight", value).astype(np.float64)
    if weights.shape != (samples,):
        raise ValueError(
            f"sample_weight must have shape ({samples},) like output, got {weights.shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        wrong = weights[~(np.isfinite(weights) & (weights >= 0))][0]
        raise ValueError(f"sample_weight must hold finite weights of at least 0, got {wrong:g}")
    if not weights.any():
        raise ValueError("sample_weight must not be all zero")
    # One power of two for all changes no bit of a quotient, and no sum or product of sums leaves
    # the range of float64.
    scaled: Array = np.ldexp(weights, -np.frexp(weights.max())[1])
    return scaled


def _mean(values: NDArray[Any], weights: Array) -> float:
    return float((weights * values).sum() / weights.sum())


def _numbers(y: NDArray[Any], output: Array) -> Array:
    """The targets of outputs that are numbers, (N, K)."""
    samples, outputs = output.shape
    if y.shape != output.shape and not (outputs == 1 and y.shape == (samples,)):
        flat = f"({samples},) or " if outputs == 1 else ""
        raise ValueError(f"y must have shape {flat}{output.shape}, got {y.shape}")
    return y.astype(np.float64).reshape(output.shape)


def _positive(y: NDArray[Any], output: Array) -> NDArray[np.bool_]:
    """Whether the target of the one output is above 1/2, (N,)."""
    targets = _numbers(y, output)[:, 0]
    outside = (targets < 0) | (targets > 1)
    if outside.any():
        raise ValueError(f"y must be within [0, 1] for one output, got {targets[outside][0]:g}")
    return targets > 0.5


def _classes(y: NDArray[Any], output: Array) -> NDArray[np.intp]:
    """The class of each sample, (N,), from labels or probabilities."""
    samples, classes = output.shape
    if classes > 1 and y.shape == output.shape:
        return _first_largest(y.astype(np.float64))
    if y.shape not in ((samples,), (samples, 1)):
        raise ValueError(
            f"y must have shape ({samples},) of labels or {output.shape} of probabilities, "
            f"got {y.shape}"
        )
    if y.dtype.kind == "f":
        raise TypeError(
            f"y must hold integer class labels in (N,) or probabilities in (N, {classes}), "
            f"got {y.dtype} of shape {y.shape}"
        )
    labels = y.reshape(samples)
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        at = outside[0]
        raise ValueError(
            f"y must hold labels from 0 to {classes - 1}, got {labels[at]} at index {at}"
        )
    return labels.astype(np.intp)


def _ordered(values: Array) -> Array:
    """The values as the C++ accuracy compares them.

    There a class is chosen where it is larger than all before it. So NaN is never chosen, but for
    the first class, which nothing replaces then.
    """
    nan = np.isnan(values)
    ordered = np.where(nan, -math.inf, values)
    ordered[nan[:, 0], 0] = math.inf
    return ordered


def _first_largest(values: Array) -> NDArray[np.intp]:
    first: NDArray[np.intp] = _ordered(values).argmax(axis=1)
    return first
