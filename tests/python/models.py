"""Small models for the tests of files, and what it means that one came back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nets
import numpy as np
import safetensors
import safetensors.numpy
from support import assert_same_bits, assert_same_state

import gdcore as gd
from gdcore import schedules

DTYPES = ("float32", "float64")
X, Y = nets.inputs(20, 3), nets.targets("mse", 20, 2)
WEIGHT = np.linspace(0.1, 2, 20)
SCHEDULES = {
    "none": None,
    "constant": schedules.Constant(),
    "step": schedules.Step(3, gamma=0.3, per="step"),
    "exponential": schedules.Exponential(0.93),
    "cosine": schedules.Cosine(8, eta_min=1e-5, per="step"),
    "warmup": schedules.Warmup(3, start_factor=0.1),
    "warmup twice": schedules.Warmup(
        2, after=schedules.Warmup(7, after=schedules.Cosine(9, per="step"), per="step"), per="step"
    ),
}


def small(dtype: str = "float64", seed: int = 4) -> gd.Network:
    layers = [
        gd.Dense(4, gd.LeakyReLU(0.3), name="größe/ 1"),
        gd.Dense(3, gd.Softplus(1 / 3), bias=False, weight_init="he_normal"),
        gd.Dense(2),
    ]
    return gd.Network(layers, input_size=3, dtype=dtype, seed=seed)


def rule(name: str, options: dict[str, Any]) -> Any:
    return getattr(gd, name)(**options)


def fit(trainer: gd.Trainer, until_epoch: int) -> gd.Trainer:
    trainer.fit(X, Y, until_epoch=until_epoch, batch_size=7, sample_weight=WEIGHT, progress=False)
    return trainer


def trained(optimizer: Any = "adam", **options: Any) -> gd.Trainer:
    return fit(gd.Trainer(small(), "huber", optimizer, **options), 2)


def assert_same_trainer(got: gd.Trainer, expected: gd.Trainer) -> None:
    for name in (
        "loss", "optimizer", "schedule", "matmul_precision", "clip_grad_norm", "seed", "lr",
        "steps", "epochs",
    ):  # fmt: skip
        assert getattr(got, name) == getattr(expected, name), name
    assert_same_network(got.network, expected.network)
    states, others = got._native.copy()[2], expected._native.copy()[2]
    assert len(states) == len(others)
    for state, other in zip(states, others):
        assert_same_state(state, other)


def assert_same_network(got: gd.Network, expected: gd.Network) -> None:
    for name in ("layers", "layer_names", "dtype", "seed", "input_size", "output_size"):
        assert getattr(got, name) == getattr(expected, name), name
    assert_same_state(got.state_dict(), expected.state_dict())
    x = nets.inputs(9, got.input_size, 5)
    assert_same_bits(got.predict(x), expected.predict(x), "prediction")


def saved(thing: Any, path: Path, **options: Any) -> bytes:
    thing.save(path, **options)
    return path.read_bytes()


def comes_back(trainer: gd.Trainer, path: Path, **options: Any) -> None:
    whole = saved(trainer, path)
    loaded = gd.Trainer.load(path, **options)
    assert_same_trainer(loaded, trainer)
    assert loaded.history == trainer.history
    assert len(loaded.history.get("loss", [])) == trainer.epochs
    assert saved(loaded, path) == whole
    assert trainer.to_bytes() == whole
    assert gd.Trainer.from_bytes(whole, **options).to_bytes() == whole
    assert_same_network(gd.Network.load(path), trainer.network)
    fit(trainer, trainer.epochs + 2)
    assert_same_trainer(fit(loaded, loaded.epochs + 2), trainer)


def unpacked(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with safetensors.safe_open(path, framework="numpy") as file:
        return safetensors.numpy.load_file(path), json.loads(file.metadata()["gdcore"])


def pack(path: Path, arrays: dict[str, np.ndarray], description: Any) -> None:
    text = description if isinstance(description, str) else json.dumps(description)
    path.write_bytes(safetensors.numpy.save(arrays, {"gdcore": text}))


def rich(path: Path) -> gd.Trainer:
    """A trainer whose file has something of everything."""
    trainer = trained(gd.Adam(amsgrad=True), schedule=SCHEDULES["warmup twice"], clip_grad_norm=1.5)
    trainer.save(path, extra={"scale": [1.5]})
    return trainer
