"""Numerical gradients, and backpropagation held against them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nets
import numpy as np
import pytest
from reference.losses import OF_CLASSES, loss_and_gradient
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
    outputs = nets.outputs_for(loss, 3)
    net = lively([4, 5, outputs], activation, seed=2)
    x, y = nets.inputs(6, 4, 3), nets.targets(loss, 6, outputs, 3)
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


def test_a_network_without_parameters_has_nothing_to_check() -> None:
    net = gd.Network(["tanh"], input_size=2)
    with pytest.raises(ValueError, match="net must have parameters to check"):
        gd.check_gradients(net, "mse", np.ones((3, 2)), np.ones((3, 2)))


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


# ---- right gradients that are hard to see ----


def with_bias(activation: Any, outputs: int, bias: float, seed: int = 0) -> gd.Network:
    """A hidden layer of tanh, and a first output that is about `bias`."""
    layers = [gd.Dense(4, "tanh"), gd.Dense(outputs, activation)]
    net = gd.Network(layers, input_size=3, dtype="float64", seed=seed)
    state = net.state_dict()
    state["1.bias"][0] = bias
    net.load_state_dict(state)
    return net


@pytest.mark.parametrize("bias", [0.0, 5.0, 12.0, 15.0, 20.0, 40.0, 100.0, 700.0])
def test_a_classifier_that_is_sure_has_right_gradients(bias: float) -> None:
    x = nets.inputs(8, 3)
    for sign in (1, -1):
        net = with_bias("identity", 1, sign * bias)
        for y in (np.zeros(8), np.ones(8), np.linspace(0, 1, 8)):
            assert gd.check_gradients(net, "bce_with_logits", x, y).ok
    for activation in ("identity", "softmax"):
        net = with_bias(activation, 3, bias)
        for y in (np.zeros(8, int), np.arange(8) % 3):
            for loss in (gd.CrossEntropy(), gd.CrossEntropy(label_smoothing=0.1)):
                assert gd.check_gradients(net, loss, x, y).ok


@pytest.mark.parametrize("activation", [*nets.ELEMENTWISE, "softmax"])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_an_exact_minimum_has_right_gradients(loss: str, activation: str) -> None:
    for bias in (0.5, 30.0):
        for scale in (1e-6, 1.0, 1e3):
            net = with_bias(activation, 3, bias, seed=2)
            x = nets.inputs(8, 3) * scale
            report = gd.check_gradients(net, loss, x, net.predict(x))
            assert report.ok, (bias, scale)
            assert report.loss == 0


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_what_rounding_hides_is_told(loss: str) -> None:
    net = with_bias("identity", 3, 0.5)
    x = nets.inputs(8, 3)
    report = gd.check_gradients(net, loss, x, net.predict(x))
    assert all(found.rounding >= 1 for found in report.parameters.values())
    assert str(report).count("lost in rounding") == len(report.parameters)
    report = gd.check_gradients(net, loss, x, nets.targets("mse", 8, 3))
    assert all(0 < found.rounding < 1e-6 for found in report.parameters.values())
    assert "lost in rounding" not in str(report)


def one_unit(activation: Any, weight: float, bias: float, dtype: str = "float64") -> gd.Network:
    """2 f(w x + b) + 1."""
    net = gd.Network([gd.Dense(1, activation), gd.Dense(1)], input_size=1, dtype=dtype)
    net.load_state_dict(
        {"0.weight": [[weight]], "0.bias": [bias], "1.weight": [[2.0]], "1.bias": [1.0]}
    )
    return net


STEP = float(np.finfo(np.float64).eps) ** (1 / 3)


@pytest.mark.parametrize(
    "activation", ["relu", gd.LeakyReLU(0.5), gd.LeakyReLU(0.999), gd.ELU(0.3), gd.ELU(3.0)]
)
def test_a_kink_at_any_share_of_the_step_is_none_of_backpropagation(activation: Any) -> None:
    shares = [*np.linspace(0.002, 1.2, 200), *np.geomspace(1e-7, 0.01, 40)]
    for share in shares:
        for bias in (share * STEP, -share * STEP):
            report = gd.check_gradients(one_unit(activation, 0.0, bias), "mse", [[1.0]], [[0.5]])
            assert report.ok, share
            if share > 0.01:
                assert not any(found.kinks for found in report.parameters.values()), share


@pytest.mark.parametrize("x", [1.0, -0.3, 40.0])
@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0, 4.0])
def test_elu_at_zero(alpha: float, x: float) -> None:
    """Smooth to the first derivative for alpha = 1 alone."""
    report = gd.check_gradients(one_unit(gd.ELU(alpha), 0.0, 0.0), "mse", [[x]], [[-2.0]])
    assert report.ok
    for key in ("0.weight", "0.bias"):
        assert len(report.parameters[key].kinks) == (alpha != 1), key
    assert not report.parameters["1.weight"].kinks


@pytest.mark.parametrize("delta", [0.1, 1.0, 30.0])
def test_huber_at_delta(delta: float) -> None:
    """Its second derivative jumps there; the first does not."""
    for sign in (1, -1):
        net = one_unit("identity", 0.75, 0.5)
        x = [[1.0], [2.0]]
        y = net.predict(x) + sign * delta
        report = gd.check_gradients(net, gd.Huber(delta), x, y)
        assert report.ok
        assert not any(found.kinks for found in report.parameters.values())


def test_large_inputs_and_large_targets() -> None:
    """A step of 6e-6 times an input of 1000 is no small step; and losses are large numbers."""
    for activation in nets.ELEMENTWISE:
        net = nets.network([3, 4, 2], [activation, "identity"], seed=3)
        x = nets.inputs(7, 3)
        for scale_x, scale_y in ((1e3, 1.0), (1.0, 1e6), (300.0, 1e5), (1e-4, 1e-4)):
            y = scale_y * nets.targets("mse", 7, 2)
            for loss in ("mse", "mae", "huber"):
                assert gd.check_gradients(net, loss, scale_x * x, y).ok


@pytest.mark.parametrize("h", [1e-2, 1e-4, 1e-8, 1e-11])
def test_any_step_tells_right_gradients(h: float) -> None:
    for activation in ("tanh", "relu", "elu"):
        net = nets.network([4, 6, 3], [activation, "identity"], seed=1)
        x, y = nets.inputs(9, 4), nets.targets("cross_entropy", 9, 3)
        assert gd.check_gradients(net, "cross_entropy", x, y, h=h).ok


# ---- wrong gradients ----

FAULTS: dict[str, Callable[[np.ndarray], Any]] = {
    "a factor": lambda g: g * 1.01,
    "a sign": lambda g: -g,
    "none at all": lambda g: 0 * g,
    "transposed": lambda g: g.ravel()[::-1].reshape(g.shape),
    "one sample more": lambda g: g * 9 / 8,
    "one entry": lambda g: g + 1e-5 * np.linalg.norm(g) * (np.arange(g.size) == 1).reshape(g.shape),
}


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes backpropagation wrong in one array."""
    core = gd.checks._core
    wrong: dict[str, Callable[[np.ndarray], Any]] = {}

    def backpropagation(*arguments: Any) -> Any:
        found = core.backpropagation_gradient_network(*arguments)
        gradients = {
            name: wrong.get(name, lambda g: g)(value) for name, value in found["gradients"].items()
        }
        return {**found, "gradients": gradients}

    proxy = SimpleNamespace(
        backpropagation_gradient_network=backpropagation,
        numerical_gradient_network=core.numerical_gradient_network,
    )
    monkeypatch.setattr(gd.checks, "_core", proxy)

    def set_fault(key: str, fault: str) -> None:
        wrong.clear()
        wrong[key] = FAULTS[fault]

    return set_fault


def assert_found(plant: Any, key: str, fault: str, *check: Any) -> None:
    plant(key, fault)
    report = gd.check_gradients(*check)
    assert not report.ok, (key, fault)
    assert [name for name, found in report.parameters.items() if not found.ok] == [key]
    assert "DISAGREE" in str(report)


@pytest.mark.parametrize("loss", nets.LOSSES)
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_a_wrong_gradient_is_found(activation: str, loss: str, plant: Any) -> None:
    """Off by a hundred-thousandth part in one entry, or more: each fault in its turn."""
    net = lively([5, 7, 4], activation, seed=2)
    x, y = nets.inputs(9, 5, 7), nets.targets(loss, 9, 4, 7)
    turn = list(nets.ACTIVATIONS).index(activation) + list(nets.LOSSES).index(loss)
    for at, key in enumerate(net.state_dict(), turn):
        fault = list(FAULTS)[at % len(FAULTS)]
        assert_found(plant, key, fault, net, nets.loss(loss), x, y)


@pytest.mark.parametrize("fault", ["a factor", "a sign", "none at all", "one sample more"])
def test_a_wrong_gradient_of_a_sure_classifier_is_found(fault: str, plant: Any) -> None:
    x = nets.inputs(8, 3)
    for net, loss, y in (
        (with_bias("identity", 1, 12.0), "bce_with_logits", np.ones(8)),
        (with_bias("identity", 1, -12.0), "bce_with_logits", np.zeros(8)),
        (with_bias("identity", 3, 14.0), "cross_entropy", np.zeros(8, int)),
        (with_bias("softmax", 3, 14.0), "cross_entropy", np.zeros(8, int)),
    ):
        for key in net.state_dict():
            assert_found(plant, key, fault, net, loss, x, y)


def test_a_wrong_gradient_beside_kinks_is_found(plant: Any) -> None:
    net = nets.network([3, 4, 2], ["relu", "identity"], seed=1)
    state = net.state_dict()
    state["0.weight"][2], state["0.bias"][2] = 0, 0
    net.load_state_dict(state)
    for key in state:
        for fault in ("a factor", "none at all"):
            assert_found(plant, key, fault, net, "mse", [[1.0, 2.0, 0.5]], [[3.0, -4.0]])


def drawn(seed: int) -> tuple[Any, ...]:
    """A network, a loss, data and perhaps weights, some far from what training sees."""
    random = np.random.default_rng(seed)
    name = sorted(nets.LOSSES)[random.integers(len(nets.LOSSES))]
    widths = [int(width) for width in random.integers(1, 8, random.integers(2, 5))]
    widths[-1] = nets.outputs_for(name, widths[-1])
    names = [
        nets.ELEMENTWISE[k] for k in random.integers(0, len(nets.ELEMENTWISE), len(widths) - 1)
    ]
    names[-1] = random.choice([names[-1], "identity", "identity", "softmax"])
    net = nets.network(widths, names, seed=seed)
    scale = random.choice([0.1, 1, 1, 3, 10])
    state = {key: scale * value for key, value in net.state_dict().items()}
    state[f"{len(names) - 1}.bias"][0] += random.choice([0, 0, 5, 15, 40])
    if random.random() < 0.1:
        state["0.weight"][0], state["0.bias"][0] = 0, 0
    net.load_state_dict(state)
    samples = int(random.integers(1, 30))
    x = random.choice([0.01, 1, 1, 30, 1000]) * random.standard_normal((samples, widths[0]))
    y = nets.targets(name, samples, widths[-1], seed)
    if name in ("mse", "mae", "huber"):
        at = net.predict(x)
        y = (y, at, at - nets.LOSSES[name].get("delta", 1.0), at + 1e-3 * y)[random.integers(4)]
    elif name == "bce_with_logits":
        y = (y, y.round(), np.ones_like(y))[random.integers(3)]
    elif name in OF_CLASSES:
        y = (y, np.zeros_like(y))[random.integers(2)]
    weight = random.uniform(0.1, 3, samples) if random.random() < 0.3 else None
    return net, nets.loss(name), x, y, weight


def test_of_random_networks_right_gradients_agree_and_wrong_ones_do_not(plant: Any) -> None:
    judged = 0
    for seed in range(250):
        check = drawn(seed)
        plant("", "a sign")
        report = gd.check_gradients(*check)
        assert report.ok, f"{seed}\n{report}"
        key = list(report.parameters)[seed % len(report.parameters)]
        found = report.parameters[key]
        if found.rounding < 1e-4 and not found.kinks and found.relative_error > 0:
            assert_found(plant, key, "a factor", *check)
            judged += 1
    assert judged > 150


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
