"""Parameters lie apart in memory: what is between them never reaches a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import assert_same_bits, assert_same_state

import gdcore as gd


def odd_network(dtype: str = "float32") -> gd.Network:
    """Each parameter ends within a cache line; large enough for workers to share a batch."""
    layers = [gd.Dense(33, "gelu"), gd.Dense(21, "tanh"), gd.Dense(1)]
    return gd.Network(layers, input_size=3, dtype=dtype, seed=0)


def data(rows: int, dtype: str = "float32") -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    x, y = random.standard_normal((rows, 3)), random.standard_normal((rows, 1))
    return x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", ["fit", "step", "apply_gradients"])
def test_a_clipped_network_trains_on_after_a_diverged_step(
    way: str, dtype: str, threads: int
) -> None:
    x, y = data(2000, dtype)
    net, fresh = odd_network(dtype), odd_network(dtype)
    start = net.state_dict()
    huge = 1e38 if dtype == "float32" else 1e300
    options: dict[str, Any] = {"clip_grad_norm": 1.0, "num_threads": threads}
    bad = gd.Trainer(net, "mse", gd.SGD(lr=huge), **options)
    if way == "fit":
        with pytest.raises(FloatingPointError):
            bad.fit(x, y, epochs=50, progress=False)
    else:
        for _ in range(20):
            bad.step(x, y)
        assert not np.isfinite(net.state_dict()["0.weight"]).all()
        net.load_state_dict(start)
    assert_same_state(net.state_dict(), start)
    for one in (net, fresh):
        if way == "apply_gradients":
            trainer = gd.Trainer(one, None, gd.SGD(lr=1e-2), **options)
            for _ in range(5):
                one.backward(one.forward(x, training=True) - y)
                trainer.apply_gradients()
        else:
            trainer = gd.Trainer(one, "mse", gd.SGD(lr=1e-2), **options)
            for _ in range(5):
                trainer.step(x, y)
    assert np.isfinite(net.predict(x)).all()
    assert_same_bits(net.predict(x), fresh.predict(x), "after the diverged step")


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize(
    "rule",
    [
        gd.Adam(eps=0.0),
        gd.AdamW(eps=0.0, amsgrad=True),
        gd.RMSprop(eps=0.0, momentum=0.5),
        gd.Adagrad(eps=0.0),
        gd.Adadelta(eps=1e-6),
    ],
    ids=lambda rule: rule.name,
)
def test_rules_without_eps_divide_nothing_between_parameters(
    rule: Any, clip: float | None, threads: int
) -> None:
    x, y = data(2000)
    net = odd_network()
    inner = gd.Trainer(net, "mse", rule, clip_grad_norm=clip, num_threads=threads)
    for _ in range(3):
        inner.step(x, y)
    outer = gd.Trainer(net, None, rule, clip_grad_norm=clip, num_threads=threads)
    for _ in range(3):  # finds no NaN among the gradients
        net.backward((net.forward(x, training=True) - y) / len(x))
        outer.apply_gradients()
    assert np.isfinite(net.predict(x)).all()


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e25), ("float64", 1e200)])
def test_a_finite_gradient_whose_squares_are_infinite_is_clipped_to_the_norm(
    dtype: str, size: float
) -> None:
    net = gd.Network([gd.Dense(1, bias=False)], input_size=2, dtype=dtype, seed=0)
    before = net.state_dict()["0.weight"]
    trainer = gd.Trainer(net, None, gd.SGD(lr=1.0), clip_grad_norm=5.0)
    net.forward(np.array([[3.0, 4.0]]), training=True)
    net.backward(np.full((1, 1), size))
    trainer.apply_gradients()
    change = before - net.state_dict()["0.weight"]
    np.testing.assert_allclose(change, [[3.0, 4.0]], rtol=1e-6)
