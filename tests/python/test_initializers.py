"""Orthogonal weights, and first values that go by data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import assert_same_state

import gdcore as gd
from gdcore.initializers import Orthogonal, from_data

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 7)) * [1, 10, 0.1, 1, 1, 1, 100] + 3


def weight(units: int, inputs: int, init: Any, dtype: Any = "float64", seed: int = 0) -> Any:
    layer = gd.Dense(units, weight_init=init)
    return gd.Network([layer], input_size=inputs, dtype=dtype, seed=seed).state_dict()["0.weight"]


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 40), (40, 3), (1, 9), (9, 1), (130, 130)])
@pytest.mark.parametrize(("init", "gain"), [("orthogonal", 1.0), (Orthogonal(2**0.5), 2**0.5)])
def test_rows_or_columns_are_orthogonal(shape: tuple[int, int], init: Any, gain: float) -> None:
    for dtype, tolerance in (("float64", 1e-14), ("float32", 1e-6)):
        w = weight(*shape, init, dtype)
        few = w @ w.T if shape[0] <= shape[1] else w.T @ w
        assert abs(few - gain**2 * np.eye(len(few))).max() < 10 * tolerance * gain**2


def test_every_orthogonal_matrix_is_as_likely() -> None:
    """Of Q drawn uniformly, entries have mean 0 and variance 1 / n, and the trace variance 1."""
    all_of_them = np.array([weight(4, 4, "orthogonal", seed=seed) for seed in range(400)])
    assert abs(all_of_them.mean(axis=0)).max() < 4 * 0.5 / 20
    assert abs((all_of_them**2).mean(axis=0) - 0.25).max() < 0.06
    assert np.trace(all_of_them, axis1=1, axis2=2).var() == pytest.approx(1, abs=0.25)
    assert (np.linalg.det(all_of_them) > 0).mean() == pytest.approx(0.5, abs=0.1)


def test_the_bias_is_zero_beside_it_and_may_not_be_it() -> None:
    layer = gd.Dense(3, weight_init="orthogonal")
    assert layer.bias_init == "zeros"
    with pytest.raises(ValueError, match="bias_init must be no initializer of matrices"):
        gd.Dense(3, bias_init="orthogonal")
    with pytest.raises(ValueError, match="weight_init must be one of"):
        gd.Dense(3, weight_init="ortogonal")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="weight_init must be an object, got the class"):
        gd.Dense(3, weight_init=Orthogonal)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gain must be finite"):
        Orthogonal(float("inf"))
    with pytest.raises(ValueError, match="gain of layer '0' must"):
        weight(2, 2, Orthogonal(1e300), "float32")


def test_files_hold_the_gain(tmp_path: Path) -> None:
    layers = [gd.Residual([gd.Dense(4, "relu", weight_init=Orthogonal(1.5))])]
    net = gd.Network(layers, input_size=4)
    net.save(tmp_path / "net")
    again = gd.Network.load(tmp_path / "net")
    assert again.layers == net.layers
    assert "Orthogonal(gain=1.5)" in repr(again.layers[0])


DEEP: list[Any] = [
    gd.Dense(30, "relu", weight_init=Orthogonal(9.0)),
    gd.Residual([gd.Dense(20, "gelu"), gd.Dense(30, bias=False)]),
    gd.BatchNorm(),
    gd.Dense(30, "tanh"),
    gd.Dense(2, name="head"),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_have_mean_zero_and_variance_one(dtype: Any) -> None:
    net = gd.Network(DEEP, input_size=7, dtype=dtype)
    from_data(net, X)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for name in ("0", "1.0", "1.1", "3", "head"):
        sums = net._native.layer_output(name, X).astype(np.float64)
        np.testing.assert_allclose(sums.std(axis=0), 1, rtol=tolerance)
        if name != "1.1":  # which has no bias
            assert abs(sums.mean(axis=0)).max() < tolerance
    np.testing.assert_array_equal(net._native.layer_output("head", X), net.predict(X))


def test_chosen_layers_alone_are_scaled() -> None:
    net = gd.Network(DEEP, input_size=7, dtype="float64")
    before = net.state_dict()
    from_data(net, X, layers=["head", "1.0"])
    changed = {key for key, value in net.state_dict().items() if (value != before[key]).any()}
    assert changed == {"1.0.weight", "1.0.bias", "head.weight", "head.bias"}


def test_units_that_say_nothing_are_left_alone() -> None:
    net = gd.Network([gd.Dense(3, "relu"), gd.Dense(2)], input_size=7, dtype="float64")
    state = net.state_dict()
    state["0.weight"][1] = 0
    net.load_state_dict(state)
    from_data(net, X)
    after = net.state_dict()
    np.testing.assert_array_equal(after["0.weight"][1], np.zeros(7))
    assert after["0.bias"][1] == state["0.bias"][1]
    assert np.isfinite(net.predict(X)).all()


@pytest.mark.parametrize(
    ("x", "layers", "error", "words"),
    [
        (X[:1], None, ValueError, "x must have at least 2 rows, got 1"),
        (X[:, :3], None, ValueError, r"x must have shape \(N, 7\)"),
        (X, ["2"], ValueError, "layers must be one of 0, 1.0, 1.1, 3, head, got '2'"),
        (X, "head", TypeError, "layers must be a sequence of names"),
        (X, ["1.0"], ValueError, "the sums of layer '1.0' must be finite"),
    ],
)
def test_what_cannot_be_scaled_changes_nothing(
    x: Any, layers: Any, error: type[Exception], words: str
) -> None:
    net = gd.Network(DEEP, input_size=7, dtype="float64")
    state = net.state_dict()
    if layers == ["1.0"]:  # its sums overflow
        state["1.0.weight"] = np.full((20, 30), 1e308)
        net.load_state_dict(state)
    before = net.state_dict()
    with pytest.raises(error, match=words):
        from_data(net, x, layers=layers)
    assert_same_state(net.state_dict(), before)


def test_a_layer_there_is_not_has_no_output() -> None:
    with pytest.raises(ValueError, match="the network has no layer 'tail'"):
        gd.Network(DEEP, input_size=7)._native.layer_output("tail", X)
