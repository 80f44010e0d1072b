"""Workers that train weights of their own follow whatever changes the network's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gdcore as gd

ROWS, INPUTS, CLASSES = 256, 12, 3


def data(seed: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, INPUTS)).astype(np.float32)
    return x, random.integers(0, CLASSES, rows)


def made(threads: int, rule: gd.Optimizer | None = None) -> gd.Trainer:
    layers = [gd.Dense(64, "relu"), gd.Dense(64, "tanh"), gd.Dense(CLASSES)]
    net = gd.Network(layers, input_size=INPUTS, seed=3)
    return gd.Trainer(net, "cross_entropy", rule or gd.Adam(lr=1e-3), num_threads=threads, seed=1)


def shifted(trainer: gd.Trainer, by: float) -> None:
    state = trainer.network.state_dict()
    trainer.network.load_state_dict({key: value + np.float32(by) for key, value in state.items()})


def of_its_own_loss(trainer: gd.Trainer) -> None:
    net = trainer.network
    output = net.forward(data(11)[0], training=True)
    net.backward(output / len(output))
    trainer.apply_gradients()


def with_a_second_trainer(trainer: gd.Trainer) -> None:
    other = gd.Trainer(trainer.network, "mse", gd.SGD(lr=1e-2), num_threads=2)
    x, labels = data(12)
    for _ in range(2):
        other.step(x, np.eye(CLASSES, dtype=np.float32)[labels])


def diverging(trainer: gd.Trainer) -> None:
    trainer.lr = 3e38
    with pytest.raises(FloatingPointError):
        trainer.fit(*data(13), epochs=3, batch_size=64, progress=False)
    trainer.lr = 1e-3


CHANGES: dict[str, Callable[[gd.Trainer], object]] = {
    "new weights": lambda trainer: shifted(trainer, 0.01),
    "a loss of one's own": of_its_own_loss,
    "another trainer": with_a_second_trainer,
    "an epoch undone": diverging,
    "one sample": lambda trainer: trainer.learn_one(*(array[0] for array in data(14, 1))),
    "another size of batch": lambda trainer: trainer.step(*data(15, 100)),
    "a batch in pieces": lambda trainer: trainer.step(*data(16, 5000)),
    "fit": lambda trainer: trainer.fit(*data(17), epochs=2, batch_size=96, progress=False),
    "nothing that counts": lambda trainer: trainer.evaluate(*data(18)),
}


@pytest.mark.parametrize("threads", [2, 3, 4])
@pytest.mark.parametrize("change", CHANGES)
def test_own_weights_follow(change: str, threads: int) -> None:
    one, many = made(1), made(threads)
    for trainer in (one, many):
        for seed in range(3):
            trainer.step(*data(seed))
        CHANGES[change](trainer)
    losses = [[trainer.step(*data(seed)) for seed in range(4)] for trainer in (one, many)]
    assert losses[0] == losses[1]
    for key, value in one.network.state_dict().items():
        np.testing.assert_array_equal(value, many.network.state_dict()[key], err_msg=key)


def test_own_weights_follow_a_file(tmp_path: Path) -> None:
    one, many = made(1), made(2)
    for trainer in (one, many):
        for seed in range(3):
            trainer.step(*data(seed))
    many.save(tmp_path / "run.safetensors")
    loaded = gd.Trainer.load(tmp_path / "run.safetensors", num_threads=2)
    losses = [[t.step(*data(seed)) for seed in range(4)] for t in (one, many, loaded)]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize(
    "rule", [gd.SGD(lr=0.1, momentum=0.9), gd.RMSprop(centered=True), gd.Adadelta(), gd.Adagrad()]
)
def test_own_weights_under_other_rules(rule: gd.Optimizer) -> None:
    losses = []
    for threads in (1, 2, 4):
        trainer = made(threads, rule)
        losses.append([trainer.step(*data(seed % 4)) for seed in range(12)])
    assert losses[0] == losses[1] == losses[2]
