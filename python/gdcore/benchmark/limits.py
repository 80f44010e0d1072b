"""The machine's own limits, measured in the same run as what is held against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gdcore import _core
from gdcore.benchmark.figures import Row, with_threads
from gdcore.benchmark.turns import Measure, medians

__all__ = ["LIMITS", "Limit", "limit_rows"]

SECONDS = 0.1  # of a measurement, of which the best pass counts
_MEMORY = 512 << 20  # bytes, far above any cache


@dataclass(frozen=True)
class Limit:
    """One limit.

    Attributes:
        name: What tables call it.
        unit: Of what is counted, a second.
        measure: Takes threads and about how many seconds; returns how much a second.
    """

    name: str
    unit: str
    measure: Callable[[int, float], float]

    def at(self, threads: int) -> Measure:
        """Its measurement on that many threads."""
        return lambda: self.measure(threads, SECONDS)


# All that a table of limits has; `limit_rows` needs nothing more for another one.
LIMITS = {
    "float32": Limit(
        "float32 fused multiply-adds",
        "FLOP/s",
        lambda threads, seconds: _core.fma_peak("float32", threads, seconds),
    ),
    "memory": Limit(
        "memory, two arrays read and one written",
        "B/s",
        lambda threads, seconds: _core.memory_bandwidth(threads, _MEMORY, seconds),
    ),
}


def limit_rows(rounds: int, threads: int) -> list[Row]:
    """A row for each limit, on one thread and on all; they take turns."""
    counts = sorted({1, threads})
    found = medians(
        {(key, n): limit.at(n) for key, limit in LIMITS.items() for n in counts}, rounds
    )
    rows: list[Row] = []
    for key, limit in LIMITS.items():
        row: Row = {"limit": limit.name, "unit": f"G{limit.unit}"}
        row |= {with_threads(n): found[key, n] / 1e9 for n in counts}
        row["over one thread"] = found[key, threads] / found[key, 1]
        rows.append(row)
    return rows
