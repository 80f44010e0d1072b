"""Training steps of gdcore and its peers, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from statistics import median

from benchmarks.cases import Case
from benchmarks.processes import Worker, busy_neighbour
from benchmarks.tables import Row

__all__ = ["neighbour_table", "step_table"]

_PEERS = ("torch",)


def _libraries() -> list[str]:
    return ["gdcore", *(peer for peer in _PEERS if find_spec(peer) is not None)]


def _medians(case: Case, keys: Sequence[tuple[str, int, bool]], rounds: int) -> list[float]:
    """Median seconds a step for each (library, threads, beside a busy process), in turns."""
    workers = {
        (library, threads): Worker("worker", library, case.name, threads)
        for library, threads, _ in keys
    }
    times: list[list[float]] = [[] for _ in keys]
    try:
        for _ in range(rounds):
            for (library, threads, busy), found in zip(keys, times):
                with busy_neighbour() if busy else nullcontext():
                    found.append(workers[library, threads].measure()["seconds"])
    finally:
        for worker in workers.values():
            worker.close()
    return [median(found) for found in times]


def step_table(cases: Sequence[Case], rounds: int, threads: int) -> list[Row]:
    """Microseconds a step by library and threads, and gdcore's ratio to the best peer."""
    rows: list[Row] = []
    for case in cases:
        keys = [(name, n, False) for name in _libraries() for n in sorted({1, threads})]
        micros = [seconds * 1e6 for seconds in _medians(case, keys, rounds)]
        row: Row = {"case": case.name}
        row |= {f"{name} x{n}, us": value for (name, n, _), value in zip(keys, micros)}
        ours = [value for (name, _, _), value in zip(keys, micros) if name == "gdcore"]
        theirs = [value for (name, _, _), value in zip(keys, micros) if name != "gdcore"]
        row["GFLOP/s"] = case.multiply_flops / min(ours) / 1e3
        row["times the best peer"] = min(theirs) / min(ours) if theirs else "no peer"
        rows.append(row)
    return rows


def neighbour_table(cases: Sequence[Case], rounds: int, threads: int) -> list[Row]:
    """What is left of the speed beside a busy process, on all threads."""
    rows: list[Row] = []
    for case in cases:
        names = _libraries()
        keys = [(name, threads, busy) for name in names for busy in (False, True)]
        micros = [seconds * 1e6 for seconds in _medians(case, keys, rounds)]
        row: Row = {"case": case.name}
        for name, alone, beside in zip(names, micros[::2], micros[1::2]):
            row[f"{name} alone, us"] = alone
            row[f"{name} beside, us"] = beside
            row[f"{name} keeps"] = alone / beside
        rows.append(row)
    return rows
