"""A training whose units die: its steps must not become slower.

What a dead unit leaves behind, the means of its gradients, decays by a factor at each step and
comes to denormal numbers within a few hundred. Processors that compute with those take many times
as long.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

import gdcore as gd
from gdcore.benchmark.figures import Row, Threads, with_threads

__all__ = ["STEPS", "dead_unit_table"]

STEPS = 5000
_BEFORE = 20  # steps that give every unit its means, before units die
_WINDOW = 250  # steps that tell the time at some point; at the start too few for denormals
_ALLOWED = 1.05  # times the start

_INPUTS, _BATCH = 64, 64
_BATCHES = 64  # that take turns; many, or their loss would go to zero


def _network() -> gd.Network:
    layers = [gd.Dense(256, "relu"), gd.Dense(256, "tanh"), gd.Dense(256, "sigmoid"), gd.Dense(10)]
    return gd.Network(layers, input_size=_INPUTS, seed=0)


def _let_units_die(net: gd.Network) -> None:
    """Three in four of each hidden layer, by biases that nothing outweighs.

    ReLU's derivative is then 0, tanh's and the sigmoid's anything between small and denormal.
    """
    state = net.state_dict()
    for layer, (least, most) in enumerate(((-1000.0, -1000.0), (4.0, 20.0), (-95.0, -15.0))):
        bias = state[f"{layer}.bias"]
        dead = np.arange(bias.size) % 4 != 0
        bias[dead] = np.linspace(least, most, int(dead.sum()))
    net.load_state_dict(state)


def _step_seconds(threads: Threads, steps: int) -> list[float]:
    """Seconds of each step after units have died."""
    net = _network()
    trainer = gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-3), num_threads=threads)
    random = np.random.default_rng(0)
    data = [
        (random.standard_normal((_BATCH, _INPUTS), np.float32), random.integers(0, 10, _BATCH))
        for _ in range(_BATCHES)
    ]
    for number in range(_BEFORE):
        trainer.step(*data[number % _BATCHES])
    _let_units_die(net)
    taken = []
    for number in range(steps):
        begin = time.perf_counter()
        trainer.step(*data[number % _BATCHES])
        taken.append(time.perf_counter() - begin)
    return taken


def dead_unit_table(rounds: int, threads: int, steps: int = STEPS) -> list[Row]:
    """A row for each number of threads: a step's median time at the start and at the end."""
    rows: list[Row] = []
    window = min(_WINDOW, steps // 2)
    for count in sorted({1, threads}):
        starts, ends = [], []
        for _ in range(rounds):
            taken = _step_seconds(count, steps)
            starts.append(median(taken[:window]))
            ends.append(median(taken[-window:]))
        ratio = median(end / start for start, end in zip(starts, ends))
        rows.append(
            {
                "network": "64-256 relu-256 tanh-256 sigmoid-10",
                "threads": with_threads(count),
                "steps": steps,
                "start, us": median(starts) * 1e6,
                "end, us": median(ends) * 1e6,
                "end over start": ratio,
                "slower": "yes" if ratio > _ALLOWED else "no",
            }
        )
    return rows
