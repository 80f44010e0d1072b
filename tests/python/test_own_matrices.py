"""A gd.Parameter of two dimensions or more is a matrix, as an array under bind is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd

SHAPES = {"vector": (7,), "one": (), "table": (6, 4), "wide": (3, 9), "stack": (2, 5, 3)}
RULES = [gd.Muon(lr=0.02), gd.SOAP(lr=0.01), gd.Adafactor(lr=0.01), gd.LAMB(lr=0.01)]


def network() -> gd.Network:
    rng = np.random.default_rng(0)
    own = [gd.Parameter(name, shape) for name, shape in SHAPES.items()]
    net = gd.Network([gd.Dense(2)], input_size=3, dtype="float64", parameters=own)
    state = {key: rng.standard_normal(value.shape) for key, value in net.state_dict().items()}
    net.load_state_dict(state)
    return net


def give(net: gd.Network, step: int) -> dict[str, Any]:
    """Gradients of all parameters."""
    rng = np.random.default_rng(step)
    x = rng.standard_normal((5, 3))
    net.forward(x, training=True)
    own = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
    net.backward(rng.standard_normal((5, 2)), parameters=own)
    return net.gradients()


@pytest.mark.parametrize("rule", RULES, ids=lambda each: type(each).__name__)
def test_rules_see_it_as_they_see_an_array(rule: gd.optimizers.Optimizer) -> None:
    net = network()
    trainer = gd.Trainer(net, None, rule)
    arrays = net.state_dict()
    own = [np.atleast_1d(arrays[name]) for name in SHAPES]
    bound = rule.bind(own)
    for step in range(4):
        found = give(net, step)
        bound.step([np.atleast_1d(found[name]) for name in SHAPES])
        trainer.apply_gradients()
    state = net.state_dict()
    assert_same_state(
        {name: np.atleast_1d(state[name]) for name in SHAPES}, dict(zip(SHAPES, own, strict=True))
    )


def test_clipping_by_units_takes_its_rows() -> None:
    net = network()
    trainer = gd.Trainer(net, None, gd.SGD(lr=1.0), clip=gd.AdaptiveClip(0.05, eps=0.0))
    before, found = net.state_dict(), give(net, 1)
    trainer.apply_gradients()
    for name, shape in SHAPES.items():
        w, g = before[name], found[name]
        axis = -1 if len(shape) > 1 else None
        most = 0.05 * np.sqrt((w**2).sum(axis=axis, keepdims=True))
        norm = np.sqrt((g**2).sum(axis=axis, keepdims=True))
        want = w - g * np.minimum(1, most / norm)
        np.testing.assert_allclose(net.state_dict()[name], want, rtol=1e-12)


def test_penalties_are_for_it() -> None:
    net = network()
    trainer = gd.Trainer(net, None, gd.Penalized(gd.SGD(lr=1.0), l2=0.1))
    before, found = net.state_dict(), give(net, 1)
    trainer.apply_gradients()
    for name, shape in SHAPES.items():
        want = before[name] - found[name] - (0.1 * before[name] if len(shape) > 1 else 0)
        np.testing.assert_allclose(net.state_dict()[name], want, rtol=1e-12)
