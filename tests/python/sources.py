"""Sources of the same rows in every form, and trainers for them; no tests here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore import data

ROWS, INPUTS = 1000, 4
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, INPUTS)).astype(np.float32)
Y = np.tanh(X[:, 0] * X[:, 1]).astype(np.float32)
WEIGHTS = RNG.uniform(0.5, 2, ROWS)
LABELS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 1)
CUTS = [0, 1, 130, 131, 600, 987, ROWS]
QUIET = {"progress": False, "batch_size": 32}


def trainer(loss: str = "mse", outputs: int = 1, *, seed: int = 0, **options: Any) -> gd.Trainer:
    layers = [gd.Dense(8, "relu"), gd.BatchNorm(), gd.Dropout(0.2), gd.Dense(outputs)]
    return gd.Trainer(
        gd.Network(layers, input_size=INPUTS, seed=seed), loss, gd.Adam(lr=1e-2), **options
    )


def assert_same(one: gd.Trainer, other: gd.Trainer) -> None:
    """The same bits in weights and history, and the same place."""
    assert (one.steps, one.epochs) == (other.steps, other.epochs)
    for key, array in one.network.state_dict().items():
        np.testing.assert_array_equal(array, other.network.state_dict()[key])
    assert dict(one._whole_history()) == dict(other._whole_history())


def chunks(*arrays: Any, cuts: list[int] = CUTS) -> Callable[[], Iterator[tuple[Any, ...]]]:
    def make() -> Iterator[tuple[Any, ...]]:
        for begin, end in itertools.pairwise(cuts):
            yield tuple(taken(each, slice(begin, end)) for each in arrays)

    return make


def taken(given: Any, rows: slice) -> Any:
    return {k: v[rows] for k, v in given.items()} if isinstance(given, dict) else given[rows]


def table(**more: Any) -> Any:
    pa = pytest.importorskip("pyarrow")
    return pa.table({**{f"c{i}": X[:, i] for i in range(INPUTS)}, "y": Y, **more})


def parquet(folder: Path, **more: Any) -> Path:
    """Three files, of row groups of several sizes."""
    pq = pytest.importorskip("pyarrow.parquet")
    folder.mkdir(exist_ok=True)
    whole = table(**more)
    for name, begin, end, group in (("a", 0, 300, 70), ("b", 300, 301, 9), ("c", 301, ROWS, 256)):
        part = whole.slice(begin, end - begin)
        pq.write_table(part, folder / f"{name}.parquet", row_group_size=group)
    return folder


def feather(path: Path) -> Path:
    pa = pytest.importorskip("pyarrow")
    whole = table()
    with pa.ipc.new_file(path, whole.schema) as file:
        for batch in whole.to_batches(max_chunksize=123):
            file.write_batch(batch)
    return path


def npy(folder: Path) -> tuple[Path, Path]:
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)
    return folder / "x.npy", folder / "y.npy"


MAKERS: dict[str, Callable[..., data.Source]] = {
    "chunks": lambda folder, **given: data.Chunks(chunks(X, Y), **given),
    "npy": lambda folder, **given: data.NPY(*npy(folder), unit=96, **given),
    "parquet": lambda folder, **given: data.Parquet(parquet(folder / "p"), "y", **given),
    "arrow": lambda folder, **given: data.Arrow(feather(folder / "a.arrow"), "y", **given),
}


def heads() -> gd.Trainer:
    a, b = gd.Input(INPUTS, name="a"), gd.Input(categories=(3,), name="b")
    h = gd.Concat()(a, gd.Embedding(2)(b))
    net = gd.Network(inputs=[a, b], outputs={"p": gd.Dense(1)(h), "k": gd.Dense(3)(h)}, seed=0)
    return gd.Trainer(net, {"p": "mse", "k": "cross_entropy"}, "sgd")
