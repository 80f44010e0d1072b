"""The table of networks with layers, beside the peers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.layers import LAYER_CASES
from benchmarks.libraries import LIBRARIES, installed_peers
from benchmarks.processes import measured
from gdcore._names import choice
from gdcore.benchmark.figures import Row, times_the_best, with_threads

__all__ = ["chosen_layer_cases", "layer_table"]


def chosen_layer_cases(argument: str, names: str | None) -> list[str]:
    """The cases of a list of names with commas; None: all.

    Raises:
        ValueError: A name is that of no case.
    """
    if names is None:
        return list(LAYER_CASES)
    return [choice(argument, name.strip(), LAYER_CASES) for name in names.split(",")]


def layer_table(
    names: Iterable[str],
    rounds: int,
    threads: int,
    seconds: float,
    libraries: Sequence[str] = ("gdcore", "torch", "torch-compile", "jax"),
) -> list[Row]:
    """A row for each case and number of threads: microseconds of each library, and our ratio."""
    rows: list[Row] = []
    for name in names:
        case = LAYER_CASES[name]
        here = [each for each in installed_peers(*libraries) if each in case.steps]
        for count in sorted({threads, 1}, reverse=True):
            wanted = {each: ("layers.worker", each, name, count, seconds) for each in here}
            found, reasons = measured(wanted, rounds)
            took = {
                each: median(one["seconds"] for one in values) for each, values in found.items()
            }
            row: Row = {"case": name, "network": case.network, "batch": case.batch}
            row["threads"] = with_threads(count)
            for each in here:
                told = reasons.get(each) or took[each] * 1e6
                row[f"{LIBRARIES[each].label}, us"] = told
            theirs = [value for each, value in took.items() if each != "gdcore"]
            row["times the best peer"] = times_the_best(took.get("gdcore"), theirs)
            rows.append(row)
    return rows
