"""Three learning rates on one problem: one crawls, one is right, one diverges.

A network with 32 tanh units learns the curve y = sin 3x from 64 points by plain gradient descent.
All three runs start from the same weights; only the learning rate differs. A step goes down the
slope where it stands, and how far it may go depends on how soon the slope changes. Too small a
step is safe and slow. Too large a step lands on the opposite wall, higher than it began, and the
next one higher still: the loss grows without end.

`Trainer.step` lets us watch that happen, up to infinity. `Trainer.fit` does not let it pass: it
raises a FloatingPointError and goes back to where the epoch began. It is shown with one sample a
step: 64 steps are an epoch then, and all of them are taken back.

    python examples/learning_rates.py --out pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _common import BLUE, GREEN, GREY, RED, command_line, figure, save

import gdcore as gd

RATES = {"crawls": 0.001, "right": 0.1, "diverges": 0.5}
COLOURS = {"crawls": BLUE, "right": GREEN, "diverges": RED}


def trainer(lr: float) -> gd.Trainer:
    net = gd.Network([gd.Dense(32, "tanh"), gd.Dense(1)], input_size=1, seed=0)
    return gd.Trainer(net, loss="mse", optimizer=gd.SGD(lr=lr))


def main(out: Path, quick: bool = False) -> dict[str, object]:
    steps = 300 if quick else 2000
    x = np.linspace(-1, 1, 64)[:, None]
    y = np.sin(3 * x)

    losses, curves = {}, {}
    for name, lr in RATES.items():
        run = trainer(lr)
        losses[name] = []
        for _ in range(steps):
            losses[name].append(run.step(x, y))
            if not np.isfinite(losses[name][-1]):
                break  # nothing comes back from infinity
        else:
            curves[name] = run.network.predict(x)

    for name, lr in RATES.items():
        seen = losses[name]
        marks = [k for k in (1, 2, 3, 4, 10, 100, steps) if k <= len(seen)]
        print(f"lr {lr:<5} {name:<9}", "  ".join(f"{seen[k - 1]:.4g} (step {k})" for k in marks))
    last = len(losses["diverges"])
    print(f"lr {RATES['diverges']} has a loss of {losses['diverges'][-1]} at step {last}")

    careful = trainer(RATES["diverges"])
    error = ""
    try:
        careful.fit(x, y, epochs=10, batch_size=1, progress=False)
    except FloatingPointError as caught:
        error = str(caught)
    kept = careful.evaluate(x, y)["loss"]
    print(f"fit, a sample a step: FloatingPointError: {error}")
    print(f"after it the loss is {kept:.4g}, as after {careful.steps} steps")

    fig = figure(9.5, 4.2)
    left, right = fig.subplots(1, 2, width_ratios=(1.35, 1))
    for name, lr in RATES.items():
        left.loglog(
            np.arange(1, len(losses[name]) + 1), losses[name],
            color=COLOURS[name], marker="." if name == "diverges" else None,
            label=f"{lr}: {name}", zorder=2.5,
        )  # fmt: skip
    left.axhline(float(np.var(y)), color=GREY, lw=1, ls=":", zorder=1)
    left.text(steps, float(np.var(y)) * 1.15, "always answering 0", color=GREY, ha="right", size=8)
    left.text(5.5, 3e4, f"infinite\nat step {last}", color=RED, size=9)
    left.set(
        title="Loss before each step", xlabel="step (log scale)",
        ylabel="mean squared error (log scale)", ylim=(min(losses["right"]) / 2, 1e6),
    )  # fmt: skip
    left.legend(title="learning rate", loc="upper right")
    right.plot(x, y, color=GREY, lw=5, alpha=0.35, label="sin 3x")
    for name, curve in curves.items():
        right.plot(x, curve, color=COLOURS[name], label=f"{RATES[name]}")
    right.set(title=f"What is learned after {steps:,} steps", xlabel="x", ylabel="y")
    right.legend(loc="upper left")
    save(fig, out, "learning_rates")
    return {"losses": losses, "error": error, "kept": kept}


if __name__ == "__main__":
    command_line(main, __doc__)
