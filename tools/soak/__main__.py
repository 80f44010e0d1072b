"""`python -m tools.soak GENERATOR [--minutes M] [--count N] [--seed S] [--jobs J] [--case JSON]`.

A finding is printed at once, with the smallest case that shows it; the last line sums up, and the
status is 1 where anything was found.
"""

from __future__ import annotations

import argparse
import json
import math
import sys

from tools.soak.runner import GENERATORS, Run, soak
from tools.soak.worker import PATIENCE, Worker


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("generator", choices=GENERATORS)
    parser.add_argument("--minutes", type=float, help="how long; 1 without --count")
    parser.add_argument("--count", type=int, help="how many cases, in place of --minutes or beside")
    parser.add_argument("--seed", type=int, default=1, help="another one draws other cases")
    parser.add_argument("--jobs", type=int, default=1, help="processes that check cases")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds a case may take")
    parser.add_argument("--fix", default="{}", metavar="JSON", help="what every case shall have")
    parser.add_argument("--case", help="checks this one case and nothing else")
    return parser.parse_args()


def main() -> int:
    """Runs what was asked for; returns the status."""
    arguments = _arguments()

    def tell(text: str) -> None:
        print(text, flush=True)

    if arguments.case is not None:
        with Worker(arguments.generator, patience=arguments.patience) as worker:
            answer = worker.ask(json.loads(arguments.case))
        tell(answer.get("text") or f"holds {answer['figures'] or ''}".rstrip())
        return int("finding" in answer)
    minutes = arguments.minutes
    if minutes is None:
        minutes = 1.0 if arguments.count is None else math.inf
    run = soak(
        Run(arguments.generator, arguments.seed, json.loads(arguments.fix)),
        seconds=60 * minutes,
        count=arguments.count,
        jobs=arguments.jobs,
        tell=tell,
        patience=arguments.patience,
    )
    tell(str(run))
    return int(bool(run.findings))


if __name__ == "__main__":
    sys.exit(main())
