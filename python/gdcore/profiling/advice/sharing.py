"""How the work is shared by threads."""

from __future__ import annotations

from collections.abc import Iterator

from gdcore.profiling.advice.cause import (
    ELSEWHERE,
    NO_CPU,
    Cause,
    cpus_of,
    operation_of,
    percent,
    threads_of,
    us,
)
from gdcore.profiling.advice.missing_cpus import workers_that_pay
from gdcore.profiling.facts import Facts
from gdcore.profiling.limits import limits

# From which share of the time on something is worth a sentence, and other bars.
__all__ = ["one_thread", "partition", "small_batch", "small_step", "waiting"]

_AROUND = 0.1  # the program, the data
_WAITING = 0.1
_LONG = 50e3  # nanoseconds a step: shorter waits are what meeting and waking take
_MOSTLY = 0.5  # of the time, however short
_UNEVEN = 0.03
_SLOW = 1.25  # times the mean
_LEAST_LOST = 5e3  # nanoseconds a step
_PAYS = 1.2  # times faster, at least, that sharing a step should be
_SMALL = 1e6  # nanoseconds of work; what waits more than it works above that has other reasons
_FEW = 16  # samples of a batch
_IDLE = 0.2  # of the peak


def small_batch(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """Few samples leave the machine idle."""
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


def small_step(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """The step is too small to share."""
    if len(facts.workers) < 2 or told & NO_CPU:
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


def one_thread(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """The step is large enough to share, and nobody shares it."""
    source, machine = facts.recording.sources[facts.source], facts.recording.machine
    if source.threads != 1 or machine.cpus < 2 or told & NO_CPU:
        return
    workers = workers_that_pay(facts, machine.cpus)
    inside = facts.step * facts.steps / facts.total
    if workers < 2 or inside < _AROUND:
        return
    yield Cause(
        "one_thread",
        f"Training may use one thread, and the process {cpus_of(machine.cpus)}: a step has "
        f"{facts.flops / facts.steps / 1e6:.3g} MFLOP, enough for {workers}. Leave num_threads "
        f"out, or set num_threads={workers}.",
        inside * (1 - 1 / workers),
    )


def partition(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """The work is shared unevenly, or one worker is slow."""
    if told & (NO_CPU | {"small_step", "small_batch"}):
        return
    for each in facts.uneven():
        if each.lost / facts.total < _UNEVEN:
            return
        if each.lost / facts.steps < _LEAST_LOST:
            continue
        name = facts.recording.threads[each.worker].name
        fair = 1 / each.workers
        what = operation_of(facts, each.operation)
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


def waiting(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """Workers wait for each other."""
    if told & (NO_CPU | {"small_step", "small_batch"}):
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
        if told & ELSEWHERE:
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
        cause = f"for others to finish {operation_of(facts, operation)}"
    more = len(long) - 1
    also = f" So did {threads_of(more)} more, for less long." if more else ""
    yield Cause(
        "waiting",
        f"{recording.threads[i].name} waited {percent(waited / facts.total)} of the time, "
        f"{us(waited / facts.steps)} a step, "
        f"{percent(facts.waited_for(i, operation) / waited)} of it {cause}.{also}",
        waited / facts.total / len(facts.workers),
    )
