"""The trace: every event in it, in the form that Perfetto and chrome://tracing read.

The format's rules are those of "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore.profiling.records import EVENT
from gdcore.profiling.trace import rates


@pytest.fixture(scope="module")
def prof() -> gd.profiling.Profile:
    random = np.random.default_rng(0)
    x = random.standard_normal((1280, 784), dtype=np.float32)
    y = random.integers(0, 10, len(x))
    layers = [gd.Dense(512, "relu", name='a "b" <c>'), gd.Dense(10)]
    net = gd.Network(layers, input_size=784, seed=0)
    trainer = gd.Trainer(net, "cross_entropy", "adam", num_threads=2)
    with gd.profile() as recorded:
        trainer.fit(x, y, batch_size=128, progress=False)
    return recorded


@pytest.fixture(scope="module")
def trace(prof: gd.profiling.Profile, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    prof.to_chrome_trace(path)
    return json.loads(path.read_text())


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
            "step", "GFLOP", "GFLOP/s", "MB", "waits for", "arithmetic",
        }  # fmt: skip
    else:
        assert kind == "C"
        assert all(is_number(value) and value >= 0 for value in entry["args"].values())


def test_every_entry_keeps_to_the_format(trace: Any) -> None:
    assert set(trace) == {"displayTimeUnit", "traceEvents"}
    for entry in trace["traceEvents"]:
        check(entry)


def test_every_event_is_a_slice_of_its_thread(prof: gd.profiling.Profile, trace: Any) -> None:
    slices = [entry for entry in trace["traceEvents"] if entry["ph"] == "X"]
    assert len(slices) == len(prof.events)
    events = prof.events
    assert [entry["name"] for entry in slices] == [
        prof.operations[i].label for i in events["operation"]
    ]
    np.testing.assert_allclose([entry["ts"] for entry in slices], events["begin"] / 1e3)
    np.testing.assert_allclose([entry["dur"] for entry in slices], prof.recording.durations / 1e3)
    assert any('a "b" <c>' in entry["name"] for entry in slices)
    assert any(entry["args"].get("waits for") for entry in slices)


def test_threads_have_names_and_their_slices_do_not_overlap(trace: Any) -> None:
    names = {
        entry["tid"]: entry["args"]["name"]
        for entry in trace["traceEvents"]
        if entry["name"] == "thread_name"
    }
    assert list(names.values()) == ["caller", "worker 1"]
    by_thread = defaultdict(list)
    for entry in trace["traceEvents"]:
        if entry["ph"] == "X":
            by_thread[entry["tid"]].append(entry)
    assert set(by_thread) == set(names)
    for slices in by_thread.values():
        for before, after in itertools.pairwise(slices):
            assert before["ts"] + before["dur"] <= after["ts"] + 0.002  # of rounding


def test_each_worker_has_a_counter_of_its_speed(prof: gd.profiling.Profile, trace: Any) -> None:
    counters = defaultdict(list)
    for entry in trace["traceEvents"]:
        if entry["ph"] == "C":
            counters[entry["name"]].append((entry["ts"], entry["args"]["GFLOP/s"]))
    assert set(counters) == {"GFLOP/s, caller", "GFLOP/s, worker 1"}
    for number, points in enumerate(counters.values()):
        times, speeds = map(np.array, zip(*points))
        assert (np.diff(times) > 0).all()
        done = (speeds[:-1] * np.diff(times)).sum() * 1e3
        own = prof.events["thread"] == number
        assert done == pytest.approx(prof.events["flops"][own].sum(), rel=1e-2)


def test_rates_take_short_events_together() -> None:
    events = np.zeros(4, EVENT)
    events["begin"] = [0, 100, 1000, 3000]
    events["end"] = [100, 1000, 3000, 4000]
    events["flops"] = [500, 500, 4000, 0]
    times, speeds = rates(events)
    np.testing.assert_array_equal(times, [0, 1000, 3000, 4000])
    np.testing.assert_allclose(speeds, [1, 2, 0, 0])
    assert [len(each) for each in rates(events[:0])] == [0, 0]
