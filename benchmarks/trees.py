"""Two builds of gdcore side by side: `python -m benchmarks.trees BEFORE [AFTER] [--help]`.

Each is a commit of this repository or a Python interpreter. A commit is built and installed beside
the packages of this environment, in a temporary folder, which takes minutes; an interpreter is that
of an environment with its gdcore installed. Without AFTER it is the interpreter that runs this. The
steps of the cases of docs/performance.md take turns in processes of both, so that what the machine
does meanwhile meets both; what counts is the median over the rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from statistics import median

from benchmarks.commits import interpreter_of, resolved
from benchmarks.processes import started
from benchmarks.tables import markdown
from gdcore.benchmark.cases import CASES, Case, chosen_cases
from gdcore.benchmark.figures import Row, geometric_mean

__all__ = ["arguments", "main", "ratio_table"]

RATIO = "after / before"


def ratio_table(
    cases: Sequence[Case],
    before: str,
    after: str,
    *,
    rounds: int,
    threads: Sequence[int],
    seconds: float,
) -> list[Row]:
    """A row for each case and number of threads: microseconds of both, and their ratio.

    Below 1 the second is faster. The spread is that of the middle half of the rounds' ratios.
    """
    rows: list[Row] = []
    for case in cases:
        for count in threads:
            worker = ("step_worker", "gdcore", case.name, count, seconds)
            first: list[float] = []
            second: list[float] = []
            with (
                started({"before": worker}, python=before) as (old, why_old),
                started({"after": worker}, python=after) as (new, why_new),
            ):
                if why_old or why_new:
                    raise RuntimeError(f"{case.name} does not run: {why_old | why_new}")
                for turn in range(rounds):
                    order = [(old["before"], first), (new["after"], second)]
                    for each, into in order if turn % 2 == 0 else order[::-1]:
                        into.append(each.measure()["seconds"])
            ratios = sorted(b / a for a, b in zip(first, second))
            quarter = len(ratios) // 4
            rows.append(
                {
                    "case": case.name,
                    "threads": count,
                    "before, us": median(first) * 1e6,
                    "after, us": median(second) * 1e6,
                    RATIO: median(ratios),
                    "spread": ratios[-1 - quarter] - ratios[quarter],
                }
            )
    mean: Row = {"case": "geometric mean", RATIO: geometric_mean(row[RATIO] for row in rows)}
    return [*rows, mean]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line: each build is an interpreter or the full name of a commit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trees", description=__doc__)
    parser.add_argument("before", help="a commit, or the Python of an environment")
    parser.add_argument("after", nargs="?", default=sys.executable, help="another; this one's")
    parser.add_argument("--cases", default="all", help=f"of {', '.join(CASES)}, with commas")
    parser.add_argument("--rounds", type=int, default=15, help="alternations; medians count")
    parser.add_argument("--seconds", type=float, default=0.2, help="about, of a measurement")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas")
    arguments = parser.parse_args(given)
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    try:
        arguments.threads = [int(each) for each in arguments.threads.split(",")]
        if min(arguments.threads) < 1:
            raise ValueError(f"--threads must be at least 1, got {min(arguments.threads)}")
        for name in ("before", "after"):
            setattr(arguments, name, resolved(name, getattr(arguments, name)))
        arguments.cases = chosen_cases("--cases", arguments.cases)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def main() -> None:
    """Measures and prints a Markdown table."""
    given = arguments()
    try:
        with interpreter_of(given.before) as before, interpreter_of(given.after) as after:
            rows = ratio_table(
                given.cases, before, after,
                rounds=given.rounds, threads=given.threads, seconds=given.seconds,
            )  # fmt: skip
    except RuntimeError as error:  # a build failed, or runs no case
        sys.exit(str(error))
    print(markdown("two builds, training steps", rows), flush=True)


if __name__ == "__main__":
    main()
