"""How many samples before each update? All, 32, or one, on handwritten digits.

Gradient descent looks at all 1,500 samples and makes one careful step. Stochastic gradient descent
makes a step after every sample, each of them noisy, 1,500 in an epoch. Mini-batches are between the
two. Counted in epochs, the more steps an epoch has, the faster the loss falls. By the clock it is
another matter: an epoch in batches of 32 takes a fraction of the time of one in single samples,
since each step is one matrix product. So mini-batches, behind by epochs, are level or ahead by the
clock; gradient descent, whose epoch is hardly cheaper than theirs, stays far behind.

Each batch size has its own learning rate, since a noisy gradient allows only small steps: half of
the largest that still trained, out of 0.005, 0.01, 0.02, 0.05, ..., 2. The time is that of `fit`
alone, about half a second each; the loss is that of the whole training set after each epoch.

    python examples/batches.py --out pictures
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
from _common import BLUE, GREEN, RED, command_line, figure, needed, save

import gdcore as gd

# batch size: (name, learning rate, epochs, colour)
RUNS = {
    None: ("gradient descent, all 1,500", 0.5, 1500, BLUE),
    32: ("mini-batches of 32", 0.5, 1500, GREEN),
    1: ("stochastic, one sample", 0.05, 250, RED),
}


def main(out: Path, quick: bool = False) -> dict[object, dict[str, list[float]]]:
    datasets = needed("sklearn.datasets", "scikit-learn")
    digits = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, y = digits.data[order].astype(np.float32) / 16, digits.target[order]
    x, x_test, y, y_test = x[:1500], x[1500:], y[:1500], y[1500:]

    runs = {}
    for batch_size, (name, lr, epochs, _) in RUNS.items():
        net = gd.Network([gd.Dense(32, "relu"), gd.Dense(10)], input_size=64, seed=0)
        trainer = gd.Trainer(net, loss="cross_entropy", optimizer=gd.SGD(lr=lr))
        start = trainer.evaluate(x, y)["loss"]
        losses, seconds = [start], [0.0]
        for _ in range(epochs // 10 if quick else epochs):
            began = perf_counter()
            trainer.fit(x, y, epochs=1, batch_size=batch_size, progress=False)
            seconds.append(seconds[-1] + perf_counter() - began)
            losses.append(trainer.evaluate(x, y)["loss"])
        runs[batch_size] = {"loss": losses, "seconds": seconds}
        accuracy = trainer.evaluate(x_test, y_test)["accuracy"]
        print(
            f"{name:<28} lr {lr:<5} loss after 1, 10, {len(losses) - 1} epochs: "
            f"{losses[1]:.3f}, {losses[10]:.3f}, {losses[-1]:.4f}   "
            f"{1e3 * seconds[-1] / (len(losses) - 1):.2f} ms an epoch   "
            f"{accuracy:.1%} of {len(y_test)} others right"
        )

    fig = figure(10, 4.2)
    left, right = fig.subplots(1, 2, sharey=True)
    for batch_size, (name, lr, _, colour) in RUNS.items():
        losses, seconds = runs[batch_size].values()
        left.loglog(range(1, len(losses)), losses[1:], color=colour, label=f"{name} (lr {lr})")
        right.loglog(1e3 * np.array(seconds[1:]), losses[1:], color=colour)
    left.set(title="By epochs", xlabel="epochs", ylabel="loss on the training set (log scale)")
    right.set(title="By the clock", xlabel="time in fit (ms)")
    left.legend(loc="lower left")
    save(fig, out, "batches")
    return runs


if __name__ == "__main__":
    command_line(main, __doc__)
