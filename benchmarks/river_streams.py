"""gdcore.river beside river's own models and deep-river on river's bundled streams.

    python -m benchmarks.river_streams [--rounds 5] [--deep-river PYTHON]

Progressive accuracy (each sample predicted, then learnt), and microseconds a sample for both. Each
model has a process of its own, and each round another seed. deep-river wants an older river: name
the interpreter of an environment where both are.
"""

from __future__ import annotations

import argparse
import sys
from statistics import mean, median

from benchmarks.processes import Worker, WorkerError
from benchmarks.river_worker import MODELS, STREAMS
from benchmarks.tables import markdown
from gdcore.benchmark.figures import Row
from gdcore.benchmark.turns import in_turns

__all__ = ["main", "streams_table"]


def streams_table(stream: str, names: list[str], rounds: int, deep_river: str) -> list[Row]:
    """A row for each model: medians of times, means of accuracies over the seeds."""
    workers: dict[str, Worker] = {}
    rows: dict[str, Row] = {name: {"model": MODELS[name][0]} for name in names}
    try:
        for name in names:
            python = deep_river if name == "deep-river" else sys.executable
            try:
                workers[name] = Worker("river_worker", name, stream, python=python)
            except WorkerError as error:
                rows[name]["us a sample"] = str(error)
        found = in_turns({name: each.measure for name, each in workers.items()}, rounds)
    finally:
        for each in workers.values():
            each.close()
    for name, answers in found.items():
        rows[name]["us a sample"] = median(answer["seconds"] for answer in answers) * 1e6
        rows[name]["accuracy"] = mean(answer["accuracy"] for answer in answers)
    return list(rows.values())


def main() -> None:
    """Prints a table for each stream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="seeds")
    parser.add_argument("--deep-river", default=sys.executable, help="an interpreter that has it")
    arguments = parser.parse_args()
    for stream in STREAMS:
        other = "logistic" if stream == "ImageSegments" else "logistic-ovr"
        names = [name for name in MODELS if name != other]
        rows = streams_table(stream, names, arguments.rounds, arguments.deep_river)
        print(markdown(f"river's {stream}", rows), flush=True)


if __name__ == "__main__":
    main()
