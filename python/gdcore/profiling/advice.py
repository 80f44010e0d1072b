"""What a recording says, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdcore.profiling.facts import Facts
from gdcore.profiling.limits import peaks
from gdcore.profiling.recording import Recording

__all__ = ["Advice", "advise"]

# From which share of the time on something is worth a sentence.
_CALLBACKS = 0.05
_AROUND = 0.1  # the program, the data
_WAITING = 0.1
_UNEVEN = 0.03
_HELD_UP = 0.05
_PAYS = 1.2  # times faster, at least, that sharing a step should be
_SMALL = 1e6  # nanoseconds of work; what waits more than it works above that has other reasons
_OPERATION = 0.05  # of an operation bound by memory
_PRODUCTS = 0.5

_PRODUCT_OPS = ("dense_forward", "weight_gradient", "input_gradient")


class Advice(str):
    """A sentence with its numbers.

    Attributes:
        kind: A word for what it is about: ``"summary"``, ``"callback"``, ``"program"``, ``"data"``,
            ``"quota"``, ``"small_step"``, ``"partition"``, ``"slow_worker"``, ``"neighbour"``,
            ``"waiting"``, ``"memory"``, ``"precision"`` or ``"dropped"``.
    """

    kind: str

    def __new__(cls, kind: str, text: str) -> Advice:
        """A sentence of a kind."""
        made = super().__new__(cls, text)
        made.kind = kind
        return made

    def __reduce__(self) -> tuple[type[Advice], tuple[str, str]]:
        """Copies and pickles keep the kind."""
        return Advice, (self.kind, str(self))


def advise(recording: Recording) -> list[Advice]:
    """A summary, then what holds the run up, then what could make it faster still."""
    facts = Facts(recording)
    if not facts.steps or facts.caller < 0:
        return [Advice("summary", "No training step was recorded: there is nothing to advise on.")]
    found = [_summary(facts), *_callbacks(facts), *_program(facts), *_data(facts)]
    # The first explains what the next would see.
    threads = [*_quota(facts)] or [*_small_step(facts), *_neighbour(facts)] or [*_sharing(facts)]
    found += [*threads, *_waiting(facts), *_memory(facts), *_precision(facts), *_dropped(facts)]
    return found


def _us(nanoseconds: float) -> str:
    us = nanoseconds / 1e3
    return f"{us:,.0f} us" if us >= 10 else f"{us:.2g} us"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"


def _operation(facts: Facts, number: int) -> str:
    kind = facts.recording.operations[number]
    return f"{kind.op} of layer {kind.layer}" if kind.layer else kind.op


def _flops(facts: Facts) -> float:
    """Of all workers together, a second of steps without what is around them."""
    flops = float(facts.recording.events["flops"][facts.in_steps].sum())
    return flops / (facts.step * facts.steps) * 1e9


def _summary(facts: Facts) -> Advice:
    work = sum(facts.sum(facts.recording.work, i) for i in facts.workers)
    share = work / (facts.total * len(facts.workers))
    speed, peak = _flops(facts), peaks(facts.recording)[0]
    return Advice(
        "summary",
        f"{facts.steps:,} steps of {_us(facts.step)} on {_threads(len(facts.workers))}, at "
        f"{speed / 1e9:.3g} GFLOP/s, {_percent(speed / peak)} of the machine's peak without "
        f"lower precision; the workers were at operations {_percent(share)} of the time.",
    )


def _callbacks(facts: Facts) -> Iterator[Advice]:
    time = facts.phase("callback")
    if time / facts.total < _CALLBACKS:
        return
    yield Advice(
        "callback",
        f"Python callbacks and the progress bar held up training {_percent(time / facts.total)} of "
        f"the time, {_us(time / facts.steps)} a step where a step itself takes "
        f"{_us(facts.step)}: what need not happen after every batch belongs into on_epoch_end.",
    )


def _program(facts: Facts) -> Iterator[Advice]:
    time = facts.phase("caller")
    if time / facts.total < _AROUND:
        return
    yield Advice(
        "program",
        f"The program itself took {_percent(time / facts.total)} of the time, "
        f"{_us(time / facts.steps)} between two steps of {_us(facts.step)}: prepare all data once "
        "and let fit or learn_many go over it, which stay in C++ from step to step.",
    )


def _data(facts: Facts) -> Iterator[Advice]:
    time = facts.phase("data")
    if time / facts.total < _AROUND:
        return
    gather = facts.sum(facts.recording.where(lambda each: each.op == "gather"), facts.caller)
    what = (
        "copying shuffled rows side by side: a larger batch_size or smaller layers' inputs help, "
        "or shuffle=False where the order does not matter"
        if gather > time / 2
        else "checking, converting and shuffling arrays: give contiguous arrays of the network's "
        "dtype, and ask for several epochs in one fit"
    )
    yield Advice(
        "data",
        f"Data preparation held up training {_percent(time / facts.total)} of the time, "
        f"{_us(time / facts.steps)} a step, mostly {what}.",
    )


def _quota(facts: Facts) -> Iterator[Advice]:
    machine, workers = facts.recording.machine, len(facts.workers)
    if workers <= machine.cpus:
        return
    why = "" if machine.quota is None else f" (a quota of {machine.quota:g})"
    yield Advice(
        "quota",
        f"{workers} threads shared {_cpus(machine.cpus)}{why}: while one has none, all others wait "
        f"for it. Set num_threads={machine.cpus}.",
    )


def _small_step(facts: Facts) -> Iterator[Advice]:
    if len(facts.workers) < 2:
        return
    step, work = facts.typical()
    if work > min(_PAYS * step, _SMALL):
        return
    saved = "nothing" if work <= step else f"{_percent(1 - step / work)} at the most"
    yield Advice(
        "small_step",
        f"A step is too small for {len(facts.workers)} threads: it takes {_us(step)}, and "
        f"one thread would need no more than {_us(work)}, which is what all of its operations take "
        f"on all workers together: sharing saves {saved}. Set num_threads=1, or take a larger "
        "batch_size.",
    )


def _neighbour(facts: Facts) -> Iterator[Advice]:
    held = max(facts.held_up(), key=lambda each: each.nanoseconds)
    threads = facts.recording.threads
    ready = {i: threads[i].ready_seconds or 0.0 for i in facts.workers}
    wanting = max(ready, key=lambda i: ready[i])
    share = held.nanoseconds / facts.total
    known = ready[wanting] * 1e9 / max(facts.recording.nanoseconds, 1)
    if share < _HELD_UP and known < _HELD_UP:
        return
    parts = []
    if share >= _HELD_UP:
        parts.append(
            f"{threads[held.thread].name} was held up {held.times:,} times within operations, "
            f"{_percent(share)} of the time; what usually takes {_us(held.usual)} took up to "
            f"{_us(held.longest)}"
        )
    if known >= _HELD_UP:
        parts.append(
            f"{threads[wanting].name} wanted a CPU and had none for "
            f"{ready[wanting] * 1e3:,.0f} ms, {_percent(known)} of the time"
        )
    cpus = facts.recording.machine.cpus
    fewer = len(facts.workers) - 1
    yield Advice(
        "neighbour",
        f"Another process or thread uses the same CPUs: {'; '.join(parts)}. Stop it, or leave it "
        f"one of {_cpus(cpus)} with num_threads={max(fewer, 1)}.",
    )


def _sharing(facts: Facts) -> Iterator[Advice]:
    for each in facts.uneven():
        if each.lost / facts.total < _UNEVEN:
            return
        name = facts.recording.threads[each.worker].name
        fair = 1 / each.workers
        what = _operation(facts, each.operation)
        if each.flops_share > 1.1 * fair:
            yield Advice(
                "partition",
                f"{what} is cut unevenly: one of {each.workers} workers, mostly {name}, has "
                f"{_percent(each.flops_share)} of its arithmetic where {_percent(fair)} would be "
                f"fair, and {_us(each.lost / facts.steps)} a step are lost by that. Units or a "
                "batch_size that divide by the number of threads, or fewer threads, share it "
                "evenly.",
            )
        elif each.time_share > 1.1 * fair:
            yield Advice(
                "slow_worker",
                f"{name} takes {each.ratio:.2f} times the mean for the same part of {what}, and "
                f"the others wait {_us(each.lost / facts.steps)} a step for it: its core is "
                "slower, shares a physical core, or is used by others.",
            )


def _waiting(facts: Facts) -> Iterator[Advice]:
    for i in facts.workers:
        waited, operation = facts.waited(i)
        if waited / facts.total < _WAITING or operation == 0:
            continue
        for_it = facts.waited_for(i, operation) / waited
        name = facts.recording.threads[i].name
        kind = facts.recording.operations[operation]
        if kind.op == "step":
            what, share = facts.between_steps()
            doing = {
                "callback": "in callbacks",
                "caller": "in the program",
                "data": "with data",
                "step": "with the step itself",
            }[what]
            cause = (
                f"for the caller between steps, who spent {_percent(share)} of that time {doing}"
            )
        else:
            cause = f"for others to finish {_operation(facts, operation)}"
        yield Advice(
            "waiting",
            f"{name} waited {_percent(waited / facts.total)} of the time, "
            f"{_us(waited / facts.steps)} a step, {_percent(for_it)} of it {cause}.",
        )


def _memory(facts: Facts) -> Iterator[Advice]:
    recording = facts.recording
    fma, memory = peaks(recording)
    events, work = recording.events, recording.work & facts.in_steps
    all_work = float(facts.durations[work].sum())
    for number in np.unique(events["operation"][work]):
        own = work & (events["operation"] == number)
        time = float(facts.durations[own].sum())
        workers = len(np.unique(facts.thread[own]))
        size, flops = float(events["bytes"][own].sum()), float(events["flops"][own].sum())
        rate = size / time * workers * 1e9
        share = time / all_work
        if share < _OPERATION or size == 0 or flops / size > fma / memory / 2:
            continue
        if not memory / 2 < rate < 1.2 * memory:  # above, it comes from a cache
            continue
        kind = recording.operations[int(number)]
        remedy = (
            "a larger batch_size updates less often, SGD has fewer states"
            if kind.phase == "update"
            else "more threads or SIMD do not make it faster"
        )
        yield Advice(
            "memory",
            f"{_operation(facts, int(number))} is bound by memory: {_percent(share)} of the work, "
            f"{rate / 1e9:.3g} GB/s where memory gives {memory / 1e9:.3g}, at "
            f"{flops / size:.2g} operations a byte; {remedy}.",
        )


def _precision(facts: Facts) -> Iterator[Advice]:
    recording = facts.recording
    served = recording.machine.precision.get("medium", "float32")
    if served == "float32":
        return
    products = recording.work & recording.where(
        lambda each: each.op in _PRODUCT_OPS and each.arithmetic == "float32"
    )
    time = sum(facts.sum(products, i) for i in facts.workers)
    share = time / (facts.total * len(facts.workers))
    if share < _PRODUCTS:
        return
    flops = float(recording.events["flops"][products & facts.in_steps].sum())
    speed = flops / time * len(facts.workers) * 1e9 / peaks(recording)[0]
    if speed < 0.5:  # something else limits it, which other numbers would not change
        return
    yield Advice(
        "precision",
        f"Products in float32 take {_percent(share)} of the time at {_percent(speed)} of the "
        f'machine\'s peak: matmul_precision="medium" is served by {served} here, which has a '
        "higher one, if training can do with 8 bits of precision in the factors.",
    )


def _dropped(facts: Facts) -> Iterator[Advice]:
    recording = facts.recording
    if not recording.dropped:
        return
    yield Advice(
        "dropped",
        f"{recording.dropped:,} events are gone and {len(recording.events):,} were kept: record "
        "every n-th step with every=n, or give more room with events_per_thread.",
    )
