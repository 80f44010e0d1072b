"""Inputs of codes where they come in: what they may hold, and what is told of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gdcore as gd

CODES = np.array([[0, 6], [4, 0], [2, 3]])
Y = np.ones((3, 1))


def row(name: str | None = None) -> gd.Network:
    layers = [gd.Embedding(3), gd.Dense(1)]
    return gd.Network(layers, inputs=gd.Input(categories=(5, 7), name=name), seed=1)


def beside_numbers() -> gd.Network:
    x, c = gd.Input(2, name="x"), gd.Input(categories=(5, 7), name="c")
    h = gd.Concat()(x, gd.Embedding(3)(c))
    return gd.Network(inputs=[x, c], outputs=gd.Dense(1)(h), seed=1)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "float32", "f8"])
def test_codes_of_any_dtype_that_holds_them(dtype: str) -> None:
    net = row()
    want = net.predict(CODES)
    np.testing.assert_array_equal(net.predict(CODES.astype(dtype)), want)
    np.testing.assert_array_equal(net.predict(np.asfortranarray(CODES.astype(dtype))), want)
    np.testing.assert_array_equal(net.predict(CODES.tolist()), want)


def test_codes_have_no_gradient() -> None:
    net = row()
    net.forward(CODES, training=True)
    assert net.backward(Y) is None
    net = beside_numbers()
    net.forward({"x": np.ones((3, 2)), "c": CODES}, training=True)
    assert {key: part.shape for key, part in net.backward(Y).items()} == {"x": (3, 2)}


def test_a_sample_of_codes() -> None:
    one, many = (gd.Trainer(row(), "mse", "sgd") for _ in range(2))
    losses = [one.learn_one(codes, y) for codes, y in zip(CODES, Y, strict=True)]
    assert many.learn_many(CODES, Y).tolist() == losses
    trainer = gd.Trainer(beside_numbers(), "mse", "sgd")
    assert trainer.learn_one({"x": np.ones(2), "c": CODES[0]}, 1.0) > 0


WRONG: list[tuple[Any, str]] = [
    (
        CODES + np.array([[0, 1], [0, 0], [0, 0]]),
        "whole numbers from 0 to 6 in column 1, got 7 at row 0",
    ),
    (CODES - [[0, 0], [0, 0], [3, 0]], "whole numbers from 0 to 4 in column 0, got -1 at row 2"),
    (CODES + np.array([[0, 0], [0, 0.5], [0, 0]]), "to 6 in column 1, got 0.5 at row 1"),
    (CODES * np.nan, "to 4 in column 0, got NaN at row 0"),
    (np.full((3, 2), 2**63, np.uint64), "to 4 in column 0, got 9.22337e+18 at row 0"),
    (CODES[:, :1], "must have shape (N, 2), got (3, 1)"),
    (CODES[:0], "must have at least one row, got shape (0, 2)"),
    (CODES.astype(str), "must hold real numbers, got dtype <U"),
]


@pytest.mark.parametrize(("codes", "words"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_code_is_told(codes: Any, words: str) -> None:
    net = row("c")
    trainer = gd.Trainer(net, "mse", "adam")
    before = net.state_dict()
    for call in (
        lambda: net.predict(codes),
        lambda: net.forward(codes, training=True),
        lambda: trainer.step(codes, Y),
        lambda: trainer.fit(codes, Y, epochs=1, progress=False),
    ):
        with pytest.raises((TypeError, ValueError)) as told:
            call()
        assert str(told.value).startswith("x must h")
        assert words in str(told.value)
    both = beside_numbers()
    with pytest.raises((TypeError, ValueError)) as told:
        both.predict({"x": np.ones((3, 2)), "c": codes})
    assert str(told.value).startswith("x['c'] must h")
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_a_sample_that_is_no_code_is_told() -> None:
    trainer = gd.Trainer(row(), "mse", "adam")
    with pytest.raises(ValueError, match=r"from 0 to 6 in column 1, got 9$"):
        trainer.learn_one([0, 9], 1.0)
    with pytest.raises(ValueError, match=r"x must have shape \(2,\), got \(3,\)"):
        trainer.learn_one([0, 1, 2], 1.0)
