"""predict_proba and predict_classes: what outputs say of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gdcore as gd

X = np.random.default_rng(0).normal(size=(50, 4))


def network(units: int, activation: Any = "identity", dtype: Any = "float64") -> gd.Network:
    return gd.Network(
        [gd.Dense(8, "tanh"), gd.Dense(units, activation)], input_size=4, dtype=dtype, seed=1
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_output_is_the_logit_of_class_1(dtype: str) -> None:
    net = network(1, dtype=dtype)
    found, p = net.predict_proba(X), net.predict(X)
    assert found.shape == (50, 1)
    assert found.dtype == net.dtype
    expected = (1 / (1 + np.exp(-p.astype(np.float64)))).astype(dtype)
    np.testing.assert_allclose(found, expected, rtol=2 * np.finfo(dtype).eps)
    classes = net.predict_classes(X)
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(classes, (p[:, 0] > 0).astype(np.int64))
    state = net.state_dict()
    net.load_state_dict(state | {"1.bias": state["1.bias"] - np.median(p, axis=0)})
    assert sorted(set(net.predict_classes(X))) == [0, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_outputs_are_logits_of_a_class_each(dtype: str) -> None:
    net = network(3, dtype=dtype)
    found, p = net.predict_proba(X), net.predict(X)
    e = np.exp(p.astype(np.float64))
    np.testing.assert_allclose(
        found, (e / e.sum(axis=1, keepdims=True)).astype(dtype), rtol=4 * np.finfo(dtype).eps
    )
    np.testing.assert_array_equal(net.predict_classes(X), p.argmax(axis=1))
    assert net.predict_classes(X).shape == (50,)


def test_several_labels_are_asked_for() -> None:
    net = network(3)
    p = net.predict(X)
    np.testing.assert_allclose(net.predict_proba(X, task="binary"), 1 / (1 + np.exp(-p)))
    found = net.predict_classes(X, task="binary")
    assert found.shape == (50, 3)
    np.testing.assert_array_equal(found, p > 0)


@pytest.mark.parametrize(("units", "last"), [(1, "sigmoid"), (3, "sigmoid"), (3, "softmax")])
def test_probabilities_stay_as_they_are(units: int, last: str) -> None:
    net = network(units, last)
    p = net.predict(X)
    np.testing.assert_array_equal(net.predict_proba(X), p)
    expected = p.argmax(axis=1) if last == "softmax" else p > 0.5
    np.testing.assert_array_equal(
        net.predict_classes(X), expected[:, 0] if units == 1 else expected
    )


@pytest.mark.parametrize(
    ("units", "loss", "options"),
    [
        (1, "bce_with_logits", {}),
        (3, "bce_with_logits", {"task": "binary"}),
        (3, "cross_entropy", {}),
    ],
)
def test_classes_are_those_that_accuracy_counts(
    units: int, loss: Any, options: dict[str, Any]
) -> None:
    net = network(units)
    trainer = gd.Trainer(net, loss, "adam")
    random = np.random.default_rng(3)
    y = random.integers(0, 3, 50) if loss == "cross_entropy" else random.integers(0, 2, (50, units))
    classes = net.predict_classes(X, **options)
    right = np.mean(classes == (y[:, 0] if units == 1 else y))
    assert trainer.evaluate(X, y)["accuracy"] == pytest.approx(right)


def test_far_logits_neither_overflow_nor_warn() -> None:
    net = network(2, dtype="float32")
    state = {key: np.zeros_like(value) for key, value in net.state_dict().items()}
    net.load_state_dict(state | {"1.bias": np.array([3e38, -3e38])})
    np.testing.assert_array_equal(net.predict_proba(X[:1]), [[1, 0]])
    np.testing.assert_array_equal(net.predict_proba(X[:1], task="binary"), [[1, 0]])
    np.testing.assert_array_equal(net.predict_classes(X[:1]), [0])


def test_batches_change_nothing() -> None:
    net = network(3)
    np.testing.assert_array_equal(net.predict_proba(X, 7), net.predict_proba(X))
    np.testing.assert_array_equal(net.predict_classes(X, batch_size=7), net.predict_classes(X))


def test_an_output_that_is_nan_has_no_class() -> None:
    net = gd.Network([gd.Dense(2), gd.Dense(2)], input_size=4)
    net.load_state_dict(
        {key: np.full_like(value, 3e38) for key, value in net.state_dict().items()}
        | {"1.weight": np.array([[3e38, -3e38]] * 2)}
    )
    assert np.isnan(net.predict_proba(X[:3])).any()
    assert np.isnan(net.predict(X[:3])).any()
    with pytest.raises(ValueError, match="output must not be NaN to tell classes, got it in row"):
        net.predict_classes(X[:3])


@pytest.mark.parametrize(
    ("units", "last", "task", "error", "message"),
    [
        (
            3,
            "relu",
            None,
            ValueError,
            "linear, sigmoid, softmax or log_softmax .*'relu'",
        ),
        (1, "tanh", "binary", ValueError, "got 'tanh', whose outputs are neither"),
        (3, "softmax", "binary", ValueError, "task must be 'multiclass' for a last layer of"),
        (3, "sigmoid", "multiclass", ValueError, "task must be 'binary' for a last layer of"),
        (1, "softmax", None, ValueError, "'multiclass' needs an output for each of at least two"),
        (1, "identity", "multiclass", ValueError, "'multiclass' needs an output for each"),
        (1, "identity", "regression", ValueError, "task must be one of binary, multiclass"),
        (1, "identity", 3, TypeError, "task must be one of binary, multiclass, got 3"),
    ],
)
@pytest.mark.parametrize("method", ["predict_proba", "predict_classes"])
def test_what_tells_no_classes_is_refused(
    method: str, units: int, last: str, task: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(network(units, last), method)(X, task=task)


@pytest.mark.parametrize("method", ["predict_proba", "predict_classes"])
def test_bad_input_is_told_as_by_predict(method: str) -> None:
    with pytest.raises(ValueError, match=r"^x must"):
        getattr(network(3), method)(X[:, :2])
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        getattr(network(3), method)(X, 0)
