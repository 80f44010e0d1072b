"""Sums over what one trainer did, that advice is made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gdcore.profiling.recording import Recording

__all__ = ["Facts", "Held", "Uneven"]


class Uneven:
    """How unevenly one operation is shared by the workers.

    Attributes:
        operation: Its number.
        lost: Nanoseconds over all steps that the others were done before the last.
        ratio: What the last one took, over the mean.
        worker: The thread that is the last most often.
        flops_share: The part of the arithmetic that one has who has most, in the median step.
        workers: How many share it.
    """

    def __init__(
        self, operation: int, times: NDArray[np.float64], flops: NDArray[np.float64]
    ) -> None:
        most, mean = times.max(axis=1), times.mean(axis=1)
        self.operation = operation
        self.workers = times.shape[1]
        self.lost = float((most - mean).sum())
        self.ratio = float(most.sum() / max(mean.sum(), 1.0))
        self.worker = int(np.bincount(times.argmax(axis=1), minlength=self.workers).argmax())
        self.flops_share = _largest_share(flops)


def _largest_share(values: NDArray[np.float64]) -> float:
    """Of each row's largest in its sum, the median."""
    totals = values.sum(axis=1)
    if not (totals > 0).any():
        return 1 / int(values.shape[1])
    return float(np.median(values[totals > 0].max(axis=1) / totals[totals > 0]))


@dataclass(frozen=True)
class Held:
    """How much longer than usual a thread's operations took, here and there.

    Attributes:
        thread: Its number.
        nanoseconds: More than usual, in all.
        times: How often.
        longest: Nanoseconds of the longest.
        usual: Nanoseconds that the same operation takes in the median.
    """

    thread: int
    nanoseconds: float = 0.0
    times: int = 0
    longest: float = 0.0
    usual: float = 0.0


@dataclass(frozen=True)
class Named:
    """What went into a range of one name.

    Attributes:
        name: Of the range.
        nanoseconds: In all.
        times: How often.
    """

    name: str
    nanoseconds: float
    times: int


class Facts:
    """Read once, used by several pieces of advice. Times are nanoseconds."""

    def __init__(self, recording: Recording, source: int) -> None:
        self.recording = recording
        self.source = source
        events = recording.events
        self.durations = recording.durations
        self.thread = events["thread"]
        own = events["source"] == source
        self.training = own & recording.training
        self.work = self.training & recording.work
        self.workers = [int(i) for i in np.unique(self.thread[self.work])]
        callers = [i for i in self.workers if recording.threads[i].team == i]
        times = [int(self.durations[self.work & (self.thread == i)].sum()) for i in callers]
        self.caller = callers[int(np.argmax(times))] if callers else -1
        self.steps = len(np.unique(events["step"][self.work]))

    @property
    def batch(self) -> int:
        """The most samples of a step; 0: not known."""
        return self.recording.sources[self.source].batch

    @property
    def all_steps(self) -> int:
        """Recorded or not, where not every step was to be."""
        every = self.recording.every
        return self.recording.sources[self.source].steps if every > 1 else max(self.steps, 1)

    @cached_property
    def in_window(self) -> NDArray[np.bool_]:
        """Events of the team from the first that prepares a step, or is one, to the last step's."""
        events = self.recording.events
        mine = self.thread == self.caller
        ours = self.training | (mine & self.recording.phase("data"))
        ours &= ~self.recording.phase("caller", "callback")
        if not (ours & mine).any():
            return np.zeros(len(events), bool)
        begin = events["begin"][ours & mine].min()
        end = events["end"][self.work].max()
        # After the last step comes what an epoch ends with: validation and callbacks of the fit.
        after = mine & self.recording.phase("callback", "validation")
        last = events["end"][after & (events["begin"] >= begin)]
        end = max(end, last.max()) if len(last) else end
        team = np.isin(self.thread, self.workers)
        inside: NDArray[np.bool_] = team & (events["begin"] >= begin) & (events["end"] <= end)
        return inside

    def sum(self, mask: NDArray[np.bool_], thread: int | None = None) -> float:
        """Of the events from the first step to the last that fit, of one thread or of all."""
        mask = mask & self.in_window
        if thread is not None:
            mask = mask & (self.thread == thread)
        return float(self.durations[mask].sum())

    @cached_property
    def total(self) -> float:
        """Of the caller, from its first step to its last."""
        return max(self.sum(np.ones(len(self.thread), bool), self.caller), 1.0)

    @cached_property
    def around(self) -> NDArray[np.bool_]:
        """Which events are beside the steps: callbacks, data and the program."""
        recording = self.recording
        beside = recording.phase("caller", "callback", "gil", "recorder")
        return beside | recording.where(lambda each: each.op in ("data", "convert", "snapshot"))

    @cached_property
    def step(self) -> float:
        """What a step takes, without callbacks, data and the program around it."""
        return self.sum(self.training & ~self.around, self.caller) / max(self.steps, 1)

    @cached_property
    def flops(self) -> float:
        """Of all workers together, in all steps."""
        return float(self.recording.events["flops"][self.training].sum())

    def typical(self) -> tuple[float, float]:
        """What the median step takes, and its operations on all workers together."""
        steps = self.recording.events["step"]
        inside = self.training & ~self.around & (self.thread == self.caller)
        sums = [
            np.bincount(steps[mask], self.durations[mask], int(steps.max()) + 1)
            for mask in (inside, self.work)
        ]
        there = sums[1] > 0
        return float(np.median(sums[0][there])), float(np.median(sums[1][there]))

    def phase(self, *names: str) -> float:
        """The caller's time in those phases."""
        return self.sum(self.recording.phase(*names), self.caller)

    def usually(self, mask: NDArray[np.bool_]) -> float:
        """The caller's time in events that fit, without what a few of them took beyond all others.

        One lap that the system interrupted is not what a phase takes.
        """
        events = mask & self.in_window & (self.thread == self.caller)
        times = self.durations[events]
        if len(times) < 10:
            return float(times.sum())
        return float(np.minimum(times, 20 * np.quantile(times, 0.9)).sum())

    def waited(self, thread: int) -> tuple[float, int]:
        """How long a thread waited in training, and for which operation most of it."""
        events = self.recording.events
        mask = self.recording.phase("wait") & self.training & self.in_window
        mask &= self.thread == thread
        if not mask.any():
            return 0.0, 0
        causes = np.bincount(events["waits_for"][mask], self.durations[mask])
        return float(causes.sum()), int(causes.argmax())

    def waited_for(self, thread: int, operation: int) -> float:
        """How long a thread waited for one operation."""
        mask = self.recording.phase("wait") & (self.recording.events["waits_for"] == operation)
        return self.sum(mask & self.training, thread)

    def between_steps(self) -> tuple[str, float]:
        """What the caller does most while it neither works nor waits, and its share of that."""
        parts = {name: self.phase(name) for name in ("callback", "caller", "data", "step")}
        most = max(parts, key=lambda name: parts[name])
        return most, parts[most] / max(sum(parts.values()), 1.0)

    def named(self, *endings: str) -> list[Named]:
        """Ranges on the caller's thread whose names end, or begin, so; those of most time first."""
        recording = self.recording
        ranges, durations = recording.ranges, recording.ranges["end"] - recording.ranges["begin"]
        found = []
        for number, name in enumerate(recording.range_names):
            if not any(name.endswith(each) or name.startswith(each) for each in endings):
                continue
            own = (ranges["name"] == number) & (ranges["thread"] == self.caller)
            if own.any():
                found.append(Named(name, float(durations[own].sum()), int(own.sum())))
        return sorted(found, key=lambda each: -each.nanoseconds)

    def by_operation(self, mask: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Each operation of the events that fit, and the places of its events, in order."""
        places = np.flatnonzero(mask)
        kinds = self.recording.events["operation"][places]
        order = np.argsort(kinds, kind="stable")
        counts = np.bincount(kinds, minlength=1)
        ends = np.cumsum(counts)
        for operation in np.flatnonzero(counts).tolist():
            found = order[ends[operation] - counts[operation] : ends[operation]]
            yield operation, places[found]

    def uneven(self) -> list[Uneven]:
        """Operations that workers share, the most time lost first."""
        events = self.recording.events
        if len(self.workers) < 2:
            return []
        column = np.zeros(len(self.recording.threads), int)
        column[self.workers] = range(len(self.workers))
        found = []
        for operation, own in self.by_operation(self.work):
            steps = events["step"][own]
            row = steps - steps.min()
            cells = row.astype(np.int64) * len(self.workers) + column[self.thread[own]]
            shape = int(row.max()) + 1, len(self.workers)
            size = shape[0] * shape[1]
            times = np.bincount(cells, self.durations[own], size).reshape(shape).astype(float)
            flops = np.bincount(cells, events["flops"][own], size).reshape(shape).astype(float)
            some = (times > 0).any(axis=1)  # steps that have the operation
            there = (times > 0).any(axis=0)
            if there.sum() < 2:
                continue
            each = Uneven(operation, times[some][:, there], flops[some][:, there])
            each.worker = self.workers[int(np.flatnonzero(there)[each.worker])]
            found.append(each)
        return sorted(found, key=lambda each: -each.lost)

    def held_up(self) -> list[Held]:
        """Threads whose operations sometimes took far longer than usual.

        Far longer is more than three times the median of the same operation on the same thread, and
        100 us more: a scheduler's slice is longer than that, and no cache is as slow.
        """
        found = []
        for thread in self.workers:
            beyond, times, longest, usually = 0.0, 0, 0.0, 0.0
            for _, own in self.by_operation(self.work & (self.thread == thread)):
                each = self.durations[own]
                usual = float(np.median(each))
                far = each[each > max(3 * usual, usual + 100e3)]
                if not len(far):
                    continue
                beyond += float((far - usual).sum())
                times += len(far)
                if far.max() > longest:
                    longest, usually = float(far.max()), usual
            found.append(Held(thread, beyond, times, longest, usually))
        return found

    @cached_property
    def worked(self) -> float:
        """The part of the time of all workers, from the first step to the last, in operations."""
        whole = self.total * max(len(self.workers), 1)
        return sum(self.sum(self.work, i) for i in self.workers) / whole

    @cached_property
    def working_set(self) -> float:
        """Bytes that the operations of the median step read or write, each once."""
        events = self.recording.events
        sizes = np.bincount(events["step"][self.work], events["bytes"][self.work])
        return float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 0.0
