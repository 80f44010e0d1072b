"""Runs the command line within this process: a new one takes a second to load its packages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn import datasets
from typer.testing import CliRunner

from gdcore.cli.app import app

WIDE = {"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}


def run(*arguments: object) -> Any:
    """The command with these arguments; an exception that it does not expect fails the test."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], env=WIDE)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    # Its frames have those of the test, which has the result: a circle that the collector of
    # garbage would end within another test, with whatever file is still open.
    result.exc_info = result.exception = None
    return result


def done(*arguments: object) -> Any:
    """The same, where it must succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def refused(folder: Path, arguments: Sequence[object], *words: str) -> str:
    """Runs what must end with 2, a message that has the words, and no file that was not there."""
    before = contents(folder)
    result = run(*arguments)
    assert result.exit_code == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    told = result.stderr.lower()
    for word in words:
        assert word.lower() in told, f"{word!r} is not in: {told}"
    assert contents(folder) == before
    return result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def frame(name: str) -> pl.DataFrame:
    """A set that comes with scikit-learn, classes by their names: iris, wine, ..."""
    bunch: Any = getattr(datasets, f"load_{name}")()
    columns = {key: bunch.data[:, i] for i, key in enumerate(bunch.feature_names)}
    target = bunch.target
    if "target_names" in bunch:
        target = bunch.target_names[target]
    return pl.DataFrame({**columns, "target": target})


def written(path: Path, columns: pl.DataFrame | dict[str, Any]) -> Path:
    """Writes columns to a file by its ending."""
    table = columns if isinstance(columns, pl.DataFrame) else pl.DataFrame(columns)
    if path.suffix == ".parquet":
        table.write_parquet(path)
    elif path.suffix == ".npz":
        y = table["target"]
        np.savez(path, x=table.drop("target").to_numpy(), y=np.array(y.to_list()))
    else:
        table.write_csv(path)
    return path


def small(rows: int = 60, **columns: Any) -> pl.DataFrame:
    """A learnable table: a, b, the text c and the target y; ``columns`` in place or beside."""
    a = [(7 * i) % rows / 4 for i in range(rows)]
    table = {
        "a": a,
        "b": [float((11 * i) % 13) for i in range(rows)],
        "c": [("red", "green", "blue")[i % 3] for i in range(rows)],
        "y": ["yes" if each > rows / 8 else "no" for each in a],
    }
    return pl.DataFrame(table | columns, strict=False)


def put(values: Sequence[Any] | pl.Series, *changes: tuple[int, Any]) -> list[Any]:
    """A column with some of its cells replaced."""
    cells = list(values)
    for at, value in changes:
        cells[at] = value
    return cells


def arrays(path: Path) -> dict[str, Any]:
    """What an NPZ file holds."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def npz(path: Path, **content: Any) -> Path:
    """Writes arrays to an NPZ file."""
    np.savez(path, **content)
    return path


def forged(model: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Writes a model anew with its preparation changed."""
    with safe_open(model, "numpy") as file:
        description = json.loads(file.metadata()["gdcore"])
    change(description["extra"]["preparation"])
    save_file(load_file(model), path, {"gdcore": json.dumps(description)})
