"""Update rules on arrays of one's own, large and small: they move memory, and do little else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import TypeVar

import numpy as np

from gdcore.benchmark.figures import Row
from gdcore.benchmark.limits import LIMITS
from gdcore.benchmark.turns import Measure, Step, medians, repeated
from gdcore.config import set_num_threads
from gdcore.layers import Dense
from gdcore.network import Network
from gdcore.optimizers import Optimizer
from gdcore.training import Trainer

__all__ = [
    "SIZES",
    "UpdateTime",
    "alternating",
    "bytes_moved",
    "gdcore_update",
    "memory_measures",
    "normals",
    "on_threads",
    "rule_names",
    "update_rows",
    "update_times",
]

A = TypeVar("A")

SIZES = (1 << 25, 4096)
_LARGE = 1 << 22  # parameters, from where on no cache holds them

_ROWS = 64  # of the arrays; few, so that rules that multiply matrices can be measured too
_TURN = 16  # steps with the same gradients


def rule_names() -> list[str]:
    """Every optimizer there is."""
    return list(Optimizer.members)


def alternating(*gradients: A) -> Iterator[A]:
    """Which gradients the next step takes, for ever.

    With one and the same for ever a rule's means of it, and what differs from them, settle down to
    values that no training has; a change at every step would be part of what is measured.
    """
    return cycle([each for each in gradients for _ in range(_TURN)])


def normals(size: int, seed: int) -> np.ndarray:
    """An array of about ``size`` numbers, of shape (64, size / 64) where it has so many."""
    rows = min(_ROWS, size)
    return np.random.default_rng(seed).standard_normal((rows, size // rows), np.float32)


def gdcore_update(name: str, size: int) -> Step:
    """One step of a rule, with its defaults; like its peers it does not look for NaN first."""
    bound = Optimizer.resolve("rule", name).bind([normals(size, 0)])
    gradients = alternating([normals(size, 1)], [normals(size, 2)])

    def step(_: int) -> None:
        bound.step(next(gradients), check_finite=False)

    return step


def bytes_moved(name: str, size: int) -> float:
    """Bytes a step must move at least: weights and states read and written, gradients read."""
    net = Network([Dense(_ROWS, bias=False)], input_size=_ROWS)
    plan = Trainer(net, None, Optimizer.resolve("name", name)).memory_plan(1)
    return 4 * size * (3 + 2 * plan["optimizer_state"] / plan["parameters"])


@contextmanager
def _threads(count: int) -> Iterator[None]:
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(None)


def on_threads(threads: int, measure: Measure) -> Measure:
    """The same on that many threads, where no argument says how many."""

    def measured() -> float:
        with _threads(threads):
            return measure()

    return measured


@dataclass(frozen=True)
class UpdateTime:
    """What was measured of a rule.

    Attributes:
        rule: Its name.
        size: Parameters.
        threads: How many.
        seconds: Of a step; None where it does not run.
        memory: Bytes a second that the machine could move meanwhile; None where a cache holds all.
        why: Why it does not run.
    """

    rule: str
    size: int
    threads: int
    seconds: float | None
    memory: float | None = None
    why: str = ""


def memory_measures(size: int, counts: Sequence[int]) -> dict[tuple[str, int], Measure]:
    """The limit that large arrays are held against, on each number of threads."""
    return {("memory", n): LIMITS["memory"].at(n) for n in counts if size >= _LARGE}


def update_times(
    rounds: int, threads: int, seconds: float, sizes: Sequence[int] = SIZES
) -> list[UpdateTime]:
    """Measures every rule on one thread and on all, which take turns with memory's limit."""
    counts = sorted({1, threads})
    times: list[UpdateTime] = []
    for size in sizes:
        for name in rule_names():
            try:
                step = gdcore_update(name, size)
                measures = memory_measures(size, counts)
                for n in counts:
                    with _threads(n):
                        measures["rule", n] = on_threads(n, repeated(step, seconds))
            except (TypeError, ValueError, NotImplementedError) as error:  # needs more than that
                times += [UpdateTime(name, size, n, None, why=str(error)) for n in counts]
                continue
            found = medians(measures, rounds)
            times += [
                UpdateTime(name, size, n, found["rule", n], found.get(("memory", n)))
                for n in counts
            ]
    return times


def update_rows(times: Sequence[UpdateTime]) -> list[Row]:
    """A row for each measurement: microseconds, bytes a second, and of what that is how much."""
    speeds = [
        None if each.seconds is None else bytes_moved(each.rule, each.size) / each.seconds
        for each in times
    ]
    best: dict[tuple[int, int], float] = {}
    for each, speed in zip(times, speeds, strict=True):
        key = each.size, each.threads
        best[key] = max(best.get(key, 0.0), speed or 0.0)
    rows: list[Row] = []
    for each, speed in zip(times, speeds, strict=True):
        row: Row = {"rule": each.rule, "parameters": each.size, "threads": each.threads}
        if each.seconds is None or speed is None:
            rows.append(row | {"us": each.why})
            continue
        row |= {
            "us": each.seconds * 1e6,
            "GB/s": speed / 1e9,
            "of the best rule": speed / best[each.size, each.threads],
            "of memory": None if each.memory is None else speed / each.memory,
        }
        rows.append(row)
    return rows
