"""Networks for tables: TabM and RealMLP, in the shape that the table adult has.

Six columns of numbers, eight of categories, two classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import gdcore as gd
from benchmarks.layers import jax_layers as jl
from benchmarks.layers.case import (
    BATCHES,
    Data,
    LayerCase,
    chain,
    jax_step,
    jax_threads,
    torch_step,
)
from gdcore.benchmark.figures import Threads
from gdcore.benchmark.turns import Step

__all__ = ["REALMLP", "TABM"]

_NUMBERS, _SIZES = 6, (9, 16, 7, 15, 6, 5, 2, 42)
_BATCH, _CLASSES, _WIDTH = 256, 2, 256

# ---- TabM: 32 members that share their weights, all columns as numbers, three layers ----

_MEMBERS, _RATE = 32, 0.1
_COLUMNS = _NUMBERS + sum(_SIZES)


def _ensemble() -> list[Any]:
    block = [gd.EnsembleDense(_WIDTH, _MEMBERS, "relu"), gd.Dropout(_RATE)]
    return [*3 * block, gd.EnsembleDense(_CLASSES, _MEMBERS, shared=False)]


def _torch_ensemble() -> Any:
    import torch
    from torch import nn

    class Shared(nn.Module):
        def __init__(self, inputs: int) -> None:
            super().__init__()
            self.linear = nn.Linear(inputs, _WIDTH, bias=False)
            self.r = nn.Parameter(torch.randint(0, 2, (_MEMBERS, inputs)) * 2.0 - 1)
            self.s = nn.Parameter(torch.ones(_MEMBERS, _WIDTH))
            self.bias = nn.Parameter(torch.zeros(_MEMBERS, _WIDTH))

        def forward(self, x: Any) -> Any:  # (N, members, inputs)
            return torch.addcmul(self.bias, self.linear(x * self.r), self.s)

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(_MEMBERS, _WIDTH, _CLASSES) * _WIDTH**-0.5)
            self.bias = nn.Parameter(torch.zeros(_MEMBERS, 1, _CLASSES))

        def forward(self, x: Any) -> Any:
            return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)

    class Parted(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.unsqueeze(1).expand(-1, _MEMBERS, -1)

    layers: list[Any] = [Parted()]
    for inputs in (_COLUMNS, _WIDTH, _WIDTH):
        layers += [Shared(inputs), nn.ReLU(), nn.Dropout(_RATE)]
    return nn.Sequential(*layers, Own())


def _jax_ensemble() -> tuple[Any, Any, Any]:
    import jax
    import jax.numpy as jnp

    random = np.random.default_rng(0)
    hidden = [
        {
            "weight": jl.dense_of(inputs, _WIDTH)["weight"],
            "r": random.integers(0, 2, (_MEMBERS, inputs)) * 2.0 - 1,
            "s": np.ones((_MEMBERS, _WIDTH)),
            "bias": np.zeros((_MEMBERS, _WIDTH)),
        }
        for inputs in (_COLUMNS, _WIDTH, _WIDTH)
    ]
    last = {
        "weight": random.standard_normal((_MEMBERS, _WIDTH, _CLASSES)) * _WIDTH**-0.5,
        "bias": np.zeros((_MEMBERS, _CLASSES)),
    }

    def logits_of(parameters: Any, kept: Any, x: Any, key: Any) -> Any:
        x = x[:, None, :]
        keys = jax.random.split(key, 3)
        for p, own in zip(parameters["hidden"], keys, strict=True):
            x = jax.nn.relu((x * p["r"]) @ p["weight"] * p["s"] + p["bias"])
            x = jl.dropout(x, _RATE, own)
        last = parameters["last"]
        return jnp.einsum("nmi,mio->nmo", x, last["weight"]) + last["bias"], kept

    return {"hidden": hidden, "last": last}, (), logits_of


TABM = chain(
    "tabm",
    f"{_COLUMNS}, {_MEMBERS} members, 3 x ({_WIDTH} relu, Dropout), {_CLASSES}",
    _BATCH,
    inputs=_COLUMNS,
    classes=_CLASSES,
    members=_MEMBERS,
    layers=_ensemble,
    torch_module=_torch_ensemble,
    jax_model=_jax_ensemble,
)

# ---- RealMLP: waves of the numbers, factors, layers that may fade out of their activations ----

_ONE_HOT = tuple(size for size in _SIZES if size <= 9)
_CODES = tuple(size for size in _SIZES if size > 9)
_WAVES, _SIZE, _EMBEDDED, _SPREAD = 16, 4, 8, 0.1
_ALL = _NUMBERS * _SIZE + sum(_ONE_HOT) + len(_CODES) * _EMBEDDED
_DROPPED = 0.15


def _rows() -> Data:
    """Numbers, categories of few values one-hot, codes of the others; classes."""
    random = np.random.default_rng(0)

    def batch() -> tuple[Any, Any]:
        numbers = random.standard_normal((_BATCH, _NUMBERS), np.float32)
        one_hot = np.hstack(
            [np.eye(n, dtype=np.float32)[random.integers(0, n, _BATCH)] for n in _ONE_HOT]
        )
        codes = np.stack([random.integers(0, n, _BATCH) for n in _CODES], axis=1)
        return (numbers, one_hot, codes), random.integers(0, _CLASSES, _BATCH)

    return [batch() for _ in range(BATCHES)]


def _gdcore(threads: Threads) -> Step:
    numbers = gd.Input(_NUMBERS, name="numbers")
    one_hot = gd.Input(sum(_ONE_HOT), name="one_hot")
    codes = gd.Input(categories=_CODES, name="codes")
    h = gd.Concat()(
        gd.PeriodicEmbedding.pbld(_SIZE, frequencies=_WAVES)(numbers),
        one_hot,
        gd.Embedding(_EMBEDDED)(codes),
    )
    h = gd.Scale()(h)
    for _ in range(3):
        h = gd.Dense(_WIDTH, parametrization="ntk")(h)
        h = gd.Dropout(_DROPPED)(gd.ParametricActivation("selu")(h))
    last = gd.Dense(_CLASSES, parametrization="ntk")(h)
    net = gd.Network(inputs=[numbers, one_hot, codes], outputs=last, seed=0)
    trainer = gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-3), num_threads=threads)
    names = ("numbers", "one_hot", "codes")
    data = [(dict(zip(names, x, strict=True)), y) for x, y in _rows()]

    def step(number: int) -> None:
        trainer.step(*data[number % len(data)])

    return step


def _torch_module() -> Any:
    import torch
    from torch import nn

    class Ntk(nn.Module):
        def __init__(self, inputs: int, units: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(inputs, units))
            self.bias = nn.Parameter(torch.randn(units))
            self.factor = inputs**-0.5

        def forward(self, x: Any) -> Any:
            return torch.addmm(self.bias, x, self.weight, alpha=self.factor)

    class Fading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(_WIDTH))

        def forward(self, x: Any) -> Any:
            return x + (nn.functional.selu(x) - x) * self.weight

    class RealMlp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frequencies = nn.Parameter(_SPREAD * torch.randn(_NUMBERS, 1, _WAVES))
            self.phase = nn.Parameter(math.pi * (2 * torch.rand(_NUMBERS, 1, _WAVES) - 1))
            self.weight = nn.Parameter(_WAVES**-0.5 * torch.randn(_NUMBERS, _WAVES, _SIZE - 1))
            self.bias = nn.Parameter(torch.zeros(_NUMBERS, 1, _SIZE - 1))
            self.tables = nn.ModuleList(nn.Embedding(n, _EMBEDDED) for n in _CODES)
            self.scale = nn.Parameter(torch.ones(_ALL))
            layers: list[Any] = []
            for inputs in (_ALL, _WIDTH, _WIDTH):
                layers += [Ntk(inputs, _WIDTH), Fading(), nn.Dropout(_DROPPED)]
            self.rest = nn.Sequential(*layers, Ntk(_WIDTH, _CLASSES))

        def forward(self, numbers: Any, one_hot: Any, codes: Any) -> Any:
            x = numbers.t().unsqueeze(2)  # (columns, N, 1)
            waves = torch.cos(2 * math.pi * (x * self.frequencies + self.phase))
            waves = torch.baddbmm(self.bias, waves, self.weight)
            numbers = torch.cat([x, waves], dim=2).transpose(0, 1).flatten(1)
            looked_up = [table(codes[:, k]) for k, table in enumerate(self.tables)]
            return self.rest(torch.cat([numbers, one_hot, *looked_up], dim=1) * self.scale)

    return RealMlp()


def _torch(threads: Threads, compiled: bool = False) -> Step:
    import torch

    torch.manual_seed(0)
    cross_entropy = torch.nn.CrossEntropyLoss()
    data = [(*x, y) for x, y in _rows()]
    return torch_step(_torch_module(), cross_entropy, data, threads, compiled)


def _jax(threads: Threads) -> Step:
    jax_threads(threads)
    import jax
    import jax.numpy as jnp

    random = np.random.default_rng(0)

    def ntk(inputs: int, units: int) -> dict[str, Any]:
        shape = (inputs, units)
        return {"weight": random.standard_normal(shape), "bias": random.standard_normal(units)}

    parameters = {
        "frequencies": _SPREAD * random.standard_normal((_NUMBERS, _WAVES)),
        "phase": math.pi * random.uniform(-1, 1, (_NUMBERS, _WAVES)),
        "weight": _WAVES**-0.5 * random.standard_normal((_NUMBERS, _WAVES, _SIZE - 1)),
        "bias": np.zeros((_NUMBERS, _SIZE - 1)),
        "tables": [random.standard_normal((n, _EMBEDDED)) for n in _CODES],
        "scale": np.ones(_ALL),
        "hidden": [
            {"dense": ntk(inputs, _WIDTH), "fading": np.ones(_WIDTH)}
            for inputs in (_ALL, _WIDTH, _WIDTH)
        ],
        "last": ntk(_WIDTH, _CLASSES),
    }

    def dense(p: Any, x: Any) -> Any:
        return x @ p["weight"] * x.shape[1] ** -0.5 + p["bias"]

    def loss_of(parameters: Any, kept: Any, x: Any, y: Any, key: Any) -> Any:
        numbers, one_hot, codes = x
        angle = numbers[:, :, None] * parameters["frequencies"] + parameters["phase"]
        waves = jnp.einsum("ncf,cfo->nco", jnp.cos(2 * math.pi * angle), parameters["weight"])
        waves = jnp.concatenate([numbers[:, :, None], waves + parameters["bias"]], axis=2)
        looked_up = [table[codes[:, k]] for k, table in enumerate(parameters["tables"])]
        h = jnp.concatenate([waves.reshape(len(y), -1), one_hot, *looked_up], axis=1)
        h = h * parameters["scale"]
        keys = jax.random.split(key, 3)
        for p, own in zip(parameters["hidden"], keys, strict=True):
            h = dense(p["dense"], h)
            h = jl.dropout(h + (jax.nn.selu(h) - h) * p["fading"], _DROPPED, own)
        logits = dense(parameters["last"], h)
        chosen = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen), kept

    return jax_step(parameters, (), loss_of, _rows())


REALMLP = LayerCase(
    "realmlp",
    f"adult: {_NUMBERS} numbers, {len(_SIZES)} categories, 3 x ({_WIDTH} selu, Dropout), 2",
    _BATCH,
    {
        "gdcore": _gdcore,
        "torch": _torch,
        "torch-compile": lambda threads: _torch(threads, compiled=True),
        "jax": _jax,
    },
)
