"""matmul against the peak of fused multiply-adds, measured in the same run."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

import gdcore as gd
from benchmarks.tables import Row
from gdcore import _core

__all__ = ["matmul_table"]

_SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (128, 784, 512), (64, 64, 64))
_SECONDS = 0.1  # of each measurement


def _seconds(a: np.ndarray, b: np.ndarray, out: np.ndarray, threads: int) -> float:
    repeats = max(1, int(_SECONDS * 1e11 / (2 * a.shape[0] * a.shape[1] * b.shape[1])))
    start = time.perf_counter()
    for _ in range(repeats):
        gd.matmul(a, b, out=out, num_threads=threads)
    return (time.perf_counter() - start) / repeats


def matmul_table(rounds: int, most_threads: int) -> list[Row]:
    """A row for each shape and number of threads; peak and product take turns."""
    random = np.random.default_rng(0)
    rows: list[Row] = []
    for m, k, n in _SHAPES:
        a = random.standard_normal((m, k)).astype(np.float32)
        b = random.standard_normal((k, n)).astype(np.float32)
        out = np.empty((m, n), np.float32)
        single = 0.0
        for threads in sorted({1, most_threads}):
            peaks, speeds = [], []
            _seconds(a, b, out, threads)
            for _ in range(rounds):
                peaks.append(_core.fma_peak("float32", threads, _SECONDS) / 1e9)
                speeds.append(2 * m * k * n / _seconds(a, b, out, threads) / 1e9)
            speed = median(speeds)
            single = single or speed
            rows.append(
                {
                    "M x K x N": f"{m} x {k} x {n}",
                    "threads": threads,
                    "GFLOP/s": speed,
                    "peak GFLOP/s": median(peaks),
                    "of peak": speed / median(peaks),
                    "over one thread": speed / single,
                }
            )
    return rows
