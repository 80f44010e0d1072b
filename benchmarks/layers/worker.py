"""One library in a process of its own: `... benchmarks.layers.worker LIBRARY CASE THREADS SECONDS`.

A measurement is the seconds a training step took; THREADS is a number or None.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.layers import LAYER_CASES
from benchmarks.serve import serve
from gdcore.benchmark.turns import repeated

__all__ = ["main"]


def main() -> None:
    """Serves measurements until standard input ends."""
    library, name, threads, seconds = sys.argv[1:]

    def prepare() -> Callable[[], dict[str, float]]:
        count = None if threads == "None" else int(threads)
        measure = repeated(LAYER_CASES[name].steps[library](count), float(seconds))
        return lambda: {"seconds": measure()}

    serve(prepare)


if __name__ == "__main__":
    main()
