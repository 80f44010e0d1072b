"""The Chrome trace format, which Perfetto and chrome://tracing open.

Source: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.files import written_beside
from gdcore.profiling.excerpt import MOST_EVENTS, Excerpt, excerpt
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import Source

__all__ = ["about", "own_events", "rates", "speeds", "thread_numbers", "write_trace"]

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

    Compressed where the path ends in .gz.

    Returns:
        What of the recording it holds, in words; see `gdcore.profiling.excerpt`.
    """
    part = excerpt(recording, steps, most_events)
    packed = path.suffix.lower() == ".gz"
    with (
        written_beside(path) as file,
        # Without name and time: equal recordings are equal files.
        gzip.GzipFile("", "wb", 6, file, mtime=0) if packed else nullcontext(file) as out,
    ):
        other = json.dumps(about(part), separators=(",", ":"))
        out.write(f'{{"displayTimeUnit":"ns","otherData":{other},"traceEvents":[\n'.encode())
        separator = ""
        for lines in _joined(_entries(part)):
            out.write((separator + lines).encode())
            separator = ",\n"
        out.write(b"\n]}\n")
    return part.note


def about(part: Excerpt) -> dict[str, str]:
    """What a reader of a trace should know of it."""
    recording = part.recording
    machine = recording.machine
    found = {
        "holds": part.note,
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


def _entries(part: Excerpt) -> Iterator[str]:
    """Texts, not dicts: a hundred thousand of those take long to make."""
    recording = part.recording
    process = recording.process_id or 1
    threads = thread_numbers(recording)
    ids = [f'"pid":{process},"tid":{number}' for number in threads]
    more = iter(range(_BEYOND, 1 << 31))
    yield _meta("process_name", f'"pid":{process},"tid":0', name="gdcore")

    # Above each team the ranges of its caller; above all the steps of each trainer.
    place = iter(range(1 << 31))
    for number, source in enumerate(recording.sources):
        chosen = part.steps.where(part.steps.source == number)
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
