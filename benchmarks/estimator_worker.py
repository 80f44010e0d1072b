"""A classifier of digits in a process of its own: `... benchmarks.estimator_worker LIBRARY`.

Every measurement trains a new network, from another seed, and judges it.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from benchmarks.serve import serve

__all__ = ["BATCH", "EPOCHS", "HIDDEN", "main"]

HIDDEN, BATCH, EPOCHS = 128, 64, 20

# Trains from a seed; returns what predicts classes.
_Fit = Callable[[int], Callable[[np.ndarray], np.ndarray]]


def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    parts: Any = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    x_train, x_test, y_train, y_test = parts
    return x_train, y_train, x_test, y_test


def _gdcore(x: np.ndarray, y: np.ndarray) -> _Fit:
    import gdcore as gd

    def fit(seed: int) -> Callable[[np.ndarray], np.ndarray]:
        layers = [gd.Dense(HIDDEN, "relu"), gd.Dense(10)]
        net = gd.Network(layers, input_size=x.shape[1], seed=seed)
        trainer = gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-3))
        trainer.fit(x, y, epochs=EPOCHS, batch_size=BATCH, progress=False)
        return lambda rows: net.predict(rows).argmax(axis=1)

    return fit


def _sklearn(x: np.ndarray, y: np.ndarray) -> _Fit:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    # It says so where it has done all epochs that were asked for.
    warnings.simplefilter("ignore", ConvergenceWarning)

    def fit(seed: int) -> Callable[[np.ndarray], np.ndarray]:
        model = MLPClassifier(
            (HIDDEN,),
            batch_size=BATCH,
            alpha=0,
            max_iter=EPOCHS,
            n_iter_no_change=EPOCHS,
            random_state=seed,
        )  # ReLU and Adam with 1e-3 are its defaults
        model.fit(x, y)
        if model.n_iter_ != EPOCHS:
            raise RuntimeError(f"trained {model.n_iter_} epochs, not {EPOCHS}")
        return model.predict

    return fit


def main() -> None:
    """Serves measurements until standard input ends."""
    library = sys.argv[1]

    def prepare() -> Callable[[], dict[str, float]]:
        x, y, x_test, y_test = _digits()
        fit = {"gdcore": _gdcore, "sklearn": _sklearn}[library](x, y)
        seeds = count()

        def measure() -> dict[str, float]:
            seed = next(seeds)
            begin = time.perf_counter()
            predict = fit(seed)
            seconds = time.perf_counter() - begin
            return {
                "samples/s": EPOCHS * len(x) / seconds,
                "accuracy": float((predict(x_test) == y_test).mean()),
            }

        measure()  # everything is loaded and warm
        return measure

    serve(prepare)


if __name__ == "__main__":
    main()
