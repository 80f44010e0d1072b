"""Metrics within fit and evaluate: what the loss says of the outputs, shapes, and weights."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import nets
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from support import digest

import gdcore as gd
from gdcore.metrics import Metric

SAMPLES = 60
X = nets.inputs(SAMPLES, 4)
WEIGHT = np.random.default_rng(5).uniform(0.1, 3, SAMPLES)


def trainer(loss: Any, outputs: int, dtype: str = "float64") -> gd.Trainer:
    return gd.Trainer(nets.network([4, 5, outputs], ["tanh", "identity"], dtype), loss, "sgd")


def labels(outputs: int) -> np.ndarray:
    return np.random.default_rng(outputs).integers(0, 2, (SAMPLES, outputs))


def both(t: gd.Trainer, y: Any, metric: Any, weight: Any = None) -> tuple[float, float]:
    """The metric from evaluate, and from validation after an epoch with a rate of 0."""
    name = metric if isinstance(metric, str) else metric.__name__
    data = (X, y) if weight is None else (X, y, weight)
    t.lr = 0.0
    history = t.fit(X, y, validation_data=data, metrics=(metric,), progress=False)
    return t.evaluate(X, y, weight, metrics=(metric,))[name], history[f"val_{name}"][0]


# ---- what the loss says of the outputs ----


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_labels_of_their_own_are_judged_each(outputs: int, weight: Any) -> None:
    t, y = trainer("bce_with_logits", outputs), labels(outputs)
    output = t.network.predict(X)
    expected = sk.roc_auc_score(y, output, average="macro", sample_weight=weight)
    for found in both(t, y, "auc", weight):
        assert found == pytest.approx(expected, rel=1e-12)
    columns = [
        sk.accuracy_score(y[:, k], output[:, k] > 0, sample_weight=weight) for k in range(outputs)
    ]
    for found in both(t, y, "accuracy", weight):
        assert found == pytest.approx(np.mean(columns), rel=1e-12)


def test_labels_are_no_classes_though_each_sample_has_one() -> None:
    t = trainer("bce_with_logits", 2)
    y = np.eye(2, dtype=int)[labels(1)[:, 0]]
    expected = sk.roc_auc_score(y, t.network.predict(X), average="macro")
    assert both(t, y, "auc") == pytest.approx((expected, expected), rel=1e-12)
    classes = gd.Trainer(t.network, "cross_entropy", "sgd")
    score = np.diff(t.network.predict(X))[:, 0]
    expected = sk.roc_auc_score(y[:, 1], score)
    assert both(classes, y[:, 1], "auc") == pytest.approx((expected, expected), rel=1e-12)
    assert both(classes, y, "auc") == pytest.approx((expected, expected), rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "outputs", "metric", "message"),
    [
        ("bce_with_logits", 4, gd.metrics.TopK(2), "the metric 'top2' ranks the outputs of class"),
        ("bce_with_logits", 1, gd.metrics.TopK(1), "the metric 'top1' ranks the outputs of class"),
        ("mse", 2, "accuracy", "the metric 'accuracy' judges classes or labels, got a regression"),
        ("mse", 2, "auc", "the metric 'auc' judges classes or labels, got a regression"),
        ("mse", 1, "accuracy", "the metric 'accuracy' judges classes or labels, got a regression"),
        ("mae", 3, gd.metrics.TopK(1), "the metric 'top1' judges classes or labels"),
        ("huber", 3, "auc", "the metric 'auc' judges classes or labels"),
        (gd.Huber(0.3), 2, "accuracy", "the metric 'accuracy' judges classes or labels"),
        ("cross_entropy", 3, "auc", "output must have 1 or 2 columns for auc, got 3"),
        ("bce_with_logits", 1, "rmse", "the metric 'rmse' judges numbers, got logits"),
        ("bce_with_logits", 2, "mae", "the metric 'mae' judges numbers, got logits"),
        ("cross_entropy", 3, "r2", "y must have shape (60, 3), got (60,)"),
    ],
)
def test_what_a_metric_does_not_judge_is_an_error_before_any_update(
    loss: Any, outputs: int, metric: Any, message: str
) -> None:
    t = trainer(loss, outputs)
    y = labels(1)[:, 0] if loss == "cross_entropy" else labels(outputs)
    before = digest(t.network.state_dict())
    with pytest.raises(ValueError, match=re.escape(message)):
        t.evaluate(X, y, metrics=(metric,))
    with pytest.raises(ValueError, match=re.escape(message)):
        t.fit(X, y, validation_data=(X, y), metrics=(metric,), progress=False)
    assert digest(t.network.state_dict()) == before
    assert t.steps == 0


def test_probabilities_are_numbers_and_their_logits_are_not() -> None:
    y = np.random.default_rng(0).dirichlet(np.ones(3), SAMPLES)
    with pytest.raises(ValueError, match="the metric 'rmse' judges numbers, got logits"):
        trainer("cross_entropy", 3).evaluate(X, y, metrics=("rmse",))
    net = nets.network([4, 5, 3], ["tanh", "softmax"])
    expected = sk.root_mean_squared_error(y.ravel(), net.predict(X).ravel())
    found = both(gd.Trainer(net, "cross_entropy", "sgd"), y, "rmse")
    assert found == pytest.approx((expected, expected), rel=1e-12)


def test_auc_of_a_score_from_a_regression_on_two_classes() -> None:
    t, y = trainer("mse", 1), labels(1)
    expected = sk.roc_auc_score(y, t.network.predict(X))
    assert both(t, y[:, 0], "auc") == pytest.approx((expected, expected), rel=1e-12)


# ---- shapes ----


def mean_squared(y: Any, output: Any) -> float:
    return float(np.mean((output - y) ** 2))


FORMS: dict[str, Any] = {
    "(N,)": lambda y: y,
    "(N, 1)": lambda y: y[:, None],
    "list": lambda y: y.tolist(),
    "float32": lambda y: y.astype("float32"),
    "Series": pd.Series,
    "frame": lambda y: pd.DataFrame({"y": y}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", ["mse", "huber", "bce_with_logits"])
def test_functions_get_targets_in_the_shape_of_the_output(loss: str, form: str) -> None:
    t = trainer(loss, 1, "float32")
    y = labels(1)[:, 0].astype(float)
    output = t.network.predict(X)[:, 0].astype(float)
    shapes = []

    def squared(y: Any, output: Any) -> float:
        assert isinstance(y, np.ndarray)
        shapes.append((y.shape, output.shape))
        return mean_squared(y, output)

    found = both(t, FORMS[form](y), squared)
    assert found == pytest.approx([np.mean((output - y) ** 2)] * 2, rel=1e-5)
    assert set(shapes) == {((SAMPLES, 1), (SAMPLES, 1))}


def test_functions_get_labels_as_labels() -> None:
    t = trainer("cross_entropy", 3)
    y = nets.targets("cross_entropy", SAMPLES, 3)

    def right(y: Any, output: Any) -> float:
        return float(np.mean(output.argmax(axis=1) == y))

    expected = sk.accuracy_score(y, t.network.predict(X).argmax(axis=1))
    assert both(t, y, right) == (expected, expected)
    assert both(t, y.tolist(), right) == (expected, expected)

    def brier(y: Any, output: Any) -> float:
        assert y.shape == output.shape
        return 0.5

    assert both(t, np.eye(3)[y], brier) == (0.5, 0.5)


def test_a_metric_of_ones_own_gets_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metric, "members", dict(Metric.members))
    seen = []

    @dataclass(frozen=True)
    class Worst(Metric):
        name: ClassVar[str] = "worst"

        def value(self, y: Any, output: Any, weights: Any) -> float:
            seen.append((y.shape, output.shape, weights.shape))
            return float((weights[:, None] * (output - y) ** 2).max())

    t, y = trainer("mse", 1), labels(1)[:, 0]
    expected = ((t.network.predict(X)[:, 0] - y) ** 2).max()
    assert t.evaluate(X, y, metrics=("worst",))["worst"] == pytest.approx(expected, rel=1e-12)
    assert seen == [((SAMPLES, 1), (SAMPLES, 1), (SAMPLES,))]


# ---- weights ----


def weighted_squared(y: Any, output: Any, sample_weight: Any = None) -> float:
    return float(np.average((output - y)[:, 0] ** 2, weights=sample_weight))


def test_functions_that_take_weights_get_them() -> None:
    t, y = trainer("mse", 1), X[:, 0]
    weight = WEIGHT.astype("float32").tolist()
    loss = t.evaluate(X, y, weight)["loss"]
    assert both(t, y, weighted_squared, weight) == pytest.approx((loss, loss), rel=1e-12)
    assert both(t, y, weighted_squared)[0] == pytest.approx(t.evaluate(X, y)["loss"], rel=1e-12)
    assert both(t, y, sk.mean_squared_error, weight) == pytest.approx((loss, loss), rel=1e-12)


def test_functions_that_do_not_are_told_of_once() -> None:
    t, y = trainer("mse", 1), X[:, 0]
    options = {"metrics": (mean_squared, "mae", weighted_squared)}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        t.evaluate(X, y, WEIGHT, **options)
        data = (X, y, WEIGHT)
        t.fit(X, y, epochs=3, validation_data=data, progress=False, **options)
        t.fit(X, y, sample_weight=WEIGHT, validation_data=(X, y), progress=False, **options)
        t.evaluate(X, y, **options)
    assert len(told) == 2
    for one in told:
        assert one.category is UserWarning
        assert one.filename == __file__
        assert str(one.message).startswith("the metric 'mean_squared' is computed without the samp")


def test_where_warnings_are_errors_nothing_has_changed() -> None:
    t, y = trainer("mse", 1), X[:, 0]
    before = digest(t.network.state_dict())
    with pytest.raises(UserWarning, match="sample_weight"):
        t.fit(X, y, validation_data=(X, y, WEIGHT), metrics=(mean_squared,), progress=False)
    assert digest(t.network.state_dict()) == before
    assert t.steps == 0
