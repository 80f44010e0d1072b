"""Parts of the benchmarks that are commands of their own: `python -m benchmarks.NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gdcore as gd
from benchmarks.serve import serve
from benchmarks.tables import markdown
from gdcore.benchmark.figures import Row
from gdcore.benchmark.turns import repeated

__all__ = ["command"]


def command(
    name: str,
    told: str | None,
    title: str,
    libraries: Mapping[str, Callable[[int | None], Callable[[Any], object]]],
    batches: Callable[[], Sequence[Any]],
    table: Callable[[int, int, float], list[Row]],
    seconds: float,
) -> None:
    """Reads the command line; as a worker, LIBRARY THREADS SECONDS, serves measurements.

    Args:
        name: Of the module.
        told: What ``--help`` says.
        title: Of the table.
        libraries: By name, what makes of a number of threads a function of a batch, the step.
        batches: Makes the batches, which take turns.
        table: Of rounds, threads and seconds the rows.
        seconds: About, of a measurement.
    """
    if len(sys.argv) == 4 and sys.argv[1] in libraries:
        _serve(libraries[sys.argv[1]], batches, int(sys.argv[2]), float(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=told)
    parser.add_argument("--rounds", type=int, default=9, help="alternations; medians count")
    parser.add_argument("--seconds", type=float, default=seconds, help="about, of a measurement")
    parser.add_argument("--threads", type=int, default=gd.get_num_threads())
    arguments = parser.parse_args()
    print(markdown(title, table(arguments.rounds, arguments.threads, arguments.seconds)))


def _serve(
    library: Callable[[int | None], Callable[[Any], object]],
    batches: Callable[[], Sequence[Any]],
    threads: int,
    seconds: float,
) -> None:
    def prepare() -> Callable[[], dict[str, float]]:
        step, data = library(threads), batches()
        measure = repeated(lambda number: step(data[number % len(data)]), seconds)
        return lambda: {"seconds": measure()}

    serve(prepare)
