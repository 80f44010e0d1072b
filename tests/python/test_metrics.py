"""Metrics against scikit-learn, and against the accuracy of Trainer.evaluate."""

from __future__ import annotations

import re
from typing import Any

import nets
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.exceptions import UndefinedMetricWarning

import gdcore as gd
from gdcore.metrics import AUC, MAE, R2, RMSE, Accuracy, Metric, TopK

SAMPLES = 200
EPS = 1e-12


def weights_of(kind: str, samples: int = SAMPLES) -> Any:
    """None, random weights, or weights some of which are 0."""
    random = np.random.default_rng(7)
    weights = random.uniform(0.1, 3, samples)
    if kind == "zeros":
        weights[random.integers(0, 2, samples) == 0] = 0
    return None if kind == "none" else weights


WEIGHTS = pytest.mark.parametrize("weighting", ["none", "random", "zeros"])


def random_data(outputs: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Targets and outputs (SAMPLES, outputs); with ties, outputs of a few values."""
    random = np.random.default_rng(outputs)
    y = random.standard_normal((SAMPLES, outputs))
    output = y + random.standard_normal((SAMPLES, outputs))
    return y, np.round(output) if ties else output


def labels_of(classes: int) -> np.ndarray:
    return np.random.default_rng(classes).integers(0, classes, SAMPLES)


# ---- numbers ----


@WEIGHTS
@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_as_scikit_learn(outputs: int, weighting: str) -> None:
    (y, output), weights = random_data(outputs), weights_of(weighting)
    expected = {
        "mae": sk.mean_absolute_error(y, output, sample_weight=weights),
        "rmse": np.sqrt(sk.mean_squared_error(y, output, sample_weight=weights)),
        "r2": sk.r2_score(y, output, sample_weight=weights),
    }
    for metric in (MAE(), RMSE(), R2()):
        assert metric(y, output, weights) == pytest.approx(expected[metric.key], rel=EPS)
        if outputs == 1:
            assert metric(y[:, 0], output, weights) == metric(y, output, weights)
    if outputs == 1:
        root = sk.root_mean_squared_error(y, output, sample_weight=weights)
        assert RMSE()(y, output, weights) == pytest.approx(root, rel=EPS)


@pytest.mark.parametrize("loss", ["mae", "mse"])
def test_mae_and_rmse_are_the_losses(loss: str) -> None:
    net = nets.network([6, 4], ["identity"])
    x, y, weights = nets.inputs(50, 6), nets.targets(loss, 50, 4), weights_of("random", 50)
    found = gd.Trainer(net, loss, "sgd").evaluate(x, y, weights)["loss"]
    metric: Metric = MAE() if loss == "mae" else RMSE()
    own = metric(y, net.predict(x), weights)
    assert own ** (1 if loss == "mae" else 2) == pytest.approx(found, rel=EPS)


@WEIGHTS
@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
@pytest.mark.parametrize("missed", [0.0, 1.0])
def test_r2_of_targets_that_are_all_the_same(value: float, missed: float, weighting: str) -> None:
    """0.1 is not the mean of many 0.1 in floating point; that makes no other score of it."""
    y = np.full((SAMPLES, 1), value)
    output = y + missed
    expected = sk.r2_score(np.zeros_like(y), np.full_like(y, missed))
    assert R2()(y, output, weights_of(weighting)) == expected == 1 - missed


def test_r2_where_only_some_outputs_are_constant() -> None:
    y, output = random_data(3)
    y[:, 0], y[:, 1] = 2.0, -1.0
    output[:, 0] = 2.0
    assert R2()(y, output) == pytest.approx(sk.r2_score(y, output), rel=EPS)


def test_r2_of_one_sample_is_nan_as_in_scikit_learn() -> None:
    assert np.isnan(R2()([1.0], [[2.0]]))
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(sk.r2_score([1.0], [2.0]))


# ---- classes ----


@WEIGHTS
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 7])
def test_accuracy_and_top_k_as_scikit_learn(classes: int, ties: bool, weighting: str) -> None:
    _, output = random_data(classes, ties)
    y, weights = labels_of(classes), weights_of(weighting)
    expected = sk.accuracy_score(y, output.argmax(axis=1), sample_weight=weights)
    assert Accuracy()(y, output, weights) == pytest.approx(expected, rel=EPS)
    assert TopK(1)(y, output, weights) == Accuracy()(y, output, weights)
    assert TopK(classes)(y, output, weights) == 1
    for k in range(1, classes) if classes > 2 else ():
        # Of equal outputs scikit-learn takes the last first: seen from the other end, the first.
        expected = sk.top_k_accuracy_score(
            classes - 1 - y, output[:, ::-1], k=k, sample_weight=weights, labels=range(classes)
        )
        assert TopK(k)(y, output, weights) == pytest.approx(expected, rel=EPS)


@pytest.mark.parametrize("metric", [Accuracy(), TopK(2)])
def test_labels_come_in_any_integers_and_as_probabilities(metric: Metric) -> None:
    _, output = random_data(3)
    y = labels_of(3)
    found = metric(y, output)
    for dtype in ("int8", "uint8", "uint64"):
        assert metric(y.astype(dtype), output) == found
    assert metric(y[:, None], output) == found
    assert metric(list(y), output.tolist()) == found
    for one_hot in (np.eye(3)[y], np.eye(3, dtype=int)[y], 0.7 * np.eye(3)[y] + 0.1):
        assert metric(one_hot, output) == found
    assert Accuracy()(y > 0, output[:, :2]) == Accuracy()((y > 0).astype(int), output[:, :2])


@WEIGHTS
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_auc_as_scikit_learn(outputs: int, ties: bool, weighting: str) -> None:
    _, output = random_data(outputs, ties)
    y, weights = labels_of(2), weights_of(weighting)
    score = output[:, 0] if outputs == 1 else output[:, 1] - output[:, 0]
    expected = sk.roc_auc_score(y, score, sample_weight=weights)
    assert AUC()(y, output, weights) == pytest.approx(expected, rel=EPS)
    assert AUC()(y[:, None], output, weights) == pytest.approx(expected, rel=EPS)
    soft = 0.8 * y + 0.1
    targets = soft if outputs == 1 else np.stack([1 - soft, soft], axis=1)
    assert AUC()(targets, output, weights) == pytest.approx(expected, rel=EPS)


@WEIGHTS
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("labels", [2, 3, 6])
def test_auc_of_labels_is_the_mean_over_them(labels: int, ties: bool, weighting: str) -> None:
    _, output = random_data(labels, ties)
    y = np.random.default_rng(labels).integers(0, 2, (SAMPLES, labels))
    weights = weights_of(weighting)
    expected = sk.roc_auc_score(y, output, average="macro", sample_weight=weights)
    for targets in (y, y.astype(float), 0.8 * y + 0.1):
        assert AUC()(targets, output, weights) == pytest.approx(expected, rel=EPS)
        told = AUC()(targets, output, weights, task="binary")
        assert told == pytest.approx(expected, rel=EPS)


def test_the_task_decides_where_each_sample_happens_to_have_one_label() -> None:
    output = np.array([[2.0, 1.0], [3.0, 2.5], [-1.0, -0.5], [0.5, -0.5]])
    y = np.array([[1, 0], [0, 1], [0, 1], [1, 0]])
    assert Accuracy()(y, output) == Accuracy()(y, output, task="multiclass") == 0.75
    assert Accuracy()(y, output, task="binary") == 0.625
    of_classes = sk.roc_auc_score(y[:, 1], output[:, 1] - output[:, 0])
    assert AUC()(y, output) == AUC()(y, output, task="multiclass") == of_classes
    each = sk.roc_auc_score(y, output, average="macro")
    assert AUC()(y, output, task="binary") == each != of_classes


@WEIGHTS
def test_accuracy_of_labels_counts_each(weighting: str) -> None:
    _, output = random_data(4)
    y = np.random.default_rng(4).integers(0, 2, (SAMPLES, 4))
    weights = weights_of(weighting)
    columns = [
        sk.accuracy_score(y[:, k], output[:, k] > 0, sample_weight=weights) for k in range(4)
    ]
    assert Accuracy()(y, output, weights) == pytest.approx(np.mean(columns), rel=EPS)


def test_auc_ranks_by_any_loss_where_targets_are_two_classes() -> None:
    y, (_, output) = labels_of(2), random_data(1)
    expected = sk.roc_auc_score(y, output[:, 0])
    for targets in (y, y[:, None], y.astype(float), y > 0):
        found = AUC()(targets, output, task="regression")
        assert found == pytest.approx(expected, rel=EPS)


small = st.integers(-2, 2).map(float)


@given(data=st.data(), samples=st.integers(2, 12))
def test_auc_is_the_share_of_pairs_in_order(data: st.DataObject, samples: int) -> None:
    y = data.draw(hnp.arrays(np.int64, samples, elements=st.integers(0, 1)))
    y[:2] = 0, 1
    score = data.draw(hnp.arrays(np.float64, samples, elements=small))
    weights = data.draw(hnp.arrays(np.float64, samples, elements=st.integers(0, 3).map(float)))
    weights[:2] = 1
    share = total = 0.0
    for i in np.flatnonzero(y == 1):
        for j in np.flatnonzero(y == 0):
            pair = weights[i] * weights[j]
            share += pair * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
            total += pair
    assert AUC()(y, score[:, None], weights) == pytest.approx(share / total, rel=EPS)


@given(data=st.data(), classes=st.integers(2, 5))
def test_top_k_counts_the_first_of_equal_outputs(data: st.DataObject, classes: int) -> None:
    output = data.draw(hnp.arrays(np.float64, (6, classes), elements=small))
    y = data.draw(hnp.arrays(np.int64, 6, elements=st.integers(0, classes - 1)))
    first = np.argsort(-output, axis=1, kind="stable")
    for k in range(1, classes + 1):
        expected = np.mean([y[i] in first[i, :k] for i in range(6)])
        assert TopK(k)(y, output) == pytest.approx(expected, rel=EPS)


@given(data=st.data(), scale=st.integers(-900, 900))
def test_weights_count_by_their_ratios(data: st.DataObject, scale: int) -> None:
    """Whole weights are repeated samples, and a factor for all of them changes nothing."""
    y = data.draw(hnp.arrays(np.int64, 8, elements=st.integers(0, 1)))
    y[:2] = 0, 1
    output = data.draw(hnp.arrays(np.float64, (8, 1), elements=small))
    counts = data.draw(hnp.arrays(np.int64, 8, elements=st.integers(0, 3)))
    counts[:2] = 1, 2
    for metric in (Accuracy(), MAE(), RMSE(), R2(), AUC()):
        found = metric(y, output, counts)
        assert found == pytest.approx(metric(y.repeat(counts), output.repeat(counts, 0)), rel=1e-9)
        assert metric(y, output, np.ldexp(counts.astype(float), scale)) == found


# ---- the accuracy of Trainer.evaluate ----


@WEIGHTS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "outputs", "form"),
    [
        ("cross_entropy", 5, "labels"),
        ("cross_entropy", 5, "probabilities"),
        ("bce_with_logits", 1, "numbers"),
        ("bce_with_logits", 1, "column"),
        ("bce_with_logits", 1, "probabilities"),
        ("bce_with_logits", 3, "labels of their own"),
        ("bce_with_logits", 2, "independent probabilities"),
    ],
)
def test_accuracy_is_that_of_evaluate(
    loss: str, outputs: int, form: str, dtype: str, weighting: str
) -> None:
    random = np.random.default_rng(3)
    net = nets.network([6, 9, outputs], ["relu", "identity"], dtype)
    x, weights = nets.inputs(SAMPLES, 6), weights_of(weighting)
    if form == "probabilities":
        y = random.random((SAMPLES, 1)).round(1)  # with ties
        if outputs > 1:
            y = random.multinomial(10, np.ones(outputs) / outputs, SAMPLES) / 10
    elif form == "labels of their own":
        y = random.integers(0, 2, (SAMPLES, outputs))
    elif form == "independent probabilities":
        y = random.random((SAMPLES, outputs)).round(1)
    else:
        y = random.integers(0, max(2, outputs), SAMPLES)
        y = y[:, None] if form == "column" else y
    found = gd.Trainer(net, loss, "sgd").evaluate(x, y, weights)["accuracy"]
    assert 0 < found < 1
    assert Accuracy()(y, net.predict(x), weights) == pytest.approx(found, rel=1e-6)
    if weights is None:
        assert Accuracy()(y, net.predict(x)) == found


@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 3), ("bce_with_logits", 1)])
def test_accuracy_is_that_of_evaluate_where_all_outputs_are_equal(loss: str, outputs: int) -> None:
    net = gd.Network([gd.Dense(outputs, weight_init="zeros")], input_size=2)
    x, y = nets.inputs(9, 2), np.arange(9) % max(2, outputs)
    found = gd.Trainer(net, loss, "sgd").evaluate(x, y)["accuracy"]
    assert Accuracy()(y, net.predict(x)) == found == np.mean(y == 0)


# ---- NaN and infinity ----


def test_nan_is_no_class_but_for_the_first() -> None:
    """As std::max_element has it, which the C++ accuracy uses."""
    nan, inf = np.nan, np.inf
    output = [[nan, 1, 2], [nan, inf, 0], [1, nan, 0], [0, nan, 1], [-inf, nan, -inf], [nan] * 3]
    chosen = [0, 0, 0, 2, 0, 0]
    assert Accuracy()(chosen, output) == TopK(1)(chosen, output) == 1
    assert Accuracy()([0, 1], [[nan], [nan]]) == 0.5


@pytest.mark.parametrize("metric", [MAE(), RMSE(), R2(), AUC()])
def test_nan_outputs_make_nan(metric: Metric) -> None:
    assert np.isnan(metric([0, 1, 1], [[0.5], [np.nan], [1.0]]))
    if not isinstance(metric, AUC):
        assert np.isnan(metric([1, 1, 1], [[0.5], [np.nan], [1.0]]))


def test_overflow_is_infinite_without_a_warning() -> None:
    assert RMSE()([0.0, 1.0], [[1e300], [0.0]]) == np.inf
    assert MAE()([0.0, 1.0], [[np.inf], [0.0]]) == np.inf
    assert AUC()([0, 1], [[-np.inf], [np.inf]]) == 1


# ---- arrays that are not right ----

TWO = [[0.1, 0.9], [0.8, 0.2]]
ONE = [[0.1], [-0.8]]


BOTH = "y must hold samples of both classes for auc, got no "


@pytest.mark.parametrize(
    ("metric", "y", "output", "message"),
    [
        (MAE(), [1.0], [0.5], "output must have shape (N, K) with at least one row, got (1,)"),
        (MAE(), [], np.empty((0, 1)), "output must have shape (N, K) with at least one row, got"),
        (MAE(), [1.0, 2.0], np.empty((2, 0)), "output must have shape"),
        (MAE(), [1.0, 2.0], [[1], [2, 3]], "output cannot be made an array: "),
        (MAE(), [1.0, np.nan], ONE, "y must be finite, got NaN or infinity"),
        (MAE(), [1.0, 2.0, 3.0], ONE, "y must have shape (2,) or (2, 1), got (3,)"),
        (RMSE(), [1.0, 2.0], TWO, "y must have shape (2, 2), got (2,)"),
        (R2(), [[1.0], [2.0]], TWO, "y must have shape (2, 2), got (2, 1)"),
        (Accuracy(), [0, 1, 0], TWO, "y must have shape (2,) of labels or (2, 2) of probabilities"),
        (Accuracy(), [0, 2], TWO, "y must hold labels from 0 to 1, got 2 at index 1"),
        (TopK(1), [-1, 0], TWO, "y must hold labels from 0 to 1, got -1 at index 0"),
        (TopK(1), np.array([0, 2**63], np.uint64), TWO, f"got {2**63} at index 1"),
        (TopK(), [0, 1], TWO, "k of TopK must be at most the 2 outputs, got 5"),
        (Accuracy(), [0, 2], ONE, "y must be within [0, 1] for one output, got 2"),
        (AUC(), [-1, 1], ONE, "y must be within [0, 1] for one output, got -1"),
        (AUC(), [0, 1], np.ones((2, 3)), "output must have 1 or 2 columns for auc, got 3"),
        (AUC(), [1, 1], ONE, BOTH + "negative one"),
        (AUC(), [[1, 0], [0, 0]], TWO, BOTH + "positive one in column 1"),
        (Accuracy(), [[2.0, 1.0], [0.0, 1.0]], TWO, "y must be within [0, 1] for outputs that are"),
        (AUC(), [[0.1, -0.4], [0.3, 1.0]], TWO, "y must be within [0, 1] for outputs that are"),
        (TopK(1), [[1, 1], [0, 1]], TWO, "the metric 'top1' ranks the outputs of classes"),
        (TopK(1), [0, 1], ONE, "the metric 'top1' ranks the outputs of classes"),
        (AUC(), [0, 0], TWO, BOTH + "positive one"),
    ],
)
def test_values_that_are_not_right_are_named(
    metric: Metric, y: Any, output: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(y, output)


@pytest.mark.parametrize(
    ("metric", "y", "output", "message"),
    [
        (MAE(), [1.0, 2.0], [["a"], ["b"]], "output must hold real numbers, got dtype <U1"),
        (MAE(), [1.0, 2j], ONE, "y must hold real numbers, got dtype complex128"),
        (MAE(), [None, 1], ONE, "y must hold real numbers, got dtype object"),
        (MAE(), np.ma.masked_less([1.0, 2.0], 1.5), ONE, "y must not be a masked array"),
        (Accuracy(), [0.0, 1.0], TWO, "y must hold integer class labels in (N,) or probabilities"),
    ],
)
def test_types_that_are_not_right_are_named(
    metric: Metric, y: Any, output: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        metric(y, output)


@pytest.mark.parametrize(
    ("metric", "y", "output", "task", "message"),
    [
        (Accuracy(), [0, 1], TWO, "regression", "'accuracy' judges classes or labels, got a regr"),
        (Accuracy(), [0, 1], ONE, "regression", "'accuracy' judges classes or labels, got a regr"),
        (AUC(), [[0, 1], [1, 0]], TWO, "regression", "the metric 'auc' judges classes or labels"),
        (AUC(), [0.3, 1.0], ONE, "regression", "the metric 'auc' judges classes or labels"),
        (TopK(2), [0, 1], TWO, "regression", "the metric 'top2' judges classes or labels"),
        (TopK(1), [[0, 1], [1, 0]], TWO, "binary", "the metric 'top1' ranks the outputs of class"),
        (
            Accuracy(),
            [[1, 1], [0, 1]],
            TWO,
            "multiclass",
            "1 in each row, got a sum of 2 in row",
        ),
        (AUC(), [[0, 1], [3, -2]], TWO, "multiclass", "of at least 0 that add up to 1 in each row"),
        (Accuracy(), [0, 0], ONE, "multiclass", "output must have a column for each of at least"),
        (Accuracy(), [0, 1], TWO, "binary", "y must have shape (2, 2), got (2,)"),
        (MAE(), [0, 1], ONE, "multilabel", "task must be one of multiclass, binary, regression"),
    ],
)
def test_what_does_not_fit_the_task_is_told(
    metric: Metric, y: Any, output: Any, task: str, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(y, output, task=task)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "sample_weight must have shape (2,) like output, got (1,)"),
        ([[1.0], [1.0]], "sample_weight must have shape (2,) like output, got (2, 1)"),
        ([1.0, -2.0], "sample_weight must hold finite weights of at least 0, got -2"),
        ([np.nan, 1.0], "sample_weight must hold finite weights of at least 0, got nan"),
        ([np.inf, 1.0], "sample_weight must hold finite weights of at least 0, got inf"),
        ([0.0, 0.0], "sample_weight must not be all zero"),
    ],
)
def test_weights_that_are_not_right_are_named(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        MAE()([1.0, 2.0], ONE, weights)


def test_weights_of_strings_are_refused() -> None:
    with pytest.raises(TypeError, match="sample_weight must hold real numbers, got dtype <U1"):
        MAE()([1.0, 2.0], ONE, ["a", "b"])


def test_a_class_without_weight_is_not_there() -> None:
    with pytest.raises(ValueError, match="both classes for auc, got no positive one"):
        AUC()([0, 1], ONE, [1.0, 0.0])


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, "k must be at least 1, got 0"),
        (2.0, TypeError, "k must be an integer, got 2.0 (float)"),
        (True, TypeError, "k must be an integer, got True (bool)"),
    ],
)
def test_k_is_a_whole_number(k: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        TopK(k)
