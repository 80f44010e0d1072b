"""Normalization between dense layers."""

from __future__ import annotations

from typing import Any

import gdcore as gd
from benchmarks.layers import jax_layers as jl
from benchmarks.layers.case import chain

__all__ = ["BATCH_NORM", "GHOST_NORM", "LAYER_NORM"]

_RATE = 0.2


def _batch_normed(ghost: int | None) -> list[Any]:
    block = [gd.Dense(512), gd.BatchNorm(ghost=ghost), "relu", gd.Dropout(_RATE)]
    return [*block, *block, gd.Dense(10)]


def _torch_batch_normed(ghost: int | None) -> Any:
    import torch
    from torch import nn

    class Ghost(nn.BatchNorm1d):
        def forward(self, x: Any) -> Any:
            return torch.cat([super(Ghost, self).forward(part) for part in x.split(ghost)])

    norm = nn.BatchNorm1d if ghost is None else Ghost
    layers: list[Any] = []
    for inputs in (784, 512):
        layers += [nn.Linear(inputs, 512), norm(512), nn.ReLU(), nn.Dropout(_RATE)]
    return nn.Sequential(*layers, nn.Linear(512, 10))


def _jax_batch_normed(ghost: int | None) -> tuple[Any, Any, Any]:
    import jax
    import jax.numpy as jnp

    parameters = [
        {"dense": jl.dense_of(inputs, 512), "norm": jl.norm_of(512)} for inputs in (784, 512)
    ]
    kept = [jl.running_of(512), jl.running_of(512)]

    def normed(p: Any, kept: Any, x: Any) -> tuple[Any, Any]:
        if ghost is None:
            return jl.batch_norm(p, kept, x)
        parts = []
        for begin in range(0, x.shape[0], ghost):
            part, kept = jl.batch_norm(p, kept, x[begin : begin + ghost])
            parts.append(part)
        return jnp.concatenate(parts), kept

    def logits_of(parameters: Any, kept: Any, x: Any, key: Any) -> Any:
        new = []
        for p, own, own_key in zip(parameters["hidden"], kept, jax.random.split(key), strict=True):
            x, averages = normed(p["norm"], own, jl.dense(p["dense"], x))
            x = jl.dropout(jax.nn.relu(x), _RATE, own_key)
            new.append(averages)
        return jl.dense(parameters["last"], x), new

    return {"hidden": parameters, "last": jl.dense_of(512, 10)}, kept, logits_of


def _batch_norm_case(name: str, ghost: int | None, batch: int) -> Any:
    told = "BatchNorm" if ghost is None else f"BatchNorm(ghost={ghost})"
    return chain(
        name,
        f"784-512-512-10, {told}, relu, Dropout",
        batch,
        inputs=784,
        classes=10,
        layers=lambda: _batch_normed(ghost),
        torch_module=lambda: _torch_batch_normed(ghost),
        jax_model=lambda: _jax_batch_normed(ghost),
    )


BATCH_NORM = _batch_norm_case("batch-norm", None, 128)
GHOST_NORM = _batch_norm_case("ghost-norm", 64, 1024)


def _torch_layer_normed() -> Any:
    from torch import nn

    layers: list[Any] = []
    for inputs in (4, 64):
        layers += [nn.Linear(inputs, 64), nn.LayerNorm(64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 2))


def _jax_layer_normed() -> tuple[Any, Any, Any]:
    import jax

    def logits_of(parameters: Any, kept: Any, x: Any, key: Any) -> Any:
        for p in parameters["hidden"]:
            x = jax.nn.relu(jl.layer_norm(p["norm"], jl.dense(p["dense"], x)))
        return jl.dense(parameters["last"], x), kept

    hidden = [{"dense": jl.dense_of(inputs, 64), "norm": jl.norm_of(64)} for inputs in (4, 64)]
    return {"hidden": hidden, "last": jl.dense_of(64, 2)}, (), logits_of


LAYER_NORM = chain(
    "layer-norm",
    "4-64-64-2, LayerNorm, relu",
    32,
    inputs=4,
    classes=2,
    layers=lambda: [*2 * [gd.Dense(64), gd.LayerNorm(), "relu"], gd.Dense(2)],
    torch_module=_torch_layer_normed,
    jax_model=_jax_layer_normed,
)
