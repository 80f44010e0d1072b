"""Recordings of small trainings, and made by hand, for what is made of them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from recordings import events_of

import gdcore as gd
from gdcore.profiling.excerpt import step_times
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import RANGE, Machine, Operation, Source, Thread

__all__ = ["by_hand", "full_rings", "teams_recording", "whole_recording"]


def whole_recording() -> Recording:
    """Ten steps on two threads, validation, a callback, a prediction, and ranges."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1280, 784), dtype=np.float32)
    y = random.integers(0, 10, len(x))
    layers = [gd.Dense(512, "relu", name='a "b" <c>'), gd.Dense(10)]
    net = gd.Network(layers, input_size=784, seed=0)
    trainer = gd.Trainer(net, "cross_entropy", "adam", num_threads=2)
    with gd.profile() as prof, gd.range("whole"):
        trainer.fit(
            x, y, batch_size=128, progress=False, validation_data=(x[:200], y[:200]),
            callbacks=[gd.callbacks.EarlyStopping()],
        )  # fmt: skip
        with gd.range('predict "it"'):
            net.predict(x)
    return prof.recording


def teams_recording() -> Recording:
    """Two threads, each with a trainer of its own."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((64, 8)), random.standard_normal((64, 1))

    def work() -> None:
        net = gd.Network([gd.Dense(8, "tanh"), gd.Dense(1)], input_size=8, seed=0)
        trainer = gd.Trainer(net, "mse", "adam", num_threads=1)
        with gd.range("work"):
            trainer.fit(x, y, batch_size=8, progress=False)

    threads = [threading.Thread(target=work) for _ in range(2)]
    with gd.profile() as prof:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return prof.recording


def full_rings(recording: Recording) -> Recording:
    """Two full rings: the same recording again and again."""
    count = 1 << 21
    times = -(-count // len(recording.events))
    length, steps = recording.nanoseconds, int(recording.events["step"].max())

    def again(rows: Any) -> Any:
        found = np.tile(rows, times)
        turn = np.repeat(np.arange(times), len(rows))
        for name in ("begin", "end"):
            found[name] += turn * length
        found["step"] += (turn * steps).astype(np.uint32)
        return found

    events = again(recording.events)[:count]
    # Three steps that others held up, long before the end.
    found = step_times(replace(recording, events=events))
    for step in (5000, 200, 10):
        middle = (found.begin[step] + found.end[step]) // 2
        for name in ("begin", "end"):
            events[name][events[name] > middle] += 10**9
    return replace(
        recording, events=events, ranges=again(recording.ranges), nanoseconds=times * length
    )


def by_hand(
    rows: list[Any], ranges: list[Any] = (), names: tuple[str, ...] = (), **more: Any
) -> Recording:
    """A recording of FIELDS and of (begin, end, name, depth)."""
    found = np.zeros(len(ranges), RANGE)
    for name, column in zip(("begin", "end", "name", "depth"), zip(*ranges)):
        found[name] = column
    operations = [
        Operation("", "", "", ""),
        Operation("dense_forward", "0", "forward", "float32"),
        Operation("wait", "", "wait", ""),
        Operation("callback", "", "callback", ""),
    ]
    return Recording(
        events=events_of(rows), operations=operations,
        threads=[Thread("caller", 0, 0), Thread("worker 1", 1, 0)],
        machine=Machine(2, None, "avx2", {}), nanoseconds=10**6, steps=9,
        sources=[Source(), Source("trainer 1", "trainer")], ranges=found, range_names=names, **more,
    )  # fmt: skip
