"""Losses: value and gradient at the prediction, for a batch with optional sample weights.

A sample's loss is the mean over its outputs (cross_entropy: one number a sample); a batch's loss is
sum(w_i l_i) / sum(w_i).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .activations import Array, sigmoid, softmax

PerSample = tuple[Array, Array]  # losses (N,), their gradients at the prediction (N, K)


def mse(p: Array, y: Array) -> PerSample:
    d = p - y
    return (d * d).mean(axis=1), 2.0 * d / p.shape[1]


def mae(p: Array, y: Array) -> PerSample:
    d = p - y
    return np.abs(d).mean(axis=1), np.sign(d) / p.shape[1]


def huber(p: Array, y: Array, delta: float = 1.0) -> PerSample:
    d = p - y
    a = np.abs(d)
    value = np.where(a <= delta, 0.5 * d * d, delta * (a - 0.5 * delta))
    return value.mean(axis=1), np.clip(d, -delta, delta) / p.shape[1]


def bce_with_logits(p: Array, y: Array) -> PerSample:
    value = np.maximum(p, 0.0) - p * y + np.log1p(np.exp(-np.abs(p)))
    return value.mean(axis=1), (sigmoid(p) - y) / p.shape[1]


def cross_entropy(p: Array, y: NDArray[np.generic], label_smoothing: float = 0.0) -> PerSample:
    classes = p.shape[1]
    target = np.eye(classes)[y.astype(np.int64)] if y.ndim == 1 else y.astype(np.float64)
    target = (1.0 - label_smoothing) * target + label_smoothing / classes
    shifted = p - p.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    value = -(target * log_p).sum(axis=1)
    return value, target.sum(axis=1, keepdims=True) * softmax(p) - target


PER_SAMPLE: dict[str, Callable[..., PerSample]] = {
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "bce_with_logits": bce_with_logits,
    "cross_entropy": cross_entropy,
}


def loss_and_gradient(
    name: str,
    prediction: Array,
    y: NDArray[np.generic],
    sample_weight: NDArray[np.generic] | None = None,
    **parameters: float,
) -> tuple[float, Array]:
    """The batch's loss and its gradient at the prediction, shape (N, K)."""
    p = np.asarray(prediction, dtype=np.float64)
    target = np.asarray(y)
    if name != "cross_entropy":
        target = target.astype(np.float64).reshape(p.shape)
    values, gradients = PER_SAMPLE[name](p, target, **parameters)
    weights = np.ones(len(p)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    total = weights.sum()
    return float((weights * values).sum() / total), gradients * (weights / total)[:, None]
