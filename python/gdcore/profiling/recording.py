"""A finished recording: its events with all that is needed to read them, and its file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore import _core
from gdcore.files import checked_path, written_beside
from gdcore.profiling.records import (
    EVENT,
    RANGE,
    WAITS,
    Clock,
    Machine,
    Operation,
    Source,
    Thread,
)
from gdcore.profiling.system import Pressure, ThreadTimes, Times

__all__ = ["Rank", "Recording"]

_FORMAT = 2
_FORMAT_OF_RANKS = 3


@dataclass(frozen=True)
class Recording:
    """What was recorded.

    Attributes:
        events: (N,) of `EVENT`, by begin.
        operations: By the numbers that events have; the first stands for none.
        threads: By the numbers that events have, each caller before its workers.
        sources: By the numbers that events have; the first stands for none.
        ranges: (R,) of `RANGE`, by begin.
        range_names: By the numbers that ranges have.
        machine: Where it was.
        nanoseconds: How long it took.
        began: When, in nanoseconds of the system's CLOCK_MONOTONIC.
        process_id: The system's number of the process.
        throttled_seconds: How long the cgroup's quota held back the process meanwhile.
        stolen_seconds: How long the machine below a virtual one gave its CPUs to others, over all.
        steps: How many training steps were begun, recorded or not.
        every: Of so many steps one was recorded.
        last_steps: How many steps at the end were kept, where somebody asked for that.
        bytes_per_thread: The most memory that a thread's events can take.
        threads_left_out: How many threads recorded nothing, for want of memory.
        counters_error: Why threads have no hardware counters, if they were asked for; else ``""``.
        memory: (M, 3) nanoseconds since the recording began, bytes that the process had in memory,
            and bytes of them that gdcore's own buffers had.
        ranks: Of rank 0 of several that recorded together: all of them, by number.
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
    last_steps: int | None = None
    began: int = 0
    process_id: int = 0
    throttled_seconds: float = 0.0
    stolen_seconds: float = 0.0
    sources: Sequence[Source] = (Source(),)
    ranges: NDArray[Any] = field(default_factory=lambda: np.zeros(0, RANGE))
    range_names: Sequence[str] = ()
    memory: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    ranks: Sequence[Rank] = ()

    @classmethod
    def from_core(
        cls,
        raw: dict[str, Any],
        last_steps: int | None,
        before: ThreadTimes,
        now: ThreadTimes,
        taken: Pressure,
    ) -> Recording:
        """What C++ handed over; the times are those at both ends."""
        named = [Operation("", "", "", "")]
        named += [Operation(*each) for each in raw["operations"]]
        events = raw["events"]()
        events = events[np.argsort(events["begin"], kind="stable")]
        sources, numbers = _sources(raw["sources"])
        events["source"] = numbers[events["source"]]
        threads = [
            _thread(i, lane, before, now, events[events["thread"] == i])
            for i, lane in enumerate(raw["threads"])
        ]
        ranges, names = _ranges(raw["threads"], numbers)
        recording = cls(
            events=events,
            operations=_by_purpose(events, named, sources),
            threads=threads,
            machine=Machine.this(),
            nanoseconds=raw["nanoseconds"],
            steps=raw["steps"],
            every=raw["every"],
            bytes_per_thread=raw["bytes_per_thread"],
            threads_left_out=raw["threads_left_out"],
            counters_error=next(
                (lane["counters_error"] for lane in raw["threads"] if lane["counters_error"]), ""
            ),
            last_steps=last_steps,
            began=raw["began"],
            process_id=os.getpid(),
            sources=sources,
            ranges=ranges,
            range_names=names,
            memory=raw["memory"],
            throttled_seconds=taken.throttled,
            stolen_seconds=taken.stolen,
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
            last = np.array([source.steps for source in self.sources], np.int64)
            first = np.maximum(last - last_steps * self.every, 0)
            keep &= events["step"] > first[events["source"]]
        if keep.all():
            return self
        gone = np.bincount(events["thread"][~keep], minlength=len(self.threads))
        threads = [
            replace(thread, dropped=thread.dropped + int(more))
            for thread, more in zip(self.threads, gone, strict=True)
        ]
        kept = events[keep]
        begin = int(kept["begin"].min()) if len(kept) else self.nanoseconds
        ranges = self.ranges[self.ranges["end"] > begin]
        return replace(self, events=kept, threads=threads, ranges=ranges)

    def _in_order(self) -> Recording:
        """Callers with their workers; threads without any are left out."""
        # Not np.unique: there NumPy, from 2.3 on, ends the process if Python ends the thread, as it
        # does with daemons at the interpreter's end.
        events = self.events
        counts = np.bincount(events["thread"], minlength=len(self.threads))
        threads = list(self.threads)
        for i, thread in enumerate(threads):
            if thread.worker > 0 and counts[i]:  # where it worked most
                teams = np.bincount(events["team"][events["thread"] == i])
                threads[i] = replace(thread, team=int(teams.argmax()))
        named = np.bincount(self.ranges["thread"], minlength=len(threads))
        used = [i for i in range(len(threads)) if counts[i] or named[i]]
        working = {int(team) for team in np.flatnonzero(np.bincount(events["team"][self.work]))}
        # Who only watched comes last.
        used.sort(
            key=lambda i: (threads[i].team not in working, threads[i].team, threads[i].worker, i)
        )
        place = np.zeros(len(threads), np.uint16)
        place[used] = range(len(used))
        events["thread"] = place[events["thread"]]
        events["team"] = place[events["team"]]
        ranges = self.ranges[np.argsort(self.ranges["begin"], kind="stable")]
        ranges["thread"] = place[ranges["thread"]]
        kept = [replace(threads[i], team=int(place[threads[i].team])) for i in used]
        return replace(self, events=events, threads=_told_apart(kept), ranges=ranges)

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

    @cached_property
    def work(self) -> NDArray[np.bool_]:
        """(N,) which events are operations on a batch."""
        return self.where(lambda operation: operation.of_plan)

    @cached_property
    def training(self) -> NDArray[np.bool_]:
        """(N,) which events are of steps, and of what is around them."""
        found: NDArray[np.bool_] = (self.events["purpose"] == 0) & (self.events["step"] > 0)
        return found

    @property
    def workers(self) -> list[int]:
        """Threads that did operations on a batch."""
        found = np.bincount(self.events["thread"][self.work], minlength=len(self.threads))
        return [int(i) for i in np.flatnonzero(found)]

    @property
    def window(self) -> tuple[int, int]:
        """From the first event that is kept to the last, in nanoseconds."""
        if not len(self.events):
            return 0, 0
        return int(self.events["begin"].min()), int(self.events["end"].max())

    @cached_property
    def step_keys(self) -> NDArray[np.int64]:
        """(N,) a number for each step of each source, which rises with the step."""
        events = self.events
        found: NDArray[np.int64] = (events["source"].astype(np.int64) << 32) + events["step"]
        return found

    @cached_property
    def recorded_steps(self) -> int:
        """Training steps that there are events of."""
        keys = self.step_keys[self.work & self.training]
        steps = np.sort(keys)[np.diff(np.sort(keys), prepend=-1) > 0]
        begun = np.array([source.steps for source in self.sources], np.int64)
        # A forward pass whose update never came is no step.
        return int((steps & 0xFFFFFFFF <= begun[steps >> 32]).sum())

    def of(self, source: int) -> Recording:
        """The same with the events of one source alone, and of its threads."""
        keep = self.events["source"] == source
        return replace(
            self,
            events=self.events[keep],
            ranges=self.ranges[self.ranges["source"] == source],
            steps=self.sources[source].steps,
        )

    def on(self, clock: Clock) -> Recording:
        """The same in times of rank 0's clock, of a rank whose clock is that."""
        rate = clock.drift

        def moved(times: NDArray[Any]) -> NDArray[np.int64]:
            found: NDArray[np.int64] = times - np.rint(rate * times).astype(np.int64)
            return found

        arrays = {name: getattr(self, name).copy() for name in _ARRAYS}
        for name in ("events", "ranges"):
            for end in ("begin", "end"):
                arrays[name][end] = moved(arrays[name][end])
        arrays["memory"][:, 0] = moved(arrays["memory"][:, 0])
        return replace(
            self,
            **arrays,
            began=self.began - round(clock.ahead(self.began)),
            nanoseconds=self.nanoseconds - round(rate * self.nanoseconds),
        )

    @property
    def trainers(self) -> list[int]:
        """The numbers of the sources that made training steps."""
        return [i for i, source in enumerate(self.sources) if source.steps]

    @property
    def dropped(self) -> int:
        """Events that were recorded and are gone."""
        return sum(thread.dropped for thread in self.threads)

    # ---- a file ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a compressed NPZ file."""
        rest, arrays = self._rest(), {name: getattr(self, name) for name in _ARRAYS}
        rest["format"] = _FORMAT
        if self.ranks:
            rest["format"] = _FORMAT_OF_RANKS
            rest["ranks"] = [
                {"number": each.number, "clock": asdict(each.clock)}
                # The first is what stands in the file in any case.
                | ({} if i == 0 else {"recording": each.recording._rest()})
                for i, each in enumerate(self.ranks)
            ]
            for each in self.ranks[1:]:
                arrays |= {
                    f"{name}.{each.number}": getattr(each.recording, name) for name in _ARRAYS
                }
        with written_beside(checked_path(path)) as file:
            np.savez_compressed(file, rest=np.array(json.dumps(rest)), **arrays)

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
                    rest = json.loads(str(arrays["rest"]))
                    version = rest.pop("format")
                    if version == 1:
                        return _of_first_format(arrays["events"], rest)
                    if version not in (_FORMAT, _FORMAT_OF_RANKS):
                        raise ValueError(f"of format {version}, where {_FORMAT} is read")
                    ranks = rest.pop("ranks", [])
                    own = cls._of_rest(rest, {name: arrays[name] for name in _ARRAYS})
                    return replace(own, ranks=[_rank(each, own, arrays) for each in ranks])
            except Exception as error:
                raise ValueError(
                    f"path must be a profile that Profile.save wrote, got {path!r} ({error})"
                ) from None

    def _rest(self) -> dict[str, Any]:
        """What is no array, for JSON, but for the ranks."""
        rest: dict[str, Any] = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in (*_ARRAYS, "ranks")
        }
        for name in ("operations", "threads", "sources"):
            rest[name] = [asdict(each) for each in rest[name]]
        return rest | {"machine": asdict(self.machine)}

    @classmethod
    def _of_rest(cls, rest: dict[str, Any], arrays: dict[str, Any]) -> Recording:
        if arrays["events"].dtype != EVENT or arrays["ranges"].dtype != RANGE:
            raise ValueError("of another format")
        rest["operations"] = [Operation(**each) for each in rest["operations"]]
        rest["threads"] = [Thread(**each) for each in rest["threads"]]
        rest["sources"] = [Source(**each) for each in rest["sources"]]
        rest["machine"] = Machine(**rest["machine"])
        return cls(**rest, **arrays)


@dataclass(frozen=True)
class Rank:
    """One of several processes that recorded together.

    Attributes:
        number: Which, from 0 on.
        clock: How its clock stood to that of rank 0.
        recording: What it recorded, in times of rank 0's clock.
    """

    number: int
    clock: Clock
    recording: Recording

    @property
    def host(self) -> str:
        """The name of its machine."""
        return self.recording.machine.host

    @property
    def name(self) -> str:
        """Such as "rank 1 on host b"."""
        return f"rank {self.number}" + (f" on {self.host}" if self.host else "")

    def __repr__(self) -> str:
        """Who it is and what it has, in a line."""
        return (
            f"Rank({self.name}, clock within {self.clock.error / 1e3:.3g} us, "
            f"{len(self.recording.events):,} events)"
        )


_ARRAYS = ("events", "ranges", "memory")


def _rank(told: dict[str, Any], first: Recording, arrays: Any) -> Rank:
    number, recording = told["number"], first
    if "recording" in told:
        own = {name: arrays[f"{name}.{number}"] for name in _ARRAYS}
        recording = Recording._of_rest(told["recording"], own)
    return Rank(number, Clock(**told["clock"]), recording)


def _of_first_format(old: NDArray[Any], rest: dict[str, Any]) -> Recording:
    """Of gdcore 0.1: all threads one team, all steps one trainer's."""
    events = np.zeros(len(old), EVENT)
    for name in old.dtype.names or ():
        events[name] = old[name]
    events["source"] = 1
    rest["operations"] = [Operation(**each) for each in rest["operations"]]
    rest["threads"] = [Thread(**each) for each in rest["threads"]]
    rest["sources"] = [Source(), Source("trainer 1", "trainer", steps=rest["steps"])]
    rest["machine"] = Machine(**rest["machine"])
    return Recording(events=events, **rest)


def _thread(
    index: int, lane: dict[str, Any], before: ThreadTimes, now: ThreadTimes, events: NDArray[Any]
) -> Thread:
    number, worker = lane["thread_id"], lane["worker"]
    moved = events["cpu"][1:] != events["cpu"][:-1]
    at_end = now.get(number)
    since = at_end - before.get(number, Times()) if at_end is not None else None
    return Thread(
        name="caller" if worker == 0 else f"worker {worker}",
        worker=worker,
        thread_id=number,
        team=index,
        dropped=lane["dropped"],
        cpu_seconds=None if since is None else since.running,
        ready_seconds=None if since is None else since.ready,
        voluntary_switches=None if since is None else since.given_away,
        involuntary_switches=None if since is None else since.taken_away,
        migrations=int(moved.sum()),
        page_faults=None if since is None else since.page_faults,
        system_seconds=None if since is None else since.system,
        counters=lane["counters"],
    )


def _sources(raw: list[dict[str, Any]]) -> tuple[list[Source], NDArray[np.uint16]]:
    """Those that were called, and by the numbers of C++ those that they have here."""
    found = [Source()]
    numbers = np.zeros(1 << 16, np.uint16)
    seen: dict[str, int] = {}
    # Numbers are given again, in any order.
    for entry in sorted(raw, key=lambda entry: entry.get("serial", 0)):
        if entry["number"] == 0:
            continue
        kind = entry["kind"]
        seen[kind] = seen.get(kind, 0) + 1
        numbers[entry["number"]] = len(found)
        found.append(
            Source(
                name=f"{kind} {seen[kind]}",
                kind=kind,
                network=entry["network"],
                optimizer=entry["optimizer"],
                loss=entry["loss"],
                dtype=entry["dtype"],
                steps=entry["steps"],
                batch=entry["most_rows"],
                threads=entry["most_threads"],
            )
        )
    return found, numbers


def _by_purpose(
    events: NDArray[Any], named: list[Operation], sources: list[Source]
) -> list[Operation]:
    """What events are, told apart by source and purpose; gives the events their numbers."""
    purposes = _core.profile_purposes()
    several = len(sources) > 2
    count = len(named)
    kinds = len(purposes)
    key = (events["source"].astype(np.int64) * kinds + events["purpose"]) * count
    numbers: dict[Operation, int] = {Operation("", "", "", ""): 0}
    for column in ("operation", "waits_for"):
        keys = key + events[column]
        there = np.flatnonzero(np.bincount(keys, minlength=1))
        place = np.zeros(int(there[-1]) + 1 if len(there) else 1, np.uint16)
        for each in there.tolist():
            kind = named[each % count]
            if not kind.op:
                continue
            purpose = purposes[each // count % kinds]
            trainer = sources[each // count // kinds].name if several else ""
            found = replace(kind, purpose=purpose, trainer=trainer)
            if purpose != "training" and (found.of_plan or found.op == "step"):
                found = replace(found, phase=purpose)
            if found.op in ("caller", "callback", "recorder", "gil", *WAITS):
                found = replace(found, trainer="", purpose="training")
            place[each] = numbers.setdefault(found, len(numbers))
        events[column] = place[keys]
    return list(numbers)


def _ranges(
    lanes: list[dict[str, Any]], numbers: NDArray[np.uint16]
) -> tuple[NDArray[Any], list[str]]:
    names: dict[str, int] = {}
    rows = [
        (begin, end, step, names.setdefault(name, len(names)), i, depth, numbers[source])
        for i, lane in enumerate(lanes)
        for name, begin, end, step, depth, source in lane["ranges"]
    ]
    return np.array(rows, RANGE), list(names)


def _told_apart(threads: list[Thread]) -> list[Thread]:
    """Where several threads call, teams get a number."""
    teams = [i for i, thread in enumerate(threads) if thread.team == i]
    if len({thread.team for thread in threads}) < 2:
        return threads
    place = {team: k + 1 for k, team in enumerate(teams)}
    return [
        replace(thread, name=f"{thread.name} ({place.get(thread.team, thread.team + 1)})")
        for thread in threads
    ]
