"""Update rules against the oracle, on arrays of one's own and inside a trainer."""

from __future__ import annotations

from typing import Any

import nets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import rules
from rule_options import CASES, IDS
from support import assert_same_bits, assert_same_state, relative_error

import gdcore as gd

DTYPES = ("float32", "float64")
SHAPES = [(7, 13), (7,), (1, 1), (3, 5, 2), (257,), ()]


def start(dtype: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {str(i): rng.standard_normal(shape).astype(dtype) for i, shape in enumerate(SHAPES)}


def gradients(step: int, dtype: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return {str(i): rng.standard_normal(shape).astype(dtype) for i, shape in enumerate(SHAPES)}


def tolerance(dtype: str, steps: int) -> float:
    """A step rounds a dozen times, each below half a unit of something no larger than a weight."""
    return 12 * steps * float(np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_bound_arrays(name: str, options: dict[str, Any], dtype: str) -> None:
    weights = start(dtype)
    expected = {key: value.astype(np.float64) for key, value in weights.items()}
    reference: rules.Rule = getattr(rules, name)(**options)
    bound = getattr(gd, name)(**options).bind(list(weights.values()))
    kept = list(weights.values())
    for step in range(20):
        grads = gradients(step, dtype)
        bound.step(list(grads.values()))
        reference.step(expected, {key: g.astype(np.float64) for key, g in grads.items()})
        assert_same_state(grads, gradients(step, dtype))
    assert all(value is array for value, array in zip(weights.values(), kept, strict=True))
    for key, value in weights.items():
        assert relative_error(value, expected[key]) <= tolerance(dtype, 20), key


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_in_a_trainer(name: str, options: dict[str, Any], dtype: str) -> None:
    """The fused update of a trainer has the bits of the same rule on arrays of one's own."""
    net = nets.network([5, 9, 3], ["tanh", "identity"], dtype)
    trainer = gd.Trainer(net, loss=None, optimizer=getattr(gd, name)(**options))
    arrays = net.state_dict()
    bound = getattr(gd, name)(**options).bind(list(arrays.values()))
    for step in range(10):
        x, grad = (
            nets.inputs(12, 5, step).astype(dtype),
            nets.inputs(12, 3, step + 50).astype(dtype),
        )
        net.forward(x, training=True)
        net.backward(grad)
        bound.step(list(net.gradients().values()))
        trainer.apply_gradients()
        assert_same_state(net.state_dict(), arrays)


@given(
    name=st.sampled_from(["SGD", "Adam"]),
    size=st.integers(1, 200),
    cut=st.integers(0, 200),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**31),
)
def test_an_element_does_not_see_its_neighbours(
    name: str, size: int, cut: int, dtype: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    whole, grad = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    cut = min(cut, size)
    parts = [part.copy() for part in (whole[:cut], whole[cut:]) if part.size]
    grads = [part.copy() for part in (grad[:cut], grad[cut:]) if part.size]
    options = {"SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, "Adam": {"lr": 0.1}}[name]
    one = getattr(gd, name)(**options).bind([whole])
    two = getattr(gd, name)(**options).bind(parts)
    for _ in range(3):
        one.step([grad])
        two.step(grads)
    assert_same_bits(np.concatenate(parts), whole, "parts")


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_the_rate_can_be_set_between_steps(name: str) -> None:
    weights, expected = [np.ones(5)], {"0": np.ones(5)}
    bound = getattr(gd, name)(lr=0.1).bind(weights)
    reference = getattr(rules, name)(lr=0.1)
    for step, lr in enumerate((0.1, 0.02, 0.0, 0.3)):
        bound.lr = reference.lr = lr
        assert bound.lr == lr
        grad = np.random.default_rng(step).standard_normal(5)
        bound.step([grad])
        reference.step(expected, {"0": grad})
    assert relative_error(weights[0], expected["0"]) <= tolerance("float64", 4)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_the_rate_of_a_trainer_can_be_set_between_steps(name: str) -> None:
    """Steps of other rates have the bits of the rule on arrays of one's own."""
    net = nets.network([4, 6, 2], ["tanh", "identity"], "float64")
    trainer = gd.Trainer(net, loss=None, optimizer=getattr(gd, name)(lr=0.1))
    assert trainer.lr == 0.1
    arrays = net.state_dict()
    bound = getattr(gd, name)(lr=0.1).bind(list(arrays.values()))
    for step, lr in enumerate((0.1, 0.01, 0.5)):
        trainer.lr = bound.lr = lr
        assert trainer.lr == lr
        net.forward(nets.inputs(3, 4, step), training=True)
        net.backward(nets.inputs(3, 2, step))
        bound.step(list(net.gradients().values()))
        trainer.apply_gradients()
    assert_same_state(net.state_dict(), arrays)


@pytest.mark.parametrize("size", [3, 3_000_000])  # on one thread, and on as many as there are
def test_gradients_need_not_be_checked(size: int) -> None:
    gradient = np.ones(size, np.float32)
    gradient[-1] = np.nan
    weight = np.ones(size, np.float32)
    bound = gd.SGD(lr=0.5).bind([weight])
    with pytest.raises(ValueError, match=r"gradients\[0\] must be finite in float32"):
        bound.step([gradient])
    assert (weight == 1).all()
    bound.step([gradient], check_finite=False)
    assert (weight[:-1] == 0.5).all()
    assert np.isnan(weight[-1])


def test_gradients_are_converted() -> None:
    weights = [[np.ones((2, 3), dtype)] for dtype in (np.float32, np.float32)]
    grad = np.arange(6.0).reshape(3, 2)
    gd.SGD(lr=0.5).bind(weights[0]).step([np.ascontiguousarray(grad.T, np.float32)])
    gd.SGD(lr=0.5).bind(weights[1]).step([grad.T.astype(np.int16)])
    assert_same_bits(weights[0][0], weights[1][0], "converted gradient")


def test_two_bindings_share_nothing() -> None:
    adam = gd.Adam(lr=0.1)
    weights = [[np.ones(4)], [np.ones(4)]]
    first, second = (adam.bind(arrays) for arrays in weights)
    first.step([np.full(4, 2.0)])
    first.step([np.full(4, -1.0)])
    second.step([np.full(4, 2.0)])
    fresh = [np.ones(4)]
    adam.bind(fresh).step([np.full(4, 2.0)])
    assert_same_bits(weights[1][0], fresh[0], "second binding")


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_that_decay_into_denormals_end_at_zero(dtype: str) -> None:
    """After one gradient and then none, every state decays; the weight stays finite and comes to
    rest, as it would with denormals, because lr m / eps is below half a unit of it by then."""
    weight = np.ones(64, dtype=dtype)
    bound = gd.Adam(lr=1e-3, betas=(0.5, 0.5)).bind([weight])
    bound.step([np.full(64, 1e-3, dtype=dtype)])
    for _ in range(3000):
        bound.step([np.zeros(64, dtype=dtype)])
    rest = weight.copy()
    for _ in range(100):
        bound.step([np.zeros(64, dtype=dtype)])
    assert np.isfinite(weight).all()
    assert_same_bits(weight, rest, "weight at rest")


TINY_RULES = {
    "adam": lambda eps: gd.Adam(lr=1e-3, eps=eps),
    "amsgrad": lambda eps: gd.Adam(lr=1e-3, eps=eps, amsgrad=True),
    "other betas": lambda eps: gd.Adam(lr=1e-3, eps=eps, betas=(0.5, 0.9999)),
    "adamw": lambda eps: gd.AdamW(lr=1e-3, eps=eps, weight_decay=0.0),
    "rmsprop": lambda eps: gd.RMSprop(lr=1e-3, eps=eps),
    "rmsprop centered": lambda eps: gd.RMSprop(lr=1e-3, eps=eps, centered=True),
    "rmsprop momentum": lambda eps: gd.RMSprop(lr=1e-3, eps=eps, momentum=0.9),
    "adagrad": lambda eps: gd.Adagrad(lr=1e-3, eps=eps),
    "adadelta": lambda eps: gd.Adadelta(lr=1.0, eps=max(eps, 1.2e-38)),
    "adamax": lambda eps: gd.Adamax(lr=1e-3, eps=eps),
    "nadam": lambda eps: gd.NAdam(lr=1e-3, eps=eps),
    "radam": lambda eps: gd.RAdam(lr=1e-3, eps=eps),
    "adabelief": lambda eps: gd.AdaBelief(lr=1e-3, eps=eps),
    "adabelief amsgrad": lambda eps: gd.AdaBelief(lr=1e-3, eps=eps, amsgrad=True),
    "yogi": lambda eps: gd.Yogi(lr=1e-3, eps=eps, initial_accumulator_value=0.0),
    "adan": lambda eps: gd.Adan(lr=1e-3, eps=eps),
    "ademamix": lambda eps: gd.AdEMAMix(lr=1e-3, eps=eps),
    "adopt": lambda eps: gd.ADOPT(lr=1e-3, eps=eps),
    "madgrad": lambda eps: gd.MADGRAD(lr=1e-3, eps=eps),
    "madgrad without momentum": lambda eps: gd.MADGRAD(lr=1e-3, eps=eps, momentum=0.0),
    "schedule-free": lambda eps: gd.ScheduleFreeAdamW(lr=1e-3, eps=eps),
    "ftrl": lambda _: gd.FTRL(lr=1e-3),
    "lion": lambda _: gd.Lion(lr=1e-3),
    "rprop": lambda _: gd.Rprop(lr=1e-3, step_sizes=(1e-6, 1e-3)),
}


@pytest.mark.parametrize("pattern", ["constant", "alternating", "once"])
@pytest.mark.parametrize("name", TINY_RULES)
def test_gradients_whose_squares_vanish_make_no_long_steps(name: str, pattern: str) -> None:
    """No step of float32 is much longer than one of float64, which still holds the squares."""
    magnitudes = 10.0 ** np.arange(-37, -9)
    for eps in (0.0, 1.2e-38, 1e-30, 1e-20, 1e-8):
        weights = {dtype: np.ones(magnitudes.size, dtype) for dtype in ("float32", "float64")}
        rules = {dtype: TINY_RULES[name](eps).bind([weights[dtype]]) for dtype in weights}
        longest = np.full(magnitudes.size, 1e-3)
        for step in range(30):
            factor = {"constant": 1, "alternating": (-1) ** step, "once": step == 0}[pattern]
            before = {dtype: w.astype(np.float64) for dtype, w in weights.items()}
            for dtype, rule in rules.items():
                rule.step([(factor * magnitudes).astype(dtype)])
            moved = {dtype: np.abs(weights[dtype] - before[dtype]) for dtype in weights}
            longest = np.maximum(longest, moved["float64"])
            assert np.all(moved["float32"] <= 8 * longest), (eps, step)


def test_the_first_step_of_adam_is_the_rate_however_small_the_gradient() -> None:
    for gradient in (1e-30, 1e-25, 3e-20, 1e-18):
        w = np.ones(1, np.float32)
        gd.Adam(lr=1e-3, eps=1.2e-38).bind([w]).step([np.full(1, gradient, np.float32)])
        assert abs(w[0] - 0.999) <= 1e-7


@pytest.mark.parametrize("name", TINY_RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_epsilon_a_gradient_of_zero_changes_nothing(name: str, dtype: str) -> None:
    w = np.linspace(-1, 1, 19).astype(dtype)
    before = w.copy()
    rule = TINY_RULES[name](0.0).bind([w])
    for _ in range(3):
        rule.step([np.zeros(19, dtype)])
    assert_same_bits(w, before, "weights")
