"""Traces in Chrome's format, and the part of a recording that they hold.

The format's rules are those of "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from traced import by_hand, full_rings, teams_recording, whole_recording

from gdcore.profiling.excerpt import excerpt, step_times
from gdcore.profiling.perfetto import write_perfetto
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import EVENT
from gdcore.profiling.speedscope import write_speedscope
from gdcore.profiling.trace import rates, write_trace


@pytest.fixture(scope="module")
def recording() -> Recording:
    return whole_recording()


@pytest.fixture(scope="module")
def large(recording: Recording) -> Recording:
    return full_rings(recording)


@pytest.fixture(scope="module")
def teams() -> Recording:
    return teams_recording()


# ---- what is taken ----


def test_all_of_it_is_taken_where_there_is_room(recording: Recording) -> None:
    found = excerpt(recording)
    assert found.recording is recording
    assert found.note == f"all {len(recording.events):,} events"
    assert found.steps.step.tolist() == list(range(1, 11))


def test_steps_go_from_their_first_event_to_their_last(recording: Recording) -> None:
    times = step_times(recording)
    assert (times.begin[1:] >= times.end[:-1]).all()
    for step, begin, end in zip(times.step, times.begin, times.end):
        own = recording.events[recording.work & recording.training]
        own = own[own["step"] == step]
        assert (begin, end) == (own["begin"].min(), own["end"].max())


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, [10]), (3, [8, 9, 10]), (99, range(1, 11)),
        (range(4, 6), [4, 5]), (range(2, 99, 4), [2, 6, 10]),
    ],
)  # fmt: skip
def test_steps_can_be_chosen(recording: Recording, steps: Any, expected: Any) -> None:
    found = excerpt(recording, steps)
    assert found.note.startswith(f"{len(expected)} of 10 steps, ")
    work = found.recording.work & found.recording.training
    has = set(found.recording.events["step"][work].tolist())
    assert set(expected) <= has
    times = step_times(recording)
    for step, begin, end in zip(times.step, times.begin, times.end):
        if step in expected:  # with what else was within it, waiting too
            there = (recording.events["end"] > begin) & (recording.events["begin"] < end)
            kept = found.recording.events
            kept = (kept["end"] > begin) & (kept["begin"] < end)
            assert there.sum() == kept.sum()


def test_of_too_much_the_last_is_taken_and_the_longest_steps(large: Recording) -> None:
    found = excerpt(large, most_events=20_000)
    events = found.recording.events
    assert len(events) == 20_000
    assert "of 2,097,152 events, and the 10 longest steps" in found.note
    times = step_times(large)
    worst = np.argsort(times.begin - times.end)[:3]
    assert (times.end - times.begin)[worst].min() >= 10**9
    assert np.isin(times.step[worst], events["step"]).all()
    assert np.isin(times.step[worst], found.steps.step).all()
    np.testing.assert_array_equal(events[-10_000:], large.events[-10_000:])
    assert 0 < len(found.recording.ranges) < len(large.ranges)


def test_of_too_many_ranges_the_last_are_taken() -> None:
    rows = [(0, 10**6, 0, 0, 1, 1, 0, 0)]
    ranges = [(i, i + 1, 0, 0) for i in range(5000)]
    found = excerpt(by_hand(rows, ranges, ("r",)), most_events=1000)
    assert found.recording.ranges["begin"].tolist() == list(range(4000, 5000))
    assert found.note == "all 1 events, and not all ranges"


@pytest.mark.parametrize("write", [write_trace, write_perfetto])
def test_what_cannot_be_taken_is_told(recording: Recording, write: Any, tmp_path: Path) -> None:
    for steps, error, words in (
        (0, ValueError, "steps must be at least 1, got 0"),
        ("3", TypeError, "steps must be an integer, a range of step numbers or None, got '3'"),
        (range(20, 30), ValueError, r"got range\(20, 30\): 1 to 10 are there"),
        (range(0), ValueError, r"got range\(0, 0\): 1 to 10 are there"),
    ):
        with pytest.raises(error, match=words):
            write(recording, tmp_path / "a", steps=steps)
    with pytest.raises(ValueError, match="most_events must be at least 1000, got 10"):
        write(recording, tmp_path / "a", most_events=10)
    with pytest.raises(ValueError, match="none is there"):
        write(by_hand([(0, 9, 0, 0, 0, 2, 0, 0)]), tmp_path / "a", steps=1)
    assert not list(tmp_path.iterdir())


# ---- Chrome's format ----


def traced(recording: Recording, folder: Path, **options: Any) -> Any:
    path = folder / "trace.json"
    note = write_trace(recording, path, **options)
    found = json.loads(path.read_text())
    assert found["otherData"]["holds"] == note
    return found


@pytest.fixture(scope="module")
def trace(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return traced(recording, tmp_path_factory.mktemp("trace"))


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check(entry: dict[str, Any]) -> None:
    """One entry against the rules for its phase."""
    assert isinstance(entry["name"], str)
    assert entry["name"]
    assert isinstance(entry["pid"], int)
    assert isinstance(entry["tid"], int)
    assert isinstance(entry["args"], dict)
    kind = entry["ph"]
    if kind == "M":
        assert entry["name"] in ("process_name", "thread_name", "thread_sort_index")
        key = "sort_index" if entry["name"].endswith("index") else "name"
        assert list(entry["args"]) == [key]
        return
    assert is_number(entry["ts"])
    assert entry["ts"] >= 0
    if kind == "X":
        assert is_number(entry["dur"])
        assert entry["dur"] >= 0
        assert isinstance(entry["cat"], str)
        assert set(entry["args"]) <= {
            "step", "GFLOP", "GFLOP/s", "MB", "waits for", "arithmetic", "cpu", "purpose",
            "trainer",
        }  # fmt: skip
    else:
        assert kind == "C"
        assert all(is_number(value) and value >= 0 for value in entry["args"].values())


def tracks(trace: Any) -> dict[int, str]:
    """Names by thread, in the order in which they are shown."""
    orders = {
        entry["tid"]: entry["args"]["sort_index"]
        for entry in trace["traceEvents"]
        if entry["name"] == "thread_sort_index"
    }
    names = {
        entry["tid"]: entry["args"]["name"]
        for entry in trace["traceEvents"]
        if entry["name"] == "thread_name"
    }
    assert sorted(orders.values()) == list(range(len(names)))
    return {tid: names[tid] for tid in sorted(orders, key=orders.__getitem__)}


def slices(trace: Any, track: str) -> list[Any]:
    (tid,) = (number for number, name in tracks(trace).items() if name == track)
    return [e for e in trace["traceEvents"] if e["ph"] == "X" and e["tid"] == tid]


def microseconds(recording: Recording, nanoseconds: Any) -> Any:
    return (recording.began + nanoseconds) / 1e3


def test_every_entry_keeps_to_the_format(recording: Recording, trace: Any) -> None:
    assert set(trace) == {"displayTimeUnit", "otherData", "traceEvents"}
    for entry in trace["traceEvents"]:
        check(entry)
        assert entry["pid"] == recording.process_id
    other = trace["otherData"]
    assert other["clock"] == "CLOCK_MONOTONIC"
    assert other["began"] == f"{recording.began} ns"
    assert other["trainer 1"].startswith("trainer 1: 784-512-10, float32")


def test_tracks_are_steps_then_each_callers_ranges_above_its_thread(
    recording: Recording, trace: Any
) -> None:
    found = tracks(trace)
    assert list(found.values()) == ["steps of trainer 1", "ranges of caller", "caller", "worker 1"]
    numbers = [thread.thread_id for thread in recording.threads]
    assert list(found)[2:] == numbers
    assert numbers[0] == threading.main_thread().native_id
    assert min(list(found)[:2]) >= 1 << 22  # no thread can have those


def test_every_event_is_a_slice_of_its_thread(recording: Recording, trace: Any) -> None:
    for number, thread in enumerate(recording.threads):
        own = recording.events["thread"] == number
        events = recording.events[own]
        found = slices(trace, thread.name)
        assert [entry["name"] for entry in found] == [
            recording.operations[i].label for i in events["operation"]
        ]
        times = microseconds(recording, events["begin"])
        np.testing.assert_allclose([entry["ts"] for entry in found], times, rtol=0, atol=2e-3)
        np.testing.assert_allclose(
            [entry["dur"] for entry in found], recording.durations[own] / 1e3, atol=1e-9
        )
        assert [entry["args"]["cpu"] for entry in found] == events["cpu"].tolist()
        assert [entry["args"]["step"] for entry in found] == events["step"].tolist()
        for before, after in itertools.pairwise(found):
            assert before["ts"] + before["dur"] <= after["ts"] + 0.002  # of rounding
    found = [entry for entry in trace["traceEvents"] if entry["ph"] == "X"]
    assert any('a "b" <c>' in entry["name"] for entry in found)
    assert any(entry["args"].get("waits for") for entry in found)
    assert {entry["args"].get("purpose") for entry in found} >= {None, "validation", "inference"}
    assert {entry["args"].get("trainer") for entry in found} == {None, "trainer 1"}


def test_ranges_and_steps_are_slices_of_their_own(recording: Recording, trace: Any) -> None:
    found = slices(trace, "ranges of caller")
    names = [entry["name"] for entry in found]
    assert names == [recording.range_names[i] for i in recording.ranges["name"]]
    assert {"whole", 'predict "it"', "validation", "EarlyStopping.on_epoch_end"} <= set(names)
    whole = found[names.index("whole")]
    for entry in found:
        assert whole["ts"] <= entry["ts"]
        assert entry["ts"] + entry["dur"] <= whole["ts"] + whole["dur"] + 0.002
    steps = slices(trace, "steps of trainer 1")
    assert [entry["name"] for entry in steps] == [f"step {i}" for i in range(1, 11)]


def test_each_worker_has_a_counter_of_its_speed(recording: Recording, trace: Any) -> None:
    counters = defaultdict(list)
    for entry in trace["traceEvents"]:
        if entry["ph"] == "C":
            counters[entry["name"]].append((entry["ts"], entry["args"]))
    memory = counters.pop("memory")
    assert len(memory) == len(recording.memory)
    assert [list(args.values()) for _, args in memory] == [
        pytest.approx(row, rel=1e-4) for row in (recording.memory[:, 1:] / 1e6).tolist()
    ]
    assert set(counters) == {"GFLOP/s, caller", "GFLOP/s, worker 1"}
    for number, points in enumerate(counters.values()):
        times = np.array([time for time, _ in points])
        speeds = np.array([args["GFLOP/s"] for _, args in points])
        assert (np.diff(times) > 0).all()
        done = (speeds[:-1] * np.diff(times)).sum() * 1e3
        own = recording.events["thread"] == number
        assert done == pytest.approx(recording.events["flops"][own].sum(), rel=1e-2)


def test_a_counter_is_zero_where_something_was_left_out(tmp_path: Path) -> None:
    rows = [(0, 1000, 500, 0, 1, 1, 0, 0), (10**6, 10**6 + 1000, 700, 0, 1, 1, 0, 0)]
    trace = traced(by_hand(rows), tmp_path)
    found = [(e["ts"], e["args"]["GFLOP/s"]) for e in trace["traceEvents"] if e["ph"] == "C"]
    assert found == [(0, 0.5), (1, 0), (1000, 0.7), (1001, 0)]


def test_a_compressed_trace_is_the_same(recording: Recording, trace: Any, tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    write_trace(recording, path)
    assert json.loads(gzip.decompress(path.read_bytes())) == trace
    first = path.read_bytes()
    write_trace(recording, path)
    assert path.read_bytes() == first


def test_teams_stand_together(teams: Recording, tmp_path: Path) -> None:
    trace = traced(teams, tmp_path)
    assert list(tracks(trace).values()) == [
        "steps of trainer 1", "steps of trainer 2",
        "ranges of caller (1)", "caller (1)", "ranges of caller (2)", "caller (2)",
        "caller (3)",  # who waited for both
    ]  # fmt: skip
    seen = []
    for number in (1, 2):
        assert [e["name"] for e in slices(trace, f"ranges of caller ({number})")] == ["work"]
        found = slices(trace, f"caller ({number})")
        seen.append({entry["args"].get("trainer") for entry in found} - {None})
    assert sorted(map(sorted, seen)) == [["trainer 1"], ["trainer 2"]]
    assert [len(slices(trace, f"steps of trainer {number}")) for number in (1, 2)] == [8, 8]


def test_a_recording_without_numbers_of_the_system_has_some(tmp_path: Path) -> None:
    rows = [(0, 9, 0, 0, 1, 1, 0, 0), (0, 9, 0, 0, 1, 1, 0, 1)]
    found = tracks(traced(by_hand(rows), tmp_path))
    assert [number for number, name in found.items() if "steps" not in name] == [1, 2]


@pytest.mark.parametrize("ending", [".json", ".pftrace", ".speedscope.json"])
def test_full_rings_make_a_file_that_viewers_open(
    large: Recording, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"trace{ending}"
    if ending == ".json":
        assert "2,097,152" in write_trace(large, path)
    elif ending == ".pftrace":
        pytest.importorskip("perfetto", reason="perfetto is not installed")
        assert "2,097,152" in write_perfetto(large, path)
    else:
        assert "2,097,152" in write_speedscope(large, path)
    assert path.stat().st_size < 20e6


def test_rates_take_short_events_together() -> None:
    events = np.zeros(4, EVENT)
    events["begin"] = [0, 100, 1000, 3000]
    events["end"] = [100, 1000, 3000, 4000]
    events["flops"] = [500, 500, 4000, 0]
    times, speeds = rates(events)
    np.testing.assert_array_equal(times, [0, 1000, 3000, 4000])
    np.testing.assert_allclose(speeds, [1, 2, 0, 0])
    assert [len(each) for each in rates(events[:0])] == [0, 0]


def test_an_empty_recording_is_written(tmp_path: Path) -> None:
    whole = by_hand([(0, 9, 0, 0, 1, 1, 0, 0)])
    empty = replace(whole, events=whole.events[:0])
    assert [e["ph"] for e in traced(empty, tmp_path)["traceEvents"]] == ["M"] * 5
