"""What a recording costs: the same steps with and without one, which take turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from statistics import median, quantiles

import numpy as np

import gdcore as gd
from benchmarks.processes import busy_neighbour
from gdcore.benchmark.cases import Case
from gdcore.benchmark.figures import Row
from gdcore.benchmark.steps import gdcore_step
from gdcore.benchmark.turns import Measure, Step, in_turns, repeated

__all__ = ["beside_table", "profiling_table"]

_TURNS = 4  # of a round: what one costs is the ratio of neighbours in time


def _recorded(measure: Measure) -> Measure:
    def run() -> float:
        with gd.profile():
            return measure()

    return run


def _online(inputs: int = 30, hidden: int = 64) -> Step:
    """One sample of a stream, as it comes."""
    net = gd.Network([gd.Dense(hidden, "relu"), gd.Dense(1)], input_size=inputs, seed=0)
    trainer = gd.Trainer(net, "bce_with_logits", gd.Adam(), num_threads=1)
    random = np.random.default_rng(0)
    x = random.standard_normal((1024, inputs), np.float32)
    y = random.integers(0, 2, (1024, 1)).astype(np.float32)

    def step(number: int) -> None:
        trainer.learn_one(x[number % 1024], y[number % 1024])

    return step


def _row(name: str, threads: int, step: Step, rounds: int, seconds: float) -> Row:
    measure = repeated(step, seconds / _TURNS)
    measures = {"off": measure, "on": _recorded(measure)}
    found = in_turns(measures, rounds * _TURNS)
    ratios = [on / off for on, off in zip(found["on"], found["off"], strict=True)]
    quarters = quantiles(ratios, n=4)
    return {
        "case": name,
        "threads": threads,
        "off, us": median(found["off"]) * 1e6,
        "on, us": median(found["on"]) * 1e6,
        "on over off": median(ratios),
        "half of the ratios": f"{quarters[0]:.3f} to {quarters[2]:.3f}",
    }


def profiling_table(cases: Sequence[Case], rounds: int, threads: int, seconds: float) -> list[Row]:
    """A row for each case and number of threads: a step's time, recorded over not recorded."""
    rows = [
        _row(case.name, count, gdcore_step(case, count), rounds, seconds)
        for case in cases
        for count in dict.fromkeys((1, threads))
    ]
    return [*rows, _row("online, 30-64-1", 1, _online(), rounds, seconds)]


def beside_table(cases: Sequence[Case], rounds: int, threads: int, seconds: float) -> list[Row]:
    """The same on all threads, alone and beside a busy process."""
    places: dict[str, Callable[..., object]] = {"alone": nullcontext, "beside": busy_neighbour}
    rows: list[Row] = []
    for case in cases:
        for place, entered in places.items():
            with entered():
                row = _row(case.name, threads, gdcore_step(case, threads), rounds, seconds)
            rows.append({"case": case.name, "place": place} | row)
    return rows
