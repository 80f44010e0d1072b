"""What happens between a gradient and an update: pieces of large batches, clipping, divergence."""

from __future__ import annotations

import nets
import numpy as np
import pytest
from support import assert_same_state, relative_error

import gdcore as gd

ROWS = 5000  # more than go through a network at once


def mse_trainer(rule: gd.optimizers.Optimizer, **options: float) -> gd.Trainer:
    net = nets.network([30, 64, 16], ["relu", "identity"], "float32", seed=3)
    return gd.Trainer(net, loss="mse", optimizer=rule, **options)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((ROWS, 30)).astype(np.float32),
        rng.standard_normal((ROWS, 16)).astype(np.float32),
    )


@pytest.mark.parametrize("rows", [2047, 2048, 2049, ROWS])
def test_a_batch_in_pieces_has_the_bits_of_one_pass(
    data: tuple[np.ndarray, np.ndarray], rows: int
) -> None:
    """forward and backward take all rows at once; sixteen outputs make the mean a power of two."""
    x, y = (array[:rows] for array in data)
    weights = np.full(rows, 2.0**-4)
    weights[rows // 2048 * 2048 :] = 2.0**-5
    ours, by_hand = mse_trainer(gd.SGD(lr=0.1)), mse_trainer(gd.SGD(lr=0.1))
    ours.step(x, y, weights)
    share = (weights / weights.sum()).astype(np.float32) / np.float32(16)
    out = by_hand.network.forward(x, training=True)
    by_hand.network.backward(share[:, None] * (np.float32(2) * (out - y)))
    by_hand.apply_gradients()
    assert_same_state(ours.network.state_dict(), by_hand.network.state_dict())


def test_gradient_descent_is_a_step_on_all_samples(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    fitted, stepped = mse_trainer(gd.Adam()), mse_trainer(gd.Adam())
    history = fitted.fit(x, y, epochs=3, batch_size=None, progress=False)
    losses = [stepped.step(x, y) for _ in range(3)]
    assert history["loss"] == losses
    assert_same_state(fitted.network.state_dict(), stepped.network.state_dict())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_clipping_limits_the_norm_of_the_whole_gradient(
    data: tuple[np.ndarray, np.ndarray], threads: int
) -> None:
    x, y = data
    before = mse_trainer(gd.SGD(lr=1.0)).network.state_dict()
    free = mse_trainer(gd.SGD(lr=1.0), num_threads=threads)
    free.step(x, y)
    moved = {key: value - before[key] for key, value in free.network.state_dict().items()}
    norm = float(np.sqrt(sum((d.astype(np.float64) ** 2).sum() for d in moved.values())))
    for limit in (norm / 10, norm * 10):
        clipped = mse_trainer(gd.SGD(lr=1.0), num_threads=threads, clip_grad_norm=limit)
        clipped.step(x, y)
        factor = min(1.0, limit / (norm + 1e-6))
        for key, value in clipped.network.state_dict().items():
            assert relative_error(value - before[key], factor * moved[key]) < 1e-4, key


def test_clipping_does_not_depend_on_threads_or_way(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = (array[:64] for array in data)
    states = []
    for threads in (1, 2, 5):
        trainer = mse_trainer(gd.SGD(lr=0.1), num_threads=threads, clip_grad_norm=0.01)
        for _ in range(5):
            trainer.step(x, y)
        states.append(trainer.network.state_dict())
    own = mse_trainer(gd.SGD(lr=0.1), clip_grad_norm=0.01)
    for _ in range(5):
        out = own.network.forward(x, training=True)
        own.network.backward((np.float32(2) * (out - y)) * np.float32(2.0**-10))
        own.apply_gradients()
    for state in [*states[1:], own.network.state_dict()]:
        assert_same_state(states[0], state)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_must_be_a_number_above_zero(limit: float) -> None:
    with pytest.raises(ValueError, match="clip_grad_norm"):
        mse_trainer(gd.SGD(), clip_grad_norm=limit)


@pytest.mark.parametrize("rule", [gd.SGD(lr=1e10, momentum=0.9), gd.Adam(lr=1e30)], ids=repr)
def test_a_diverging_epoch_is_undone(
    data: tuple[np.ndarray, np.ndarray], rule: gd.optimizers.Optimizer
) -> None:
    x, y = (array[:500] for array in data)
    twin, trainer = mse_trainer(rule), mse_trainer(rule)
    for each in (twin, trainer):
        each.lr = 0.001
        each.fit(x, y, epochs=2, progress=False)
    trainer.lr = rule.lr
    with pytest.raises(FloatingPointError, match=r"epoch 3 at step \d+ with learning rate 1e\+"):
        trainer.fit(x, y, epochs=5, progress=False)
    assert (trainer.steps, trainer.epochs) == (twin.steps, twin.epochs)
    assert_same_state(trainer.network.state_dict(), twin.network.state_dict())
    trainer.lr = 0.001  # and the optimizer's state is that of the end of epoch 2 too
    for each in (twin, trainer):
        each.fit(x, y, epochs=1, progress=False)
    assert_same_state(trainer.network.state_dict(), twin.network.state_dict())


def test_fit_does_not_begin_from_parameters_that_are_not_finite() -> None:
    net = gd.Network([gd.Dense(1)], input_size=2)
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=1e30))
    x, y = np.ones((4, 2)), np.full(4, 1e5)
    while np.isfinite(trainer.step(x, y)):
        pass
    with pytest.raises(RuntimeError, match="the parameters are not finite"):
        trainer.fit(x, y, progress=False)
    assert trainer.epochs == 0
    net.load_state_dict({"0.weight": np.zeros((1, 2)), "0.bias": np.zeros(1)})
    trainer.lr = 1e-3
    assert trainer.fit(x, y, progress=False)["loss"] == [1e10]
