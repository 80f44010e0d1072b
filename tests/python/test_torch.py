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
from gdcore.losses import Loss

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
    torch.set_default_dtype(torch.float64)  # else NAdam and ASGD round numbers that they keep
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(before)


def assert_same_training(
    widths: list[int],
    names: list[str],
    loss: str | Loss,
    rule: str,
    options: dict[str, Any],
    schedules: tuple[Any, Any] = (None, None),
    targets: np.ndarray | None = None,
) -> None:
    formula = nets.loss(loss) if isinstance(loss, str) else loss
    schedule, twin_schedule = schedules
    net = nets.network(widths, names, "float64", seed=5)
    twin = TorchNetwork(net)
    trainer = gd.Trainer(
        net, loss=formula, optimizer=getattr(gd, rule)(**options), schedule=schedule
    )
    optimizer = torch_optimizer(trainer.optimizer, twin.parameters.values())
    tolerance = 1e-10 if hasattr(torch.optim, rule) else 1e-8
    scheduler = twin_schedule(optimizer) if twin_schedule else None
    criterion = torch_loss(formula)
    x = nets.inputs(BATCH * STEPS, widths[0])
    y = nets.targets(formula.name, len(x), widths[-1]) if targets is None else targets
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
        assert math.isclose(ours, value.item(), rel_tol=tolerance)
    for key, parameter in twin.parameters.items():
        assert relative_error(net.state_dict()[key], parameter.detach().numpy()) <= tolerance, key


# Defaults on each network, what differs from them on one after the other.
ON_NETWORKS = [
    pytest.param(name, rule, options, id=f"{name}-{case}")
    for at, ((rule, options), case) in enumerate(zip(CASES, IDS, strict=True))
    for turn, name in enumerate(NETWORKS)
    if not options or at % len(NETWORKS) == turn
]


@pytest.mark.parametrize(("name", "rule", "options"), ON_NETWORKS)
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


SAMPLES = BATCH * STEPS


def _labels(ignored: int | None = None) -> np.ndarray:
    y = nets.targets("cross_entropy", SAMPLES, 5)
    if ignored is not None:
        y[::7] = ignored
    return y


# What the last layer is, what it is trained by, and the targets where they are special.
FURTHER: dict[str, tuple[str, Any, np.ndarray | None]] = {
    "smooth l1": ("identity", gd.SmoothL1(0.4), None),
    "smooth l1, beta 0": ("identity", gd.SmoothL1(0.0), None),
    "log cosh": ("identity", gd.LogCosh(), None),
    "quantiles": ("identity", gd.Quantile((0.1, 0.5)), nets.inputs(SAMPLES, 2, 9)),
    "poisson": ("identity", gd.PoissonNLL(), None),
    "poisson, full": ("identity", gd.PoissonNLL(full=True), None),
    "poisson of counts": ("softplus", gd.PoissonNLL(log_input=False, full=True, eps=1e-3), None),
    "gaussian": ("softplus", gd.GaussianNLL(), None),
    "gaussian, full, clamped": ("softplus", gd.GaussianNLL(full=True, eps=0.7), None),
    "gaussian of logarithms": ("identity", gd.GaussianNLL(log_var=True), None),
    "cosine": ("identity", gd.CosineDistance(), None),
    "kl": ("identity", gd.KLDiv(), None),
    "kl of logarithms": (
        "identity",
        gd.KLDiv(log_target=True),
        np.log(nets.targets("kl_div", SAMPLES, 4)),
    ),
    "kl over log_softmax": ("log_softmax", gd.KLDiv(), None),
    "hinge": ("identity", gd.Hinge(), None),
    "squared hinge": ("identity", gd.SquaredHinge(), None),
    "pos_weight": ("identity", gd.BCEWithLogits(pos_weight=3.0), None),
    "pos_weights": ("identity", gd.BCEWithLogits((0.5, 3.0, 1.0, 7.0)), None),
    "binary focal": ("identity", gd.BinaryFocal(), None),
    "binary focal without alpha": ("identity", gd.BinaryFocal(1.5, -1), None),
    "focal": ("identity", gd.Focal(), _labels()),
    "focal with alpha": ("identity", gd.Focal(0.7, (0.2, 1, 3, 0, 2)), _labels()),
    "class weights": ("identity", gd.CrossEntropy(class_weight=(0.2, 1, 3, 0, 2)), _labels()),
    "class weights, smoothing, ignored": (
        "identity",
        gd.CrossEntropy(0.2, ignore_index=-1, class_weight=(0.2, 1, 3, 0, 2)),
        _labels(-1),
    ),
    "ignored class": ("identity", gd.CrossEntropy(0.1, ignore_index=2), _labels()),
    "class weights of probabilities": (
        "identity",
        gd.CrossEntropy(0.1, class_weight=(0.2, 1, 3, 0, 2)),
        np.random.default_rng(5).dirichlet(np.ones(5), SAMPLES),
    ),
    "nll": ("identity", gd.NLL(), _labels()),
    "nll, weighted, ignored": (
        "identity",
        gd.NLL(class_weight=(0.2, 1, 3, 0, 2)),
        _labels(-100),
    ),
    "nll over log_softmax": ("log_softmax", gd.NLL(), _labels()),
    "nll over log_softmax, weighted, ignored": (
        "log_softmax",
        gd.NLL(class_weight=(0.2, 1, 3, 0, 2)),
        _labels(-100),
    ),
    "cross entropy over log_softmax": ("log_softmax", gd.CrossEntropy(), _labels()),
}


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("name", FURTHER)
def test_further_losses_over_100_steps(name: str, rule: str) -> None:
    last, loss, y = FURTHER[name]
    outputs = 5 if y is not None and (y.ndim == 1 or y.shape[1] == 5) else 4
    names = ["tanh", last]
    assert_same_training([6, 10, outputs], names, loss, rule, {"lr": 0.01}, targets=y)


def test_defaults_are_those_of_pytorch() -> None:
    parameter = [torch.zeros(1, requires_grad=True)]
    for rule in OPTIONS:
        if not hasattr(torch.optim, rule):
            continue
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
    assert gd.SmoothL1().beta == torch.nn.SmoothL1Loss().beta
    for ours_, theirs_, names in (
        (gd.CrossEntropy(), torch.nn.CrossEntropyLoss(), ("label_smoothing", "ignore_index")),
        (gd.NLL(), torch.nn.NLLLoss(), ("ignore_index",)),
        (gd.PoissonNLL(), torch.nn.PoissonNLLLoss(), ("log_input", "full", "eps")),
        (gd.GaussianNLL(), torch.nn.GaussianNLLLoss(), ("full", "eps")),
        (gd.KLDiv(), torch.nn.KLDivLoss(reduction="batchmean"), ("log_target",)),
        (gd.CosineDistance(), torch.nn.CosineSimilarity(), ("eps",)),
    ):
        for name in names:
            assert getattr(ours_, name) == getattr(theirs_, name)


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
