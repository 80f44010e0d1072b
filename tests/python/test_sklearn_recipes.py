"""RealMLP and TabM as estimators: habits of scikit-learn, tables as they are, several networks."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7", reason="scikit-learn 1.7 is not installed")
pytest.importorskip("pandas")

import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import gdcore as gd
from gdcore.sklearn import (
    RealMLPClassifier,
    RealMLPRegressor,
    TabMClassifier,
    TabMRegressor,
)

_REALMLP = {"hidden_layer_sizes": (32, 32), "epochs": 64}
_TABM = {"hidden_layer_sizes": (32, 32), "epochs": 60, "members": 4, "learning_rate": 1e-2}
SMALL: dict[Any, dict[str, Any]] = {
    RealMLPClassifier: _REALMLP,
    RealMLPRegressor: _REALMLP,
    TabMClassifier: _TABM,
    TabMRegressor: _TABM,
}
CLASSIFIERS = [RealMLPClassifier, TabMClassifier]
REGRESSORS = [RealMLPRegressor, TabMRegressor]
RNG = np.random.default_rng(0)
ROWS = 300
FRAME = pd.DataFrame(
    {
        "size": RNG.normal(size=ROWS),
        "colour": RNG.choice(["red", "green", "blue"], ROWS),
        "town": pd.Categorical(RNG.choice(list("abcdefghijklmn"), ROWS)),
        "month": RNG.integers(0, 5, ROWS),
    }
)
CLASSES = np.where(FRAME["size"] + (FRAME["colour"] == "red") > 0.3, "yes", "no")


def small(kind: Any, **more: Any) -> Any:
    return kind(random_state=0, **SMALL[kind], **more)


@pytest.mark.parametrize("kind", SMALL)
def test_they_behave_as_scikit_learn_wants(kind: Any) -> None:
    found = check_estimator(small(kind), on_fail=None, on_skip=None)
    assert len(found) > 40
    # One that tries other libraries' arrays runs where the environment asks for it alone.
    skipped = {each["check_name"] for each in found if each["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}
    others = [each for each in found if each["status"] not in ("passed", "skipped")]
    assert others == []


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_real_tables_are_learnt(kind: Any) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    assert small(kind).fit(x[::2], y[::2]).score(x[1::2], y[1::2]) > 0.93


@pytest.mark.parametrize("kind", REGRESSORS)
def test_numbers_are_learnt_and_kept_within_what_was_seen(kind: Any) -> None:
    x, y = load_diabetes(return_X_y=True)
    found = small(kind).fit(x[::2], y[::2])
    assert found.score(x[1::2], y[1::2]) > 0.3
    far = found.predict(50 * x)
    # Float32 has 24 bits.
    assert y[::2].min() * (1 - 1e-6) <= far.min() <= far.max() <= y[::2].max() * (1 + 1e-6)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_frames_are_taken_as_they_are(kind: Any) -> None:
    found = small(kind, categorical_features=["month"]).fit(FRAME[:200], CLASSES[:200])
    assert found.score(FRAME[200:], CLASSES[200:]) > 0.8
    by_index = small(kind, categorical_features=[3]).fit(FRAME[:200], CLASSES[:200])
    want = found.predict_proba(FRAME[200:])
    np.testing.assert_array_equal(by_index.predict_proba(FRAME[200:]), want)
    np.testing.assert_allclose(want.sum(axis=1), 1, rtol=1e-6)
    assert found.classes_.tolist() == ["no", "yes"]
    new = FRAME[200:].assign(colour="never seen")
    assert set(found.predict(new)) <= {"no", "yes"}


def test_small_categories_are_one_hot_and_large_ones_vectors() -> None:
    found = small(RealMLPClassifier).fit(FRAME, CLASSES)
    assert {each.name: each.size for each in found.network_.inputs} == {
        "numbers": 2,
        "one_hot": 4,  # three colours, and whatever is new
        "codes": 1,
    }
    assert small(TabMClassifier).fit(FRAME, CLASSES).network_.inputs[0].size == 2 + 4 + 15


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_copies_predict_the_same(kind: Any) -> None:
    found = small(kind).fit(FRAME, CLASSES)
    want = found.predict_proba(FRAME)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(FRAME), want)
    anew = clone(found).set_params(n_jobs=1).fit(FRAME, CLASSES)
    np.testing.assert_array_equal(anew.predict_proba(FRAME), want)


def test_several_networks_average_over_folds() -> None:
    found = small(RealMLPClassifier, n_cv=3).fit(FRAME, CLASSES)
    assert len(found.networks_) == len(found.n_iter_) == 3
    assert isinstance(found.network_, gd.Ensemble)
    each = found._outputs(FRAME)
    assert not np.array_equal(each[0], each[1])
    np.testing.assert_allclose(found.predict_proba(FRAME), np.mean(each, axis=0), rtol=1e-6)
    for history, best in zip(found.histories_, found.n_iter_, strict=True):
        assert history["val_accuracy"][best - 1] == max(history["val_accuracy"])


def test_the_best_epoch_counts() -> None:
    x, y = load_diabetes(return_X_y=True)
    found = small(RealMLPRegressor).fit(x, y)
    (history,), (best,) = found.histories_, found.n_iter_
    assert len(history["loss"]) == 64
    assert best < 64  # it overfits
    assert history["val_rmse"][best - 1] == min(history["val_rmse"])


def test_training_stops_without_progress() -> None:
    found = small(TabMClassifier, patience=2).fit(FRAME, CLASSES)
    assert len(found.histories_[0]["loss"]) == found.n_iter_[0] + 2 < 60


def test_missing_cells_are_filled_where_that_is_wanted() -> None:
    holes = FRAME.assign(size=FRAME["size"].where(FRAME.index % 7 > 0))
    with pytest.raises(ValueError, match="'size'"):
        small(RealMLPClassifier).fit(holes, CLASSES)
    found = small(RealMLPClassifier, missing="median").fit(holes, CLASSES)
    assert found.score(holes, CLASSES) > 0.7
    numbers = StandardScaler().fit_transform(FRAME[["size", "month"]])
    numbers[::9, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        small(TabMClassifier).fit(numbers, CLASSES)
    assert small(TabMClassifier, missing="mean").fit(numbers, CLASSES).score(numbers, CLASSES) > 0.6


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"categorical_features": ["q"]}, ValueError, "categorical_features.*columns of X.*'q'"),
        ({"categorical_features": [4]}, ValueError, "categorical_features.*from 0 to 3, got 4"),
        ({"categorical_features": [0.5]}, TypeError, "categorical_features.*got 0.5"),
        ({"n_cv": 0}, ValueError, "'n_cv' parameter"),
        ({"n_cv": 301}, ValueError, "n_cv must be at most the 300 samples, got 301"),
        ({"validation_fraction": 1.0}, ValueError, "'validation_fraction' parameter"),
        ({"missing": "drop"}, ValueError, "'missing' parameter"),
    ],
)
def test_bad_parameters_are_named(more: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        small(RealMLPClassifier, **more).fit(FRAME, CLASSES)


@pytest.mark.parametrize("kind", SMALL)
def test_bad_units_are_named(kind: Any) -> None:
    given = small(kind).set_params(hidden_layer_sizes=(8, 0))
    with pytest.raises(ValueError, match="hidden_layer_sizes must be at least 1, got 0"):
        given.fit([[0.0], [1.0], [2.0]], [0, 1, 1])


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_fit_that_fails_leaves_what_was_fitted(kind: Any) -> None:
    found = small(kind).fit(FRAME, CLASSES)
    want = found.predict_proba(FRAME)
    other = FRAME.assign(colour="blue", size=FRAME["size"] * 9)[:40]
    with pytest.raises(ValueError, match="n_cv must be at most the 40 samples"):
        found.set_params(n_cv=41).fit(other, CLASSES[:40])
    np.testing.assert_array_equal(found.predict_proba(FRAME), want)
    assert found.classes_.tolist() == ["no", "yes"]


def test_columns_of_another_order_are_refused() -> None:
    found = small(RealMLPClassifier).fit(FRAME, CLASSES)
    with pytest.raises(ValueError, match="same order"):
        found.predict(FRAME[["town", "size", "colour", "month"]])
    with pytest.raises(ValueError, match="'size' must hold numbers"):
        found.predict(FRAME.assign(size="large"))
    with pytest.raises(ValueError, match="at least 2 classes"):
        small(RealMLPClassifier).fit(FRAME, ["a"] * ROWS)
