"""An estimator of one library on one data set: `... benchmarks.sklearn_worker LIBRARY DATA`.

Every measurement fits with another random_state, and judges what was held out.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from benchmarks.recipes import example
from benchmarks.serve import serve

__all__ = ["DATA", "LIBRARIES", "main"]

LIBRARIES = ("gdcore", "sklearn")
# What loads it in sklearn.datasets, and whether it has classes.
DATA: dict[str, tuple[str, bool]] = {
    "digits": ("load_digits", True),
    "breast cancer": ("load_breast_cancer", True),
    "diabetes": ("load_diabetes", False),
    "adult": ("table", True),  # from the packages that examples/_tables.py names
    "diamonds": ("table", False),
}
OPTIONS: dict[str, Any] = {"max_iter": 100}


def _loaded(name: str) -> tuple[Any, Any]:
    from sklearn import datasets

    loader, _ = DATA[name]
    if loader == "table":
        found = example("_tables").table(name)
        return np.hstack([found.numbers, found.one_hot()]), found.y
    return getattr(datasets, loader)(return_X_y=True)


def main() -> None:
    """Serves measurements until standard input ends."""
    library, name = sys.argv[1:]

    def prepare() -> Callable[[], dict[str, float]]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        if library == "gdcore":
            from gdcore import sklearn as estimators
        else:
            from sklearn import neural_network as estimators

        warnings.simplefilter("ignore", ConvergenceWarning)
        x, y = _loaded(name)
        classes = DATA[name][1]
        if not classes:
            y = (y - np.mean(y)) / np.std(y)
        x_train, x_test, y_train, y_test = train_test_split(
            x, y, test_size=0.25, random_state=0, stratify=y if classes else None
        )
        scaler = StandardScaler().fit(x_train)
        x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
        kind = estimators.MLPClassifier if classes else estimators.MLPRegressor
        options = {**OPTIONS, **({"max_iter": 10} if DATA[name][0] == "table" else {})}
        seeds = count()

        def measure() -> dict[str, float]:
            model = kind(random_state=next(seeds), **options)
            begin = time.perf_counter()
            model.fit(x_train, y_train)
            seconds = time.perf_counter() - begin
            return {
                "seconds": seconds,
                "epochs": model.n_iter_,
                "loss": model.loss_,
                "score": model.score(x_test, y_test),
            }

        kind(max_iter=2).fit(x_train, y_train)  # everything is loaded and warm
        return measure

    serve(prepare)


if __name__ == "__main__":
    main()
