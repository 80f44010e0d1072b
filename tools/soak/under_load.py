"""The same bits, and an end, while others keep the cores busy.

Several Python threads train at once, each on more threads than there are cores, beside processes
that do nothing but compute; meanwhile the process forks, and the child trains too.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import numpy as np

import gdcore as gd
from tools.soak import cases
from tools.soak.finding import Case, wrong
from tools.soak.threads import same_as

__all__ = ["check", "draw"]

_PATIENCE = 60.0  # seconds for a child; it needs one
# Ends with the process that started it, whatever becomes of that.
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(10000))"
_CHILDREN = ("new trainer", "same trainer", "bound rule", "matmul", "profile", "rule of a thread")


def draw(random: Random) -> Case:
    """Networks for Python threads, how busy the machine is, and what forked children do."""
    return {
        "trainings": [
            cases.draw(random, most=5e7, extremes=False)
            | {"threads": random.choice((2, 3, 5, 8, 16, 32))}
            for _ in range(random.choice((1, 2, 3)))
        ],
        "rule": random.random() < 0.7,
        "neighbours": random.choice((0, 1, 2, 4)),
        "children": [random.choice(_CHILDREN) for _ in range(random.choice((0, 1, 3)))],
    }


def check(case: Case) -> None:
    """All that comes out is what came out of one thread."""
    want = [cases.trained(each) for each in case["trainings"]]
    wanted_rule = _rule(_arrays(), 50)
    got: dict[int, Any] = {}
    shared = _Shared()

    def train(at: int) -> None:
        each = case["trainings"][at]
        got[at] = cases.trained(each, each["threads"])

    workers = [threading.Thread(target=train, args=(at,)) for at in range(len(want))]
    if case["rule"]:
        workers += [threading.Thread(target=work) for work in (shared.update, shared.train)]
    with _neighbours(case["neighbours"]):
        for worker in workers:
            worker.start()
        told = [_child(what, shared) for what in case["children"]]
        shared.end.set()
        for worker in workers:
            worker.join()
    for at, digests in enumerate(want):
        if at not in got:
            wrong(f"training {at} raised")
        same_as(digests, got[at], f"training {at} alone and under load")
    for what, answer in zip(case["children"], told):
        if what in ("bound rule", "new trainer", "matmul"):
            expected = wanted_rule if what == "bound rule" else _alone(what)
            if answer != expected:
                wrong(f"a forked child's {what} gives {answer} for {expected}")
        elif answer.startswith("raises"):
            wrong(f"a forked child's {what} {answer}")


class _Shared:
    """What a Python thread uses all the time, so that a fork comes in between."""

    def __init__(self) -> None:
        net = gd.Network([gd.Dense(60, "tanh"), gd.Dense(2)], input_size=8, seed=3)
        self.trainer = gd.Trainer(net, "mse", "adam", num_threads=2)
        self.rule = gd.Adam().bind(_arrays())
        self.x = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
        self.end = threading.Event()

    def update(self) -> None:
        while not self.end.is_set():
            self.rule.step([np.ones((400, 40)), np.ones(7)])

    def train(self) -> None:
        while not self.end.is_set():
            self.trainer.fit(self.x, self.x[:, :2], epochs=5, batch_size=16, progress=False)


def _arrays() -> list[Any]:
    return [np.ones((400, 40)), np.ones(7)]


def _rule(arrays: list[Any], steps: int) -> str:
    rule = gd.Adam(lr=0.1).bind(arrays)
    for _ in range(steps):
        rule.step([np.cos(array) for array in arrays])
    return cases.outcome(lambda: {str(at): array for at, array in enumerate(arrays)})


def _alone(what: str) -> str:
    random = np.random.default_rng(1)
    a = random.standard_normal((200, 300)).astype(np.float32)
    if what == "matmul":
        return cases.outcome(lambda: gd.matmul(a, a.T, num_threads=3))
    net = gd.Network([gd.Dense(200, "relu"), gd.Dense(3)], input_size=300, seed=1)
    trainer = gd.Trainer(net, "mse", "adam", num_threads=3)
    trainer.fit(a, a[:, :3], epochs=2, batch_size=100, progress=False)
    return cases.outcome(net.state_dict)


def _in_child(what: str, shared: _Shared) -> str:
    if what == "bound rule":
        return _rule(_arrays(), 50)
    if what == "rule of a thread":
        shared.rule.step([np.ones((400, 40)), np.ones(7)])
        return "done"
    if what == "same trainer":
        shared.trainer.fit(shared.x, shared.x[:, :2], batch_size=16, progress=False)
        return "done"
    if what == "profile":
        with gd.profile():
            _alone("matmul")
        return "done"
    return _alone(what)


def _child(what: str, shared: _Shared) -> str:
    """What a forked child says; one that hangs is ended, and a finding."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of any fork beside threads
        pid = os.fork()
    if pid == 0:
        try:
            try:
                answer = _in_child(what, shared)
            except BaseException as error:
                answer = f"raises {type(error).__name__}: {error}"
            os.write(writing, answer.encode())
        finally:
            os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], _PATIENCE)
    answer = os.read(reading, 10_000).decode() if ready else ""
    os.close(reading)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not ready:
        return f"raises nothing and hangs for {_PATIENCE:g} s"
    return answer or f"raises nothing and ends with status {status}"


@contextmanager
def _neighbours(count: int) -> Iterator[None]:
    started = [subprocess.Popen([sys.executable, "-S", "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()
