"""How good predictions are: of classes and labels by each of them, of numbers by their errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import Ensemble, Network, Trainer
from gdcore.cli import judges, report
from gdcore.cli.parts import Part
from gdcore.tabular import models
from gdcore.tabular.meanings import ClassTarget, NumberTarget, Target

__all__ = ["Bin", "Judgement", "Numbers", "Row", "class_names", "judged", "network"]

BINS = 10
QUANTILES = (0, 5, 25, 50, 75, 95, 100)  # in percent
POINTS = 1000  # of a picture

Predictor = Network | Ensemble


@dataclass(frozen=True)
class Row:
    """Figures of a class or label, NaN where there are none; ``support`` is rows, or their weight.

    precision = right / said, recall = right / support, f1 = 2 precision recall / (their sum), auc
    the area under the ROC curve against all others.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: float
    auc: float


@dataclass(frozen=True)
class Bin:
    """Predicted probabilities between two bounds: how many, their mean, and how often they held."""

    low: float
    high: float
    count: int
    said: float
    held: float


@dataclass(frozen=True)
class Numbers:
    """Errors, prediction minus truth, of a target's column in its own unit."""

    name: str
    figures: dict[str, float]
    quantiles: dict[int, float]
    truth: NDArray[np.float64]
    said: NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """What is known of predictions.

    Args:
        name: The target's.
        figures: Of all rows.
        rows: Of classes or labels, then their means.
        means: How many of them are means.
        confusion: (K, K) rows of each class (first index) that were taken for each (second); None
            where there are no classes.
        bins: Probabilities against what happened; empty for numbers.
        probability: Of what they are.
        numbers: For each column of a target of numbers.
    """

    name: str
    figures: dict[str, float]
    rows: Sequence[Row] = ()
    means: int = 0
    confusion: NDArray[Any] | None = None
    bins: Sequence[Bin] = ()
    probability: str = ""
    numbers: Sequence[Numbers] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Of classes or labels the names."""
        return [each.name for each in self.rows[: len(self.rows) - self.means]]


def network(trainer: Trainer) -> Network:
    """The network that a trainer's predictions come from."""
    return trainer.averaged if trainer.has_average else trainer.network


def class_names(target: ClassTarget) -> list[str]:
    """The classes as text."""
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in target.classes]


def judged(target: Target, model: Predictor, part: Part) -> Judgement:
    """Judges the predictions of some rows, each by its weight.

    Args:
        target: What the outputs mean.
        model: What predicts.
        part: The rows, one at least.
    """
    if isinstance(target, NumberTarget):
        assert part.values is not None
        return _of_numbers(target, target.restored(model.predict(part.x)), part)
    found = models.predictions(target, model, part.x)
    shares = found["probability"].astype(np.float64)
    if isinstance(target, ClassTarget):
        shares /= shares.sum(axis=1, keepdims=True)
        return _of_classes(target, part.y.reshape(-1).astype(np.int64), shares, part.weights)
    return _of_labels(target.name, list(target.columns), part.y > 0.5, shares, part.weights)


def _of_classes(
    target: ClassTarget,
    y: NDArray[np.int64],
    shares: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> Judgement:
    said, count = shares.argmax(axis=1), len(target.classes)
    confusion = judges.confusion(y, said, count, weights)
    found = (confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1))
    rows = _rows(class_names(target), *found, judges.one_vs_rest(y, shares, weights))
    own = np.maximum(shares[np.arange(len(y)), y], np.finfo(np.float64).tiny)
    two = count == 2
    if two:
        bins, error = _bins(shares[:, 1], y == 1, weights)
    else:
        bins, error = _bins(shares.max(axis=1), said == y, weights)
    figures = {
        "accuracy": float(np.average(said == y, weights=weights)),
        "balanced accuracy": _mean([each.recall for each in rows]),
        "f1": _mean([each.f1 for each in rows]),
        "auc": _mean([each.auc for each in rows]),
        "log loss": float(np.average(-np.log(own), weights=weights)),
        "calibration error": error,
    }
    what = f"of {class_names(target)[1]}" if two else "of the predicted class"
    means = _means(rows)
    return Judgement(target.name, figures, [*rows, *means], len(means), confusion, bins, what)


def _of_labels(
    name: str,
    labels: list[str],
    y: NDArray[np.bool_],
    shares: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> Judgement:
    said = shares > 0.5
    found = judges.label_counts(y, said, weights)
    rows = _rows(labels, *found, judges.one_vs_rest(y, shares, weights))
    each = None if weights is None else np.repeat(weights, len(labels))
    bins, error = _bins(shares.reshape(-1), y.reshape(-1), each)
    figures = {
        "accuracy": float(np.average((said == y).mean(axis=1), weights=weights)),
        "all labels right": float(np.average((said == y).all(axis=1), weights=weights)),
        "f1": _mean([each.f1 for each in rows]),
        "auc": _mean([each.auc for each in rows]),
        "calibration error": error,
    }
    means = _means(rows) if len(rows) > 1 else []
    return Judgement(name, figures, [*rows, *means], len(means), None, bins, "of the labels")


def _rows(
    names: Sequence[str],
    right: NDArray[Any],
    said: NDArray[Any],
    support: NDArray[Any],
    areas: Sequence[float],
) -> list[Row]:
    precision, recall, f1 = judges.scores(right, said, support)
    return [
        Row(name, float(precision[k]), float(recall[k]), float(f1[k]), float(support[k]), areas[k])
        for k, name in enumerate(names)
    ]


def _means(rows: Sequence[Row]) -> list[Row]:
    """Their mean, and the mean by support."""
    keys, total = ("precision", "recall", "f1", "auc"), sum(each.support for each in rows)
    made = []
    for name, counts in (("mean", [1.0] * len(rows)), ("by support", [e.support for e in rows])):
        values = {key: _mean([getattr(each, key) for each in rows], counts) for key in keys}
        made.append(Row(name, support=total, **values))
    return made


def _mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The mean of those that are numbers."""
    counts = [1.0] * len(values) if weights is None else weights
    there = [(v, w) for v, w in zip(values, counts, strict=True) if not math.isnan(v)]
    whole = sum(weight for _, weight in there)
    return sum(v * w for v, w in there) / whole if whole else math.nan


def _bins(
    shares: NDArray[np.float64], held: NDArray[np.bool_], weights: NDArray[np.float64] | None
) -> tuple[list[Bin], float]:
    """Ten bins of equal width, those that hold something, and the expected calibration error.

    That is sum_b W_b / W |mean said in b - share that held in b|, W the weights of rows (Naeini et
    al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015).
    """
    weights = np.ones(len(shares)) if weights is None else weights
    place = np.minimum((shares * BINS).astype(int), BINS - 1)
    found, error = [], 0.0
    for k in range(BINS):
        own = place == k
        weight = weights[own].sum()
        if not weight:
            continue
        said = float((weights[own] * shares[own]).sum() / weight)
        true = float((weights[own] * held[own]).sum() / weight)
        found.append(Bin(k / BINS, (k + 1) / BINS, int(own.sum()), said, true))
        error += weight / weights.sum() * abs(said - true)
    return found, float(error)


def _of_numbers(target: NumberTarget, said: NDArray[np.float64], part: Part) -> Judgement:
    assert part.values is not None
    columns = []
    for k in range(said.shape[1]):
        truth, own = part.values[:, k], said[:, k]
        errors = own - truth
        figures = {m.key: m(truth, own[:, None], part.weights) for m in report.METRICS}
        figures["mean error"] = float(np.average(errors, weights=part.weights))
        quantiles = dict(zip(QUANTILES, np.percentile(errors, QUANTILES).tolist(), strict=True))
        several = target.columns or tuple(f"{target.name}[{i}]" for i in range(said.shape[1]))
        name = target.name if said.shape[1] == 1 else several[k]
        some = np.linspace(0, len(own) - 1, min(len(own), POINTS)).astype(int)
        columns.append(Numbers(name, figures, quantiles, truth[some], own[some]))
    figures = {key: _mean([each.figures[key] for each in columns]) for key in columns[0].figures}
    return Judgement(target.name, figures, numbers=columns)
