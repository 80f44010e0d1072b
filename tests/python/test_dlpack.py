"""Arrays of other libraries: taken wherever NumPy's are, and without a copy where they fit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import assert_same_bits, assert_same_state

import gdcore as gd


class OnlyDLPack:
    """What has no other way to its numbers."""

    def __init__(self, array: Any) -> None:
        self._array = np.asarray(array)

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


def from_torch(array: Any) -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    return torch.tensor(np.asarray(array))


def from_jax(array: Any) -> Any:
    numpy = pytest.importorskip("jax.numpy", reason="JAX is not installed")
    return numpy.asarray(array)


OTHERS = pytest.mark.parametrize("other", [OnlyDLPack, from_torch, from_jax])
Other = Callable[[Any], Any]

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((40, 3)).astype(np.float32), RANDOM.integers(0, 2, 40)
WEIGHTS = RANDOM.random(40).astype(np.float32)


def trainer() -> gd.Trainer:
    net = gd.Network([gd.Dense(4, "relu"), gd.Dense(2)], input_size=3, seed=0)
    return gd.Trainer(net, "cross_entropy", "adam")


@OTHERS
def test_training_takes_them(other: Other) -> None:
    ours, theirs = trainer(), trainer()
    found = []
    for own, of in ((ours, np.asarray), (theirs, other)):
        x, y, weights = map(of, (X, Y, WEIGHTS))
        own.fit(
            x, y, epochs=2, sample_weight=weights, validation_data=(x, y, weights), progress=False
        )
        found.append((own.step(x, y, weights), own.evaluate(x, y), own.learn_many(x, y).tolist()))
        found[-1] += (own.learn_one(of(X[0]), of(Y[0])),)
    assert found[0] == found[1]
    assert_same_state(ours.network.state_dict(), theirs.network.state_dict())


@OTHERS
def test_networks_and_what_stands_alone_take_them(other: Other) -> None:
    net = trainer().network
    assert_same_bits(net.predict(other(X)), net.predict(X), "predict")
    gradient = RANDOM.standard_normal((40, 2)).astype(np.float32)
    results = []
    for of in (np.asarray, other):
        net.forward(of(X), training=True)
        results.append(net.backward(of(gradient)))
    assert_same_bits(*results, "backward")
    net.load_state_dict({key: other(2 * value) for key, value in net.state_dict().items()})
    assert_same_bits(gd.matmul(other(X), other(X.T)), gd.matmul(X, X.T), "matmul")
    weights = np.zeros(3)
    gd.SGD(lr=1.0).bind([weights]).step([other(np.ones(3))])
    assert weights.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("other", [OnlyDLPack, from_torch])
def test_what_fits_is_not_copied(other: Other) -> None:
    x, y = other(np.ones((50_000, 3), np.float32)), other(np.zeros(50_000, np.int64))
    own = trainer()
    own.evaluate(x, y)
    tracemalloc.start()
    try:
        own.evaluate(x, y)
        own.step(x, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000  # x has 600,000 bytes, y 400,000


@OTHERS
def test_what_is_wrong_with_them_is_told(other: Other) -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(N, 3\), got \(40, 2\)"):
        trainer().step(other(X[:, :2]), Y)
    with pytest.raises(TypeError, match="x must hold real numbers, got dtype complex64"):
        trainer().step(other(X.astype(np.complex64)), Y)


def test_torch_tells_what_it_cannot_give() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for given in (torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, dtype=torch.bfloat16)):
        with pytest.raises(ValueError, match="x cannot be made an array"):
            trainer().network.predict(given)


def test_outputs_go_to_others_without_a_copy() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    output = trainer().network.predict(X)
    taken = torch.from_dlpack(output)
    taken[0, 0] = 7.0
    assert output[0, 0] == 7.0
