"""One library in a process of its own: `python -m benchmarks.worker LIBRARY CASE THREADS`.

A measurement is the seconds a training step took.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.cases import CASES, Case
from benchmarks.serve import serve

__all__ = ["main"]

Step = Callable[[int], None]

# Batches take turns: one batch again and again drives its loss, and with it the gradients, to zero,
# and steps on zeros have other speeds than steps on numbers.
_BATCHES = 8


def _data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((_BATCHES, case.batch, case.sizes[0])).astype(np.float32)
    y = random.integers(0, case.sizes[-1], (_BATCHES, case.batch))
    return x, y


def _gdcore(case: Case, threads: int) -> Step:
    import gdcore as gd

    layers = [gd.Dense(units, "relu") for units in case.sizes[1:-1]] + [gd.Dense(case.sizes[-1])]
    net = gd.Network(layers, input_size=case.sizes[0], seed=0)
    trainer = gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-3), num_threads=threads)
    x, y = _data(case)

    def step(number: int) -> None:
        trainer.step(x[number % _BATCHES], y[number % _BATCHES])

    return step


def _torch(case: Case, threads: int) -> Step:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for inputs, units in zip(case.sizes, case.sizes[1:]):
        layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    loss = torch.nn.CrossEntropyLoss()
    x, y = (torch.from_numpy(array) for array in _data(case))

    def step(number: int) -> None:
        adam.zero_grad(set_to_none=True)
        loss(net(x[number % _BATCHES]), y[number % _BATCHES]).backward()
        adam.step()

    return step


_LIBRARIES = {"gdcore": _gdcore, "torch": _torch}


def main() -> None:
    """Serves measurements until standard input ends."""
    library, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    case = CASES[name]
    step = _LIBRARIES[library](case, threads)
    for number in range(max(3, case.steps // 10)):  # everything is allocated and warm
        step(number)

    def measure() -> dict[str, float]:
        start = time.perf_counter()
        for number in range(case.steps):
            step(number)
        return {"seconds": (time.perf_counter() - start) / case.steps}

    serve(measure)


if __name__ == "__main__":
    main()
