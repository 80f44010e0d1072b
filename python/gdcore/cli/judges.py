"""Metrics by their names on the command line, and what stops a training early."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore._names import choice
from gdcore.callbacks import EarlyStopping
from gdcore.metrics import AUC, Metric
from gdcore.tabular.meanings import ClassTarget, Target

if TYPE_CHECKING:
    from gdcore.cli.training import Options

__all__ = [
    "NAMES",
    "all_of",
    "check",
    "confusion",
    "key",
    "label_counts",
    "names",
    "one_vs_rest",
    "resolved",
    "scores",
    "stopping",
]

_AREA = AUC()
Judge = Metric | Callable[..., float]


def f1(y: NDArray[Any], output: NDArray[Any], sample_weight: Any = None) -> float:
    """Mean over the classes or labels of 2 precision recall / (precision + recall)."""
    if output.shape[1] > 1 and np.ndim(y) == 2:
        found = scores(*label_counts(np.asarray(y) > 0.5, output > 0, sample_weight))[2]
        return float(np.nanmean([*found, math.nan]))
    if output.shape[1] == 1:
        truth, said = np.asarray(y).reshape(-1) > 0.5, output[:, 0] > 0
    else:
        truth, said = np.asarray(y), output.argmax(axis=1)
    counts = confusion(truth.astype(int), said.astype(int), max(2, output.shape[1]), sample_weight)
    found = scores(counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1))[2]
    return float(np.nanmean([*found, math.nan]))


def confusion(
    y: NDArray[Any], said: NDArray[Any], classes: int, weights: NDArray[Any] | None
) -> NDArray[Any]:
    """How many rows, or how much weight, of each class (first index) were taken for each."""
    counts: NDArray[Any] = np.bincount(y * classes + said, weights, classes * classes)
    return counts.reshape(classes, classes)


def label_counts(
    y: NDArray[np.bool_], said: NDArray[np.bool_], weights: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of each label (K,) how often it was found, predicted and there, from (N, K)."""
    rows = np.ones(len(y)) if weights is None else weights
    return rows @ (y & said), rows @ said, rows @ y


def scores(
    right: NDArray[Any], said: NDArray[Any], support: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and f1 (K,) of classes or labels; NaN where nothing is to divide by."""
    with np.errstate(invalid="ignore"):
        return right / said, right / support, 2 * right / (said + support)


def auc(y: NDArray[Any], output: NDArray[Any], sample_weight: Any = None) -> float:
    """Mean over the classes of the area under the ROC curve of each against all others."""
    return float(np.nanmean([*one_vs_rest(y, _softmax(output), sample_weight), math.nan]))


for _each in (f1, auc):
    _each.higher_is_better = True  # type: ignore[attr-defined]

NAMES = (*Metric.members, "f1")


def one_vs_rest(
    y: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any] | None = None
) -> list[float]:
    """The area of each class (K,) against all others; NaN where the rows are of one side only.

    Args:
        y: (N,) classes, or (N, K) 0 and 1.
        scores: (N, K), higher for the class.
        weights: (N,) or None.
    """
    found = []
    for k, own in enumerate(scores.T):
        truth = y[:, k] > 0.5 if y.ndim == 2 else y == k
        counted = truth if weights is None else truth[weights > 0]
        one_side = bool(counted.all() or not counted.any())
        found.append(math.nan if one_side else _AREA(truth, own[:, None], weights, task="binary"))
    return found


def _softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def resolved(name: str, target: Target) -> Judge:
    """The metric of a name for a target."""
    if name == "f1":
        if not isinstance(target, ClassTarget) and target.kind == "numbers":
            raise ValueError(f"f1 is for classes and labels, the target {target.name!r} is numbers")
        return f1
    if name == "auc" and isinstance(target, ClassTarget) and len(target.classes) > 2:
        return auc
    return Metric.resolve("--metrics", name)


def key(name: str) -> str:
    """What the history calls the metric of a name."""
    return name if name in ("loss", "f1") else Metric.resolve("--metric", name).key


def check(options: Options) -> None:
    """What is computed of the rows that are held out, and what is made of it.

    Raises:
        ValueError: A name is unknown or there twice, or no rows are held out.
    """
    for name in options.metrics:
        choice("--metrics", name, NAMES)
    if len(set(options.metrics)) < len(options.metrics):
        raise ValueError(f"--metrics must be different ones, got {','.join(options.metrics)}")
    if options.metric is not None:
        choice("--metric", options.metric, ("loss", *NAMES))
    if options.patience is not None:
        integer("--patience", options.patience)
    given = "--patience" if options.patience is not None else "--metric"
    if options.patience is None and options.metric is None:
        return
    if options.validation == 0 and options.validation_file is None and options.folds is None:
        raise ValueError(f"{given} needs rows that are held out, got --validation 0")


def names(options: Options) -> tuple[str, ...]:
    """Those of --metrics and that of --metric."""
    more = options.metric
    own = () if more is None or more in ("loss", *options.metrics) else (more,)
    return (*options.metrics, *own)


def all_of(options: Options, target: Target) -> list[Judge]:
    """Their metrics."""
    return [resolved(name, target) for name in names(options)]


def stopping(options: Options, target: Target) -> Sequence[EarlyStopping]:
    """What stops where held-out rows are not judged better, and takes the weights of the best."""
    if options.patience is None and options.metric is None:
        return []
    watched = key(options.metric or "loss")
    # Without --patience all epochs are done.
    return [EarlyStopping(f"val_{watched}", patience=options.patience or options.epochs)]
