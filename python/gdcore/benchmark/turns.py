"""The clock: how often something runs for one measurement, and who measures when."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import TypeVar

__all__ = ["Measure", "Step", "in_turns", "medians", "repeated"]

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")

# Does the work of a number, from 0 on: which batch is next follows from it.
Step = Callable[[int], None]

# Measures once: seconds, or a speed.
Measure = Callable[[], float]

_FIRST = 3  # runs that allocate, compile or plan


def repeated(step: Step, seconds: float) -> Measure:
    """Makes a measurement of the seconds that one step takes, and lets it get warm.

    Args:
        step: What to measure.
        seconds: A measurement does about as many steps as fit into this, and at least one.
    """
    number = 0

    def run(count: int) -> float:
        nonlocal number
        begin = time.perf_counter()
        for each in range(number, number + count):
            step(each)
        number += count
        return time.perf_counter() - begin

    run(_FIRST)
    count, took = 1, run(1)
    while took < seconds / 4:  # one step alone is too short to tell how many fit
        count *= 2
        took = run(count)
    count = max(1, round(seconds * count / took))
    return lambda: run(count) / count


def in_turns(measures: Mapping[K, Callable[[], A]], rounds: int) -> dict[K, list[A]]:
    """What each measured in each round; they take turns, so that a slow minute is shared."""
    found: dict[K, list[A]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            found[key].append(measure())
    return found


def medians(measures: Mapping[K, Measure], rounds: int) -> dict[K, float]:
    """The median of what each measured; they take turns."""
    return {key: median(values) for key, values in in_turns(measures, rounds).items()}
