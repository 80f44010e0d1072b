"""Pieces of C99 that inference is made of: activations, and functions that layers share.

In what follows ``REAL`` is float or double, and ``F(exp)`` its function of libm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["ACTIVATIONS", "FUNCTIONS", "NEEDS"]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _bounded(value: str, low: str, high: str) -> str:
    return f"({value} > {low} ? ({value} < {high} ? {value} : {high}) : {low})"


_SIXTH = _bounded("(v + N(3.0))", "N(0.0)", "N(6.0)")


def _softplus(f: Any) -> str:
    b = f"N({f.beta!r})"
    return f"v > 0 ? v + F(log1p)(F(exp)(-{b} * v)) / {b} : F(log1p)(F(exp)({b} * v)) / {b}"


# Of v; numbers stand in N(...). Those that see whole rows are functions below.
ACTIVATIONS: dict[str, Callable[[Any], str]] = {
    "identity": lambda f: "v",
    "relu": lambda f: "v > 0 ? v : 0",
    "relu6": lambda f: _bounded("v", "0", "6"),
    "leaky_relu": lambda f: f"v > 0 ? v : N({f.negative_slope!r}) * v",
    "elu": lambda f: f"v > 0 ? v : N({f.alpha!r}) * F(expm1)(v)",
    "celu": lambda f: f"v > 0 ? v : N({f.alpha!r}) * F(expm1)(v / N({f.alpha!r}))",
    "selu": lambda f: (
        f"v > 0 ? N({_SELU_SCALE!r}) * v : N({_SELU_SCALE * _SELU_ALPHA!r}) * F(expm1)(v)"
    ),
    "sigmoid": lambda f: "1 / (1 + F(exp)(-v))",
    "logsigmoid": lambda f: "v > 0 ? -F(log1p)(F(exp)(-v)) : v - F(log1p)(F(exp)(v))",
    "hardsigmoid": lambda f: f"{_SIXTH} / 6",
    "tanh": lambda f: "F(tanh)(v)",
    "tanhshrink": lambda f: "v - F(tanh)(v)",
    "hardtanh": lambda f: _bounded("v", f"N({f.min_val!r})", f"N({f.max_val!r})"),
    "softsign": lambda f: "v / (1 + F(fabs)(v))",
    "gelu": lambda f: f"v * F(erfc)(v * N({-math.sqrt(0.5)!r})) / 2",
    "gelu_tanh": lambda f: (
        f"v * (1 + F(tanh)(N({math.sqrt(2 / math.pi)!r}) * (v + N(0.044715) * v * v * v))) / 2"
    ),
    "silu": lambda f: "v / (1 + F(exp)(-v))",
    "hardswish": lambda f: f"v * {_SIXTH} / 6",
    "mish": lambda f: "v * F(tanh)(v > 0 ? v + F(log1p)(F(exp)(-v)) : F(log1p)(F(exp)(v)))",
    "softplus": _softplus,
    "softshrink": lambda f: f"v - {_bounded('v', f'N({-f.lambd!r})', f'N({f.lambd!r})')}",
    "hardshrink": lambda f: f"F(fabs)(v) > N({f.lambd!r}) ? v : 0",
    "threshold": lambda f: f"v > N({f.threshold!r}) ? v : N({f.value!r})",
}

# What a function calls of the others.
NEEDS = {"products": ("product",), "log_softmax": ("largest",), "softmax": ("largest",)}

# In the order in which they may call one another. Sums of many numbers are double.
FUNCTIONS = {
    "product": """
/* y = x w + b of each of so many groups, w (inputs, units); b may be NULL. */
static void product(const REAL *restrict x, const REAL *restrict w, const REAL *restrict b,
                    REAL *restrict y, size_t groups, size_t inputs, size_t units) {
  for (size_t m = 0; m < groups; ++m, x += inputs, y += units) {
    for (size_t j = 0; j < units; ++j) y[j] = b ? b[j] : 0;
    for (size_t k = 0; k < inputs; ++k) {
      const REAL v = x[k];
      const REAL *restrict row = w + k * units;
      for (size_t j = 0; j < units; ++j) y[j] += v * row[j];
    }
  }
}
""",
    "products": """
/* The same, w (groups, inputs, units) and b (groups, units) of each group's own. */
static void products(const REAL *restrict x, const REAL *restrict w, const REAL *restrict b,
                     REAL *restrict y, size_t groups, size_t inputs, size_t units) {
  for (size_t m = 0; m < groups; ++m) {
    product(x + m * inputs, w + m * inputs * units, b ? b + m * units : NULL, y + m * units, 1,
            inputs, units);
  }
}
""",
    "normed": """
/* y = (x - mean) / sqrt(mean square + eps) w + b; w and b may be NULL. */
static void normed(const REAL *x, const REAL *w, const REAL *b, REAL *y, size_t n, int centered,
                   double eps) {
  double mean = 0, square = 0;
  if (centered) {
    for (size_t j = 0; j < n; ++j) mean += (double)x[j];
    mean /= (double)n;
  }
  for (size_t j = 0; j < n; ++j) {
    const double d = (double)x[j] - mean;
    square += d * d;
  }
  const double by = 1 / sqrt(square / (double)n + eps);
  for (size_t j = 0; j < n; ++j) {
    const REAL v = (REAL)(((double)x[j] - mean) * by);
    y[j] = (w ? w[j] * v : v) + (b ? b[j] : 0);
  }
}
""",
    "largest": """
static REAL largest(const REAL *x, size_t n) {
  REAL top = x[0];
  for (size_t j = 1; j < n; ++j) top = x[j] > top ? x[j] : top;
  return top;
}
""",
    "softmax": """
static void softmax(const REAL *x, REAL *y, size_t groups, size_t n) {
  for (size_t m = 0; m < groups; ++m, x += n, y += n) {
    const REAL top = largest(x, n);
    double sum = 0;
    for (size_t j = 0; j < n; ++j) {
      y[j] = F(exp)(x[j] - top);
      sum += (double)y[j];
    }
    const REAL by = (REAL)(1 / sum);
    for (size_t j = 0; j < n; ++j) y[j] *= by;
  }
}
""",
    "log_softmax": """
static void log_softmax(const REAL *x, REAL *y, size_t groups, size_t n) {
  for (size_t m = 0; m < groups; ++m, x += n, y += n) {
    const REAL top = largest(x, n);
    double sum = 0;
    for (size_t j = 0; j < n; ++j) sum += (double)F(exp)(x[j] - top);
    const REAL rest = (REAL)log(sum);
    for (size_t j = 0; j < n; ++j) y[j] = x[j] - top - rest;
  }
}
""",
    "waves": """
/* Cosines and sines of 2 pi w x, of each column its n frequencies; without whole turns, where
   digits are lost. */
static void waves(const REAL *x, const REAL *w, REAL *y, size_t columns, size_t n) {
  for (size_t c = 0; c < columns; ++c, w += n, y += 2 * n) {
    for (size_t k = 0; k < n; ++k) {
      const REAL turns = w[k] * x[c];
      const REAL angle = N(6.283185307179586) * (turns - F(rint)(turns));
      y[k] = F(cos)(angle);
      y[n + k] = F(sin)(angle);
    }
  }
}
""",
    "shifted_waves": """
/* Cosines of 2 pi w x + b, of each column its n frequencies. */
static void shifted_waves(const REAL *x, const REAL *w, const REAL *b, REAL *y, size_t columns,
                          size_t n) {
  for (size_t c = 0; c < columns; ++c, w += n, b += n, y += n) {
    for (size_t k = 0; k < n; ++k) {
      const REAL turns = w[k] * x[c];
      y[k] = F(cos)(N(6.283185307179586) * (turns - F(rint)(turns)) + b[k]);
    }
  }
}
""",
    "places": """
/* Where each column stands between its edges: 1 beyond a bin, its share within, 0 before; the first
   and the last bin go on outwards. The last of a column's bins stands at the end. */
static void places(const REAL *x, const REAL *edges, const int *counts, REAL *y, size_t columns,
                   size_t most) {
  for (size_t c = 0; c < columns; ++c, y += most) {
    const size_t bins = (size_t)counts[c] - 1;
    for (size_t j = 0; j < most; ++j) y[j] = 0;
    for (size_t j = 0; j < bins; ++j) {
      REAL share = (x[c] - edges[j]) / (edges[j + 1] - edges[j]);
      if (j > 0 && share < 0) share = 0;
      if (j + 1 < bins && share > 1) share = 1;
      y[j + 1 < bins ? j : most - 1] = share;
    }
    edges += counts[c];
  }
}
""",
    "mean": """
static void mean(const REAL *x, REAL *y, size_t groups, size_t n) {
  for (size_t j = 0; j < n; ++j) {
    double sum = 0;
    for (size_t m = 0; m < groups; ++m) sum += (double)x[m * n + j];
    y[j] = (REAL)(sum / (double)groups);
  }
}
""",
}
