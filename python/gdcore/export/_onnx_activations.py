"""Activations as standard operators of ONNX; one that is not here cannot be exported.

In float64 some are made of others: onnxruntime has operators such as Elu for float32 alone, and
their attributes are float32 numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gdcore.export._onnx_writer import Writer

__all__ = ["ACTIVATIONS"]

_Made = Callable[[Writer, str, Any], str]
# Where erf is 1 in float64.
_ERF_ENDS = 6.0
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _above(w: Writer, x: str, at: float, then: str, otherwise: str) -> str:
    return w.node("Where", w.node("Greater", x, w.number(at)), then, otherwise)


def _clipped(w: Writer, x: str, low: float, high: float) -> str:
    return w.node("Clip", x, w.number(low), w.number(high))


def _expm1(w: Writer, x: str) -> str:
    """exp(x) - 1 for x below 0, else 0."""
    below = w.node("Min", x, w.number(0))
    return w.node("Sub", w.node("Exp", below), w.number(1))


def _exponential(w: Writer, x: str, alpha: float, inner: float, scale: float) -> str:
    """Scale x above 0, else scale alpha (exp(x / inner) - 1)."""
    shrunk = x if inner == 1 else w.node("Div", x, w.number(inner))
    below = w.node("Mul", _expm1(w, shrunk), w.number(scale * alpha))
    above = x if scale == 1 else w.node("Mul", x, w.number(scale))
    return _above(w, x, 0, above, below)


def _leaky_relu(w: Writer, x: str, f: Any) -> str:
    if not w.wide:
        return w.node("LeakyRelu", x, alpha=f.negative_slope)
    return _above(w, x, 0, x, w.node("Mul", x, w.number(f.negative_slope)))


def _elu(w: Writer, x: str, f: Any) -> str:
    return w.node("Elu", x, alpha=f.alpha) if not w.wide else _exponential(w, x, f.alpha, 1, 1)


def _celu(w: Writer, x: str, f: Any) -> str:
    return _exponential(w, x, f.alpha, f.alpha, 1)


def _selu(w: Writer, x: str, f: Any) -> str:
    if not w.wide:
        return w.node("Selu", x, alpha=_SELU_ALPHA, gamma=_SELU_SCALE)
    return _exponential(w, x, _SELU_ALPHA, 1, _SELU_SCALE)


def _log1p_exp(w: Writer, x: str) -> str:
    """log(1 + exp(-|x|))."""
    small = w.node("Exp", w.node("Neg", w.node("Abs", x)))
    return w.node("Log", w.node("Add", small, w.number(1)))


def _softplus_of(w: Writer, x: str) -> str:
    return w.node("Add", w.node("Relu", x), _log1p_exp(w, x))


def _softplus(w: Writer, x: str, f: Any) -> str:
    if f.beta == 1:
        return _softplus_of(w, x)
    made = _softplus_of(w, w.node("Mul", x, w.number(f.beta)))
    return w.node("Div", made, w.number(f.beta))


def _logsigmoid(w: Writer, x: str, f: Any) -> str:
    return w.node("Sub", w.node("Min", x, w.number(0)), _log1p_exp(w, x))


def _hardsigmoid(w: Writer, x: str, f: Any) -> str:
    moved = w.node("Add", x, w.number(3))
    return w.node("Div", _clipped(w, moved, 0, 6), w.number(6))


def _erf(w: Writer, x: str) -> str:
    """erf(x), which onnxruntime has in float32 alone, else by Gauss and Legendre's rule.

    2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, of |x| up to 6, with 40 places: their
    rounding is more than what the rule leaves out.
    """
    if not w.wide:
        return w.node("Erf", x)
    places, weights = np.polynomial.legendre.leggauss(40)
    t, share = (places + 1) / 2, weights / math.sqrt(math.pi)
    near = _clipped(w, x, -_ERF_ENDS, _ERF_ENDS)
    spread = w.node("Mul", w.node("Unsqueeze", near, w.integers(2)), w.array("erf.places", t))
    bells = w.node("Exp", w.node("Neg", w.node("Mul", spread, spread)))
    total = w.node(
        "ReduceSum", w.node("Mul", bells, w.array("erf.weights", share)), w.integers(2), keepdims=0
    )
    return w.node("Mul", near, total)


def _gelu(w: Writer, x: str, f: Any) -> str:
    erf = _erf(w, w.node("Mul", x, w.number(math.sqrt(0.5))))
    half = w.node("Mul", x, w.number(0.5))
    return w.node("Mul", half, w.node("Add", erf, w.number(1)))


def _gelu_tanh(w: Writer, x: str, f: Any) -> str:
    cube = w.node("Mul", w.node("Mul", x, x), x)
    inner = w.node("Add", x, w.node("Mul", cube, w.number(0.044715)))
    tanh = w.node("Tanh", w.node("Mul", inner, w.number(math.sqrt(2 / math.pi))))
    return w.node("Mul", w.node("Mul", x, w.number(0.5)), w.node("Add", tanh, w.number(1)))


def _hardshrink(w: Writer, x: str, f: Any) -> str:
    return _above(w, w.node("Abs", x), f.lambd, x, w.number(0))


def _softshrink(w: Writer, x: str, f: Any) -> str:
    near = _clipped(w, x, -f.lambd, f.lambd)
    return w.node("Sub", x, near)


def _threshold(w: Writer, x: str, f: Any) -> str:
    return _above(w, x, f.threshold, x, w.number(f.value))


def _softsign(w: Writer, x: str, f: Any) -> str:
    return w.node("Div", x, w.node("Add", w.node("Abs", x), w.number(1)))


ACTIVATIONS: dict[str, _Made] = {
    "identity": lambda w, x, f: x,
    "relu": lambda w, x, f: w.node("Relu", x),
    "relu6": lambda w, x, f: _clipped(w, x, 0, 6),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "celu": _celu,
    "selu": _selu,
    "sigmoid": lambda w, x, f: w.node("Sigmoid", x),
    "logsigmoid": _logsigmoid,
    "hardsigmoid": _hardsigmoid,
    "tanh": lambda w, x, f: w.node("Tanh", x),
    "tanhshrink": lambda w, x, f: w.node("Sub", x, w.node("Tanh", x)),
    "hardtanh": lambda w, x, f: _clipped(w, x, f.min_val, f.max_val),
    "softsign": _softsign,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda w, x, f: w.node("Mul", x, w.node("Sigmoid", x)),
    "hardswish": lambda w, x, f: w.node("Mul", x, _hardsigmoid(w, x, f)),
    "mish": lambda w, x, f: w.node("Mul", x, w.node("Tanh", _softplus_of(w, x))),
    "softplus": _softplus,
    "softshrink": _softshrink,
    "hardshrink": _hardshrink,
    "threshold": _threshold,
    "softmax": lambda w, x, f: w.node("Softmax", x, axis=-1),
    "log_softmax": lambda w, x, f: w.node("LogSoftmax", x, axis=-1),
}
