"""One library in a process of its own: `... benchmarks.step_worker LIBRARY CASE THREADS SECONDS`.

A measurement is the seconds a training step took; THREADS is a number or None.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.libraries import LIBRARIES
from benchmarks.serve import serve
from gdcore.benchmark.cases import CASES
from gdcore.benchmark.turns import repeated

__all__ = ["main"]


def main() -> None:
    """Serves measurements until standard input ends."""
    library, name, threads, seconds = sys.argv[1:]

    def prepare() -> Callable[[], dict[str, float]]:
        count = None if threads == "None" else int(threads)
        step = LIBRARIES[library].step(CASES[name], count)
        measure = repeated(step, float(seconds))
        return lambda: {"seconds": measure()}

    serve(prepare)


if __name__ == "__main__":
    main()
