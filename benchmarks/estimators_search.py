"""A grid search over processes and threads: gdcore.sklearn's classifier beside scikit-learn's.

    python -m benchmarks.estimators_search [--jobs 2] [--rounds 3] [--backends loky,threading]

The same grid on digits, `GridSearchCV` with n_jobs=2, one thread each: a row for each of joblib's
backends and each library, with the median of the seconds, those of the first round, in which
processes begin, and the best parameters. The classifiers are alike: the same first weights, the
same order of samples, the same epochs.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.tables import markdown
from gdcore.benchmark.figures import Row

__all__ = ["BACKENDS", "main", "search_table"]

BACKENDS = ("sequential", "loky", "threading", "multiprocessing")
GRID: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(32,), (64,), (128,)],
    "alpha": [1e-4, 1e-2],
    "learning_rate_init": [1e-3, 1e-2],
}
_ONE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def search_table(
    backends: Sequence[str], jobs: int, rounds: int, epochs: int, folds: int, rows: int | None
) -> list[Row]:
    """A row for each backend and library."""
    from joblib import parallel_config
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier as Theirs
    from threadpoolctl import threadpool_limits

    import gdcore as gd
    from gdcore.sklearn import MLPClassifier

    x, y = load_digits(return_X_y=True)
    x, y = (x / 16)[:rows], y[:rows]
    options: dict[str, Any] = {"max_iter": epochs, "tol": 0, "n_iter_no_change": epochs}
    told: list[Row] = []
    gd.set_num_threads(1)
    try:
        for backend in backends:
            for library, kind in (("gdcore", MLPClassifier), ("scikit-learn", Theirs)):
                seconds, best = [], None
                for _ in range(rounds):
                    search = GridSearchCV(
                        kind(random_state=0, **options), GRID, cv=folds, refit=False
                    )
                    with parallel_config(backend, n_jobs=jobs), threadpool_limits(1):
                        begin = time.perf_counter()
                        search.fit(x, y)
                        seconds.append(time.perf_counter() - begin)
                    best = search
                assert best is not None
                told.append(
                    {
                        "backend": backend,
                        "library": library,
                        "seconds": median(seconds),
                        "first": seconds[0],
                        "score": float(best.best_score_),
                        **{key: str(value) for key, value in best.best_params_.items()},
                    }
                )
            ours, theirs = told[-2:]
            theirs["times gdcore's"] = theirs["seconds"] / ours["seconds"]
    finally:
        gd.set_num_threads(None)
    return told


def main() -> None:
    """Prints the table."""
    for name in _ONE:  # before any of them is loaded
        os.environ[name] = "1"
    os.environ["PYTHONWARNINGS"] = "ignore"  # of processes, which tell that epochs are over
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default=",".join(BACKENDS), help="which, with commas")
    parser.add_argument("--jobs", type=int, default=2, help="networks at a time")
    parser.add_argument("--rounds", type=int, default=3, help="searches of each")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=None, help="of the data; all unless told")
    arguments = parser.parse_args()
    rows = search_table(
        arguments.backends.split(","),
        arguments.jobs,
        arguments.rounds,
        arguments.epochs,
        arguments.folds,
        arguments.rows,
    )
    print(markdown("GridSearchCV on digits", rows))


if __name__ == "__main__":
    main()
