"""Activations: name -> value(x, **parameters) and derivative(x, **parameters), elementwise.

softmax and log_softmax are the exceptions: they mix a row, so that the derivative is a matrix;
`backward` serves all.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])
_SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + e), e / (1.0 + e))


def softplus(x: Array, beta: float = 1.0) -> Array:
    return np.logaddexp(0.0, beta * x) / beta


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gelu(x: Array) -> Array:
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def gelu_derivative(x: Array) -> Array:
    density = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return 0.5 * (1.0 + _erf(x / math.sqrt(2.0))) + x * density


def gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.tanh(_SQRT_2_OVER_PI * (x + 0.044715 * x**3)))


def gelu_tanh_derivative(x: Array) -> Array:
    t = np.tanh(_SQRT_2_OVER_PI * (x + 0.044715 * x**3))
    inner = _SQRT_2_OVER_PI * (1.0 + 3 * 0.044715 * x**2)
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner


def log_softmax(x: Array) -> Array:
    below = x - x.max(axis=-1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=-1, keepdims=True))


def mish_derivative(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return t + x * (1.0 - t * t) * sigmoid(x)


def tanhshrink(x: Array) -> Array:
    """x - tanh(x), near 0 by Lambert's continued fraction tanh(x) = x / (1 + c), with
    c = x^2 / (3 + x^2 / (5 + ...)): x c / (1 + c), where nothing cancels."""
    c = np.zeros_like(x)
    for k in range(61, 1, -2):
        c = np.minimum(x * x, 4.0) / (k + c)
    return np.where(np.abs(x) < 2, x * c / (1.0 + c), x - np.tanh(x))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def selu(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0)))


def shrinks(x: Array, lambd: float) -> Array:
    return np.abs(x) > lambd


def silu_derivative(x: Array) -> Array:
    s = sigmoid(x)
    return s + x * s * (1.0 - s)


VALUE: dict[str, Callable[..., Array]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky_relu": lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
    "elu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": lambda x: x * sigmoid(x),
    "softplus": softplus,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "hardtanh": lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
    "hardsigmoid": lambda x: np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "hardswish": lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "selu": selu,
    "celu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "logsigmoid": lambda x: -softplus(-x),
    "tanhshrink": tanhshrink,
    "softshrink": lambda x, lambd=0.5: np.where(shrinks(x, lambd), x - np.copysign(lambd, x), 0.0),
    "hardshrink": lambda x, lambd=0.5: np.where(shrinks(x, lambd), x, 0.0),
    "threshold": lambda x, threshold=0.0, value=0.0: np.where(x > threshold, x, value),
}

DERIVATIVE: dict[str, Callable[..., Array]] = {
    "identity": np.ones_like,
    "relu": lambda x: np.where(x > 0, 1.0, 0.0),
    "leaky_relu": lambda x, negative_slope=0.01: np.where(x > 0, 1.0, negative_slope),
    "elu": lambda x, alpha=1.0: np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0))),
    "sigmoid": lambda x: sigmoid(x) * (1.0 - sigmoid(x)),
    "tanh": lambda x: 1.0 - np.tanh(x) ** 2,
    "gelu": gelu_derivative,
    "gelu_tanh": gelu_tanh_derivative,
    "silu": silu_derivative,
    "softplus": lambda x, beta=1.0: sigmoid(beta * x),
    "relu6": lambda x: np.where((x > 0) & (x < 6), 1.0, 0.0),
    "hardtanh": lambda x, min_val=-1.0, max_val=1.0: np.where(
        (x > min_val) & (x < max_val), 1.0, 0.0
    ),
    "hardsigmoid": lambda x: np.where(np.abs(x) < 3, 1 / 6, 0.0),
    "hardswish": lambda x: np.where(x <= -3, 0.0, np.where(x < 3, (2 * x + 3) / 6, 1.0)),
    "softsign": lambda x: 1.0 / (1.0 + np.abs(x)) ** 2,
    "selu": lambda x: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0.0))),
    "celu": lambda x, alpha=1.0: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0) / alpha)),
    "mish": mish_derivative,
    "logsigmoid": lambda x: sigmoid(-x),
    "tanhshrink": lambda x: np.tanh(x) ** 2,
    "softshrink": lambda x, lambd=0.5: np.where(shrinks(x, lambd), 1.0, 0.0),
    "hardshrink": lambda x, lambd=0.5: np.where(shrinks(x, lambd), 1.0, 0.0),
    "threshold": lambda x, threshold=0.0, value=0.0: np.where(x > threshold, 1.0, 0.0),
}

# A row's gradient at x, from that at the output.
ROW_WISE: dict[str, Callable[[Array, Array], Array]] = {
    "softmax": lambda x, grad: (
        softmax(x) * (grad - (grad * softmax(x)).sum(axis=-1, keepdims=True))
    ),
    "log_softmax": lambda x, grad: grad - softmax(x) * grad.sum(axis=-1, keepdims=True),
}


def backward(name: str, x: Array, grad: Array, **parameters: float) -> Array:
    """The gradient at the input x of the activation, from `grad` at its output."""
    if name in ROW_WISE:
        return ROW_WISE[name](x, grad)
    return grad * DERIVATIVE[name](x, **parameters)
