"""The learning rate over time: formulas, units, setting it by hand, functions of one's own."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore.schedules import (
    NAMES,
    Constant,
    Cosine,
    CosLog,
    Exponential,
    FlatCos,
    Function,
    Linear,
    OneCycle,
    Schedule,
    Step,
    Warmup,
    spread,
)

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


@pytest.mark.parametrize("per", ["epoch", "step"])
@pytest.mark.parametrize("make", [lambda per: Exponential(0.37, per=per), lambda per: Cosine(
    40, 1e-4, per=per), lambda per: Warmup(30, 0.013, per=per), lambda per: Step(2, 0.3, per=per),
])  # fmt: skip
def test_a_rate_that_is_set_is_read_back(make: Any, per: str) -> None:
    """To the last bit, wherever the schedule stands, and steps run at it, after a file too."""
    random = np.random.default_rng(3)
    one, by_hand = trainer(make(per), lr=0.0171), trainer(None)
    for _ in range(20):
        one.fit(X, Y, epochs=1, batch_size=6, shuffle=False, progress=False)
        for value in random.uniform(1e-6, 1, 10):
            one.lr = value
            assert one.lr == value
        by_hand.network.load_state_dict(one.network.state_dict())
        by_hand.lr = float(value)
        one.step(X, Y)
        by_hand.step(X, Y)
        for key, array in by_hand.network.state_dict().items():
            assert np.array_equal(one.network.state_dict()[key], array)


def test_a_rate_of_zero_can_be_left_again() -> None:
    for schedule in (Exponential(0.5), lambda epoch: 0.3):
        one = trainer(schedule)
        one.lr = 0.0
        assert one.lr == 0.0
        one.lr = 0.1
        assert one.lr == 0.1


def test_a_rate_that_was_set_is_the_same_after_a_file(tmp_path: Any) -> None:
    one = trainer(Exponential(0.37, per="step"), lr=0.0171)
    for value in np.random.default_rng(4).uniform(1e-6, 1, 30):
        one.step(X, Y)
        one.lr = value
        one.save(tmp_path / "file")
        loaded = gd.Trainer.load(tmp_path / "file")
        assert loaded.lr == one.lr == value
        loaded.step(X, Y)
        one.step(X, Y)
        assert loaded.lr == one.lr


# ---- a schedule that is over ----


@pytest.mark.parametrize(
    ("schedule", "epochs"),
    [
        (Cosine(4), 4),
        (Cosine(4), 9),
        (Exponential(0.01), 5),
        (Step(2, 0.0), 2),
        (Step(1, 1e-5), 3),
        (Warmup(2, 0.0, after=Cosine(3)), 6),
        (Warmup(2, after=Warmup(2, after=Exponential(1e-9))), 6),
        (Cosine(10, per="step"), 4),
        (Exponential(0.1, per="step"), 4),
    ],
    ids=str,
)
@pytest.mark.parametrize("loaded", [False, True])
def test_a_schedule_that_is_over_is_told(
    schedule: Schedule, epochs: int, loaded: bool, tmp_path: Any
) -> None:
    one = trainer(schedule)
    one.fit(X, Y, epochs=epochs, batch_size=4, progress=False)
    if loaded:
        one.save(tmp_path / "file")
        one = gd.Trainer.load(tmp_path / "file")
    with pytest.warns(UserWarning, match=r"^the schedule .* is over: .* at most") as told:
        one.fit(X, Y, epochs=2, batch_size=4, progress=False)
    assert told[0].filename == __file__
    before = one.steps
    with pytest.raises(UserWarning, match="is over"):  # warnings are errors here
        one.fit(X, Y, epochs=1, progress=False)
    assert one.steps == before
    one.fit(X, Y, until_epoch=1, progress=False)  # none to do


@pytest.mark.parametrize(
    ("schedule", "epochs"),
    [
        (Cosine(4, eta_min=1e-5), 9),
        (Cosine(40), 39),
        (Constant(), 5),
        (Step(2, 0.1), 9),
        (Exponential(0.5), 20),
        (Warmup(3, 0.0), 0),
        (Warmup(3, 0.0, per="step"), 0),
        (Warmup(3, 0.0, after=Warmup(3, 0.0)), 3),
        (Warmup(3), 9),
        (Function(lambda t: 0.0), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Function) else str(value),
)
def test_a_schedule_that_is_not_over_is_not_told(schedule: Schedule, epochs: int) -> None:
    one = trainer(schedule)
    if epochs:
        one.fit(X, Y, epochs=epochs, batch_size=4, progress=False)
    one.fit(X, Y, epochs=1, batch_size=4, progress=False)
    trainer(Constant(), lr=0.0).fit(X, Y, epochs=1, progress=False)  # as it was asked for


def test_who_sets_the_rate_of_a_schedule_is_not_told() -> None:
    one = trainer(Exponential(0.01))
    one.lr = 0.0
    one.fit(X, Y, epochs=1, progress=False)
    one = trainer(Exponential(0.01))
    one.fit(X, Y, epochs=6, progress=False)
    one.lr = 0.1  # from here on it is that much
    one.fit(X, Y, epochs=1, progress=False)


# ---- functions ----


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
        (lambda: Step(2**53 + 1), ValueError, "step_size must be at most 9007199254740992"),
        (lambda: Cosine(2**63 - 1), ValueError, "t_max must be at most 9007199254740992"),
        (lambda: Warmup(2**63 - 1), ValueError, "duration must be at most 9007199254740992"),
        (lambda: Exponential(math.nan), ValueError, "gamma must be finite"),
        (lambda: Cosine(0), ValueError, "t_max must be at least 1"),
        (lambda: Cosine(5, eta_min=-1e-3), ValueError, "eta_min must be at least 0"),
        (lambda: Warmup(0), ValueError, "duration must be at least 1"),
        (lambda: Warmup(3, -0.5), ValueError, "start_factor must be at least 0"),
        (lambda: Warmup(3, after=0.1), TypeError, "after must be a schedule"),  # type: ignore[arg-type]
        (lambda: Warmup(3, after=Cosine(4, per="step")), ValueError, "after must be per 'epoch'"),
        (lambda: Constant(per="batch"), ValueError, "per must be one of"),
        (lambda: Function(0.1), TypeError, "function must be callable"),  # type: ignore[arg-type]
        (
            lambda: trainer("cosin"),
            ValueError,
            r"constant, .*did you mean .cosine.\?",
        ),
        (lambda: trainer("warmup"), ValueError, "schedule must say how long a warm-up takes"),
        (lambda: spread("warmup", 3), ValueError, "name must be one of constant, step"),  # type: ignore[arg-type]
        (lambda: spread("cosine", 0), ValueError, "epochs must be at least 1, got 0"),
        (lambda: spread("coslog", 3, 0), ValueError, "batches must be at least 1, got 0"),
        (lambda: trainer(0.1), TypeError, "schedule must be a schedule such as"),
        (lambda: trainer(Nameless()), TypeError, "schedule must be a schedule with a name"),
        (lambda: trainer(Cosine), TypeError, r"write Cosine\(\.\.\.\)"),
    ],
)
def test_what_cannot_be_a_schedule(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_the_longest_schedules_are_counted_right() -> None:
    most = 2**53
    one = trainer(Warmup(most, 0.25))
    one.fit(X, Y, epochs=1, progress=False)
    assert math.isclose(one.lr, LR * 0.25)
    one = trainer(Warmup(most, 0.5, after=Warmup(most, 0.1)))
    one.fit(X, Y, epochs=1, progress=False)
    assert math.isclose(one.lr, LR * 0.5)
    for schedule in (Step(most, 0.5), Cosine(most)):
        one = trainer(schedule)
        one.fit(X, Y, epochs=2, progress=False)
        assert one.lr == LR


@pytest.mark.parametrize("name", sorted(Schedule.members))
def test_docstrings_tell_equation_and_arguments(name: str) -> None:
    member = Schedule.members[name]
    text = member.__doc__ or ""
    assert "lr_t = " in text
    for field in dataclasses.fields(member):
        assert f"{field.name}: " in text, field.name


# ---- by name ----


def test_names_are_schedules_over_all_epochs() -> None:
    assert spread("constant", 9) == Constant()
    assert [spread("step", epochs) for epochs in (1, 9, 10)] == [Step(1), Step(3), Step(4)]
    assert spread("cosine", 9) == Cosine(9)
    assert spread("linear", 9) == Linear(1.0, 0.0, 9)
    assert spread("coslog", 9) == CosLog(9)
    assert spread("one_cycle", 9, 5) == OneCycle(45, per="step")
    assert spread("flat_cos", 9, 2) == FlatCos(18, per="step")
    last = spread("exponential", 9)
    assert isinstance(last, Exponential)
    assert last.gamma**8 == pytest.approx(0.01)
    assert set(NAMES) <= set(Schedule.members)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_schedule_of_the_first_fit(name: Any, tmp_path: Any) -> None:
    whole = spread(name, 6, batches=3)
    by_name, by_object = trainer(name), trainer(whole)
    assert by_name.schedule == name
    assert by_name.lr == LR
    by_name.save(tmp_path / "m")
    loaded = gd.Trainer.load(tmp_path / "m")
    assert loaded.schedule == name
    for one in (by_name, loaded, by_object):
        one.fit(X, Y, epochs=3, until_epoch=None, batch_size=4, progress=False) if (
            one is by_object
        ) else one.fit(X, Y, until_epoch=6, batch_size=4, callbacks=[Stop(3)], progress=False)
        assert one.schedule == whole
        one.fit(X, Y, until_epoch=6, batch_size=4, progress=False)
    for key, value in by_object.network.state_dict().items():
        np.testing.assert_array_equal(by_name.network.state_dict()[key], value)
        np.testing.assert_array_equal(loaded.network.state_dict()[key], value)
    if name not in ("constant", "step", "exponential"):
        with pytest.warns(UserWarning, match="is over"):
            by_name.fit(X, Y, epochs=1, progress=False)


class Stop(gd.callbacks.Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        if epoch == self.epoch:
            trainer.stop()


def test_a_rate_set_before_the_first_fit_is_where_a_name_begins() -> None:
    one = trainer("exponential")
    one.lr = 0.5
    one.step(X, Y)
    assert one.lr == 0.5
    one.fit(X, Y, epochs=2, progress=False)
    assert one.lr == pytest.approx(0.5 * 0.01**2)


def test_a_fit_that_is_refused_settles_no_name() -> None:
    one = trainer("cosine")
    with pytest.raises(ValueError, match="batch_size"):
        one.fit(X, Y, epochs=2, batch_size=0, progress=False)
    assert one.schedule == "cosine"
