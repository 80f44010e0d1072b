"""The learning rate over time: formulas, units, setting it by hand, functions of one's own."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore.schedules import Constant, Cosine, Exponential, Function, Schedule, Step, Warmup

X = np.linspace(-1, 1, 24).reshape(12, 2)
Y = X.sum(axis=1)
LR = 0.04


class Nameless(Schedule):
    per = "epoch"


def trainer(schedule: Any, lr: float = LR, loss: str | None = "mse") -> gd.Trainer:
    net = gd.Network([gd.Dense(3, "tanh"), gd.Dense(1)], input_size=2, dtype="float64")
    return gd.Trainer(net, loss, gd.SGD(lr=lr), schedule=schedule)


# What each gives at time t, from LR.
FORMULAS: dict[str, tuple[Schedule, Any]] = {
    "constant": (Constant(), lambda t: LR),
    "step": (Step(3, 0.5), lambda t: LR * 0.5 ** (t // 3)),
    "exponential": (Exponential(0.9), lambda t: LR * 0.9**t),
    "cosine": (
        Cosine(6, 0.01),
        lambda t: 0.01 + (LR - 0.01) * (1 + math.cos(math.pi * min(t / 6, 1))) / 2,
    ),
    "warmup": (Warmup(4, 0.25), lambda t: LR * min(0.25 + 0.75 * t / 4, 1)),
    "warmup, exponential": (
        Warmup(2, 0.0, after=Exponential(0.5)),
        lambda t: LR * t / 2 if t < 2 else LR * 0.5 ** (t - 2),
    ),
    "function": (Function(lambda t: 1 / (3 + t)), lambda t: 1 / (3 + t)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_every_epoch_runs_at_its_rate(name: str) -> None:
    schedule, formula = FORMULAS[name]
    one = trainer(schedule)
    for epoch in range(9):
        assert math.isclose(one.lr, formula(epoch), rel_tol=1e-14, abs_tol=1e-300)
        one.fit(X, Y, batch_size=5, progress=False)
        assert one.epochs == epoch + 1


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("way", ["step", "learn_one", "fit", "apply_gradients"])
def test_every_step_runs_at_its_rate(name: str, way: str) -> None:
    """A plain trainer whose rate is set before each step by hand ends at the same bits."""
    schedule, formula = FORMULAS[name]
    parts: Any = schedule
    if isinstance(schedule, Warmup) and schedule.after is not None:
        parts = dataclasses.replace(
            schedule, after=dataclasses.replace(schedule.after, per="step"), per="step"
        )
    else:
        parts = dataclasses.replace(schedule, per="step")
    loss = None if way == "apply_gradients" else "mse"
    one, by_hand = trainer(parts, loss=loss), trainer(None, loss=loss)
    rates = []

    def apply(each: gd.Trainer) -> None:
        net = each.network
        net.backward(net.forward(X, training=True) - Y[:, None])
        each.apply_gradients()

    if way == "fit":
        one.fit(X, Y, batch_size=1, shuffle=False, progress=False)
    watched = trainer(parts, loss=loss)
    for t in range(len(X)):
        rates.append(watched.lr)
        by_hand.lr = watched.lr
        if way == "apply_gradients":
            for each in (one, by_hand, watched):
                apply(each)
        else:
            if way != "fit":
                getattr(one, way)(
                    *((X[t], Y[t]) if way == "learn_one" else (X[t : t + 1], Y[t : t + 1]))
                )
            by_hand.step(X[t : t + 1], Y[t : t + 1])
            watched.step(X[t : t + 1], Y[t : t + 1])
    assert np.allclose(rates, [formula(t) for t in range(len(X))], rtol=1e-14, atol=0)
    for key, value in by_hand.network.state_dict().items():
        assert np.array_equal(one.network.state_dict()[key], value), key


def test_a_rate_per_epoch_does_not_move_with_steps() -> None:
    one = trainer(Exponential(0.5))
    for _ in range(5):
        one.step(X, Y)
    assert one.lr == LR


def test_setting_the_rate_scales_the_rest() -> None:
    one = trainer(Step(2, 0.1))
    one.fit(X, Y, epochs=1, progress=False)
    one.lr = 0.5
    assert one.lr == 0.5
    one.fit(X, Y, epochs=1, progress=False)
    assert math.isclose(one.lr, 0.05)


def test_a_schedule_at_zero_cannot_be_scaled() -> None:
    one = trainer(Warmup(3, 0.0))
    with pytest.raises(ValueError, match="lr cannot be set where the schedule is at 0"):
        one.lr = 0.1
    one.fit(X, Y, progress=False)
    one.lr = 0.1
    assert one.lr == 0.1


def test_a_function_is_a_schedule() -> None:
    seen = []

    def falling(epoch: int) -> float:
        seen.append(epoch)
        return 0.1 / (1 + epoch)

    one = trainer(falling)
    assert one.schedule == Function(falling)
    one.fit(X, Y, epochs=3, batch_size=None, progress=False)
    assert one.lr == 0.1 / 4
    assert sorted(set(seen)) == [0, 1, 2, 3]


@pytest.mark.parametrize("way", ["fit", "step", "learn_one", "lr"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, None, "fast"])
def test_a_function_that_gives_no_rate_is_named(value: Any, way: str) -> None:
    one = trainer(lambda epoch: value)
    before = one.network.state_dict()
    error = TypeError if value is None or isinstance(value, str) else ValueError
    calls = {
        "fit": lambda: one.fit(X, Y, progress=False),
        "step": lambda: one.step(X, Y),
        "learn_one": lambda: one.learn_one(X[0], Y[0]),
        "lr": lambda: one.lr,
    }
    with pytest.raises(error, match=r"schedule\(0\) must be"):
        calls[way]()
    assert one.steps == 0
    for key, array in one.network.state_dict().items():
        assert np.array_equal(array, before[key])


def test_an_error_of_the_function_comes_through() -> None:
    def failing(step: int) -> float:
        if step == 5:
            raise LookupError("no rate for five")
        return 0.01

    one = trainer(Function(failing, per="step"))
    with pytest.raises(LookupError, match="no rate for five"):
        one.fit(X, Y, epochs=2, batch_size=2, progress=False)
    assert one.steps == 5


def test_a_function_may_use_the_network() -> None:
    net = gd.Network([gd.Dense(1)], input_size=2)
    seen = []

    def by_error(step: int) -> float:
        seen.append(float(np.abs(net.predict(X)[:, 0] - Y).mean()))
        return 0.1 * min(seen[-1], 1)

    gd.Trainer(net, "mse", "sgd", schedule=Function(by_error, per="step")).fit(
        X, Y, epochs=3, batch_size=4, progress=False
    )
    assert len(seen) == 9
    assert seen[-1] < seen[0]


def test_divergence_names_the_rate_of_the_schedule() -> None:
    one = trainer(lambda epoch: 0.01 if epoch < 2 else 1e200)
    with pytest.raises(FloatingPointError, match=r"in epoch 3 at step .* learning rate 1e\+200"):
        one.fit(X, Y, epochs=5, batch_size=2, progress=False)
    assert one.epochs == 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Step(0), ValueError, "step_size must be at least 1, got 0"),
        (lambda: Step(2.5), TypeError, "step_size must be an integer"),  # type: ignore[arg-type]
        (lambda: Step(3, gamma=-1), ValueError, "gamma must be at least 0"),
        (lambda: Exponential(math.nan), ValueError, "gamma must be finite"),
        (lambda: Cosine(0), ValueError, "t_max must be at least 1"),
        (lambda: Cosine(5, eta_min=-1e-3), ValueError, "eta_min must be at least 0"),
        (lambda: Warmup(0), ValueError, "duration must be at least 1"),
        (lambda: Warmup(3, -0.5), ValueError, "start_factor must be at least 0"),
        (lambda: Warmup(3, after=0.1), TypeError, "after must be a schedule"),  # type: ignore[arg-type]
        (lambda: Warmup(3, after=Cosine(4, per="step")), ValueError, "after must be per 'epoch'"),
        (lambda: Constant(per="batch"), ValueError, "per must be one of"),
        (lambda: Function(0.1), TypeError, "function must be callable"),  # type: ignore[arg-type]
        (lambda: trainer("cosine"), TypeError, "schedule must be a schedule such as"),
        (lambda: trainer(0.1), TypeError, "schedule must be a schedule such as"),
        (lambda: trainer(Nameless()), TypeError, "schedule must be a schedule with a name"),
        (lambda: trainer(Cosine), TypeError, r"write Cosine\(\.\.\.\)"),
    ],
)
def test_what_cannot_be_a_schedule(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", sorted(Schedule.members))
def test_docstrings_tell_equation_and_arguments(name: str) -> None:
    member = Schedule.members[name]
    text = member.__doc__ or ""
    assert "lr_t = " in text
    for field in dataclasses.fields(member):
        assert f"{field.name}: " in text, field.name
