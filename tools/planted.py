"""Plants what holds a training up, records it, and counts what the advice says of it.

    python -m tools.planted record FOLDER [NAME]...   # files that test_advice.py reads
    python -m tools.planted table [--rounds 10] [NAME]...

On a quiet machine with two CPUs; each recording is a process of its own. "quota" needs root and a
cgroup it may make; "small_step" and "partition" need a build that does what the library does not:
one whose cost model gives threads to any step, one that cuts each product of 96 units or more into
three tiles.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import gdcore as gd

BUSY = "while True: pass"
MNIST_M = (784, 512, 512, 10)


class Slow(gd.callbacks.Callback):
    """Does after every batch what could wait."""

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        time.sleep(0.001)


class SlowEpoch(gd.callbacks.Callback):
    """Does after every epoch what takes long."""

    def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
        time.sleep(0.05)


def _trainer(*sizes: int, threads: int | None = None) -> gd.Trainer:
    layers = [gd.Dense(units, "relu") for units in sizes[1:-1]]
    net = gd.Network([*layers, gd.Dense(sizes[-1])], input_size=sizes[0], seed=0)
    return gd.Trainer(net, "cross_entropy", "adam", num_threads=threads)


def _samples(trainer: gd.Trainer, count: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x = random.standard_normal((count, trainer.network.input_size), np.float32)
    return x, random.integers(0, trainer.network.output_size, count)


def _profile(
    trainer: gd.Trainer, steps: int, batch: int, *, epochs: int = 1, every: int = 1, **more: Any
) -> gd.profiling.Profile:
    x, y = _samples(trainer, steps * batch)
    for _ in range(3):
        trainer.fit(x, y, batch_size=batch, progress=False)
    with gd.profile(every=every) as prof:
        trainer.fit(x, y, epochs=epochs, batch_size=batch, progress=False, **more)
    return prof


# ---- healthy ----


def tiny() -> gd.profiling.Profile:
    return _profile(_trainer(4, 64, 64, 2), 300, 32)


def medium() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M), 40, 128, epochs=2)


def wide() -> gd.profiling.Profile:
    return _profile(_trainer(1024, 4096, 4096, 1024), 4, 256)


def none() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M), 40, 128)


# ---- the caller is elsewhere ----


def callback() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M), 40, 128, callbacks=[Slow()])


def callback_every() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M), 60, 128, every=10, callbacks=[Slow()])


def epoch_callback() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M), 20, 128, epochs=3, callbacks=[SlowEpoch()])


def metric() -> gd.profiling.Profile:
    trainer = _trainer(*MNIST_M)

    def slow(y: Any, output: Any) -> float:
        time.sleep(0.1)
        return 0.0

    return _profile(
        trainer, 20, 128, epochs=3, validation_data=_samples(trainer, 500), metrics=[slow]
    )


def convert() -> gd.profiling.Profile:
    trainer = _trainer(784, 64, 10)
    x, y = _samples(trainer, 20_000)
    trainer.fit(x[:1280], y[:1280], batch_size=128, progress=False)
    given = np.asfortranarray(x, np.float64)
    with gd.profile() as prof:
        trainer.fit(given, y, batch_size=256, progress=False)
    return prof


def gil() -> gd.profiling.Profile:
    trainer = _trainer(*MNIST_M)
    x, y = _samples(trainer, 128)
    for _ in range(20):
        trainer.step(x, y)
    over = threading.Event()

    def hog() -> None:
        while not over.is_set():
            sum(range(1000))

    other = threading.Thread(target=hog)
    other.start()
    try:
        with gd.profile() as prof:
            for _ in range(60):
                trainer.step(x, y)
    finally:
        over.set()
        other.join()
    return prof


def page_faults() -> gd.profiling.Profile:
    """New arrays each step, of small pages and too large for the allocator to keep."""
    if os.environ.get("NUMPY_MADVISE_HUGEPAGE") != "0":
        _begin_again(NUMPY_MADVISE_HUGEPAGE="0")
    trainer = _trainer(784, 16, 10)
    x, y = _samples(trainer, 24_000)
    trainer.step(x, y)
    with gd.profile() as prof:
        for _ in range(20):
            trainer.step(x + 1, y)
    return prof


# ---- a CPU is missing ----


def _begin_again(**environment: str) -> None:
    os.execve(sys.executable, sys.orig_argv, os.environ | environment)


@contextmanager
def _busy() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as other:
        try:
            time.sleep(0.5)
            yield
        finally:
            other.kill()


def neighbour() -> gd.profiling.Profile:
    with _busy():
        return _profile(_trainer(*MNIST_M, threads=2), 60, 128, epochs=2)


def oversubscribed() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M, threads=8), 30, 128)


def affinity() -> gd.profiling.Profile:
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    return _profile(_trainer(*MNIST_M), 40, 128)


def quota() -> gd.profiling.Profile:
    """One CPU's time for two threads."""
    group = Path("/sys/fs/cgroup/cpu/gdcore-planted")
    if str(os.getpid()) not in (group / "cgroup.procs").read_text().split():
        (group / "cgroup.procs").write_text(str(os.getpid()))
        _begin_again()  # what the library has read by now is of the group before
    return _profile(_trainer(*MNIST_M, threads=2), 60, 128, epochs=2)


# ---- how the work is shared ----


def small_batch() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M), 80, 2)


def one_thread() -> gd.profiling.Profile:
    return _profile(_trainer(*MNIST_M, threads=1), 40, 128)


def small_step() -> gd.profiling.Profile:
    return _profile(_trainer(8, 16, 16, 4, threads=2), 60, 32)


def partition() -> gd.profiling.Profile:
    """Five panels of 32 units for two workers."""
    return _profile(_trainer(784, 160, 10, threads=2), 40, 128)


HEALTHY = (tiny, medium, wide)
# What is planted, and the kind of sentence that is to come first.
CAUSES = {
    callback: "callback",
    callback_every: "callback",
    epoch_callback: "callback",
    metric: "metric",
    small_batch: "small_batch",
    oversubscribed: "quota",
    neighbour: "neighbour",
    affinity: "affinity",
    quota: "quota",
    convert: "convert",
    gil: "gil",
    one_thread: "one_thread",
    page_faults: "page_faults",
}
PLANTED = {each.__name__: each for each in (*HEALTHY, none, *CAUSES, small_step, partition)}


def _recorded(name: str, path: Path) -> gd.profiling.Profile:
    """By a process of its own, read from its file."""
    group = Path("/sys/fs/cgroup/cpu/gdcore-planted")
    if name == "quota":
        group.mkdir(exist_ok=True)
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("100000")
    command = [sys.executable, "-m", "tools.planted", "one", name, str(path)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    return gd.profiling.load(path)


def _told(prof: gd.profiling.Profile) -> list[str]:
    return [each.kind for each in prof.advice() if each.kind != "summary"]


def table(names: list[str], rounds: int) -> None:
    """Prints how often each planted cause came first, and what a healthy run was told."""
    told: Counter[str] = Counter()  # of each kind, in all recordings
    right: Counter[str] = Counter()  # where it was planted
    print("| planted | recordings | named first | named | also told |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for each, kind in {**dict.fromkeys(HEALTHY, ""), **CAUSES}.items():
            if names and each.__name__ not in names:
                continue
            first = named = 0
            also: Counter[str] = Counter()
            for i in range(rounds if kind else 2 * rounds):
                prof = _recorded(each.__name__, Path(folder) / f"{i}.npz")
                kinds = _told(prof)
                for sentence in prof.advice():
                    print(f"{each.__name__} [{sentence.kind}] {sentence}", file=sys.stderr)
                first += kinds[:1] == [kind] if kind else not kinds
                named += kind in kinds if kind else not kinds
                told.update(set(kinds))
                right.update({kind} & set(kinds))
                also.update(set(kinds) - {kind})
            rest = ", ".join(f"{other} {count}" for other, count in also.most_common())
            count = rounds if kind else 2 * rounds
            print(f"| {each.__name__} | {count} | {first} | {named} | {rest} |", flush=True)
    print("\n| kind | told | where it was planted |\n|---|---|---|")
    for kind, count in told.most_common():
        print(f"| {kind} | {count} | {right[kind]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["record", "table", "one"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=10, help="of healthy ones twice as many")
    given = parser.parse_args()
    if given.command == "one":
        name, path = given.names
        PLANTED[name]().save(path)
        return
    if given.command == "table":
        table(given.names, given.rounds)
        return
    folder, *names = given.names
    for name in names or PLANTED:
        prof = _recorded(name, Path(folder) / f"{name}.npz")
        print(f"\n{name}: {prof}")
        for sentence in prof.advice():
            print(f"  [{sentence.kind}] {sentence}")


if __name__ == "__main__":
    main()
