"""Every schedule over 100 epochs, as a share of the rate that it starts from.

Each curve is what `values` of a schedule tells, without any training; those of `ReduceOnPlateau`
and `Adaptive` are from runs whose figure is made up: it falls, and stays where the dots are.

    python examples/schedules.py --out pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _common import BLUE, RED, command_line, figure, save

import gdcore as gd
from gdcore import schedules as s

EPOCHS = 100
SHOWN: list[s.Schedule] = [
    s.Constant(factor=1 / 3, total_iters=20),
    s.Step(25, gamma=0.5),
    s.MultiStep([20, 70], gamma=0.4),
    s.Exponential(0.97),
    s.Linear(1.0, 0.1, 80),
    s.Polynomial(90, power=2.0),
    s.InverseScaling(),
    s.InverseSqrt(20),
    s.Piecewise([(0, 0.2), (15, 1.0), (60, 0.8), (90, 0.0)]),
    s.Cosine(100),
    s.CosineWarmRestarts(14, t_mult=2),
    s.Cyclic(1.0, 15, 10, "triangular2"),  # from a tenth
    s.OneCycle(100),
    s.FlatCos(100),
    s.CosLog(100),
    s.Warmup(15, 0.1, after=s.Cosine(85)),
    s.Sequential([s.Linear(0.1, 1.0, 10), s.Constant(), s.Exponential(0.95)], [10, 50]),
    s.Chained([s.Step(30), s.Exponential(0.99)]),
    s.Lambda(lambda t: 1 / (1 + (t / 30) ** 2)),
    s.ReduceOnPlateau(0.3, patience=8, monitor="val_figure", mode="min"),
    s.Adaptive(2.0, patience=5, monitor="val_figure", mode="min"),
]


def waiting(schedule: s.Schedule) -> tuple[list[float], list[float]]:
    """The rates of a run, and the figure that it waited for, over epochs."""
    falling = [np.exp(-min(t % 40, 25) / 15 - (t // 40)) for t in range(EPOCHS)]
    figures = [float(each) for each in np.minimum.accumulate(falling)]
    told = iter([figures[0], *figures])  # a metric is tried once before the first epoch
    rates: list[float] = []

    def figure(y: np.ndarray, output: np.ndarray) -> float:
        return next(told)

    class Rates(gd.callbacks.Callback):
        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: object) -> None:
            rates.append(trainer.lr)

    x = np.ones((2, 1))
    net = gd.Network([gd.Dense(1)], input_size=1)
    trainer = gd.Trainer(net, "mse", gd.SGD(lr=1.0), schedule=schedule)
    trainer.lr = 1.0
    trainer.fit(
        x, x, epochs=EPOCHS, validation_data=(x, x), metrics=[figure], callbacks=[Rates()],
        progress=False,
    )  # fmt: skip
    return [1.0, *rates[:-1]], figures


def main(out: Path, quick: bool = False) -> dict[str, object]:
    times = range(EPOCHS + 1)  # quick changes nothing: it takes milliseconds
    curves: dict[str, list[float]] = {}
    fig = figure(8.6, 11.0)
    for axes, schedule in zip(
        fig.subplots(7, 3, sharex=True, sharey=True).flat, SHOWN, strict=True
    ):
        name = type(schedule).__name__
        if isinstance(schedule, (s.ReduceOnPlateau, s.Adaptive)):
            curves[name], figures = waiting(schedule)
            axes.plot(figures, ls="", marker=".", ms=2.5, color=RED)
            axes.text(36, 0.8, "the figure", color=RED, size=8)
        else:
            curves[name] = schedule.values(0.1 if name == "Cyclic" else 1.0, times)
        axes.plot(curves[name], color=BLUE, drawstyle="steps-post", lw=1.5)
        axes.set(title=name, ylim=(-0.05, 1.08), xticks=[0, 50, 100], yticks=[0, 1])
    fig.supxlabel("epochs, or steps", size=10)
    fig.supylabel("share of the optimizer's rate", size=10)
    fig.get_layout_engine().set(hspace=0.06)
    print(f"{'schedule':<20}" + "".join(f"{t:>8}" for t in (0, 10, 25, 50, 75, 99)))
    for name, curve in curves.items():
        print(f"{name:<20}" + "".join(f"{curve[t]:8.3f}" for t in (0, 10, 25, 50, 75, 99)))
    save(fig, out, "schedules")
    return {"curves": curves}


if __name__ == "__main__":
    command_line(main, __doc__)
