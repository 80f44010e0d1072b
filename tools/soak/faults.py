"""A generator whose cases go wrong in known ways: with it the tests see that findings are told."""

from __future__ import annotations

import os
import signal
import time
from random import Random

from tools.soak.finding import Case, wrong

__all__ = ["check", "draw"]


def draw(random: Random) -> Case:
    """A way to go wrong, or none, and what has nothing to do with it."""
    return {
        "how": random.choice(("", "", "differ")),
        "rows": random.randrange(5, 50),
        "rest": [1, 2],
    }


def check(case: Case) -> dict[str, float]:
    """Goes wrong as the case says, where it has three rows and more."""
    how = case["how"] if case["rows"] >= 3 else ""
    if how == "differ":
        wrong(f"{case['rows']} rows differ")
    if how == "raise":
        raise KeyError("x")
    if how == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "exit":
        os._exit(3)
    if how == "hang":
        time.sleep(1000)
    return {"rows": float(case["rows"])}
