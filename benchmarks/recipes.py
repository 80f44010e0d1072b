"""The recipes of the examples beside pytabkit's own, on one split: `python -m benchmarks.recipes`.

Each trains in a process of its own, on the same rows, chooses its epoch by the same validation part
and is judged by the same test part. The figure is the share of wrong classes, or the root of the
mean squared error.

    python -m benchmarks.recipes --recipes realmlp --tables adult,diamonds --seeds 3
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

import gdcore as gd
from benchmarks.tables import markdown
from gdcore.benchmark.figures import Row

__all__ = ["LIBRARIES", "RECIPES", "example", "recipe_table"]

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RECIPES = {"realmlp": "RealMLP_TD", "tabm": "TabM_D"}
Result = dict[str, float]


def example(name: str) -> Any:
    """A module of the examples, whose folder is no longer searched after, as it has a tabm too."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


def _ours(recipe: str, table: str, seed: int, threads: int) -> Result:
    gd.set_num_threads(threads)
    ours = example(recipe)
    found = ours.table(table)
    parts = found.parts(seed)
    if recipe == "realmlp":
        run = ours.trained(found, seed, width=256, epochs=256)
        return {"error": run["error"], "seconds": run["seconds"]}
    since = time.perf_counter()
    x = ours.columns_of(found, parts[0])
    net, _, scale = ours.trained(found, x, parts, 512, ours.MEMBERS, 1000, seed)
    seconds = time.perf_counter() - since
    return {"error": ours.error_of(found, net, x, parts[2], scale), "seconds": seconds}


def _theirs(recipe: str, table: str, seed: int, threads: int) -> Result:
    import pandas as pd
    import torch
    from pytabkit.models.sklearn import sklearn_interfaces as models

    torch.set_num_threads(threads)
    found = example("_tables").table(table)
    numbers = {f"x{i}": found.numbers[:, i] for i in range(found.numbers.shape[1])}
    codes = {f"c{i}": found.codes[:, i].astype(str) for i in range(found.codes.shape[1])}
    x = pd.DataFrame(numbers | codes)
    train, valid, test = found.parts(seed)
    kind = "Classifier" if found.classes else "Regressor"
    model = getattr(models, f"{RECIPES[recipe]}_{kind}")(
        device="cpu", random_state=seed, n_cv=1, n_threads=threads, verbosity=0
    )
    since = time.perf_counter()
    model.fit(
        x.iloc[train], found.y[train], x.iloc[valid], found.y[valid], cat_col_names=list(codes)
    )
    seconds = time.perf_counter() - since
    predicted = model.predict(x.iloc[test])
    if found.classes:
        error = float((predicted != found.y[test]).mean())
    else:
        error = float(np.sqrt(np.mean((np.ravel(predicted) - found.y[test]) ** 2)))
    return {"error": error, "seconds": seconds}


LIBRARIES: dict[str, Callable[[str, str, int, int], Result]] = {
    "gdcore": _ours,
    "pytabkit": _theirs,
}


def recipe_table(
    recipe: str,
    table: str,
    seeds: int,
    threads: int,
    libraries: tuple[str, ...] = ("gdcore", "pytabkit"),
) -> list[Row]:
    """A row for each seed, and the means: errors, seconds, and theirs over ours."""
    rows: list[Row] = []
    for seed in range(seeds):
        row: Row = {"recipe": recipe, "table": table, "seed": seed, "threads": threads}
        for library in libraries:
            command = [sys.executable, "-m", "benchmarks.recipes", "--one"]
            command.append(json.dumps([library, recipe, table, seed, threads]))
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                row[f"{library}, error"] = result.stderr.strip().splitlines()[-1]
                continue
            found = json.loads(result.stdout.splitlines()[-1])
            row |= {f"{library}, error": found["error"], f"{library}, s": found["seconds"]}
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    last: Row = {"recipe": recipe, "table": table, "seed": "mean", "threads": threads}
    for key in (f"{library}, {what}" for library in libraries for what in ("error", "s")):
        values = [row.get(key) for row in rows]
        if all(isinstance(value, float) for value in values):
            last[key] = mean(value for value in values if isinstance(value, float))
    ours, theirs = (last.get(f"{library}, s") for library in ("gdcore", "pytabkit"))
    if isinstance(ours, float) and isinstance(theirs, float):
        last["times pytabkit"] = theirs / ours
    return [*rows, last]


def main() -> None:
    """Reads the command line; with --one runs a library and prints what it found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--recipes", default="realmlp", help="of realmlp, tabm")
    parser.add_argument("--tables", default="adult,diamonds")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=gd.get_num_threads())
    parser.add_argument("--libraries", default="gdcore,pytabkit")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        library, *rest = json.loads(arguments.one)
        print(json.dumps(LIBRARIES[library](*rest)))
        return
    for recipe in arguments.recipes.split(","):
        for table in arguments.tables.split(","):
            libraries = tuple(arguments.libraries.split(","))
            rows = recipe_table(recipe, table, arguments.seeds, arguments.threads, libraries)
            print(markdown(f"{recipe} on {table}", rows), flush=True)


if __name__ == "__main__":
    main()
