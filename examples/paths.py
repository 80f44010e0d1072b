"""Five update rules walk down the same valley, step by step.

The surface f(w1, w2) = (1 - w1)^2 + 10 (w2 - w1^2)^2 is a bent valley: its walls are steep, its
floor is nearly level, and its one minimum is at (1, 1). What each rule makes of the same slopes:

- SGD runs down the wall and then creeps along the floor, where there is little slope;
- momentum keeps its speed, so it overshoots the walls and is quick along the floor;
- Adagrad divides by all slopes so far: after a first step of lr it only ever gets more careful;
- Adadelta needs no learning rate, and starts with steps of about sqrt(eps), so it is late;
- Adam divides by recent slopes only, and so makes steps of about lr wherever it is.

It is one surface and one start: it shows how the rules differ in kind, not which is best.

    python examples/paths.py --out pictures
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _common import BLUE, GREEN, ORANGE, PURPLE, RED, command_line, figure, save

import gdcore as gd

START = (-1.4, 1.6)
RULES = {
    "SGD": (gd.SGD(lr=0.01), BLUE),
    "Momentum": (gd.SGD(lr=0.01, momentum=0.9), RED),
    "Adagrad": (gd.Adagrad(lr=0.5), GREEN),
    "Adadelta": (gd.Adadelta(), ORANGE),
    "Adam": (gd.Adam(lr=0.1), PURPLE),
}


def f(w: np.ndarray) -> np.ndarray:
    return (1 - w[0]) ** 2 + 10 * (w[1] - w[0] ** 2) ** 2


def slope(w: np.ndarray) -> np.ndarray:
    off = w[1] - w[0] ** 2
    return np.array([-2 * (1 - w[0]) - 40 * w[0] * off, 20 * off])


def walk(rule: gd.optimizers.Optimizer, steps: int) -> np.ndarray:
    """w(t), w(t+1), w(t+2), ... as rows."""
    w = np.array(START)
    bound = rule.bind([w])  # from here on the rule changes w itself
    path = [w.copy()]
    for _ in range(steps):
        bound.step([slope(w)])
        path.append(w.copy())
    return np.array(path)


def main(out: Path, quick: bool = False) -> dict[str, np.ndarray]:
    steps = 300  # quick changes nothing: it takes milliseconds
    paths = {name: walk(rule, steps) for name, (rule, _) in RULES.items()}
    for name, path in paths.items():
        height = f(path.T)
        near = np.flatnonzero(height < 0.01)
        when = f"below 0.01 from step {near[0]}" if near.size else "never below 0.01"
        first = " ".join(f"({a:+.3f}, {b:+.3f})" for a, b in path[:3])
        print(f"{name:<9} {first} ...  f after {steps}: {height[-1]:.2e}, {when}")

    fig = figure(10, 6.2)
    panels = fig.subplots(2, 3)
    w1, w2 = np.meshgrid(np.linspace(-1.9, 1.7, 200), np.linspace(-0.9, 2.9, 200))
    levels = np.geomspace(0.05, 120, 12)
    for panel, (name, path) in zip(panels.flat, paths.items()):
        colour = RULES[name][1]
        panel.contour(w1, w2, f(np.array([w1, w2])), levels, colors="#bbbbbb", linewidths=0.7)
        panel.plot(*path.T, color=colour, lw=1, marker="o", ms=2.8)
        panel.plot(*START, marker="s", ms=6, color="black")
        panel.plot(1, 1, marker="*", ms=11, color="black")
        panel.grid(False)
        panel.set(
            title=f"{name}, lr {RULES[name][0].lr}",
            xlabel="$w_1$",
            ylabel="$w_2$",
            xlim=(-1.9, 1.7),
            ylim=(-0.9, 2.9),
        )
    last = panels.flat[-1]
    for name, path in paths.items():
        last.semilogy(f(path.T), color=RULES[name][1], lw=1.5, label=name)
    last.set(title="Height above the minimum", xlabel="step", ylabel="f (log scale)")
    last.set(ylim=(1e-8, 1e5))
    last.legend(loc="upper right", ncols=2, fontsize=8)
    fig.suptitle(f"{steps} steps from the square to the star, one dot a step", x=0.01, ha="left")
    save(fig, out, "paths")
    return paths


if __name__ == "__main__":
    command_line(main, __doc__)
