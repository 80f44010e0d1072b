"""Residual blocks."""

from __future__ import annotations

from typing import Any

import gdcore as gd
from benchmarks.layers import jax_layers as jl
from benchmarks.layers.case import chain

__all__ = ["RESIDUAL"]

_WIDTH, _INNER, _BLOCKS = 256, 512, 3


def _layers() -> list[Any]:
    block = gd.Residual(
        [gd.LayerNorm(), gd.Dense(_INNER, "relu"), gd.Dropout(0.1), gd.Dense(_WIDTH)]
    )
    return [gd.Dense(_WIDTH), *_BLOCKS * [block], gd.LayerNorm(), "relu", gd.Dense(7)]


def _torch_module() -> Any:
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.LayerNorm(_WIDTH),
                nn.Linear(_WIDTH, _INNER),
                nn.ReLU(),
                nn.Dropout(0.1),
                nn.Linear(_INNER, _WIDTH),
            )

        def forward(self, x: Any) -> Any:
            return x + self.body(x)

    blocks = [Block() for _ in range(_BLOCKS)]
    return nn.Sequential(
        nn.Linear(54, _WIDTH), *blocks, nn.LayerNorm(_WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 7)
    )


def _jax_model() -> tuple[Any, Any, Any]:
    import jax

    def logits_of(parameters: Any, kept: Any, x: Any, key: Any) -> Any:
        x = jl.dense(parameters["first"], x)
        keys = jax.random.split(key, _BLOCKS)
        for p, own in zip(parameters["blocks"], keys, strict=True):
            inner = jax.nn.relu(jl.dense(p["up"], jl.layer_norm(p["norm"], x)))
            x = x + jl.dense(p["down"], jl.dropout(inner, 0.1, own))
        x = jax.nn.relu(jl.layer_norm(parameters["norm"], x))
        return jl.dense(parameters["last"], x), kept

    blocks = [
        {
            "norm": jl.norm_of(_WIDTH),
            "up": jl.dense_of(_WIDTH, _INNER),
            "down": jl.dense_of(_INNER, _WIDTH),
        }
        for _ in range(_BLOCKS)
    ]
    parameters = {
        "first": jl.dense_of(54, _WIDTH),
        "blocks": blocks,
        "norm": jl.norm_of(_WIDTH),
        "last": jl.dense_of(_WIDTH, 7),
    }
    return parameters, (), logits_of


RESIDUAL = chain(
    "residual",
    "54-256, 3 x (LayerNorm-512 relu-Dropout-256), LayerNorm, relu, 7",
    256,
    inputs=54,
    classes=7,
    layers=_layers,
    torch_module=_torch_module,
    jax_model=_jax_model,
)
