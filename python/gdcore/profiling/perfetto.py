"""Perfetto's own format, of packets: https://perfetto.dev/docs/reference/synthetic-track-event.

Names are interned: each stands once on a track's sequence of packets, and events have its number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gdcore.files import written_beside
from gdcore.profiling.excerpt import MOST_EVENTS
from gdcore.profiling.extras import needed
from gdcore.profiling.recording import Recording
from gdcore.profiling.trace import Part, about, own_events, parts_of, speeds

__all__ = ["write_perfetto"]

# Of perfetto/trace/perfetto_trace.proto.
_CLOCK = 3  # BUILTIN_CLOCK_MONOTONIC
_BEGIN, _END, _INSTANT, _COUNTER = 1, 2, 3, 4  # TrackEvent.Type
_BYTES = 3  # CounterDescriptor.UNIT_SIZE_BYTES
_CLEARED, _NEEDED = 1, 2  # TracePacket.SequenceFlags


def write_perfetto(
    recording: Recording,
    path: Path,
    *,
    steps: int | range | None = None,
    most_events: int = MOST_EVENTS,
) -> str:
    """Writes events, ranges and steps as slices, and speeds and memory as counters.

    Returns:
        What of the recording it holds, in words; see `gdcore.profiling.excerpt`.

    Raises:
        ImportError: perfetto is not installed; the extra ``profile`` has it.
    """
    builder = needed("perfetto.trace_builder.proto_builder").TraceProtoBuilder()
    parts = parts_of(recording, steps, most_events)
    snapshot = builder.add_packet().clock_snapshot
    snapshot.primary_trace_clock = _CLOCK
    snapshot.clocks.add(clock_id=_CLOCK, timestamp=recording.began)
    tracks = 0
    for i, part in enumerate(parts):
        writer = _Writer(builder.add_packet, part, tracks)
        writer.write(about(recording, parts) if i == 0 else {})
        tracks = writer.tracks
    with written_beside(path) as file:
        file.write(builder.serialize())
    return parts[0].note


class _Writer:
    """Of one process; its tracks and their sequences are numbered behind those of others."""

    def __init__(self, add_packet: Callable[[], Any], part: Part, tracks: int) -> None:
        self._add = add_packet
        self._part = part
        self._recording = part.excerpt.recording
        self._began = self._recording.began
        self._process = part.process
        self.tracks = tracks

    def write(self, told: Mapping[str, str]) -> None:
        recording, part, times = self._recording, self._part, self._part.excerpt.steps
        process = self._descriptor()
        process.process.pid = self._process
        process.process.process_name = part.name
        if part.place:
            process.sibling_order_rank = part.place
        if told:
            self._about(process.uuid, told)

        for number, source in enumerate(recording.sources):
            chosen = times.where(times.source == number)
            if len(chosen):
                track = self._child(process.uuid, f"steps of {source.name}")
                rows = zip(
                    chosen.begin.tolist(), chosen.end.tolist(), chosen.step.tolist(), strict=True
                )
                self._stretches(track, ((b, e, f"step {step}", step) for b, e, step in rows))

        threads = []
        for number, thread in enumerate(recording.threads):
            described = self._descriptor()
            described.thread.pid = self._process
            described.thread.tid = part.threads[number]
            described.thread.thread_name = thread.name
            threads.append(described.uuid)
            ranges = recording.ranges[recording.ranges["thread"] == number]
            if len(ranges):
                track = self._child(described.uuid, f"ranges of {thread.name}")
                self._stretches(track, self._ranges(ranges))
        for number, own in own_events(recording):
            self._events(threads[number], own)
        self._counters(process.uuid, threads)

    # ---- tracks ----

    def _descriptor(self) -> Any:
        packet = self._add()
        packet.trusted_packet_sequence_id = 1
        self.tracks += 1
        # Of this recording alone, where several are put into one file.
        text = f"gdcore {self._process} {self._began} {self.tracks}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        packet.track_descriptor.uuid = int.from_bytes(digest, "little")
        return packet.track_descriptor

    def _child(self, parent: int, name: str) -> int:
        described = self._descriptor()
        described.parent_uuid = parent
        described.name = name
        uuid: int = described.uuid
        return uuid

    def _counter(self, parent: int, name: str, unit: str = "") -> int:
        described = self._descriptor()
        described.parent_uuid = parent
        described.name = name
        if unit:
            described.counter.unit_name = unit
        else:
            described.counter.unit = _BYTES
        uuid: int = described.uuid
        return uuid

    def _sequence(self, track: int) -> Any:
        """The first packet of a track's own sequence, with what all of it have."""
        packet = self._add()
        packet.trusted_packet_sequence_id = self.tracks + 1
        self.tracks += 1
        packet.sequence_flags = _CLEARED
        packet.trace_packet_defaults.timestamp_clock_id = _CLOCK
        packet.trace_packet_defaults.track_event_defaults.track_uuid = track
        return packet

    def _packet(self, first: Any, time: int, kind: int) -> Any:
        packet = self._add()
        packet.trusted_packet_sequence_id = first.trusted_packet_sequence_id
        packet.sequence_flags = _NEEDED
        packet.timestamp = self._began + time
        packet.track_event.type = kind
        return packet.track_event

    # ---- what is on them ----

    def _about(self, track: int, told: Mapping[str, str]) -> None:
        first = self._sequence(track)
        event = self._packet(first, 0, _INSTANT)
        event.name = "recording"
        for key, value in told.items():
            event.debug_annotations.add(name=key, string_value=value)

    def _ranges(self, ranges: NDArray[Any]) -> Iterator[tuple[int, int, str, int]]:
        names = self._recording.range_names
        columns = (ranges[name].tolist() for name in ("begin", "end", "name", "step"))
        for begin, end, name, step in zip(*columns, strict=True):
            yield begin, end, names[name], step

    def _stretches(self, track: int, rows: Iterator[tuple[int, int, str, int]]) -> None:
        """Slices within each other: begin, end, name and step of each."""
        first = self._sequence(track)
        interned = _Names(first.interned_data.event_names)
        (step_key,) = map(_Names(first.interned_data.debug_annotation_names), ("step",))
        open_ends: list[int] = []
        for begin, end, name, step in sorted(rows, key=lambda row: (row[0], -row[1])):
            while open_ends and open_ends[-1] <= begin:
                self._packet(first, open_ends.pop(), _END)
            event = self._packet(first, begin, _BEGIN)
            event.name_iid = interned(name)
            event.debug_annotations.add(name_iid=step_key, uint_value=step)
            # A block that was left before one within it: the inner one ends with it.
            open_ends.append(min([end, *open_ends[-1:]]))
        while open_ends:
            self._packet(first, open_ends.pop(), _END)

    def _events(self, track: int, own: NDArray[Any]) -> None:
        recording = self._recording
        first = self._sequence(track)
        data = first.interned_data
        step_key, cpu_key, speed_key, size_key, *told_keys = map(
            _Names(data.debug_annotation_names),
            ("step", "cpu", "GFLOP/s", "MB", "waits for", "arithmetic", "purpose", "trainer"),
        )
        names, categories = _Names(data.event_names), _Names(data.event_categories)
        texts = _Names(data.debug_annotation_string_values)
        kinds: dict[tuple[int, int, int], Any] = {}  # what equal events have in common
        columns = (
            own[name].tolist()
            for name in (
                "begin", "end", "flops", "bytes", "step", "cpu", "operation", "waits_for", "source"
            )
        )  # fmt: skip
        for begin, end, flops, size, step, cpu, *kind in zip(*columns, strict=True):
            event = self._packet(first, begin, _BEGIN)
            number, waits_for, source = key = tuple(kind)
            if key not in kinds:
                what, waited = recording.operations[number], recording.operations[waits_for]
                event.name_iid = names(what.label)
                event.category_iids.append(categories(what.phase))
                told = waited.label, what.arithmetic, what.purpose, recording.sources[source].name
                for told_key, text in zip(told_keys, told, strict=True):
                    if text:
                        event.debug_annotations.add(name_iid=told_key, string_value_iid=texts(text))
                kinds[key] = deepcopy(event)
            else:
                event.CopyFrom(kinds[key])
            note = event.debug_annotations.add
            note(name_iid=step_key, uint_value=step)
            note(name_iid=cpu_key, uint_value=cpu)
            if flops:
                note(name_iid=speed_key, double_value=flops / max(end - begin, 1))
            if size:
                note(name_iid=size_key, double_value=size / 1e6)
            self._packet(first, end, _END)

    def _counters(self, process: int, threads: list[int]) -> None:
        recording = self._recording
        for number, times, values in speeds(recording):
            name = f"GFLOP/s, {recording.threads[number].name}"
            first = self._sequence(self._counter(threads[number], name, "GFLOP/s"))
            for time, value in zip(times.tolist(), values.tolist(), strict=True):
                self._packet(first, int(time), _COUNTER).double_counter_value = value
        for column, name in ((1, "memory of the process"), (2, "memory of gdcore's buffers")):
            if len(recording.memory):
                first = self._sequence(self._counter(process, name))
                for row in recording.memory.tolist():
                    self._packet(first, row[0], _COUNTER).counter_value = row[column]


class _Names:
    """Numbers for texts, each of which is written where it is first met."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._numbers: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._numbers) + 1
            entry = self._table.add()
            entry.iid = number
            if hasattr(entry, "name"):
                entry.name = name
            else:  # InternedString
                entry.str = name.encode()
        return number
