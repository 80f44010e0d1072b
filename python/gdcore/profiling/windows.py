"""Which stretch of a recording a picture shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore.profiling.overview import Steps
from gdcore.profiling.palette import COLOURS, family
from gdcore.profiling.recording import Recording

__all__ = ["Window", "chosen_window", "columns", "last_window", "unit_of"]


@dataclass(frozen=True)
class Window:
    """A stretch of a recording.

    Attributes:
        begin: Nanoseconds since the recording began.
        end: The same.
        steps: Recorded training steps in it, with the nanosecond in which each begins: those of the
            trainer that made the most.
        trainer: The name of that trainer, where there are several.
        of: How many steps it made.
    """

    begin: int
    end: int
    steps: dict[int, int]
    trainer: str = ""
    of: int = 0

    def events(self, recording: Recording) -> NDArray[Any]:
        """Those that are within, cut to it."""
        return self._cut(recording.events)

    def ranges(self, recording: Recording) -> NDArray[Any]:
        """The stretches with names that are within, cut to it."""
        return self._cut(recording.ranges)

    def _cut(self, rows: NDArray[Any]) -> NDArray[Any]:
        past = int(np.searchsorted(rows["begin"], self.end))
        found = rows[:past][rows["end"][:past] > self.begin]
        found["begin"] = np.maximum(found["begin"], self.begin)
        found["end"] = np.minimum(found["end"], self.end)
        return found

    def told(self) -> str:
        """Which steps it has, such as ``"steps 198 to 200 of 200"``."""
        if not self.steps:
            return "no training steps"
        first, last = min(self.steps), max(self.steps)
        text = f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"
        return f"{text} of {self.of:,}" + (f" of {self.trainer}" if self.trainer else "")


def unit_of(nanoseconds: int) -> tuple[str, float]:
    """The name of the unit that a stretch is shown in, and how many nanoseconds it has."""
    if nanoseconds < 5e6:
        return "microseconds", 1e3
    return ("milliseconds", 1e6) if nanoseconds < 5e9 else ("seconds", 1e9)


def last_window(
    recording: Recording,
    bars: int,
    steps: int | None = None,
    known: Mapping[int, Steps] | None = None,
) -> Window | None:
    """The last whole steps that have at most so many events; None where there are no events.

    Where there are no steps, or already one has far more events, it is the last events.

    Args:
        recording: What to look through.
        bars: Of all threads.
        steps: The most to take, or None.
        known: The steps by trainer, where they have been looked for already.
    """
    events = recording.events
    if not len(events):
        return None
    chosen = _Chosen.of(recording, known)
    found = chosen.steps.whole(recording, chosen.source)
    past = len(found.numbers)
    if recording.every > 1:  # between steps that do not follow each other there is nothing to see
        steps = min(steps or past, _in_a_row(found.numbers))
    window = None
    for start in range(past - 1, max(0, past - (steps or past)) - 1, -1):
        wider = chosen.window(found, start, past)
        # Of those that began earlier and reach into it there is one a thread at most.
        count = np.diff(np.searchsorted(events["begin"], (wider.begin, wider.end)))[0]
        if count > (bars if window else 4 * bars):
            break
        window = wider
    if window is not None:
        return window
    begin, end = int(events["begin"][-min(bars, len(events))]), recording.window[1]
    begins = chosen.steps.begins
    inside = slice(*np.searchsorted(begins, (begin, end)).tolist())
    numbers = chosen.steps.numbers[inside].tolist()
    return chosen.told(begin, end, dict(zip(numbers, begins[inside].tolist(), strict=True)))


def _in_a_row(numbers: NDArray[np.int64]) -> int:
    """How many steps at the end follow each other."""
    gaps = np.flatnonzero(np.diff(numbers) > 1)
    return len(numbers) - (int(gaps[-1]) + 1 if len(gaps) else 0)


def chosen_window(recording: Recording, steps: object) -> Window:
    """From one recorded step to another, of the trainer that made the most.

    Raises:
        TypeError: steps are no two integers.
        ValueError: steps are not in order or none of them was recorded.
    """
    if not isinstance(steps, (tuple, list)):
        raise TypeError(f"steps must be a tuple (first, last), got {steps!r}")
    if len(steps) != 2:
        raise ValueError(f"steps must be two numbers (first, last), got {steps!r}")
    first, last = (integer("steps", each) for each in steps)
    if first > last:
        raise ValueError(f"steps must be in order (first, last), got {steps!r}")
    chosen = _Chosen.of(recording)
    found = chosen.steps
    start, past = np.searchsorted(found.numbers, (first, last + 1)).tolist()
    if start == past:
        if not len(found.numbers):
            raise ValueError(f"steps must be of those recorded: there are none, got {steps!r}")
        recorded = f"{found.numbers[0]} to {found.numbers[-1]}"
        raise ValueError(f"steps must be of those recorded, {recorded}, got {steps!r}")
    return chosen.window(found, start, past)


@dataclass(frozen=True)
class _Chosen:
    """The trainer that made the most steps, and all of its steps."""

    recording: Recording
    source: int
    steps: Steps

    @classmethod
    def of(cls, recording: Recording, known: Mapping[int, Steps] | None = None) -> _Chosen:
        most = max(recording.trainers, key=lambda i: recording.sources[i].steps, default=0)
        steps = known[most] if known and most in known else Steps.of(recording, most)
        return cls(recording, most, steps)

    def told(self, begin: int, end: int, steps: dict[int, int]) -> Window:
        several = len(self.recording.trainers) > 1
        source = self.recording.sources[self.source]
        return Window(begin, end, steps, source.name if several else "", source.steps)

    def window(self, found: Steps, start: int, past: int) -> Window:
        """From one index to before another; what follows a step belongs to it."""
        begins = found.begins[start:past].tolist()
        steps = dict(zip(found.numbers[start:past].tolist(), begins, strict=True))
        end = int(found.ends[past - 1])
        if past < len(found.begins) and found.numbers[past] == found.numbers[past - 1] + 1:
            end = max(end, int(found.begins[past]))
        return self.told(begins[0], end, steps)


def columns(
    recording: Recording, window: Window, own: NDArray[Any], count: int
) -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """For each of so many narrow columns the colour that has most of the time.

    Args:
        recording: What is shown.
        window: The part of it.
        own: One thread's events within.
        count: Of columns.

    Returns:
        For each colour its name, and where its stretches begin and how long they are, in
        nanoseconds from the window's beginning.
    """
    names = list(COLOURS)
    length = max(window.end - window.begin, 1)
    kinds = np.array([names.index(family(each)) for each in recording.operations])
    edges = np.linspace(0, length, count + 1)
    begins, ends = own["begin"] - window.begin, own["end"] - window.begin
    first, last = (np.clip(times * count // length, 0, count - 1) for times in (begins, ends))
    kind = kinds[own["operation"]]
    # Both ends of an event are parts of columns, all columns between them are full.
    sums = np.zeros((count, len(names)))
    short = first == last
    np.add.at(sums, (first[short], kind[short]), (ends - begins)[short])
    long = ~short
    np.add.at(sums, (first[long], kind[long]), edges[first[long] + 1] - begins[long])
    np.add.at(sums, (last[long], kind[long]), ends[long] - edges[last[long]])
    steps = np.zeros((count + 1, len(names)))
    np.add.at(steps, (first[long] + 1, kind[long]), length / count)
    np.add.at(steps, (last[long], kind[long]), -length / count)
    sums += np.cumsum(steps, axis=0)[:count]
    # What is left of adding and taking away is far below a nanosecond.
    winners = np.where(sums.max(axis=1) > 1e-3, sums.argmax(axis=1), -1)
    starts = np.flatnonzero(np.diff(winners, prepend=-2))
    stops = np.append(starts[1:], count)
    found = []
    for k, name in enumerate(names):
        mine = winners[starts] == k
        if mine.any():
            found.append((name, edges[starts[mine]], edges[stops[mine]] - edges[starts[mine]]))
    return found
