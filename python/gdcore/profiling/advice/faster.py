"""What could be faster still."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdcore.profiling.advice.cause import PRODUCT_OPS, Cause, operation_of, percent
from gdcore.profiling.facts import Facts
from gdcore.profiling.limits import at_once, level_of, limits

# From which share of the time on something is worth a sentence, and other bars.
__all__ = ["memory", "precision"]

_OPERATION = 0.05  # of an operation bound by memory
_PRODUCTS = 0.5


def memory(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Operations at the speed of memory."""
    recording = facts.recording
    most = limits(recording)
    threads = len(facts.workers)
    # What a step comes back to is nearer than memory where all of the step fits.
    if level_of(recording.machine, facts.working_set, threads) != "memory":
        return
    if "memory" in most.disturbed:
        return
    fma, memory = most.peak, most.memory
    events = recording.events
    all_work = float(facts.durations[facts.work].sum())
    for number, own in facts.by_operation(facts.work):
        time = float(facts.durations[own].sum())
        workers = min(len(np.unique(facts.thread[own])), at_once(recording))
        size, flops = float(events["bytes"][own].sum()), float(events["flops"][own].sum())
        rate = size / time * workers * 1e9
        share = time / all_work
        if share < _OPERATION or size == 0 or flops / size > fma / memory / 2:
            continue
        if not memory / 2 < rate < 1.2 * memory:  # above, it comes from a cache
            continue
        kind = recording.operations[number]
        remedy = (
            "a larger batch_size updates less often, SGD has fewer states"
            if kind.phase == "update"
            else "more threads or SIMD do not make it faster"
        )
        yield Cause(
            "memory",
            f"{operation_of(facts, number)} is bound by memory: {percent(share)} of the work, "
            f"{rate / 1e9:.3g} GB/s where memory gives {memory / 1e9:.3g}, at "
            f"{flops / size:.2g} operations a byte; {remedy}.",
            share,
            tier=2,
        )


def precision(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Products that a lower precision would do faster."""
    recording = facts.recording
    served = recording.machine.precision.get("medium", "float32")
    if served == "float32":
        return
    products = facts.work & recording.where(
        lambda each: each.op in PRODUCT_OPS and each.arithmetic == "float32"
    )
    time = sum(facts.sum(products, i) for i in facts.workers)
    share = time / (facts.total * len(facts.workers))
    if share < _PRODUCTS:
        return
    flops = float(recording.events["flops"][products].sum())
    speed = flops / time * len(facts.workers) * 1e9 / limits(recording).peak
    if speed < 0.5:  # something else limits it, which other numbers would not change
        return
    yield Cause(
        "precision",
        f"Products in float32 take {percent(share)} of the time at {percent(speed)} of the "
        f'machine\'s peak: matmul_precision="medium" is served by {served} here, which has a '
        "higher one, if training can do with 8 bits of precision in the factors.",
        share,
        tier=2,
    )
