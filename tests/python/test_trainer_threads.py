"""A trainer's number of threads: what is set counts at the next call, and changes no bit."""

from __future__ import annotations

import itertools
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_state, run_json

import gdcore as gd

X, Y = nets.inputs(256, 300), nets.targets("mse", 256, 40)


def new(num_threads: int | None = None, loss: str | None = "mse", **options: Any) -> gd.Trainer:
    net = nets.network([300, 600, 600, 40], ["relu", "tanh", "identity"], "float32")
    return gd.Trainer(net, loss, "adam", num_threads=num_threads, **options)


def workers(trainer: gd.Trainer) -> int:
    return trainer._native.num_workers(len(X))


def test_none_is_what_is_set_at_each_call() -> None:
    trainer = new()
    assert trainer.num_threads == gd.get_num_threads()
    for count in (1, 3, 2, 1):
        gd.set_num_threads(count)
        assert trainer.num_threads == count
        assert workers(trainer) == count
    gd.set_num_threads(None)
    assert trainer.num_threads == gd.get_num_threads()


def test_a_number_of_ones_own_stays() -> None:
    trainer = new(2)
    for count in (1, 3):
        gd.set_num_threads(count)
        assert (trainer.num_threads, workers(trainer)) == (2, 2)
    trainer.num_threads = 3
    assert (trainer.num_threads, workers(trainer)) == (3, 3)
    trainer.num_threads = None
    gd.set_num_threads(1)
    assert (trainer.num_threads, workers(trainer)) == (1, 1)


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (1025, ValueError), (2**40, ValueError), (2.0, TypeError),
     ("2", TypeError), (True, TypeError)],
)  # fmt: skip
def test_what_is_no_number_of_threads(value: Any, error: type[Exception]) -> None:
    trainer = new(2)
    with pytest.raises(error, match=r"^num_threads must be "):
        trainer.num_threads = value
    assert trainer.num_threads == 2


@pytest.mark.parametrize("clip_grad_norm", [None, 0.01])
@pytest.mark.parametrize("way", ["set_num_threads", "trainer.num_threads"])
def test_no_bit_changes(way: str, clip_grad_norm: float | None) -> None:
    """Threads come and go between steps, epochs, evaluations and gradients of one's own."""
    one = new(1, clip_grad_norm=clip_grad_norm)
    other = new(clip_grad_norm=clip_grad_norm)
    counts = itertools.cycle([2, 1, 3, 2, 1, 2, 3, 1])

    def change(*_: Any) -> None:
        if way == "set_num_threads":
            gd.set_num_threads(next(counts))
        else:
            other.num_threads = next(counts)

    class Changes(gd.callbacks.Callback):
        on_batch_end = on_epoch_end = change

    def work(trainer: gd.Trainer, act: Any, *callbacks: gd.callbacks.Callback) -> list[Any]:
        found: list[Any] = []
        for _ in range(2):
            act()
            found.append(trainer.step(X, Y))
            act()
            fitted = trainer.fit(
                X, Y, epochs=2, batch_size=100, validation_data=(X[:50], Y[:50]), metrics=["mae"],
                callbacks=callbacks, progress=False,
            )  # fmt: skip
            found.append(dict(fitted))
            act()
            found.append(trainer.evaluate(X, Y))
            output = trainer.network.forward(X, training=True)
            act()
            trainer.network.backward(output - Y)
            act()
            trainer.apply_gradients()
            found.append(trainer.learn_many(X[:4], Y[:4]).tolist())
        return found

    assert work(other, change, Changes()) == work(one, lambda: None)
    assert_same_state(other.network.state_dict(), one.network.state_dict())
    assert np.array_equal(other.network.predict(X), one.network.predict(X))


def test_the_environment_counts_where_nothing_is_set() -> None:
    code = """
import json
import gdcore as gd
trainer = gd.Trainer(gd.Network([gd.Dense(1)], input_size=1), "mse", "sgd")
found = [trainer.num_threads]
gd.set_num_threads(5)
found.append(trainer.num_threads)
gd.set_num_threads(None)
found.append(trainer.num_threads)
print(json.dumps(found))
"""
    assert run_json(code, env={"OMP_NUM_THREADS": "3"}) == [3, 5, 3]


def test_memory_is_planned_for_the_threads_of_now() -> None:
    trainer = new()
    gd.set_num_threads(1)
    alone = trainer.memory_plan(256)["packing"]
    gd.set_num_threads(4)
    assert trainer.memory_plan(256)["packing"] > alone
