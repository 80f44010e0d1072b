"""The Chrome trace format, which Perfetto and chrome://tracing open.

Source: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore.files import written_beside
from gdcore.profiling.excerpt import MOST_EVENTS, Excerpt, excerpt
from gdcore.profiling.recording import Rank, Recording
from gdcore.profiling.records import Clock, Source

__all__ = [
    "Part",
    "about",
    "own_events",
    "parts_of",
    "rates",
    "speeds",
    "thread_numbers",
    "write_trace",
]

_POINTS = 4000  # of all threads' counters
_BEYOND = 1 << 22  # Linux gives no thread a number from here on
_LINES = 4096  # written at once


def write_trace(
    recording: Recording,
    path: Path,
    *,
    steps: int | range | None = None,
    most_events: int = MOST_EVENTS,
) -> str:
    """Writes events and ranges as slices, and speeds and memory as counters.

    Compressed where the path ends in .gz. Each rank is a process.

    Returns:
        What of the recording it holds, in words; see `gdcore.profiling.excerpt`.
    """
    parts = parts_of(recording, steps, most_events)
    packed = path.suffix.lower() == ".gz"
    with (
        written_beside(path) as file,
        # Without name and time: equal recordings are equal files.
        gzip.GzipFile("", "wb", 6, file, mtime=0) if packed else nullcontext(file) as out,
    ):
        other = json.dumps(about(recording, parts), separators=(",", ":"))
        out.write(f'{{"displayTimeUnit":"ns","otherData":{other},"traceEvents":[\n'.encode())
        separator = ""
        for lines in _joined(line for part in parts for line in _entries(part)):
            out.write((separator + lines).encode())
            separator = ",\n"
        out.write(b"\n]}\n")
    return parts[0].note


@dataclass(frozen=True)
class Part:
    """What a trace shows of one process.

    Attributes:
        excerpt: What was taken of its recording.
        name: What the process is called.
        place: Its rank, and where it stands among the others.
        process: Its number: the system's, unless another of the trace has that.
        threads: The same of its threads.
        more: Numbers for tracks that are no threads.
        note: What all parts together hold, in words.
    """

    excerpt: Excerpt
    name: str
    place: int
    process: int
    threads: list[int]
    more: Iterator[int]
    note: str


def parts_of(recording: Recording, steps: int | range | None, most_events: int) -> list[Part]:
    """What a trace of a recording, or of all its ranks, takes of each; see `excerpt`."""
    ranks = recording.ranks or [Rank(0, Clock(), recording)]
    most = integer("most_events", most_events, at_least=1000)
    found: list[Part] = []
    numbers: set[int] = set()
    more = iter(range(_BEYOND, 1 << 31))
    excerpts = [excerpt(each.recording, steps, max(most // len(ranks), 1000)) for each in ranks]
    note = excerpts[0].note
    if len(ranks) > 1:
        note = f"{len(ranks)} ranks; of rank 0 {note}"
    for rank, taken in zip(ranks, excerpts, strict=True):
        process, threads = rank.recording.process_id or 1, thread_numbers(rank.recording)
        if process in numbers:  # of another host
            process, threads = next(more), [next(more) for _ in threads]
        elif not numbers.isdisjoint(threads):
            threads = [next(more) for _ in threads]
        numbers |= {process, *threads}
        name = rank.name if recording.ranks else "gdcore"
        found.append(Part(taken, name, rank.number, process, threads, more, note))
    return found


def about(recording: Recording, parts: Sequence[Part]) -> dict[str, str]:
    """What a reader of a trace should know of it."""
    machine = recording.machine
    found = {
        "holds": parts[0].note,
        "clock": "CLOCK_MONOTONIC",
        "began": f"{recording.began} ns",
        "seconds": f"{recording.nanoseconds / 1e9:.9g}",
        "dropped": f"{recording.dropped:,} events",
        "host": machine.host,
        "cpu": machine.cpu,
        "date": machine.date,
        "gdcore": machine.version,
    }
    found |= {source.name: str(source) for source in recording.sources if source.name}
    for rank in recording.ranks[1:]:
        clock = rank.clock
        found[rank.name] = (
            f"its clock was {clock.offset / 1e3:,.1f} us ahead of rank 0's, +- "
            f"{clock.error / 1e3:.2g} us, which is taken off"
        )
    return found


def thread_numbers(recording: Recording) -> list[int]:
    """The system's number of each thread, or where nobody knows it, its place."""
    return [
        thread.thread_id if thread.thread_id > 0 else place + 1
        for place, thread in enumerate(recording.threads)
    ]


def own_events(recording: Recording) -> Iterator[tuple[int, NDArray[Any]]]:
    """Each thread that has events, with those."""
    of_thread = recording.events["thread"]
    for number in range(len(recording.threads)):
        found = recording.events[of_thread == number]
        if len(found):
            yield number, found


def speeds(recording: Recording) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """Of each thread that computed something: times, in nanoseconds, and GFLOP/s from there on."""
    begin, end = recording.window
    points = max(_POINTS // max(len(recording.threads), 1), 100)
    least = max(1000, (end - begin) // points)
    for number, own in own_events(recording):
        if own["flops"].any():
            # What was left out is no time of this speed or that.
            gaps = np.flatnonzero(own["begin"][1:] - own["end"][:-1] > least) + 1
            parts = [rates(each, least) for each in np.split(own, gaps)]
            times, values = map(np.concatenate, zip(*parts, strict=True))
            yield number, times, values


def _joined(lines: Iterable[str]) -> Iterator[str]:
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) == _LINES:
            yield ",\n".join(waiting)
            waiting.clear()
    if waiting:
        yield ",\n".join(waiting)


def _entries(part: Part) -> Iterator[str]:
    """Texts, not dicts: a hundred thousand of those take long to make."""
    recording, times = part.excerpt.recording, part.excerpt.steps
    process, more = part.process, part.more
    ids = [f'"pid":{process},"tid":{number}' for number in part.threads]
    yield _meta("process_name", f'"pid":{process},"tid":0', name=part.name)
    if part.place:
        yield _meta("process_sort_index", f'"pid":{process},"tid":0', sort_index=part.place)

    # Above each team the ranges of its caller; above all the steps of each trainer.
    place = iter(range(1 << 31))
    for number, source in enumerate(recording.sources):
        chosen = times.where(times.source == number)
        if len(chosen):
            track = f'"pid":{process},"tid":{next(more)}'
            yield from _track(track, f"steps of {source.name}", next(place))
            yield from _steps(recording, track, chosen.step, chosen.begin, chosen.end)
    for number, thread in enumerate(recording.threads):
        ranges = recording.ranges[recording.ranges["thread"] == number]
        if len(ranges):
            track = f'"pid":{process},"tid":{next(more)}'
            yield from _track(track, f"ranges of {thread.name}", next(place))
            yield from _ranges(recording, track, ranges)
        yield from _track(ids[number], thread.name, next(place))

    yield from _events(recording, ids)
    yield from _counters(recording, process, ids)


def _meta(kind: str, track: str, **values: Any) -> str:
    args = json.dumps(values, separators=(",", ":"))
    return f'{{"ph":"M","name":"{kind}",{track},"args":{args}}}'


def _track(track: str, name: str, place: int) -> Iterator[str]:
    yield _meta("thread_name", track, name=name)
    yield _meta("thread_sort_index", track, sort_index=place)


def _steps(
    recording: Recording, track: str, steps: NDArray[Any], begin: NDArray[Any], end: NDArray[Any]
) -> Iterator[str]:
    began = recording.began
    for step, start, stop in zip(steps.tolist(), begin.tolist(), end.tolist(), strict=True):
        yield (
            f'{{"ph":"X","name":"step {step}","cat":"step",{track},{_times(began, start, stop)},'
            '"args":{}}'
        )


def _ranges(recording: Recording, track: str, ranges: NDArray[Any]) -> Iterator[str]:
    names = [json.dumps(name) for name in recording.range_names]
    began = recording.began
    columns = (ranges[name].tolist() for name in ("begin", "end", "step", "name"))
    for start, stop, step, name in zip(*columns, strict=True):
        yield (
            f'{{"ph":"X","name":{names[name]},"cat":"range",{track},{_times(began, start, stop)},'
            f'"args":{{"step":{step}}}}}'
        )


def _times(began: int, start: int, stop: int) -> str:
    """Microseconds, of which a float would not hold the nanoseconds."""
    micros, rest = divmod(began + start, 1000)
    length, part = divmod(stop - start, 1000)
    return f'"ts":{micros}.{rest:03d},"dur":{length}.{part:03d}'


def _events(recording: Recording, ids: list[str]) -> Iterator[str]:
    operations = recording.operations
    heads = [
        f'{{"ph":"X","name":{json.dumps(each.label)},"cat":{json.dumps(each.phase)},'
        for each in operations
    ]
    kinds = [
        "".join(
            f',"{key}":{json.dumps(value)}'
            for key, value in (("arithmetic", each.arithmetic), ("purpose", each.purpose))
            if value not in ("", "training")
        )
        for each in operations
    ]
    waits = [f',"waits for":{json.dumps(each.label)}' for each in operations]
    trainers = [_whose(source) for source in recording.sources]
    began = recording.began
    names = (
        "begin", "end", "flops", "bytes", "step", "operation", "waits_for", "thread", "source",
        "cpu",
    )  # fmt: skip
    columns = (recording.events[name].tolist() for name in names)
    for start, stop, flops, size, step, what, waits_for, thread, source, cpu in zip(
        *columns, strict=True
    ):
        done = f',"GFLOP":{flops / 1e9:.6g},"GFLOP/s":{flops / max(stop - start, 1):.4g}'
        moved = f',"MB":{size / 1e6:.6g}'
        yield (
            f"{heads[what]}{ids[thread]},{_times(began, start, stop)},"
            f'"args":{{"step":{step},"cpu":{cpu}{trainers[source]}{kinds[what]}'
            f"{done if flops else ''}{moved if size else ''}"
            f"{waits[waits_for] if waits_for else ''}}}}}"
        )


def _whose(source: Source) -> str:
    return f',"trainer":{json.dumps(source.name)}' if source.name else ""


def _counters(recording: Recording, process: int, ids: list[str]) -> Iterator[str]:
    began = recording.began
    for number, times, values in speeds(recording):
        name = json.dumps(f"GFLOP/s, {recording.threads[number].name}")
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            yield (
                f'{{"ph":"C","name":{name},{ids[number]},"ts":{_micros(began + int(time))},'
                f'"args":{{"GFLOP/s":{value:.6g}}}}}'
            )
    for time, whole, own in recording.memory.tolist():
        yield (
            f'{{"ph":"C","name":"memory","pid":{process},"tid":0,"ts":{_micros(began + time)},'
            f'"args":{{"process, MB":{whole / 1e6:.6g},"gdcore, MB":{own / 1e6:.6g}}}}}'
        )


def _micros(nanoseconds: int) -> str:
    micros, rest = divmod(nanoseconds, 1000)
    return f"{micros}.{rest:03d}"


def rates(events: NDArray[Any], least: int = 1000) -> tuple[NDArray[Any], NDArray[Any]]:
    """The speed of one thread's arithmetic over time.

    Args:
        events: Of one thread, by begin.
        least: Nanoseconds that a stretch of one speed takes at least; shorter events are taken
            together.

    Returns:
        Where stretches begin, in nanoseconds, and operations a nanosecond in each; 0 at the end.
    """
    if not len(events):
        return np.empty(0), np.empty(0)
    stretch = (events["begin"] - events["begin"][0]) // max(least, 1)
    starts = np.flatnonzero(np.diff(stretch, prepend=-1))
    begins = events["begin"][starts]
    flops = np.add.reduceat(events["flops"], starts)
    ends = np.append(begins[1:], events["end"][-1])
    speeds = flops / np.maximum(ends - begins, 1)
    return np.append(begins, events["end"][-1]), np.append(speeds, 0.0)
