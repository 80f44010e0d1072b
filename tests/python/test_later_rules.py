"""What only some update rules have: going up, numbers kept between steps, averages, bad options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from models import pack, unpacked
from rule_options import OPTIONS
from support import assert_same_bits, assert_same_state, relative_error

import gdcore as gd
from gdcore.optimizers import Optimizer

X, Y = nets.inputs(64, 6), nets.targets("mse", 64, 2)


def network(dtype: str = "float64") -> gd.Network:
    return nets.network([6, 9, 2], ["tanh", "identity"], dtype, seed=3)


# ---- maximize ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIONS)
def test_maximize_is_the_rule_with_the_gradient_turned_round(name: str, dtype: str) -> None:
    family = getattr(gd, name)
    rng = np.random.default_rng(5)
    start = [rng.standard_normal(size).astype(dtype) for size in (1, 7, 2600)]
    up, down = ([array.copy() for array in start] for _ in range(2))
    climbs, falls = family(maximize=True).bind(up), family().bind(down)
    for _ in range(3):
        gradients = [rng.standard_normal(array.size).astype(dtype) for array in start]
        climbs.step(gradients)
        falls.step([-gradient for gradient in gradients])
    for one, other in zip(up, down, strict=True):
        assert_same_bits(one, other, name)


@pytest.mark.parametrize("batch", [1, 16, None])
def test_a_trainer_may_go_up(batch: int | None) -> None:
    """In fused updates, and with gradients from outside: all have the same bits."""
    net = network()
    before = gd.Trainer(net, "mse", "sgd").evaluate(X, Y)["loss"]
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=1e-3, momentum=0.5, maximize=True))
    trainer.fit(X, Y, epochs=2, batch_size=batch, shuffle=False, progress=False)
    assert trainer.evaluate(X, Y)["loss"] > before
    own = network()
    outside = gd.Trainer(own, None, gd.SGD(lr=1e-3, momentum=0.5))
    size = len(X) if batch is None else batch
    for _ in range(2):
        for at in range(0, len(X), size):
            rows = slice(at, at + size)
            output = own.forward(X[rows], training=True)
            own.backward(-2 * (output - Y[rows]) / output.size)
            outside.apply_gradients()
    for key, value in own.state_dict().items():
        assert relative_error(net.state_dict()[key], value) <= 1e-12, key


def test_a_group_may_go_up_where_the_others_go_down() -> None:
    net, flat = network(), network()
    groups = [gd.Group("1.*", maximize=True)]
    trainer = gd.Trainer(net, None, gd.Adam(lr=1e-2), groups=groups)
    other = gd.Trainer(flat, None, gd.Adam(lr=1e-2))
    for each in (net, flat):
        each.forward(X, training=True)
        each.backward(Y)
    trainer.apply_gradients()
    other.apply_gradients()
    start = network().state_dict()
    for key in start:
        way = net.state_dict()[key] - start[key]
        way_down = flat.state_dict()[key] - start[key]
        np.testing.assert_allclose(way, -way_down if key.startswith("1") else way_down, atol=1e-15)


# ---- numbers that are kept between steps ----

KEEPING = ["NAdam", "ScheduleFreeSGD", "ScheduleFreeAdamW"]


def fit(trainer: gd.Trainer, epochs: int = 1, **options: Any) -> None:
    trainer.fit(X, Y, epochs=epochs, batch_size=8, progress=False, **options)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", KEEPING)
def test_what_is_kept_is_saved(name: str, grouped: bool, tmp_path: Path) -> None:
    groups = [gd.Group("*bias", lr_factor=0.5), gd.Group("1.*", weight_decay=0.1)]
    rule = getattr(gd, name)(lr=1e-2)
    trainer = gd.Trainer(network(), "mse", rule, groups=groups if grouped else ())
    fit(trainer, 2)
    trainer.save(tmp_path / "run.safetensors")
    kept = gd.files.read_description(tmp_path / "run.safetensors")["position"]["kept"]
    assert len(kept) == (1 if name == "NAdam" else 2) * (4 if grouped else 1)
    loaded = gd.Trainer.load(tmp_path / "run.safetensors")
    for each in (trainer, loaded):
        fit(each)
    assert_same_state(loaded.network.state_dict(), trainer.network.state_dict())
    assert loaded._native.copy()[0] == trainer._native.copy()[0]


def test_rules_that_keep_nothing_say_nothing(tmp_path: Path) -> None:
    gd.Trainer(network(), "mse", "adam").save(tmp_path / "run.safetensors")
    described = gd.files.read_description(tmp_path / "run.safetensors")
    assert "kept" not in described["position"]
    assert "maximize" not in described["optimizer"]


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ([], "keeps 1 numbers, got 0"),
        ([0.5, 0.5], "keeps 1 numbers, got 2"),
        (["x"], r"kept\[0\] must be a real number"),
        (3, "what the optimizer keeps is not described"),
    ],
)
def test_forged_numbers_are_told(kept: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    trainer = gd.Trainer(network(), "mse", "nadam")
    fit(trainer)
    trainer.save(path)
    arrays, described = unpacked(path)
    described["position"]["kept"] = kept
    pack(path, arrays, described)
    with pytest.raises(ValueError, match=rf"is damaged or was forged: .*{words}"):
        gd.Trainer.load(path)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", KEEPING)
def test_an_epoch_that_diverges_takes_back_what_was_kept(name: str, own: bool) -> None:
    """Afterwards training goes on as it would have."""

    def squares(prediction: np.ndarray, target: np.ndarray) -> tuple[Any, Any]:
        off = prediction - target
        return (off**2).mean(), 2 * off / off.size

    def made() -> gd.Trainer:
        trainer = gd.Trainer(network(), squares if own else "mse", getattr(gd, name)(lr=1e-3))
        fit(trainer)
        return trainer

    trainer, other = made(), made()
    trainer.lr = 1e300
    with pytest.raises(FloatingPointError), np.errstate(all="ignore"):
        fit(trainer)
    trainer.lr = 1e-3
    for each in (trainer, other):
        fit(each)
    assert_same_state(trainer.network.state_dict(), other.network.state_dict())
    assert trainer._native.copy()[0] == other._native.copy()[0]


# ---- options out of range ----

BAD: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("Rprop", {"etas": (0.0, 1.2)}, ValueError, r"etas\[0\] must be above 0 and below 1, got 0"),
    ("Rprop", {"etas": (0.5, 1.0)}, ValueError, r"etas\[1\] must be above 1, got 1"),
    ("Rprop", {"etas": 0.5}, TypeError, r"etas must be a pair of numbers, got 0\.5"),
    ("Rprop", {"step_sizes": (0, 1)}, ValueError, r"step_sizes\[0\] must be above 0, got 0"),
    ("Rprop", {"step_sizes": (2, 1)}, ValueError, r"step_sizes\[1\] must be at least 2, got 1"),
    ("ASGD", {"lambd": -1}, ValueError, "lambd must be at least 0, got -1"),
    ("ASGD", {"t0": -1}, ValueError, "t0 must be at least 0, got -1"),
    ("ASGD", {"alpha": float("nan")}, ValueError, "alpha must be finite, got nan"),
    ("NAdam", {"momentum_decay": -1}, ValueError, "momentum_decay must be at least 0, got -1"),
    ("NAdam", {"decoupled_weight_decay": 1}, TypeError, "decoupled_weight_decay must be True or"),
    ("RAdam", {"decoupled_weight_decay": 0}, TypeError, "decoupled_weight_decay must be True or"),
    ("ADOPT", {"decoupled_weight_decay": 0}, TypeError, "decoupled_weight_decay must be True or"),
    ("AdaBelief", {"amsgrad": 0}, TypeError, "amsgrad must be True or False, got 0"),
    ("Adan", {"no_prox": 0}, TypeError, "no_prox must be True or False, got 0"),
    ("Adan", {"betas": (0.9, 0.9)}, TypeError, r"betas must be 3 numbers, got \(0\.9, 0\.9\)"),
    ("AdEMAMix", {"betas": (0.9, 0.9, 1)}, ValueError, r"betas\[2\] must be .* below 1, got 1"),
    ("AdEMAMix", {"alpha": -1}, ValueError, "alpha must be at least 0, got -1"),
    ("AdEMAMix", {"t_alpha_beta3": -1}, ValueError, "t_alpha_beta3 must be at least 0, got -1"),
    ("Yogi", {"initial_accumulator_value": -1}, ValueError, "initial_accumulator_value must be at"),
    ("FTRL", {"beta": -1}, ValueError, "beta must be at least 0, got -1"),
    ("FTRL", {"lambda_1": -1}, ValueError, "lambda_1 must be at least 0, got -1"),
    ("FTRL", {"lambda_2": -1}, ValueError, "lambda_2 must be at least 0, got -1"),
    ("MADGRAD", {"momentum": 1}, ValueError, "momentum must be at least 0 and below 1, got 1"),
    ("ScheduleFreeSGD", {"momentum": 0}, ValueError, "momentum must be above 0 and below 1, got 0"),
    ("ScheduleFreeSGD", {"warmup_steps": -1}, ValueError, "warmup_steps must be at least 0"),
    ("ScheduleFreeSGD", {"r": -1}, ValueError, "r must be at least 0, got -1"),
    ("ScheduleFreeSGD", {"weight_lr_power": -1}, ValueError, "weight_lr_power must be at least 0"),
    ("ScheduleFreeAdamW", {"betas": (0, 0.9)}, ValueError, r"betas\[0\] must be above 0, got 0"),
    *(
        (name, {field: value}, error, rf"^{field}(\[0\])? must be")
        for name in OPTIONS
        for field, value, error in (
            ("lr", -1, ValueError),
            ("lr", float("inf"), ValueError),
            ("lr", "1", TypeError),
            ("maximize", 1, TypeError),
            ("betas", (1.0, *getattr(getattr(gd, name), "betas", (0, 0))[1:]), ValueError),
            ("betas", 0.9, TypeError),
            ("eps", -1, ValueError),
            ("weight_decay", -1, ValueError),
            ("weight_decay", float("nan"), ValueError),
        )
        if hasattr(getattr(gd, name)(), field)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "error", "words"), BAD)
def test_options_out_of_range_are_told(
    name: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        getattr(gd, name)(**options)


def test_every_optimizer_may_go_up() -> None:
    for member in Optimizer.members.values():
        assert not member().maximize
        assert member(maximize=True).maximize
        assert member(maximize=True).parameters() == [*member().parameters()[:-1], 1.0]
