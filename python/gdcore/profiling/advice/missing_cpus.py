"""A thread had no CPU."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gdcore import _core
from gdcore.profiling.advice.cause import Cause, cpus_of, percent, threads_of, us
from gdcore.profiling.facts import Facts

# From which share of the time on something is worth a sentence, and other bars.
__all__ = ["affinity", "neighbour", "quota", "workers_that_pay"]

_HELD_UP = 0.05
_SLICE = 5e6  # nanoseconds: of less than a scheduler's slice or two nothing is told


def quota(facts: Facts, _: frozenset[str]) -> Iterator[Cause]:
    """More threads than the quota of CPUs pays for."""
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
            f"{threads_of(workers)} shared {cpus_of(machine.cpus)}{why}: while one has none, all "
            f"others wait for it. Set num_threads={machine.cpus}."
        )
    if throttled >= _HELD_UP:
        sentences.append(
            "A quota of CPU time held the process back for "
            f"{us(recording.throttled_seconds * 1e9)}, {percent(throttled)} of the time."
        )
    yield Cause("quota", " ".join(sentences), max(1 - machine.cpus / workers, throttled), tier=0)


def affinity(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """Bound to fewer CPUs than there are."""
    machine = facts.recording.machine
    if "quota" in told or not 0 < machine.affinity < machine.online:
        return
    if workers_that_pay(facts, machine.online) <= machine.affinity:
        return
    yield Cause(
        "affinity",
        f"The process may use {machine.affinity} of the machine's {cpus_of(machine.online)}, and a "
        f"step has work for more: give it others, with taskset or where its container is started.",
        1 - machine.affinity / machine.online,
        tier=0,
    )


def workers_that_pay(facts: Facts, most: int) -> int:
    """How many threads the library would give a step of these, of at most so many."""
    sizes = [int(each) for each in facts.recording.sources[facts.source].network.split("-") if each]
    if len(sizes) < 2 or not facts.batch:
        return 1
    parameters = sum((a + 1) * b for a, b in pairwise(sizes))
    flops = int(facts.flops / max(facts.steps, 1))
    return int(_core.workers_for_step(facts.batch, flops, parameters, max(most, 1)))


def neighbour(facts: Facts, told: frozenset[str]) -> Iterator[Cause]:
    """Another process or thread uses the same CPUs."""
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
    remedy = f"leave it one of {cpus_of(cpus)} with num_threads={fewer}" if fewer else ""
    yield Cause(
        "neighbour",
        f"Another process or thread uses the same CPUs: {'; '.join(parts)}.{also} Stop it"
        f"{f', or {remedy}' if remedy else ''}.",
        max(ready[wanting], share, stolen),
    )
