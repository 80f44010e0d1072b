"""The same bits on any number of threads, at every precision."""

from __future__ import annotations

from random import Random

from tools.soak import cases
from tools.soak.finding import Case, wrong

__all__ = ["THREADS", "check", "draw", "same_as"]

THREADS = (1, 2, 3, 4, 5, 7, 8, 16, 32)


def draw(random: Random) -> Case:
    """A network and ways to train, and the numbers of threads."""
    return cases.draw(random) | {"threads": list(THREADS[1:])}


def check(case: Case) -> None:
    """All that comes out is what comes out on one thread."""
    want = cases.trained(case)
    for count in case["threads"]:
        same_as(want, cases.trained(case, count), f"1 and {count} threads")


def same_as(want: dict[str, str], got: dict[str, str], who: str) -> None:
    """Tells the first digest in which two runs differ."""
    for key, value in want.items():
        if got.get(key) != value:
            wrong(f"{who} differ in {key}: {value} and {got.get(key)}")
