"""Sums of very many terms: what float32 holds of them, and that nobody sees how they are cut."""

from __future__ import annotations

import numpy as np
import pytest
from support import assert_same_bits

import gdcore as gd

UNIT = 2.0**-24
PART = 2**18  # after so many terms a sum begins anew


def bound(terms: int) -> float:
    """As the docstring of `gd.matmul` tells it."""
    return (1536 + terms / PART) * UNIT


def repeated(value: float, shape: tuple[int, int]) -> np.ndarray:
    return np.broadcast_to(np.float32(value), shape)  # in no memory


@pytest.mark.parametrize("precision", ["highest", "high"])
@pytest.mark.parametrize(
    ("value", "terms"), [(1.0, 20_000_000), (0.1, 100_000), (0.1, 3_000_000), (0.7, 1_234_567)]
)
def test_equal_terms(value: float, terms: int, precision: str) -> None:
    """The worst of cases: every addition to a sum is rounded the same way."""
    a, b = repeated(value, (1, terms)), repeated(value, (terms, 1))
    exact = terms * float(np.float32(value)) ** 2
    assert abs(gd.matmul(a, b, precision=precision)[0, 0] / exact - 1) <= bound(terms)


def test_a_product_of_many_terms_in_any_layout_and_on_any_threads() -> None:
    terms = 2 * PART + 4321
    draw = np.random.default_rng(0)
    a = draw.random((3, terms), np.float32)
    b = draw.random((terms, 2), np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    c = gd.matmul(a, b, num_threads=1)
    assert np.all(np.abs(c / exact - 1) <= bound(terms))
    left, right = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    for threads in (1, 2, 3):
        for one, other in ((a, b), (left, b), (a, right), (left, right)):
            flags = {"transpose_a": one is left, "transpose_b": other is right}
            again = gd.matmul(one, other, num_threads=threads, **flags)
            assert_same_bits(again, c, f"{threads} threads, {flags}")
    for i in range(3):
        assert_same_bits(gd.matmul(a[i : i + 1], b)[0], c[i], f"row {i} alone")


@pytest.mark.parametrize("terms", [16_384, 16_385, 2 * PART + 100])
def test_rows_of_a_wide_input_do_not_see_each_other(terms: int) -> None:
    x = np.random.default_rng(1).random((5, terms), np.float32)
    net = gd.Network([gd.Dense(3, "tanh")], input_size=terms, seed=0)
    together = net.forward(x)
    for i in range(5):
        assert_same_bits(net.forward(x[i : i + 1])[0], together[i], f"row {i}")


def test_the_gradient_of_a_batch_of_very_many_rows() -> None:
    """In one piece and in the pieces that a step takes: the same bits, and right."""
    rows = 12 * PART + 1000
    x = repeated(0.3, (rows, 1))
    y = np.zeros((rows, 1), np.float32)
    state = {"0.weight": np.array([[0.5]]), "0.bias": np.array([0.25])}
    gradients = []
    for threads in (1, 2):
        net = gd.Network([gd.Dense(1)], input_size=1)
        net.load_state_dict(state)
        trainer = gd.Trainer(net, "mae", gd.SGD(lr=2.0**40), num_threads=threads)
        assert abs(trainer.step(x, y) / (0.25 + 0.5 * np.float64(np.float32(0.3))) - 1) <= UNIT
        gradients.append({k: -v / np.float32(2.0**40) for k, v in net.state_dict().items()})
    exact = {"0.weight": float(np.float32(0.3)), "0.bias": 1.0}
    for key, value in exact.items():
        assert_same_bits(gradients[1][key], gradients[0][key], key)
        assert abs(gradients[0][key].item() / value - 1) <= 5e-5
    net = gd.Network([gd.Dense(1)], input_size=1)
    net.load_state_dict(state)
    net.forward(x, training=True)
    net.backward(np.full((rows, 1), 1 / rows, np.float32))
    for key, value in net.gradients().items():
        start = np.float32(state[key].item())
        moved = np.float32(np.float64(start) - 2.0**40 * np.float64(value.item()))
        assert_same_bits(-moved / np.float32(2.0**40), gradients[0][key].ravel()[0], key)


@pytest.mark.parametrize("loss", ["mse", "mae", "bce_with_logits", "cross_entropy"])
def test_the_loss_over_very_many_outputs(loss: str) -> None:
    outputs = 3_000_000
    net = gd.Network([gd.Dense(outputs, bias=False)], input_size=1)
    net.load_state_dict({"0.weight": np.full((outputs, 1), 0.3)})
    y = np.zeros(1, int) if loss == "cross_entropy" else repeated(0.0, (1, outputs))
    z = float(np.float32(0.3))
    exact = {
        "mse": z**2,
        "mae": z,
        "bce_with_logits": np.log1p(np.exp(z)),
        "cross_entropy": np.log(outputs),
    }[loss]
    value = gd.Trainer(net, loss, "sgd").evaluate(np.ones((1, 1)), y)["loss"]
    assert abs(value / exact - 1) <= 2e-5
