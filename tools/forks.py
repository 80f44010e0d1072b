"""Forks at random moments: python tools/forks.py --count 300 --seed 0.

While other threads train, step a bound rule, record profiles, make networks and set the number
of threads, this process forks again and again. Each child must find everything whole, compute the
right bits, and end by itself.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from stop_at import StopAt  # beside this file

import gdcore as gd

EPOCHS, ROWS, BATCH, CYCLE = 30, 256, 32, 100


def _digest(arrays: Any) -> str:
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)
    ).hexdigest()


def _made(threads: int) -> gd.Trainer:
    net = gd.Network(
        [gd.Dense(96, "tanh"), gd.Dense(48, "relu"), gd.Dense(3)], input_size=20, seed=1
    )
    return gd.Trainer(net, "cross_entropy", gd.Adam(lr=1e-3), num_threads=threads)


_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(ROWS, 20)).astype(np.float32)
Y = _RNG.integers(0, 3, ROWS)
GRADIENT = _RNG.normal(size=200_000).astype(np.float32)


def _fit(trainer: gd.Trainer, **options: Any) -> gd.Trainer:
    trainer.fit(X, Y, batch_size=BATCH, progress=False, **options)
    return trainer


def fresh() -> str:
    """A training of its own."""
    return _digest(_fit(_made(3), epochs=2).network.state_dict().values())


class Neighbours:
    """What goes on in other threads."""

    def __init__(self) -> None:
        self.ends = False
        self.trainer = _made(2)
        self.weights = np.ones_like(GRADIENT)
        self.rule = gd.Adam(lr=1e-3).bind([self.weights])
        self.rule_states = self._states_of_rule()
        self.errors: list[str] = []
        works = (self._train, self._step_rule, self._record, self._make, self._set_threads)
        self.threads = [threading.Thread(target=self._again, args=(each,)) for each in works]
        for each in self.threads:
            each.start()

    def _again(self, work: Callable[[], None]) -> None:
        try:
            while not self.ends:
                work()
        except Exception:
            self.errors.append(traceback.format_exc())

    def _train(self) -> None:
        self.trainer = trainer = _made(2)
        _fit(trainer, epochs=EPOCHS)

    def _states_of_rule(self) -> set[str]:
        weights = np.ones_like(GRADIENT)
        rule = gd.Adam(lr=1e-3).bind([weights])
        states = {_digest([weights])}
        for _ in range(CYCLE):
            rule.step([GRADIENT])
            states.add(_digest([weights]))
        return states

    def _step_rule(self) -> None:
        weights = np.ones_like(GRADIENT)
        rule = gd.Adam(lr=1e-3).bind([weights])
        self.weights, self.rule = weights, rule
        for _ in range(CYCLE):
            rule.step([GRADIENT])

    def _record(self) -> None:
        with gd.profile(events_per_thread=1024):
            gd.matmul(X, X.T)
            time.sleep(random.uniform(0, 0.002))

    def _make(self) -> None:
        name = f"layer {random.randrange(10**9)}"
        net = gd.Network([gd.Dense(4, name=name)], input_size=20, seed=0)
        gd.Trainer(net, "mse", "sgd", num_threads=1).step(X, np.zeros((ROWS, 4)))

    def _set_threads(self) -> None:
        gd.set_num_threads(random.choice((None, 1, 2, 3, 5)))
        gd.matmul(X, X.T)
        time.sleep(0.001)

    def end(self) -> list[str]:
        """Ends it; what went wrong in it."""
        self.ends = True
        for each in self.threads:
            each.join()
        return self.errors


# ---- what a child does ----


def finds_the_trainer_whole(around: Neighbours, want: str) -> None:
    """Where it stands, it has the bits of one that stopped there; and it goes on."""
    trainer = around.trainer
    twin = _made(1)
    if trainer.epochs:
        _fit(twin, until_epoch=trainer.epochs)
    if twin.steps < trainer.steps:
        _fit(twin, epochs=1, callbacks=[StopAt(trainer.steps)])
    assert twin.steps == trainer.steps
    here, there = (_digest(each.network.state_dict().values()) for each in (trainer, twin))
    assert here == there, f"torn at step {trainer.steps}"
    here, there = (
        _digest(_fit(each, epochs=1).network.state_dict().values()) for each in (trainer, twin)
    )
    assert here == there, f"other bits after going on from step {trainer.steps}"


def steps_the_rule(around: Neighbours, want: str) -> None:
    """The arrays are as after some whole step."""
    assert _digest([around.weights]) in around.rule_states, "arrays of a bound rule are torn"
    around.rule.step([GRADIENT])


def trains(around: Neighbours, want: str) -> None:
    """A network of its own."""
    assert fresh() == want, "other bits in the child"


def records(around: Neighbours, want: str) -> None:
    """A profile of its own."""
    with gd.profile(events_per_thread=4096) as prof:
        trains(around, want)
    assert prof.steps > 0


def sets_threads(around: Neighbours, want: str) -> None:
    """And uses them."""
    gd.set_num_threads(3)
    gd.matmul(X, X.T)
    trains(around, want)


def forks_again(around: Neighbours, want: str) -> None:
    """A grandchild trains."""
    child = os.fork()
    if child == 0:
        _in_child([trains], around, want)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


DEEDS = (finds_the_trainer_whole, steps_the_rule, trains, records, sets_threads, forks_again)


def _in_child(deeds: Any, around: Neighbours, want: str) -> None:
    status = 1
    try:
        for deed in deeds:
            deed(around, want)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


# ---- ways to fork ----


def _os_fork(around: Neighbours, want: str) -> int:
    deeds = random.sample(DEEDS, 2)
    child = os.fork()
    if child == 0:
        _in_child(deeds, around, want)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _exits_at_once(around: Neighbours, want: str) -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _exec(around: Neighbours, want: str) -> int:
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-S", "-c", "pass"])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _ends_as_python_does(around: Neighbours, want: str) -> int:
    process = multiprocessing.get_context("fork").Process(target=fresh)
    process.start()
    process.join()
    return process.exitcode or 0


def _pool(around: Neighbours, want: str) -> int:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = [each.get() for each in [pool.apply_async(fresh) for _ in range(3)]]
    return int(found != [want] * 3)


def _subprocess(around: Neighbours, want: str) -> int:
    command = [sys.executable, "-S", "-c", "pass"]
    return subprocess.run(command, preexec_fn=os.getpid).returncode  # so that it forks


WAYS = (_os_fork, _exits_at_once, _exec, _ends_as_python_does, _pool, _subprocess)
_WEIGHTS = (10, 1, 1, 2, 1, 1)


def run(count: int, seed: int) -> int:
    """Forks so many times; returns how many problems there were."""
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later warn of any such fork
    random.seed(seed)
    want = fresh()
    around = Neighbours()
    done: Counter[str] = Counter()
    failures = 0
    for number in range(count):
        time.sleep(random.expovariate(200))
        (way,) = random.choices(WAYS, _WEIGHTS)
        status = way(around, want)
        done[way.__name__.lstrip("_")] += 1
        if status != 0:
            failures += 1
            print(f"fork {number} (seed {seed}), {way.__name__}: exit {status}", flush=True)
    errors = around.end()
    if fresh() != want:
        errors.append("other bits in the parent")
    print(*errors, sep="\n", end="\n" if errors else "")
    told = ", ".join(f"{way} {times}" for way, times in sorted(done.items()))
    print(f"{count} forks (seed {seed}): {told}; {failures + len(errors)} problems")
    return failures + len(errors)


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    return 1 if run(options.count, options.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
