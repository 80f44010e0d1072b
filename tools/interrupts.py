"""Ctrl-C at random moments: python tools/interrupts.py --count 2000 --seed 0.

Interrupts calls of gdcore one after the other and looks after each whether anything is left over:
the trainer goes on to the bits of one that was never interrupted, no recording is at work, no file
is open, no other file lies about, and the number of threads is what it was.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from stop_at import StopAt  # beside this file

import gdcore as gd

EPOCHS, ROWS, BATCH = 6, 512, 16


class Subject:
    """A trainer that is interrupted, and a twin that never is."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(ROWS, 20)).astype(np.float32)
        self.y = rng.integers(0, 3, ROWS)
        self.many = rng.normal(size=(40_000, 20)).astype(np.float32)
        self.many_y = rng.integers(0, 3, len(self.many))
        self.square = rng.normal(size=(1500, 1500)).astype(np.float32)
        self.product = gd.matmul(self.square, self.square)
        self.trainer, self.twin = self._made(), self._made()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.safetensors"
        self.trainer.save(self.path)
        self.kept = self.path.read_bytes()

    def _made(self) -> gd.Trainer:
        net = gd.Network([gd.Dense(64, "tanh"), gd.Dense(3)], input_size=20, seed=1)
        return gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-4), num_threads=2)

    # ---- calls ----

    def fit(self) -> None:
        """Some epochs."""
        self.trainer.fit(self.x, self.y, epochs=EPOCHS, batch_size=BATCH, progress=False)

    def learn_many(self) -> None:
        """Row by row."""
        self.trainer.learn_many(self.many[:4000], self.many_y[:4000])

    def predict(self) -> None:
        """In batches."""
        self.trainer.network.predict(self.many, batch_size=100)

    def evaluate(self) -> None:
        """In batches."""
        self.trainer.evaluate(self.many, self.many_y, batch_size=100)

    def check_gradients(self) -> None:
        """Both ways."""
        gd.check_gradients(self.trainer.network, "cross_entropy", self.x[:200], self.y[:200])

    def matmul(self) -> None:
        """To the same product."""
        found = gd.matmul(self.square, self.square)
        assert found.tobytes() == self.product.tobytes()

    def save(self) -> None:
        """Over the file that is there."""
        self.trainer.save(self.path)

    def load(self) -> None:
        """Of what was saved last."""
        gd.Trainer.load(self.path)
        gd.Network.load(self.path)

    def profile(self) -> None:
        """A recording and its file."""
        with gd.profile(events_per_thread=4096) as prof:
            self.trainer.network.predict(self.many[:2000])
        prof.save(self.path.with_name("profile.npz"))

    def scaling_study(self) -> None:
        """On copies of the trainer."""
        gd.scaling_study(
            self.trainer, self.x, self.y, threads=(1, 2), batch_sizes=(32,), rounds=1, seconds=0.01
        )

    # ---- after one ----

    def catch_up(self, call: str) -> None:
        """Brings the twin to where the trainer stands, without an interrupt."""
        twin, steps = self.twin, self.trainer.steps
        if call == "learn_many":
            rows = steps - twin.steps
            if rows:
                twin.learn_many(self.many[:rows], self.many_y[:rows])
            return
        arguments: dict[str, Any] = {"batch_size": BATCH, "progress": False}
        if self.trainer.epochs > twin.epochs:
            twin.fit(self.x, self.y, until_epoch=self.trainer.epochs, **arguments)
        if twin.steps < steps:
            twin.fit(self.x, self.y, epochs=1, callbacks=[StopAt(steps)], **arguments)

    def problems(self, call: str, files: int) -> list[str]:
        """What is left over."""
        found = []
        self.catch_up(call)
        mine, other = (each.network.state_dict() for each in (self.trainer, self.twin))
        if self.trainer.steps != self.twin.steps or self.trainer.epochs != self.twin.epochs:
            found.append(f"position {self.trainer.steps}, twin {self.twin.steps}")
        if any(mine[key].tobytes() != other[key].tobytes() for key in mine):
            found.append("other bits than without an interrupt")
        try:
            with gd.profile(events_per_thread=1024):
                pass
        except RuntimeError as error:
            found.append(f"a recording is at work: {error}")
        if (now := open_files()) != files:
            found.append(f"{now - files} files are open")
        names = {each.name for each in self.path.parent.iterdir()}
        if extra := names - {self.path.name, "profile.npz"}:
            found.append(f"files are left: {sorted(extra)}")
        if gd.get_num_threads() != 2:
            found.append(f"{gd.get_num_threads()} threads")
        try:
            gd.Trainer.load(self.path)
        except (OSError, ValueError) as error:
            found.append(f"what was saved is damaged: {error}")
        return found


CALLS = (
    "fit",
    "learn_many",
    "predict",
    "evaluate",
    "check_gradients",
    "matmul",
    "save",
    "load",
    "profile",
    "scaling_study",
)


def open_files() -> int:
    """How many descriptors this process has."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    return len(os.listdir(folder))


def interrupted(call: Callable[[], None], delay: float) -> bool:
    """Calls, with a SIGINT to this process after so many seconds; whether it came out."""

    def send() -> None:
        time.sleep(delay)
        signal.pthread_kill(main.ident, signal.SIGINT)  # any other thread may take its time
        sent.set()

    main, sent = threading.main_thread(), threading.Event()
    assert main.ident is not None
    sender = threading.Thread(target=send)
    came = False
    try:
        try:
            sender.start()
            call()
        finally:
            while not sent.is_set():  # not later than here
                time.sleep(1e-4)
            time.sleep(1e-3)  # on its way it may still be
    except KeyboardInterrupt:
        came = True
    sender.join()
    return came


def run(count: int, seed: int, calls: tuple[str, ...] = CALLS) -> int:
    """Interrupts so many times; returns how many problems there were."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    gd.set_num_threads(2)
    random.seed(seed)
    subject = Subject(seed)
    lengths = {}
    for call in calls:  # the first time takes longer than others
        for _ in range(2):
            begun = time.perf_counter()
            getattr(subject, call)()
            lengths[call] = time.perf_counter() - begun
            subject.catch_up(call)
    files = open_files()
    done: Counter[str] = Counter()
    came: Counter[str] = Counter()
    failures = 0
    for number in range(count):
        call = random.choice(calls)
        delay = random.uniform(0, 1.2 * min(lengths[call], 0.5))
        came[call] += interrupted(getattr(subject, call), delay)
        done[call] += 1
        for problem in subject.problems(call, files):
            failures += 1
            print(f"interrupt {number} (seed {seed}), {call} after {delay:.6f} s: {problem}")
        files = open_files()  # each is told once
    told = ", ".join(f"{call} {done[call]}" for call in calls)
    print(
        f"{count} interrupts (seed {seed}): {told}; "
        f"{sum(came.values())} came out as KeyboardInterrupt; {failures} problems"
    )
    return failures


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", default=",".join(CALLS))
    options = parser.parse_args()
    return 1 if run(options.count, options.seed, tuple(options.calls.split(","))) else 0


if __name__ == "__main__":
    sys.exit(main())
