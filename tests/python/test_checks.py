"""Numerical gradients, and backpropagation held against them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nets
import numpy as np
import pytest
from reference.losses import loss_and_gradient
from support import assert_same_bits, assert_same_state, relative_error

import gdcore as gd

TOLERANCE = 1e-7


# ---- over a network ----


def lively(widths: list[int], activation: str, seed: int) -> gd.Network:
    """Weights large enough for gradients that do not vanish over the layers: the differences are
    known to about eps / h, 1e-11, of the loss, and are asked for 1e-7 of the gradient."""
    net = nets.network(widths, [activation] * (len(widths) - 1), seed=seed)
    net.load_state_dict({key: 3 * value for key, value in net.state_dict().items()})
    return net


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("loss", nets.LOSSES)
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_backpropagation_against_central_differences(
    activation: str, loss: str, layers: int
) -> None:
    """Every activation x loss x depth; the seeds keep kinks further away than the step."""
    net = lively([*[5, 7, 6][:layers], 4], activation, seed=layers)
    x, y = nets.inputs(9, 5, 7), nets.targets(loss, 9, 4, 7)
    weight = np.linspace(0.5, 2, 9)
    report = gd.check_gradients(net, nets.loss(loss), x, y, weight)
    assert report.ok
    assert report.tolerance == 1e-6
    assert list(report.parameters) == list(net.state_dict())
    for key, found in report.parameters.items():
        assert found.kinks == (), key
        assert found.relative_error <= TOLERANCE, key
        assert found.shape == net.state_dict()[key].shape


@pytest.mark.parametrize("loss", nets.LOSSES)
@pytest.mark.parametrize("activation", nets.ELEMENTWISE)
def test_the_same_in_python(activation: str, loss: str) -> None:
    """With nothing of the C++ check: the oracle's loss, and numerical_gradient, over the weights
    and over the input."""
    net = lively([4, 5, 3], activation, seed=2)
    x, y = nets.inputs(6, 4, 3), nets.targets(loss, 6, 3, 3)
    options = nets.LOSSES[loss]

    _, grad = loss_and_gradient(loss, net.forward(x, training=True), y, **options)
    at_input = net.backward(grad)
    gradients = net.gradients()

    def loss_of_input(moved: np.ndarray) -> float:
        return loss_and_gradient(loss, net.forward(moved), y, **options)[0]

    assert relative_error(at_input, gd.numerical_gradient(loss_of_input, x)) <= TOLERANCE
    start = net.state_dict()
    for key in start:

        def loss_of_weight(moved: np.ndarray, key: str = key) -> float:
            net.load_state_dict({**start, key: moved})
            return loss_and_gradient(loss, net.forward(x), y, **options)[0]

        numerical = gd.numerical_gradient(loss_of_weight, start[key])
        assert relative_error(gradients[key], numerical) <= TOLERANCE, key


def test_the_check_changes_nothing_and_counts() -> None:
    net = nets.network([5, 7, 4], ["tanh", "identity"], "float32")
    before = net.state_dict()
    x, y = nets.inputs(9, 5), nets.targets("mse", 9, 4)
    report = gd.check_gradients(net, "mse", x, y)
    assert_same_state(net.state_dict(), before)
    assert report.forward_passes >= 2 * net.num_parameters
    assert report.numerical_seconds > 0
    assert report.backpropagation_seconds > 0
    expected, _ = loss_and_gradient("mse", nets.oracle(net, ["tanh", "identity"]).forward(x), y)
    assert abs(report.loss - expected) <= 64 * 2.0**-53 * expected
    table = str(report)
    assert "0.weight" in table
    assert "forward passes" in table


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.usefixtures("own_threads")
def test_the_check_has_the_same_bits_on_any_number_of_threads(threads: int) -> None:
    net = nets.network([5, 7, 4], ["gelu", "identity"])
    x, y = nets.inputs(9, 5), nets.targets("mse", 9, 4)
    gd.set_num_threads(1)
    serial = gd.check_gradients(net, "mse", x, y)
    gd.set_num_threads(threads)
    assert gd.check_gradients(net, "mse", x, y).parameters == serial.parameters


@pytest.mark.parametrize(("activation", "below_over_above"), [("relu", 0.0), ("leaky_relu", 0.2)])
def test_a_planted_kink_is_told_and_does_not_fail(activation: str, below_over_above: float) -> None:
    """Unit 2 has weights and bias of zero, so that its sum is exactly 0 for every sample."""
    net = nets.network([3, 4, 2], [activation, "identity"], seed=1)
    state = net.state_dict()
    state["0.weight"][2], state["0.bias"][2] = 0, 0
    net.load_state_dict(state)
    # One sample: its sum moves with the bias, and with each weight by the sign of its input.
    report = gd.check_gradients(net, "mse", [[1.0, 2.0, 0.5]], [[3.0, -4.0]])
    assert report.ok
    assert [kink.index for kink in report.parameters["0.weight"].kinks] == [(2, 0), (2, 1), (2, 2)]
    assert [kink.index for kink in report.parameters["0.bias"].kinks] == [(2,)]
    assert report.parameters["1.weight"].kinks == ()
    assert report.parameters["1.bias"].kinks == ()
    for key in ("0.weight", "0.bias"):
        found = report.parameters[key]
        assert found.relative_error <= TOLERANCE
        for kink in found.kinks:
            assert kink.above != 0
            # One-sided differences are off by h f'' / 2, about 1e-5 of the slope here.
            assert abs(kink.below / kink.above - below_over_above) <= 1e-3
            assert abs(kink.backpropagation - kink.below) <= 1e-3 * abs(kink.above)
    assert "kink" in str(report)


def test_a_kink_of_the_loss_is_told() -> None:
    net = gd.Network([gd.Dense(1)], input_size=1, dtype="float64")
    net.load_state_dict({"0.weight": [[2.0]], "0.bias": [1.0]})
    report = gd.check_gradients(net, "mae", [[1.0]], [[3.0]])  # the prediction is the target
    assert report.ok
    for found in report.parameters.values():
        assert len(found.kinks) == 1
        assert abs(found.kinks[0].below + 1) <= 1e-6
        assert abs(found.kinks[0].above - 1) <= 1e-6
        assert found.kinks[0].backpropagation == 0


@pytest.mark.parametrize("key", ["0.weight", "1.bias"])
def test_a_wrong_gradient_is_found(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backpropagation is made to be off by a millionth part in one entry."""
    core = gd.checks._core

    def wrong(*arguments: Any) -> Any:
        found = core.backpropagation_gradient_network(*arguments)
        gradients = {name: value.copy() for name, value in found["gradients"].items()}
        gradients[key].ravel()[1] += 1e-5 * np.linalg.norm(gradients[key])
        return {**found, "gradients": gradients}

    proxy = SimpleNamespace(
        backpropagation_gradient_network=wrong,
        numerical_gradient_network=core.numerical_gradient_network,
    )
    net = nets.network([5, 7, 4], ["tanh", "identity"])
    x, y = nets.inputs(9, 5), nets.targets("mse", 9, 4)
    assert gd.check_gradients(net, "mse", x, y).ok
    monkeypatch.setattr(gd.checks, "_core", proxy)
    report = gd.check_gradients(net, "mse", x, y)
    assert not report.ok
    assert [name for name, found in report.parameters.items() if not found.ok] == [key]
    assert "DISAGREE" in str(report)


# ---- of any function ----


def test_a_quadratic_is_exact_but_for_rounding() -> None:
    rng = np.random.default_rng(0)
    a, w = rng.standard_normal((5, 5)), rng.standard_normal(5)
    got = gd.numerical_gradient(lambda v: v @ a @ v, w)
    # f is known to a few units of |w|^T |A| |w|, and this is divided by 2 h, h about 6e-6.
    room = 8 * 2.0**-53 * float(np.abs(w) @ np.abs(a) @ np.abs(w)) / 6e-6
    assert np.abs(got - (a + a.T) @ w).max() <= room
    assert got.dtype == np.float64
    assert got.shape == (5,)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 1, 3)])
def test_shapes_are_kept(shape: tuple[int, ...]) -> None:
    w = np.full(shape, 0.5)
    got = gd.numerical_gradient(lambda v: float(np.sum(np.sin(v))), w)
    assert np.shape(got) == shape
    assert np.abs(got - np.cos(0.5)).max() <= 1e-9  # h^2 / 6 + eps / h


def test_the_step_can_be_given() -> None:
    def cube(w: Any) -> float:
        return float(w[0]) ** 3

    # (8 + 3 h^2 2 ... ): the central difference of w^3 is 3 w^2 + h^2 exactly.
    assert gd.numerical_gradient(cube, [2.0], h=0.5)[0] == 12.25
    assert gd.numerical_gradient(cube, [2.0], h=0.25)[0] == 12.0625


def test_numbers_of_any_kind_go_in() -> None:
    assert abs(gd.numerical_gradient(lambda w: w * w, 3) - 6) <= 1e-9
    assert np.abs(gd.numerical_gradient(lambda w: (w**2).sum(), [1, 2]) - [2, 4]).max() <= 1e-9


def test_w_is_never_changed() -> None:
    w = np.random.default_rng(0).standard_normal((3, 2))
    before = w.copy()

    def greedy(v: np.ndarray) -> float:
        value = float((v**2).sum())
        v[...] = 1e9
        return value

    assert np.abs(gd.numerical_gradient(greedy, w) - 2 * before).max() <= 1e-9
    assert_same_bits(w, before, "w")

    calls = []

    def failing(v: np.ndarray) -> float:
        calls.append(v.copy())
        if len(calls) == 4:
            raise OSError("no")
        return float(v.sum())

    with pytest.raises(OSError, match="no"):
        gd.numerical_gradient(failing, w)
    assert_same_bits(w, before, "w after an exception")
    assert all(int((call != before).sum()) == 1 for call in calls)
