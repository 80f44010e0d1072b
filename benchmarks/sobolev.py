"""Surrogates from values and derivatives, in gdcore and SMT's GENN: `python -m benchmarks.sobolev`.

Rosenbrock's function on [-2, 2]^2 and Rastrigin's on [-1, 1.5]^2 (10 per input) are learnt from few
samples, drawn evenly at random, with exact derivatives. Three fits of one network, 2-12-12-1 of
tanh, each of 5,000 steps over all samples: gdcore's from values alone, gdcore's from values and
derivatives (`Trainer.fit(dy=...)`), and GENN of the Surrogate Modeling Toolbox, as SMT's own test
of Rosenbrock sets it: alpha 0.01, lambd 0.01, gamma 1, 5,000 iterations, backtracking, normalized.
Ours begin as GENN does, with normal weights of variance 1 / inputs and biases of 0, and take Adam
with its default rate and betas, 0.05 and (0.9, 0.99), the rate down by a half cosine. All
standardize x and y.

GENN's loss is 1 / (2 N) (sum of squared errors + gamma (sum of squared errors of derivatives) +
lambd |W|^2). gdcore's takes the mean over the inputs, so that derivative_weight = inputs x gamma
weighs alike, and the penalty, which both of ours have too, is weight_decay = 2 lambd / N. Printed
is the root of the mean squared error on a grid of 60 x 60, by the standard deviation of the
function there: the median over seeds, the least and the largest.

    python -m benchmarks.sobolev --seeds 5
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import gdcore as gd

__all__ = ["FITS", "FUNCTIONS", "Function", "Surrogate", "error"]

_LAMBD = 0.01  # of the penalty, as SMT's test has it

Surrogate = Callable[[Any], Any]  # (N, 2) -> (N,)


class Function(NamedTuple):
    """A function of two inputs: values (N,), derivatives (N, 2), and where it is learnt."""

    values: Callable[[Any], Any]
    derivatives: Callable[[Any], Any]
    low: float
    high: float

    def samples(self, count: int, seed: int) -> tuple[Any, Any, Any]:
        """Points drawn evenly, (N, 2), with values and derivatives there."""
        x = np.random.default_rng(seed).uniform(self.low, self.high, (count, 2))
        return x, self.values(x), self.derivatives(x)

    def grid(self, points: int = 60) -> Any:
        """Points (points^2, 2) all over it."""
        line = np.linspace(self.low, self.high, points)
        return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)


def _rosenbrock_slope(x: Any) -> Any:
    rise = x[:, 1] - x[:, 0] ** 2
    return np.stack([-400 * x[:, 0] * rise - 2 * (1 - x[:, 0]), 200 * rise], 1)


FUNCTIONS: dict[str, Function] = {
    "rosenbrock": Function(
        lambda x: 100 * (x[:, 1] - x[:, 0] ** 2) ** 2 + (1 - x[:, 0]) ** 2,
        _rosenbrock_slope,
        *(-2.0, 2.0),
    ),
    "rastrigin": Function(
        lambda x: 20 + (x**2 - 10 * np.cos(2 * np.pi * x)).sum(1),
        lambda x: 2 * x + 20 * np.pi * np.sin(2 * np.pi * x),
        *(-1.0, 1.5),
    ),
}


def _ours(
    x: Any, y: Any, dy: Any, seed: int, weight: float | None = None, steps: int = 5000
) -> Surrogate:
    """A fit from values, or with a weight from derivatives too."""
    middle, scale = x.mean(0), x.std(0)
    mean, spread = y.mean(), y.std()
    start: Any = {"weight_init": "lecun_normal", "bias_init": "zeros"}
    layers = [gd.Dense(12, "tanh", **start), gd.Dense(12, "tanh", **start), gd.Dense(1, **start)]
    net = gd.Network(layers, input_size=2, dtype="float64", seed=seed)
    schedule = gd.schedules.Cosine(t_max=steps)
    # Of the mean square twice what GENN has of half of it; weights alone, not biases.
    optimizer = gd.Adam(lr=0.05, betas=(0.9, 0.99), weight_decay=2 * _LAMBD / len(x))
    groups = [gd.Group("*.bias", weight_decay=0.0)]
    trainer = gd.Trainer(net, "mse", optimizer, schedule=schedule, groups=groups)
    more: dict[str, Any] = {}
    if weight is not None:
        more = {"dy": dy * scale / spread, "derivative_weight": weight}
    trainer.fit(
        *((x - middle) / scale, (y - mean) / spread),
        **{"epochs": steps, "batch_size": None, "progress": False} | more,
    )
    return lambda at: mean + spread * net.predict((at - middle) / scale)[:, 0]


def _genn(x: Any, y: Any, dy: Any, seed: int) -> Surrogate:
    from smt.surrogate_models import GENN

    model = GENN(
        hidden_layer_sizes=[12, 12],
        alpha=0.01,
        lambd=_LAMBD,
        gamma=1.0,
        num_iterations=5000,
        is_backtracking=True,
        is_normalize=True,
        seed=seed,
    )
    model.options["print_global"] = False
    model.load_data(x, y[:, None], dy)
    model.train()
    return lambda at: model.predict_values(at)[:, 0]


FITS: dict[str, Callable[..., Surrogate]] = {
    "gdcore, values": _ours,
    "gdcore, derivatives too": lambda x, y, dy, seed, **more: _ours(
        x, y, dy, seed, weight=2.0, **more
    ),
    "SMT GENN": _genn,
}


def error(function: Function, fit: str, count: int, seed: int, **options: Any) -> float:
    """Of a fit to so many samples, by the function's standard deviation."""
    x, y, dy = function.samples(count, seed)
    surrogate = FITS[fit](x, y, dy, seed, **options)
    grid = function.grid()
    expected = function.values(grid)
    return float(np.sqrt(((surrogate(grid) - expected) ** 2).mean()) / expected.std())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, nargs="+", default=[25, 50, 100])
    options = parser.parse_args()
    for name, function in FUNCTIONS.items():
        for count in options.samples:
            for fit in FITS:
                errors = [error(function, fit, count, seed) for seed in range(options.seeds)]
                told = f"{median(errors):.4f} ({min(errors):.4f} to {max(errors):.4f})"
                print(f"{name:<11} {count:4} samples  {fit:<24} {told}", flush=True)


if __name__ == "__main__":
    main()
