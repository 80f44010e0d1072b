"""Targets that no loss can take: probabilities that are none, and samples of another shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import pytest
from support import digest

import gdcore as gd

X = nets.inputs(8, 6)
LABELS = nets.targets("cross_entropy", 8, 4)


def trainer_of(loss: str, outputs: int = 4, dtype: str = "float64") -> gd.Trainer:
    names = ["tanh", "identity"]
    return gd.Trainer(nets.network([6, 5, outputs], names, dtype), loss, gd.Adam(lr=0.01))


def assert_refused(trainer: gd.Trainer, call: Callable[[gd.Trainer], Any], *words: str) -> None:
    assert trainer.loss is not None
    trainer.step(X, nets.targets(trainer.loss.name, 8, trainer.network.output_size))
    before = digest(trainer.network.state_dict()), trainer.steps
    with pytest.raises(ValueError, match=r"^(y|validation_data\[1\]) must ") as raised:
        call(trainer)
    for word in words:
        assert word in str(raised.value)
    assert (digest(trainer.network.state_dict()), trainer.steps) == before


# ---- rows of class probabilities ----

ROWS: dict[str, list[Any]] = {
    "all zero": [0, 0, 0, 0],
    "two classes": [1, 1, 0, 0],
    "per cent": [100, 0, 0, 0],
    "a rest": [0.3, 0.3, 0.3, 0],
    "logits": [2.5, 0.1, 0.3, 1.7],
    "two decimals": [0.33, 0.33, 0.33, 0],
    "nearly": [0.25, 0.25, 0.25, 0.256],
}
WAYS: dict[str, Callable[[gd.Trainer, Any], Any]] = {
    "step": lambda t, y: t.step(X, y),
    "fit": lambda t, y: t.fit(X, y, progress=False),
    "validation": lambda t, y: t.fit(X, LABELS, validation_data=(X, y), progress=False),
    "evaluate": lambda t, y: t.evaluate(X, y),
    "learn_many": lambda t, y: t.learn_many(X, y),
    "check_gradients": lambda t, y: gd.check_gradients(t.network, "cross_entropy", X, y),
    "top_k": lambda t, y: gd.metrics.TopK(2)(y, X[:, :4], task="multiclass"),
    "accuracy": lambda t, y: gd.metrics.Accuracy()(y, X[:, :4], task="multiclass"),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("way", WAYS)
def test_rows_that_are_no_probabilities_are_named(way: str, row: str) -> None:
    for dtype in ("float64", "float32", "int64"):
        if dtype == "int64" and not all(isinstance(number, int) for number in ROWS[row]):
            continue
        y = np.zeros((8, 4), dtype)
        y[:, 0] = 1
        y[5] = ROWS[row]
        told = f"{sum(ROWS[row]):.4g}"[:4]
        for network in ("float64", "float32"):
            trainer = trainer_of("cross_entropy", dtype=network)
            assert_refused(trainer, lambda t, y=y: WAYS[way](t, y), "add up to 1", "in row 5", told)


@pytest.mark.parametrize("row", ROWS)
def test_a_sample_that_is_no_probabilities_is_named(row: str) -> None:
    for make in (list, np.array, lambda r: np.array(r, np.float32)):
        trainer = trainer_of("cross_entropy")
        assert_refused(trainer, lambda t, m=make: t.learn_one(X[0], m(ROWS[row])), "add up to 1")


def test_probabilities_below_0_are_named_though_they_add_up() -> None:
    y = [[1.5, -0.5, 0, 0]] * 8
    for way in WAYS.values():
        assert_refused(trainer_of("cross_entropy"), lambda t, w=way: w(t, y), "-0.5")


# ---- one sample ----


@pytest.mark.parametrize("loss", ["mse", "bce_with_logits", "cross_entropy"])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (2, 2), (1, 1, 4), (1, 1), (3,), (5,), (0,)])
def test_a_sample_of_another_shape_is_refused(shape: tuple[int, ...], loss: str) -> None:
    for dtype in ("float64", "float32", "int64"):
        y = np.zeros(shape, dtype)
        y.ravel()[:1] = 1
        words = "have shape (4,)", f"got shape {shape}"
        assert_refused(trainer_of(loss), lambda t, y=y: t.learn_one(X[0], y), *words)


@pytest.mark.parametrize("loss", ["mse", "bce_with_logits"])
def test_of_one_output_a_number_or_one_number_is_taken(loss: str) -> None:
    losses = [
        trainer_of(loss, 1).learn_one(X[0], y)
        for y in (1, 1.0, True, [1], np.ones(1, np.float32), np.float64(1), np.array(1))
    ]
    assert len(set(losses)) == 1
    for y in ([[1.0]], [1.0, 0.0], np.ones((1, 1, 1)), []):
        assert_refused(trainer_of(loss, 1), lambda t, y=y: t.learn_one(X[0], y), "be one number or")
    assert_refused(trainer_of(loss), lambda t: t.learn_one(X[0], 0.5), "got a single number")


def test_a_label_is_one_number() -> None:
    expected = trainer_of("cross_entropy").learn_one(X[0], 2)
    for y in (np.int8(2), np.array(2, np.uint64)):
        assert trainer_of("cross_entropy").learn_one(X[0], y) == expected
    for y in ([2], [[2]], [2, 1]):
        words = "be one class label or have shape (4,) of probabilities", "got shape ("
        assert_refused(trainer_of("cross_entropy"), lambda t, y=y: t.learn_one(X[0], y), *words)
    for y in (4, -1, np.uint64(2**63)):
        words = "be a label from 0 to 3", f"got {y}"
        assert_refused(trainer_of("cross_entropy"), lambda t, y=y: t.learn_one(X[0], y), *words)
