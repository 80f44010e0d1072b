"""PyTorch in float64 from the same start: 100 mini-batch steps end at the same parameters."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import nets
import numpy as np
import pytest
from rule_options import CASES, IDS, OPTIONS
from support import relative_error

import gdcore as gd
from gdcore.activations import Activation

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch_twin import TorchNetwork, torch_loss, torch_optimizer  # noqa: E402  (needs PyTorch)

STEPS = 100
BATCH = 16

# Together they hold every activation and every loss but mae, whose gradient jumps: two programs
# that differ in the last bit of a prediction may then step apart.
NETWORKS = {
    "classes": ([20, 32, 16, 5], ["relu", "gelu", "identity"], "cross_entropy"),
    "binary": ([12, 24, 18, 3], ["silu", "softplus", "identity"], "bce_with_logits"),
    "values": ([8, 20, 20, 20, 2], ["tanh", "elu", "leaky_relu", "sigmoid"], "huber"),
}


@pytest.fixture(autouse=True)
def one_torch_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_same_training(
    widths: list[int],
    names: list[str],
    loss: str,
    rule: str,
    options: dict[str, Any],
    schedules: tuple[Any, Any] = (None, None),
) -> None:
    schedule, twin_schedule = schedules
    net = nets.network(widths, names, "float64", seed=5)
    twin = TorchNetwork(net)
    trainer = gd.Trainer(
        net, loss=nets.loss(loss), optimizer=getattr(gd, rule)(**options), schedule=schedule
    )
    optimizer = torch_optimizer(trainer.optimizer, twin.parameters.values())
    scheduler = twin_schedule(optimizer) if twin_schedule else None
    criterion = torch_loss(nets.loss(loss))
    x = nets.inputs(BATCH * STEPS, widths[0])
    y = nets.targets(loss, len(x), widths[-1])
    for at in range(0, len(x), BATCH):
        batch = slice(at, at + BATCH)
        optimizer.zero_grad()
        value = criterion(twin(torch.from_numpy(x[batch])), torch.from_numpy(y[batch]))
        value.backward()
        assert math.isclose(trainer.lr, optimizer.param_groups[0]["lr"], rel_tol=1e-10)
        optimizer.step()
        if scheduler:
            scheduler.step()
        ours = trainer.step(x[batch], y[batch])
        assert math.isclose(ours, value.item(), rel_tol=1e-10)
    for key, parameter in twin.parameters.items():
        assert relative_error(net.state_dict()[key], parameter.detach().numpy()) <= 1e-10, key


@pytest.mark.parametrize(("rule", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_after_100_steps(name: str, rule: str, options: dict[str, Any]) -> None:
    assert_same_training(*NETWORKS[name], rule, options)


def _linear(optimizer: Any, duration: int, start: float) -> Any:
    return torch.optim.lr_scheduler.LinearLR(optimizer, start, total_iters=duration)


def _warm_cosine(optimizer: Any) -> Any:
    parts = torch.optim.lr_scheduler
    after = parts.CosineAnnealingLR(optimizer, 80, eta_min=1e-4)
    return parts.SequentialLR(optimizer, [_linear(optimizer, 20, 0.1), after], [20])


# Ours, and what makes PyTorch's for an optimizer; all in steps.
SCHEDULES: dict[str, tuple[Any, Any]] = {
    "constant": (
        gd.schedules.Constant(per="step"),
        lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0),
    ),
    "step": (
        gd.schedules.Step(15, gamma=0.5, per="step"),
        lambda o: torch.optim.lr_scheduler.StepLR(o, 15, gamma=0.5),
    ),
    "exponential": (
        gd.schedules.Exponential(0.97, per="step"),
        lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.97),
    ),
    "cosine": (
        gd.schedules.Cosine(100, eta_min=1e-4, per="step"),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 100, eta_min=1e-4),
    ),
    "warm-up": (
        gd.schedules.Warmup(30, start_factor=0.2, per="step"),
        lambda o: _linear(o, 30, 0.2),
    ),
    "warm-up and cosine": (
        gd.schedules.Warmup(
            20, 0.1, after=gd.schedules.Cosine(80, eta_min=1e-4, per="step"), per="step"
        ),
        _warm_cosine,
    ),
    "function": (
        gd.schedules.Function(lambda t: 0.01 / (1 + t), per="step"),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
    ),
}


@pytest.mark.filterwarnings("ignore:.*epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("rule", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", NETWORKS)
def test_schedules_over_100_steps(name: str, schedule: str, rule: str) -> None:
    assert_same_training(*NETWORKS[name], rule, {"lr": 0.01}, SCHEDULES[schedule])


@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_what_the_three_networks_leave_out(activation: str, loss: str) -> None:
    names = ["tanh", activation]
    assert_same_training([6, 10, 4], names, loss, "SGD", {"lr": 0.05, "momentum": 0.9})


def test_defaults_are_those_of_pytorch() -> None:
    parameter = [torch.zeros(1, requires_grad=True)]
    for rule in OPTIONS:
        defaults = getattr(torch.optim, rule)(parameter).defaults
        ours = getattr(gd, rule)()
        for field in dataclasses.fields(ours):
            assert getattr(ours, field.name) == defaults[field.name], f"{rule}.{field.name}"
    for name, member in Activation.members.items():
        theirs = getattr(torch.nn, member.__name__, None)
        if theirs is None or theirs is torch.nn.Threshold:  # GELUTanh; what has no defaults
            assert name in ("gelu_tanh", "threshold")
            continue
        made = theirs(dim=-1) if name.endswith("softmax") else theirs()
        for field in dataclasses.fields(member):
            assert field.default == getattr(made, field.name), f"{name} {field.name}"
    assert gd.Huber().delta == torch.nn.HuberLoss().delta
    assert gd.CrossEntropy().label_smoothing == torch.nn.CrossEntropyLoss().label_smoothing


@pytest.mark.parametrize(("fan_in", "fan_out"), [(7, 40), (64, 300), (784, 10)])
def test_initial_values_have_the_bounds_of_pytorch(fan_in: int, fan_out: int) -> None:
    """Both fill (-b, b) with the same b: no value is beyond it, and the widest come near it."""
    linear = torch.nn.Linear(fan_in, fan_out, dtype=torch.float64)
    net = gd.Network([gd.Dense(fan_out)], input_size=fan_in, dtype="float64", seed=2)
    bound = 1 / math.sqrt(fan_in)
    theirs = {"0.weight": linear.weight, "0.bias": linear.bias}
    for key, ours in net.state_dict().items():
        for values in (ours, theirs[key].detach().numpy()):
            assert values.shape == ours.shape
            assert np.abs(values).max() <= bound
    assert np.abs(net.state_dict()["0.weight"]).max() >= 0.97 * bound
