"""What cannot be a schedule, of whatever hyperparameter: each is told, and nothing changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support import assert_same_state
from test_scheduled import X, Y, fitted, trainer

import gdcore as gd
from gdcore import schedules as s

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
            "must not be ReduceOnPlateau, which is for 'lr' alone",
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
        (lambda: gd.Group("*", schedule="cosin"), ValueError, "did you mean 'cosine'"),
        (lambda: gd.Group("*", schedule={}), ValueError, "at least one schedule"),  # type: ignore[arg-type]
        (lambda: gd.Group("*", schedule=0.1), TypeError, "schedule must be a schedule such as"),
        (
            lambda: gd.Group("*", schedule={"lr": None}),
            TypeError,
            r"schedule\['lr'\] must be a sch",
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
            r"groups\[0\]: the schedule of 'lr' must be per 'step' under bind",
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
        (lambda: s.Adaptive(1.0), ValueError, "divisor must be above 1"),
        (lambda: s.Adaptive(tol=-1), ValueError, "tol must be at least 0"),
        (lambda: s.Adaptive(patience=1.5), TypeError, "patience must be"),
        (lambda: s.Warmup(3, after=s.Adaptive()), ValueError, "must not hold Adaptive"),
        (lambda: gd.Group("*", schedule=s.Adaptive()), ValueError, "wait for a plateau"),
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
            "after must not hold ReduceOnPlateau",
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
