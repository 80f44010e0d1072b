"""Rates that wait for a figure, beside PyTorch's."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scheduled import X, Y, fitted, trainer

import gdcore as gd
from gdcore import schedules as s

FIGURES = [5.0, 4.0, 4.0, 3.9999, 4.1, math.nan, 4.2, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 2.99, 3.0, 9.0]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    ("factor", "patience", "cooldown", "least"),
    [(0.1, 2, 0, 0.0), (0.5, 0, 2, 0.004), (0.3, 1, 1, 0.02), (0.0, 3, 0, 0.0)],
)
def test_it_waits_as_torch_does(
    mode: Any, threshold_mode: Any, factor: float, patience: int, cooldown: int, least: float
) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, mode, factor, patience, 1e-3, threshold_mode, cooldown, least
    )
    figures = iter([0.0, *FIGURES])  # a metric is tried once before the first epoch

    def figure(y: Any, output: Any) -> float:
        return next(figures)

    rule = s.ReduceOnPlateau(
        factor, patience, 1e-3, threshold_mode, cooldown, least, monitor="val_figure", mode=mode
    )
    one = trainer(rule)
    rates = []

    class Seen(gd.callbacks.Callback):
        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
            rates.append(trainer.lr)

    fitted(
        one, epochs=len(FIGURES), metrics=[figure], validation_data=(X, Y), callbacks=[Seen()],
        batch_size=None,
    )  # fmt: skip
    wanted = []
    for value in FIGURES:
        theirs.step()
        scheduler.step(value)
        wanted.append(theirs.param_groups[0]["lr"])
    assert rates == wanted


def test_the_figure_must_be_there() -> None:
    one = trainer(s.ReduceOnPlateau())
    with pytest.raises(ValueError, match="monitor must be one of 'loss', got 'val_loss'"):
        fitted(one)
    assert one.steps == 0
    with pytest.raises(ValueError, match="mode must be 'min' or 'max' to monitor 'val_mine'"):
        fitted(
            trainer(s.ReduceOnPlateau(monitor="val_mine")),
            validation_split=0.25,
            metrics=[mine],
        )
    fitted(one, validation_split=0.25)


def mine(y: Any, output: Any) -> float:
    return 1.0


def test_adaptive_is_scikit_learns(tmp_path: Any) -> None:
    """Rates, losses and the end of a run; stopped and resumed on the way."""
    neural = pytest.importorskip("sklearn.neural_network")
    rng = np.random.default_rng(2)
    x = rng.standard_normal((50, 5))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)

    def peer(rate: float, epochs: int) -> Any:
        made = neural.MLPClassifier(
            (6,), activation="tanh", solver="sgd", momentum=0.0, alpha=0.0, batch_size=25,
            learning_rate="adaptive", learning_rate_init=rate, tol=2e-3, n_iter_no_change=2,
            shuffle=False, max_iter=epochs, random_state=3,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the one epoch of the first is not enough
            return made.fit(x, y)

    first, theirs = peer(1e-30, 1), peer(0.5, 500)
    layers = [gd.Dense(6, "tanh"), gd.Dense(3)]
    net = gd.Network(layers, input_size=5, dtype="float64")
    weights = {f"{i}.weight": w.T for i, w in enumerate(first.coefs_)}
    net.load_state_dict(weights | {f"{i}.bias": b for i, b in enumerate(first.intercepts_)})
    rule = s.Adaptive(patience=2, tol=2e-3)
    one = gd.Trainer(net, "cross_entropy", gd.SGD(lr=0.5), schedule=rule)
    options: Any = {"batch_size": 25, "shuffle": False, "progress": False}
    losses = one.fit(x, y, epochs=40, **options)["loss"]
    assert not one.stopped
    one.save(tmp_path / "run")
    two = gd.Trainer.load(tmp_path / "run")
    for each in (two, one):
        rest = each.fit(x, y, epochs=500, **options)["loss"]
        assert each.stopped
        assert each.epochs == theirs.n_iter_ < 500
        assert each.lr == theirs._optimizer.learning_rate < 1e-6
        np.testing.assert_allclose(losses + rest, theirs.loss_curve_, rtol=1e-8)
    for i, weight in enumerate(theirs.coefs_):
        np.testing.assert_allclose(net.state_dict()[f"{i}.weight"], weight.T, rtol=1e-7)


def test_adaptive_goes_by_any_figure() -> None:
    """As its formula has it, where higher is better and with NaN."""
    rule = s.Adaptive(divisor=2, patience=1, tol=0.5, min_lr=0.02, monitor="val_figure", mode="max")
    row = [1.0, 1.4, 1.7, 3.0, 3.2, 3.4, math.nan, 1.0, 1.0, 1.0]
    figures = iter([0.0, *row])

    def figure(y: Any, output: Any) -> float:
        return next(figures)

    one = trainer(rule)
    rates = []

    class Seen(gd.callbacks.Callback):
        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
            rates.append(trainer.lr)

    more = {"metrics": [figure], "validation_data": (X, Y), "callbacks": [Seen()]}
    fitted(one, epochs=len(row), batch_size=None, **more)
    assert rates == [0.05, 0.05, 0.025, 0.025, 0.025, 0.0125, 0.0125, 0.0125, 0.0125]
    assert one.stopped
