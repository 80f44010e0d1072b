"""float32 fused multiply-add chains, bit for bit: what one element of a matmul is defined to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fma32(
    a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]
) -> NDArray[np.float32]:
    """a * b + c, rounded once.

    The product of two float32 is exact in float64. Their sum with c is rounded to odd in float64
    (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE TC 57, 2008), so that
    rounding it once more to float32 gives what a single rounding would have given.
    """
    product = a.astype(np.float64) * b.astype(np.float64)
    addend = c.astype(np.float64)
    total = product + addend
    part = total - product  # Knuth's two-sum: error is exactly what the addition lost
    error = (product - (total - part)) + (addend - part)
    is_even = (total.view(np.int64) & 1) == 0
    inexact = error != 0.0
    toward = np.where(error > 0, np.inf, -np.inf)
    odd = np.where(inexact & is_even, np.nextafter(total, toward), total)
    return odd.astype(np.float32)


def matmul(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """a (m, k) times b (k, n): each element one chain from zero in increasing k."""
    c = np.zeros((a.shape[0], b.shape[1]), dtype=np.float32)
    for k in range(a.shape[1]):
        c = fma32(a[:, k : k + 1], b[k : k + 1, :], c)
    return c
