"""Gradient descent finds a minimum, not the lowest: where it starts decides.

f(w) = w^4 - 2 w^2 + 0.3 w has two valleys, the left one deeper. Descent from the left ends in the
deeper one. Descent from the right ends in the other, and no more steps will ever get it out: the
slope there is 0. A rolling ball would pass: momentum keeps 0.9 of the last step's speed and carries
w over the hill between them. It is no cure, though: with momentum 0.8 the ball is too slow to pass,
with 0.95 so fast that it passes, comes back, and settles in the worse valley again.

The slope is measured, not derived: `gd.numerical_gradient` asks f a little to the left and a little
to the right. The updates are gdcore's own rule, bound to an array with one number.

    python examples/double_well.py --out pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _common import BLUE, GREEN, GREY, RED, command_line, figure, save

import gdcore as gd

STEPS = 80
LR = 0.02
START = 1.7
RUNS = {
    "SGD from the left": (gd.SGD(lr=LR), -START, BLUE, "o"),
    "SGD from the right": (gd.SGD(lr=LR), START, RED, "s"),
    "momentum 0.9 from the right": (gd.SGD(lr=LR, momentum=0.9), START, GREEN, "^"),
}


def f(w: np.ndarray) -> np.ndarray:
    return w**4 - 2 * w**2 + 0.3 * w


def descend(rule: gd.optimizers.Optimizer, start: float, steps: int) -> np.ndarray:
    w = np.array([start])
    bound = rule.bind([w])
    path = [w[0]]
    for _ in range(steps):
        bound.step([gd.numerical_gradient(lambda v: f(v)[0], w)])
        path.append(w[0])
    return np.array(path)


def main(out: Path, quick: bool = False) -> dict[str, object]:
    steps = STEPS  # quick changes nothing: it takes milliseconds
    paths = {name: descend(rule, start, steps) for name, (rule, start, *_) in RUNS.items()}
    for name, path in paths.items():
        print(f"{name:<28} w {path[0]:+.2f} -> {path[-1]:+.4f}   f {f(path[-1]):+.4f}")

    ends = {
        momentum: float(descend(gd.SGD(lr=LR, momentum=momentum), START, 1000)[-1])
        for momentum in (0.0, 0.5, 0.8, 0.85, 0.9, 0.92, 0.95)
    }
    print("from the right, where momentum ends after 1,000 steps:")
    print("  " + "   ".join(f"{momentum}: {end:+.2f}" for momentum, end in ends.items()))

    fig = figure(7.5, 6.4)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(1, 1.1))
    w = np.linspace(-1.85, 1.85, 400)
    top.plot(w, f(w), color=GREY, lw=1.5, zorder=1)
    for name, path in paths.items():
        rule, _, colour, marker = RUNS[name]
        # Each path floats a little above the curve, or they would hide each other.
        lift = 0.35 if rule.momentum else 0.12
        top.plot(path, f(path) + lift, ls="", marker=marker, ms=5, color=colour, alpha=0.8, mew=0)
        bottom.plot(path, np.arange(steps + 1), color=colour, marker=marker, ms=3, lw=1, label=name)
    for at, words in ((-1.0356, "the lowest point"), (0.9602, "a minimum, but not the lowest")):
        top.annotate(
            f"{words}\nf = {f(at):.2f}", (at, f(at)), (0, -10),
            textcoords="offset points", ha="center", va="top", size=9,
        )  # fmt: skip
        bottom.axvline(at, color=GREY, lw=1, ls=":", zorder=1)
    top.set(
        title="$f(w) = w^4 - 2w^2 + 0.3w$, and three descents, drawn a little above it",
        ylabel="f(w)", ylim=(-2.7, 3.9),
    )  # fmt: skip
    bottom.set(title="The same steps in time", xlabel="w", ylabel="step", ylim=(steps + 2, -4))
    bottom.legend(loc="lower center", frameon=True, edgecolor="none", framealpha=0.9)
    save(fig, out, "double_well")
    return {"paths": paths, "ends": ends}


if __name__ == "__main__":
    command_line(main, __doc__)
