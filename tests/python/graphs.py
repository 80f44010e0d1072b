"""A network of two inputs and two outputs, and data for it."""

from __future__ import annotations

from typing import Any

import numpy as np

import gdcore as gd

RNG = np.random.default_rng(21)
N = 60
XA, XB = RNG.standard_normal((N, 5)), RNG.standard_normal((N, 3))
X = {"a": XA, "b": XB}
PRICE = XA[:, :1] * 2 + XB[:, 1:2]
KIND = RNG.integers(0, 4, N)
Y = {"price": PRICE, "kind": KIND}
LOSS = {"price": "mse", "kind": "cross_entropy"}
WEIGHTS = {"price": 0.1}


def network(dtype: str = "float64", seed: int = 3, last: str = "identity") -> gd.Network:
    a, b = gd.Input(5, name="a"), gd.Input(3, name="b")
    h = gd.Concat()(gd.Dense(8, "tanh")(a), gd.LayerNorm()(b))
    h = gd.Add()(gd.Dense(6, "gelu")(h), gd.ReLU()(gd.Dense(6, name="side")(b)))
    outputs = {"price": gd.Dense(1)(h), "kind": gd.Dense(4, last)(h)}
    return gd.Network(inputs=[a, b], outputs=outputs, dtype=dtype, seed=seed)


def trainer_of(net: gd.Network, **arguments: Any) -> gd.Trainer:
    arguments = {"optimizer": gd.Adam(lr=1e-2), "loss_weights": WEIGHTS} | arguments
    return gd.Trainer(net, LOSS, **arguments)
