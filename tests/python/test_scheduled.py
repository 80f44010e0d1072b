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
    optimizer = gd.optimizers.Optimizer.members[rule]()
    known = hyperparameters(optimizer)
    assert next(iter(known)) == "lr"
    for key in known:
        one = trainer({key: s.Linear(1.0, 1 / 8, 3)}, optimizer)
        fitted(one, epochs=3)
        start = trainer(None, optimizer).hyperparameters[key]
        assert one.hyperparameters[key] == pytest.approx(start / 8, rel=1e-14)


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


# ---- what cannot be ----

ADAMW = gd.AdamW()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: trainer({"momentun": s.Cosine(3)}),
            ValueError,
            "schedule must name hyperparameters of SGD that are numbers, 'lr', 'momentum', "
            "'dampening', 'weight_decay', got 'momentun'",
        ),
        (lambda: trainer({"nesterov": s.Cosine(3)}), ValueError, "got 'nesterov'"),
        (
            lambda: trainer({"betas": s.Cosine(3)}, ADAMW),
            ValueError,
            r"got 'betas'; write 'betas\[0\]' or 'betas\[1\]'",
        ),
        (lambda: trainer({3: s.Cosine(3)}), ValueError, "got 3"),
        (lambda: trainer({}), ValueError, "at least one schedule, got an empty dict"),
        (lambda: trainer({"lr": None}), TypeError, r"schedule\['lr'\] must be a schedule or its"),
        (lambda: trainer({"lr": 0.1}), TypeError, r"schedule\['lr'\] must be a schedule such as"),
        (
            lambda: trainer({"lr": "cosin"}),
            ValueError,
            r"schedule\['lr'\] .* did you mean 'cosine'",
        ),
        (
            lambda: trainer({"weight_decay": s.ReduceOnPlateau()}),
            ValueError,
            "must not be a ReduceOnPlateau, which is for 'lr' alone",
        ),
        (
            lambda: trainer({"weight_decay": s.OneCycle(3, cycle_momentum=True)}),
            ValueError,
            "must not cycle momentum",
        ),
        (
            lambda: trainer(s.OneCycle(3, cycle_momentum=True), gd.Adagrad()),
            ValueError,
            "cycle_momentum must be False, as Adagrad has neither momentum nor betas but 'lr'",
        ),
        (
            lambda: trainer({"lr": s.OneCycle(3, cycle_momentum=True), "momentum": s.Step(3)}),
            ValueError,
            "'momentum' must not be given where the schedule of 'lr' has cycle_momentum",
        ),
        (
            lambda: trainer({"betas[0]": s.Exponential(1.1)}, ADAMW),
            ValueError,
            r"schedule of betas\[0\] must stay where AdamW takes it, and reaches inf: betas\[0\]",
        ),
        (
            lambda: trainer({"betas[1]": s.Piecewise([(0, 1.0), (3, 1.2)])}, ADAMW),
            ValueError,
            r"reaches 1.1988: betas\[1\] must be at least 0 and below 1",
        ),
        (
            lambda: trainer({"momentum": s.Cosine(3)}, gd.SGD(momentum=0.9, nesterov=True)),
            ValueError,
            "reaches 0: nesterov needs momentum above 0",
        ),
        (
            lambda: trainer(None, groups=[gd.Group("0.*", schedule={"eps": s.Step(3)})]),
            ValueError,
            "schedule of the group '0.[*]' must name hyperparameters of SGD",
        ),
        (
            lambda: trainer(
                None,
                groups=[gd.Group("0.*", schedule=s.Step(3)), gd.Group("*", schedule=s.Step(2))],
            ),
            ValueError,
            "groups must not set two schedules of 'lr' for '0.weight'",
        ),
        (lambda: gd.Group("*", schedule="cosine"), ValueError, "schedule must be an object in a"),
        (lambda: gd.Group("*", schedule={}), ValueError, "at least one schedule"),  # type: ignore[arg-type]
        (lambda: gd.Group("*", schedule=0.1), TypeError, "schedule must be a schedule, got float"),
        (
            lambda: gd.Group("*", schedule={"lr": s.Function(lambda t: 1.0)}),
            ValueError,
            r"schedule\['lr'\] must be no function in a group",
        ),
        (lambda: gd.Group("*", schedule=s.ReduceOnPlateau()), ValueError, "wait for a plateau"),
        (
            lambda: gd.Group("*", schedule=s.Step(3), frozen=True),
            ValueError,
            "a frozen group must set nothing else, got schedule",
        ),
        (
            lambda: gd.SGD().bind([np.zeros(3)], groups=[gd.Group("0", schedule=s.Step(3))]),
            ValueError,
            r"groups\[0\] must have no schedule, which is for a gdcore.Trainer",
        ),
        (lambda: s.MultiStep([]), ValueError, "milestones must hold at least one integer"),
        (lambda: s.MultiStep([3, 3]), ValueError, r"milestones\[1\] must be above milestones\[0\]"),
        (lambda: s.MultiStep(3), TypeError, "milestones must be a sequence of integers"),
        (lambda: s.MultiStep([2.5]), TypeError, r"milestones\[0\] must be an integer"),
        (lambda: s.Linear(-1.0), ValueError, "start_factor must be at least 0"),
        (lambda: s.Constant(total_iters=-1), ValueError, "total_iters must be at least 0"),
        (lambda: s.Polynomial(power=0.0), ValueError, "power must be above 0"),
        (lambda: s.InverseScaling(scale=0.0), ValueError, "scale must be above 0"),
        (lambda: s.InverseSqrt(0), ValueError, "timescale must be at least 1"),
        (lambda: s.Piecewise([]), ValueError, "points must hold at least one pair"),
        (lambda: s.Piecewise([(0, 1.0), (0, 2.0)]), ValueError, r"points\[1\]\[0\] must be above"),
        (lambda: s.Piecewise([(0, 1.0, 2.0)]), ValueError, r"points\[0\] must be a pair"),
        (lambda: s.Piecewise([(0, -1.0)]), ValueError, r"points\[0\]\[1\] must be at least 0"),
        (lambda: s.Piecewise([(0, 1.0)], "cubic"), ValueError, "between must be one of linear"),
        (lambda: s.Cosine(3, periodic=1), TypeError, "periodic must be True or False"),
        (lambda: s.CosineWarmRestarts(3, 0), ValueError, "t_mult must be at least 1"),
        (lambda: s.Cyclic(0.1, 0), ValueError, "step_size_up must be at least 1"),
        (lambda: s.Cyclic(0.1, 3, 0), ValueError, "step_size_down must be at least 1"),
        (lambda: s.Cyclic(0.1, 3, mode="square"), ValueError, "mode must be one of triangular"),
        (lambda: s.Cyclic(0.1, 3, gamma=1.1), ValueError, "gamma must be at least 0 and at most 1"),
        (lambda: s.Cyclic(0.1, 3, max_momentum=1.0), ValueError, "max_momentum must be"),
        (lambda: s.OneCycle(3, pct_start=1.0), ValueError, "pct_start must be above 0 and below 1"),
        (lambda: s.OneCycle(3, 0.3, "cosine"), ValueError, "anneal_strategy must be one of cos"),
        (lambda: s.OneCycle(3, div_factor=0.0), ValueError, "div_factor must be above 0"),
        (lambda: s.FlatCos(3, 1.0), ValueError, "pct_start must be at least 0 and below 1"),
        (lambda: s.CosLog(3, 51), ValueError, "cycles must be at most 50"),
        (lambda: s.ReduceOnPlateau(1.0), ValueError, "factor must be at least 0 and below 1"),
        (lambda: s.ReduceOnPlateau(patience=-1), ValueError, "patience must be at least 0"),
        (lambda: s.ReduceOnPlateau(monitor=3), TypeError, "monitor must be a key of the history"),
        (lambda: s.ReduceOnPlateau(mode="least"), ValueError, "mode must be one of auto, min, max"),
        (
            lambda: s.ReduceOnPlateau(threshold_mode="both"),
            ValueError,
            "threshold_mode must be one of rel, abs",
        ),
        (lambda: s.Sequential([], []), ValueError, "schedules must hold at least one schedule"),
        (
            lambda: s.Sequential([s.Step(3)], [4]),
            ValueError,
            "milestones must be one less than the 1 schedules, got 1",
        ),
        (
            lambda: s.Sequential([s.Step(3), s.Step(3, per="step")], [4]),
            ValueError,
            r"schedules\[1\] must be per 'epoch' like the whole, got 'step'",
        ),
        (lambda: s.Chained([s.Step(3), 0.1]), TypeError, r"schedules\[1\] must be a schedule"),
        (
            lambda: s.Chained([s.OneCycle(3, cycle_momentum=True)]),
            ValueError,
            r"schedules\[0\] must not cycle momentum",
        ),
        (
            lambda: s.Warmup(3, after=s.ReduceOnPlateau()),
            ValueError,
            "after must not hold a ReduceOnPlateau",
        ),
        (
            lambda: s.Chained([s.ReduceOnPlateau(), s.ReduceOnPlateau()]),
            ValueError,
            "schedules must hold one ReduceOnPlateau, got 2",
        ),
        (lambda: s.Lambda(0.1), TypeError, "function must be callable"),
    ],
)
def test_what_cannot_be_a_schedule(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize("kind", [s.Function, s.Lambda])
def test_a_function_that_gives_no_value_is_named(value: float, kind: Any) -> None:
    one = trainer({"weight_decay": kind(lambda t: value if t == 2 else 0.1, per="step")})
    one.step(X, Y)
    one.step(X, Y)
    before = one.network.state_dict()
    for call in (lambda: one.step(X, Y), lambda: fitted(one), lambda: one.hyperparameters):
        with pytest.raises(ValueError, match=r"schedule\(2\) must be"):
            call()
    assert one.steps == 2
    assert_same_state(one.network.state_dict(), before)


def test_a_value_out_of_the_domain_is_named() -> None:
    one = trainer({"betas[0]": s.Function(lambda t: 0.5 + t, per="step")}, gd.Adam())
    one.step(X, Y)
    with pytest.raises(ValueError, match=r"schedule of betas\[0\] at time 1: betas\[0\] must be"):
        one.step(X, Y)
    assert one.steps == 1
