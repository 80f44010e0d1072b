"""Kills a process that saves after every epoch, again and again; each file it leaves must load.

    python kill_while_saving.py FOLDER [KILLS [SEED]]

Each child goes on from the file of the one before, so at the end there is the file of one long run,
which must be, to the byte, that of a run that nobody disturbed. Prints a line of JSON: how many
were killed, how many left a half-written file behind, and how many epochs it came to.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np

import gdcore as gd

X = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 4, 40)


def new() -> gd.Trainer:
    """Of a size that takes a while to write: 0.9 MB."""
    net = gd.Network([gd.Dense(256, "relu"), gd.Dense(256, "relu"), gd.Dense(4)], input_size=16)
    return gd.Trainer(net, "cross_entropy", "adam", num_threads=1)


def train(trainer: gd.Trainer, until_epoch: int, *callbacks: gd.callbacks.Callback) -> None:
    trainer.fit(X, Y, until_epoch=until_epoch, callbacks=callbacks, progress=False)


def child(path: Path, ready: int) -> None:
    trainer = gd.Trainer.load(path, num_threads=1)
    os.write(ready, b"!")
    train(trainer, 10**9, gd.callbacks.Checkpoint(path))


def kill_one(path: Path, after: float) -> None:
    """Starts a child, and kills it so many seconds after it is ready."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    ready = os.read(reading, 1)
    os.close(reading)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert ready == b"!", "the child could not load the file"
    assert os.WIFSIGNALED(status), f"the child ended by itself: {status}"


def kill_many(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """What the module says."""
    path, temporary = folder / "killed.safetensors", folder / ".killed.safetensors.tmp"
    new().save(path)
    moments = random.Random(seed)
    epochs = left = 0
    for _ in range(kills):
        kill_one(path, moments.uniform(0, 0.03))
        left += temporary.exists()
        before, epochs = epochs, gd.Trainer.load(path, num_threads=1).epochs
        assert epochs >= before, f"after {before} epochs only {epochs}"
    assert {each.name for each in folder.iterdir()} <= {path.name, temporary.name}
    trainer = gd.Trainer.load(path, num_threads=1)
    train(trainer, epochs + 1, gd.callbacks.Checkpoint(path))  # takes over what was left
    assert not temporary.exists()
    undisturbed = new()
    train(undisturbed, epochs + 1)
    undisturbed.save(folder / "undisturbed.safetensors")
    assert path.read_bytes() == (folder / "undisturbed.safetensors").read_bytes()
    return {"kills": kills, "left": left, "epochs": epochs}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("kills", type=int, nargs="?", default=200)
    arguments.add_argument("seed", type=int, nargs="?", default=0)
    print(json.dumps(kill_many(**vars(arguments.parse_args()))))
