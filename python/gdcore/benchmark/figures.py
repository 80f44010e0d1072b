"""Rows of figures, and what is computed from figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

__all__ = ["Row", "Threads", "geometric_mean", "shown", "times_the_best", "with_threads"]

# One thing that was measured: what tables call each of its figures, and the figure.
Row = dict[str, Any]

# A number of threads, or None where the library chooses.
Threads = int | None


def geometric_mean(values: Iterable[float]) -> float | None:
    """The mean of ratios; None of nothing."""
    logarithms = [math.log(value) for value in values]
    return math.exp(math.fsum(logarithms) / len(logarithms)) if logarithms else None


def times_the_best(ours: float | None, peers: Iterable[float]) -> float | None:
    """How many times faster we are than the fastest of the peers; None where one is missing.

    Args:
        ours: Our seconds.
        peers: Theirs.
    """
    best = min(peers, default=None)
    return None if ours is None or best is None else best / ours


def with_threads(threads: Threads) -> str:
    """What tables call a number of threads."""
    return "None" if threads is None else f"x{threads}"


def shown(value: object) -> str:
    """A cell of a table: four digits of a number, nothing where there is none."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
