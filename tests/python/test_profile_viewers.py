"""What other viewers read: Perfetto's own format and speedscope's.

The first is read back with the messages of the package perfetto.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from traced import by_hand, full_rings, whole_recording

from gdcore.profiling.perfetto import write_perfetto
from gdcore.profiling.recording import Recording
from gdcore.profiling.speedscope import write_speedscope


@pytest.fixture(scope="module")
def recording() -> Recording:
    return whole_recording()


@pytest.fixture(scope="module")
def large(recording: Recording) -> Recording:
    return full_rings(recording)


# ---- Perfetto's own ----


class Packets:
    """A file, read back with the messages of the package."""

    def __init__(self, path: Path) -> None:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as messages

        self.kinds = messages.TrackEvent
        trace = messages.Trace()
        trace.ParseFromString(path.read_bytes())
        self.packets = list(trace.packet)
        self.tracks = {
            p.track_descriptor.uuid: p.track_descriptor
            for p in self.packets
            if p.HasField("track_descriptor")
        }
        self.events: dict[int, list[Any]] = defaultdict(list)
        state: dict[int, Any] = {}
        for packet in self.packets:
            sequence = packet.trusted_packet_sequence_id
            if packet.sequence_flags & packet.SEQ_INCREMENTAL_STATE_CLEARED:
                assert sequence not in state
                state[sequence] = packet
            if packet.HasField("track_event"):
                assert packet.sequence_flags & packet.SEQ_NEEDS_INCREMENTAL_STATE
                first = state[sequence]
                defaults = first.trace_packet_defaults
                assert defaults.timestamp_clock_id == messages.BUILTIN_CLOCK_MONOTONIC
                self.events[defaults.track_event_defaults.track_uuid].append((packet, first))

    def name(self, uuid: int) -> str:
        track = self.tracks[uuid]
        return track.thread.thread_name or track.process.process_name or track.name

    def slices(self, track: str) -> list[tuple[int, int, str, dict[str, Any]]]:
        """begin, end, name and annotations, by begin."""
        (uuid,) = (each for each in self.events if self.name(each) == track)
        found: list[Any] = []
        waiting = []
        for packet, first in self.events[uuid]:
            event, data = packet.track_event, first.interned_data
            if event.type == self.kinds.TYPE_SLICE_END:
                waiting.pop()[1] = packet.timestamp
                continue
            assert event.type == self.kinds.TYPE_SLICE_BEGIN
            names = {entry.iid: entry.name for entry in data.event_names}
            keys = {entry.iid: entry.name for entry in data.debug_annotation_names}
            texts = {entry.iid: entry.str.decode() for entry in data.debug_annotation_string_values}
            notes = {}
            for note in event.debug_annotations:
                value = getattr(note, note.WhichOneof("value"))
                is_text = note.WhichOneof("value") == "string_value_iid"
                notes[keys[note.name_iid]] = texts[value] if is_text else value
            waiting.append([packet.timestamp, None, names[event.name_iid], notes])
            found.append(waiting[-1])
        assert not waiting
        return [tuple(each) for each in found]


@pytest.fixture(scope="module")
def packets(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Packets:
    pytest.importorskip("perfetto", reason="perfetto is not installed")
    path = tmp_path_factory.mktemp("perfetto") / "a.pftrace"
    assert write_perfetto(recording, path) == f"all {len(recording.events):,} events"
    return Packets(path)


def test_the_clock_is_that_of_the_system(recording: Recording, packets: Packets) -> None:
    snapshot = packets.packets[0].clock_snapshot
    assert snapshot.primary_trace_clock == 3
    assert [(c.clock_id, c.timestamp) for c in snapshot.clocks] == [(3, recording.began)]


def test_tracks_of_process_threads_ranges_steps_and_counters(
    recording: Recording, packets: Packets
) -> None:
    by_name = {packets.name(uuid): track for uuid, track in packets.tracks.items()}
    assert len(by_name) == len(packets.tracks) == 9
    process = by_name["gdcore"]
    assert process.process.pid == recording.process_id
    for thread in recording.threads:
        track = by_name[thread.name].thread
        assert (track.pid, track.tid) == (recording.process_id, thread.thread_id)
        counter = by_name[f"GFLOP/s, {thread.name}"]
        assert counter.parent_uuid == by_name[thread.name].uuid
        assert counter.counter.unit_name == "GFLOP/s"
    assert by_name["ranges of caller"].parent_uuid == by_name["caller"].uuid
    for name in ("steps of trainer 1", "memory of the process", "memory of gdcore's buffers"):
        assert by_name[name].parent_uuid == process.uuid
    assert by_name["memory of the process"].counter.unit == 3  # bytes


def test_events_are_slices_there_too(recording: Recording, packets: Packets) -> None:
    for number, thread in enumerate(recording.threads):
        events = recording.events[recording.events["thread"] == number]
        found = packets.slices(thread.name)
        assert [each[0] - recording.began for each in found] == events["begin"].tolist()
        assert [each[1] - recording.began for each in found] == events["end"].tolist()
        for (_, _, name, notes), row in zip(found, events):
            what = recording.operations[row["operation"]]
            assert name == what.label
            assert (notes["step"], notes["cpu"]) == (row["step"], row["cpu"])
            assert notes.get("arithmetic", "") == what.arithmetic
            assert notes.get("purpose", "") == what.purpose
            assert ("GFLOP/s" in notes) == bool(row["flops"])
            waited = recording.operations[row["waits_for"]].label
            assert notes.get("waits for", "") == waited


def test_ranges_and_counters_are_there_too(recording: Recording, packets: Packets) -> None:
    found = packets.slices("ranges of caller")
    expected = [
        (begin, end, recording.range_names[name])
        for begin, end, name in recording.ranges[["begin", "end", "name"]].tolist()
    ]
    began = recording.began
    assert [(begin - began, end - began, name) for begin, end, name, _ in found] == expected
    assert len(packets.slices("steps of trainer 1")) == 10
    (uuid,) = (u for u in packets.events if packets.name(u) == "memory of the process")
    assert [p.track_event.counter_value for p, _ in packets.events[uuid]] == (
        recording.memory[:, 1].tolist()
    )
    (uuid,) = (u for u in packets.events if packets.name(u) == "GFLOP/s, worker 1")
    points = [(p.timestamp, p.track_event.double_counter_value) for p, _ in packets.events[uuid]]
    times, speeds = map(np.array, zip(*points))
    own = recording.events["thread"] == 1
    assert (speeds[:-1] * np.diff(times)).sum() == pytest.approx(
        recording.events["flops"][own].sum(), rel=1e-2
    )


def test_a_range_that_ends_after_the_one_around_it_is_cut(tmp_path: Path) -> None:
    pytest.importorskip("perfetto", reason="perfetto is not installed")
    made = by_hand([(0, 90, 0, 0, 1, 1, 0, 0)], [(0, 50, 0, 0), (10, 70, 1, 1)], ("a", "b"))
    write_perfetto(made, tmp_path / "a.pftrace")
    found = Packets(tmp_path / "a.pftrace").slices("ranges of caller")
    assert [each[:3] for each in found] == [(0, 50, "a"), (10, 50, "b")]


def test_a_missing_package_is_told(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == "perfetto"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "perfetto", None)
    with pytest.raises(ImportError, match=r"perfetto.*gdcore\[profile\]"):
        write_perfetto(recording, tmp_path / "a.pftrace")


# ---- speedscope's ----


def scoped(recording: Recording, folder: Path, **options: Any) -> dict[str, Any]:
    """Profiles by name, each a list of (names from the bottom up, weight)."""
    path = folder / "a.speedscope.json"
    note = write_speedscope(recording, path, **options)
    whole = json.loads(path.read_text())
    assert whole["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert note in whole["name"]
    frames = [frame["name"] for frame in whole["shared"]["frames"]]
    assert len(set(frames)) == len(frames)
    found = {}
    for profile in whole["profiles"]:
        assert profile["type"] == "sampled"
        assert profile["unit"] == "nanoseconds"
        assert len(profile["samples"]) == len(profile["weights"])
        assert profile["endValue"] - profile["startValue"] == sum(profile["weights"])
        assert all(weight > 0 for weight in profile["weights"])
        stacks = [tuple(frames[i] for i in stack) for stack in profile["samples"]]
        found[profile["name"]] = list(zip(stacks, profile["weights"]))
    return found


def test_stacks_are_ranges_phase_and_operation(tmp_path: Path) -> None:
    rows = [
        (0, 100, 0, 0, 1, 1, 0, 0), (100, 200, 0, 0, 1, 3, 0, 0),
        (0, 60, 0, 0, 1, 1, 0, 1), (80, 100, 0, 0, 1, 2, 1, 1),
    ]  # fmt: skip
    ranges = [(50, 180, 0, 0), (120, 150, 1, 1), (130, 150, 2, 2), (140, 140, 2, 3)]
    names = ("outer", "inner", "innermost")
    found = scoped(by_hand(rows, ranges, names), tmp_path)
    work = ("forward", "dense_forward 0")
    assert found["caller"] == [
        (work, 50), (("outer", *work), 50), (("outer", "callback"), 20),
        (("outer", "inner", "callback"), 10), (("outer", "inner", "innermost", "callback"), 20),
        (("outer", "callback"), 30), (("callback",), 20),
    ]  # fmt: skip
    waiting = ("outer", "wait", "wait for dense_forward 0")
    assert found["worker 1"][:4] == [
        (work, 50), (("outer", *work), 10), (("outer",), 20), (waiting, 20)
    ]  # fmt: skip


def test_stacks_have_all_of_the_time(recording: Recording, tmp_path: Path) -> None:
    ordered = scoped(recording, tmp_path)
    summed = scoped(recording, tmp_path, most_events=1000) if len(recording.events) > 1000 else None
    for number, thread in enumerate(recording.threads):
        own = recording.events["thread"] == number
        for found in (ordered, summed):
            if found is None:
                continue
            total: dict[str, int] = defaultdict(int)
            for stack, weight in found[thread.name]:
                total[stack[-1] if stack else ""] += weight
            for what in {recording.operations[i] for i in recording.events["operation"][own]}:
                if what.op != "wait" and what.of_plan:
                    number_of = recording.operations.index(what)
                    mine = own & (recording.events["operation"] == number_of)
                    assert total[what.label] >= recording.durations[mine].sum() - 1000
    name = "EarlyStopping.on_epoch_end"
    inside = sum(w for stack, w in ordered["caller"] if name in stack)
    number = list(recording.range_names).index(name)
    own = recording.ranges[recording.ranges["name"] == number]
    assert inside == (own["end"] - own["begin"]).sum()


def test_many_equal_stacks_are_added_up(large: Recording, tmp_path: Path) -> None:
    found = scoped(large, tmp_path)
    for thread, stacks in found.items():
        number = [each.name for each in large.threads].index(thread)
        names = [stack for stack, _ in stacks]
        assert len(set(names)) == len(names) < 200
        assert () not in names
        own = large.durations[large.events["thread"] == number]
        at_work = [weight for stack, weight in stacks if stack[-1] not in large.range_names]
        assert sum(at_work) == pytest.approx(own.sum(), rel=1e-3)


def test_an_empty_recording_is_written(tmp_path: Path) -> None:
    empty = by_hand([(0, 9, 0, 0, 1, 1, 0, 0)])
    empty = replace(empty, events=empty.events[:0])
    assert scoped(empty, tmp_path) == {"caller": [], "worker 1": []}
    pytest.importorskip("perfetto", reason="perfetto is not installed")
    write_perfetto(empty, tmp_path / "a.pftrace")
    assert len(Packets(tmp_path / "a.pftrace").tracks) == 3
