"""A recording made by hand for pictures and pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from recordings import events_of

from gdcore.profiling import Machine, Operation, Recording, Thread
from gdcore.profiling.records import RANGE, Source

ODD = "<b>&amp; $x^$ \u00e9"  # a layer's name that is neither HTML nor mathematics
OPERATIONS = [
    Operation("", "", "", ""),
    Operation("caller", "", "caller", ""),
    Operation("gather", "", "data", "float32"),
    Operation("dense_forward", "0", "forward", "bfloat16"),
    Operation("dense_forward", ODD, "forward", "float32"),
    Operation("loss", "", "loss", "float32"),
    Operation("weight_gradient", ODD, "backward", "float32"),
    Operation("update", "0", "update", "float32"),
    Operation("wait", "", "wait", ""),
    Operation("sleep", "", "wait", ""),
    Operation("callback", "", "callback", ""),
    Operation("step", "", "step", ""),
]
LENGTHS = {2: 40, 3: 400, 4: 300, 8: 20, 5: 5, 6: 500, 7: 90, 9: 60, 10: 30, 11: 8}
SPAN = 1000 * sum(LENGTHS.values())  # nanoseconds of a step
IN_A_STEP = 1000 * sum(
    length for kind, length in LENGTHS.items() if kind != 10
)  # without the callback
MEMORY, MULTIPLY_ADDS = 2e10, 1e11


def synthetic(threads: int = 3, steps: int = 8, **changes: Any) -> Recording:
    """Steps of SPAN nanoseconds in which every thread does the same, from step 1 on."""
    rows = []
    for step in range(1, steps + 1):
        for thread in range(threads):
            at = (step - 1) * SPAN
            for kind, length in LENGTHS.items():
                work = 1000 * length if kind < 8 else 0
                flops, size = 20 * work * (kind > 2), work // 2
                waits_for = 4 if kind == 8 else 0
                end = at + 1000 * length
                rows.append((at, end, flops, size, step, kind, waits_for, thread))
                at = end
    events = events_of(rows)
    peaks = {f"float32 x{threads}": MULTIPLY_ADDS, f"memory x{threads}": MEMORY}
    peaks[f"bfloat16 x{threads}"] = 0.0  # no units for it
    peaks |= {key.replace(str(threads), "1"): value for key, value in peaks.items()}
    names = ["caller", *(f"worker {i}" for i in range(1, threads))]
    recording = Recording(
        events=events[np.argsort(events["begin"], kind="stable")],
        operations=OPERATIONS,
        threads=[Thread(name, i, 100 + i) for i, name in enumerate(names)],
        machine=Machine(cpus=2, quota=None, isa="avx2", precision={}, peaks=peaks),
        nanoseconds=max(steps, 1) * SPAN,
        steps=steps,
        sources=[Source(), Source("trainer 1", "trainer", steps=steps)],
    )
    return replace(recording, **changes)


def empty() -> Recording:
    return replace(synthetic(steps=0), threads=[])


def stretched(recording: Recording, step: int, kind: int, more: int) -> Recording:
    """One operation of one step takes more nanoseconds on all threads; what follows is later."""
    events = recording.events.copy()
    own = (events["step"] == step) & (events["operation"] == kind)
    after = events["begin"] >= events["end"][own].max()
    events["end"][own] += more
    for name in ("begin", "end"):
        events[name][after] += more
    return replace(recording, events=events, nanoseconds=recording.nanoseconds + more)


def ranged(recording: Recording) -> Recording:
    """With three named stretches: an epoch, and a metric within it, twice."""
    rows = [
        (0, 6 * SPAN, 0, 0, 0, 0, 1),
        (2 * SPAN, 3 * SPAN, 2, 1, 0, 1, 1),
        (4 * SPAN, 6 * SPAN, 4, 1, 0, 1, 1),
    ]
    return replace(recording, ranges=np.array(rows, RANGE), range_names=["epoch", "metric"])


def picture(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)[..., :3]
