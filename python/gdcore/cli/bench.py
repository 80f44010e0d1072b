"""The command ``gdcore bench``: gdcore on this machine, beside the machine's own limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from gdcore._check import integer, real
from gdcore._names import choice
from gdcore.benchmark.cases import chosen_cases
from gdcore.benchmark.figures import Row, shown
from gdcore.benchmark.limits import limit_rows
from gdcore.benchmark.machine import machine, machine_line
from gdcore.benchmark.products import matmul_rows
from gdcore.benchmark.steps import StepTimes, counts_up_to, scaling_rows, step_rows
from gdcore.benchmark.updates import update_rows, update_times
from gdcore.cli.outputs import check_output
from gdcore.config import get_num_threads
from gdcore.files import written_beside

__all__ = ["PARTS", "bench"]

PARTS = {
    "limits": "limits of the machine",
    "matmul": "matmul, float32",
    "updates": "update rules, float32",
    "steps": "training steps: ReLU, Adam, float32",
    "scaling": "threads",
}


def bench(
    parts: Sequence[str],
    cases: str | None,
    rounds: int,
    seconds: float,
    threads: int | None,
    path: Path | None,
) -> None:
    """Measures the parts and prints a table for each as soon as it is there.

    Raises:
        OSError: The JSON file cannot be written.
        ValueError: A part or a case is unknown, or a number out of its domain.
    """
    wanted = [choice("PART", part, PARTS) for part in parts] or list(PARTS)
    chosen = chosen_cases("--cases", cases)
    integer("--rounds", rounds)
    real("--seconds", seconds, above=0)
    most = get_num_threads() if threads is None else integer("--threads", threads, at_most=1024)
    if path is not None:
        check_output("--json", path)

    found: dict[str, Any] = {"machine": machine()}
    typer.echo(machine_line(found["machine"]), err=True)
    measured: dict[str, Callable[[], list[Row]]] = {
        "limits": lambda: limit_rows(rounds, most),
        "matmul": lambda: matmul_rows(rounds, most, seconds),
        "updates": lambda: update_rows(update_times(rounds, most, seconds)),
    }
    for part, rows in measured.items():
        if part in wanted:
            found[part] = rows()
            _print(PARTS[part], found[part])
    if "steps" in wanted or "scaling" in wanted:
        # Each table is another view of the same measurements.
        counts = counts_up_to(most) if "scaling" in wanted else [*sorted({1, most}), None]
        times = [StepTimes.measured(case, counts, rounds, seconds) for case in chosen]
        for part, view in (("steps", step_rows), ("scaling", scaling_rows)):
            if part in wanted:
                found[part] = view(times)
                _print(PARTS[part], found[part])
    if path is not None:
        with written_beside(path) as file:
            file.write(json.dumps(found, indent=1).encode())
        typer.echo(f"written: {path}", err=True)


def _print(title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        numbers = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(shown(row.get(column)) for column in columns))
    Console(markup=False, emoji=False, highlight=False).print(table)
