"""Small networks for the tests of schedules, and their training."""

from __future__ import annotations

from typing import Any

import numpy as np

import gdcore as gd

__all__ = ["LAYERS", "X", "Y", "fitted", "network", "trainer"]

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(48, 4))
Y = np.sin(X[:, :1]) + X[:, 1:2]
LAYERS: dict[str, list[Any]] = {
    "small": [gd.Dense(1)],
    "two": [gd.Dense(7, "tanh"), gd.Dense(1)],
    "three": [gd.Dense(16, "relu"), gd.Dense(8, "sigmoid"), gd.Dense(1)],
}


def network(name: str = "two", dtype: Any = "float64") -> gd.Network:
    return gd.Network(LAYERS[name], input_size=4, dtype=dtype, seed=3)


def trainer(schedule: Any, optimizer: Any = None, **options: Any) -> gd.Trainer:
    optimizer = gd.SGD(lr=0.05, momentum=0.5, weight_decay=0.1) if optimizer is None else optimizer
    return gd.Trainer(network(), "mse", optimizer, schedule=schedule, **options)


def fitted(one: gd.Trainer, **options: Any) -> gd.Trainer:
    one.fit(X, Y, **{"epochs": 2, "batch_size": 16, "progress": False, **options})
    return one
