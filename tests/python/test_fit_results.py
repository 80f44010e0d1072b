"""Folds, and what comes back of many networks."""

from __future__ import annotations

from typing import Any

import nets
import numpy as np
import pytest

import gdcore as gd

N = 60
X, Y = nets.inputs(N, 5), nets.targets("mse", N, 1)
XV, YV = nets.inputs(20, 5, 3), nets.targets("mse", 20, 1, 3)


def made(seed: int = 0) -> gd.Trainer:
    net = gd.Network([gd.Dense(8, "relu"), gd.Dense(1)], input_size=5, seed=seed)
    return gd.Trainer(net, "mse", gd.Adam(lr=1e-2))


# ---- folds ----


@pytest.mark.parametrize(("n", "k"), [(10, 2), (17, 5), (9, 9), (100, 3)])
def test_folds_hold_each_row_out_once(n: int, k: int) -> None:
    found = gd.folds(n, k, seed=3)
    assert len(found) == k
    assert np.array_equal(np.sort(np.concatenate([held for _, held in found])), np.arange(n))
    sizes = [len(held) for _, held in found]
    assert max(sizes) - min(sizes) <= 1
    for training, held in found:
        assert np.array_equal(np.sort(np.concatenate([training, held])), np.arange(n))
        assert training.dtype == held.dtype == np.int64
    again, other = gd.folds(n, k, seed=3), gd.folds(n, k, seed=4)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(found, again))
    assert n == k or any(not np.array_equal(a[1], b[1]) for a, b in zip(found, other))


@pytest.mark.parametrize("kind", ["numbers", "texts", "booleans", "floats", "column"])
def test_folds_have_their_share_of_every_class(kind: str) -> None:
    y: Any = np.repeat([0, 1, 2], [50, 7, 30])
    if kind == "texts":
        y = np.array(["cat", "dog", "emu"])[y]
    if kind == "booleans":
        y = y > 0
    if kind == "floats":
        y = y.astype(np.float64)
    if kind == "column":
        y = y[:, None]
    stratify = True if kind in ("floats", "column") else None
    found = gd.folds(y, 4, stratify=stratify)
    sizes = [len(held) for _, held in found]
    assert max(sizes) - min(sizes) <= 1
    for value in np.unique(y):
        counts = [int((y[held] == value).sum()) for _, held in found]
        assert max(counts) - min(counts) <= 1
    plain = gd.folds(y, 4, stratify=False)
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(found, plain))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(plain, gd.folds(len(y), 4)))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((10, 1), ValueError, "k must be at least 2, got 1"),
        ((3, 4), ValueError, "k must be at most the number of rows, 3, got 4"),
        ((0, 2), ValueError, "n_or_y must be at least 1, got 0"),
        ((2.5, 2), TypeError, "n_or_y must be an integer or an array, got 2.5"),
        ((10, 2.0), TypeError, "k must be an integer"),
        ((10, 2, {"seed": -1}), ValueError, "seed must be at least 0, got -1"),
        ((10, 2, {"stratify": True}), ValueError, "stratify needs the classes in place of n_or_y"),
        ((10, 2, {"stratify": 1}), TypeError, "stratify must be True or False, got 1"),
        ((np.ones((4, 2)), 2, {"stratify": True}), ValueError, r"got n_or_y of shape \(4, 2\)"),
        ((np.array([0.5, 1]), 2, {"stratify": True}), ValueError, "numbers in n_or_y that are not"),
        ((np.array([1, "a"], object), 2), TypeError, "n_or_y must hold classes of one type"),
    ],
)  # fmt: skip
def test_folds_refuse(arguments: Any, error: type[Exception], words: str) -> None:
    *arguments, options = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(error, match=words):
        gd.folds(*arguments, **options)


# ---- results ----


def test_the_table_tells_figures_mean_and_deviation() -> None:
    results = gd.fit_many(
        [made(seed) for seed in range(4)], X, Y, epochs=3, progress=False, validation_data=(XV, YV)
    )
    losses = [each.last["val_loss"] for each in results]
    spread = results.spread()
    assert spread.mean == pytest.approx(np.mean(losses), rel=1e-12)
    assert spread.deviation == pytest.approx(np.std(losses, ddof=1), rel=1e-12)
    assert spread[2:] == (min(losses), max(losses), 4)
    assert results.best().last["val_loss"] == min(losses)
    assert results.best("val_loss", mode="max").last["val_loss"] == max(losses)
    best = [min(each.history["val_loss"]) for each in results]
    of_best = results.best("val_loss", of="best")
    assert min(of_best.history["val_loss"]) == min(best)
    assert results.spread("val_loss", of="best").least == min(best)
    lines = str(results).splitlines()
    assert lines[0].split() == ["network", "epochs", "seconds", "loss", "val_loss"]
    assert [line.split()[0] for line in lines if line[0] != "-"] == [
        "network", "0", "1", "2", "3", "mean", "deviation",
    ]  # fmt: skip
    assert lines[-2].split()[-1] == f"{spread.mean:.5g}"
    short = results.table(most=2)
    assert short.splitlines()[-1] == "and 2 more networks"
    assert f"{spread.mean:.5g}" in short
    page = results._repr_html_()
    assert "<table>" in page
    assert f"{spread.deviation:.5g}" in page
    assert isinstance(results[1:3], gd.FitResults)
    assert [each.index for each in results[1:3]] == [1, 2]
    assert results[-1] is list(results)[3]
    assert all(each.seconds > 0 and each.epochs == 3 for each in results)
    assert "val_loss=" in repr(results[0])


def odd(y: Any, output: Any) -> float:
    return float(np.abs(y - output).max())


def test_results_refuse_what_they_do_not_have() -> None:
    results = gd.fit_many([made()], X, Y, epochs=1, progress=False, validation_data=(XV, YV),
                          metrics=[odd])  # fmt: skip
    assert np.isnan(results.spread().deviation)
    assert "val_odd" not in results[0].best
    for call, words in (
        (lambda: results.best("val_auc"), "monitor must be a figure of the networks"),
        (lambda: results.spread("val_auc"), "monitor must be a figure of the networks"),
        (lambda: results.best("val_odd"), "mode must be 'min' or 'max' for 'val_odd'"),
        (lambda: results.spread("val_odd", of="best"), "of must be 'last' for 'val_odd'"),
        (lambda: results.spread(of="first"), "of must be one of best, last, got 'first'"),
        (lambda: results.best(of="first"), "of must be one of best, last, got 'first'"),
        (lambda: results.best(mode="up"), "mode must be one of auto, min, max, got 'up'"),
        (lambda: results.table(most=0), "most must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            call()  # type: ignore[no-untyped-call]
    with pytest.raises(TypeError, match="monitor must be a key of the history, got int"):
        results.best(3)  # type: ignore[arg-type]
    assert results.best("val_odd", mode="min") is results[0]


def test_a_bar_shows_networks_and_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    gd.fit_many([made(seed) for seed in range(3)], X, Y, epochs=4)
    told = capsys.readouterr()
    assert told.out == ""
    assert "3/3 networks: 100%" in told.err
    assert "12.0/12.0" in told.err
