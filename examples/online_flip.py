"""Online learning follows a world that changes.

Samples come one at a time, and none comes twice. The network (30-64-2) first says which of two
classes it expects, is told the right one, and learns from it at once with `learn_one`. Half-way
the world turns: from one sample to the next the two classes change places. All that the network
believed is now wrong, and nobody tells it. Its accuracy falls far below guessing, and comes back.

A copy that stopped learning just before is asked the same questions: it stays wrong for ever.

    python examples/online_flip.py --out pictures
"""

from __future__ import annotations

import copy
from pathlib import Path
from time import perf_counter

import numpy as np
from _common import BLUE, GREY, RED, command_line, figure, save

import gdcore as gd

WINDOW = 200  # samples in a running accuracy


def running(right: np.ndarray) -> np.ndarray:
    """Share of right answers among the last WINDOW, from the first full window on."""
    return np.convolve(right, np.full(WINDOW, 1 / WINDOW), mode="valid")


def main(out: Path, quick: bool = False) -> dict[str, object]:
    samples = 10_000 if quick else 20_000
    flip = samples // 2
    rng = np.random.default_rng(0)
    rule = rng.standard_normal(30)
    x = rng.standard_normal((samples, 30)).astype(np.float32)
    y = (x @ rule > 0).astype(np.int64)
    y[flip:] = 1 - y[flip:]

    net = gd.Network([gd.Dense(64, "relu"), gd.Dense(2)], input_size=30, seed=0)
    trainer = gd.Trainer(net, loss="cross_entropy", optimizer=gd.SGD(lr=0.01))
    right = np.empty(samples)
    learning = 0.0
    for i in range(samples):
        if i == flip:
            frozen = copy.deepcopy(net)
        right[i] = net.predict(x[i : i + 1]).argmax() == y[i]  # first the answer, then the truth
        began = perf_counter()
        trainer.learn_one(x[i], y[i])
        learning += perf_counter() - began
    stale = frozen.predict(x[flip:]).argmax(axis=1) == y[flip:]

    seen = running(right)
    before, after = right[flip - 1000 : flip].mean(), right[-1000:].mean()
    lowest = seen[flip - WINDOW + 1 :].min()
    recovered = int(np.argmax(seen[flip:] > 0.9)) + WINDOW
    print(f"last 1,000 samples before the flip   {before:.1%} right")
    print(f"lowest {WINDOW} samples after it         {lowest:.1%} right")
    print(f"above 90% again                      {recovered:,} samples after it")
    print(f"last 1,000 samples of all            {after:.1%} right")
    print(f"the copy that stopped learning       {stale.mean():.1%} right after the flip")
    print(f"learn_one: {1e6 * learning / samples:.1f} microseconds a sample")

    fig = figure(9, 4)
    panel = fig.subplots()
    panel.plot(np.arange(WINDOW, samples + 1), 100 * seen, color=BLUE, label="learns on")
    panel.plot(
        np.arange(flip + WINDOW, samples + 1), 100 * running(stale.astype(float)),
        color=RED, label="stopped learning at the flip",
    )  # fmt: skip
    panel.axvline(flip, color=GREY, ls="--", lw=1)
    panel.text(flip * 0.99, 50, "the classes\nchange places", color=GREY, ha="right", size=9)
    panel.set(
        title="Online: every sample is first answered, then learned from",
        xlabel="samples seen", ylabel=f"right among the last {WINDOW} (%)",
        xlim=(0, samples), ylim=(-3, 103),
    )  # fmt: skip
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.legend(loc="lower left")
    save(fig, out, "online_flip")
    return {
        "before": before, "lowest": lowest, "after": after, "stale": stale.mean(),
        "recovered": recovered,
    }  # fmt: skip


if __name__ == "__main__":
    command_line(main, __doc__)
