"""Losses: value and gradient of each against the oracle, seen through the public interface."""

from __future__ import annotations

from typing import Any

import nets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.losses import OF_CLASSES, loss_and_gradient
from support import assert_same_bits, relative_error

import gdcore as gd
from gdcore.losses import Loss

DTYPES = ("float32", "float64")
# A sum of K or N terms, each a few units off: below 32 units for the sizes here.
OF_LOGITS = ("bce_with_logits", "binary_focal")
# Losses that are no sum of positive terms.
SUMS = ("poisson_nll", "gaussian_nll", "nll", "kl_div", "cosine")
UNITS = {"float32": 32 * 2.0**-24, "float64": 32 * 2.0**-53}


def probe(
    loss: Any, prediction: np.ndarray, y: Any, sample_weight: Any = None
) -> tuple[float, np.ndarray]:
    """The loss of a batch and its gradient at the prediction, (N, K), out of one training step.

    The input is the unit matrix and the weight is prediction^T, so the network's output is the
    prediction, bit for bit, and the weight's gradient is the loss's, transposed. A step of a rate
    of 2^40 is so long that its difference to the start is the gradient to the last bits.
    """
    samples, outputs = prediction.shape
    dtype = prediction.dtype.name
    net = gd.Network([gd.Dense(outputs, bias=False)], input_size=samples, dtype=dtype)
    net.load_state_dict({"0.weight": prediction.T})
    trainer = gd.Trainer(net, loss=loss, optimizer=gd.SGD(lr=2.0**40))
    x = np.eye(samples, dtype=dtype)
    assert_same_bits(net.forward(x), prediction, "output")
    value = trainer.step(x, y, sample_weight=sample_weight)
    moved = net.state_dict()["0.weight"].astype(np.float64)
    return value, -(moved.T - prediction.astype(np.float64)) / 2.0**40


def size_of(name: str, loss: float) -> float:
    """What its rounding is judged by: itself, or terms of either sign that it is the sum of."""
    return max(abs(loss), 4.0 if name in SUMS else 1e-30)


def assert_loss(
    name: str, parameters: dict[str, Any], p: np.ndarray, y: Any, weight: Any = None
) -> None:
    value, gradient = probe(Loss.members[name](**parameters), p, y, weight)
    expected, expected_gradient = loss_and_gradient(name, p, np.asarray(y), weight, **parameters)
    tolerance = UNITS[p.dtype.name]
    assert abs(value - expected) <= tolerance * size_of(name, expected)
    assert relative_error(gradient, expected_gradient) <= tolerance


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [1, 2, 5, 16, 33])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", nets.LOSSES)
def test_value_and_gradient(name: str, weighted: bool, outputs: int, dtype: str) -> None:
    if not nets.takes_outputs(name, outputs):
        return
    p = (2 * nets.inputs(19, outputs)).astype(dtype)
    y = nets.targets(name, 19, outputs)
    weight = np.random.default_rng(1).uniform(0.1, 3, 19).astype(dtype) if weighted else None
    if name not in OF_CLASSES:
        y = y.astype(dtype)
    for parameters in ({}, nets.LOSSES[name]):
        assert_loss(name, parameters, p, y, weight)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_of_probabilities(smoothing: float, dtype: str) -> None:
    p = nets.inputs(12, 7).astype(dtype)
    y = np.random.default_rng(2).dirichlet(np.ones(7), 12).astype(dtype)
    assert_loss("cross_entropy", {"label_smoothing": smoothing}, p, y)


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
@pytest.mark.parametrize("rounded", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_rounded_probabilities_are_taken(dtype: str, rounded: str, classes: int) -> None:
    random = np.random.default_rng(classes)
    logits = random.standard_normal((30, classes)) * random.uniform(0, 6, (30, 1))
    logits[0] = 0
    e = np.exp(logits - logits.max(axis=1, keepdims=True)).astype(rounded)
    y = e / e.sum(axis=1, keepdims=True, dtype=rounded)
    assert y.dtype == rounded
    value, _ = probe("cross_entropy", np.zeros((30, classes), dtype), y)
    assert value == pytest.approx(np.log(classes), rel=2e-3)
    if classes == 3:
        thirds = np.full((30, 3), 0.333)
        assert np.isfinite(probe("cross_entropy", np.zeros((30, 3), dtype), thirds)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_of_one_are_class_indices(dtype: str) -> None:
    p = nets.inputs(12, 7).astype(dtype)
    labels = nets.targets("cross_entropy", 12, 7)
    loss = gd.CrossEntropy(label_smoothing=0.2)
    by_index, by_row = probe(loss, p, labels), probe(loss, p, np.eye(7)[labels])
    tolerance = UNITS[dtype]
    assert abs(by_index[0] - by_row[0]) <= tolerance * by_index[0]
    assert relative_error(by_row[1], by_index[1]) <= tolerance


@pytest.mark.parametrize(
    "integer", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"]
)
def test_any_integer_type_is_a_class_index(integer: str) -> None:
    p = nets.inputs(9, 4)
    labels = nets.targets("cross_entropy", 9, 4)
    expected = probe("cross_entropy", p, labels)
    got = probe("cross_entropy", p, labels.astype(integer))
    assert got[0] == expected[0]
    assert_same_bits(got[1], expected[1], "gradient")
    assert probe("cross_entropy", p, labels.tolist())[0] == expected[0]


@given(
    name=st.sampled_from(sorted(nets.LOSSES)),
    samples=st.integers(1, 70),
    outputs=st.integers(1, 40),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    seed=st.integers(0, 2**31),
)
def test_any_shape(name: str, samples: int, outputs: int, scale: float, seed: int) -> None:
    outputs = nets.outputs_for(name, outputs)
    p = scale * nets.inputs(samples, outputs, seed)
    weight = np.random.default_rng(seed).uniform(0.5, 2, samples)
    value, gradient = probe(nets.loss(name), p, nets.targets(name, samples, outputs, seed), weight)
    expected, expected_gradient = loss_and_gradient(
        name, p, nets.targets(name, samples, outputs, seed), weight, **nets.LOSSES[name]
    )
    scale_of = max(1.0, scale) if name in SUMS else 1.0
    # log(sum(exp)) - p_y cancels: one unit of the largest logit may stay, of all of them in sum.
    room = 4 * 2.0**-53 * np.abs(p).max() if name in OF_CLASSES else 0.0
    assert abs(value - expected) <= UNITS["float64"] * size_of(name, expected) * scale_of + room
    size = np.linalg.norm(expected_gradient)
    # softmax(p) - y and sigmoid(p) - y cancel; over all entries w / sum(w) has a norm below 1.
    room = 4 * 2.0**-53 if name in (*OF_CLASSES, *OF_LOGITS) else 0.0
    assert np.linalg.norm(gradient - expected_gradient) <= UNITS["float64"] * size + room


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets.LOSSES)
def test_far_out_nothing_overflows(name: str, dtype: str) -> None:
    p = np.array([[1e3, -1e3, 0.0], [-1e3, 1e3, 1e3]], dtype=dtype)
    if name in ("gaussian_nll", "poisson_nll"):
        return  # of e^1000
    probabilities, signs = np.array([[0, 1, 0.5], [1, 0, 1]]), np.array([[-1, 1, 1], [1, -1, 1]])
    y = {
        **dict.fromkeys(OF_CLASSES, np.array([1, 0])),
        **dict.fromkeys((*OF_LOGITS, "kl_div"), probabilities),
        **dict.fromkeys(("hinge", "squared_hinge"), signs),
        "cosine": signs,
    }.get(name, np.zeros((2, 3)))
    assert_loss(name, nets.LOSSES[name], p, y)


@pytest.mark.parametrize("name", nets.LOSSES)
def test_a_weight_of_zero_takes_the_sample_out(name: str) -> None:
    p, y = nets.inputs(6, 4), nets.targets(name, 6, 4)
    weight = np.array([1.0, 0, 1, 1, 0, 1])
    value, gradient = probe(nets.loss(name), p, y, weight)
    kept = weight > 0
    expected, expected_gradient = probe(nets.loss(name), p[kept], y[kept])
    assert abs(value - expected) <= UNITS["float64"] * size_of(name, expected)
    assert relative_error(gradient[kept], expected_gradient) <= UNITS["float64"]
    assert not gradient[~kept].any()


@pytest.mark.parametrize("name", nets.LOSSES)
def test_only_the_ratio_of_weights_counts(name: str) -> None:
    p, y = nets.inputs(6, 4), nets.targets(name, 6, 4)
    weight = np.random.default_rng(0).uniform(0.5, 2, 6)
    one, other = (probe(nets.loss(name), p, y, factor * weight) for factor in (1.0, 1024.0))
    assert abs(one[0] - other[0]) <= UNITS["float64"] * size_of(name, one[0])
    assert relative_error(one[1], other[1]) <= UNITS["float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets.LOSSES)
def test_evaluate_is_the_loss_over_all_samples(name: str, dtype: str) -> None:
    net = nets.network([6, 9, 4], ["tanh", "identity"], dtype)
    trainer = gd.Trainer(net, loss=nets.loss(name), optimizer="sgd")
    x, y = nets.inputs(101, 6).astype(dtype), nets.targets(name, 101, 4)
    expected, _ = loss_and_gradient(
        name, nets.oracle(net, ["tanh", "identity"]).forward(x), y, **nets.LOSSES[name]
    )
    got = trainer.evaluate(x, y)
    assert abs(got["loss"] - expected) <= UNITS[dtype] * size_of(name, expected)
    if name in OF_CLASSES:
        assert got["accuracy"] == float(np.mean(net.predict(x).argmax(axis=1) == y))


def test_softmax_before_cross_entropy_trains_on_the_logits() -> None:
    x, y = nets.inputs(20, 6), nets.targets("cross_entropy", 20, 4)
    states = []
    for last in ("identity", "softmax"):
        net = nets.network([6, 9, 4], ["tanh", last])
        trainer = gd.Trainer(net, loss="cross_entropy", optimizer=gd.SGD(lr=0.1))
        losses = [trainer.step(x, y) for _ in range(5)]
        states.append((losses, net.state_dict()))
    assert states[0][0] == states[1][0]
    for key in states[0][1]:
        assert_same_bits(states[0][1][key], states[1][1][key], key)
    assert np.allclose(net.predict(x).sum(axis=1), 1, rtol=0, atol=4 * 2.0**-53)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("z", [0.3, 3.0, 10.0, 15.0, 17.5, 50.0, 80.0])
def test_a_confident_right_answer_keeps_its_digits(z: float, dtype: str) -> None:
    """Loss log(1 + e^-z) and gradient -1 / (1 + e^z): of one logit or of two, on either side."""
    units = (z + 4) * float(np.finfo(dtype).eps)  # the exponent itself is rounded
    z = float(np.dtype(dtype).type(z))
    loss, slope = np.log1p(np.exp(-z)), 1 / (1 + np.exp(z))
    for sign, target in ((1, 1.0), (-1, 0.0)):
        p = np.array([[sign * z]], dtype)
        net = gd.Network([gd.Dense(1, bias=False)], input_size=1, dtype=dtype)
        net.load_state_dict({"0.weight": p})
        trainer = gd.Trainer(net, "bce_with_logits", gd.SGD(lr=2.0**126))
        assert abs(trainer.step([[1.0]], [[target]]) / loss - 1) <= units
        moved = (float(net.state_dict()["0.weight"][0, 0]) - sign * z) / 2.0**126
        assert abs(moved / (sign * slope) - 1) <= units
    for y in (np.array([1]), np.array([[0.0, 1.0]])):
        net = gd.Network([gd.Dense(2, bias=False)], input_size=1, dtype=dtype)
        net.load_state_dict({"0.weight": np.array([[0.0], [z]])})
        trainer = gd.Trainer(net, "cross_entropy", gd.SGD(lr=2.0**126))
        assert abs(trainer.step([[1.0]], y) / loss - 1) <= units
        moved = (net.state_dict()["0.weight"].astype(np.float64).ravel() - [0, z]) / 2.0**126
        assert np.all(np.abs(moved / (slope * np.array([-1, 1])) - 1) <= units)


@pytest.mark.parametrize("t", [1e-6, 0.3, 0.999, 1 - 2.0**-20])
@pytest.mark.parametrize("z", [-9.0, 2.0, 9.0, 14.0])
def test_bce_of_targets_near_the_ends(z: float, t: float) -> None:
    t = float(np.float32(t))
    net = gd.Network([gd.Dense(1, bias=False)], input_size=1)
    net.load_state_dict({"0.weight": np.array([[z]])})
    got = gd.Trainer(net, "bce_with_logits", "sgd").evaluate([[1.0]], [[t]])["loss"]
    exact = abs(z) * (1 - t if z > 0 else t) + np.log1p(np.exp(-abs(z)))
    assert abs(got / exact - 1) <= 4 * 2.0**-23


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_the_largest_logits(dtype: str) -> None:
    most = float(np.finfo(dtype).max)
    net = gd.Network([gd.Dense(3, bias=False)], input_size=1, dtype=dtype)
    net.load_state_dict({"0.weight": np.array([[most], [-most], [0.0]])})
    x = np.ones((1, 1))

    def loss(y: Any, smoothing: float = 0.0) -> float:
        trainer = gd.Trainer(net, gd.CrossEntropy(label_smoothing=smoothing), "sgd")
        return trainer.evaluate(x, y)["loss"]

    assert loss([0]) == loss([[1.0, 0.0, 0.0]]) == 0
    assert loss([[0.75, 0.25, 0.0]]) == most / 2
    assert loss([[0.5, 0.0, 0.5]]) == most / 2
    assert abs(loss([0], 0.25) / (0.25 * most) - 1) <= 1e-5
