"""The caller was elsewhere: in Python, in data, in validation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdcore.profiling.advice.cause import Cause, percent, us
from gdcore.profiling.facts import Facts

__all__ = [
    "callback",
    "convert",
    "data",
    "first_step",
    "gil",
    "metric",
    "page_faults",
    "program",
    "validation",
]

# From which share of the time on something is worth a sentence.
_CALLBACKS = 0.05
_FIRST = 0.2
_AROUND = 0.1  # the program, the data
_GIL = 0.05
_CONVERTED = 0.05
_VALIDATED = 0.3
_FAULTS = 0.1
# Nanoseconds that a page costs that was not there: to find and clear a small one, and a huge one.
_FAULT = 250.0
_MOST_A_FAULT = 200_000.0
_LEAST_SYSTEM = 0.1e9


def gil(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Another thread held Python's lock."""
    time = facts.phase("gil")
    if time / facts.total < _GIL:
        return
    yield Cause(
        "gil",
        f"Another thread of Python's held its lock (the GIL) while training wanted it: "
        f"{percent(time / facts.total)} of the time, {us(time / facts.steps)} a step. Do what that "
        "thread does in another process, or train with fit, which needs the lock between batches "
        "only for callbacks and a few times a second.",
        time / facts.total,
    )


def convert(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Arrays were not what a step can read."""
    recording = facts.recording
    mask = recording.where(lambda each: each.op == "convert")
    time = facts.sum(mask, facts.caller)
    if time / facts.total < _CONVERTED:
        return
    own = mask & facts.in_window
    numbers = np.bincount(recording.events["operation"][own], facts.durations[own])
    most = recording.operations[int(numbers.argmax())].layer
    yield Cause(
        "convert",
        f"Converting arrays held up training {percent(time / facts.total)} of the time, "
        f"{us(time)} in {int(own.sum()):,} conversions, most of it {most}: give arrays that are "
        "C-contiguous and of the network's dtype, or convert them once before the loop.",
        time / facts.total,
    )


def first_step(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """What is made once is most of it."""
    recording = facts.recording
    numbers = recording.events["step"]
    own = facts.training & ~facts.around & (facts.thread == facts.caller)
    if facts.steps < 2 or int(numbers[own].min()) != 1:
        return
    first = float(facts.durations[own & (numbers == 1)].sum())
    share = (first - facts.typical()[0]) / facts.total
    if share < _FIRST:
        return
    yield Cause(
        "first_step",
        f"The first step took {us(first)}, {percent(first / facts.total)} of the time, where "
        f"others take {us(facts.typical()[0])}: the plan, its memory and the threads are made in "
        "it, once. Train a step before the profile, or record more of them.",
        share,
    )


def data(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Checks, shuffles and copies of rows."""
    recording = facts.recording
    mask = recording.phase("data") & ~recording.where(lambda each: each.op == "convert")
    time = facts.usually(mask)
    if time / facts.total < _AROUND:
        return
    gather = facts.sum(recording.where(lambda each: each.op == "gather"), facts.caller)
    what = (
        "copying shuffled rows side by side: a larger batch_size or smaller layers' inputs help, "
        "or shuffle=False where the order does not matter"
        if gather > time / 2
        else "checking, converting and shuffling arrays: give contiguous arrays of the network's "
        "dtype, and ask for several epochs in one fit"
    )
    yield Cause(
        "data",
        f"Data preparation held up training {percent(time / facts.total)} of the time, "
        f"{us(time / facts.steps)} a step, mostly {what}.",
        time / facts.total,
    )


def _whole(facts: Facts) -> float:
    """What ranges are a part of: they are recorded beside steps too that are not."""
    return facts.total if facts.recording.every == 1 else float(facts.recording.nanoseconds)


def metric(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Metrics after each epoch."""
    named = facts.named("metric ")
    time = sum(each.nanoseconds for each in named)
    if not named or time / _whole(facts) < _CALLBACKS:
        return
    most = named[0]
    yield Cause(
        "metric",
        f"Metrics took {percent(time / _whole(facts))} of the time, most of it {most.name}: "
        f"{us(most.nanoseconds / most.times)} each of {most.times:,} times. They come after each "
        "epoch: compute it on fewer validation samples, or after the training.",
        time / _whole(facts),
    )


_HOOKS = (".on_batch_end", ".on_epoch_end", ".on_fit_begin", ".on_fit_end", "progress")


def callback(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Callbacks and the progress bar."""
    metrics = sum(each.nanoseconds for each in facts.named("metric "))
    hooks = facts.named(*_HOOKS)
    whole = _whole(facts)
    if hooks:
        time = sum(each.nanoseconds for each in hooks)
    else:
        time = max(facts.phase("callback") - metrics, 0.0)
    if time / whole < _CALLBACKS:
        return
    a_step = f", {us(time / facts.all_steps)} a step where a step itself takes {us(facts.step)}"
    if not hooks:
        yield Cause(
            "callback",
            f"Python callbacks and the progress bar held up training {percent(time / whole)} of "
            f"the time{a_step}: what need not happen after every batch belongs into on_epoch_end.",
            time / whole,
        )
        return
    most = hooks[0]
    remedy = "it runs once an epoch: make it cheaper, or do it every few epochs"
    if most.name.endswith(".on_batch_end"):
        remedy = "what need not happen after every batch belongs into on_epoch_end"
    elif most.name == "progress":
        remedy = "progress=False leaves the bar out"
    elif most.name.endswith((".on_fit_begin", ".on_fit_end")):
        remedy = "it runs once a fit: ask for more epochs in one"
    yield Cause(
        "callback",
        f"Python callbacks held up training {percent(time / whole)} of the time"
        f"{a_step if most.times >= facts.all_steps else ''}, most of it {most.name}, "
        f"{us(most.nanoseconds / most.times)} each of {most.times:,} times: {remedy}.",
        time / whole,
    )


def validation(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Much of the time goes into validation."""
    time = facts.phase("validation")
    if time / facts.total < _VALIDATED:
        return
    yield Cause(
        "validation",
        f"Validation took {percent(time / facts.total)} of the time, {us(time)} where the steps "
        f"took {us(facts.step * facts.steps)}: fewer validation samples tell nearly as much.",
        time / facts.total,
    )


def page_faults(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """Memory that was not there is fetched again and again."""
    if "convert" in told:  # into fresh arrays
        return
    threads = [facts.recording.threads[i] for i in facts.workers]
    most = max(threads, key=lambda each: each.page_faults or 0)
    faults, system = most.page_faults or 0, (most.system_seconds or 0.0) * 1e9
    # Huge ones take longer, but then the kernel's time says so, which it counts in centiseconds.
    time = faults * _FAULT
    if system >= _LEAST_SYSTEM:
        time = max(time, min(system, faults * _MOST_A_FAULT))
    share = time / max(facts.recording.nanoseconds, 1)
    if share < _FAULTS:
        return
    yield Cause(
        "page_faults",
        f"The system had to find and clear {faults:,} pages of fresh memory for {most.name}, "
        f"{faults / facts.steps:,.0f} a step, which took some {percent(share)} of the time: make "
        "large arrays once and write into them (out=) in place of new ones for each step.",
        share,
    )


def program(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """The program between two calls."""
    time = facts.usually(facts.recording.phase("caller"))
    if time / facts.total < _AROUND or "page_faults" in told:
        return
    yield Cause(
        "program",
        f"The program itself took {percent(time / facts.total)} of the time, "
        f"{us(time / facts.steps)} between two steps of {us(facts.step)}: prepare all data once "
        "and let fit or learn_many go over it, which stay in C++ from step to step.",
        time / facts.total,
    )
