"""Tables of 26 columns of codes, as those of clicks on advertisements, before dense layers."""

from __future__ import annotations

from typing import Any

import numpy as np

import gdcore as gd
from benchmarks.layers import jax_layers as jl
from benchmarks.layers.case import BATCHES, Data, LayerCase, jax_step, jax_threads
from gdcore.benchmark.figures import Threads
from gdcore.benchmark.turns import Step

__all__ = ["EMBEDDING", "SPARSE_EMBEDDING"]

_COLUMNS, _SIZE, _BATCH = 26, 16, 1024
_CATEGORIES = tuple(int(n) for n in np.geomspace(1_000, 100_000, _COLUMNS))


def _data() -> Data:
    """Batches of codes, of which some are common, and targets."""
    random = np.random.default_rng(0)

    def codes() -> Any:
        drawn = [(random.zipf(1.2, _BATCH) - 1) % n for n in _CATEGORIES]
        return np.stack(drawn, axis=1).astype(np.int64)

    return [(codes(), random.standard_normal((_BATCH, 1), np.float32)) for _ in range(BATCHES)]


def _gdcore(threads: Threads, sparse: bool) -> Step:
    inputs = gd.Input(categories=_CATEGORIES)
    h = gd.Embedding(_SIZE, sparse=sparse)(inputs)
    h = gd.Dense(1)(gd.Dense(256, "relu")(h))
    net = gd.Network(inputs=inputs, outputs=h, seed=0)
    trainer = gd.Trainer(net, "mse", gd.Adam(lr=1e-3), num_threads=threads)
    data = _data()

    def step(number: int) -> None:
        trainer.step(*data[number % len(data)])

    return step


def _torch(threads: Threads, sparse: bool, compiled: bool = False) -> Step:
    import torch
    from torch import nn

    torch.set_num_threads(threads or torch.get_num_threads())
    torch.manual_seed(0)
    tables = nn.ModuleList(nn.Embedding(n, _SIZE, sparse=sparse) for n in _CATEGORIES)
    rest = nn.Sequential(nn.Linear(_COLUMNS * _SIZE, 256), nn.ReLU(), nn.Linear(256, 1))
    rules: list[Any]
    if sparse:
        rules = [
            torch.optim.SparseAdam(list(tables.parameters()), lr=1e-3),
            torch.optim.Adam(rest.parameters(), lr=1e-3, fused=True),
        ]
    else:
        every = [*tables.parameters(), *rest.parameters()]
        rules = [torch.optim.Adam(every, lr=1e-3, fused=True)]
    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in _data()]

    def loss_of(x: Any, y: Any) -> Any:
        looked_up = [table(x[:, k]) for k, table in enumerate(tables)]
        return nn.functional.mse_loss(rest(torch.cat(looked_up, dim=1)), y)

    if compiled:
        loss_of = torch.compile(loss_of)

    def step(number: int) -> None:
        for rule in rules:
            rule.zero_grad(set_to_none=True)
        loss_of(*batches[number % len(batches)]).backward()
        for rule in rules:
            rule.step()

    return step


def _jax(threads: Threads) -> Step:
    jax_threads(threads)
    import jax
    import jax.numpy as jnp

    random = np.random.default_rng(0)
    parameters = {
        "tables": [random.standard_normal((n, _SIZE)) for n in _CATEGORIES],
        "hidden": jl.dense_of(_COLUMNS * _SIZE, 256),
        "last": jl.dense_of(256, 1),
    }

    def loss_of(parameters: Any, kept: Any, x: Any, y: Any, key: Any) -> Any:
        looked_up = [table[x[:, k]] for k, table in enumerate(parameters["tables"])]
        h = jax.nn.relu(jl.dense(parameters["hidden"], jnp.concatenate(looked_up, axis=1)))
        return jnp.mean((jl.dense(parameters["last"], h) - y) ** 2), kept

    data = [(x.astype(np.int32), y) for x, y in _data()]
    return jax_step(parameters, (), loss_of, data)


_NETWORK = f"{_COLUMNS} tables of {_CATEGORIES[0]:,} to {_CATEGORIES[-1]:,} x {_SIZE}, 256 relu, 1"

EMBEDDING = LayerCase(
    "embedding",
    _NETWORK,
    _BATCH,
    {
        "gdcore": lambda threads: _gdcore(threads, sparse=False),
        "torch": lambda threads: _torch(threads, sparse=False),
        "torch-compile": lambda threads: _torch(threads, sparse=False, compiled=True),
        "jax": _jax,
    },
)

# JAX has no such rule: its step is that of all rows.
SPARSE_EMBEDDING = LayerCase(
    "sparse-embedding",
    f"{_NETWORK}, sparse",
    _BATCH,
    {
        "gdcore": lambda threads: _gdcore(threads, sparse=True),
        "torch": lambda threads: _torch(threads, sparse=True),
        "jax": _jax,
    },
)
