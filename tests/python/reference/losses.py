"""Losses: value and gradient at the prediction, for a batch with optional sample weights.

A sample's loss is the mean over its outputs, or of them all; a batch's loss is sum(w_i l_i) /
sum(w_i), with class weights sum(w_i l_i) / sum(w_i c_i), c the weight of sample i's class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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


def smooth_l1(p: Array, y: Array, beta: float = 1.0) -> PerSample:
    if beta == 0:
        return mae(p, y)
    value, gradient = huber(p, y, beta)
    return value / beta, gradient / beta


def log_cosh(p: Array, y: Array) -> PerSample:
    d = p - y
    a = np.abs(d)
    far = a + np.log1p(np.exp(-2 * a)) - np.log(2.0)
    value = np.where(a < 1, np.log1p(2 * np.sinh(np.minimum(a, 1) / 2) ** 2), far)
    return value.mean(axis=1), np.tanh(d) / p.shape[1]


def quantile(p: Array, y: Array, quantiles: Sequence[float] = (0.5,)) -> PerSample:
    q = np.repeat(quantiles, y.shape[1])
    d = np.tile(y, (1, len(quantiles))) - p
    slope = np.where(d > 0, -q, np.where(d < 0, 1 - q, 0.0))
    return np.maximum(q * d, (q - 1) * d).mean(axis=1), slope / p.shape[1]


def poisson_nll(
    p: Array, y: Array, log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> PerSample:
    if log_input:
        value, gradient = np.exp(p) - y * p, np.exp(p) - y
    else:
        value, gradient = p - y * np.log(p + eps), 1 - y / (p + eps)
    if full:
        safe = np.where(y > 1, y, 1.0)
        stirling = safe * np.log(safe) - safe + 0.5 * np.log(2 * np.pi * safe)
        value = value + np.where(y > 1, stirling, 0.0)
    return value.mean(axis=1), gradient / p.shape[1]


def gaussian_nll(
    p: Array, y: Array, full: bool = False, eps: float = 1e-6, log_var: bool = False
) -> PerSample:
    columns = y.shape[1]
    d, z = p[:, :columns] - y, p[:, columns:]
    v = np.exp(z) if log_var else np.maximum(z, eps)
    log_v = z if log_var else np.log(v)
    value = 0.5 * (log_v + d * d / v + (np.log(2 * np.pi) if full else 0.0))
    by_v = 0.5 * (1 - d * d / v) / (1.0 if log_var else v)
    return value.mean(axis=1), np.hstack([d / v, by_v]) / columns


def cosine(p: Array, y: Array, eps: float = 1e-8) -> PerSample:
    norm = np.linalg.norm(p, axis=1, keepdims=True)
    size = np.maximum(norm, eps)
    target = y / np.maximum(np.linalg.norm(y, axis=1, keepdims=True), eps)
    similarity = (p / size * target).sum(axis=1, keepdims=True)
    moves = np.where(norm < eps, 0.0, similarity)
    return 1 - similarity[:, 0], (moves * p / size - target) / size


def kl_div(p: Array, y: Array, log_target: bool = False) -> PerSample:
    t = np.exp(y) if log_target else y
    log_t = y if log_target else np.log(np.where(y > 0, y, 1.0))
    return (t * (log_t - p)).sum(axis=1), -t


def hinge(p: Array, y: Array) -> PerSample:
    missing = 1 - y * p
    slope = np.where(missing > 0, -y, 0.0)
    return np.maximum(missing, 0).mean(axis=1), slope / p.shape[1]


def squared_hinge(p: Array, y: Array) -> PerSample:
    missing = np.maximum(1 - y * p, 0)
    return (missing**2).mean(axis=1), -2 * y * missing / p.shape[1]


def bce_with_logits(p: Array, y: Array, pos_weight: Any = None) -> PerSample:
    w = 1.0 if pos_weight is None else np.asarray(pos_weight, np.float64)
    rest = np.log1p(np.exp(-np.abs(p)))
    value = w * y * (rest + np.maximum(-p, 0)) + (1 - y) * (rest + np.maximum(p, 0))
    gradient = (1 - y) * sigmoid(p) - w * y * sigmoid(-p)
    return value.mean(axis=1), gradient / p.shape[1]


def binary_focal(p: Array, y: Array, gamma: float = 2.0, alpha: float = 0.25) -> PerSample:
    s, other = sigmoid(p), sigmoid(-p)
    c = np.log1p(np.exp(-np.abs(p))) + np.where(p > 0, (1 - y) * p, -y * p)
    q = s * (1 - y) + other * y
    a = 1.0 if alpha < 0 else alpha * y + (1 - alpha) * (1 - y)
    by_q = gamma * np.where(q == 0, 0.0, s * other / np.where(q == 0, 1.0, q)) * (1 - 2 * y) * c
    slope = (1 - y) * s - y * other
    return (a * q**gamma * c).mean(axis=1), a * q**gamma * (slope + by_q) / p.shape[1]


def distribution(y: NDArray[np.generic], classes: int) -> Array:
    """One-hot rows of labels; those that are out of range have no class."""
    if y.ndim == 1:
        return (y[:, None] == np.arange(classes)).astype(np.float64)
    return y.astype(np.float64)


def log_softmax(p: Array) -> Array:
    shifted = p - p.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(
    p: Array,
    y: NDArray[np.generic],
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    class_weight: Sequence[float] | None = None,
) -> PerSample:
    classes = p.shape[1]
    target = (1.0 - label_smoothing) * distribution(y, classes) + label_smoothing / classes
    if class_weight is not None:
        target = target * np.asarray(class_weight)
    value = -(target * log_softmax(p)).sum(axis=1)
    return value, target.sum(axis=1, keepdims=True) * softmax(p) - target


def nll(
    p: Array,
    y: NDArray[np.generic],
    ignore_index: int = -100,
    class_weight: Sequence[float] | None = None,
) -> PerSample:
    target = distribution(y, p.shape[1])
    if class_weight is not None:
        target = target * np.asarray(class_weight)
    return -(target * p).sum(axis=1), -target


def focal(
    p: Array, y: NDArray[np.generic], gamma: float = 2.0, alpha: Sequence[float] | None = None
) -> PerSample:
    target = distribution(y, p.shape[1])
    if alpha is not None:
        target = target * np.asarray(alpha)
    s, log_s = softmax(p), log_softmax(p)
    # 1 - s of the largest, without what it loses there.
    others = np.where(np.eye(p.shape[1], dtype=bool)[None], 0.0, s[:, None, :]).sum(axis=2)
    missing = np.where(s > 0.5, others, 1 - s)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.where(missing == 0, -1.0, s * log_s / missing)
    slope = missing**gamma * (gamma * turn - 1)
    weighted = target * slope
    total = weighted.sum(axis=1, keepdims=True)
    gradient = weighted * missing - s * (total - weighted)
    return -(target * missing**gamma * log_s).sum(axis=1), gradient


PER_SAMPLE: dict[str, Callable[..., PerSample]] = {
    each.__name__: each
    for each in (
        mse,
        mae,
        huber,
        smooth_l1,
        log_cosh,
        quantile,
        poisson_nll,
        gaussian_nll,
        cosine,
        kl_div,
        hinge,
        squared_hinge,
        bce_with_logits,
        binary_focal,
        cross_entropy,
        nll,
        focal,
    )
}
OF_CLASSES = ("cross_entropy", "nll", "focal")


def loss_and_gradient(
    name: str,
    prediction: Array,
    y: NDArray[np.generic],
    sample_weight: NDArray[np.generic] | None = None,
    **parameters: Any,
) -> tuple[float, Array]:
    """The batch's loss and its gradient at the prediction, shape (N, K)."""
    p = np.asarray(prediction, dtype=np.float64)
    target = np.asarray(y)
    if name not in OF_CLASSES:
        target = target.astype(np.float64).reshape(len(p), -1)
    values, gradients = PER_SAMPLE[name](p, target, **parameters)
    weights = np.ones(len(p)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    shares = weights
    if name in ("cross_entropy", "nll") and target.ndim == 1:
        weights = np.where(target == parameters.get("ignore_index", -100), 0.0, weights)
        of_class = parameters.get("class_weight") or np.ones(p.shape[1])
        shares = weights * np.take(of_class, target, mode="clip")
    total = shares.sum()
    return float((weights * values).sum() / total), gradients * (weights / total)[:, None]
