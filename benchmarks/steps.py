"""Training steps of gdcore and its peers, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.libraries import LIBRARIES, installed_peers
from benchmarks.processes import busy_neighbour, started
from gdcore.benchmark.cases import Case
from gdcore.benchmark.figures import (
    Row,
    Threads,
    geometric_mean,
    times_the_best,
    with_threads,
)
from gdcore.benchmark.limits import LIMITS
from gdcore.benchmark.turns import Measure, medians
from gdcore.config import show_config

__all__ = ["BY_DEFAULT", "MEAN", "TIMES", "neighbour_table", "precision_table", "step_table"]

# What tables call the ratios that charts draw too.
TIMES, BY_DEFAULT = "times the best peer", "by default, times the best peer"
MEAN = "geometric mean"

# A library, and with how many threads.
_Key = tuple[str, Threads]


@dataclass(frozen=True)
class _Found:
    """Seconds of a step, why others have none, and the peak of multiply-adds meanwhile."""

    seconds: dict[_Key, float]
    reasons: dict[_Key, str]
    peak: float

    def cells(self, keys: Sequence[_Key]) -> Row:
        """Microseconds, or why there are none, by what tables call them."""
        return {
            f"{LIBRARIES[name].label} {with_threads(threads)}, us": (
                self.seconds[name, threads] * 1e6
                if (name, threads) in self.seconds
                else self.reasons[name, threads]
            )
            for name, threads in keys
        }

    def of(self, *names: str) -> list[float]:
        """Seconds of some libraries, on any number of threads."""
        return [value for (name, _), value in self.seconds.items() if name in names]


def _found(case: Case, keys: Sequence[_Key], rounds: int, threads: int, seconds: float) -> _Found:
    wanted = {
        (name, count): ("step_worker", name, case.name, count, seconds) for name, count in keys
    }
    with started(wanted) as (workers, reasons):
        measures: dict[_Key | str, Measure] = {
            key: lambda worker=worker: worker.measure()["seconds"]
            for key, worker in workers.items()
        }
        measures["peak"] = LIMITS["float32"].at(threads)
        found = medians(measures, rounds)
        return _Found({key: found[key] for key in workers}, reasons, found["peak"])


def step_table(cases: Sequence[Case], rounds: int, threads: int, seconds: float) -> list[Row]:
    """A row for each case: microseconds by library and threads, and gdcore's ratios.

    The first ratio is that of gdcore's best number of threads, the other of the one that it
    chooses. The last row has the geometric mean of the ratios.
    """
    peers = installed_peers("torch", "torch-compile", "jax")
    counts = sorted({1, threads})
    keys: list[_Key] = [("gdcore", n) for n in (*counts, None)]
    keys += [(peer, n) for peer in peers for n in counts]
    rows: list[Row] = []
    for case in cases:
        found = _found(case, keys, rounds, threads, seconds)
        best, theirs = min(found.of("gdcore")), found.of(*peers)
        speed = case.multiply_flops / best
        rows.append(
            {"case": case.name, **found.cells(keys)}
            | {
                "GFLOP/s": speed / 1e9,
                "of the peak": speed / found.peak,
                TIMES: times_the_best(best, theirs),
                BY_DEFAULT: times_the_best(found.seconds["gdcore", None], theirs),
            }
        )
    mean: Row = {"case": MEAN}
    for key in (TIMES, BY_DEFAULT):
        mean[key] = geometric_mean(row[key] for row in rows if row[key] is not None)
    return [*rows, mean]


def precision_table(cases: Sequence[Case], rounds: int, threads: int, seconds: float) -> list[Row]:
    """A row for each case and precision of gdcore, beside PyTorch's bfloat16, on all threads."""
    serves = show_config()["precision"]
    ours = {"highest": "gdcore", "high": "gdcore-high", "medium": "gdcore-medium"}
    peers = installed_peers("torch-bfloat16")
    keys: list[_Key] = [(name, threads) for name in (*ours.values(), *peers)]
    rows: list[Row] = []
    for case in cases:
        found = _found(case, keys, rounds, threads, seconds)
        for precision, name in ours.items():
            mine = found.seconds[name, threads]
            row: Row = {
                "case": case.name,
                "precision": precision,
                "computed in": serves[precision],
                f"gdcore {with_threads(threads)}, us": mine * 1e6,
            }
            row |= found.cells([(peer, threads) for peer in peers])
            row["times highest"] = found.seconds["gdcore", threads] / mine
            row["times PyTorch bfloat16"] = times_the_best(mine, found.of(*peers))
            rows.append(row)
    return rows


def neighbour_table(cases: Sequence[Case], rounds: int, threads: int, seconds: float) -> list[Row]:
    """A row for each case and library: what is left of its speed beside a busy process."""
    names = ["gdcore", *installed_peers("torch", "jax")]
    rows: list[Row] = []
    for case in cases:
        wanted = {name: ("step_worker", name, case.name, threads, seconds) for name in names}
        alone: dict[str, list[float]] = {name: [] for name in names}
        beside: dict[str, list[float]] = {name: [] for name in names}
        with started(wanted) as (workers, reasons):
            for _ in range(rounds):
                for name, worker in workers.items():
                    alone[name].append(worker.measure()["seconds"])
                    with busy_neighbour():
                        beside[name].append(worker.measure()["seconds"])
        for name in names:
            row: Row = {"case": case.name, "library": LIBRARIES[name].label, "threads": threads}
            if name in reasons:
                rows.append(row | {"alone, us": reasons[name]})
                continue
            first, second = median(alone[name]), median(beside[name])
            row |= {"alone, us": first * 1e6, "beside, us": second * 1e6, "keeps": first / second}
            rows.append(row)
    return rows
