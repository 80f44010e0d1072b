"""scikit-learn's searches over joblib's backends: one thread each, data sent once, one result."""

from __future__ import annotations

import importlib
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7", reason="scikit-learn 1.7 is not installed")

import joblib
import sent
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from support import ROOT

import gdcore as gd
from gdcore.sklearn import (
    MLPClassifier,
    MLPRegressor,
    RealMLPClassifier,
    RealMLPRegressor,
    TabMClassifier,
    TabMRegressor,
)
from gdcore.sklearn._jobs import threads_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
GRID = {"alpha": [1e-4, 1e-1], "learning_rate_init": [1e-3, 1e-1]}

# A process that runs threads of ours is forked: what is warned of is held against here.
FORKS = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
BACKENDS = ["sequential", "threading", pytest.param("multiprocessing", marks=FORKS), "loky"]


def network(path: Path) -> MLPClassifier:
    told = [partial(sent.noted, str(path))]
    return MLPClassifier((8,), max_iter=3, tol=0, n_iter_no_change=9, random_state=0,
                         batch_size=16, callbacks=told)  # fmt: skip


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
# Of JAX, where another test has loaded it, for processes that are forked.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_search_is_the_same_over_any_backend(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # of the processes
    gd.set_num_threads(2)
    try:
        path = tmp_path / "told"
        network(tmp_path / "here").fit(X, Y)  # threads are there already
        with joblib.parallel_config(backend, n_jobs=2, max_nbytes=1000):
            search = GridSearchCV(network(path), GRID, cv=2, refit=False).fit(X, Y)
            if backend == "loky":
                mapped_by_processes()
        told = {tuple(map(int, line.split())) for line in path.read_text().splitlines()}
        threads = {used for _, _, used in told}
        processes = {process for process, _, _ in told}
        if backend == "sequential":
            assert threads == {2}
            return
        assert threads == {1}
        assert (os.getpid() in processes) == (backend == "threading")
        expected = GridSearchCV(network(path), GRID, cv=2, refit=False).fit(X, Y)
        assert search.best_params_ == expected.best_params_
        for key in ("split0_test_score", "split1_test_score"):
            assert np.array_equal(search.cv_results_[key], expected.cv_results_[key])
    finally:
        gd.set_num_threads(None)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_other_searches_over_threads() -> None:
    model = MLPClassifier((8,), max_iter=3, random_state=0, n_jobs=1)
    found = []
    for jobs in (None, 2):
        with joblib.parallel_config("threading"):
            search = RandomizedSearchCV(model, GRID, n_iter=3, cv=2, random_state=0, n_jobs=jobs)
            scores = cross_val_score(model, X, Y, cv=3, n_jobs=jobs)
            found.append((search.fit(X, Y).best_score_, scores.tolist()))
    assert found[0] == found[1]


def mapped_by_processes() -> None:
    """Large arrays are the same memory for all of them."""
    task = joblib.delayed(sent.fitted)
    found = joblib.Parallel()(task(ESTIMATORS["classifier"](), X, Y) for _ in range(2))
    here = sent.fitted(ESTIMATORS["classifier"](), X, Y)
    for kind, writeable, learnt in found:
        assert (kind, writeable) == ("memmap", False)
        for got, expected in zip(learnt, here[2]):
            assert np.array_equal(got, expected)


ESTIMATORS: dict[str, Any] = {
    "classifier": lambda: MLPClassifier((8,), max_iter=2, random_state=0),
    "float32": lambda: MLPClassifier((8,), max_iter=2, random_state=0),
    "lbfgs": lambda: MLPClassifier((8,), solver="lbfgs", max_iter=2, random_state=0),
    "regressor": lambda: MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=2, early_stopping=True, random_state=0
    ),
    "realmlp": lambda: RealMLPClassifier((8,), epochs=2, n_cv=2, random_state=0),
    "realmlp regressor": lambda: RealMLPRegressor((8,), epochs=2, random_state=0),
    "tabm": lambda: TabMClassifier((8,), epochs=2, members=2, random_state=0),
    "tabm regressor": lambda: TabMRegressor((8,), epochs=2, members=2, random_state=0),
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_take_memory_that_is_read_only(name: str, tmp_path: Path) -> None:
    """As joblib hands large arrays to its processes: mapped, once for all of them."""
    make = ESTIMATORS[name]
    x = X.astype(np.float32) if name == "float32" else X
    y = Y.astype(np.float64) if "regressor" in name else Y
    joblib.dump((x, y), tmp_path / "data")
    mapped = joblib.load(tmp_path / "data", mmap_mode="r")
    kind, writeable, learnt = sent.fitted(make(), *mapped)
    assert (kind, writeable) == ("memmap", False)
    for got, expected in zip(learnt, sent.fitted(make(), x, y)[2]):
        assert np.array_equal(got, expected)


def test_a_number_of_jobs_that_is_none() -> None:
    assert [threads_of(None), threads_of(-1), threads_of(3)] == [None, None, 3]
    with joblib.parallel_config("threading", n_jobs=2):
        task = joblib.delayed(threads_of)
        assert joblib.Parallel()(task(each) for each in (None, None, -1, 3)) == [1, 1, None, 3]
    for wrong in (0, -2):
        with pytest.raises(ValueError, match=f"n_jobs must be at least 1, or -1 .*got {wrong}"):
            threads_of(wrong)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_benchmark_finds_the_same_with_either_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    search = importlib.import_module("benchmarks.estimators_search")
    monkeypatch.setattr(search, "GRID", GRID)
    rows = search.search_table(["threading"], jobs=2, rounds=1, epochs=3, folds=2, rows=200)
    ours, theirs = rows
    assert [each["library"] for each in rows] == ["gdcore", "scikit-learn"]
    assert [ours[key] for key in GRID] == [theirs[key] for key in GRID]
    assert ours["score"] == pytest.approx(theirs["score"], abs=0.02)
    assert theirs["times gdcore's"] == theirs["seconds"] / ours["seconds"]
    assert gd.show_config()["num_threads_source"] != "set_num_threads"
