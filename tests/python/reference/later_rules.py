"""Update rules beside the first six, written as their papers or authors' codes have them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[float, float]

__all__ = [
    "ADOPT",
    "ASGD",
    "FTRL",
    "MADGRAD",
    "AdEMAMix",
    "AdaBelief",
    "Adamax",
    "Adan",
    "Lion",
    "NAdam",
    "RAdam",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Yogi",
]


class _Elementwise:
    """What each rule does to one array; ``state`` keeps what belongs to it."""

    lr: float

    def __init__(self) -> None:
        self.t = 0
        self.states: dict[str, dict[str, Array]] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.t += 1
        self.begin()
        for key, w in weights.items():
            self.update(w, gradients[key].copy(), self.states.setdefault(key, {}))

    def begin(self) -> None:
        """What a step does once."""

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        raise NotImplementedError

    def evaluated(self, key: str, w: Array) -> Array:
        """What to evaluate in the place of w."""
        return w


def _mean(state: dict[str, Array], name: str, beta: float, value: Array, start: float = 0) -> Array:
    """A running mean."""
    state[name] = beta * state.get(name, np.full_like(value, start)) + (1 - beta) * value
    return state[name]


class Adamax(_Elementwise):
    def __init__(
        self, lr: float = 2e-3, betas: Pair = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        g += self.decay * w
        m = _mean(state, "m", self.betas[0], g)
        before = state.get("u", np.zeros_like(w))
        u = state["u"] = np.maximum(self.betas[1] * before, np.abs(g) + self.eps)
        w -= self.lr / (1 - self.betas[0] ** self.t) * m / u


class NAdam(_Elementwise):
    def __init__(
        self, lr: float = 2e-3, betas: Pair = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.momentum_decay, self.decoupled = momentum_decay, decoupled_weight_decay
        self.product = 1.0

    def momentum(self, t: int) -> float:
        return self.betas[0] * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def begin(self) -> None:
        self.product *= self.momentum(self.t)

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        if self.decoupled:
            w *= 1 - self.lr * self.decay
        else:
            g += self.decay * w
        now, after = self.momentum(self.t), self.momentum(self.t + 1)
        m = _mean(state, "m", self.betas[0], g)
        v = _mean(state, "v", self.betas[1], g * g)
        root = np.sqrt(v / (1 - self.betas[1] ** self.t)) + self.eps
        w -= self.lr * (1 - now) / (1 - self.product) * g / root
        w -= self.lr * after / (1 - self.product * after) * m / root


class RAdam(_Elementwise):
    def __init__(
        self, lr: float = 1e-3, betas: Pair = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.decoupled = decoupled_weight_decay

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        if self.decoupled:
            w *= 1 - self.lr * self.decay
        else:
            g += self.decay * w
        beta1, beta2 = self.betas
        m = _mean(state, "m", beta1, g) / (1 - beta1**self.t)
        v = _mean(state, "v", beta2, g * g)
        rest = 1 - beta2**self.t
        most = 2 / (1 - beta2) - 1
        rho = most - 2 * self.t * beta2**self.t / rest
        if rho <= 5:
            w -= self.lr * m
            return
        rectified = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
        w -= self.lr * m * math.sqrt(rest) / (np.sqrt(v) + self.eps) * math.sqrt(rectified)


class Rprop(_Elementwise):
    def __init__(
        self, lr: float = 1e-2, etas: Pair = (0.5, 1.2), step_sizes: Pair = (1e-6, 50)
    ) -> None:
        super().__init__()
        self.lr, self.etas, self.step_sizes = lr, etas, step_sizes

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        turn = g * state.get("g", np.zeros_like(w))
        factor = np.where(turn > 0, self.etas[1], np.where(turn < 0, self.etas[0], 1))
        sizes = state.get("sizes", np.full_like(w, self.lr))
        state["sizes"] = np.clip(sizes * factor, *self.step_sizes)
        state["g"] = np.where(turn < 0, 0, g)
        w -= np.sign(state["g"]) * state["sizes"]


class ASGD(_Elementwise):
    def __init__(
        self, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.lambd, self.alpha = lr, lambd, alpha
        self.t0, self.decay = t0, weight_decay

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        g += self.decay * w
        rate = self.lr / (1 + self.lambd * self.lr * (self.t - 1)) ** self.alpha
        w *= 1 - self.lambd * rate
        w -= rate * g
        average = state.get("average", np.zeros_like(w))
        state["average"] = average + (w - average) / max(1, self.t - 1 - self.t0)

    def evaluated(self, key: str, w: Array) -> Array:
        return self.states[key]["average"]


class Lion(_Elementwise):
    def __init__(
        self, lr: float = 1e-4, betas: Pair = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__()
        self.lr, self.betas, self.decay = lr, betas, weight_decay

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        w *= 1 - self.lr * self.decay
        m = state.get("m", np.zeros_like(w))
        w -= self.lr * np.sign(self.betas[0] * m + (1 - self.betas[0]) * g)
        _mean(state, "m", self.betas[1], g)


class AdaBelief(_Elementwise):
    def __init__(
        self, lr: float = 1e-3, betas: Pair = (0.9, 0.999), eps: float = 1e-16,
        weight_decay: float = 0.0, amsgrad: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.amsgrad = amsgrad

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        w *= 1 - self.lr * self.decay
        m = _mean(state, "m", self.betas[0], g)
        s = state["s"] = _mean(state, "s", self.betas[1], (g - m) ** 2) + self.eps
        state["most"] = np.maximum(state.get("most", s), s)
        spread = (state["most"] if self.amsgrad else s) / (1 - self.betas[1] ** self.t)
        w -= self.lr / (1 - self.betas[0] ** self.t) * m / (np.sqrt(spread) + self.eps)


class Yogi(_Elementwise):
    def __init__(
        self, lr: float = 1e-2, betas: Pair = (0.9, 0.999), eps: float = 1e-3,
        initial_accumulator_value: float = 1e-6, weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.start = initial_accumulator_value

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        w *= 1 - self.lr * self.decay
        m = _mean(state, "m", self.betas[0], g, self.start)
        v = state.get("v", np.full_like(w, self.start))
        v = state["v"] = v - (1 - self.betas[1]) * np.sign(v - g * g) * g * g
        root = np.sqrt(v / (1 - self.betas[1] ** self.t)) + self.eps
        w -= self.lr / (1 - self.betas[0] ** self.t) * m / root


class Adan(_Elementwise):
    def __init__(
        self, lr: float = 1e-3, betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8, weight_decay: float = 0.0, no_prox: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.no_prox = no_prox

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        one, two, three = self.betas
        change = g - state.get("g", g)
        state["g"] = g
        m = _mean(state, "m", one, g) / (1 - one**self.t)
        v = _mean(state, "v", two, change) / (1 - two**self.t)
        n = _mean(state, "n", three, (g + two * change) ** 2) / (1 - three**self.t)
        if self.no_prox:
            w *= 1 - self.lr * self.decay
        w -= self.lr * (m + two * v) / (np.sqrt(n) + self.eps)
        if not self.no_prox:
            w /= 1 + self.lr * self.decay


class FTRL(_Elementwise):
    def __init__(
        self, lr: float = 1e-3, beta: float = 0.0, lambda_1: float = 0.0, lambda_2: float = 0.0
    ) -> None:
        super().__init__()
        self.lr, self.beta, self.one, self.two = lr, beta, lambda_1, lambda_2

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        before = state.get("n", np.zeros_like(w))
        n = state["n"] = before + g * g
        z = state.get("z", np.zeros_like(w))
        z = state["z"] = z + g - (np.sqrt(n) - np.sqrt(before)) / self.lr * w
        shrunk = -(z - np.sign(z) * self.one) / ((self.beta + np.sqrt(n)) / self.lr + self.two)
        w[...] = np.where(np.abs(z) <= self.one, 0, shrunk)


class AdEMAMix(_Elementwise):
    def __init__(
        self, lr: float = 1e-3, betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        eps: float = 1e-8, weight_decay: float = 0.0, alpha: float = 5.0,
        t_alpha_beta3: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.alpha, self.warmup = alpha, t_alpha_beta3

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        one, two, three = self.betas
        alpha = self.alpha
        if self.warmup and self.t < self.warmup:
            share = self.t / self.warmup
            alpha *= share
            low, high = math.log(one), math.log(three)
            three = min(three, math.exp(low * high / ((1 - share) * high + share * low)))
        w *= 1 - self.lr * self.decay
        m = _mean(state, "m", one, g) / (1 - one**self.t)
        v = _mean(state, "v", two, g * g) / (1 - two**self.t)
        n = _mean(state, "n", three, g)
        w -= self.lr * (m + alpha * n) / (np.sqrt(v) + self.eps)


class ADOPT(_Elementwise):
    def __init__(
        self, lr: float = 1e-3, betas: Pair = (0.9, 0.9999), eps: float = 1e-6,
        weight_decay: float = 0.0, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.decoupled = decoupled_weight_decay

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        if self.decoupled:
            w *= 1 - self.lr * self.decay
        else:
            g += self.decay * w
        if self.t == 1:
            state["v"] = g * g
            return
        most = (self.t - 1) ** 0.25
        scaled = np.clip(g / np.maximum(np.sqrt(state["v"]), self.eps), -most, most)
        w -= self.lr * _mean(state, "m", self.betas[0], scaled)
        _mean(state, "v", self.betas[1], g * g)


class MADGRAD(_Elementwise):
    def __init__(
        self, lr: float = 1e-2, momentum: float = 0.9, weight_decay: float = 0.0,
        eps: float = 1e-6,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.momentum, self.decay, self.eps = lr, momentum, weight_decay, eps

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        start = state.setdefault("start", w.copy())
        g += self.decay * w
        share = (self.lr + self.eps) * math.sqrt(self.t)
        s = state["s"] = state.get("s", 0) + share * g
        v = state["v"] = state.get("v", 0) + share * g * g
        z = start - s / (np.cbrt(v) + self.eps)
        w[...] = self.momentum * w + (1 - self.momentum) * z


class ScheduleFreeSGD(_Elementwise):
    def __init__(
        self, lr: float = 1.0, momentum: float = 0.9, weight_decay: float = 0.0,
        warmup_steps: float = 0.0, r: float = 0.0, weight_lr_power: float = 2.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lr, self.momentum, self.decay = lr, momentum, weight_decay
        self.warmup, self.r, self.power = warmup_steps, r, weight_lr_power
        self.largest = self.total = 0.0

    def begin(self) -> None:
        self.rate = self.lr * min(1.0, self.t / self.warmup if self.warmup else 1.0)
        self.largest = max(self.largest, self.rate)
        weight = self.t**self.r * self.largest**self.power
        self.total += weight
        self.share = weight / self.total if self.total else 0.0

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        self.descend(w, g + self.decay * w, state)

    def descend(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        z, x = state.get("z", w.copy()), state.get("x", w.copy())
        z = state["z"] = z - self.rate * g
        x = state["x"] = (1 - self.share) * x + self.share * z
        w[...] = (1 - self.momentum) * z + self.momentum * x

    def evaluated(self, key: str, w: Array) -> Array:
        return self.states[key]["x"]


class ScheduleFreeAdamW(ScheduleFreeSGD):
    def __init__(
        self, lr: float = 2.5e-3, betas: Pair = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, **options: float,
    ) -> None:  # fmt: skip
        super().__init__(lr, betas[0], weight_decay, **options)
        self.beta2, self.eps = betas[1], eps

    def update(self, w: Array, g: Array, state: dict[str, Array]) -> None:
        v = _mean(state, "v", self.beta2, g * g) / (1 - self.beta2**self.t)
        self.descend(w, g / (np.sqrt(v) + self.eps) + self.decay * w, state)
