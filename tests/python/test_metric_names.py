"""Metrics by name, as objects and as functions, as the argument metrics takes them."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from gdcore import metrics
from gdcore.metrics import AUC, R2, Accuracy, Metric, TopK, resolve_metrics


def mean_of_outputs(y: Any, output: Any) -> float:
    return float(np.mean(output))


def test_metrics_are_found_by_name_by_object_and_as_functions() -> None:
    found = resolve_metrics(["accuracy", TopK(3), "top_k", R2(), mean_of_outputs])
    keys = ["accuracy", "top3", "top5", "r2", "mean_of_outputs"]
    assert [key for key, _ in found] == keys
    assert [f for _, f in found][:4] == [Accuracy(), TopK(3), TopK(5), R2()]
    _, function = found[-1]
    assert function(None, [1.0, 2.0], None) == 1.5
    assert resolve_metrics(()) == []
    assert [key for key, _ in resolve_metrics(name for name in ("mae", "auc"))] == ["mae", "auc"]


def test_every_member_is_public_frozen_and_told() -> None:
    assert sorted(Metric.members) == ["accuracy", "auc", "mae", "r2", "rmse", "top_k"]
    for name, member in Metric.members.items():
        assert getattr(metrics, member.__name__) is member
        assert member.__name__ in metrics.__all__
        assert member.__dataclass_params__.frozen
        assert hash(member()) == hash(member())
        assert member.higher_is_better is (name not in ("mae", "rmse"))
        assert resolve_metrics((name,)) == [(member().key, member())]
        assert re.search(r"[=+/] |\[", member.__doc__), "no equation"
        assert "Source: " in member.__doc__
        for field in dataclasses.fields(member):
            assert re.search(rf"^ +{field.name}: ", member.__doc__, re.MULTILINE)


def test_functions_that_take_sample_weights_get_them() -> None:
    seen: list[Any] = []

    def positional(*arguments: Any) -> float:
        seen.append(len(arguments))
        return 0.0

    def weighted(y: Any, output: Any, sample_weight: Any) -> float:
        seen.append(sample_weight)
        return 0.0

    def by_name(y: Any, output: Any, *, sample_weight: Any = "none") -> float:
        seen.append(sample_weight)
        return 0.0

    def others(y: Any, output: Any, **options: Any) -> float:
        seen.append(options)
        return 0.0

    (_, mae), *functions = resolve_metrics(("mae", positional, weighted, by_name, others))
    y, output, weights = [0.0, 0.0], [[1.0], [3.0]], [1.0, 0.0]
    assert mae(y, output, weights) == 1
    for _, function in functions:
        function(y, output, weights)
        function(y, output)
    assert seen == [2, 2, weights, None, weights, None, {}, {}]
    told = [metrics.takes_no_weights(function) for _, function in functions]
    assert told == [True, False, False, True]
    assert not metrics.takes_no_weights(mae)


def test_a_metric_of_ones_own_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metric, "members", dict(Metric.members))

    @dataclass(frozen=True)
    class Worst(Metric):
        name: ClassVar[str] = "worst"

        def value(self, y: Any, output: Any, weights: Any) -> float:
            return float((weights * abs(output - y).mean(axis=1)).max())

    ((key, metric),) = resolve_metrics(("worst",))
    assert key == "worst"
    assert Worst.higher_is_better is None
    for y in ([1.0, 4.0], [[1.0], [4.0]]):
        assert metric(y, [[1.0], [3.0]], None) == 1  # not 3, of y against each output
    assert metric([[0.0, 0.0]], [[1.0, 3.0]], None) == 2
    for y in ([0.0], [[0.0]], 0.0, [0.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match=r"y must have 2 rows as output has, got shape \("):
            metric(y, [[1.0], [3.0]], None)


def test_a_metric_without_a_value_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metric, "members", dict(Metric.members))

    class Empty(Metric):
        name: ClassVar[str] = "empty"

    with pytest.raises(NotImplementedError, match="Empty must define value"):
        Empty()([0.0], [[1.0]])


class CallableObject:
    def __call__(self, y: Any, output: Any) -> float:
        return 0.0


def loss(y: Any, output: Any) -> float:
    return 0.0


def mae(y: Any, output: Any) -> float:
    return 0.0


NAMELESS = "metrics[0] must be a function with a name for its key, got "


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("acuracy",), "metrics[0] must be one of accuracy, top_k, mae, rmse, r2, auc, got 'acur"),
        (("acuracy",), "; did you mean 'accuracy'?"),
        ((lambda y, output: 0.0,), NAMELESS + "a lambda: write it with def, or set its __name__"),
        ((CallableObject(),), NAMELESS + "CallableObject"),
        ((functools.partial(mae, 0),), NAMELESS + "partial"),
        (("mae", mae), "metrics[1] must have a name of its own, got 'mae' twice"),
        ((TopK(5), "top_k"), "metrics[1] must have a name of its own, got 'top5' twice"),
        ((loss,), "metrics[0] must have another name than 'loss', which is the loss"),
    ],
)
def test_names_that_do_not_serve_are_told(metrics: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        resolve_metrics(metrics)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("auc", "metrics must be a sequence of metrics, got one: write ('auc',)"),
        (TopK(3), "metrics must be a sequence of metrics, got one: write (TopK(k=3),)"),
        (mae, "metrics must be a sequence of metrics, got one: write (mae,)"),
        (None, "metrics must be a sequence of metrics, got NoneType"),
        (3, "metrics must be a sequence of metrics, got int"),
        ({"auc": 1}, "metrics must be a sequence of metrics, got dict"),
        (("mae", 3), "metrics[1] must be the name of a metric or an object, got int"),
        ((AUC,), "metrics[0] must be an object, got the class: write AUC()"),
        ((CallableObject,), "metrics[0] must be an object or a function, got the class CallableOb"),
        ((Metric(),), "metrics[0] must be a metric with a name, Metric has none"),
    ],
)
def test_what_is_no_metric_is_named(metrics: Any, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        resolve_metrics(metrics)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "None (NoneType)"),
        ("high", "'high' (str)"),
        (True, "True (bool)"),
        (1j, "1j (complex)"),
        (np.zeros(2), "array([0., 0.]) (ndarray)"),
        (np.inf, "inf (float)"),
        (-np.inf, "-inf (float)"),
    ],
)
def test_a_function_that_returns_no_number_is_named(value: Any, told: str) -> None:
    def strange(y: Any, output: Any) -> Any:
        return value

    ((_, function),) = resolve_metrics((strange,))
    message = f"the metric 'strange' must return a finite number or NaN, got {told}"
    with pytest.raises(TypeError, match=re.escape(message)):
        function(None, None, None)


@pytest.mark.parametrize("make", [int, float, np.float32, np.float64, np.int8])
def test_a_function_may_return_any_real_number(make: Callable[[int], Any]) -> None:
    def three(y: Any, output: Any) -> Any:
        return make(3)

    def nan(y: Any, output: Any) -> Any:
        return np.nan

    (_, function), (_, other) = resolve_metrics((three, nan))
    assert type(function(None, None, None)) is float
    assert function(None, None, None) == 3
    assert np.isnan(other(None, None, None))
