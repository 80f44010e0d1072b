"""A whole recording in numbers: how long each step took, which took longest, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.profiling.recording import Recording
from gdcore.profiling.records import Operation
from gdcore.profiling.tables import Table

__all__ = ["Buckets", "Overview", "Steps", "most_longer", "named", "overview", "overviews"]

_WORST = 5
_TENTHS = 10
_LEAST_FOR_DRIFT = 40  # steps; of fewer, a tenth tells nothing
# What a thread does around a step, not in it.
_PHASES_AROUND = frozenset(("callback", "caller", "gil", "recorder"))
_OPS_AROUND = frozenset(("data", "convert", "snapshot"))


@dataclass(frozen=True)
class Steps:
    """Training steps of one trainer in their order.

    Attributes:
        numbers: (S,) from 1 on.
        begins: (S,) when the first thread began its work on it, in nanoseconds since the recording
            began.
        ends: (S,) when the last one was done.
    """

    numbers: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, recording: Recording, source: int) -> Steps:
        """All that there is work of."""
        events = recording.events
        mine = recording.work & recording.training & (events["source"] == source)
        own = np.flatnonzero(mine)
        if not len(own):
            none = np.zeros(0, np.int64)
            return cls(none, none, none)
        own = own[np.argsort(events["step"][own], kind="stable")]
        numbers = events["step"][own].astype(np.int64)
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        return cls(
            numbers[starts],
            np.minimum.reduceat(events["begin"][own], starts),
            np.maximum.reduceat(events["end"][own], starts),
        )

    def whole(self, recording: Recording, source: int) -> Steps:
        """Without a first whose beginning is lost and a last that was cut short."""
        first, past = 0, len(self.numbers)
        if recording.dropped and past > 1:
            first = 1
        if past - first > 1:
            events = recording.events
            mine = recording.work & recording.training & (events["source"] == source)
            before, last = (
                set(events["operation"][mine & (events["step"] == step)].tolist())
                for step in self.numbers[-2:]
            )
            past -= last < before
        kept = slice(first, past)
        return Steps(self.numbers[kept], self.begins[kept], self.ends[kept])


@dataclass(frozen=True)
class Buckets:
    """Step times over the run, some steps taken together.

    Attributes:
        first: (B,) the number of each one's first step.
        last: (B,) of its last.
        median: (B,) nanoseconds.
        p99: (B,) that 99 % of its steps take at most.
        longest: (B,) of its longest step.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    median: NDArray[np.float64]
    p99: NDArray[np.float64]
    longest: NDArray[np.float64]


@dataclass(frozen=True)
class Overview:
    """The steps of one trainer. Times are nanoseconds.

    A step's time is what its caller spends in it; callbacks, the program between two calls and the
    conversion of arrays do not count.

    Attributes:
        source: The trainer's number.
        name: Its name, such as ``"trainer 1"``.
        steps: Which were recorded whole.
        times: (S,) how long each took.
        p50: What the median step takes.
        p99: What 99 % of the steps take at most.
        slowest: The longest.
        drift: The median of the last tenth over that of the first, minus 1; None where there are
            too few steps.
        worst: Indices of the longest steps, the longest first.
        typical: The index of a step that takes about the median.
    """

    source: int
    name: str
    steps: Steps
    times: NDArray[np.float64]
    p50: float
    p99: float
    slowest: float
    drift: float | None
    worst: list[int]
    typical: int

    def span(self, index: int) -> tuple[int, int]:
        """From when to when a step goes, in nanoseconds since the recording began.

        Its caller may begin before the first thread begins its work, as by waking the others.
        """
        begin, end = int(self.steps.begins[index]), int(self.steps.ends[index])
        return max(min(begin, end - int(self.times[index])), 0), end

    def buckets(self, most: int) -> Buckets:
        """The times in at most so many buckets of equally many steps."""
        count = len(self.times)
        edges = np.linspace(0, count, min(most, count) + 1).astype(np.int64)
        starts, sizes = edges[:-1], np.diff(edges)
        bucket = np.repeat(np.arange(len(starts)), sizes)
        ordered = self.times[np.lexsort((self.times, bucket))]
        return Buckets(
            self.steps.numbers[starts],
            self.steps.numbers[edges[1:] - 1],
            (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2,
            ordered[starts + np.ceil(0.99 * sizes).astype(np.int64) - 1],
            ordered[edges[1:] - 1],
        )


def overviews(recording: Recording, known: Mapping[int, Steps] | None = None) -> list[Overview]:
    """Of each trainer that has whole steps, the one with the most first.

    Args:
        recording: What to look through.
        known: The steps by trainer, where they have been looked for already.
    """
    if known is None:
        known = {source: Steps.of(recording, source) for source in recording.trainers}
    found = [overview(recording, source, steps) for source, steps in known.items()]
    kept = [each for each in found if each is not None]
    return sorted(kept, key=lambda each: -len(each.times))


def overview(
    recording: Recording, source: int, steps: Steps | None = None, *, worst: int = _WORST
) -> Overview | None:
    """Of one trainer; None where it has no whole step.

    Args:
        recording: What to look through.
        source: The trainer's number.
        steps: All of its steps, where they have been looked for already.
        worst: How many of the longest steps to tell of.
    """
    if steps is None:
        steps = Steps.of(recording, source)
    steps = steps.whole(recording, source)
    if not len(steps.numbers):
        return None
    times = _times(recording, source, steps.numbers)
    p50, p99 = np.quantile(times, (0.5, 0.99)).tolist()
    tenth = len(times) // _TENTHS
    drift = None
    if len(times) >= _LEAST_FOR_DRIFT and p50 > 0:
        first, last = np.median(times[:tenth]), np.median(times[-tenth:])
        drift = float(last / first - 1) if first else None
    order = np.argsort(-times, kind="stable")
    return Overview(
        source=source,
        name=recording.sources[source].name,
        steps=steps,
        times=times,
        p50=p50,
        p99=p99,
        slowest=float(times.max()),
        drift=drift,
        worst=order[: min(worst, len(times) - 1)].tolist(),
        typical=int(np.argmin(np.abs(times - p50))),
    )


def _times(recording: Recording, source: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nanoseconds that each step's caller spends in it."""
    events = recording.events
    inside = recording.training & recording.where(_of_step) & (events["source"] == source)
    callers = np.array([thread.worker == 0 for thread in recording.threads], bool)
    called = inside & callers[events["thread"]]
    own = called if called.any() else inside
    place = np.searchsorted(numbers, events["step"][own])
    there = place < len(numbers)
    there[there] = numbers[place[there]] == events["step"][own][there]
    times = np.zeros(len(numbers), np.int64)
    np.add.at(times, place[there], recording.durations[own][there])
    return times.astype(np.float64)


def _of_step(operation: Operation) -> bool:
    return operation.phase not in _PHASES_AROUND and operation.op not in _OPS_AROUND


def most_longer(recording: Recording, found: Overview, index: int) -> str:
    """What a step spends most of its additional time in, beside a typical one.

    Returns:
        Such as ``"update 1 on worker 1: 812 us more"``; ``""`` where nothing took longer.
    """
    usual = _sums(recording, found, found.typical)
    excess = {
        key: time - usual.get(key, 0.0) for key, time in _sums(recording, found, index).items()
    }
    # Others' waiting follows from what made them wait.
    worked = {
        key: more for key, more in excess.items() if recording.operations[key[0]].phase != "wait"
    }
    lists = [each for each in (worked, excess) if each]
    total = found.times[index] - found.times[found.typical]
    for each in lists:
        operation, thread = max(each, key=lambda key: each[key])
        more = each[operation, thread]
        if more > 0.2 * total and more > 0:
            told = recording.operations[operation].label, recording.threads[thread].name
            return f"{told[0]} on {told[1]}: {more / 1e3:,.0f} us more"
    return ""


def _sums(recording: Recording, found: Overview, index: int) -> dict[tuple[int, int], float]:
    """Nanoseconds of each operation and thread in a step."""
    events = recording.events
    begin, end = found.span(index)
    # All begin before it ends; few begin before it does.
    past = int(np.searchsorted(events["begin"], end))
    near = events[max(past - 200_000, 0) : past]
    near = near[(near["end"] > begin) & (near["source"] == found.source)]
    sums: dict[tuple[int, int], float] = {}
    for operation, thread, first, last in zip(
        near["operation"].tolist(),
        near["thread"].tolist(),
        np.maximum(near["begin"], begin).tolist(),
        np.minimum(near["end"], end).tolist(),
        strict=True,
    ):
        key = operation, thread
        sums[key] = sums.get(key, 0.0) + last - first
    return sums


def named(recording: Recording) -> Table:
    """The stretches that have a name of the program's, by name, the longest first."""
    ranges = recording.ranges
    names = recording.range_names
    counts = np.bincount(ranges["name"], minlength=len(names))
    times = np.bincount(ranges["name"], ranges["end"] - ranges["begin"], len(names))
    rows: list[dict[str, Any]] = [
        {
            "name": names[i],
            "count": int(counts[i]),
            "ms": float(times[i] / 1e6),
            "mean ms": float(times[i] / counts[i] / 1e6),
            "% of the recording": float(100 * times[i] / max(recording.nanoseconds, 1)),
        }
        for i in np.flatnonzero(counts).tolist()
    ]
    return Table(sorted(rows, key=lambda row: -row["ms"]))
