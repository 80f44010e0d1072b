"""Ways to train one network on a real table: `python -m benchmarks.descents`.

AdamW, AdamW with an average of the weights, Schedule-Free AdamW and Muon train the same network on
diamonds. The learning rate of each is the best of a grid by the validation part of a split of its
own; then each trains on other splits, is stopped by its validation part, and is judged by the test
part. The figure is the root of the mean squared error of the price's logarithm.

    python -m benchmarks.descents --seeds 5

Source of the question: Gorishniy et al., "Benchmarking Optimizers for MLPs in Tabular Deep
Learning", arXiv 2604.15297, 2026.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev
from typing import Any

import numpy as np

import gdcore as gd
from benchmarks.recipes import example
from benchmarks.tables import markdown
from gdcore.benchmark.figures import Row

__all__ = ["WAYS", "descent_table"]

_T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262}  # Student's, two-sided, of so many
_PATIENCE = 16  # epochs
_LAST = 6  # the layer behind three of units and of dropout


@dataclass(frozen=True)
class Way:
    """An optimizer by its learning rate, the rates to try, the average of weights, and groups."""

    optimizer: Callable[[float], Any]
    rates: tuple[float, ...]
    average: Callable[[], Any] = lambda: None
    groups: tuple[gd.Group, ...] = ()


_ADAMW = (3e-4, 1e-3, 3e-3, 1e-2)
WAYS = {
    "AdamW": Way(lambda lr: gd.AdamW(lr=lr, weight_decay=1e-3), _ADAMW),
    "AdamW + EMA": Way(
        lambda lr: gd.AdamW(lr=lr, weight_decay=1e-3), _ADAMW, lambda: gd.EMA(0.999)
    ),
    "Schedule-Free AdamW": Way(
        lambda lr: gd.ScheduleFreeAdamW(lr=lr, weight_decay=1e-3), (1e-3, 3e-3, 1e-2, 3e-2)
    ),
    "Muon": Way(
        lambda lr: gd.Muon(lr=lr, weight_decay=1e-3, adjust_lr_fn="match_rms_adamw"),
        _ADAMW,
        groups=(gd.Group(f"{_LAST}.weight", orthogonal=False),),  # as the source has it
    ),
}


def _trained(way: Way, rate: float, seed: int, width: int, epochs: int) -> dict[str, float]:
    """Errors on both parts that are held out, epochs to the best, and seconds."""
    found = example("_tables").table("diamonds")
    train, valid, test = found.parts(seed)
    x = np.hstack([example("realmlp").bent(found.numbers, train), found.one_hot()])
    x = np.ascontiguousarray(x, np.float32)
    middle, spread = found.y[train].mean(), found.y[train].std()
    y = ((found.y - middle) / spread).astype(np.float32)[:, None]
    hidden = [layer for _ in range(3) for layer in (gd.Dense(width, "relu"), gd.Dropout(0.1))]
    net = gd.Network([*hidden, gd.Dense(1)], input_size=x.shape[1], seed=seed)
    trainer = gd.Trainer(
        net, "mse", way.optimizer(rate), average=way.average(), groups=way.groups, seed=seed
    )
    since = time.perf_counter()
    history = trainer.fit(
        x[train], y[train], epochs=epochs, batch_size=256, metrics=("rmse",),
        validation_data=(x[valid], y[valid]), progress=False,
        callbacks=[gd.callbacks.EarlyStopping("val_rmse", patience=_PATIENCE, mode="min")],
    )  # fmt: skip
    seconds = time.perf_counter() - since
    figures = history["val_rmse"]
    judged = trainer.evaluate(x[test], y[test], metrics=("rmse",))
    return {
        "valid": min(figures) * spread,
        "test": judged["rmse"] * spread,
        "epochs": int(np.argmin(figures)) + 1,
        "s": seconds,
    }


def descent_table(seeds: int, width: int = 256, epochs: int = 100) -> list[Row]:
    """A row for each way: the rate chosen, the mean error with its interval, epochs and seconds."""
    rows: list[Row] = []
    for name, way in WAYS.items():
        tried: dict[float, float] = {}
        for rate in way.rates:
            tried[rate] = _trained(way, rate, 1000, width, epochs)["valid"]
            print(name, rate, tried[rate], file=sys.stderr, flush=True)
        rate = min(tried, key=lambda each: tried[each])
        runs = [_trained(way, rate, seed, width, epochs) for seed in range(seeds)]
        print(name, runs, file=sys.stderr, flush=True)
        errors = [run["test"] for run in runs]
        half = _T95[seeds] * stdev(errors) / sqrt(seeds)
        rows.append(
            {
                "way": name,
                "lr": rate,
                "edge of the grid": rate in (way.rates[0], way.rates[-1]),
                "test RMSE": mean(errors),
                "95 %": f"+- {half:.5f}",
                "epochs to the best": mean(run["epochs"] for run in runs),
                "s": mean(run["s"] for run in runs),
            }
        )
    first = [row["test RMSE"] for row in rows]
    for row, error in zip(rows, first):
        if isinstance(error, float) and isinstance(first[0], float):
            row["to AdamW, %"] = 100 * (error / first[0] - 1)
    return rows


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.descents", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, choices=sorted(_T95))
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=100, help="the most")
    given = parser.parse_args()
    rows = descent_table(given.seeds, given.width, given.epochs)
    print(markdown("Ways to train on diamonds", rows))


if __name__ == "__main__":
    main()
