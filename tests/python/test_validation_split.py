"""fit(validation_split=): the last samples as they were given are held out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gdcore as gd

RANDOM = np.random.default_rng(0)
X, Y, W = RANDOM.normal(size=(20, 3)), RANDOM.integers(0, 3, 20), RANDOM.uniform(1, 2, 20)


def trainer() -> gd.Trainer:
    net = gd.Network([gd.Dense(5, "relu"), gd.Dense(3)], input_size=3, dtype="float64")
    return gd.Trainer(net, "cross_entropy", "adam")


def fit(x: Any = X, y: Any = Y, **options: Any) -> tuple[gd.History, dict[str, Any]]:
    one = trainer()
    history = one.fit(x, y, epochs=3, batch_size=4, progress=False, **options)
    return history, one.network.state_dict()


@pytest.mark.parametrize("share", [0.2, 0.25, 0.33, 0.05, 0.95])
@pytest.mark.parametrize("weights", [None, W])
@pytest.mark.parametrize("kind", [np.asarray, lambda a: a.tolist()], ids=["arrays", "lists"])
def test_it_is_validation_data_of_the_last_samples(share: float, weights: Any, kind: Any) -> None:
    kept = 20 - math.ceil(round(20 * share, 9))
    held_out = [X[kept:], Y[kept:]] + ([] if weights is None else [weights[kept:]])
    expected = fit(
        X[:kept],
        Y[:kept],
        sample_weight=None if weights is None else weights[:kept],
        validation_data=tuple(held_out),
    )
    found = fit(
        kind(X),
        kind(Y),
        sample_weight=None if weights is None else kind(weights),
        validation_split=share,
    )
    assert found[0] == expected[0]
    assert "val_accuracy" in found[0]
    for key, value in expected[1].items():
        np.testing.assert_array_equal(found[1][key], value)


def test_metrics_and_early_stopping_see_it() -> None:
    history = trainer().fit(
        X,
        Y,
        epochs=2,
        validation_split=0.5,
        metrics=[gd.metrics.TopK(2)],
        callbacks=[gd.callbacks.EarlyStopping("val_top2")],
        progress=False,
    )
    assert len(history["val_top2"]) == 2


def test_tables_are_split_as_arrays_are() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"], index=range(100, 120))
    found = fit(table, pandas.Series(Y, index=range(7, 27)), validation_split=0.2)
    assert found[0] == fit(validation_split=0.2)[0]


@pytest.mark.parametrize(
    ("share", "error", "message"),
    [
        (0, ValueError, "validation_split must be above 0 and below 1, got 0"),
        (1.0, ValueError, "validation_split must be above 0 and below 1, got 1"),
        (-0.5, ValueError, "validation_split must be above 0"),
        (math.nan, ValueError, "validation_split must be finite"),
        ("0.2", TypeError, "validation_split must be a real number, got '0.2'"),
        (True, TypeError, "validation_split must be a real number"),
        (0.99, ValueError, "must leave at least one of the 20 samples for training, got 0.99"),
    ],
)
def test_shares_that_cannot_be(share: Any, error: type[Exception], message: str) -> None:
    one = trainer()
    before = one.network.state_dict()
    with pytest.raises(error, match=message):
        one.fit(X, Y, validation_split=share, progress=False)
    assert one.epochs == 0
    for key, value in one.network.state_dict().items():
        np.testing.assert_array_equal(before[key], value)


def test_both_ways_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="validation_split and validation_data must not be given"):
        trainer().fit(X, Y, validation_split=0.2, validation_data=(X, Y))


def test_messages_tell_rows_of_what_was_given() -> None:
    x = X.copy()
    x[18, 1] = np.nan
    with pytest.raises(ValueError, match=r"^x must be finite.*18") as told:
        trainer().fit(x, Y, validation_split=0.5)
    with pytest.raises(ValueError, match="x must be finite") as whole:
        trainer().fit(x, Y, epochs=1)
    assert str(told.value) == str(whole.value)
    with pytest.raises(ValueError, match=r"^y must have"):
        trainer().fit(X, Y[:-1], validation_split=0.5)


def test_it_counts_as_an_argument_of_a_bare_fit() -> None:
    """fit(x, y) alone warns that one epoch is trained; with a choice nothing is said."""
    trainer().fit(X, Y, validation_split=0.2, progress=False)
