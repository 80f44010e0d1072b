"""Update rules that need norms or matrices, as their papers and PyTorch write them, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .activations import Array


def rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x * x)))


class LARS:
    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        trust_coefficient: float = 1e-3,
    ) -> None:
        self.lr, self.momentum, self.dampening, self.nesterov = lr, momentum, dampening, nesterov
        self.decay, self.trust = weight_decay, trust_coefficient
        self.buffers: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        for key, w in weights.items():
            g = gradients[key]
            if w.ndim > 1:
                length = np.linalg.norm(w.ravel())
                below = np.linalg.norm(g.ravel()) + self.decay * length
                trust = self.trust * length / below if length > 0 and below > 0 else 1.0
                g = trust * (g + self.decay * w)
            if self.momentum > 0:
                old = self.buffers.get(key, np.zeros_like(w))
                v = self.buffers[key] = self.momentum * old + (1 - self.dampening) * g
                g = g + self.momentum * v if self.nesterov else v
            w -= self.lr * g


class LAMB:
    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, weight_decay
        self.t = 0
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.t += 1
        beta1, beta2 = self.betas
        for key, w in weights.items():
            g, zero = gradients[key], np.zeros_like(w)
            m = self.m[key] = beta1 * self.m.get(key, zero) + (1 - beta1) * g
            v = self.v[key] = beta2 * self.v.get(key, zero) + (1 - beta2) * g * g
            root = np.sqrt(v / (1 - beta2**self.t))
            u = m / (1 - beta1**self.t) / (root + self.eps) + self.decay * w
            length, moved = np.linalg.norm(w.ravel()), np.linalg.norm(u.ravel())
            w -= self.lr * (length / moved if length > 0 and moved > 0 else 1.0) * u


class Prodigy:
    def __init__(
        self,
        lr: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        beta3: float | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decouple: bool = True,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        growth_rate: float | None = None,
    ) -> None:
        self.lr, self.betas, self.eps, self.decay, self.decouple = (
            lr, betas, eps, weight_decay, decouple,
        )  # fmt: skip
        self.beta3 = math.sqrt(betas[1]) if beta3 is None else beta3
        self.corrects, self.safeguard = use_bias_correction, safeguard_warmup
        self.d0, self.coef, self.growth = d0, d_coef, growth_rate or math.inf
        self.d = self.largest = d0
        self.numerator, self.t = 0.0, 0
        self.first: dict[str, Array] = {}
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}
        self.s: dict[str, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.t += 1
        beta1, beta2 = self.betas
        d, lr = self.d, self.d * self.lr
        if self.corrects:
            lr *= math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
        led, total = 0.0, 0.0
        for key, w in weights.items():
            zero = np.zeros_like(w)
            self.first.setdefault(key, w.copy())
            g = gradients[key] + (0.0 if self.decouple else self.decay) * w
            led += d / self.d0 * lr * float(np.sum(g * (self.first[key] - w)))
            self.m[key] = beta1 * self.m.get(key, zero) + (1 - beta1) * d * g
            self.v[key] = beta2 * self.v.get(key, zero) + (1 - beta2) * d * d * g * g
            share = d / self.d0 * (d if self.safeguard else lr)
            self.s[key] = self.beta3 * self.s.get(key, zero) + share * g
            total += float(np.sum(np.abs(self.s[key])))
        if total == 0:
            return
        self.numerator = self.beta3 * self.numerator + led
        found = self.coef * self.numerator / total
        grown = max(d, found) if d == self.d0 else d
        self.largest = max(self.largest, found)
        self.d = min(self.largest, grown * self.growth)
        for key, w in weights.items():
            if self.decouple:
                w -= self.decay * lr * w
            w -= lr * self.m[key] / (np.sqrt(self.v[key]) + self.d * self.eps)


class Adafactor:
    def __init__(
        self,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        own_eps: float = 2.0**-52,
    ) -> None:
        self.lr, self.power, self.d, self.decay = lr, beta2_decay, d, weight_decay
        self.eps1 = own_eps if eps[0] is None else eps[0]
        self.eps2 = eps[1]
        self.t = 0
        self.rows: dict[Any, Array] = {}
        self.columns: dict[Any, Array] = {}
        self.v: dict[Any, Array] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.t += 1
        for key, w in weights.items():
            for name, own, g in _matrices(key, w, gradients[key]):
                self._step(name, own, g)

    def _step(self, key: Any, w: Array, g: Array) -> None:
        take = self.t**self.power
        rate = max(self.eps2, rms(w)) * min(self.lr, 1 / math.sqrt(self.t))
        w *= 1 - self.lr * self.decay
        if w.ndim > 1:
            r = self.rows.get(key, np.zeros(w.shape[0]))
            c = self.columns.get(key, np.zeros(w.shape[1]))
            r = self.rows[key] = r + take * (np.mean(g * g, axis=1) - r)
            c = self.columns[key] = c + take * (np.mean(g * g, axis=0) - c)
            v = np.outer(r, c) / max(float(np.mean(r)), self.eps1)
        else:
            v = self.v.get(key, np.zeros_like(w))
            v = self.v[key] = v + take * (g * g - v)
        u = g / np.sqrt(np.maximum(v, self.eps1**2))
        w -= rate / max(1.0, rms(u) / self.d) * u


def _matrices(key: str, w: Array, g: Array) -> list[tuple[Any, Array, Array]]:
    """Views: a vector, or each matrix of the last two dimensions."""
    if w.ndim < 2:
        return [(key, w, g)]
    shape = (-1, *w.shape[-2:])
    pairs = zip(w.reshape(shape), g.reshape(shape), strict=True)
    return [((key, i), own, gradient) for i, (own, gradient) in enumerate(pairs)]


def orthogonal(x: Array, coefficients: tuple[float, float, float], eps: float, steps: int) -> Array:
    """Newton and Schulz' iteration of the fifth order."""
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T, coefficients, eps, steps).T
    a, b, c = coefficients
    x = x / max(float(np.linalg.norm(x)), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon:
    def __init__(
        self,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        orthogonal: bool = True,
        adamw_lr_factor: float = 1.0,
        adamw_betas: tuple[float, float] = (0.9, 0.999),
        adamw_eps: float = 1e-8,
        adamw_weight_decay: float = 1e-2,
    ) -> None:
        from .rules import AdamW

        self.lr, self.decay, self.momentum, self.nesterov = lr, weight_decay, momentum, nesterov
        self.iteration = (ns_coefficients, eps, ns_steps)
        self.adjust, self.orthogonal = adjust_lr_fn, orthogonal
        self.m: dict[Any, Array] = {}
        self.others = AdamW(
            lr=lr * adamw_lr_factor,
            betas=adamw_betas,
            eps=adamw_eps,
            weight_decay=adamw_weight_decay,
        )

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        whole = {key for key, w in weights.items() if w.ndim > 1 and self.orthogonal}
        self.others.step({key: w for key, w in weights.items() if key not in whole}, gradients)
        for key in whole:
            for name, w, g in _matrices(key, weights[key], gradients[key]):
                old = self.m.get(name, np.zeros_like(w))
                m = self.m[name] = old + (1 - self.momentum) * (g - old)
                x = orthogonal(g + self.momentum * (m - g) if self.nesterov else m, *self.iteration)
                n, k = w.shape
                factor = math.sqrt(max(1.0, n / k))
                if self.adjust == "match_rms_adamw":
                    factor = 0.2 * math.sqrt(max(n, k))
                w *= 1 - self.lr * self.decay
                w -= self.lr * factor * x


class SOAP:
    def __init__(
        self,
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        shampoo_beta: float | None = None,
        weight_decay: float = 1e-2,
        precondition_frequency: int = 10,
        max_precondition_dim: int = 10000,
        precondition_1d: bool = False,
        correct_bias: bool = True,
        normalize_gradient: bool = False,
        eps: float = 1e-8,
    ) -> None:
        self.lr, self.betas, self.decay, self.eps = lr, betas, weight_decay, eps
        self.beta = betas[1] if shampoo_beta is None else shampoo_beta
        self.every, self.most, self.one = (
            precondition_frequency, max_precondition_dim, precondition_1d,
        )  # fmt: skip
        self.corrects, self.normalizes = correct_bias, normalize_gradient
        self.t = -1
        self.m: dict[Any, Array] = {}
        self.v: dict[Any, Array] = {}
        self.grams: dict[Any, list[Array | None]] = {}
        self.bases: dict[Any, list[Array | None]] = {}

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.t += 1
        for key, w in weights.items():
            for name, own, g in _matrices(key, w, gradients[key]):
                # A vector is a row whose left side has no basis.
                self._step(name, np.atleast_2d(own), np.atleast_2d(g), own.ndim > 1)

    def _step(self, key: Any, w: Array, g: Array, is_matrix: bool) -> None:
        has = (is_matrix, is_matrix or self.one)
        if self.t == 0:
            self.m[key], self.v[key] = np.zeros_like(w), np.zeros_like(w)
            self.grams[key] = [
                np.zeros((n, n)) if own and n <= self.most else None
                for n, own in zip(w.shape, has, strict=True)
            ]
        else:
            self._move(key, w, g)
        for side, (gram, outer) in enumerate(zip(self.grams[key], (g @ g.T, g.T @ g), strict=True)):
            if gram is not None:
                gram += (1 - self.beta) * (outer - gram)
                if self.t == 0:
                    self.bases.setdefault(key, [None, None])[side] = np.linalg.eigh(gram)[1][
                        :, ::-1
                    ]
                elif self.t % self.every == 0:
                    self._turn(key, side)
        self.bases.setdefault(key, [None, None])

    def _turn(self, key: Any, side: int) -> None:
        gram, basis = self.grams[key][side], self.bases[key][side]
        assert gram is not None
        assert basis is not None
        product = gram @ basis
        order = np.argsort(-np.sum(basis * product, axis=0), kind="stable")
        self.v[key] = np.take(self.v[key], order, axis=side)
        self.bases[key][side] = np.linalg.qr(product[:, order])[0]

    def _move(self, key: Any, w: Array, g: Array) -> None:
        left, right = self.bases[key]
        beta1, beta2 = self.betas

        def turned(x: Array, back: bool = False) -> Array:
            if left is not None:
                x = (left if back else left.T) @ x
            if right is not None:
                x = x @ (right.T if back else right)
            return x

        self.m[key] += (1 - beta1) * (g - self.m[key])
        self.v[key] += (1 - beta2) * (turned(g) ** 2 - self.v[key])
        u = turned(turned(self.m[key]) / (np.sqrt(self.v[key]) + self.eps), back=True)
        if self.normalizes:
            u = u / (rms(u) + self.eps)
        rate = self.lr
        if self.corrects:
            rate *= math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
        w -= rate * u
        w *= 1 - self.lr * self.decay
