"""What a recording costs: the same steps with and without one, which take turns."""

from __future__ import annotations

from collections.abc import Sequence

import gdcore as gd
from gdcore.benchmark.cases import Case
from gdcore.benchmark.figures import Row
from gdcore.benchmark.steps import gdcore_step
from gdcore.benchmark.turns import Measure, Step, medians, repeated

__all__ = ["profiling_table"]


def _recorded(step: Step, seconds: float) -> Measure:
    measure = repeated(step, seconds)

    def run() -> float:
        with gd.profile():
            return measure()

    return run


def profiling_table(cases: Sequence[Case], rounds: int, threads: int, seconds: float) -> list[Row]:
    """A row for each case and number of threads: a step's time, recorded over not recorded."""
    rows: list[Row] = []
    for case in cases:
        for count in dict.fromkeys((1, threads)):
            step = gdcore_step(case, count)
            measures = {"off": repeated(step, seconds), "on": _recorded(step, seconds)}
            found = medians(measures, rounds)
            rows.append(
                {
                    "case": case.name,
                    "threads": count,
                    "off, us": found["off"] * 1e6,
                    "on, us": found["on"] * 1e6,
                    "on over off": found["on"] / found["off"],
                }
            )
    return rows
