"""Any hyperparameter over time, groups with schedules of their own, and rates that wait."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scheduled import LAYERS, X, Y, fitted, network, trainer
from support import assert_same_state

import gdcore as gd
from gdcore import schedules as s
from gdcore._scheduling import hyperparameters

# ---- beside PyTorch ----

FALL = s.Polynomial(60, 1.5, per="step")
# An optimizer, what its hyperparameters follow, and how PyTorch's groups are set at each step.
FOLLOWING: dict[str, tuple[Any, dict[str, Any], Callable[[dict[str, Any], int], None]]] = {
    "sgd": (
        gd.SGD(lr=0.05, momentum=0.9, weight_decay=0.02),
        {
            "momentum": s.Linear(1.0, 0.5, 40, per="step"),
            "weight_decay": FALL,
            "lr": s.Step(30, 0.5, per="step"),
        },
        lambda group, t: group.update(
            momentum=0.9 * (1 - 0.5 * min(t / 40, 1)),
            weight_decay=0.02 * (1 - min(t / 60, 1)) ** 1.5,
            lr=0.05 * 0.5 ** (t // 30),
        ),
    ),
    "momentum from 0": (
        gd.SGD(lr=0.05),
        {"momentum": s.Function(lambda t: 0.9 * (t + 1) / 100, per="step")},
        lambda group, t: group.update(momentum=0.9 * (t + 1) / 100),
    ),
    "adamw": (
        gd.AdamW(lr=0.01),
        {
            "weight_decay": s.Cosine(50, 1e-3, per="step"),
            "betas[0]": s.Linear(1.0, 0.8, 70, per="step"),
            "eps": s.Exponential(1.05, per="step"),
        },
        lambda group, t: group.update(
            weight_decay=1e-3 + (1e-2 - 1e-3) * (1 + math.cos(math.pi * min(t / 50, 1))) / 2,
            betas=(0.9 * (1 - 0.2 * min(t / 70, 1)), 0.999),
            eps=1e-8 * 1.05**t,
        ),
    ),
    "rmsprop": (
        gd.RMSprop(lr=0.01, momentum=0.5),
        {"alpha": s.Step(20, 0.9, per="step"), "momentum": FALL},
        lambda group, t: (
            group.update(alpha=0.99 * 0.9 ** (t // 20), momentum=0.5 * (1 - min(t / 60, 1)) ** 1.5)
            if t < 60
            else group.update(alpha=0.99 * 0.9 ** (t // 20), momentum=1e-300)
        ),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("rule", FOLLOWING)
def test_a_hundred_steps_are_those_of_torch(name: str, rule: str) -> None:
    pytest.importorskip("torch")
    import torch
    from torch_twin import TorchNetwork, torch_optimizer

    optimizer, schedule, set_group = FOLLOWING[rule]
    net = network(name)
    twin = TorchNetwork(net)
    theirs = torch_optimizer(optimizer, twin.parameters.values())
    one = gd.Trainer(net, "mse", optimizer, schedule=schedule)
    x, y = torch.tensor(X), torch.tensor(Y)
    for t in range(100):
        set_group(theirs.param_groups[0], t)
        theirs.zero_grad()
        loss = torch.nn.functional.mse_loss(twin(x), y)
        loss.backward()
        theirs.step()
        assert one.step(X, Y) == pytest.approx(loss.item(), rel=1e-10)


@pytest.mark.parametrize("optimizer", [gd.SGD(lr=0.05), gd.SGD(lr=0.05, momentum=0.7), gd.Adam()])
@pytest.mark.parametrize("kind", ["one_cycle", "cyclic"])
def test_momentum_goes_with_the_rate_as_in_torch(optimizer: Any, kind: str) -> None:
    pytest.importorskip("torch")
    import torch
    from torch_twin import TorchNetwork, torch_optimizer

    net = network()
    twin = TorchNetwork(net)
    theirs = torch_optimizer(optimizer, twin.parameters.values())
    scheduler: Any
    if kind == "one_cycle":
        schedule: s.Schedule = s.OneCycle(101, cycle_momentum=True, per="step")
        scheduler = torch.optim.lr_scheduler.OneCycleLR(theirs, optimizer.lr, total_steps=101)
    else:
        schedule = s.Cyclic(0.2, 30, cycle_momentum=True, per="step")
        scheduler = torch.optim.lr_scheduler.CyclicLR(theirs, optimizer.lr, 0.2, 30)
    one = gd.Trainer(net, "mse", optimizer, schedule=schedule)
    x, y = torch.tensor(X), torch.tensor(Y)
    for _ in range(100):
        theirs.zero_grad()
        loss = torch.nn.functional.mse_loss(twin(x), y)
        loss.backward()
        theirs.step()
        scheduler.step()
        assert one.step(X, Y) == pytest.approx(loss.item(), rel=1e-10)


# ---- what a trainer makes of them ----


@pytest.mark.parametrize("rule", sorted(gd.optimizers.Optimizer.members))
def test_every_number_of_every_rule_follows(rule: str) -> None:
    """Each in turn: it is what the schedule says, changes what is trained, and no rule refuses."""
    options = {"d": 2.0} if rule == "adafactor" else {}  # it may not fall below 1
    optimizer = gd.optimizers.Optimizer.members[rule](**options)
    known = hyperparameters(optimizer)
    assert next(iter(known)) == "lr"
    for key in known:
        one = trainer({key: s.Linear(1.0, 0.9, 3)}, optimizer)
        fitted(one, epochs=3)
        start = trainer(None, optimizer).hyperparameters[key]
        assert one.hyperparameters[key] == pytest.approx(0.9 * start, rel=1e-14)


def test_steps_of_a_constant_schedule_are_those_without() -> None:
    for optimizer in (gd.SGD(lr=0.05, momentum=0.9), gd.Adam(weight_decay=0.1)):
        known = dict.fromkeys(hyperparameters(optimizer), s.Constant())
        assert_same_state(
            fitted(trainer(known, optimizer)).network.state_dict(),
            fitted(trainer(None, optimizer)).network.state_dict(),
        )


@pytest.mark.parametrize("batch_size", [None, 16, 1])
def test_the_bits_do_not_depend_on_threads(batch_size: int | None) -> None:
    schedule = {"lr": "cosine", "weight_decay": FALL, "momentum": s.Cyclic(0.9, 3, per="step")}
    groups = [gd.Group("0.*", schedule=s.Exponential(0.7)), gd.Group("*.bias", weight_decay=0.0)]
    found = [
        fitted(trainer(schedule, groups=groups, num_threads=threads), batch_size=batch_size)
        for threads in (1, 2, 3, 5)
    ]
    for other in found[1:]:
        assert_same_state(other.network.state_dict(), found[0].network.state_dict())


def test_names_go_over_all_epochs() -> None:
    one = trainer({"lr": "one_cycle", "weight_decay": "linear"})
    assert one.hyperparameters["weight_decay"] == 0.1
    one.step(X, Y)
    fitted(one, epochs=4)
    assert one.schedule == {"lr": s.OneCycle(12, per="step"), "weight_decay": s.Linear(1.0, 0.0, 4)}
    assert one.hyperparameters["weight_decay"] == 0.0


def cycle() -> weakref.ref[gd.Trainer]:
    """A trainer whose schedule reaches it, used and given up."""
    reached: list[gd.Trainer] = []

    def decay(t: int) -> float:
        return float(np.isfinite(reached[0].network.predict(X)).mean()) * 0.01 * (t + 1)

    one = trainer({"weight_decay": s.Function(decay, per="step")})
    reached.append(one)
    fitted(one)
    assert one.hyperparameters["weight_decay"] == pytest.approx(0.01 * 7)
    return weakref.ref(one)


def test_a_function_may_use_the_network_and_the_trainer_is_freed() -> None:
    freed = cycle()
    gc.collect()
    assert freed() is None


def test_functions_multiply_what_a_group_or_the_optimizer_has() -> None:
    asked: list[int] = []

    def factor(t: int) -> float:
        asked.append(t)
        return 0.5

    one = trainer({"weight_decay": s.Chained([s.Multiplicative(factor), s.Lambda(lambda t: 2.0)])})
    fitted(one, epochs=4)
    assert one.hyperparameters["weight_decay"] == pytest.approx(0.1 * 0.5**4 * 2)
    assert asked[:4] == [1, 2, 3, 4]


# ---- groups ----


def test_groups_have_schedules_of_their_own() -> None:
    """As two trainers that each train one layer, by hand."""
    schedule = s.Exponential(0.5, per="step")
    groups = [
        gd.Group("0.*", schedule=s.Linear(0.0, 1.0, 4, per="step"), lr_factor=0.5),
        gd.Group("1.*", weight_decay_factor=3.0),
        gd.Group("*.bias", schedule={"momentum": s.Step(2, 0.1, per="step")}, weight_decay=0.3),
    ]
    with pytest.raises(ValueError, match="must not both set weight_decay"):
        trainer(schedule, groups=groups)
    groups[1] = gd.Group("1.weight", weight_decay_factor=3.0)
    decay = s.Step(3, 0.5, per="step")
    one = trainer({"lr": schedule, "weight_decay": decay}, groups=groups)
    by_hand = network()
    states = {key: np.zeros_like(value) for key, value in by_hand.state_dict().items()}
    for t in range(8):
        told = one.hyperparameters
        assert told["lr"] == 0.05 * 0.5**t
        values = by_hand.state_dict()
        output = by_hand.forward(X, training=True)
        by_hand.backward(2 * (output - Y) / len(X))
        gradients = by_hand.gradients()
        for key, w in values.items():
            falling = 0.05 * 0.5**t
            lr = 0.5 * 0.05 * min(t / 4, 1) if key.startswith("0") else falling
            mu = 0.5 * 0.1 ** (t // 2) if key.endswith("bias") else 0.5
            wd = 0.1 * 0.5 ** (t // 3)
            wd = 0.3 if key.endswith("bias") else 3 * wd if key == "1.weight" else wd
            g = gradients[key] + wd * w
            states[key] = mu * states[key] + g
            values[key] = w - lr * states[key]
        by_hand.load_state_dict(values)
        one.step(X, Y)
        for key, value in one.network.state_dict().items():
            np.testing.assert_allclose(value, values[key], rtol=1e-12, atol=1e-14)


def test_setting_the_rate_scales_a_groups_schedule_too() -> None:
    for schedule in (None, s.Exponential(0.5, per="step")):
        group = gd.Group("0.*", schedule=s.Step(1, 0.1, per="step"))
        one = trainer(schedule, groups=[group])
        key = "lr of the group '0.*'"
        assert one.hyperparameters[key] == 0.05
        one.step(X, Y)
        assert one.hyperparameters[key] == pytest.approx(0.005)
        one.lr = 2 * one.lr
        assert one.hyperparameters[key] == pytest.approx(0.01)


def test_a_group_with_a_schedule_is_a_value() -> None:
    schedule = {"lr": s.Cosine(4), "weight_decay": s.Step(3)}
    group = gd.Group("0.*", schedule=schedule)
    assert group == gd.Group("0.*", schedule=dict(reversed(schedule.items())))
    assert hash(group) == hash(gd.Group("0.*", schedule=schedule))
    assert group.settings == {"schedule": schedule}
    assert repr(gd.Group("0.*", schedule=s.Step(3, 0.1))).startswith(
        "Group('0.*', schedule=Step(step_size=3, gamma=0.1"
    )


# ---- saved and resumed ----

RESUMED: dict[str, dict[str, Any]] = {
    "several": {"schedule": {"lr": s.Cosine(9), "weight_decay": FALL, "momentum": s.Step(2)}},
    "names": {"schedule": {"lr": "coslog", "weight_decay": "cosine"}},
    "momentum": {"schedule": s.OneCycle(30, cycle_momentum=True, per="step")},
    "sequential": {
        "schedule": s.Sequential([s.Linear(0.1), s.Piecewise([(0, 1.0), (9, 0.5)])], [3])
    },
    "groups": {
        "schedule": s.Chained([s.Step(2), s.Exponential(0.9)]),
        "groups": [
            gd.Group("0.weight", schedule=s.CosineWarmRestarts(5, per="step")),
            gd.Group("*.bias", schedule={"weight_decay": s.MultiStep([2, 3]), "lr": s.Step(1)}),
        ],
    },
    "plateau": {"schedule": s.ReduceOnPlateau(0.5, 0, cooldown=1, monitor="loss", threshold=0.3)},
    "plateau in a chain": {
        "schedule": s.Chained([s.Warmup(2), s.ReduceOnPlateau(0.5, 1, 0.5, monitor="loss")])
    },
}


@pytest.mark.parametrize("name", RESUMED)
def test_it_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    one, other = trainer(**RESUMED[name]), trainer(**RESUMED[name])
    fitted(one, epochs=None, until_epoch=8)

    class Stop(gd.callbacks.Callback):
        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
            if epoch == 4:
                trainer.stop()

    fitted(other, epochs=None, until_epoch=8, callbacks=[Stop()])
    other.save(tmp_path / "m")
    loaded = gd.Trainer.load(tmp_path / "m")
    assert loaded.schedule == other.schedule
    assert loaded.groups == other.groups
    assert loaded.hyperparameters == other.hyperparameters
    fitted(loaded, epochs=None, until_epoch=8)
    assert_same_state(loaded.network.state_dict(), one.network.state_dict())
    assert loaded.lr == one.lr
    loaded.save(tmp_path / "a")
    one.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_functions_are_given_again(tmp_path: Path) -> None:
    schedule = {"lr": s.Cosine(9), "weight_decay": s.Lambda(lambda t: 1 / (1 + t))}
    one = fitted(trainer(schedule))
    one.save(tmp_path / "m")
    with pytest.raises(ValueError, match="schedule must be given"):
        gd.Trainer.load(tmp_path / "m")
    loaded = gd.Trainer.load(tmp_path / "m", schedule=schedule)
    fitted(one)
    fitted(loaded)
    assert_same_state(loaded.network.state_dict(), one.network.state_dict())
    for wrong, message in (
        ({"momentun": s.Cosine(3)}, "momentun"),
        ({"weight_decay": s.ReduceOnPlateau()}, "ReduceOnPlateau"),
        ({"eps": s.Cosine(3)}, "'lr', 'momentum', 'dampening', 'weight_decay', got 'eps'"),
    ):
        with pytest.raises(ValueError, match=message) as told:
            gd.Trainer.load(tmp_path / "m", schedule=wrong)
        assert "damaged" not in str(told.value)


def test_a_state_that_was_not_saved_is_told(tmp_path: Path) -> None:
    one = fitted(trainer(None, gd.SGD(lr=0.1)))
    one.save(tmp_path / "m")
    with pytest.raises(ValueError, match="schedule must leave the optimizer with the 0 states"):
        gd.Trainer.load(tmp_path / "m", schedule={"momentum": s.Function(lambda t: 0.5)})
    gd.Trainer.load(tmp_path / "m", schedule={"weight_decay": s.Function(lambda t: 0.5)})


# ---- what is over ----


@pytest.mark.parametrize(
    "schedule",
    [
        s.OneCycle(3),
        s.OneCycle(9, per="step"),
        s.FlatCos(3),
        s.CosLog(3),
        s.Polynomial(3),
        s.Linear(1.0, 0.0, 3),
        s.Warmup(1, after=s.OneCycle(2)),
        s.Sequential([s.Constant(), s.FlatCos(2)], [1]),
        s.Chained([s.Exponential(0.9), s.OneCycle(3)]),
        {"weight_decay": s.OneCycle(3)},
    ],
    ids=str,
)
def test_what_a_run_has_outlived_is_told(schedule: Any, tmp_path: Path) -> None:
    one = trainer(schedule)
    fitted(one, epochs=2)
    one.save(tmp_path / "m")
    one = gd.Trainer.load(tmp_path / "m")
    fitted(one, epochs=1)
    with pytest.warns(UserWarning, match=r"^the schedule .* is over: .*Trainer\.load$") as told:
        fitted(one, epochs=1)
    assert len(told) == 1


@pytest.mark.parametrize(
    "schedule",
    [
        s.Cosine(2, periodic=True),
        s.CosineWarmRestarts(2),
        s.Cyclic(0.1, 2),
        s.Piecewise([(0, 1.0), (2, 0.0), (5, 0.0), (6, 1.0)]),
        s.Sequential([s.Cosine(2), s.Constant()], [4]),
        s.Chained([s.Linear(0.0, 1.0, 6), s.Cosine(6)]),
        s.Constant(factor=0.0, total_iters=5),
        s.InverseScaling(),
        s.CosLog(9),
        s.Lambda(lambda t: 0.0),
        {"weight_decay": s.Cosine(2)},
        s.Chained([s.Lambda(lambda t: 1.0), s.Constant()]),
    ],
)
def test_what_goes_on_is_not_told(schedule: Any) -> None:
    one = trainer(schedule)
    for _ in range(3):
        fitted(one, epochs=1)
