"""What holds a training up: one function a cause, each with a bar below which it is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gdcore import _core
from gdcore.profiling.facts import Facts
from gdcore.profiling.limits import at_once, level_of, limits

__all__ = ["CAUSES", "KINDS", "Cause", "percent", "threads_of", "us"]

# From which share of the time on something is worth a sentence.
_CALLBACKS = 0.05
_AROUND = 0.1  # the program, the data
_GIL = 0.05
_CONVERTED = 0.05
_VALIDATED = 0.3
_FAULTS = 0.1
_WAITING = 0.1
_LONG = 50e3  # nanoseconds a step: shorter waits are what meeting and waking take
_MOSTLY = 0.5  # of the time, however short
_UNEVEN = 0.03
_SLOW = 1.25  # times the mean
_LEAST_LOST = 5e3  # nanoseconds a step
_HELD_UP = 0.05
_SLICE = 5e6  # nanoseconds: of less than a scheduler's slice or two nothing is told
_PAYS = 1.2  # times faster, at least, that sharing a step should be
_SMALL = 1e6  # nanoseconds of work; what waits more than it works above that has other reasons
_FEW = 16  # samples of a batch
_IDLE = 0.2  # of the peak
_OPERATION = 0.05  # of an operation bound by memory
_PRODUCTS = 0.5
# Nanoseconds that a page costs that was not there: to find and clear a small one, and a huge one.
_FAULT = 250.0
_MOST_A_FAULT = 200_000.0
_LEAST_SYSTEM = 0.1e9

_PRODUCT_OPS = ("dense_forward", "weight_gradient", "input_gradient")

KINDS = (
    "quota",
    "affinity",
    "neighbour",
    "gil",
    "convert",
    "data",
    "callback",
    "metric",
    "validation",
    "page_faults",
    "program",
    "small_batch",
    "small_step",
    "one_thread",
    "partition",
    "slow_worker",
    "waiting",
    "memory",
    "precision",
)
# Where a thread that works had no CPU, all else follows from that.
_NO_CPU = frozenset(("quota", "neighbour"))
# Where the caller was elsewhere, workers wait for it.
_ELSEWHERE = frozenset(
    ("gil", "convert", "data", "callback", "metric", "validation", "page_faults", "program")
)


@dataclass(frozen=True)
class Cause:
    """A sentence, before it is known whether others come before it.

    Attributes:
        kind: One of `KINDS`.
        text: The sentence.
        share: The part of the time that it costs, 0 to 1, roughly.
        tier: 0 comes first: a CPU was missing; 1: the run was held up; 2: it could be faster.
    """

    kind: str
    text: str
    share: float
    tier: int = 1


Look = Callable[[Facts, frozenset[str]], Iterator[Cause]]


def us(nanoseconds: float) -> str:
    """Microseconds, or milliseconds and seconds of what takes long."""
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if nanoseconds >= 10 * size:
            return f"{nanoseconds / size:,.3g} {unit}"
    found = nanoseconds / 1e3
    return f"{found:,.0f} us" if found >= 10 else f"{found:.2g} us"


def percent(share: float) -> str:
    """Whole percents."""
    return f"{100 * share:.0f} %"


def threads_of(count: int) -> str:
    """Such as "2 threads"."""
    return "one thread" if count == 1 else f"{count} threads"


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"


def _operation(facts: Facts, number: int) -> str:
    kind = facts.recording.operations[number]
    return f"{kind.op} of layer {kind.layer}" if kind.layer else kind.op


# ---- a CPU was missing ----


def _quota(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    recording = facts.recording
    machine, workers = recording.machine, len(facts.workers)
    throttled = recording.throttled_seconds * 1e9 / max(recording.nanoseconds, 1)
    if workers <= machine.cpus and throttled < _HELD_UP:
        return
    reasons = []
    if machine.quota is not None:
        reasons.append(f"a quota of {machine.quota:g}")
    if 0 < machine.affinity < machine.online:
        reasons.append(f"{machine.affinity} of {machine.online} by affinity")
    why = f" ({', '.join(reasons)})" if reasons else ""
    sentences = []
    if workers > machine.cpus:
        sentences.append(
            f"{threads_of(workers)} shared {_cpus(machine.cpus)}{why}: while one has none, all "
            f"others wait for it. Set num_threads={machine.cpus}."
        )
    if throttled >= _HELD_UP:
        sentences.append(
            "A quota of CPU time held the process back for "
            f"{us(recording.throttled_seconds * 1e9)}, {percent(throttled)} of the time."
        )
    yield Cause("quota", " ".join(sentences), max(1 - machine.cpus / workers, throttled), tier=0)


def _affinity(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    machine = facts.recording.machine
    if "quota" in told or not 0 < machine.affinity < machine.online:
        return
    if _workers_that_pay(facts, machine.online) <= machine.affinity:
        return
    yield Cause(
        "affinity",
        f"The process may use {machine.affinity} of the machine's {_cpus(machine.online)}, and a "
        f"step has work for more: give it others, with taskset or where its container is started.",
        1 - machine.affinity / machine.online,
        tier=0,
    )


def _workers_that_pay(facts: Facts, most: int) -> int:
    """How many threads the library would give a step of these, of at most so many."""
    sizes = [int(each) for each in facts.recording.sources[facts.source].network.split("-") if each]
    if len(sizes) < 2 or not facts.batch:
        return 1
    parameters = sum((a + 1) * b for a, b in pairwise(sizes))
    flops = int(facts.flops / max(facts.steps, 1))
    return int(_core.workers_for_step(facts.batch, flops, parameters, max(most, 1)))


def _neighbour(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    if "quota" in told:
        return
    recording = facts.recording
    threads = recording.threads
    whole = max(recording.nanoseconds, 1)
    ready = {i: (threads[i].ready_seconds or 0.0) * 1e9 / whole for i in facts.workers}
    wanting = max(ready, key=lambda i: ready[i])
    stolen = recording.stolen_seconds * 1e9 / whole / max(recording.machine.cpus, 1)
    held = max(facts.held_up(), key=lambda each: each.nanoseconds)
    share = held.nanoseconds / facts.total
    known = all(threads[i].ready_seconds is not None for i in facts.workers)
    parts = []
    if ready[wanting] >= _HELD_UP:
        parts.append(
            f"{threads[wanting].name} wanted a CPU and had none for "
            f"{us(ready[wanting] * whole)}, {percent(ready[wanting])} of the time"
        )
    if stolen >= _HELD_UP:
        parts.append(
            "the machine below this virtual one gave others "
            f"{us(recording.stolen_seconds * 1e9)} of its CPUs, {percent(stolen)} of the time"
        )
    if not parts and (known or share < _HELD_UP):
        return  # the kernel knows of nobody
    if max(ready[wanting] * whole, held.nanoseconds, recording.stolen_seconds * 1e9) < _SLICE:
        return
    if share >= _HELD_UP:
        parts.append(
            f"{threads[held.thread].name} was held up {held.times:,} times within operations, "
            f"{percent(share)} of the time; what usually takes {us(held.usual)} took up to "
            f"{us(held.longest)}"
        )
    others = sum(each >= _HELD_UP for each in ready.values()) - 1
    also = f" So had {threads_of(others)} more." if others > 0 else ""
    cpus = recording.machine.cpus
    fewer = len(facts.workers) - 1
    remedy = f"leave it one of {_cpus(cpus)} with num_threads={fewer}" if fewer else ""
    yield Cause(
        "neighbour",
        f"Another process or thread uses the same CPUs: {'; '.join(parts)}.{also} Stop it"
        f"{f', or {remedy}' if remedy else ''}.",
        max(ready[wanting], share, stolen),
    )


# ---- the caller was elsewhere ----


def _gil(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
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


def _convert(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
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


def _data(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
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


def _metric(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
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


def _callback(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
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


def _validation(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    time = facts.phase("validation")
    if time / facts.total < _VALIDATED:
        return
    yield Cause(
        "validation",
        f"Validation took {percent(time / facts.total)} of the time, {us(time)} where the steps "
        f"took {us(facts.step * facts.steps)}: fewer validation samples tell nearly as much.",
        time / facts.total,
    )


def _page_faults(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
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


def _program(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
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


# ---- how the work is shared ----


def _small_batch(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    most = limits(facts.recording)
    speed = facts.flops / max(facts.step * facts.steps, 1.0) * 1e9 / most.peak
    if not 0 < facts.batch <= _FEW or speed > _IDLE:
        return
    yield Cause(
        "small_batch",
        f"A batch of {facts.batch} leaves most of the machine idle: a step of {us(facts.step)} has "
        f"{facts.flops / facts.steps / 1e6:.2g} MFLOP, {percent(speed)} of what the threads could "
        "do in that time. A larger batch_size does more samples a second.",
        1 - speed,
    )


def _small_step(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    if len(facts.workers) < 2 or told & _NO_CPU:
        return
    step, work = facts.typical()
    if work > min(_PAYS * step, _SMALL):
        return
    saved = "nothing" if work <= step else f"{percent(1 - step / work)} at the most"
    yield Cause(
        "small_step",
        f"A step is too small for {threads_of(len(facts.workers))}: it takes {us(step)}, and "
        f"one thread would need no more than {us(work)}, which is what all of its operations take "
        f"on all workers together: sharing saves {saved}. Set num_threads=1, or take a larger "
        "batch_size.",
        max(1 - work / (2 * step), 0.0),
    )


def _one_thread(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    source, machine = facts.recording.sources[facts.source], facts.recording.machine
    if source.threads != 1 or machine.cpus < 2 or told & _NO_CPU:
        return
    workers = _workers_that_pay(facts, machine.cpus)
    inside = facts.step * facts.steps / facts.total
    if workers < 2 or inside < _AROUND:
        return
    yield Cause(
        "one_thread",
        f"Training may use one thread, and the process {_cpus(machine.cpus)}: a step has "
        f"{facts.flops / facts.steps / 1e6:.3g} MFLOP, enough for {workers}. Leave num_threads "
        f"out, or set num_threads={workers}.",
        inside * (1 - 1 / workers),
    )


def _partition(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    if told & (_NO_CPU | {"small_step", "small_batch"}):
        return
    for each in facts.uneven():
        if each.lost / facts.total < _UNEVEN:
            return
        if each.lost / facts.steps < _LEAST_LOST:
            continue
        name = facts.recording.threads[each.worker].name
        fair = 1 / each.workers
        what = _operation(facts, each.operation)
        share = each.lost / facts.total
        if each.flops_share > 1.1 * fair:
            yield Cause(
                "partition",
                f"{what} is cut unevenly: one of {each.workers} workers, mostly {name}, has "
                f"{percent(each.flops_share)} of its arithmetic where {percent(fair)} would be "
                f"fair, and {us(each.lost / facts.steps)} a step are lost by that. Units or a "
                "batch_size that divide by the number of threads, or fewer threads, share it "
                "evenly.",
                share,
            )
        elif each.ratio > _SLOW:
            yield Cause(
                "slow_worker",
                f"{name} takes {each.ratio:.2f} times the mean for the same part of {what}, and "
                f"the others wait {us(each.lost / facts.steps)} a step for it: its core is "
                "slower, shares a physical core, or is used by others.",
                share,
            )


def _is_long(facts: Facts, waited: float) -> bool:
    share = waited / facts.total
    return share >= _MOSTLY or (share >= _WAITING and waited / facts.steps >= _LONG)


def _waiting(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    if told & (_NO_CPU | {"small_step", "small_batch"}):
        return
    recording = facts.recording
    waits = {i: facts.waited(i) for i in facts.workers}
    long = {i: each for i, each in waits.items() if _is_long(facts, each[0]) and each[1]}
    if not long:
        return
    i = max(long, key=lambda each: long[each][0])
    waited, operation = long[i]
    kind = recording.operations[operation]
    if kind.op == "step":
        if told & _ELSEWHERE:
            return
        what, share = facts.between_steps()
        doing = {
            "callback": "in callbacks",
            "caller": "in the program",
            "data": "with data",
            "step": "with the step itself",
        }[what]
        cause = f"for the caller between steps, who spent {percent(share)} of that time {doing}"
    else:
        if told & {"partition", "slow_worker"}:
            return
        cause = f"for others to finish {_operation(facts, operation)}"
    more = len(long) - 1
    also = f" So did {threads_of(more)} more, for less long." if more else ""
    yield Cause(
        "waiting",
        f"{recording.threads[i].name} waited {percent(waited / facts.total)} of the time, "
        f"{us(waited / facts.steps)} a step, "
        f"{percent(facts.waited_for(i, operation) / waited)} of it {cause}.{also}",
        waited / facts.total / len(facts.workers),
    )


# ---- what could be faster still ----


def _memory(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
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
            f"{_operation(facts, number)} is bound by memory: {percent(share)} of the work, "
            f"{rate / 1e9:.3g} GB/s where memory gives {memory / 1e9:.3g}, at "
            f"{flops / size:.2g} operations a byte; {remedy}.",
            share,
            tier=2,
        )


def _precision(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    recording = facts.recording
    served = recording.machine.precision.get("medium", "float32")
    if served == "float32":
        return
    products = facts.work & recording.where(
        lambda each: each.op in _PRODUCT_OPS and each.arithmetic == "float32"
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


# Each is told what those before it found.
CAUSES: tuple[Look, ...] = (
    _quota,
    _affinity,
    _neighbour,
    _gil,
    _convert,
    _data,
    _metric,
    _callback,
    _validation,
    _page_faults,
    _program,
    _small_batch,
    _small_step,
    _one_thread,
    _partition,
    _waiting,
    _memory,
    _precision,
)
