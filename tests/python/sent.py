"""What tests of processes send there: importable in any of them; no tests here."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np

import gdcore as gd
from gdcore.callbacks import Callback

N = 60
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 5)).astype(np.float32)
Y = np.sin(X[:, :1]) * X[:, 1:2]
XV, YV = X[:20] + 1, Y[:20]
WEIGHT = np.linspace(0.2, 2, N)


def made(seed: int = 0, lr: float = 1e-2, **options: Any) -> gd.Trainer:
    dtype = options.pop("dtype", "float32")
    layers = options.pop("layers", [gd.Dense(8, "relu"), gd.Dense(1)])
    net = gd.Network(layers, input_size=5, seed=seed, dtype=dtype)
    loss = options.pop("loss", "mse")
    return gd.Trainer(net, loss, options.pop("optimizer", gd.Adam(lr=lr)), **options)


def own_loss(p: Any, y: Any) -> tuple[Any, Any]:
    return ((p - y) ** 2).mean(axis=1), 2 * (p - y) / p.size


def falling(epoch: int) -> float:
    return 0.01 / (1 + epoch)


def absolute(y: Any, output: Any) -> float:
    return float(np.abs(y - output).mean())


def with_own_loss() -> gd.Trainer:
    return made(4, loss=own_loss, schedule=falling, num_threads=2)


def diverging() -> gd.Trainer:
    return made(lr=1e30)


def not_a_trainer() -> Any:
    return "none"


def hidden() -> gd.Trainer:
    """One that cannot come back: its loss is a function within a function."""

    def within(p: Any, y: Any) -> tuple[Any, Any]:
        return own_loss(p, y)

    return made(loss=within)


class UnknownError(Exception):
    """What cannot be made again of its words."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class At(Callback):
    """Does something at an epoch of the network of a seed."""

    def __init__(self, what: str, seed: int = 1, epoch: int = 2) -> None:
        self.what, self.seed, self.epoch = what, seed, epoch
        self.process = 0

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        self.process = os.getpid()
        if (trainer.network.seed, epoch) != (self.seed, self.epoch):
            return
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "unknown":
            raise UnknownError(1, 2)
        if self.what == "lock":
            self.lock = threading.Lock()  # which no process can send
        if self.what == "interrupt":
            raise KeyboardInterrupt
        if self.what == "exit":
            raise SystemExit(3)
        if self.what == "stop":
            trainer.stop()
        if self.what == "full":
            raise OSError("full")


def noted(path: str, estimator: Any) -> bool:
    """A callback of an estimator: writes which process and thread it has, and how many it uses."""
    (trainer,) = (e.trainer for e in estimator._held().made.values() if e.trainer is not None)
    with open(path, "a") as file:
        file.write(f"{os.getpid()} {threading.get_ident()} {trainer.num_threads}\n")
    return False


def fitted(estimator: Any, x: Any, y: Any) -> tuple[str, bool, list[Any]]:
    """What an estimator was given, and what it has learnt and says."""
    estimator.fit(x, y)
    state = [net.state_dict() for net in getattr(estimator, "networks_", [estimator.network_])]
    learnt = [array for each in state for array in each.values()]
    return type(x).__name__, x.flags.writeable, [*learnt, estimator.predict(x)]
