"""Finding a learning rate: a copy of the trainer climbs through all of them.

Each step takes a little larger a rate than the one before. At first nothing moves; then the loss
falls, the faster the larger the rate, until steps are too large and it explodes. A good rate to
begin with lies within the fall: where the loss is lowest, the rate is too large already.

    python examples/range_test.py --out pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _common import BLUE, GREEN, GREY, command_line, figure, save

import gdcore as gd


def main(out: Path, quick: bool = False) -> gd.RangeTest:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 10))
    y = np.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3])
    net = gd.Network([gd.Dense(64, "relu"), gd.Dense(1)], input_size=10, seed=0)
    trainer = gd.Trainer(net, loss="mse", optimizer="adam")
    found = gd.lr_range_test(trainer, x, y, steps=50 if quick else 100)
    print(found.table())
    print(f"suggestion: {found.suggestion:.2g}")

    fig = figure(7.5, 4.0)
    axes = fig.subplots()
    axes.semilogx(found.lr, found.loss, ".", color=GREY, ms=4, label="loss of each batch")
    axes.semilogx(found.lr, found.smoothed, color=BLUE, label="running mean")
    at = int(np.abs(found.lr - found.suggestion).argmin())
    axes.plot(found.suggestion, found.smoothed[at], "o", color=GREEN, ms=9,
              label=f"suggestion {found.suggestion:.2g}")  # fmt: skip
    top = 1.6 * float(found.smoothed[0])
    axes.set(title="Steps with ever larger learning rates", xlabel="learning rate (log scale)",
             ylabel="mean squared error", ylim=(0, top))  # fmt: skip
    axes.legend(loc="upper left")
    save(fig, out, "range_test")
    return found


if __name__ == "__main__":
    command_line(main, __doc__)
