"""Update rules on dictionaries of arrays, in place; the algorithms of PyTorch's documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from .activations import Array
from .later_rules import *  # noqa: F403


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


class AdamW(Adam):
    def __init__(self, lr: float = 1e-3, weight_decay: float = 1e-2, **options: Any) -> None:
        super().__init__(lr=lr, **options)
        self.decay = weight_decay

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        for w in weights.values():
            w -= self.lr * self.decay * w
        super().step(weights, gradients)


class Adagrad:
    def __init__(
        self,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        self.lr, self.lr_decay, self.weight_decay = lr, lr_decay, weight_decay
        self.start, self.eps = initial_accumulator_value, eps
        self.t = 0
        self.total: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.t += 1
        rate = self.lr / (1.0 + (self.t - 1) * self.lr_decay)
        for key, w in weights.items():
            g = gradients[key] + self.weight_decay * w
            self.total[key] = self.total.get(key, np.full_like(w, self.start)) + g * g
            w -= rate * g / (np.sqrt(self.total[key]) + self.eps)


class RMSprop:
    def __init__(
        self,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        self.lr, self.alpha, self.eps = lr, alpha, eps
        self.weight_decay, self.momentum, self.centered = weight_decay, momentum, centered
        self.square: dict[str, Array] = {}
        self.mean: dict[str, Array] = {}
        self.buffer: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        for key, w in weights.items():
            g = gradients[key] + self.weight_decay * w
            zero = np.zeros_like(w)
            take = 1.0 - self.alpha
            self.square[key] = self.alpha * self.square.get(key, zero) + take * g * g
            self.mean[key] = self.alpha * self.mean.get(key, zero) + take * g
            spread = self.square[key] - (self.mean[key] ** 2 if self.centered else 0.0)
            scaled = g / (np.sqrt(spread) + self.eps)
            self.buffer[key] = self.momentum * self.buffer.get(key, zero) + scaled
            w -= self.lr * self.buffer[key]


class Adadelta:
    def __init__(
        self, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
    ) -> None:
        self.lr, self.rho, self.eps, self.weight_decay = lr, rho, eps, weight_decay
        self.square: dict[str, Array] = {}
        self.moved: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        for key, w in weights.items():
            g = gradients[key] + self.weight_decay * w
            zero = np.zeros_like(w)
            self.square[key] = self.rho * self.square.get(key, zero) + (1.0 - self.rho) * g * g
            moved = self.moved.get(key, zero)
            step = np.sqrt(moved + self.eps) / np.sqrt(self.square[key] + self.eps) * g
            self.moved[key] = self.rho * moved + (1.0 - self.rho) * step * step
            w -= self.lr * step
