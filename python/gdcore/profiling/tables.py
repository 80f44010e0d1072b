"""Where the time went, by operation, layer, phase or thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _html
from gdcore.profiling.recording import Recording
from gdcore.typing import TableBy

__all__ = ["BY", "Table", "shown", "table"]

BY: tuple[TableBy, ...] = ("op", "layer", "phase", "thread", "rank")


class Table(list[dict[str, Any]]):
    """Rows as dicts with the same keys; printed, they are lined up."""

    def __str__(self) -> str:
        """A line a row, under a line with the keys."""
        if not self:
            return "(nothing was recorded)"
        keys = list(self[0])
        cells = [keys, *([shown(row[key]) for key in keys] for row in self)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
        right = [any(isinstance(row[key], (int, float)) for row in self) for key in keys]
        lines = []
        for line in cells:
            parts = [
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(line, widths, right, strict=True)
            ]
            lines.append("  ".join(parts).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self, most: int | None = None) -> str:
        """A table of HTML with at most so many rows; another line tells how many more there are."""
        if not self:
            return "<p>(nothing was recorded)</p>"
        keys = list(self[0])
        left = next(
            (i for i, key in enumerate(keys) if isinstance(self[0][key], (int, float))), len(keys)
        )
        rows = [[shown(row[key]) for key in keys] for row in self[:most]]
        more = len(self) - len(rows)
        return _html.table(keys, rows, left=left) + (
            f"<p>and {more:,} more: <code>prof.table()</code></p>" if more else ""
        )

    def __repr__(self) -> str:
        """The same, so that an interactive session shows it."""
        return str(self)


def shown(value: object) -> str:
    """A cell of a table: floats to three digits, or to one decimal from 100 on."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(recording: Recording, by: str) -> Table:
    """The rows for one way to cut, the longest first; threads in their order."""
    if by == "thread":
        return _by_thread(recording)
    events = recording.events
    kinds = recording.operations
    several = any(kind.trainer for kind in kinds)

    def whose(i: int) -> tuple[str, ...]:
        return (kinds[i].trainer,) if several else ()

    keys: dict[str, Callable[[int], tuple[str, ...]]] = {
        "op": lambda i: (
            *(kinds[i].op, kinds[i].layer, kinds[i].phase, kinds[i].arithmetic),
            *whose(i),
        ),
        "layer": lambda i: (kinds[i].layer if kinds[i].of_plan else "", *whose(i)),
        "phase": lambda i: (kinds[i].phase, *whose(i)),
    }
    of = keys[by]
    groups: dict[tuple[str, ...], int] = {}
    numbers = np.array([groups.setdefault(of(i), len(groups)) for i in range(len(kinds))])
    group = numbers[events["operation"]]
    waited_for = np.where(events["waits_for"] > 0, numbers[events["waits_for"]], len(groups))
    sums = _Sums(recording, group, len(groups))
    waits = np.bincount(waited_for, recording.durations, len(groups) + 1)
    names: dict[str, tuple[str, ...]] = {
        "op": ("op", "layer", "phase", "arithmetic"),
        "layer": ("layer",),
        "phase": ("phase",),
    }
    columns = (*names[by], "trainer") if several else names[by]
    rows = []
    for key, i in groups.items():
        if sums.nanoseconds[i] == 0:
            continue
        row: dict[str, Any] = dict(zip(columns, key, strict=True))
        if by == "layer" and not key[0]:
            row["layer"] = "(none)"
        rows.append(row | sums.row(i) | {"waited for, us/step": sums.a_step(waits[i])})
    return Table(sorted(rows, key=lambda row: -row["ms"]))


class _Sums:
    """Sums over groups of events."""

    def __init__(self, recording: Recording, group: NDArray[Any], groups: int) -> None:
        events = recording.events
        self.steps = recording.recorded_steps
        self.nanoseconds = np.bincount(group, recording.durations, groups)
        self.flops = np.bincount(group, events["flops"], groups)
        self.bytes = np.bincount(group, events["bytes"], groups)
        self.all = float(self.nanoseconds.sum())

    def a_step(self, nanoseconds: float) -> float | None:
        return float(nanoseconds) / 1e3 / self.steps if self.steps else None

    def row(self, i: int) -> dict[str, Any]:
        time, flops, size = float(self.nanoseconds[i]), float(self.flops[i]), float(self.bytes[i])
        return {
            "ms": time / 1e6,
            "%": 100 * time / self.all,
            "us/step": self.a_step(time),
            # A nanosecond makes up for the giga.
            "GFLOP/s a thread": flops / time if flops else None,
            "GB/s a thread": size / time if size else None,
            "FLOP/byte": flops / size if flops and size else None,
        }


def _by_thread(recording: Recording) -> Table:
    events, durations = recording.events, recording.durations
    _, end = recording.window
    work = recording.work
    parts = {
        "operations %": work,
        "waiting %": recording.where(lambda each: each.op == "wait"),
        "sleeping %": recording.where(lambda each: each.op in ("sleep", "yield")),
        "callbacks %": recording.phase("callback"),
        "program %": recording.phase("caller"),
    }
    rows = []
    for number, thread in enumerate(recording.threads):
        own = events["thread"] == number
        time = float(durations[own].sum())
        row: dict[str, Any] = {"thread": thread.name, "ms": time / 1e6}
        for key, mask in parts.items():
            row[key] = 100 * float(durations[own & mask].sum()) / max(time, 1.0)
        told = sum(row[key] for key in parts)
        row["other %"] = max(round(100 - told, 9), 0.0)
        since = end - int(events["begin"][own].min())
        row["covered %"] = 100 * time / max(since, 1) if recording.every == 1 else None
        busy = float(durations[own & work].sum())
        row["GFLOP/s"] = float(events["flops"][own].sum()) / busy if busy else None
        row["had a CPU, ms"] = None if thread.cpu_seconds is None else thread.cpu_seconds * 1e3
        row["wanted one, ms"] = None if thread.ready_seconds is None else thread.ready_seconds * 1e3
        row["switches"] = thread.voluntary_switches
        row["taken away"] = thread.involuntary_switches
        row["moves"] = thread.migrations
        row["page faults"] = thread.page_faults
        if any(each.counters for each in recording.threads):
            row |= _counted(thread.counters)
        row["events"] = int(own.sum())
        row["dropped"] = thread.dropped
        rows.append(row)
    return Table(rows)


def _counted(counters: Mapping[str, int] | None) -> dict[str, Any]:
    if counters is None:
        return dict.fromkeys(("Gcycles", "instructions/cycle", "cache misses, M"))
    return {
        "Gcycles": counters["cycles"] / 1e9,
        "instructions/cycle": counters["instructions"] / max(counters["cycles"], 1),
        "cache misses, M": counters["cache_misses"] / 1e6,
    }
