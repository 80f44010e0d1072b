"""Drawn networks, batches and ways to train: one thread and several agree to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import assert_same_bits, assert_same_state

import gdcore as gd

# Around the edges of vectors, panels and parts of a batch; the large ones share what they pack.
SMALL = (1, 3, 20, 33, 64, 100, 257), (1, 2, 31, 64, 127, 128, 129, 300, 513)
LARGE = (64, 300, 337, 400, 512, 600), (64, 300, 336, 512, 700)

ACTIVATIONS = ("relu", "gelu", "tanh", "identity", "sigmoid", "leaky_relu")
RULES = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta")


@st.composite
def trainings(draw: st.DrawFn, sizes: tuple[Sequence[int], Sequence[int]]) -> dict[str, Any]:
    widths, rows = sizes
    dtype = draw(st.sampled_from(("float32", "float64")))
    precisions = ("highest", "high", "medium") if dtype == "float32" else ("highest",)
    return {
        "widths": draw(st.lists(st.sampled_from(widths), min_size=2, max_size=4)),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "rows": draw(st.sampled_from(rows)),
        "dtype": dtype,
        "rule": draw(st.sampled_from(RULES)),
        "clip": draw(st.sampled_from((None, None, 1e-2))),
        "precision": draw(st.sampled_from(precisions)),
        "way": draw(st.sampled_from(("step", "smaller step", "fit"))),
        "seed": draw(st.integers(0, 1000)),
    }


def trained(case: dict[str, Any], threads: int) -> tuple[dict[str, Any], Any]:
    """Parameters after a few steps, and what they predict."""
    widths, rows, seed = case["widths"], case["rows"], case["seed"]
    hidden = [gd.Dense(units, case["activation"]) for units in widths[1:-1]]
    net = gd.Network(
        [*hidden, gd.Dense(widths[-1])], input_size=widths[0], dtype=case["dtype"], seed=seed
    )
    trainer = gd.Trainer(
        net,
        "mse",
        case["rule"],
        num_threads=threads,
        clip_grad_norm=case["clip"],
        matmul_precision=case["precision"],
    )
    random = np.random.default_rng(seed)
    x, target = (
        random.standard_normal((rows, n)).astype(case["dtype"]) for n in (widths[0], widths[-1])
    )
    if case["way"] == "fit":
        trainer.fit(x, target, epochs=2, batch_size=max(1, rows // 2), progress=False)
    else:
        few = max(1, rows // 3) if case["way"] == "smaller step" else rows
        for count in (rows, rows, few, rows):
            trainer.step(x[:count], target[:count])
    return net.state_dict(), net.predict(x)


@pytest.mark.parametrize("sizes", [SMALL, LARGE], ids=["small", "large"])
@settings(max_examples=40)
@given(data=st.data())
def test_any_number_of_threads_gives_the_same_bits(
    sizes: tuple[Sequence[int], Sequence[int]], data: st.DataObject
) -> None:
    case = data.draw(trainings(sizes))
    want_state, want = trained(case, 1)
    for threads in (2, 3, 5):
        state, predicted = trained(case, threads)
        assert_same_state(state, want_state)
        assert_same_bits(predicted, want, f"predictions, {threads} threads")
