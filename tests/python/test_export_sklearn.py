"""Networks of scikit-learn's fitted perceptrons, and back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore import export

pytest.importorskip("sklearn", minversion="1.7", reason="scikit-learn 1.7 is not installed")
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(4)
X = RNG.standard_normal((50, 4))
TWO = np.where(X[:, 0] > 0, "yes", "no")
THREE = np.array(list("abc"))[X[:, :3].argmax(axis=1)]


def fitted(estimator: Any, y: Any, x: Any = X) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(x, y)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_classifiers_go_both_ways(activation: str, y: Any) -> None:
    theirs = fitted(MLPClassifier((5, 6), activation=activation, max_iter=4, random_state=0), y)
    net = export.from_sklearn(theirs)
    assert net.dtype == theirs.coefs_[0].dtype
    shares = theirs.predict_proba(X)
    np.testing.assert_allclose(net.predict_proba(X), shares[:, -net.output_size :], atol=1e-12)
    back = export.to_sklearn(net, classes=theirs.classes_)
    assert type(back) is MLPClassifier
    assert back.activation == activation
    np.testing.assert_allclose(back.predict_proba(X), shares, atol=1e-12)
    assert (back.predict(X) == theirs.predict(X)).all()
    assert back.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors_go_both_ways(outputs: int) -> None:
    y = X[:, 0] if outputs == 1 else X[:, :outputs]
    x = X.astype(np.float32)
    theirs = fitted(MLPRegressor(hidden_layer_sizes=(7,), max_iter=4, random_state=0), y, x)
    net = export.from_sklearn(theirs)
    assert net.dtype == "float32"
    np.testing.assert_allclose(net.predict(x).reshape(y.shape), theirs.predict(x), atol=1e-6)
    back = export.to_sklearn(net)
    np.testing.assert_array_equal(back.predict(x), theirs.predict(x))


def test_several_labels_and_our_own_estimators() -> None:
    from gdcore.sklearn import MLPClassifier as Ours

    labels = (X[:, :2] > 0).astype(int)
    theirs = fitted(MLPClassifier((5,), max_iter=4, random_state=0), labels)
    net = export.from_sklearn(theirs)
    found = net.predict_proba(X, task="binary")
    np.testing.assert_allclose(found, theirs.predict_proba(X), atol=1e-12)
    ours = fitted(Ours((5,), max_iter=4, random_state=0), THREE)
    found = export.from_sklearn(ours).predict_proba(X)
    np.testing.assert_allclose(found, ours.predict_proba(X), atol=1e-12)


def test_a_network_that_was_trained_here() -> None:
    layers = [gd.Dense(6), "sigmoid", gd.Dropout(0.2), gd.Dense(3, bias=False), "softmax"]
    net = gd.Network(layers, input_size=4, seed=1)
    classes = ["a", "b", "c"]
    theirs = export.to_sklearn(net, classes)
    x = X.astype(np.float32)
    np.testing.assert_allclose(theirs.predict_proba(x), net.predict_proba(x), atol=1e-6)
    assert (theirs.predict(x) == np.array(classes)[net.predict_classes(x)]).all()
    linear = gd.Network([gd.Dense(2)], input_size=4)
    np.testing.assert_allclose(export.to_sklearn(linear).predict(x), linear.predict(x), atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "classes", "words"),
    [
        ([gd.Dense(4, "gelu"), gd.Dense(2)], None, r"layer '0' \(gelu\) cannot go to scikit-learn"),
        ([gd.Dense(4, "relu"), gd.Dense(4, "tanh"), gd.Dense(2)], None, r"'1' \(tanh\).*one activ"),
        ([gd.Dense(4), gd.LayerNorm(), gd.Dense(2)], None, r"layer '1' \(layer_norm\) cannot"),
        ([gd.Dense(4, weight_norm=True)], None, "its weights are made of others"),
        (["relu", gd.Dense(2)], None, r"'0' \(relu\).*behind a linear layer"),
        (["relu"], None, "must stand behind"),
        ([gd.Dropout(0.1)], None, "must have a Dense layer"),
        ([gd.Dense(2, "tanh")], None, "the last layer must be linear"),
        ([gd.Dense(2, "softmax")], None, "a regressor's end is linear"),
        ([gd.Dense(2)], ["a"], "classes must be 2, got 1"),
        ([gd.Dense(1)], ["a"], "classes must be 2, got 1"),
        ([gd.Dense(2)], ["b", "a"], "different and sorted"),
        ([gd.Dense(2, "sigmoid")], ["a", "b"], "no probabilities of 2 classes"),
    ],
)
def test_what_has_no_equal_is_named(layers: Any, classes: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        export.to_sklearn(gd.Network(layers, input_size=4), classes)


def test_bad_arguments_are_told() -> None:
    with pytest.raises(TypeError, match=r"estimator must be a MLPClassifier .*got int"):
        export.from_sklearn(3)
    with pytest.raises(NotFittedError):
        export.from_sklearn(MLPClassifier())
    with pytest.raises(TypeError, match=r"net must be a gdcore\.Network"):
        export.to_sklearn(3)  # type: ignore[arg-type]
    net = gd.Network([gd.Dense(2)], input_size=4)
    with pytest.raises(TypeError, match="classes must be a sequence"):
        export.to_sklearn(net, "ab")
    x, y = gd.Input(2, name="x"), gd.Input(2, name="y")
    joined = gd.Network(inputs=[x, y], outputs=gd.Add()(x, y))
    with pytest.raises(ValueError, match="must be a row of Dense layers"):
        export.to_sklearn(joined)
