"""Fits to the last digits, in gdcore, SciPy and scikit-learn: `python -m benchmarks.second_order`.

A network of tanh gives numbers, with noise; another of the same shape is fitted to them in float64,
with a penalty of its weights, so that there is a minimum that both sides reach: without one the
valleys of such losses are so long and flat that no method comes to their end. Both begin with the
same weights, and SciPy gets its derivatives by backpropagation in NumPy: Levenberg-Marquardt is
beside ``least_squares(method="lm")``, L-BFGS beside ``minimize(method="L-BFGS-B")``. On diabetes
L-BFGS is beside scikit-learn's ``MLPRegressor(solver="lbfgs")`` of the same network with the same
alpha; there the loss is scikit-learn's, half of the mean square and the penalty.

All end where they find that they have converged. What was reached, iterations, and medians of the
times of all rounds, which take turns, are printed.

    python -m benchmarks.second_order --rounds 5
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import gdcore as gd

__all__ = ["CASES", "Reached", "curve", "measured"]

_MOST = 5000  # iterations
_ALPHA = 1.0  # of scikit-learn, on diabetes


class Reached(NamedTuple):
    """What a fit ended with."""

    loss: float
    iterations: int


def curve(samples: int, inputs: int, units: int = 10) -> tuple[Any, Any]:
    """Inputs within [-1, 1], and what a network with large weights makes of them, with noise."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (samples, inputs))
    teacher = _network(inputs, units, seed=9)
    teacher.load_state_dict({key: 3 * value for key, value in teacher.state_dict().items()})
    return x, teacher.predict(x) + 0.1 * rng.normal(size=(samples, 1))


def _network(inputs: int, units: int, seed: int = 0) -> gd.Network:
    layers = [gd.Dense(units, "tanh"), gd.Dense(1)]
    return gd.Network(layers, input_size=inputs, dtype="float64", seed=seed)


def _start(net: gd.Network) -> Any:
    return np.concatenate([value.ravel() for value in net.state_dict().values()])


class _Numpy:
    """The network of one hidden layer of tanh: residuals, loss, and their derivatives."""

    def __init__(self, x: Any, y: Any, units: int, decay: float) -> None:
        self.x, self.y, self.units, self.decay = x, y, units, decay

    def _parts(self, w: Any) -> tuple[Any, Any, Any, Any]:
        inputs, units = self.x.shape[1], self.units
        cut = units * inputs
        return w[:cut].reshape(units, inputs), w[cut : cut + units], w[cut + units : -1], w[-1]

    def residuals(self, w: Any) -> Any:
        w1, b1, w2, b2 = self._parts(w)
        return np.tanh(self.x @ w1.T + b1) @ w2 + b2 - self.y[:, 0]

    def jacobian(self, w: Any) -> Any:
        w1, b1, w2, _ = self._parts(w)
        h = np.tanh(self.x @ w1.T + b1)
        d = (1 - h * h) * w2
        n = len(self.x)
        first = (d[:, :, None] * self.x[:, None, :]).reshape(n, -1)
        return np.hstack([first, d, h, np.ones((n, 1))])

    def loss(self, w: Any) -> Any:
        """The mean square with the penalty, and its gradient."""
        w1, b1, w2, b2 = self._parts(w)
        h = np.tanh(self.x @ w1.T + b1)
        r = h @ w2 + b2 - self.y[:, 0]
        g = 2 / len(r) * r
        d = (1 - h * h) * np.outer(g, w2)
        gradient = np.concatenate([(d.T @ self.x).ravel(), d.sum(0), h.T @ g, [g.sum()]])
        return r @ r / len(r) + self.decay / 2 * w @ w, gradient + self.decay * w


def _ours(
    optimizer: Any, x: Any, y: Any, units: int, decay: float, epochs: int = _MOST
) -> tuple[Callable[[], Reached], gd.Network]:
    net = _network(x.shape[1], units)
    start = net.state_dict()

    def run() -> Reached:
        net.load_state_dict(start)
        trainer = gd.Trainer(net, "mse", optimizer)
        trainer.fit(x, y, epochs=epochs, batch_size=None, progress=False)
        w = _start(net)
        return Reached(
            trainer.evaluate(x, y)["loss"] + decay / 2 * float(w @ w), max(trainer.steps, 1)
        )

    return run, net


def _levenberg_marquardt(inputs: int, samples: int, decay: float) -> dict[str, Any]:
    from scipy.optimize import least_squares

    units = 10
    x, y = curve(samples, inputs)
    own = gd.LevenbergMarquardt(weight_decay=decay, min_grad=1e-8)
    run, net = _ours(own, x, y, units, decay)
    problem, start = _Numpy(x, y, units, decay), _start(net)
    root = np.sqrt(samples * decay / 2)  # of the penalty as residuals
    penalty = root * np.eye(len(start))

    def theirs() -> Reached:
        found = least_squares(
            lambda w: np.concatenate([problem.residuals(w), root * w]),
            start,
            jac=lambda w: np.vstack([problem.jacobian(w), penalty]),
            method="lm",
            **{"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12, "max_nfev": _MOST},
        )
        return Reached(2 * float(found.cost) / samples, int(found.nfev))

    return {"gdcore": run, "SciPy least_squares": theirs}


def _lbfgs(inputs: int, samples: int, decay: float) -> dict[str, Any]:
    from scipy.optimize import minimize

    units = 10
    x, y = curve(samples, inputs)
    own = gd.LBFGS(weight_decay=decay, tolerance_grad=1e-7, tolerance_change=1e-14, max_iter=20)
    run, net = _ours(own, x, y, units, decay)
    problem, start = _Numpy(x, y, units, decay), _start(net)

    def theirs() -> Reached:
        limits = {"maxiter": _MOST, "maxfun": 10 * _MOST, "ftol": 0.0, "gtol": 1e-7}
        found = minimize(problem.loss, start, jac=True, method="L-BFGS-B", options=limits)
        return Reached(float(found.fun), int(found.nit))

    return {"gdcore": run, "SciPy L-BFGS-B": theirs}


def _diabetes(units: int = 100) -> dict[str, Any]:
    from sklearn.datasets import load_diabetes
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import scale

    data = load_diabetes()
    x, y = scale(data.data), scale(data.target)
    limits = {"max_iter": 2000, "max_fun": 10**6, "tol": 1e-4}

    def theirs() -> Reached:
        model = MLPRegressor(
            hidden_layer_sizes=(units,),
            activation="tanh",
            solver="lbfgs",
            alpha=_ALPHA,
            random_state=0,
            **limits,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)
        return Reached(float(model.loss_), int(model.n_iter_))

    # Half of the mean square and alpha / (2 N) |W|^2: of the mean square twice that.
    optimizer = gd.LBFGS(
        weight_decay=2 * _ALPHA / len(x), tolerance_grad=2e-4, tolerance_change=0.0, max_iter=20
    )
    net = _network(x.shape[1], units)
    start = net.state_dict()

    def ours() -> Reached:
        net.load_state_dict(start)
        trainer = gd.Trainer(net, "mse", optimizer, groups=[gd.Group("*.bias", weight_decay=0.0)])
        trainer.fit(x, y[:, None], epochs=100, batch_size=None, progress=False)
        squares = sum(
            float((value**2).sum())
            for key, value in net.state_dict().items()
            if key.endswith("weight")
        )
        loss = trainer.evaluate(x, y[:, None])["loss"] / 2 + _ALPHA / 2 * squares / len(x)
        return Reached(loss, trainer.steps)

    return {"gdcore": ours, "scikit-learn lbfgs": theirs}


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "Levenberg-Marquardt, 1-10-1, 100 samples": lambda: _levenberg_marquardt(1, 100, 1e-3),
    "Levenberg-Marquardt, 8-10-1, 500 samples": lambda: _levenberg_marquardt(8, 500, 1e-2),
    "L-BFGS, 1-10-1, 100 samples": lambda: _lbfgs(1, 100, 1e-3),
    "L-BFGS, 8-10-1, 500 samples": lambda: _lbfgs(8, 500, 1e-2),
    "L-BFGS, 10-100-1, diabetes": _diabetes,
}


def measured(case: str, rounds: int) -> dict[str, tuple[Reached, float]]:
    """What each library reached, and the median of its seconds."""
    runs = CASES[case]()
    reached = {name: run() for name, run in runs.items()}  # which warms up, too
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    return {name: (reached[name], median(each)) for name, each in times.items()}


def main() -> None:
    """Prints all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for case in CASES:
        print(case)
        for name, (reached, seconds) in measured(case, rounds).items():
            print(
                f"  {name:<20} loss {reached.loss:.12g}, {reached.iterations:5} iterations, "
                f"{1e3 * seconds:8.2f} ms"
            )


if __name__ == "__main__":
    main()
