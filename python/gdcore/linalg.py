"""Matrix multiplication on its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore import _core
from gdcore._check import flag, thread_count
from gdcore._names import choice
from gdcore.typing import Precision

__all__ = ["PRECISIONS", "checked_precision", "matmul"]


def __dir__() -> list[str]:
    return __all__


PRECISIONS: tuple[Precision, ...] = ("highest", "high", "medium")


def checked_precision(argument: str, value: object, dtype: Any) -> Precision:
    """Returns ``value`` if it names a precision that ``dtype`` can be multiplied in.

    Raises:
        TypeError: It is no string.
        ValueError: It is no precision, or another than ``"highest"`` for float64.
    """
    precision = choice(argument, value, PRECISIONS)
    if precision != "highest" and np.dtype(dtype) == np.float64:
        raise ValueError(f"{argument} must be 'highest' for float64, got {precision!r}")
    return precision


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    transpose_a: bool = False,
    transpose_b: bool = False,
    out: NDArray[Any] | None = None,
    precision: Precision = "highest",
    *,
    num_threads: int | None = None,
) -> NDArray[Any]:
    """Multiplies two matrices, (M, K) times (K, N).

    At ``"highest"`` each element is one chain of fused multiply-adds over increasing k, so that the
    result has the same bits on any number of threads and any instruction set. From K = 16,385 on
    the chain begins anew every 1,024 products; the parts are added in order, and their sum begins
    anew every 2^18 products. So an element is off by at most u n (|A| |B|), where u is 2^-24 for
    float32 and 2^-53 for float64, n = K up to K = 16,384, and n = 1536 + K / 2^18 beyond (Higham,
    "Accuracy and Stability of Numerical Algorithms", 2002, section 4.2).

    Args:
        a: (M, K), or (K, M) with transpose_a; real numbers. Where both matrices are float32 the
            product is, else it is float64; what is of another dtype is converted, which copies.
        b: (K, N), or (N, K) with transpose_b; as a.
        transpose_a: Takes a transposed.
        transpose_b: Takes b transposed.
        out: Where the product goes: (M, N), of its dtype, C-contiguous, apart from a and b.
        precision: ``"highest"`` float32; ``"high"`` three products of bfloat16 parts, about 4e-6
            relative error in norm; ``"medium"`` one bfloat16 product. Where the machine has no unit
            for one, the next better serves. float64 knows ``"highest"`` only.
        num_threads: 1 to 1024; None as in `gdcore.set_num_threads`.

    Returns:
        (M, N): out if it was given, else a new array.

    Raises:
        TypeError: An array is complex, of objects or strings, or an argument is of the wrong type.
        ValueError: Shapes do not fit, or an argument is out of its domain.
    """
    return _core.matmul(
        a,
        b,
        flag("transpose_a", transpose_a),
        flag("transpose_b", transpose_b),
        out,
        choice("precision", precision, PRECISIONS),
        thread_count(num_threads),
    )
