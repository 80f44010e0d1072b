"""A finished recording: its events with all that is needed to read them, and its file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.files import checked_path, written_beside
from gdcore.profiling.records import EVENT, Machine, Operation, Thread
from gdcore.profiling.system import CpuTimes

__all__ = ["Recording"]

_FORMAT = 1


@dataclass(frozen=True)
class Recording:
    """What was recorded.

    Attributes:
        events: (N,) of `EVENT`, by begin.
        operations: By the numbers that events have; the first stands for none.
        threads: By the numbers that events have.
        machine: Where it was.
        nanoseconds: How long it took.
        steps: How many training steps were begun, recorded or not.
        every: Of so many steps one was recorded.
        bytes_per_thread: The most memory that a thread's events can take.
        threads_left_out: How many threads recorded nothing, for want of memory.
        counters_error: Why threads have no hardware counters, if they were asked for; else ``""``.
    """

    events: NDArray[Any]
    operations: Sequence[Operation]
    threads: Sequence[Thread]
    machine: Machine
    nanoseconds: int
    steps: int
    every: int = 1
    bytes_per_thread: int = 0
    threads_left_out: int = 0
    counters_error: str = ""

    @classmethod
    def from_core(
        cls,
        raw: dict[str, Any],
        every: int,
        last_steps: int | None,
        before: CpuTimes,
        now: CpuTimes,
    ) -> Recording:
        """What C++ handed over; the CPU times are those at both ends."""
        operations = [Operation("", "", "", "")]
        operations += [Operation(*each) for each in raw["operations"]]
        threads = []
        for lane in raw["threads"]:
            number = lane["thread_id"]
            cpu = ready = None
            if number in now:
                start = before.get(number, (0.0, 0.0))
                cpu, ready = (end - begin for begin, end in zip(start, now[number], strict=True))
            worker = lane["worker"]
            name = "caller" if worker == 0 else f"worker {worker}"
            threads.append(
                Thread(name, worker, number, lane["dropped"], cpu, ready, lane["counters"])
            )
        recording = cls(
            raw["events"],
            operations,
            _told_apart(threads),
            Machine.this(),
            raw["nanoseconds"],
            raw["steps"],
            every,
            raw["bytes_per_thread"],
            raw["threads_left_out"],
            next((lane["counters_error"] for lane in raw["threads"] if lane["counters_error"]), ""),
        )
        return recording._cut(last_steps)._in_order()

    def _cut(self, last_steps: int | None) -> Recording:
        """Where events were lost, all threads begin when the first of them has events again."""
        events = self.events
        keep = np.ones(len(events), bool)
        lossy = [i for i, thread in enumerate(self.threads) if thread.dropped]
        if lossy:
            starts = [events["begin"][events["thread"] == i].min() for i in lossy]
            keep &= events["begin"] >= max(starts)
        if last_steps is not None:
            keep &= events["step"] > max(self.steps - last_steps * self.every, 0)
        if keep.all():
            return self
        gone = np.bincount(events["thread"][~keep], minlength=len(self.threads))
        threads = [
            replace(thread, dropped=thread.dropped + int(more))
            for thread, more in zip(self.threads, gone, strict=True)
        ]
        return replace(self, events=events[keep], threads=threads)

    def _in_order(self) -> Recording:
        """Events by begin; threads without any are left out."""
        # Not np.unique: there NumPy, from 2.3 on, ends the process if Python ends the thread, as it
        # does with daemons at the interpreter's end.
        used = np.flatnonzero(np.bincount(self.events["thread"], minlength=1))
        events = self.events[np.argsort(self.events["begin"], kind="stable")]
        events["thread"] = np.searchsorted(used, events["thread"])
        return replace(self, events=events, threads=[self.threads[int(i)] for i in used])

    # ---- reading ----

    @property
    def durations(self) -> NDArray[np.int64]:
        """(N,) nanoseconds of each event."""
        found: NDArray[np.int64] = self.events["end"] - self.events["begin"]
        return found

    def where(self, what: Callable[[Operation], bool]) -> NDArray[np.bool_]:
        """(N,) which events are of operations that fit."""
        fits = np.array([what(operation) for operation in self.operations], bool)
        fits[0] = False
        found: NDArray[np.bool_] = fits[self.events["operation"]]
        return found

    def phase(self, *names: str) -> NDArray[np.bool_]:
        """(N,) which events belong to one of those phases."""
        return self.where(lambda operation: operation.phase in names)

    @property
    def work(self) -> NDArray[np.bool_]:
        """(N,) which events are operations on a batch."""
        return self.where(lambda operation: operation.of_plan)

    @property
    def workers(self) -> list[int]:
        """Threads that did operations on a batch."""
        return [int(i) for i in np.unique(self.events["thread"][self.work])]

    @property
    def window(self) -> tuple[int, int]:
        """From the first event that is kept to the last, in nanoseconds."""
        if not len(self.events):
            return 0, 0
        return int(self.events["begin"].min()), int(self.events["end"].max())

    @property
    def recorded_steps(self) -> int:
        """Training steps that there are events of."""
        steps = np.unique(self.events["step"][self.work])
        return int((steps > 0).sum())

    @property
    def dropped(self) -> int:
        """Events that were recorded and are gone."""
        return sum(thread.dropped for thread in self.threads)

    # ---- a file ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a compressed NPZ file."""
        rest = {
            "format": _FORMAT,
            "operations": [asdict(each) for each in self.operations],
            "threads": [asdict(each) for each in self.threads],
            "machine": asdict(self.machine),
            "nanoseconds": self.nanoseconds,
            "steps": self.steps,
            "every": self.every,
            "bytes_per_thread": self.bytes_per_thread,
            "threads_left_out": self.threads_left_out,
            "counters_error": self.counters_error,
        }
        with written_beside(checked_path(path)) as file:
            np.savez_compressed(file, events=self.events, rest=np.array(json.dumps(rest)))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Reads what `save` wrote.

        Raises:
            OSError: The file cannot be read.
            ValueError: It holds no profile.
        """
        path = checked_path(path)
        with open(path, "rb") as file:  # a missing file is an OSError; the rest is about content
            try:
                with np.load(file, allow_pickle=False) as arrays:
                    events, rest = arrays["events"], json.loads(str(arrays["rest"]))
                if rest.pop("format") != _FORMAT or events.dtype.names != EVENT.names:
                    raise ValueError("of another format")
                rest["operations"] = [Operation(**each) for each in rest["operations"]]
                rest["threads"] = [Thread(**each) for each in rest["threads"]]
                rest["machine"] = Machine(**rest["machine"])
                return cls(events=events.astype(EVENT), **rest)
            except Exception as error:
                raise ValueError(
                    f"path must be a profile that Profile.save wrote, got {path!r} ({error})"
                ) from None


def _told_apart(threads: list[Thread]) -> list[Thread]:
    """Names that occur twice, as where several threads call, get a number."""
    names = [thread.name for thread in threads]
    seen: dict[str, int] = {}
    found = []
    for thread in threads:
        if names.count(thread.name) > 1:
            seen[thread.name] = seen.get(thread.name, 0) + 1
            thread = replace(thread, name=f"{thread.name} ({seen[thread.name]})")
        found.append(thread)
    return found
