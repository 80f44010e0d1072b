"""Which rows a timeline has, and how high each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.profiling.overview import Steps
from gdcore.profiling.recording import Recording
from gdcore.profiling.windows import Window

__all__ = ["Row", "Rows", "Stretch"]

_THIN = 0.32  # of a thread's row
_GAP = 0.25  # between teams
_DEEPEST = 4
_MOST_STRETCHES = 3000


@dataclass(frozen=True)
class Row:
    """A row of a timeline; the unit is the height of a thread's row, from the top downwards.

    Attributes:
        name: What stands beside it.
        top: Where it begins.
        height: How high it is.
        thread: The thread's number; of steps and ranges, the caller's.
        depth: None of a thread; of ranges 0 and deeper; of steps -1.
    """

    name: str
    top: float
    height: float
    thread: int
    depth: int | None = None

    @property
    def middle(self) -> float:
        """Half-way down."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class Stretch:
    """A training step or a named range in a timeline.

    Attributes:
        row: Where it is drawn.
        text: What is written in it.
        told: What is shown of it when it is pointed at.
        begin: Nanoseconds since the recording began.
        end: The same.
    """

    row: Row
    text: str
    told: str
    begin: int
    end: int


@dataclass(frozen=True)
class Rows:
    """The rows of one window: steps and ranges above each caller, its workers below it.

    Attributes:
        rows: From the top.
        height: Of all of them.
        borders: Between teams.
        stretches: Steps and ranges.
    """

    rows: list[Row]
    height: float
    borders: list[float]
    stretches: list[Stretch]

    @property
    def threads(self) -> list[Row]:
        """The rows of threads, in the threads' order."""
        found = [row for row in self.rows if row.depth is None]
        return sorted(found, key=lambda row: row.thread)

    @classmethod
    def of(
        cls, recording: Recording, window: Window, known: Mapping[int, Steps] | None = None
    ) -> Rows:
        """Those of a window.

        Args:
            recording: What is shown.
            window: The part of it.
            known: The steps by trainer, where they have been looked for already.
        """
        ranges = window.ranges(recording)[:_MOST_STRETCHES]
        if known is None:
            known = {source: Steps.of(recording, source) for source in recording.trainers}
        steps = _steps(recording, window, known)
        rows: list[Row] = []
        borders: list[float] = []
        stretches: list[Stretch] = []
        top = 0.0
        for number, thread in enumerate(recording.threads):
            if number and thread.team != recording.threads[number - 1].team:
                borders.append(top + _GAP / 2)
                top += _GAP
            own = ranges[ranges["thread"] == number]
            found: list[tuple[int, str]] = [(-1, "steps")] if number in steps else []
            depths = sorted({min(depth, _DEEPEST - 1) for depth in own["depth"].tolist()})
            found += [(depth, "" if depth != depths[0] else "ranges") for depth in depths]
            for depth, name in found:
                row = Row(name, top, _THIN, number, depth)
                rows.append(row)
                top += _THIN
                if depth < 0:
                    stretches += [Stretch(row, *each) for each in steps[number]]
                else:
                    stretches += _named(recording, row, own[own["depth"] == depth])
            rows.append(Row(thread.name, top, 1.0, number))
            top += 1.0
        return cls(rows, top, borders, stretches)


def _named(recording: Recording, row: Row, ranges: NDArray[Any]) -> list[Stretch]:
    return [
        Stretch(row, name := recording.range_names[each["name"]], name, begin, end)
        for each, begin, end in zip(
            ranges, ranges["begin"].tolist(), ranges["end"].tolist(), strict=True
        )
    ]


def _steps(
    recording: Recording, window: Window, known: Mapping[int, Steps]
) -> dict[int, list[tuple[str, str, int, int]]]:
    """By calling thread: text, what is told, begin and end of each step in the window."""
    found: dict[int, list[tuple[str, str, int, int]]] = {}
    events = window.events(recording)
    several = len(known) > 1
    for source, steps in known.items():
        inside = np.flatnonzero((steps.ends > window.begin) & (steps.begins < window.end))
        if not len(inside) or len(inside) > _MOST_STRETCHES:
            continue
        callers = events["team"][events["source"] == source]
        if not len(callers):
            continue
        lines = found.setdefault(int(np.bincount(callers).argmax()), [])
        name = recording.sources[source].name
        for i in inside.tolist():
            number = int(steps.numbers[i])
            begin = max(int(steps.begins[i]), window.begin)
            end = min(int(steps.ends[i]), window.end)
            text = f"step {number:,}"
            lines.append((text, f"{text} of {name}" if several else text, begin, end))
    return found
