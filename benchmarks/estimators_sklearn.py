"""gdcore.sklearn's estimators beside scikit-learn's: the same scores, and the time of a fit.

    python -m benchmarks.estimators_sklearn [--rounds 10] [--data digits,diabetes]

Each round has another random_state, the same for both; first weights and order of samples are then
the same, and so are the epochs.
"""

from __future__ import annotations

import argparse
from statistics import mean, median, stdev

from benchmarks.processes import measured
from benchmarks.sklearn_worker import DATA, LIBRARIES
from gdcore.benchmark.figures import Row

__all__ = ["estimators_table", "main"]


def estimators_table(names: list[str], rounds: int) -> list[Row]:
    """A row for each data set and library; each chooses its threads."""
    rows: list[Row] = []
    for name in names:
        workers = {library: ("sklearn_worker", library, name) for library in LIBRARIES}
        found, reasons = measured(workers, rounds)
        seconds: dict[str, float] = {}
        for library in LIBRARIES:
            row: Row = {"data": name, "library": library}
            if library in reasons:
                rows.append(row | {"seconds": reasons[library]})
                continue
            answers = found[library]
            scores = [each["score"] for each in answers]
            seconds[library] = median(each["seconds"] for each in answers)
            row |= {
                "seconds": seconds[library],
                "epochs": median(each["epochs"] for each in answers),
                "loss": median(each["loss"] for each in answers),
                "score": mean(scores),
                "its deviation": stdev(scores) if len(scores) > 1 else 0.0,
            }
            if library == LIBRARIES[-1] and len(seconds) == len(LIBRARIES):
                row["times gdcore's"] = seconds[library] / seconds[LIBRARIES[0]]
            rows.append(row)
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="random states")
    parser.add_argument("--data", default=",".join(DATA), help="which, with commas")
    arguments = parser.parse_args()
    for row in estimators_table(arguments.data.split(","), arguments.rounds):
        print(
            "  ".join(
                f"{k} {v:.6g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )


if __name__ == "__main__":
    main()
