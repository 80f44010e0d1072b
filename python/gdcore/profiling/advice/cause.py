"""A cause and the words it is told in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gdcore.profiling.facts import Facts

__all__ = [
    "ELSEWHERE",
    "KINDS",
    "NO_CPU",
    "PRODUCT_OPS",
    "Cause",
    "Look",
    "cpus_of",
    "operation_of",
    "percent",
    "threads_of",
    "us",
]

PRODUCT_OPS = ("dense_forward", "weight_gradient", "input_gradient")

KINDS = (
    "quota",
    "affinity",
    "neighbour",
    "gil",
    "convert",
    "first_step",
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
NO_CPU = frozenset(("quota", "neighbour"))
# Where the caller was elsewhere, workers wait for it.
ELSEWHERE = frozenset(
    (
        "gil",
        "convert",
        "first_step",
        "data",
        "callback",
        "metric",
        "validation",
        "page_faults",
        "program",
    )
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


def cpus_of(count: int) -> str:
    """Such as "2 CPUs"."""
    return "1 CPU" if count == 1 else f"{count} CPUs"


def operation_of(facts: Facts, number: int) -> str:
    """Its name, with the layer."""
    kind = facts.recording.operations[number]
    return f"{kind.op} of layer {kind.layer}" if kind.layer else kind.op
