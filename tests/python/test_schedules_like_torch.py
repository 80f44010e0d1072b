"""Every schedule beside PyTorch's over 200 steps, and those that it lacks by their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdcore import schedules as s

torch = pytest.importorskip("torch")
lr_scheduler = torch.optim.lr_scheduler

STEPS = 200
LR = 0.07


def rates_of_torch(make: Callable[[Any], Any], steps: int = STEPS) -> tuple[list[float], Any]:
    """The rates at t = 0 to steps, and momenta, of a scheduler over one parameter."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR, momentum=0.9)
    scheduler = make(optimizer)
    rates, momenta = [], []
    for t in range(steps + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        momenta.append(float(optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        if t < steps:
            scheduler.step()
    return rates, momenta


def hold(ours: s.Schedule, make: Callable[[Any], Any], steps: int = STEPS, lr: float = LR) -> None:
    rates, _ = rates_of_torch(make, steps)
    found = ours.values(lr, range(steps + 1))
    np.testing.assert_allclose(found, rates, rtol=1e-10, atol=1e-14)


L = lr_scheduler
# PyTorch's name: ours, and how PyTorch makes it.
PAIRS: list[tuple[str, s.Schedule, Callable[[Any], Any]]] = [
    ("LambdaLR", s.Lambda(lambda t: 1 / (1 + t)), lambda o: L.LambdaLR(o, lambda t: 1 / (1 + t))),
    (
        "MultiplicativeLR",
        s.Multiplicative(lambda t: 0.9 + 0.01 * (t % 7)),
        lambda o: L.MultiplicativeLR(o, lambda t: 0.9 + 0.01 * (t % 7)),
    ),
    ("StepLR", s.Step(30), lambda o: L.StepLR(o, 30)),
    ("StepLR 1", s.Step(1, 0.99), lambda o: L.StepLR(o, 1, 0.99)),
    ("MultiStepLR", s.MultiStep([3, 80, 200]), lambda o: L.MultiStepLR(o, [3, 80, 200])),
    ("MultiStepLR 1", s.MultiStep((1,), 1.5), lambda o: L.MultiStepLR(o, [1], 1.5)),
    ("ConstantLR", s.Constant(factor=1 / 3, total_iters=5), lambda o: L.ConstantLR(o)),
    (
        "ConstantLR 200",
        s.Constant(factor=0.5, total_iters=200),
        lambda o: L.ConstantLR(o, 0.5, 200),
    ),
    ("LinearLR", s.Linear(), lambda o: L.LinearLR(o)),
    ("LinearLR down", s.Linear(1.0, 0.25, 150), lambda o: L.LinearLR(o, 1.0, 0.25, 150)),
    ("LinearLR 1", s.Linear(0.1, 0.9, 1), lambda o: L.LinearLR(o, 0.1, 0.9, 1)),
    ("ExponentialLR", s.Exponential(0.97), lambda o: L.ExponentialLR(o, 0.97)),
    ("PolynomialLR", s.Polynomial(), lambda o: L.PolynomialLR(o)),
    ("PolynomialLR 2", s.Polynomial(120, 2.0), lambda o: L.PolynomialLR(o, 120, 2.0)),
    ("PolynomialLR 0.9", s.Polynomial(199, 0.9), lambda o: L.PolynomialLR(o, 199, 0.9)),
    (
        "CosineAnnealingLR",
        s.Cosine(200, 0.01),
        lambda o: L.CosineAnnealingLR(o, 200, 0.01),
    ),
    (
        "CosineAnnealingLR again",
        s.Cosine(33, 0.001, periodic=True),
        lambda o: L.CosineAnnealingLR(o, 33, 0.001),
    ),
    (
        "CosineAnnealingWarmRestarts",
        s.CosineWarmRestarts(10),
        lambda o: L.CosineAnnealingWarmRestarts(o, 10),
    ),
    (
        "CosineAnnealingWarmRestarts 3",
        s.CosineWarmRestarts(5, 3, 0.002),
        lambda o: L.CosineAnnealingWarmRestarts(o, 5, 3, 0.002),
    ),
    (
        "CosineAnnealingWarmRestarts 1",
        s.CosineWarmRestarts(1, 2),
        lambda o: L.CosineAnnealingWarmRestarts(o, 1, 2),
    ),
    *(
        (
            f"CyclicLR {mode} {up} {down}",
            s.Cyclic(0.3, up, down, mode, gamma),
            lambda o, mode=mode, up=up, down=down, gamma=gamma: L.CyclicLR(
                o, LR, 0.3, up, down, mode, gamma
            ),
        )
        for mode, gamma in (("triangular", 1.0), ("triangular2", 1.0), ("exp_range", 0.99))
        for up, down in ((20, None), (7, 18), (1, 1))
    ),
    *(
        (
            f"OneCycleLR {how} {three} {share}",
            s.OneCycle(200, share, how, three_phase=three, div_factor=10.0, final_div_factor=50.0),
            lambda o, how=how, three=three, share=share: L.OneCycleLR(
                o,
                LR,
                total_steps=201 - 1,
                pct_start=share,
                anneal_strategy=how,
                three_phase=three,
                div_factor=10.0,
                final_div_factor=50.0,
            ),
        )
        for how in ("cos", "linear")
        for three in (False, True)
        for share in (0.3, 0.423)
    ),
    (
        "SequentialLR",
        s.Sequential(
            [s.Linear(0.1, 1.0, 8), s.Cosine(50, periodic=True), s.Step(9)], milestones=[10, 100]
        ),
        lambda o: L.SequentialLR(
            o,
            [L.LinearLR(o, 0.1, 1.0, 8), L.CosineAnnealingLR(o, 50), L.StepLR(o, 9)],
            [10, 100],
        ),
    ),
    (
        "SequentialLR warm-up",
        s.Warmup(12, 0.2, after=s.Exponential(0.98)),
        lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.2, 1.0, 12), L.ExponentialLR(o, 0.98)], [12]),
    ),
    (
        "ChainedScheduler",
        s.Chained([s.Constant(factor=0.1, total_iters=20), s.Exponential(0.99), s.Linear(0.5)]),
        lambda o: L.ChainedScheduler(
            [L.ConstantLR(o, 0.1, 20), L.ExponentialLR(o, 0.99), L.LinearLR(o, 0.5)]
        ),
    ),
]


@pytest.mark.parametrize(("ours", "make"), [p[1:] for p in PAIRS], ids=[p[0] for p in PAIRS])
def test_rates_are_those_of_torch(ours: s.Schedule, make: Callable[[Any], Any]) -> None:
    hold(ours, make, 199 if isinstance(ours, s.OneCycle) else STEPS)


def test_every_scheduler_of_torch_is_looked_at() -> None:
    there = {
        name
        for name, each in vars(lr_scheduler).items()
        if isinstance(each, type) and issubclass(each, lr_scheduler.LRScheduler)
    }
    # The two that are here by other tests, and their base.
    others = {"ReduceLROnPlateau", "LRScheduler", "_LRScheduler"}
    assert {name.split()[0] for name, _, _ in PAIRS} == there - others


@pytest.mark.parametrize("kind", ["one_cycle", "cyclic"])
@pytest.mark.parametrize("three", [False, True])
def test_momentum_cycles_as_in_torch(kind: str, three: bool) -> None:
    if kind == "one_cycle":
        ours: s.Schedule = s.OneCycle(100, cycle_momentum=True, three_phase=three)
        _, momenta = rates_of_torch(
            lambda o: L.OneCycleLR(o, LR, total_steps=100, three_phase=three), 99
        )
    else:
        mode: Any = "triangular2" if three else "triangular"
        ours = s.Cyclic(0.3, 13, 4, mode, cycle_momentum=True)
        _, momenta = rates_of_torch(lambda o: L.CyclicLR(o, LR, 0.3, 13, 4, mode), 99)
    momentum = ours._momentum()
    assert momentum is not None
    np.testing.assert_allclose(momentum.values(0.5, range(100)), momenta, rtol=1e-10)
    low, high = momentum._extremes(0.5)
    assert low <= min(momenta) <= max(momenta) <= high


FACTORS = st.floats(0.01, 2.0)
COUNTS = st.integers(1, 60)


@settings(max_examples=40, deadline=None)
@given(
    count=COUNTS, other=COUNTS, factor=FACTORS, least=st.floats(0, 0.2), power=st.floats(0.25, 4)
)
def test_drawn_parameters(
    count: int, other: int, factor: float, least: float, power: float
) -> None:
    steps = 70
    hold(s.Step(count, factor), lambda o: L.StepLR(o, count, factor), steps)
    hold(s.Linear(min(factor, 1), 0.5, count), lambda o: L.LinearLR(o, min(factor, 1), 0.5, count),
         steps)  # fmt: skip
    hold(s.Polynomial(count, power), lambda o: L.PolynomialLR(o, count, power), steps)
    hold(
        s.CosineWarmRestarts(count, 1 + other % 3, least),
        lambda o: L.CosineAnnealingWarmRestarts(o, count, 1 + other % 3, least),
        steps,
    )
    hold(s.Cyclic(0.5, count, other), lambda o: L.CyclicLR(o, LR, 0.5, count, other), steps)


@pytest.mark.parametrize(
    ("ours", "formula"),
    [
        (s.InverseScaling(), lambda t: LR / math.sqrt(1 + t)),
        (s.InverseScaling(0.7, 50.0), lambda t: LR / (1 + 50 * t) ** 0.7),
        (s.InverseScaling(0.0), lambda t: LR),
        (s.InverseSqrt(40), lambda t: LR / math.sqrt(1 + t / 40)),
        (
            s.CosLog(120),
            lambda t: LR * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t / 120))) / 2
            if t < 120 else 0.0,
        ),
        (
            s.FlatCos(120),
            lambda t: LR if t <= 90
            else LR * (1e-5 + (1 - 1e-5) * (1 + math.cos(math.pi * min((t - 90) / 30, 1))) / 2),
        ),
        (
            s.FlatCos(100, 0.5, 0.0),  # RealTabR's and pytabkit's
            lambda t: LR if t <= 50 else LR * (1 + math.cos(math.pi * min((t - 50) / 50, 1))) / 2,
        ),
        (
            s.Piecewise([(5, 0.1), (10, 1.0), (60, 0.2)]),
            lambda t: LR * float(np.interp(t, [5, 10, 60], [0.1, 1.0, 0.2])),
        ),
        (
            s.Piecewise([(0, 1.0), (50, 0.1), (80, 0.01)], "constant"),
            lambda t: LR * (1.0 if t < 50 else 0.1 if t < 80 else 0.01),
        ),
        (
            s.OneCycle(100),  # after its end
            lambda t: LR / 25e4 if t >= 99 else None,
        ),
        (s.OneCycle(1), lambda t: LR if t == 0 else None),
        (
            s.Warmup(10, 0.0, after=s.InverseSqrt(10)),
            lambda t: LR * min(t / 10, math.sqrt(10 / max(t, 1e-9))),
        ),
    ],
    ids=lambda each: str(each) if isinstance(each, s.Schedule) else "",
)  # fmt: skip
def test_rates_are_their_formulas(ours: s.Schedule, formula: Callable[[int], float | None]) -> None:
    times = [t for t in range(STEPS + 1) if formula(t) is not None]
    wanted: Any = [formula(t) for t in times]
    np.testing.assert_allclose(ours.values(LR, times), wanted, rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("name", sorted(s.Schedule.members))
def test_extremes_hold_all_values(name: str) -> None:
    """What a trainer checks before the first step is true of every step."""
    for ours in [each for each, *_ in EVERY if each.name == name]:
        low, high = ours._extremes(LR)
        found = ours.values(LR, range(300))
        assert low <= min(found) + 1e-15, ours
        assert max(found) <= high + 1e-15, ours


EVERY = [
    *[pair[1:] for pair in PAIRS if hasattr(pair[1], "name")],
    (s.InverseScaling(0.7, 50.0),),
    (s.InverseSqrt(40),),
    (s.CosLog(120),),
    (s.FlatCos(120),),
    (s.Piecewise([(5, 0.1), (10, 1.0), (60, 0.2)]),),
    (s.ReduceOnPlateau(),),
    (s.Adaptive(),),
]


def test_each_is_looked_at() -> None:
    assert {each.name for each, *_ in EVERY} == set(s.Schedule.members)


def test_values_refuse_what_are_no_times() -> None:
    with pytest.raises(ValueError, match=r"times\[1\] must be at least 0, got -1"):
        s.Cosine(4).values(0.1, [0, -1])
    with pytest.raises(TypeError, match=r"times\[0\] must be an integer"):
        s.Cosine(4).values(0.1, [0.5])  # type: ignore[list-item]
