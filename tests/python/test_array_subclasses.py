"""Subclasses of NumPy's array whose methods do not tell the truth: their memory counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_bits, assert_same_state

import gdcore as gd


class Lying(np.ndarray):
    """More numbers than it has, others than it has, and in another order."""

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        longer = np.ones((self.shape[0] * 2, *self.shape[1:]), dtype) if self.ndim else np.ones(2)
        return np.asfortranarray(longer)

    def reshape(self, *shape: Any, **options: Any) -> Any:
        return np.zeros(3)

    def __array__(self, *args: Any, **options: Any) -> Any:
        return np.zeros(5)

    @property
    def ndim(self) -> int:
        return 1

    @property
    def size(self) -> int:
        return 1


def lying(array: Any, dtype: str) -> Lying:
    return np.array(array, dtype).view(Lying)


def by_columns(array: Any, dtype: str) -> Lying:
    return np.array(array, dtype, order="F").view(Lying)


DTYPES = ("float32", "float64", "float16", "int8", "int32", "int64", ">f8")
X = np.round(4 * nets.inputs(6, 3))
LABELS = nets.targets("cross_entropy", 6, 3)
WEIGHT = np.arange(1.0, 7)


def trained(loss: str, way: Callable[[gd.Trainer], Any]) -> tuple[Any, dict[str, np.ndarray]]:
    trainer = gd.Trainer(nets.network([3, 3], ["identity"], "float32"), loss, "sgd")
    return way(trainer), trainer.network.state_dict()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("change", [lying, by_columns])
def test_what_is_in_memory_is_learned(change: Any, dtype: str) -> None:
    integer = dtype if "int" in dtype else "int16"
    one_hot = np.eye(3)[LABELS]
    ways: list[tuple[str, Callable[[gd.Trainer, Any], Any]]] = [
        ("mse", lambda t, c: t.step(c(X, dtype), X)),
        ("mse", lambda t, c: t.step(X, c(X, dtype))),
        ("mse", lambda t, c: t.step(X, X, c(WEIGHT, dtype))),
        ("mse", lambda t, c: t.learn_one(c(X[0], dtype), X[0])),
        ("mse", lambda t, c: t.learn_one(X[0], c(X[0], dtype))),
        ("mse", lambda t, c: t.learn_many(X, c(X, dtype)).tolist()),
        ("cross_entropy", lambda t, c: t.step(X, c(LABELS, integer))),
        ("cross_entropy", lambda t, c: t.step(X, c(one_hot, dtype))),
        ("cross_entropy", lambda t, c: t.learn_one(X[0], c(LABELS[0], integer))),
        ("cross_entropy", lambda t, c: t.learn_one(X[0], c(one_hot[0], dtype))),
        ("bce_with_logits", lambda t, c: t.evaluate(X, c(one_hot, dtype))["accuracy"]),
    ]
    for loss, way in ways:
        got = trained(loss, lambda trainer, way=way: way(trainer, change))
        expected = trained(loss, lambda trainer, way=way: way(trainer, lambda a, d: a))
        assert got[0] == expected[0]
        assert_same_state(got[1], expected[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_in_memory_is_computed_with(dtype: str) -> None:
    net = nets.network([3, 2], ["tanh"])
    assert_same_bits(net.predict(lying(X, dtype)), net.predict(X))
    assert_same_bits(gd.matmul(lying(X, dtype), X.T), gd.matmul(X.astype(dtype), X.T))
    arrays, others = [np.ones((6, 3))], [np.ones((6, 3))]
    gd.SGD(lr=0.5).bind(arrays).step([lying(X, dtype)])
    gd.SGD(lr=0.5).bind(others).step([X])
    assert_same_bits(arrays[0], others[0])
    state = {"0.weight": lying(X[:2], dtype), "0.bias": lying(X[0, :2], dtype)}
    net.load_state_dict(state)
    assert_same_bits(net.state_dict()["0.weight"], X[:2])
    assert_same_bits(net.state_dict()["0.bias"], X[0, :2])


def test_a_matrix_is_its_rows() -> None:
    """np.matrix stays two-dimensional whatever one does to it."""
    with pytest.warns(PendingDeprecationWarning):
        x, column = np.matrix(X), np.matrix(X[:, :1])
    got, expected = (gd.Trainer(nets.network([3, 1], ["identity"]), "mse", "sgd") for _ in range(2))
    assert got.step(x, column) == expected.step(X, X[:, :1])
    assert_same_state(got.network.state_dict(), expected.network.state_dict())
