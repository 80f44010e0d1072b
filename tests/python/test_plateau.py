"""Rates that wait for a figure, beside PyTorch's."""

from __future__ import annotations

import math
from typing import Any

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
