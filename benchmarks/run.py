"""Runs the benchmarks: `python -m benchmarks.run [PART]... [--help]`.

Everything is measured side by side in one run: the libraries take turns, each in a process of its
own, and what is reported are medians and ratios, of gdcore to its peers and to the limits of the
machine measured in the same run. Close everything else first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.charts import draw
from benchmarks.dead_units import dead_unit_table
from benchmarks.estimator import estimator_table
from benchmarks.layers import LAYER_CASES
from benchmarks.layers.table import chosen_layer_cases, layer_table
from benchmarks.many import many_table
from benchmarks.matrix_rules import matrix_rule_table
from benchmarks.online import online_tables
from benchmarks.predictions import prediction_table
from benchmarks.profiling import beside_table, profiling_table
from benchmarks.steps import neighbour_table, precision_table, step_table
from benchmarks.tables import markdown
from benchmarks.updates import update_table
from gdcore import get_num_threads
from gdcore.benchmark.cases import CASES, Case, chosen_cases
from gdcore.benchmark.figures import Row
from gdcore.benchmark.limits import limit_rows
from gdcore.benchmark.machine import machine, machine_line
from gdcore.benchmark.products import matmul_rows
from gdcore.benchmark.steps import StepTimes, counts_up_to, scaling_rows

__all__ = ["PARTS", "Settings", "main"]


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        cases: Names of training steps with commas, ``"all"``, or None: each part has its own.
        layer_cases: Names of those with layers, with commas, or None: all.
        rounds: Alternations.
        seconds: About how long a measurement takes.
        threads: The most.
    """

    cases: str | None
    layer_cases: str | None
    rounds: int
    seconds: float
    threads: int

    def chosen(self, *among: str) -> list[Case]:
        """The cases of a part that chooses from those names, where nobody else does."""
        return chosen_cases("--cases", self.cases, among)

    @property
    def figures(self) -> tuple[int, int, float]:
        """Rounds, threads and seconds, as most parts take them."""
        return self.rounds, self.threads, self.seconds


def _scaling(settings: Settings) -> list[Row]:
    counts = counts_up_to(settings.threads)
    return scaling_rows(
        [
            StepTimes.measured(case, counts, settings.rounds, settings.seconds)
            for case in settings.chosen()
        ]
    )


_PROFILED = ("rl", "narrow", "medium", "w256", "mnist-s", "mnist-m", "tabular", "wide")

# Each part has a table, or some, by their titles.
PARTS: dict[str, Callable[[Settings], dict[str, list[Row]]]] = {
    "limits": lambda s: {"limits of the machine": limit_rows(s.rounds, s.threads)},
    "matmul": lambda s: {"matmul, float32": matmul_rows(*s.figures)},
    "updates": lambda s: {"update rules, float32": update_table(*s.figures)},
    "matrix-rules": lambda s: {"rules of matrices, float32": matrix_rule_table(*s.figures)},
    "steps": lambda s: {"training steps": step_table(s.chosen(), *s.figures)},
    "layers": lambda s: {
        "training steps with layers": layer_table(
            chosen_layer_cases("--layer-cases", s.layer_cases), *s.figures
        )
    },
    "precision": lambda s: {
        "precision": precision_table(s.chosen("mnist-m", "tabular", "wide", "wide-big"), *s.figures)
    },
    "online": lambda s: online_tables(s.rounds),
    "scaling": lambda s: {"threads": _scaling(s)},
    "neighbour": lambda s: {
        "beside one busy process": neighbour_table(s.chosen("mnist-m", "mnist-s"), *s.figures)
    },
    "profiling": lambda s: {
        "recording a profile": profiling_table(s.chosen(*_PROFILED), *s.figures),
        "recording beside a busy process": beside_table(s.chosen("mnist-m", "wide"), *s.figures),
    },
    "estimator": lambda s: {"scikit-learn's digits": estimator_table(s.rounds)},
    "many": lambda s: {"many networks at once": many_table(s.rounds, s.threads)},
    "predict": lambda s: {"predict beside ONNX Runtime": prediction_table(*s.figures)},
    "dead": lambda s: {"dead and saturated units": dead_unit_table(s.rounds, s.threads)},
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument(
        "--cases",
        help=f"of {', '.join(CASES)}, with commas; all; else what suits a part and is not too long",
    )
    parser.add_argument("--layer-cases", help=f"of {', '.join(LAYER_CASES)}, with commas; else all")
    parser.add_argument("--rounds", type=int, default=9, help="alternations; medians count")
    parser.add_argument("--seconds", type=float, default=0.2, help="about, of a measurement")
    parser.add_argument("--threads", type=int, default=get_num_threads(), help="the most")
    parser.add_argument("--json", type=Path, help="also writes everything measured here")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="also draws charts there")
    arguments = parser.parse_args()
    for part in arguments.parts:
        if part not in PARTS:
            parser.error(f"unknown part {part!r}, expected one of: {', '.join(PARTS)}")
    if arguments.rounds < 1 or arguments.threads < 1 or arguments.seconds <= 0:
        parser.error("--rounds, --threads and --seconds must be above 0")
    try:
        chosen_cases("--cases", arguments.cases)
        chosen_layer_cases("--layer-cases", arguments.layer_cases)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def main() -> None:
    """Measures what was asked for and prints a Markdown table for each part."""
    arguments = _arguments()
    settings = Settings(
        arguments.cases,
        arguments.layer_cases,
        arguments.rounds,
        arguments.seconds,
        arguments.threads,
    )
    found: dict[str, Any] = {"machine": machine(), "rounds": arguments.rounds, "time": time.time()}
    found["parts"] = {}
    print(machine_line(found["machine"]), flush=True)
    for part in PARTS:
        if arguments.parts and part not in arguments.parts:
            continue
        found["parts"][part] = PARTS[part](settings)
        for title, rows in found["parts"][part].items():
            print(markdown(title, rows), flush=True)
        if arguments.json:  # after each part: a run takes long
            arguments.json.write_text(json.dumps(found, indent=1))
    if arguments.charts:
        for path in draw(found, arguments.charts):
            print(f"\ndrawn: {path}", flush=True)


if __name__ == "__main__":
    main()
