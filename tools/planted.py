"""Records the profiles with planted problems that test_advice.py reads.

`python tools/planted.py FOLDER [NAME]...` on a quiet machine with two CPUs. Two need a
build that does what the library does not: "small_step" one whose cost model gives threads to any
step, "partition" one that cuts each product of 96 units or more into three tiles.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import gdcore as gd

BUSY = "while True: pass"


class Slow(gd.callbacks.Callback):
    """Does after every batch what could wait."""

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        time.sleep(0.001)


def _trainer(*sizes: int) -> gd.Trainer:
    layers = [gd.Dense(units, "relu") for units in sizes[1:-1]]
    net = gd.Network([*layers, gd.Dense(sizes[-1])], input_size=sizes[0], seed=0)
    return gd.Trainer(net, "cross_entropy", "adam", num_threads=2)


def _profile(
    trainer: gd.Trainer, steps: int, batch: int, *callbacks: gd.callbacks.Callback
) -> gd.profiling.Profile:
    random = np.random.default_rng(0)
    x = random.standard_normal((steps * batch, trainer.network.input_size), np.float32)
    y = random.integers(0, trainer.network.output_size, len(x))
    for _ in range(3):
        trainer.fit(x, y, batch_size=batch, progress=False)
    with gd.profile() as prof:
        trainer.fit(x, y, batch_size=batch, callbacks=callbacks, progress=False)
    return prof


def callback() -> gd.profiling.Profile:
    return _profile(_trainer(784, 512, 512, 10), 20, 128, Slow())


def small_step() -> gd.profiling.Profile:
    return _profile(_trainer(8, 16, 16, 4), 60, 32)


def partition() -> gd.profiling.Profile:
    """Five panels of 32 units for two workers."""
    return _profile(_trainer(784, 160, 10), 40, 128)


def neighbour() -> gd.profiling.Profile:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as other:
        try:
            time.sleep(0.5)
            return _profile(_trainer(784, 512, 512, 10), 60, 128)
        finally:
            other.kill()


def none() -> gd.profiling.Profile:
    return _profile(_trainer(784, 512, 512, 10), 40, 128)


PLANTED = {each.__name__: each for each in (callback, small_step, partition, neighbour, none)}


def main() -> None:
    folder, *names = sys.argv[1:]
    for name in names or PLANTED:
        prof = PLANTED[name]()
        prof.save(Path(folder) / f"{name}.npz")
        print(f"\n{name}: {prof}")
        for sentence in prof.advice():
            print(f"  [{sentence.kind}] {sentence}")


if __name__ == "__main__":
    main()
