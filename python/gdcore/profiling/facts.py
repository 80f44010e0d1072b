"""Sums over a recording that advice is made from."""

from __future__ import annotations

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
        time_share: The part of the time that the last has, likewise.
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
        self.time_share = _largest_share(times)


def _largest_share(values: NDArray[np.float64]) -> float:
    """Of each row's largest in its sum, the median."""
    totals = values.sum(axis=1)
    if not (totals > 0).any():
        return 1 / int(values.shape[1])
    return float(np.median(values[totals > 0].max(axis=1) / totals[totals > 0]))


class Held:
    """How much longer than usual a thread's operations took, here and there.

    Attributes:
        thread: Its number.
        nanoseconds: More than usual, in all.
        times: How often.
        longest: Nanoseconds of the longest.
        usual: Nanoseconds that the same operation takes in the median.
    """

    def __init__(
        self, thread: int, nanoseconds: float, times: int, longest: float, usual: float
    ) -> None:
        self.thread = thread
        self.nanoseconds = nanoseconds
        self.times = times
        self.longest = longest
        self.usual = usual


class Facts:
    """Read once, used by several pieces of advice. Times are nanoseconds."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        events = recording.events
        self.in_steps = events["step"] > 0
        self.durations = recording.durations
        self.thread = events["thread"]
        self.steps = recording.recorded_steps
        self.workers = recording.workers
        callers = [i for i in self.workers if recording.threads[i].worker == 0]
        work = [int(self.durations[recording.work & (self.thread == i)].sum()) for i in callers]
        self.caller = callers[int(np.argmax(work))] if callers else -1

    def sum(self, mask: NDArray[np.bool_], thread: int | None = None) -> float:
        """Of the events within training that fit, of one thread or of all."""
        mask = mask & self.in_steps & ~self._after_the_last
        if thread is not None:
            mask = mask & (self.thread == thread)
        return float(self.durations[mask].sum())

    @cached_property
    def _after_the_last(self) -> NDArray[np.bool_]:
        """The program's time behind its last call, and the workers' waiting for a next one."""
        events = self.recording.events
        worked = self.recording.work
        mask = np.zeros(len(events), bool)
        for i in range(len(self.recording.threads)):
            own = self.thread == i
            if not (own & worked).any():
                continue
            last = events["end"][own & worked].max()
            mask |= own & (events["begin"] >= last) & self.recording.phase("caller", "wait")
        return mask

    @cached_property
    def total(self) -> float:
        """Of the caller, from its first step to its last."""
        return max(self.sum(np.ones(len(self.thread), bool), self.caller), 1.0)

    @cached_property
    def step(self) -> float:
        """What a step takes, without callbacks, data and the program around it."""
        around = self.recording.phase("caller", "callback") | self.recording.where(
            lambda each: each.op in ("data", "snapshot")
        )
        return self.sum(~around, self.caller) / max(self.steps, 1)

    def typical(self) -> tuple[float, float]:
        """What the median step takes, and its operations on all workers together."""
        recording = self.recording
        steps = recording.events["step"]
        around = recording.phase("caller", "callback") | recording.where(
            lambda each: each.op in ("data", "snapshot")
        )
        inside = self.in_steps & ~around & (self.thread == self.caller)
        worked = self.in_steps & recording.work
        sums = [
            np.bincount(steps[mask], self.durations[mask], int(steps.max()) + 1)
            for mask in (inside, worked)
        ]
        there = sums[1] > 0
        return float(np.median(sums[0][there])), float(np.median(sums[1][there]))

    def phase(self, *names: str) -> float:
        """The caller's time in those phases."""
        return self.sum(self.recording.phase(*names), self.caller)

    def waited(self, thread: int) -> tuple[float, int]:
        """How long a thread waited, and for which operation most of it."""
        events = self.recording.events
        mask = self.recording.phase("wait") & self.in_steps & ~self._after_the_last
        mask &= self.thread == thread
        if not mask.any():
            return 0.0, 0
        causes = np.bincount(events["waits_for"][mask], self.durations[mask])
        return float(causes.sum()), int(causes.argmax())

    def waited_for(self, thread: int, operation: int) -> float:
        """How long a thread waited for one operation."""
        mask = self.recording.phase("wait") & (self.recording.events["waits_for"] == operation)
        return self.sum(mask, thread)

    def between_steps(self) -> tuple[str, float]:
        """What the caller does most while it neither works nor waits, and its share of that."""
        parts = {name: self.phase(name) for name in ("callback", "caller", "data", "step")}
        most = max(parts, key=lambda name: parts[name])
        return most, parts[most] / max(sum(parts.values()), 1.0)

    def uneven(self) -> list[Uneven]:
        """Operations that workers share, the most time lost first."""
        events, work = self.recording.events, self.recording.work & self.in_steps
        if len(self.workers) < 2:
            return []
        column = np.zeros(len(self.recording.threads), int)
        column[self.workers] = range(len(self.workers))
        found = []
        for operation in np.unique(events["operation"][work]):
            own = work & (events["operation"] == operation)
            _, row = np.unique(events["step"][own], return_inverse=True)
            shape = (row.max() + 1, len(self.workers))
            times, flops = np.zeros(shape), np.zeros(shape)
            where = row, column[self.thread[own]]
            np.add.at(times, where, self.durations[own])
            np.add.at(flops, where, events["flops"][own])
            there = (times > 0).any(axis=0)
            if there.sum() < 2:
                continue
            each = Uneven(int(operation), times[:, there], flops[:, there])
            each.worker = self.workers[int(np.flatnonzero(there)[each.worker])]
            found.append(each)
        return sorted(found, key=lambda each: -each.lost)

    def held_up(self) -> list[Held]:
        """Threads whose operations sometimes took far longer than usual.

        Far longer is more than three times the median of the same operation on the same thread, and
        100 us more: a scheduler's slice is longer than that, and no cache is as slow.
        """
        events, work = self.recording.events, self.recording.work & self.in_steps
        found = []
        for thread in self.workers:
            held = Held(thread, 0.0, 0, 0.0, 0.0)
            for operation in np.unique(events["operation"][work & (self.thread == thread)]):
                own = work & (self.thread == thread) & (events["operation"] == operation)
                times = self.durations[own]
                usual = float(np.median(times))
                far = times[times > max(3 * usual, usual + 100e3)]
                if not len(far):
                    continue
                held.nanoseconds += float((far - usual).sum())
                held.times += len(far)
                if far.max() > held.longest:
                    held.longest, held.usual = float(far.max()), usual
            found.append(held)
        return found
