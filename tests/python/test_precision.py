"""Products through bfloat16: near enough, and the same bits on any number of threads.

Where the machine has no such unit float32 serves, and all of this holds the more.
"""

from __future__ import annotations

from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_bits, assert_same_state

import gdcore as gd

PRECISIONS = ["high", "medium"]
# Rounding to 8 bits is off by at most 2^-9 of each operand; two bfloat16 parts by 2^-17 or less.
BOUND = {"high": 3 * 2.0**-17, "medium": 2.0**-8}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [(16, 16, 16), (40, 300, 50), (130, 70, 520), (500, 600, 700)])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
def test_products_are_near_and_the_same_on_any_threads(
    shape: tuple[int, int, int], transposed: tuple[bool, bool], precision: str
) -> None:
    m, n, k = shape
    random = np.random.default_rng(3)
    a = random.standard_normal((k, m) if transposed[0] else (m, k)).astype(np.float32)
    b = random.standard_normal((n, k) if transposed[1] else (k, n)).astype(np.float32)
    left, right = (x.astype(np.float64).T if t else x for x, t in zip((a, b), transposed))
    exact = left @ right
    one = gd.matmul(a, b, *transposed, precision=precision, num_threads=1)
    assert np.linalg.norm(one - exact) <= BOUND[precision] * np.linalg.norm(exact)
    for threads in (2, 3):
        many = gd.matmul(a, b, *transposed, precision=precision, num_threads=threads)
        assert_same_bits(many, one, f"threads {threads}")


# Rows are cut in blocks, and the depth within them, by how many rows there are.
@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_do_not_see_each_other(precision: str) -> None:
    random = np.random.default_rng(4)
    a = random.standard_normal((1100, 4500)).astype(np.float32)
    b = random.standard_normal((4500, 70)).astype(np.float32)
    c = gd.matmul(a, b, precision=precision)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert np.linalg.norm(c - exact) <= BOUND[precision] * np.linalg.norm(exact)
    for rows in (slice(0, 16), slice(300, 900), slice(1000, 1100)):
        assert_same_bits(gd.matmul(a[rows], b, precision=precision), c[rows], str(rows))
    assert_same_bits(gd.matmul(a, b[:, 33:], precision=precision), c[:, 33:], "columns")


def trained(widths: tuple[int, ...], precision: str, threads: int, steps: int) -> Any:
    net = nets.network(widths, ["relu"] * (len(widths) - 2) + ["identity"], "float32", seed=1)
    trainer = gd.Trainer(
        net, "mse", gd.Adam(lr=1e-3), matmul_precision=precision, num_threads=threads
    )
    teacher = np.random.default_rng(5).standard_normal((widths[0], widths[-1])) / widths[0]
    losses = []
    for step in range(steps):
        x = nets.inputs(128, widths[0], step % 8).astype(np.float32)
        losses.append(trainer.step(x, np.tanh(x @ teacher).astype(np.float32)))
    return net.state_dict(), losses


# Shared by samples, and by tiles with a layer of an odd width.
@pytest.mark.parametrize("widths", [(20, 64, 33, 16), (100, 400, 300, 17)])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_training_has_the_same_bits_on_any_threads(widths: tuple[int, ...], precision: str) -> None:
    state, losses = trained(widths, precision, 1, 4)
    for threads in (2, 3):
        others, other_losses = trained(widths, precision, threads, 4)
        assert_same_state(others, state)
        assert other_losses == losses


# A short last batch is packed in other blocks than those before it.
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_short_last_batch_has_the_same_bits_on_any_threads(precision: str) -> None:
    x = nets.inputs(1100, 2300, 9).astype(np.float32)
    y = nets.inputs(1100, 40, 8).astype(np.float32)

    def weights(threads: int) -> Any:
        net = nets.network((2300, 300, 40), ["relu", "identity"], "float32", seed=1)
        trainer = gd.Trainer(
            net, "mse", gd.Adam(lr=1e-3), matmul_precision=precision, num_threads=threads
        )
        trainer.fit(x, y, epochs=1, batch_size=1024, shuffle=False, progress=False)
        return net.state_dict()

    one = weights(1)
    for threads in (2, 3):
        assert_same_state(weights(threads), one)


@pytest.mark.parametrize(("precision", "off"), [("high", 1e-3), ("medium", 0.1)])
def test_the_loss_falls_as_at_highest(precision: str, off: float) -> None:
    widths = (64, 128, 64, 16)
    losses = trained(widths, precision, 2, 200)[1]
    highest = trained(widths, "highest", 2, 200)[1]
    assert highest[-1] < 0.2 * highest[0]
    assert abs(losses[-1] - highest[-1]) <= off * highest[-1]
