"""Update rules of gdcore and of PyTorch, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from statistics import median

from benchmarks.processes import started
from gdcore.benchmark.figures import Row
from gdcore.benchmark.turns import in_turns
from gdcore.benchmark.updates import (
    SIZES,
    UpdateTime,
    memory_measures,
    rule_names,
    update_rows,
)

__all__ = ["update_table"]

_PEER = "PyTorch, us"


def update_table(
    rounds: int, threads: int, seconds: float, sizes: Sequence[int] = SIZES
) -> list[Row]:
    """A row for each rule, size and number of threads."""
    times: list[UpdateTime] = []
    theirs: list[Row] = []
    for size in sizes:
        for rule in rule_names():
            for n in sorted({1, threads}):
                ours, beside = _measured(rule, size, n, rounds, seconds)
                times.append(ours)
                theirs.append(beside)
    rows = update_rows(times)
    for row, time, beside in zip(rows, times, theirs):
        row |= beside
        if time.seconds is not None and isinstance(beside.get(_PEER), float):
            row["times PyTorch"] = beside[_PEER] / 1e6 / time.seconds
    return rows


def _measured(
    rule: str, size: int, threads: int, rounds: int, seconds: float
) -> tuple[UpdateTime, Row]:
    """Our time with memory's limit, and what a row has of PyTorch."""
    libraries = ["gdcore", *(["torch"] if find_spec("torch") is not None else [])]
    wanted = {
        library: ("update_worker", library, rule, size, threads, seconds) for library in libraries
    }
    with started(wanted) as (workers, reasons):
        answers = {name: worker.measure for name, worker in workers.items()}
        for (name, _), limit in memory_measures(size, [threads]).items():
            answers[name] = lambda limit=limit: {"speed": limit()}
        found = in_turns(answers, rounds)
    ours = UpdateTime(
        rule,
        size,
        threads,
        _median(found.get("gdcore"), "seconds"),
        _median(found.get("memory"), "speed"),
        reasons.get("gdcore", ""),
    )
    beside: Row = {}
    if (theirs := _median(found.get("torch"), "seconds")) is not None:
        beside = {_PEER: theirs * 1e6, "form": found["torch"][0]["form"]}
    elif "torch" in reasons:
        beside = {_PEER: reasons["torch"]}
    return ours, beside


def _median(answers: Sequence[dict[str, float]] | None, key: str) -> float | None:
    return median(answer[key] for answer in answers) if answers else None
