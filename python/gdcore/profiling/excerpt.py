"""The part of a recording that a viewer can open: its last events, or some of its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore.profiling.recording import Recording

__all__ = ["MOST_EVENTS", "Excerpt", "StepTimes", "excerpt", "step_times"]

MOST_EVENTS = 80_000  # a trace of so many takes less than 20 MB as text
_WORST = 10  # longest steps that are kept beside the last
_WORST_SHARE = 4  # of the events, one of so many at the most is theirs


@dataclass(frozen=True)
class StepTimes:
    """From where to where each training step of a recording went on all of its threads, by begin.

    Attributes:
        source: (S,) whose.
        step: (S,) its number there.
        begin: (S,) nanoseconds.
        end: (S,) likewise.
    """

    source: NDArray[np.int64]
    step: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        """How many."""
        return len(self.step)

    def where(self, keep: NDArray[Any]) -> StepTimes:
        """Some of them: a mask, or their places."""
        return StepTimes(self.source[keep], self.step[keep], self.begin[keep], self.end[keep])


@dataclass(frozen=True)
class Excerpt:
    """What a trace shows.

    Attributes:
        recording: With the events and ranges that were taken.
        steps: Those that lie within it.
        note: What was taken, in words.
    """

    recording: Recording
    steps: StepTimes
    note: str


def step_times(recording: Recording) -> StepTimes:
    """Of each training step that there are events of."""
    chosen = np.flatnonzero(recording.work & recording.training)
    keys = recording.step_keys[chosen]
    order = np.argsort(keys, kind="stable")
    keys, events = keys[order], recording.events[chosen[order]]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    if not len(starts):
        empty = np.zeros(0, np.int64)
        return StepTimes(empty, empty, empty, empty)
    begins = np.minimum.reduceat(events["begin"], starts)
    ends = np.maximum.reduceat(events["end"], starts)
    by_begin = np.argsort(begins, kind="stable")
    first = keys[starts]
    found = StepTimes(first >> 32, first & 0xFFFFFFFF, begins, ends)
    return found.where(by_begin)


def excerpt(
    recording: Recording, steps: int | range | None = None, most_events: int = MOST_EVENTS
) -> Excerpt:
    """Takes what was asked for, and of that no more than so many events.

    Args:
        recording: What to take from.
        steps: The last so many training steps; or those of some numbers, ``range(100, 110)``; or
            None for all of them with what is around.
        most_events: Where there are more, the last ones are taken; where steps is None, also the
            longest steps.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: most_events or steps is below 1, or there are no such steps.
    """
    most = integer("most_events", most_events, at_least=1000)
    times = step_times(recording)
    events = recording.events
    if steps is None:
        if len(events) <= most and len(recording.ranges) <= most:
            return Excerpt(recording, times, f"all {len(events):,} events")
        worst = _worst(recording, times, most // _WORST_SHARE)
        inside = _overlapping(worst)
        keep = inside(events)
        others = most - int(keep.sum())
        keep = _with_last(keep, ~keep, others)
        note = f"the last {others:,} of {len(events):,} events"
        if len(worst):
            note += f", and the {len(worst)} longest steps"
        if len(events) <= most:
            note = f"all {len(events):,} events, and not all ranges"
    else:
        wanted = _wanted(times, steps)
        inside = _overlapping(wanted)
        keep = inside(events)
        count = int(keep.sum())
        note = f"{len(wanted):,} of {len(times):,} steps, {count:,} events"
        if count > most:
            keep = _with_last(np.zeros_like(keep), keep, most)
            note = f"of {len(wanted):,} of {len(times):,} steps the last {most:,} events"
    return _cut(recording, times, keep, most, note)


def _wanted(times: StepTimes, steps: object) -> StepTimes:
    if isinstance(steps, range):
        numbers = np.arange(steps.start, steps.stop, steps.step)
        found = times.where(np.isin(times.step, numbers))
    elif hasattr(steps, "__index__"):
        found = times.where(np.arange(max(len(times) - integer("steps", steps), 0), len(times)))
    else:
        raise TypeError(
            f"steps must be an integer, a range of step numbers or None, "
            f"got {steps!r} ({type(steps).__name__})"
        )
    if not len(found):
        there = (
            f"{int(times.step.min())} to {int(times.step.max())} are" if len(times) else "none is"
        )
        raise ValueError(f"steps must have a step that was recorded, got {steps}: {there} there")
    return found


def _worst(recording: Recording, times: StepTimes, most: int) -> StepTimes:
    """The longest steps, as many as have no more events than that together."""
    longest = np.argsort(times.begin - times.end, kind="stable")[:_WORST]
    found = times.where(np.sort(longest))
    while len(found) and int(_overlapping(found)(recording.events).sum()) > most:
        longest = longest[:-1]
        found = times.where(np.sort(longest))
    return found


def _overlapping(times: StepTimes) -> Callable[[NDArray[Any]], NDArray[np.bool_]]:
    """What tells which rows, with begin and end, lie in one of these steps or reach into it."""
    # Of stretches by begin, the latest end so far: those of several trainers lie across each other.
    ends = np.maximum.accumulate(times.end) if len(times) else times.end

    def inside(rows: NDArray[Any]) -> NDArray[np.bool_]:
        last = np.searchsorted(times.begin, rows["end"], "left") - 1
        found: NDArray[np.bool_] = last >= 0
        if len(ends):
            found &= ends[np.maximum(last, 0)] > rows["begin"]
        return found

    return inside


def _with_last(keep: NDArray[Any], candidates: NDArray[Any], count: int) -> NDArray[Any]:
    """Also the last so many of the candidates."""
    places = np.flatnonzero(candidates)
    keep = keep.copy()
    keep[places[max(len(places) - count, 0) :]] = True
    return keep


def _cut(
    recording: Recording, times: StepTimes, keep: NDArray[Any], most: int, note: str
) -> Excerpt:
    events = recording.events[keep]
    # Ranges and steps stand where there are events below them.
    begins = events["begin"]
    latest = np.maximum.accumulate(events["end"]) if len(events) else events["end"]

    def shown(begin: NDArray[Any], end: NDArray[Any]) -> NDArray[np.bool_]:
        last = np.searchsorted(begins, end, "right") - 1
        found: NDArray[np.bool_] = last >= 0
        if len(events):
            found &= latest[np.maximum(last, 0)] >= begin
        return found

    ranges = recording.ranges
    kept = shown(ranges["begin"], ranges["end"])
    kept = _with_last(np.zeros_like(kept), kept, most)
    part = replace(recording, events=events, ranges=ranges[kept])
    return Excerpt(part, times.where(shown(times.begin, times.end)), note)
