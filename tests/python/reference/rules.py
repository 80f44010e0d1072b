"""Update rules on dictionaries of arrays, in place; the algorithms of PyTorch's documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from .activations import Array


class Rule(Protocol):
    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None: ...


class SGD:
    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self.buffers: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        for key, w in weights.items():
            g = gradients[key] + self.weight_decay * w
            if self.momentum != 0.0:
                if key in self.buffers:
                    self.buffers[key] = (
                        self.momentum * self.buffers[key] + (1.0 - self.dampening) * g
                    )
                else:  # the first step takes the gradient whole, without dampening
                    self.buffers[key] = g.copy()
                buffer = self.buffers[key]
                g = g + self.momentum * buffer if self.nesterov else buffer
            w -= self.lr * g


class Adam:
    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        self.lr, self.betas, self.eps = lr, betas, eps
        self.weight_decay, self.amsgrad = weight_decay, amsgrad
        self.t = 0
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}
        self.v_max: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.t += 1
        beta1, beta2 = self.betas
        for key, w in weights.items():
            g = gradients[key] + self.weight_decay * w
            zero = np.zeros_like(w)
            self.m[key] = beta1 * self.m.get(key, zero) + (1.0 - beta1) * g
            self.v[key] = beta2 * self.v.get(key, zero) + (1.0 - beta2) * g * g
            self.v_max[key] = np.maximum(self.v_max.get(key, zero), self.v[key])
            second = self.v_max[key] if self.amsgrad else self.v[key]
            root = np.sqrt(second) / math.sqrt(1.0 - beta2**self.t)
            w -= self.lr / (1.0 - beta1**self.t) * self.m[key] / (root + self.eps)
