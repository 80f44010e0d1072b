"""Training steps of gdcore, alone and on more and more threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.benchmark.cases import Case
from gdcore.benchmark.figures import Row, Threads, with_threads
from gdcore.benchmark.limits import LIMITS
from gdcore.benchmark.turns import Measure, Step, medians, repeated
from gdcore.layers import Dense
from gdcore.network import Network
from gdcore.optimizers import Adam
from gdcore.training import Trainer
from gdcore.typing import Precision

__all__ = ["StepTimes", "batches", "counts_up_to", "gdcore_step", "scaling_rows", "step_rows"]

# Batches take turns: one batch again and again drives its loss, and with it the gradients, to zero,
# and steps on zeros have other speeds than steps on numbers.
_BATCHES = 8

_FAR = 1.05  # times the best number of threads, from where on our own choice is a bad one


def batches(case: Case) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """The batches that take turns: inputs and labels, or targets of shape (batch, 1)."""
    random = np.random.default_rng(0)
    found: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for _ in range(_BATCHES):
        x = random.standard_normal((case.batch, case.sizes[0]), np.float32)
        if case.sizes[-1] > 1:
            found.append((x, random.integers(0, case.sizes[-1], case.batch)))
        else:
            found.append((x, random.integers(0, 2, (case.batch, 1)).astype(np.float32)))
    return found


def gdcore_step(case: Case, threads: Threads, precision: Precision = "highest") -> Step:
    """One training step of gdcore."""
    layers = [Dense(units, "relu") for units in case.sizes[1:-1]]
    net = Network([*layers, Dense(case.sizes[-1])], input_size=case.sizes[0], seed=0)
    trainer = Trainer(
        net, case.loss, Adam(lr=1e-3), matmul_precision=precision, num_threads=threads
    )
    data = batches(case)

    def step(number: int) -> None:
        trainer.step(*data[number % _BATCHES])

    return step


@dataclass(frozen=True)
class StepTimes:
    """What was measured of a case.

    Attributes:
        case: The case.
        seconds: Of a step, by number of threads.
        peak: Operations a second that the machine could do meanwhile, on the most threads.
    """

    case: Case
    seconds: dict[Threads, float]
    peak: float

    @classmethod
    def measured(
        cls, case: Case, counts: Sequence[Threads], rounds: int, seconds: float
    ) -> StepTimes:
        """Measures a case on each number of threads, which take turns with the peak."""
        measures: dict[Threads | str, Measure] = {
            threads: repeated(gdcore_step(case, threads), seconds) for threads in counts
        }
        measures["peak"] = LIMITS["float32"].at(max(n for n in counts if n is not None))
        found = medians(measures, rounds)
        return cls(case, {threads: found[threads] for threads in counts}, found["peak"])


def counts_up_to(threads: int) -> list[Threads]:
    """1 to ``threads``, above 8 only doublings of it; then None, the library's own choice."""
    counts = {n for n in range(1, threads + 1) if n <= 8 or n & (n - 1) == 0}
    return [*sorted(counts | {threads}), None]


def step_rows(times: Sequence[StepTimes]) -> list[Row]:
    """A row for each case: microseconds, and the speed of the matrix products against the peak."""
    rows: list[Row] = []
    for each in times:
        most = max(n for n in each.seconds if n is not None)
        speed = each.case.multiply_flops / min(each.seconds.values())
        row: Row = {
            "case": each.case.name,
            "network": each.case.network,
            "batch": each.case.batch,
        }
        for threads in dict.fromkeys((1, most, None)):
            row[f"{with_threads(threads)}, us"] = each.seconds[threads] * 1e6
        rows.append(row | {"GFLOP/s": speed / 1e9, "of the peak": speed / each.peak})
    return rows


def scaling_rows(times: Sequence[StepTimes]) -> list[Row]:
    """A row for each case: microseconds by threads, and whether None chooses well."""
    rows: list[Row] = []
    for each in times:
        row: Row = {"case": each.case.name}
        row |= {f"{with_threads(n)}, us": value * 1e6 for n, value in each.seconds.items()}
        best = min(value for n, value in each.seconds.items() if n is not None)
        if 2 in each.seconds:
            row["two over one"] = each.seconds[1] / each.seconds[2]
        row["None over the best"] = each.seconds[None] / best
        row["None is far off"] = "yes" if each.seconds[None] > _FAR * best else "no"
        rows.append(row)
    return rows
