"""The Chrome trace format, which Perfetto and chrome://tracing open.

Source: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.files import written_beside
from gdcore.profiling.recording import Recording

__all__ = ["rates", "write_trace"]

_PROCESS = 1


def write_trace(recording: Recording, path: Path) -> None:
    """Writes every event as a slice of its thread, and the arithmetic as counters."""
    with written_beside(path) as file:
        file.write(b'{"displayTimeUnit": "ns", "traceEvents": [\n')
        separator = b""
        for entry in _entries(recording):
            file.write(separator + json.dumps(entry, separators=(",", ":")).encode())
            separator = b",\n"
        file.write(b"\n]}\n")


def _entries(recording: Recording) -> Iterator[dict[str, Any]]:
    yield _meta("process_name", 0, name="gdcore")
    for number, thread in enumerate(recording.threads):
        yield _meta("thread_name", number + 1, name=thread.name)
        yield _meta("thread_sort_index", number + 1, sort_index=number)
    operations = recording.operations
    for row in recording.events.tolist():
        begin, end, flops, size, step, operation, waits_for, thread = row[:8]
        what = operations[operation]
        values: dict[str, Any] = {"step": step}
        if flops:
            values["GFLOP"] = flops / 1e9
            values["GFLOP/s"] = flops / max(end - begin, 1)
        if size:
            values["MB"] = size / 1e6
        if waits_for:
            values["waits for"] = operations[waits_for].label
        if what.arithmetic:
            values["arithmetic"] = what.arithmetic
        yield {
            "ph": "X",
            "name": what.label,
            "cat": what.phase,
            "pid": _PROCESS,
            "tid": thread + 1,
            "ts": begin / 1e3,
            "dur": (end - begin) / 1e3,
            "args": values,
        }
    for number, thread in enumerate(recording.threads):
        own = recording.events[recording.events["thread"] == number]
        if not own["flops"].any():
            continue
        times, speeds = rates(own)
        for time, speed in zip(times.tolist(), speeds.tolist(), strict=True):
            yield {
                "ph": "C",
                "name": f"GFLOP/s, {thread.name}",
                "pid": _PROCESS,
                "tid": number + 1,
                "ts": time / 1e3,
                "args": {"GFLOP/s": round(speed, 3)},
            }


def _meta(kind: str, thread: int, **values: Any) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": thread, "args": values}


def rates(events: NDArray[Any], least: int = 1000) -> tuple[NDArray[Any], NDArray[Any]]:
    """The speed of one thread's arithmetic over time.

    Args:
        events: Of one thread, by begin.
        least: Nanoseconds that a stretch of one speed takes at least; shorter events are taken
            together.

    Returns:
        Where stretches begin, in nanoseconds, and operations a nanosecond in each; 0 at the end.
    """
    if not len(events):
        return np.empty(0), np.empty(0)
    stretch = (events["begin"] - events["begin"][0]) // max(least, 1)
    starts = np.flatnonzero(np.diff(stretch, prepend=-1))
    begins = events["begin"][starts]
    flops = np.add.reduceat(events["flops"], starts)
    ends = np.append(begins[1:], events["end"][-1])
    speeds = flops / np.maximum(ends - begins, 1)
    return np.append(begins, events["end"][-1]), np.append(speeds, 0.0)
