"""Recordings of several ranks, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from recordings import events_of

from gdcore.profiling import Profile, Recording
from gdcore.profiling._profile import _with_recording
from gdcore.profiling.recording import Rank
from gdcore.profiling.records import Clock, Machine, Operation, Source, Thread

OPERATIONS = [
    Operation("", "", "", ""),
    Operation("dense_forward", "0", "forward", "float32"),
    Operation("exchange", "", "exchange", ""),
    Operation("caller", "", "caller", ""),
]
WORK, EXCHANGE, PROGRAM = 1, 2, 3


def recording(rows: Sequence[Sequence[int]], host: str = "a", began: int = 0, **more: Any) -> Any:
    """Of one thread: begin, end, operation, step and bytes of each event."""
    told = [(begin, end, 0, size, step, what, 0, 0) for begin, end, what, step, size in rows]
    peaks = {"float32 x1": 1e11, "memory x1": 2e10}  # known: measuring them takes a second
    machine = Machine(cpus=2, quota=None, isa="avx2", precision={}, peaks=peaks, host=host)
    steps = max((row[3] for row in rows), default=0)
    return Recording(
        events=events_of(told),
        operations=OPERATIONS,
        threads=[Thread("caller", 0, 100)],
        machine=machine,
        nanoseconds=max(row[1] for row in rows),
        steps=steps,
        began=began,
        process_id=100,
        sources=[Source(), Source("trainer 1", "trainer", "4-2", "adam", "mse", "float32", steps)],
        **more,
    )


def steps_of(arrivals: Sequence[int], until: int = 1000, size: int = 500) -> list[list[int]]:
    """Steps of 1,000 ns each: work until it comes to the exchange, which ends for all at once."""
    rows = []
    for i, arrival in enumerate(arrivals):
        at = i * 1000
        rows.append([at, at + arrival, WORK, i + 1, 0])
        rows.append([at + arrival, at + until, EXCHANGE, i + 1, size])
    return rows


def ranks_of(*arrivals: Sequence[int], error: float = 10.0) -> list[Rank]:
    return [
        Rank(i, Clock(error=error if i else 0.0), recording(steps_of(each), "ab"[i % 2]))
        for i, each in enumerate(arrivals)
    ]


def profile_of(*arrivals: Sequence[int], error: float = 10.0) -> Profile:
    ranks = ranks_of(*arrivals, error=error)
    return _with_recording(replace(ranks[0].recording, ranks=ranks))
