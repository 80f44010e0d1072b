"""Networks: forward and backward against the oracle, rows, gradients, state."""

from __future__ import annotations

import nets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import activations, initializers
from support import assert_same_bits, assert_same_state, relative_error

import gdcore as gd

DTYPES = ("float32", "float64")
# In norm a layer adds the rounding of its chain, sqrt(k) units at worst over random data, and the
# few units of its activation; conditioning of three layers and k <= 50 stays below 64 units.
UNITS = {"float32": 64 * 2.0**-24, "float64": 64 * 2.0**-53}


def three_layers(name: str, dtype: str, seed: int = 0) -> tuple[gd.Network, list[str]]:
    names = [name, name, "identity"]
    return nets.network([23, 37, 18, 5], names, dtype, seed), names


# ---- forward ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_forward(name: str, dtype: str) -> None:
    net, names = three_layers(name, dtype)
    x = nets.inputs(40, 23).astype(dtype)
    expected = nets.oracle(net, names).forward(x)
    for got in (net.forward(x), net.forward(x, training=True), net.predict(x)):
        assert got.dtype == dtype
        assert got.shape == (40, 5)
        assert relative_error(got, expected) <= UNITS[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_an_activation_over_its_whole_range(name: str, dtype: str) -> None:
    """One layer with the identity as weight, so that its sums are the inputs to the bit."""
    small = 2.0 ** np.arange(-40, 11).astype(np.float64)
    steps = np.linspace(-30, 30, 481)
    x = np.concatenate([steps, small, -small, [0.0]]).astype(dtype)
    net = gd.Network(nets.dense([1], [name]), input_size=1, dtype=dtype)
    net.load_state_dict({"0.weight": np.ones((1, 1), dtype), "0.bias": np.zeros(1, dtype)})
    got = net.forward(x[:, None])[:, 0].astype(np.float64)
    wide = x.astype(np.float64)[:, None]
    expected = activations.VALUE[name](wide, **nets.ACTIVATIONS[name])[:, 0]
    # A few units of the value, and |x| more where it decays like exp(-|x|): one rounding of the
    # exponent. gelu multiplies x by a difference of two numbers near 1, which cancels far left.
    unit, size = float(np.finfo(dtype).eps), np.abs(wide[:, 0])
    bound = (8 + 4 * size) * unit * np.abs(expected)
    if name in ("gelu", "gelu_tanh"):
        bound += 4 * unit * size
    assert np.all(np.abs(got - expected) <= bound + np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_nothing_overflows_far_out(name: str, dtype: str) -> None:
    net = gd.Network(nets.dense([3], [name]), input_size=3, dtype=dtype)
    net.load_state_dict({"0.weight": np.eye(3, dtype=dtype), "0.bias": np.zeros(3, dtype)})
    x = np.array([[-1e4, 0.0, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]], dtype=dtype)
    out = net.forward(x, training=True)
    assert np.isfinite(out).all()
    expected = activations.VALUE[name](x.astype(np.float64), **nets.ACTIVATIONS[name])
    assert relative_error(out, expected) <= UNITS[dtype]
    assert np.isfinite(net.backward(np.ones_like(out))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_rows_do_not_see_each_other(name: str, training: bool, dtype: str) -> None:
    net, _ = three_layers(name, dtype)
    x = nets.inputs(71, 23).astype(dtype)
    whole = net.forward(x, training=training)
    for i in range(len(x)):
        assert_same_bits(net.forward(x[i : i + 1], training=training)[0], whole[i], f"row {i}")


@given(
    samples=st.integers(1, 90),
    batch_size=st.none() | st.integers(1, 100),
    widths=st.lists(st.integers(1, 60), min_size=2, max_size=4),
    dtype=st.sampled_from(DTYPES),
)
def test_predict_does_not_depend_on_its_batches(
    samples: int, batch_size: int | None, widths: list[int], dtype: str
) -> None:
    net = nets.network(widths, ["tanh"] * (len(widths) - 1), dtype)
    x = nets.inputs(samples, widths[0]).astype(dtype)
    got = net.predict(x, batch_size=batch_size)
    assert_same_bits(got, net.forward(x), "predict and forward")
    assert_same_bits(got, net.forward(x, training=True), "predict and training forward")


def test_wide_rows_do_not_see_each_other() -> None:
    """Inputs long enough for several blocks of k, columns for several tiles."""
    net = nets.network([1100, 530, 7], ["relu", "identity"], "float32")
    x = nets.inputs(300, 1100).astype(np.float32)
    whole = net.forward(x)
    for i in (0, 1, 17, 150, 299):
        assert_same_bits(net.forward(x[i : i + 1])[0], whole[i], f"row {i}")
    assert_same_bits(net.predict(x, batch_size=31), whole, "predict")


def test_input_is_converted() -> None:
    net, _ = three_layers("relu", "float32")
    x = np.round(10 * nets.inputs(6, 23))
    expected = net.forward(x.astype(np.float32))
    for other in (x, x.astype(np.int64), x.astype(np.float16), x.tolist(), np.asfortranarray(x)):
        assert_same_bits(net.forward(other), expected, "converted")
    assert_same_bits(net.forward(np.repeat(x, 2, axis=0)[::2]), expected, "strided")


# ---- backward ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_backward(name: str, dtype: str) -> None:
    net, names = three_layers(name, dtype, seed=1)
    x = nets.inputs(40, 23, 1).astype(dtype)
    grad = nets.inputs(40, 5, 2).astype(dtype)
    ref = nets.oracle(net, names)
    ref.forward(x)
    expected_input, expected = ref.backward(grad.astype(np.float64))

    net.forward(x, training=True)
    got_input = net.backward(grad)
    gradients = net.gradients()
    assert got_input.dtype == dtype
    assert got_input.shape == x.shape
    assert list(gradients) == list(net.state_dict())
    assert relative_error(got_input, expected_input) <= UNITS[dtype]
    for key, value in gradients.items():
        assert value.dtype == dtype
        assert relative_error(value, expected[key]) <= UNITS[dtype], key


@pytest.mark.parametrize("dtype", DTYPES)
def test_backward_of_sums_that_are_split_into_parts(dtype: str) -> None:
    """600 samples and 520 units: longer than any one chain of a split sum."""
    names = ["tanh", "identity"]
    net = nets.network([30, 520, 300], names, dtype, seed=1)
    x, grad = nets.inputs(600, 30).astype(dtype), nets.inputs(600, 300, 1).astype(dtype)
    ref = nets.oracle(net, names)
    ref.forward(x)
    expected_input, expected = ref.backward(grad.astype(np.float64))
    net.forward(x, training=True)
    assert relative_error(net.backward(grad), expected_input) <= UNITS[dtype]
    for key, value in net.gradients().items():
        assert relative_error(value, expected[key]) <= UNITS[dtype], key


def test_backward_without_bias() -> None:
    layers = [gd.Dense(9, "tanh", bias=False), gd.Dense(4, bias=False)]
    net = gd.Network(layers, input_size=6, dtype="float64", seed=2)
    assert list(net.state_dict()) == ["0.weight", "1.weight"]
    ref = nets.oracle(net, ["tanh", "identity"])
    x, grad = nets.inputs(11, 6), nets.inputs(11, 4, 1)
    assert relative_error(net.forward(x, training=True), ref.forward(x)) <= UNITS["float64"]
    expected_input, expected = ref.backward(grad)
    assert relative_error(net.backward(grad), expected_input) <= UNITS["float64"]
    for key, value in net.gradients().items():
        assert relative_error(value, expected[key]) <= UNITS["float64"], key


@pytest.mark.parametrize("dtype", DTYPES)
def test_accumulate_adds_to_what_is_there(dtype: str) -> None:
    net, _ = three_layers("sigmoid", dtype)
    x = nets.inputs(30, 23).astype(dtype)
    first, second = nets.inputs(30, 5, 1).astype(dtype), nets.inputs(30, 5, 2).astype(dtype)
    net.forward(x, training=True)
    net.backward(first)
    one = net.gradients()
    net.forward(x, training=True)
    net.backward(second)
    two = net.gradients()
    net.backward(first)
    assert_same_state(net.gradients(), one)
    net.backward(second, accumulate=True)
    for key, value in net.gradients().items():
        # The one more rounding of an addition, and that of a chain that goes on from the first.
        assert relative_error(value, one[key].astype(np.float64) + two[key]) <= UNITS[dtype], key


def test_gradients_are_copies() -> None:
    net, _ = three_layers("tanh", "float64")
    x = nets.inputs(4, 23)
    net.backward(np.ones_like(net.forward(x, training=True)))
    before = net.gradients()
    for value in net.gradients().values():
        value[...] = 0
    assert_same_state(net.gradients(), before)


def test_gradients_need_a_backward() -> None:
    net, _ = three_layers("relu", "float32")
    x = nets.inputs(4, 23)
    with pytest.raises(RuntimeError, match="backward"):
        net.gradients()
    net.forward(x, training=True)
    with pytest.raises(RuntimeError, match="backward"):
        net.gradients()


def test_backward_needs_a_training_forward() -> None:
    net, _ = three_layers("relu", "float32")
    with pytest.raises(RuntimeError, match="forward"):
        net.backward(np.ones((4, 5)))
    net.forward(nets.inputs(4, 23))
    with pytest.raises(RuntimeError, match="forward"):
        net.backward(np.ones((4, 5)))


@pytest.mark.parametrize("change", ["load", "step", "apply"])
def test_backward_needs_the_parameters_of_its_forward(change: str) -> None:
    net, _ = three_layers("tanh", "float64")
    trainer = gd.Trainer(net, loss="mse", optimizer="sgd")
    x, grad = nets.inputs(6, 23), nets.inputs(6, 5, 1)
    net.forward(x, training=True)
    net.backward(grad)
    net.backward(grad)  # as often as one likes, until they change
    match change:
        case "load":
            net.load_state_dict({key: 2 * value for key, value in net.state_dict().items()})
        case "step":
            trainer.step(x, grad)
        case "apply":
            trainer.apply_gradients()
    with pytest.raises(RuntimeError, match="forward"):
        net.backward(grad)


def test_what_comes_between_forward_and_backward_does_not_disturb_them() -> None:
    net, _ = three_layers("gelu", "float64")
    x, grad = nets.inputs(6, 23), nets.inputs(6, 5, 1)
    net.forward(x, training=True)
    at_input = net.backward(grad)
    gradients = net.gradients()
    mine = x.copy()
    net.forward(mine, training=True)
    mine[...] = 0  # forward keeps a copy
    net.forward(nets.inputs(9, 23, 2))
    net.predict(nets.inputs(50, 23, 3), batch_size=7)
    gd.Trainer(net, loss="mse", optimizer="sgd").evaluate(x, grad)
    assert_same_bits(net.backward(grad), at_input, "gradient at the input")
    assert_same_state(net.gradients(), gradients)


# ---- state ----


def test_state_has_names_shapes_and_order() -> None:
    layers = [gd.Dense(4, "relu", name="hidden"), gd.Dense(3), gd.Dense(2, bias=False)]
    net = gd.Network(layers, input_size=5, dtype="float32")
    shapes = {key: (value.shape, value.dtype) for key, value in net.state_dict().items()}
    assert list(shapes.items()) == [
        ("hidden.weight", ((4, 5), np.float32)),
        ("hidden.bias", ((4,), np.float32)),
        ("1.weight", ((3, 4), np.float32)),
        ("1.bias", ((3,), np.float32)),
        ("2.weight", ((2, 3), np.float32)),
    ]


def test_state_goes_both_ways_as_copies() -> None:
    net, _ = three_layers("tanh", "float32", seed=1)
    other, _ = three_layers("tanh", "float32", seed=2)
    state = net.state_dict()
    other.load_state_dict(state)
    assert_same_state(other.state_dict(), state)
    kept = {key: value.copy() for key, value in state.items()}
    for value in state.values():
        value[...] = 0
    for value in net.state_dict().values():
        value[...] = 1
    assert_same_state(net.state_dict(), kept)
    assert_same_state(other.state_dict(), kept)


def test_state_is_loaded_from_other_types_and_strides() -> None:
    net, _ = three_layers("tanh", "float32", seed=1)
    state = {key: value.astype(np.float64) for key, value in net.state_dict().items()}
    state["0.weight"] = np.asfortranarray(state["0.weight"])
    other, _ = three_layers("tanh", "float32", seed=2)
    other.load_state_dict(dict(reversed(state.items())))
    assert_same_state(other.state_dict(), net.state_dict())


def test_a_loaded_state_is_what_forward_uses() -> None:
    net, other = (three_layers("tanh", "float64", seed)[0] for seed in (1, 2))
    net.load_state_dict(other.state_dict())
    x = nets.inputs(3, 23)
    assert_same_bits(net.forward(x), other.forward(x), "forward after load")


# ---- initial values ----


@pytest.mark.parametrize("name", gd._core.initializers())
def test_initializers(name: str) -> None:
    fan_in, fan_out = 150, 400
    bias_init = None if name == "orthogonal" else name  # that makes matrices
    layer = gd.Dense(fan_out, weight_init=name, bias_init=bias_init)
    net = gd.Network([layer], input_size=fan_in, dtype="float64", seed=3)
    weight = net.state_dict()["0.weight"]
    variance = initializers.variance(name, fan_in, fan_out)
    bound = initializers.bound(name, fan_in, fan_out)
    if bound is not None:
        assert np.abs(weight).max() <= bound
        assert np.abs(weight).max() >= 0.999 * bound  # of 60,000 uniform values some are near
    if variance > 0:
        # The sample variance of n values is off by sqrt((kurtosis - 1) / n), at most sqrt(2 / n);
        # five of these, for a mean of n values five times its own. One fixed seed, so no chance.
        assert abs(weight.var() / variance - 1) <= 5 * np.sqrt(2 / weight.size)
        assert abs(weight.mean()) <= 5 * np.sqrt(variance / weight.size)
        assert np.unique(weight).size == weight.size


def test_default_initial_values_are_those_of_pytorch() -> None:
    net = gd.Network([gd.Dense(300)], input_size=16, dtype="float64", seed=1)
    for value in net.state_dict().values():
        assert 0.95 * 0.25 <= np.abs(value).max() <= 0.25


def test_a_bias_beside_another_initializer_starts_at_zero() -> None:
    net = gd.Network([gd.Dense(30, weight_init="he_normal")], input_size=16)
    assert not net.state_dict()["0.bias"].any()


def test_initial_values_depend_on_the_seed_alone() -> None:
    states = [three_layers("relu", "float64", seed)[0].state_dict() for seed in (0, 0, 1)]
    np.random.default_rng(0).standard_normal(3)
    assert_same_state(states[0], states[1])
    assert not np.array_equal(states[0]["0.weight"], states[2]["0.weight"])
    short = gd.Network(nets.dense([37], ["relu"]), input_size=23, dtype="float64", seed=0)
    assert_same_bits(short.state_dict()["0.weight"], states[0]["0.weight"], "of a shorter network")
    assert not np.array_equal(
        states[0]["0.weight"].ravel()[:90], states[0]["2.weight"].ravel()[:90]
    )


def test_a_dtype_that_numpy_cannot_read_is_named() -> None:
    with pytest.raises(ValueError, match="dtype"):
        gd.Network([gd.Dense(1)], input_size=1, dtype=",")


def test_a_name_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="name must be text that UTF-8 can hold"):
        gd.Dense(1, name="\ud800")
