"""matmul against the peak of fused multiply-adds, measured in the same run."""

from __future__ import annotations

import numpy as np

from gdcore import matmul
from gdcore.benchmark.figures import Row
from gdcore.benchmark.limits import LIMITS
from gdcore.benchmark.turns import Step, medians, repeated

__all__ = ["SHAPES", "matmul_rows"]

# (M, K, N) of (M, K) times (K, N).
SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (128, 784, 512), (64, 64, 64))


def _product(m: int, k: int, n: int, threads: int) -> Step:
    random = np.random.default_rng(0)
    a = random.standard_normal((m, k), np.float32)
    b = random.standard_normal((k, n), np.float32)
    out = np.empty((m, n), np.float32)

    def step(number: int) -> None:
        matmul(a, b, out=out, num_threads=threads)

    return step


def matmul_rows(
    rounds: int,
    most_threads: int,
    seconds: float,
    shapes: tuple[tuple[int, int, int], ...] = SHAPES,
) -> list[Row]:
    """A row for each shape and number of threads; peak and product take turns."""
    rows: list[Row] = []
    for m, k, n in shapes:
        single = 0.0
        for threads in sorted({1, most_threads}):
            product = repeated(_product(m, k, n, threads), seconds)
            found = medians({"peak": LIMITS["float32"].at(threads), "product": product}, rounds)
            speed = 2 * m * k * n / found["product"]
            single = single or speed
            rows.append(
                {
                    "M x K x N": f"{m} x {k} x {n}",
                    "threads": threads,
                    "GFLOP/s": speed / 1e9,
                    "peak GFLOP/s": found["peak"] / 1e9,
                    "of the peak": speed / found["peak"],
                    "over one thread": speed / single,
                }
            )
    return rows
