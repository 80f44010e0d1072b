"""What metrics make of targets, outputs and weights, and what they share.

There are no products of BLAS here, whose sums depend on the machine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._frames import real_array

__all__ = [
    "Array",
    "are_probabilities",
    "area",
    "classes_of",
    "first_largest",
    "numbers_of",
    "ordered",
    "positive_labels",
    "task_of",
    "weighted_mean",
    "weights_of",
]

Array = NDArray[np.float64]

# How far from 1 the probabilities of a row may add up to, as for the losses.
_SUM_TOLERANCE = 1 / 256


def weights_of(value: Any, samples: int) -> Array:
    """One finite weight a sample, at least 0 and not all 0, scaled by a power of two."""
    if value is None:
        return np.ones(samples)
    weights: Array = real_array("sample_weight", value).astype(np.float64)
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


def weighted_mean(values: NDArray[Any], weights: Array) -> float:
    """sum_i w_i v_i / sum_i w_i."""
    return float((weights * values).sum() / weights.sum())


def numbers_of(y: NDArray[Any], output: Array) -> Array:
    """The targets of outputs that are numbers, (N, K)."""
    samples, outputs = output.shape
    if y.shape != output.shape and not (outputs == 1 and y.shape == (samples,)):
        flat = f"({samples},) or " if outputs == 1 else ""
        raise ValueError(f"y must have shape {flat}{output.shape}, got {y.shape}")
    return y.astype(np.float64).reshape(output.shape)


def task_of(y: NDArray[Any], output: Array) -> str:
    """What the targets tell of the outputs, where nobody says it."""
    if output.shape[1] == 1:
        return "binary"
    if y.shape != output.shape:
        return "multiclass"  # labels, or an error there
    return "multiclass" if are_probabilities(y) else "binary"


def are_probabilities(rows: NDArray[Any]) -> bool:
    """Whether each row is of numbers of at least 0 that add up to 1."""
    return bool((_off_one(rows) <= _SUM_TOLERANCE).all())


def _off_one(y: NDArray[Any]) -> Array:
    """How far from 1 each row adds up to; infinite where it has numbers below 0."""
    rows: Array = y.astype(np.float64)
    return np.where((rows >= 0).all(axis=1), np.abs(rows.sum(axis=1) - 1), math.inf)


def positive_labels(y: NDArray[Any], output: Array) -> NDArray[np.bool_]:
    """Whether the target of each output is above 1/2, (N, K)."""
    targets = numbers_of(y, output)
    outside = (targets < 0) | (targets > 1)
    if outside.any():
        which = "one output" if output.shape[1] == 1 else "outputs that are labels of their own"
        raise ValueError(f"y must be within [0, 1] for {which}, got {targets[outside][0]:g}")
    return targets > 0.5


def area(positive: NDArray[np.bool_], score: Array, weights: Array, where: str) -> float:
    """The AUC of one score."""
    for kind, there in (("positive", positive), ("negative", ~positive)):
        if not weights[there].any():
            raise ValueError(
                f"y must hold samples of both classes for auc, got no {kind} one{where}"
            )
    if np.isnan(score).any():
        return math.nan
    _, group = np.unique(score, return_inverse=True)  # equal scores are one group, ascending
    up, down = np.bincount(group, weights * positive), np.bincount(group, weights * ~positive)
    return float((up * (np.cumsum(down) - down / 2)).sum() / (up.sum() * down.sum()))


def classes_of(y: NDArray[Any], output: Array) -> NDArray[np.intp]:
    """The class of each sample, (N,), from labels or probabilities."""
    samples, classes = output.shape
    if classes == 1:
        raise ValueError("output must have a column for each of at least two classes, got one")
    if y.shape == output.shape:
        off = _off_one(y)
        if (off > _SUM_TOLERANCE).any():
            at = int((off > _SUM_TOLERANCE).argmax())
            row = y[at].astype(np.float64)
            got = f"{row.min():g}" if row.min() < 0 else f"a sum of {row.sum():g}"
            raise ValueError(
                "y must hold class probabilities of at least 0 that add up to 1 in each row, got "
                f"{got} in row {at}"
            )
        return first_largest(y.astype(np.float64))
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


def ordered(values: Array) -> Array:
    """The values as the C++ accuracy compares them.

    There a class is chosen where it is larger than all before it. So NaN is never chosen, but for
    the first class, which nothing replaces then.
    """
    nan = np.isnan(values)
    ordered = np.where(nan, -math.inf, values)
    ordered[nan[:, 0], 0] = math.inf
    return ordered


def first_largest(values: Array) -> NDArray[np.intp]:
    """Which value of each row is the largest; the first of equal ones."""
    first: NDArray[np.intp] = ordered(values).argmax(axis=1)
    return first
