"""A network and trainers at work, for tests of what a bad call may not disturb."""

from __future__ import annotations

import contextlib
from typing import Any

import nets
import numpy as np
from support import digest

import gdcore as gd

__all__ = ["LABELS", "PROBABILITIES", "WEIGHT", "World", "X", "Y"]

X, Y = nets.inputs(8, 6), nets.targets("mse", 8, 4)
LABELS = nets.targets("cross_entropy", 8, 4)
PROBABILITIES = np.full((8, 4), 0.25)
WEIGHT = np.linspace(0.5, 1, 8)


class World:
    """A network and trainers in the middle of their work, all that a bad call could disturb."""

    def __init__(self, dtype: str = "float64") -> None:
        self.net = nets.network([6, 11, 4], ["tanh", "identity"], dtype)
        self.mse = gd.Trainer(self.net, loss="mse", optimizer=gd.Adam(lr=0.01))
        self.classes = gd.Trainer(self.net, loss="cross_entropy", optimizer=gd.Adam(lr=0.01))
        self.binary = gd.Trainer(self.net, loss="bce_with_logits", optimizer="sgd")
        self.arrays = [np.ones((2, 3)), np.ones(3)]
        self.rule = gd.Adam(lr=0.1).bind(self.arrays)
        self.mse.step(X, Y)
        self.classes.step(X, LABELS)
        self.rule.step([np.ones((2, 3)), np.ones(3)])
        self.net.forward(X, training=True)
        self.net.backward(Y)
        self.net.forward(X, training=True)

    def state(self) -> list[Any]:
        position = [(t.steps, t.epochs, t.lr) for t in (self.mse, self.classes, self.binary)]
        gradients = None
        with contextlib.suppress(RuntimeError):  # a step has used them up
            gradients = digest(self.net.gradients())
        arrays = [array.tolist() for array in self.arrays]
        rules = [
            [digest(state) for state in trainer._native.copy()[2]]
            for trainer in (self.mse, self.classes, self.binary)
        ]
        parameters = digest(self.net.state_dict())
        return [parameters, gradients, position, rules, self.rule.lr, arrays, gd.get_num_threads()]

    def go_on(self) -> None:
        """Reaches what state() cannot show: kept activations and the bound rule's own state."""
        self.net.backward(Y)
        self.mse.step(X, Y)
        self.classes.step(X, LABELS)
        self.rule.step([np.full((2, 3), 0.5), np.full(3, -1.0)])
