"""gdcore.sklearn beside scikit-learn's own estimators: the same numbers, and all habits."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7", reason="scikit-learn 1.7 is not installed")

import scipy.sparse
from joblib import parallel_config
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator
from support import ROOT, run_python

import gdcore as gd
from gdcore.sklearn import MLPClassifier, MLPRegressor, from_sklearn, to_sklearn
from gdcore.sklearn._growing import _columns, grow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

THEIRS: dict[Any, Any] = {
    MLPClassifier: neural_network.MLPClassifier,
    MLPRegressor: neural_network.MLPRegressor,
}
DIGITS, LABELS = load_digits(return_X_y=True)
X, Y = DIGITS[:230] / 16, LABELS[:230]  # 230: the last batch is smaller
SEVERAL = np.stack([Y > 4, Y % 2 == 0, Y < 2], axis=1).astype(int)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2, len(X))
SMALL: dict[str, Any] = {
    "hidden_layer_sizes": (12, 7),
    "max_iter": 12,
    "batch_size": 64,
    "random_state": 3,
}
SGD = {"solver": "sgd", "learning_rate_init": 0.1}

LIKE_THEIRS: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "adam": (MLPClassifier, {}, Y),
    "in order": (MLPClassifier, {"shuffle": False}, Y),
    "strong penalty": (MLPClassifier, {"alpha": 2.0}, Y),
    "no penalty": (MLPClassifier, {"alpha": 0.0, "activation": "tanh"}, Y),
    "large eps": (MLPClassifier, {"epsilon": 1e-2, "beta_2": 0.9}, Y),
    "nesterov": (MLPClassifier, SGD, Y),
    "heavy ball": (MLPClassifier, {**SGD, "nesterovs_momentum": False, "power_t": 0.3}, Y),
    "plain": (MLPClassifier, {**SGD, "momentum": 0.0, "activation": "logistic"}, Y),
    "invscaling": (MLPClassifier, {**SGD, "learning_rate": "invscaling"}, Y),
    "adaptive": (
        MLPClassifier,
        {**SGD, "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1, "max_iter": 30},
        Y,
    ),
    "early": (MLPClassifier, {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.1}, Y),
    "binary": (MLPClassifier, {"activation": "identity"}, Y > 4),
    "texts": (MLPClassifier, {}, np.array(list("abcdefghij"))[Y]),
    "labels": (MLPClassifier, {}, SEVERAL),
    "labels by sgd": (MLPClassifier, SGD, SEVERAL),
    "numbers": (MLPRegressor, {"learning_rate_init": 0.01}, Y / 3),
    "several numbers": (MLPRegressor, {"solver": "sgd"}, SEVERAL + 0.5 * WEIGHTS[:, None]),
    "several by adam": (MLPRegressor, {"epsilon": 1e-3}, SEVERAL + 0.5 * WEIGHTS[:, None]),
    "counts": (MLPRegressor, {"loss": "poisson"}, Y.astype(float)),
    "counts by sgd": (
        MLPRegressor,
        {"loss": "poisson", "solver": "sgd"},
        SEVERAL.astype(float),
    ),
    "lbfgs": (MLPClassifier, {"solver": "lbfgs", "alpha": 0.1}, Y),
    "lbfgs of labels": (MLPClassifier, {"solver": "lbfgs"}, SEVERAL),
    "lbfgs of counts": (MLPRegressor, {"solver": "lbfgs", "loss": "poisson"}, Y),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", LIKE_THEIRS)
def test_a_fit_has_scikit_learns_numbers(case: str, weighted: bool) -> None:
    ours, options, y = LIKE_THEIRS[case]
    weights = WEIGHTS if weighted else None
    fitted = [
        kind(**{**SMALL, **options}).fit(X, y, sample_weight=weights)
        for kind in (ours, THEIRS[ours])
    ]
    mine, other = fitted
    close = {"rtol": 1e-6, "atol": 1e-9}
    np.testing.assert_allclose(mine.loss_, other.loss_, **close)
    assert (mine.n_iter_, mine.t_) == (other.n_iter_, other.t_)
    if options.get("solver") != "lbfgs":
        np.testing.assert_allclose(mine.loss_curve_, other.loss_curve_, **close)
        assert mine.validation_scores_ == pytest.approx(other.validation_scores_)
        assert mine._optimizer.learning_rate == other._optimizer.learning_rate or (
            other.solver == "adam"  # there it has Adam's correction in it
        )
    for a, b in zip(mine.coefs_ + mine.intercepts_, other.coefs_ + other.intercepts_):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    predicted = [each.predict(X) for each in fitted]
    assert predicted[0].dtype == predicted[1].dtype
    if ours is MLPClassifier:
        np.testing.assert_array_equal(*predicted)
        np.testing.assert_allclose(mine.predict_proba(X), other.predict_proba(X), atol=1e-6)
    else:
        np.testing.assert_allclose(*predicted, rtol=1e-5, atol=1e-7)
    assert set(vars(other)) - set(vars(mine)) == set()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_float32_stays_and_follows(solver: str) -> None:
    fitted = [
        kind(**SMALL, solver=solver).fit(X.astype(np.float32), Y)
        for kind in (MLPClassifier, neural_network.MLPClassifier)
    ]
    np.testing.assert_allclose(fitted[0].loss_curve_, fitted[1].loss_curve_, rtol=1e-4)
    assert all(each.dtype == np.float32 for each in fitted[0].coefs_ + fitted[0].intercepts_)
    assert fitted[0].predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_scikit_learns_checks_hold(kind: Any) -> None:
    estimator = kind(hidden_layer_sizes=(10,), max_iter=60, learning_rate_init=0.02)
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    passed = [each["check_name"] for each in found if each["status"] == "passed"]
    wrong = {
        each["check_name"]: each["exception"]
        for each in found
        if each["status"] not in ("passed", "skipped")
    }
    assert wrong == {}
    assert len(passed) > 50


def test_scikit_learns_own_tests_hold() -> None:
    """The quick ones; `python -m tools.sklearn_suite` runs all."""
    wanted = "test_fit or gradient or shuffle or errors or nonfinite or warmstart or stratified"
    command = [sys.executable, "-m", "tools.sklearn_suite", "-k", wanted]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


def epochs(estimator: Any, count: int, y: Any = Y) -> Any:
    for _ in range(count):
        estimator.partial_fit(
            X, y, **({} if hasattr(estimator, "classes_") else {"classes": range(10)})
        )
    return estimator


@pytest.mark.parametrize("options", [{}, SGD, {"optimizer": "nadam", "dropout": 0.2}])
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_a_copy_goes_on_to_the_same_bits(options: dict[str, Any], copied: Any) -> None:
    one = epochs(MLPClassifier(**SMALL, **options), 2)
    other = copied(one)
    epochs(one, 2), epochs(other, 2)
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_):
        np.testing.assert_array_equal(a, b)
    assert one.loss_curve_ == other.loss_curve_


def test_partial_fit_keeps_the_optimizers_state() -> None:
    ours, theirs = (epochs(kind(**SMALL), 4) for kind in (MLPClassifier, THEIRS[MLPClassifier]))
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    moved = epochs(clone(ours), 2)
    for _ in range(2):  # sparse rows in between
        moved.partial_fit(scipy.sparse.csr_matrix(X), Y)
    np.testing.assert_allclose(moved.loss_curve_, theirs.loss_curve_, rtol=1e-9)


def test_weights_set_by_hand_count() -> None:
    fitted = MLPClassifier(**SMALL).fit(X, Y)
    theirs = to_sklearn(fitted)
    for each in (fitted, theirs):
        each.coefs_[0][20, :] = 0.7  # in place
        each.intercepts_[1] = np.linspace(-1, 1, 7)
    expected = theirs.predict_proba(X)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-9)
    np.testing.assert_allclose(fitted.network_.predict_proba(X), expected, atol=1e-9)
    for each in (fitted, theirs):
        each.set_params(warm_start=True, max_iter=3).fit(X, Y)
    np.testing.assert_allclose(fitted.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    fitted.coefs_[0][0, 0] = np.nan  # as there
    theirs.coefs_[0][0, 0] = np.nan
    np.testing.assert_array_equal(fitted.predict(X[:, :]), theirs.predict(X))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_rows_train_as_dense_ones(solver: str, container: Any) -> None:
    dense = MLPClassifier(**SMALL, solver=solver).fit(X, Y)
    sparse = MLPClassifier(**SMALL, solver=solver).fit(container(X), Y)
    np.testing.assert_allclose(
        sparse.predict_proba(container(X)), dense.predict_proba(X), atol=1e-6
    )
    np.testing.assert_allclose(
        sparse.predict_proba(X), dense.predict_proba(container(X)), atol=1e-6
    )


OWN: dict[str, dict[str, Any]] = {
    "activation": {"activation": "gelu"},
    "an activation each": {"activation": ["silu", gd.LeakyReLU(0.2)]},
    "a learnt activation": {"activation": gd.PReLU(), "alpha": 0.5},
    "dropout": {"dropout": [0.0, 0.3]},
    "optimizer": {"optimizer": gd.Lion(lr=1e-3)},
    "penalized": {"optimizer": gd.Penalized("adamw", l1=1e-3)},
    "schedule": {"schedule": "cosine"},
    "schedule of an optimizer": {
        "optimizer": "nadam",
        "schedule": gd.schedules.Exponential(0.9),
    },
    "focal": {"loss": "focal"},
    "hinge": {"loss": gd.Hinge()},
}


@pytest.mark.parametrize("case", OWN)
def test_what_scikit_learn_has_not_trains(case: str) -> None:
    fitted = [MLPClassifier(**{**SMALL, "n_jobs": n, **OWN[case]}).fit(X, Y) for n in (1, 2)]
    one, two = fitted
    assert one.loss_curve_ == two.loss_curve_  # any number of threads
    assert one.loss_curve_[-1] < one.loss_curve_[0]
    plain = MLPClassifier(**SMALL).fit(X, Y)
    assert one.loss_curve_ != plain.loss_curve_
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.predict_proba(X), one.predict_proba(X))
    np.testing.assert_array_equal(again.network_.predict(X), one.network_.predict(X))
    clone(one)


def test_numbers_train_by_any_loss() -> None:
    fitted = MLPRegressor("huber", **SMALL).fit(X, Y)
    by_hand = fitted.network_
    np.testing.assert_array_equal(fitted.predict(X), by_hand.predict(X)[:, 0])
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]

    def squares(prediction: Any, target: Any) -> tuple[float, Any]:
        return float(np.mean((prediction - target) ** 2)), 2 * (prediction - target) / len(target)

    own = MLPRegressor(squares, **SMALL).fit(X, Y)
    same = MLPRegressor("mse", **SMALL).fit(X, Y)
    np.testing.assert_allclose(own.loss_curve_, same.loss_curve_, rtol=1e-9)


def test_class_weight_is_a_sample_weight() -> None:
    weighted = MLPClassifier(**SMALL, class_weight="balanced").fit(X, Y > 7, WEIGHTS)
    share = (Y > 7).mean()
    by_class = np.where(Y > 7, 0.5 / share, 0.5 / (1 - share))
    other = neural_network.MLPClassifier(**SMALL).fit(X, Y > 7, by_class * WEIGHTS)
    np.testing.assert_allclose(weighted.loss_curve_, other.loss_curve_, rtol=1e-9)


def test_a_batch_without_weight_is_left_out() -> None:
    weights = np.where(np.arange(len(X)) < 64, 0, WEIGHTS)  # where scikit-learn divides by 0
    options: dict[str, Any] = {**SMALL, "shuffle": False}
    fitted = MLPClassifier(**options).fit(X, Y, weights)
    other = MLPClassifier(**options).fit(X[64:], Y[64:], weights[64:])
    assert fitted.loss_curve_ == other.loss_curve_


def test_columns_keep_their_names() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    fitted = MLPClassifier(**SMALL).fit(table, Y, validation_data=(table[:9], Y[:9]))
    network = fitted.network_
    assert network.feature_names == tuple(table.columns)
    turned = network.predict(table[table.columns[::-1]])
    np.testing.assert_array_equal(turned, network.predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(table[table.columns[::-1]])


def test_validation_data_judge() -> None:
    watched = MLPClassifier(**SMALL).fit(X, Y, validation_data=(X[:50], Y[:50]))
    assert len(watched.validation_scores_) == 12
    assert watched.validation_scores_[-1] == watched.score(X[:50], Y[:50])
    early = MLPClassifier(
        **{**SMALL, "max_iter": 40}, early_stopping=True, early_stopping_metric="neg_log_loss"
    )
    early.fit(X, Y, validation_data=(scipy.sparse.csr_array(X[:50]), Y[:50], WEIGHTS[:50]))
    assert early.best_validation_score_ == max(early.validation_scores_) < 0


def test_callbacks_hear_of_each_epoch_and_may_stop() -> None:
    seen: list[tuple[int, float]] = []

    def look(estimator: Any) -> bool:
        seen.append((estimator.n_iter_, estimator.score(X, Y)))
        return estimator.n_iter_ == 3

    fitted = MLPClassifier(**SMALL, callbacks=[look]).fit(X, Y)
    assert [number for number, _ in seen] == [1, 2, 3]
    assert seen[-1][1] == fitted.score(X, Y)


def test_scikit_learns_callbacks_hear_of_each_epoch_and_may_stop() -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 is not installed")

    class Watching:
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def setup(self, estimator: Any, context: Any) -> None:
            self.seen.append("setup")

        def teardown(self, estimator: Any, context: Any) -> None:
            self.seen.append("teardown")

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            self.seen.append(("begin", context.task_name))

        def on_fit_task_end(
            self,
            estimator: Any,
            context: Any,
            *,
            X: Any,  # noqa: N803
            y: Any,
            fitted_estimator: Any,
        ) -> bool:
            self.seen.append(("end", context.task_name, fitted_estimator.score(X, y)))
            return context.task_id == 1

    watching = Watching()
    fitted = MLPClassifier(**SMALL).set_callbacks(watching).fit(X, Y)
    assert fitted.n_iter_ == 2
    scores = [each[2] for each in watching.seen if len(each) == 3]
    assert len(scores) == 3
    assert scores[1:] == [fitted.score(X, Y)] * 2
    assert watching.seen[0] == "setup"
    assert watching.seen[1:3] == [("begin", "fit"), ("begin", "epoch")]
    assert watching.seen[-1] == "teardown"
    monitor = callback.ScoringMonitor(scoring="accuracy")
    again = MLPClassifier(**SMALL).set_callbacks(monitor).fit(X, Y, WEIGHTS)
    again.set_params(solver="lbfgs").fit(X, Y)
    plain = MLPClassifier(**SMALL, solver="lbfgs").fit(X, Y)
    np.testing.assert_array_equal(again.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize("options", [{"learning_rate_init": 0.02}, SGD, {"optimizer": "nadam"}])
def test_classes_grow_and_what_was_learnt_stays(options: dict[str, Any]) -> None:
    growing = MLPClassifier(**{**SMALL, "batch_size": "auto"}, new_classes="grow", **options)
    growing.partial_fit(X[Y == 5], Y[Y == 5])
    growing.partial_fit(
        X[(Y > 2) & (Y < 6)], Y[(Y > 2) & (Y < 6)]
    )  # 5 was one of one: now of three
    before = growing.predict_proba(X)
    odds = np.log(before[:, 1] / before[:, 0])
    grow(growing, np.arange(8))
    after = growing.predict_proba(X)
    np.testing.assert_allclose(np.log(after[:, 4] / after[:, 3]), odds, atol=1e-9)
    epochs(growing, 60)
    assert list(growing.classes_) == list(range(10))
    assert growing.score(X, Y) > 0.5


def test_two_classes_become_three_with_the_same_odds_and_state() -> None:
    growing = MLPClassifier(**{**SMALL, "batch_size": "auto"}, new_classes="grow")
    growing.partial_fit(X[Y < 2], Y[Y < 2])
    before = growing.predict_proba(X)
    state, _ = growing._held().state()[1]
    growing.partial_fit(X[:1], [2])
    assert [None if c is None else c.factor for c in _columns([0, 1], [0, 1, 2])] == [
        -0.5,
        0.5,
        None,
    ]
    after = growing.predict_proba(X)
    odds = (np.log(p[:, 1] / p[:, 0]) for p in (before, after))
    np.testing.assert_allclose(*odds, atol=0.2)  # but for one step
    new, _ = growing._held().state()[1]
    bias = state["4.bias" if "4.bias" in state else "2.bias"]
    np.testing.assert_allclose(new["2.bias"][:2], 0.9 * np.array([-1, 1]) * bias, atol=0.1)


def test_initialize_makes_the_weights_that_fit_begins_with() -> None:
    made = MLPClassifier(**SMALL).initialize(X, Y)
    other = THEIRS[MLPClassifier](**{**SMALL, "learning_rate_init": 1e-300}).fit(X, Y)
    np.testing.assert_array_equal(made.coefs_[0], other.coefs_[0])
    made.partial_fit(X, Y)
    assert len(made.loss_curve_) == 1


def test_estimators_come_from_scikit_learn_and_go_back() -> None:
    for kind, y in ((MLPClassifier, SEVERAL), (MLPRegressor, Y)):
        theirs = THEIRS[kind](**SMALL).fit(X, y)
        ours = from_sklearn(theirs)
        assert type(ours) is kind
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-9)
        back = to_sklearn(ours)
        assert type(back) is type(theirs)
        assert back.get_params() == theirs.get_params()
        np.testing.assert_array_equal(back.predict(X), theirs.predict(X))
    with pytest.raises(TypeError, match="estimator must be a MLPClassifier or MLPRegressor of sc"):
        from_sklearn(ours)
    with pytest.raises(TypeError, match=r"of gdcore\.sklearn, got MLPRegressor"):
        to_sklearn(theirs)
    with pytest.raises(
        ValueError, match="activation must be one that scikit-learn knows, got 'sil"
    ):
        to_sklearn(MLPClassifier(activation="silu"))
    with pytest.raises(ValueError, match="loss must be one that scikit-learn knows, got 'focal'"):
        to_sklearn(MLPClassifier(loss="focal"))


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "activation": ({"activation": "relo"}, ValueError, "The 'activation' parameter"),
    "count": ({"activation": ["relu"]}, ValueError, "activation must have one entry for each of 2"),
    "item": ({"activation": ["relu", "relo"]}, ValueError, r"activation\[1\] must be one of"),
    "dropout": ({"dropout": 1.0}, ValueError, "The 'dropout' parameter"),
    "rate": ({"dropout": [0.1, 1.5]}, ValueError, r"dropout\[1\] must be at least 0 and below 1"),
    "optimizer": ({"optimizer": "adom"}, ValueError, "The 'optimizer' parameter"),
    "solver": ({"optimizer": gd.LBFGS()}, ValueError, "optimizer must be one for batches"),
    "waiting": (
        {"schedule": gd.schedules.ReduceOnPlateau()},
        ValueError,
        "schedule must not wait for a figure",
    ),
    "schedule": ({"schedule": "cosinus"}, ValueError, "schedule must be one of"),
    "loss": ({"loss": "los"}, ValueError, "The 'loss' parameter"),
    "jobs": ({"n_jobs": 0}, ValueError, "n_jobs must be at least 1, or -1 or None"),
    "lbfgs": ({"solver": "lbfgs", "dropout": 0.1}, ValueError, "dropout must be the default with"),
    "lbfgs loss": ({"solver": "lbfgs", "loss": "focal"}, ValueError, "loss must be the default"),
    "weights": ({"class_weight": "equal"}, ValueError, "class_weight"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told(case: str) -> None:
    options, kind, words = WRONG[case]
    with pytest.raises(kind, match=words):
        MLPClassifier(**{**SMALL, **options}).fit(X, Y)


def test_wrong_data_are_told_and_change_nothing() -> None:
    fitted = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    before = fitted.predict_proba(X)
    with pytest.raises(ValueError, match=r"validation_data must be \(X, y\) or"):
        fitted.fit(X, Y, validation_data=X)
    with pytest.raises(ValueError, match="validation_data must have as many targets as rows, got"):
        fitted.fit(X, Y, validation_data=(X, Y[:5]))
    with pytest.raises(ValueError, match="sample_weight"):
        fitted.fit(X, Y, sample_weight=-WEIGHTS)
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    with pytest.raises(ValueError, match="class_weight must not be 'balanced' in partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, Y, classes=range(10))
    with pytest.raises(ValueError, match="`y` has classes not in"):
        clone(fitted).set_params(warm_start=False).fit(X, Y).partial_fit(X, Y + 1)


@pytest.mark.parametrize("backend", ["threading", "multiprocessing", "loky"])
def test_a_search_runs_in_each_backend(backend: str) -> None:
    """In a process of its own: one that has JAX warns of every fork."""
    run_python(f"import test_sklearn as t; t.search({backend!r})")


def search(backend: str) -> None:
    MLPClassifier(**SMALL).fit(X, Y)  # the parent's threads are awake
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": [1e-4, 30.0]}, cv=2)
    alone = clone(search).fit(X, Y)
    with parallel_config(backend, n_jobs=2):
        found = clone(search).fit(X, Y)
    assert found.best_params_ == alone.best_params_
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(found.cv_results_[key], alone.cv_results_[key])


def test_ctrl_c_leaves_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(estimator: Any) -> None:
        if estimator.n_iter_ == 2:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        fitted = MLPClassifier(**SMALL, callbacks=interrupt).fit(X, Y)
    assert fitted.n_iter_ == 2
    assert fitted.score(X, Y) >= 0


def test_the_end_of_max_iter_is_told() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        MLPClassifier(**{**SMALL, "max_iter": 2}).fit(X, Y)
