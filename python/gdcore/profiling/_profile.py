"""The profile of a stretch of a program: recorded, read and shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from gdcore import _core, _html
from gdcore._check import flag, integer, optional_integer
from gdcore._names import choice
from gdcore.files import checked_path
from gdcore.profiling.advice import Advice, advise
from gdcore.profiling.excerpt import MOST_EVENTS
from gdcore.profiling.limits import limits
from gdcore.profiling.palette import Picture
from gdcore.profiling.ranks.clocks import Reading, read_clocks
from gdcore.profiling.ranks.gathering import gathered
from gdcore.profiling.ranks.told import rank_table
from gdcore.profiling.recording import Rank, Recording
from gdcore.profiling.records import Machine, Operation, Source, Thread
from gdcore.profiling.speedscope import write_speedscope
from gdcore.profiling.system import Pressure, ThreadTimes, pressure, thread_times
from gdcore.profiling.tables import BY, Table, table
from gdcore.profiling.trace import write_trace
from gdcore.profiling.waiting import Waits, waiting
from gdcore.typing import TableBy

if TYPE_CHECKING:
    from types import TracebackType

    import pandas

    from gdcore.communication import Communicator

_MOST_ROWS = 20  # of the table in notebooks

__all__ = ["Profile", "load", "profile", "zones"]


class Profile(_core.ProfileScope):
    """What gdcore did, on all of its threads, while a ``with`` block ran; see `profile`.

    All that reads it raises a RuntimeError until the block has ended.
    """

    def __init__(
        self,
        *,
        every: int | None = None,
        last_steps: int | None = None,
        events_per_thread: int = 1 << 20,
        counters: bool = True,
    ) -> None:
        super().__init__()
        self._every = optional_integer("every", every)
        self._last_steps = optional_integer("last_steps", last_steps)
        self._events_per_thread = integer(
            "events_per_thread", events_per_thread, at_least=1 << 10, at_most=1 << 32
        )
        self._counters = flag("counters", counters)
        self._before: ThreadTimes = {}
        self._pressure = Pressure()
        self._raw: Callable[[], Recording] | None = None
        self._recorded: Recording | None = None
        self._running = False

    def __enter__(self) -> Profile:
        """Begins to record."""
        if self._recorded is not None or self._raw is not None:
            raise RuntimeError("a profile records once: make another one with gdcore.profile()")
        self._before, self._pressure = thread_times(), pressure()
        try:
            self.begin(self._events_per_thread, self._every or 0, self._counters)
            self._running = True
            return self
        except BaseException:  # Ctrl-C: then nobody will leave the block
            self.abandon()
            raise

    def start(self) -> Profile:
        """Begins to record, where a ``with`` block does not fit; `stop` ends it.

        Raises:
            RuntimeError: Another is being recorded, or this one was.
        """
        return self.__enter__()

    def stop(self) -> Profile:
        """Ends what `start` began.

        Raises:
            RuntimeError: It is not being recorded.
        """
        self.__exit__(None, None, None)
        return self

    def _read(self, raw: dict[str, Any]) -> None:
        """Takes what was recorded, at the end of the block: `__exit__` calls it."""
        self._running = False
        now, taken = thread_times(), pressure() - self._pressure
        # Read when somebody looks: putting a million events in order takes longer than the end of
        # a block should.
        self._raw = lambda: Recording.from_core(raw, self._last_steps, self._before, now, taken)

    def __reduce__(self) -> tuple[Any, ...]:
        """For copies and pickle: what was recorded, if that has ended."""
        there = self._recorded is not None or self._raw is not None
        return _with_recording, (self.recording if there else None,)

    @property
    def recording(self) -> Recording:
        """All that was recorded, as the modules of `gdcore.profiling` take it."""
        if self._recorded is None and self._raw is not None:
            self._recorded, self._raw = self._raw(), None
        if self._recorded is None:
            state = (
                "is being recorded: leave the with block first"
                if self._running
                else ("has recorded nothing: use it in a with statement")
            )
            raise RuntimeError(f"this profile {state}")
        return self._recorded

    # ---- what there is ----

    @property
    def events(self) -> NDArray[Any]:
        """(N,) structured, by begin: what each thread did from when to when.

        ``begin`` and ``end`` are nanoseconds since the recording began, ``thread`` an index into
        `threads`, ``operation`` and ``waits_for`` into `operations` (0: none), ``flops`` and
        ``bytes`` what this thread did of the operation's. ``step`` is the number of a training step
        of its trainer, from 1 on: of events between two steps the one that follows; ``source`` an
        index into `sources`, ``team`` that of the thread that called, ``cpu`` where the thread was
        at the end, and ``purpose`` 0 in training. The events of a thread follow each other without
        gaps.

        Where a rule's pass runs within the tiles of a gradient, its time is added up and shown as
        one event behind it.
        """
        return self.recording.events

    @property
    def operations(self) -> Sequence[Operation]:
        """What events can be, by number; the first stands for none."""
        return self.recording.operations

    @property
    def threads(self) -> Sequence[Thread]:
        """Who recorded, by number."""
        return self.recording.threads

    @property
    def sources(self) -> Sequence[Source]:
        """Whose work was recorded: trainers and networks, by number; the first stands for none."""
        return self.recording.sources

    @property
    def ranges(self) -> list[tuple[str, int, int, int]]:
        """Stretches of callers that have a name, by begin: name, begin, end and thread's number.

        Nanoseconds since the recording began. `gdcore.range` makes them, and `Trainer.fit` one for
        each callback, metric and validation.
        """
        found = self.recording
        return [
            (found.range_names[row["name"]], int(row["begin"]), int(row["end"]), int(row["thread"]))
            for row in found.ranges
        ]

    @property
    def memory(self) -> NDArray[np.int64]:
        """(M, 3), what was in memory, some ten times a second while gdcore was called.

        Nanoseconds since the recording began, bytes that the process had, and bytes of them in
        gdcore's own buffers: parameters, states, plans. `Trainer.memory_plan` tells what those are
        to be; the rest are data, Python and others' libraries.
        """
        return self.recording.memory

    @property
    def ranks(self) -> Sequence[Rank]:
        """All ranks that recorded together, by number; none of a process that recorded alone.

        On rank 0 of `gdcore.profile` with a communicator. Each has its ``recording``, in times of
        rank 0's clock, and its ``clock`` (`gdcore.profiling.Clock`): how far it was ahead,
        what that may be off by, and its drift.
        """
        return self.recording.ranks

    def rank(self, number: int) -> Profile:
        """The profile of one of the `ranks`, with all its tables, advice and pictures.

        Raises:
            TypeError: number is no integer.
            ValueError: There is no such rank here.
        """
        ranks = self.ranks
        if not ranks:
            raise ValueError(
                f"number must be a rank that is in this profile, got {number!r}: it is of one "
                "process; on rank 0, gdcore.profile(communicator=...) has all"
            )
        number = integer("number", number, at_least=0, at_most=len(ranks) - 1)
        return _with_recording(ranks[number].recording)

    @property
    def machine(self) -> Machine:
        """Where it was recorded."""
        return self.recording.machine

    @property
    def seconds(self) -> float:
        """How long the block took."""
        return self.recording.nanoseconds / 1e9

    @property
    def steps(self) -> int:
        """Training steps that were begun, recorded or not."""
        return self.recording.steps

    @property
    def every(self) -> int:
        """Of so many training steps one was recorded, at the end; see `profile`."""
        return self.recording.every

    @property
    def dropped(self) -> int:
        """Events that were recorded and are gone: overwritten, or before ``last_steps``."""
        return self.recording.dropped

    @property
    def memory_bytes(self) -> int:
        """The most that the recorder could take: for each thread, its ring of events."""
        return self.recording.bytes_per_thread * len(self.recording.threads)

    @property
    def counters_error(self) -> str:
        """Why there are no `Thread.counters`; ``""`` where there are, or none were asked for."""
        return self.recording.counters_error

    def __repr__(self) -> str:
        """What it holds, in a line."""
        if self._recorded is None and self._raw is None:
            return f"Profile({'recording' if self._running else 'empty'})"
        found = self.recording
        lost = f", {found.dropped:,} dropped" if found.dropped else ""
        of = f"of {len(found.ranks)} ranks, rank 0: " if found.ranks else ""
        of += f"{self.seconds:.3g} s"
        return (
            f"Profile({of}, {found.steps:,} steps, {len(found.threads)} threads, "
            f"{len(found.events):,} events{lost}, at most {self.memory_bytes / 2**20:.0f} MiB)"
        )

    def _repr_html_(self) -> str | None:
        """Where the time went and what stands out; what notebooks show of a profile."""
        if self._recorded is None and self._raw is None:
            return None
        advice = _html.items([*self.advice(), repr(self)])
        ranks = self.table("rank").to_html(_MOST_ROWS) if self.ranks else ""
        return ranks + self.table().to_html(_MOST_ROWS) + advice

    # ---- what it says ----

    def table(self, by: TableBy = "op") -> Table:
        """Where the time of all threads went; of several ranks, that of this one.

        Args:
            by: ``"op"`` (each operation of each layer), ``"layer"``, ``"phase"``, ``"thread"`` or
                ``"rank"``.

        Returns:
            Dicts with the same keys, which print as a table: milliseconds over all threads and
            steps, their share, microseconds a step, speed, traffic, arithmetic intensity, and how
            long other threads waited for it. By rank: milliseconds of each one's calling threads at
            computing, in exchanges, waiting there for the rank that came last, and at the rest;
            megabytes exchanged; how often it was the last one, of the exchanges where somebody was
            by more than the clocks may be off; and how far its clock was ahead of rank 0's, with
            what that may be off by. No wait counts that is not longer than that.

        Raises:
            ValueError: by is none of these.
        """
        by = choice("by", by, BY)
        return rank_table(self.recording) if by == "rank" else table(self.recording, by)

    def advice(self) -> list[Advice]:
        """What stands out and what to do about it: sentences, each with its numbers."""
        return advise(self.recording)

    def waiting(self) -> Waits:
        """Who is waited for at each barrier of a training step, and what a step would gain if not.

        >>> waits = prof.waiting()
        >>> print(waits)
        >>> waits.teams[0].gain  # us a step

        Returns:
            For each trainer (`gdcore.profiling.waiting.TeamWaits`) what a step takes and would take
            if nobody waited for another; printed, with its tables: ``barriers``, which operations
            end with a wait and for whom; ``path``, the critical path, whose rows add up to the
            step. ``arrivals`` has each thread of each barrier.
        """
        return waiting(self.recording)

    # ---- what others read ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes an NPZ file with all of it, for `gdcore.profiling.load`.

        The limits of the machine, see `roofline`, are measured first where they are not known yet:
        who reads the file may be on another one.
        """
        limits(self.recording, caches=True)
        self.recording.save(path)

    def to_chrome_trace(
        self,
        path: str | os.PathLike[str],
        *,
        steps: int | range | None = None,
        most_events: int = MOST_EVENTS,
    ) -> str:
        """Writes a JSON file for https://ui.perfetto.dev or chrome://tracing.

        A row for each thread with its name, above it the ranges of each caller, and above all the
        steps of each trainer; as counters the speed of each thread in GFLOP/s, and memory. Each
        rank is a process of its own, such as "rank 1 on host b". Process and threads have the
        system's numbers, where ranks of different hosts do not have the same ones, and times are
        microseconds of rank 0's CLOCK_MONOTONIC, so that others' traces of the same clock can be
        laid beside it.

        Args:
            path: Where to; compressed where it ends in .gz, which both viewers open.
            steps: The last so many steps; or those of some numbers, as ``range(100, 110)``; None:
                all of them.
            most_events: Viewers become slow with more than this default, which makes less than
                20 MB. Where there are more, the last ones are taken, and where steps is None also
                the ten longest steps.

        Returns:
            What of the profile the file holds, in words; it is in the file too.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: There are no such steps, or most_events is below 1000.
        """
        return write_trace(
            self.recording, Path(checked_path(path)), steps=steps, most_events=most_events
        )

    def to_perfetto(
        self,
        path: str | os.PathLike[str],
        *,
        steps: int | range | None = None,
        most_events: int = MOST_EVENTS,
    ) -> str:
        """Writes Perfetto's own format, .pftrace: what `to_chrome_trace` does, in less than half.

        Its ranges lie below their thread, and its counters have units.

        Args:
            path: Where to.
            steps: As in `to_chrome_trace`.
            most_events: Likewise.

        Returns:
            What of the profile the file holds, in words; it is in the file too.

        Raises:
            ImportError: perfetto is not installed; the extra ``profile`` has it.
            TypeError: An argument is of the wrong type.
            ValueError: There are no such steps, or most_events is below 1000.
        """
        from gdcore.profiling.perfetto import write_perfetto

        return write_perfetto(
            self.recording, Path(checked_path(path)), steps=steps, most_events=most_events
        )

    def to_speedscope(self, path: str | os.PathLike[str], *, most_events: int = MOST_EVENTS) -> str:
        """Writes a flame graph of each thread for https://www.speedscope.app.

        From the bottom of a stack up: ranges, phase, operation of a layer. Workers lie within the
        ranges of their caller.

        Args:
            path: Where to; it should end in .speedscope.json.
            most_events: With more, equal stacks are added up and written once: all of the time is
                there, but not its order.

        Returns:
            Which of both it is, in words.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: most_events is below 1000.
        """
        return write_speedscope(self.recording, Path(checked_path(path)), most_events=most_events)

    def to_pandas(self) -> pandas.DataFrame:
        """The events as a DataFrame with names in place of numbers.

        Raises:
            ImportError: pandas is not installed; the extra ``profile`` has it.
        """
        from gdcore.profiling.frames import to_pandas

        return to_pandas(self.recording)

    @overload
    def plot(self, *, steps: tuple[int, int] | None = None) -> Picture: ...

    @overload
    def plot(
        self, path: str | os.PathLike[str], *, steps: tuple[int, int] | None = None
    ) -> None: ...

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        steps: tuple[int, int] | None = None,
    ) -> Picture | None:
        """Draws a row for each thread over time.

        Args:
            path: Where to: .png, .svg or .pdf by its ending. None returns the picture, which
                notebooks show.
            steps: From which recorded step to which; else the last few, as many as can be read.

        Raises:
            ImportError: matplotlib is not installed; the extra ``profile`` has it.
            ValueError: There are no such steps, or the ending is of no known format.
        """
        from gdcore.profiling.timeline import plot_timeline

        into = _into(path)
        plot_timeline(self.recording, into, steps)
        return into if isinstance(into, Picture) else None

    @overload
    def roofline(self) -> Picture: ...

    @overload
    def roofline(self, path: str | os.PathLike[str]) -> None: ...

    def roofline(self, path: str | os.PathLike[str] | None = None) -> Picture | None:
        """Draws each operation's speed over its arithmetic intensity, under the machine's limits.

        The limits, multiply-adds and memory traffic on the threads of the profile, are measured
        on this machine when they are first asked for, in about a second.
        Source: Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52(4), 2009.

        Args:
            path: As in `plot`.

        Raises:
            ImportError: matplotlib is not installed; the extra ``profile`` has it.
            ValueError: The ending is of no known format.
        """
        from gdcore.profiling.roofline import plot_roofline

        into = _into(path)
        plot_roofline(self.recording, into)
        return into if isinstance(into, Picture) else None

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes one page with advice, timeline, tables and roofline that needs no network.

        Raises:
            ImportError: plotly is not installed; the extra ``profile`` has it.
        """
        from gdcore.profiling.report import write_report

        write_report(self.recording, Path(checked_path(path)))


class _OnRanks(Profile):
    """What `profile` makes with a communicator."""

    def __init__(self, communicator: Communicator, **options: Any) -> None:
        super().__init__(**options)
        self._communicator = communicator
        self._clocks: list[Reading] = []

    def __enter__(self) -> Profile:
        if self._recorded is None and self._raw is None:
            self._clocks = read_clocks(self._communicator)
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if kind is None:  # else the others may never come
            after = read_clocks(self._communicator)
            self._recorded = gathered(self._communicator, self.recording, self._clocks, after)


def _into(path: object) -> Path | Picture:
    return Picture() if path is None else Path(checked_path(path))


def profile(
    *,
    every: int | None = None,
    last_steps: int | None = None,
    events_per_thread: int = 1 << 20,
    counters: bool = True,
    communicator: Any = None,
) -> Profile:
    """Records what gdcore does on all of its threads while a ``with`` block runs.

    >>> with gdcore.profile() as prof:
    ...     trainer.fit(x, y, epochs=2, batch_size=128)
    >>> print(prof.table())
    >>> for sentence in prof.advice():
    ...     print(sentence)

    Every thread writes into a ring of its own; when that is full, the oldest events go, and
    `Profile.dropped` tells how many. A recording costs less than some 4 percent of the speed;
    while there is none, there is next to no cost. One at a time in a process; a forked child does
    not go on with its parent's.

    Args:
        every: Records one training step of so many, the first among them; at least 1. With more
            than 1, time between steps is not recorded. None records each step; where that turns
            out to cost more than 2 percent, as with steps of a few microseconds, it goes on with 16
            in a row of 16 n, and what is between them, so that it costs less: `Profile.every` is
            that n.
        last_steps: Keeps so many recorded steps at the end; None keeps what there is room for.
        events_per_thread: Size of a ring, 1024 to 2**32, rounded up to a power of two; 48 bytes
            each. A step needs two to three for each operation and thread.
        counters: Also the processor's counters of each thread, where the kernel permits it.
        communicator: Of several ranks (of mpi4py, or a ``gdcore.distributed.Communicator``), all of
            which enter and leave the block together. Each records itself; in the end rank 0 has
            all of it, by one clock: `Profile.ranks`, ``table("rank")``, one trace, one page. Clocks
            are compared before and after, by messages there and back that take up to half a second.
            The recordings travel to rank 0 and stay in its memory: with many ranks choose a smaller
            ``events_per_thread``, or ``last_steps``. Who leaves the block by an exception waits for
            nobody, and has what it recorded itself.

    Raises:
        RuntimeError: On entering, where another is being recorded.
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain.
    """
    options: dict[str, Any] = {
        "every": every,
        "last_steps": last_steps,
        "events_per_thread": events_per_thread,
        "counters": counters,
    }
    if communicator is not None:
        from gdcore.communication import resolved

        if (ranks := resolved(communicator)) is not None:
            return _OnRanks(ranks, **options)
    return Profile(**options)


def load(path: str | os.PathLike[str]) -> Profile:
    """Reads a profile that `Profile.save` wrote.

    Raises:
        OSError: The file cannot be read.
        TypeError: path is no path.
        ValueError: It holds no profile.
    """
    return _with_recording(Recording.load(path))


def _with_recording(recorded: Recording | None) -> Profile:
    found = Profile()
    found._recorded = recorded
    return found


def zones() -> dict[str, str]:
    """What each op and phase of a profile means."""
    return dict(_core.zones())
