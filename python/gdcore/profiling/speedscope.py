"""speedscope's format, of flame graphs: https://www.speedscope.app/file-format-schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore.files import written_beside
from gdcore.profiling.excerpt import MOST_EVENTS
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import WAITS

__all__ = ["write_speedscope"]

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

Stack = tuple[int, ...]


def write_speedscope(recording: Recording, path: Path, *, most_events: int = MOST_EVENTS) -> str:
    """Writes a profile for each thread: ranges, phase, operation, from the bottom of a stack up.

    With more than ``most_events`` events, equal stacks are added up and written once: then all of
    the time is there, but not its order.

    Returns:
        Which of both it is, in words.
    """
    most = integer("most_events", most_events, at_least=1000)
    count = len(recording.events)
    in_order = count + 2 * len(recording.ranges) <= most
    note = f"all {count:,} events"
    note += " in their order" if in_order else ", equal stacks added up"
    frames = _Frames()
    profiles = []
    for number, thread in enumerate(recording.threads):
        stacks, weights = _of_thread(recording, number, frames, in_order)
        profiles.append(
            {
                "type": "sampled",
                "name": thread.name,
                "unit": "nanoseconds",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": stacks,
                "weights": weights,
            }
        )
    whole = {
        "$schema": _SCHEMA,
        "name": f"gdcore: {note}",
        "exporter": f"gdcore {recording.machine.version}",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name} for name in frames.names]},
        "profiles": profiles,
    }
    with written_beside(path) as file:
        file.write(json.dumps(whole, separators=(",", ":")).encode())
    return note


class _Frames:
    """Names by number."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        return self.names.setdefault(name, len(self.names))


def _of_thread(
    recording: Recording, number: int, frames: _Frames, in_order: bool
) -> tuple[list[Stack], list[int]]:
    """What a thread did, one after the other or added up, and for how many nanoseconds."""
    events = recording.events[recording.events["thread"] == number]
    # A worker works within the ranges of who called it.
    caller = recording.threads[number].team
    turns, places, stacks = _range_stacks(recording, caller, frames)
    begins, ends = events["begin"], events["end"]
    edges = np.sort(np.concatenate([begins, ends, turns]))
    edges = edges[np.flatnonzero(np.diff(edges, prepend=-1))]  # why not np.unique: recording.py
    if len(edges) < 2:
        return [], []
    starts = edges[:-1]
    # Before the first of its events a thread has none, and after an event's end there may be a gap.
    event = np.searchsorted(begins, starts, "right") - 1
    there = event >= 0
    there[there] = ends[event[there]] > starts[there]
    within = places[np.searchsorted(turns, starts, "right")]
    work, waited = (
        np.where(there, events[name][np.maximum(event, 0)], 0) if len(events) else event * 0
        for name in ("operation", "waits_for")
    )
    size = len(recording.operations)
    keys = (within * size + work) * size + waited
    weights = np.diff(edges)
    if not in_order:
        order = np.argsort(keys, kind="stable")
        keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))  # of what follows itself, one
    weights = np.add.reduceat(weights, first)
    known: dict[int, Stack] = {}
    samples = []
    for key in keys[first].tolist():
        if key not in known:
            rest, waits_for = divmod(key, size)
            place, operation = divmod(rest, size)
            known[key] = stacks[place] + _operation(recording, operation, waits_for, frames)
        samples.append(known[key])
    if in_order:
        return samples, weights.tolist()
    return _added_up(samples, weights.tolist())


def _operation(recording: Recording, number: int, waits_for: int, frames: _Frames) -> Stack:
    what = recording.operations[number]
    if not what.op:
        return ()
    label = what.label
    if what.op in WAITS and waits_for:
        label += f" for {recording.operations[waits_for].label}"
    return (frames(label),) if label == what.phase else (frames(what.phase), frames(label))


def _range_stacks(
    recording: Recording, thread: int, frames: _Frames
) -> tuple[NDArray[Any], NDArray[Any], list[Stack]]:
    """Times at which a thread's ranges change, and which there are before the first, after each.

    The second are places in the third, where equal ones stand once.
    """
    ranges = recording.ranges
    ranges = ranges[(ranges["thread"] == thread) & (ranges["begin"] < ranges["end"])]
    stacks: dict[Stack, int] = {(): 0}
    places = [0]
    names = [frames(name) for name in recording.range_names]
    begins, ends, depths = (ranges[name] for name in ("begin", "end", "depth"))
    # By time; at one time what ends before what begins, an inner end before an outer.
    times = np.concatenate([begins, ends])
    is_begin = np.repeat([1, 0], len(ranges))
    order = np.lexsort((np.concatenate([depths, -depths.astype(np.int64)]), is_begin, times))
    within: dict[int, int] = {}
    for turn in order.tolist():
        which = turn % len(ranges)
        if turn < len(ranges):
            within[which] = names[int(ranges["name"][which])]
        else:
            del within[which]
        places.append(stacks.setdefault(tuple(within.values()), len(stacks)))
    return times[order], np.array(places), list(stacks)


def _added_up(stacks: list[Stack], weights: list[int]) -> tuple[list[Stack], list[int]]:
    """Each stack once, those of the same beginning beside each other; time of none is left out."""
    total: dict[Stack, int] = {}
    for stack, weight in zip(stacks, weights, strict=True):
        if stack:
            total[stack] = total.get(stack, 0) + weight
    ordered = sorted(total)
    return ordered, [total[stack] for stack in ordered]
