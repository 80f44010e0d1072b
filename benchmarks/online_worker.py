"""One way to learn online in a process of its own: `... benchmarks.online_worker LEARNER STREAM`.

Every measurement starts a new model, from another seed, and goes once through the stream.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from benchmarks.learners import LEARNERS
from benchmarks.serve import serve
from benchmarks.streams import STREAMS

__all__ = ["main"]

_FIRST = 50  # samples before the clock starts, for plans and buffers


def main() -> None:
    """Serves measurements until standard input ends."""
    learner, stream = LEARNERS[sys.argv[1]], STREAMS[sys.argv[2]]

    def prepare() -> Callable[[], dict[str, Any]]:
        samples = stream.samples()
        start = learner.prepare(stream, samples)
        length = len(samples.y)

        def measure(seed: int) -> dict[str, Any]:
            learn = start(seed)
            before = learn(_FIRST)
            begin = time.perf_counter()
            after = learn(length - _FIRST)
            found = {"seconds": (time.perf_counter() - begin) / (length - _FIRST)}
            if stream.judged:
                right = np.concatenate([learner.right(before), learner.right(after)])
                found |= {what: right[part].mean() for what, part in stream.judged.items()}
            return found

        measure(0)  # everything is compiled and warm
        seeds = count()
        return lambda: measure(next(seeds))

    serve(prepare)


if __name__ == "__main__":
    main()
