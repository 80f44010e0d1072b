"""Names and functions as schedules of groups, and arrays of one's own that follow schedules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scheduled import X, Y, fitted, trainer
from support import assert_same_state

import gdcore as gd
from gdcore import schedules as s

MOMENTUM = gd.SGD(lr=0.05, momentum=0.5)


def halved(t: int) -> float:
    return 0.05 * 0.5**t


def state(one: gd.Trainer) -> dict[str, Any]:
    return one.network.state_dict()


def grouped(schedule: Any, **settings: Any) -> gd.Trainer:
    groups = [gd.Group("0.*", schedule=schedule, **settings), gd.Group("*.bias", momentum=0.9)]
    return trainer(s.Exponential(0.9), MOMENTUM, groups=groups)


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_a_name_is_over_all_epochs(name: Any, tmp_path: Path) -> None:
    made = s.spread(name, 6, 3)  # three batches of 16 an epoch
    given, wanted = grouped({"lr": name, "momentum": name}), grouped({"lr": made, "momentum": made})
    given.save(tmp_path / "new")  # before anybody knows how many
    loaded = gd.Trainer.load(tmp_path / "new")
    assert loaded.groups == given.groups
    half = grouped({"lr": name, "momentum": name})
    half.fit(X, Y, until_epoch=6, batch_size=16, progress=False, callbacks=[Stop(2)])
    half.save(tmp_path / "half")
    rest = gd.Trainer.load(tmp_path / "half")
    assert rest.groups == wanted.groups
    for one in (given, loaded, wanted):
        fitted(one, epochs=6)
    fitted(rest, until_epoch=6, epochs=None)
    assert given.groups == wanted.groups
    for one in (given, loaded, rest):
        assert_same_state(state(one), state(wanted))
    assert any(own != got for own, got in zip(given.groups, grouped(name).groups, strict=True))


class Stop(gd.callbacks.Callback):
    def __init__(self, after: int) -> None:
        self.after = after

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        if epoch == self.after:
            trainer.stop()


def test_a_function_is_asked(tmp_path: Path) -> None:
    given, wanted = grouped(halved, lr_factor=0.5), grouped(s.Exponential(0.5), lr_factor=0.5)
    for one in (given, wanted):
        fitted(one, epochs=2)
    given.save(tmp_path / "half")
    with pytest.raises(ValueError, match=r"groups must be given: .* a function of one's own"):
        gd.Trainer.load(tmp_path / "half")
    rest = gd.Trainer.load(tmp_path / "half", groups=given.groups)
    for one in (given, wanted, rest):
        fitted(one, epochs=2)
    for one in (given, rest):
        for key, value in state(wanted).items():
            np.testing.assert_allclose(state(one)[key], value, rtol=1e-13)
    assert_same_state(state(given), state(rest))
    other = [gd.Group("0.*", schedule=halved), gd.Group("*.bias", momentum=0.9)]
    with pytest.raises(ValueError, match=r"groups must be those of .* with other schedules"):
        gd.Trainer.load(tmp_path / "half", groups=other)
    with pytest.raises(TypeError, match=r"groups\[0\] must be a gdcore.Group"):
        gd.Trainer.load(tmp_path / "half", groups=[3])  # type: ignore[list-item]


def test_a_function_that_leaves_the_domain_is_told() -> None:
    one = grouped({"weight_decay": lambda t: 0.1 - 0.06 * t})
    with pytest.raises(ValueError, match=r"schedule\(2\) must be at least 0, got -0.02"):
        fitted(one, epochs=5)
    assert one.epochs == 2


def test_a_group_that_has_outlived_its_schedule_says_so() -> None:
    one = grouped("one_cycle")
    fitted(one, epochs=3)
    with pytest.warns(
        UserWarning, match=r"of lr of the group '0\.\*' is over: it was made for 9 steps"
    ):
        fitted(one, epochs=1)


SCHEDULES: dict[str, Any] = {
    "one": s.Exponential(0.7, per="step"),
    "two": {"lr": s.Warmup(2, per="step"), "weight_decay": s.Linear(0.0, 1.0, 4, per="step")},
    "function": lambda t: 0.1 / (1 + t),
    "cycle": {"lr": s.OneCycle(6, per="step", cycle_momentum=True)},
    "factors": {"momentum": s.Multiplicative(lambda t: 0.9, per="step")},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_arrays_follow_what_a_trainer_follows(name: str) -> None:
    """To the bit, with groups; lr can be set between steps."""
    schedule = SCHEDULES[name]
    rule = gd.SGD(lr=0.1, momentum=0.6, weight_decay=0.0 if isinstance(schedule, dict) else 0.1)
    groups = {
        "0": gd.Group("0", lr_factor=0.5),
        "1": gd.Group("1", schedule=s.Step(2, 0.5, per="step")),
    }
    net = gd.Network([gd.Dense(3, "tanh"), gd.Dense(1)], input_size=4, dtype="float64")
    keys = list(net.state_dict())
    of_net = [gd.Group(keys[int(i)], **each.settings) for i, each in groups.items()]
    of_trainer = schedule
    if callable(schedule) and not isinstance(schedule, s.Schedule):
        of_trainer = s.Function(schedule, per="step")
    trainer = gd.Trainer(net, None, rule, schedule=of_trainer, groups=of_net)
    arrays = list(net.state_dict().values())
    bound = rule.bind(arrays, groups=list(groups.values()), schedule=schedule)
    for step in range(7):
        assert bound.steps == trainer.steps == step
        assert bound.lr == trainer.lr
        if step == 4:
            bound.lr = trainer.lr = 0.02
            assert bound.lr == 0.02
        net.forward(X[step : step + 4], training=True)
        net.backward(Y[step : step + 4])
        bound.step(list(net.gradients().values()))
        trainer.apply_gradients()
        assert_same_state(net.state_dict(), dict(zip(keys, arrays, strict=True)))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"schedule": "cosine"}, ValueError, r"schedule must be an object under bind.*per='step'"),
        ({"schedule": s.Step(3)}, ValueError, "schedule must be per 'step' under bind"),
        ({"schedule": {"lr": s.Step(3)}}, ValueError, r"schedule\['lr'\] must be per 'step'"),
        ({"schedule": s.Adaptive()}, ValueError, "must not be Adaptive under bind"),
        ({"schedule": {"nu": s.Step(3, per="step")}}, ValueError, "must name hyperparameters"),
        ({"schedule": 3}, TypeError, "schedule must be a schedule such as"),
        (
            {"schedule": {"betas[0]": s.Linear(1.0, 2.0, 3, per="step")}},
            ValueError,
            r"the schedule of betas\[0\] must stay where Adam takes it",
        ),
        (
            {"groups": [gd.Group("0", schedule="cosine")]},
            ValueError,
            r"groups\[0\]: the schedule of 'lr' must be an object under bind",
        ),
        (
            {"groups": [gd.Group("0", schedule=s.Step(3))]},
            ValueError,
            r"groups\[0\]: the schedule of 'lr' must be per 'step'",
        ),
    ],
)
def test_what_arrays_cannot_follow(options: Any, error: type[Exception], words: str) -> None:
    rule = gd.Adam() if "betas[0]" in str(options) else MOMENTUM
    with pytest.raises(error, match=words):
        rule.bind([np.ones(3)], **options)


def test_a_rate_that_is_none_changes_nothing() -> None:
    weights = [np.ones(3)]
    bound = gd.SGD(lr=0.1).bind(weights, schedule=lambda t: 0.1 - t)
    bound.step([np.ones(3)])
    before = weights[0].copy()
    with pytest.raises(ValueError, match="at least 0"):
        bound.step([np.ones(3)])
    assert (weights[0] == before).all()
    assert bound.steps == 1
    zero = gd.SGD(lr=0.1).bind(weights, schedule=s.Linear(0.0, 1.0, 3, per="step"))
    with pytest.raises(ValueError, match="lr cannot be set where the schedule is at 0"):
        zero.lr = 0.3
