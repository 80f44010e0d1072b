"""The process around us: too few threads, forks, its end, and who is in the way of whom."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from support import run_json, run_python

import gdcore as gd

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# ---- too few threads ----

FEW = """
import json, os, resource, sys
import gdcore as gd, nets
from support import digest

limit, extra = sys.argv[1], int(sys.argv[2])

def train():
    net = nets.network([256, 512, 256, 5], ["relu", "relu", "identity"], "float32", seed=4)
    trainer = gd.Trainer(net, loss="mse", optimizer="adam", num_threads=8)
    for _ in range(3):
        trainer.step(x, y)
    gd.matmul(x, x.T, num_threads=8)
    return digest(net.state_dict())

x, y = nets.inputs(512, 256), nets.targets("mse", 512, 5)
gd.Trainer  # loads what training needs, while files may be read
count = len(os.listdir("/proc/self/task"))
if limit == "threads":
    if os.getuid() == 0:  # root is not limited
        os.setresgid(54321, 54321, 54321)
        os.setresuid(54321, 54321, 54321)
    resource.setrlimit(resource.RLIMIT_NPROC, (count + extra, count + extra))
elif limit == "memory":
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (extra << 20), used + (extra << 20)))
gd.set_num_threads(8)
try:
    bits = train()
except MemoryError:
    bits = "no memory"
told = gd.show_config()
more = len(os.listdir("/proc/self/task")) - count
print(json.dumps([bits, more, told["num_threads"], told["num_threads_source"]]))
"""


def trained_with(limit: str, extra: int, env: dict[str, str] | None = None) -> list[Any]:
    found: list[Any] = run_json(FEW, limit, str(extra), env=env)
    return found


@pytest.fixture(scope="module")
def unlimited() -> str:
    bits, more, told, source = trained_with("none", 0)
    assert (more, told, source) == (7, 8, "set_num_threads")
    return bits


@linux
@pytest.mark.parametrize("extra", [0, 1, 2, 4])
def test_fewer_threads_than_wanted_make_the_same_bits(extra: int, unlimited: str) -> None:
    bits, more, told, source = trained_with("threads", extra)
    assert bits == unlimited
    # Where somebody else of that number has threads, there are fewer still.
    assert more <= extra
    assert (told, source) == (more + 1, "the system")


@linux
@pytest.mark.parametrize("extra", [25, 35, 45, 55, 65])
def test_little_memory_ends_no_process(extra: int, unlimited: str) -> None:
    bits, more, told, _ = trained_with("memory", extra)
    assert bits in (unlimited, "no memory")
    assert more < 7 or told == 8


@linux
@pytest.mark.parametrize("name", ["OMP_STACKSIZE", "GOMP_STACKSIZE"])
@pytest.mark.parametrize("size", [" 100000G ", "200000g", "99999999999999"])
def test_stacks_that_cannot_be_end_no_process(name: str, size: str, unlimited: str) -> None:
    bits, more, told, source = trained_with("none", 0, env={name: size})
    assert bits == unlimited
    assert (more, told, source) == (1, 2, "the system")


def test_a_new_number_asks_anew() -> None:
    code = FEW.replace(
        "print(json", "gd.set_num_threads(5)\nprint(gd.get_num_threads()); print(json"
    )
    lines = run_python(code, "none", "0", env={"OMP_THREAD_LIMIT": "2"}).stdout.splitlines()
    assert lines[0] == "5"


# ---- forks ----

RULE = """
import os, sys, threading, time
import gdcore as gd, numpy as np

weights = np.ones(30_000_000, np.float32)
rule = gd.Adam().bind([weights])
gradient = np.full_like(weights, 0.5)
small = np.ones(10)
stepping = threading.Event()

def step():
    for _ in range(6):
        stepping.set()
        rule.step([gradient], check_finite=False)

thread = threading.Thread(target=step)
thread.start()
stepping.wait()
time.sleep(0.01)  # into the midst of a step
child = os.fork()
if child == 0:
    # All of it is as after the same step.
    same = (weights == weights[0]).all()
    rule.step([gradient])
    os._exit(0 if same and (weights == weights[0]).all() else 1)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@forks
def test_a_fork_beside_a_bound_rule() -> None:
    run_python(RULE, env={"PYTHONWARNINGS": "ignore::DeprecationWarning"})


FIT = """
import os, sys, threading
import gdcore as gd, nets

x, y = nets.inputs(64, 20), nets.targets("mse", 64, 3)
trainer = gd.Trainer(nets.network([20, 30, 3], ["tanh", "identity"], "float32"), "mse", "adam")
begun, on = threading.Event(), True

class Watch(gd.callbacks.Callback):
    def on_epoch_end(self, trainer, epoch, values):
        begun.set()
        if not on:
            trainer.stop()

class Fork(gd.callbacks.Callback):
    def on_epoch_end(self, trainer, epoch, values):
        statuses.append(child())
        trainer.stop()

def fit(*callbacks):
    trainer.fit(x, y, epochs=10**9, progress=False, callbacks=callbacks)

def child():
    global on
    pid = os.fork()
    if pid != 0:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        if sys.argv[1] == "beside":
            trainer.fit(x, y, progress=False)
            status = 0
        else:  # the fit of the child's own thread is still at work
            try:
                trainer.fit(x, y, progress=False)
            except RuntimeError:
                status = 0
    finally:
        os._exit(status)

statuses = []
if sys.argv[1] == "beside":
    thread = threading.Thread(target=fit, args=(Watch(),))
    thread.start()
    begun.wait()
    statuses.append(child())
    on = False
    thread.join()
else:
    fit(Fork())
trainer.fit(x, y, progress=False)
assert statuses == [0], statuses
"""


@forks
@pytest.mark.parametrize("where", ["beside", "within"])
def test_a_fork_and_fit(where: str) -> None:
    """Beside one the child may fit; from within one it may not, as its parent."""
    run_python(FIT, where, env={"PYTHONWARNINGS": "ignore::DeprecationWarning"})


REGISTRY = """
import os, sys, threading
import gdcore as gd, numpy as np

x, on, counts = np.ones((2, 3), np.float32), True, []

def make():
    number = 0
    while on:
        number += 1
        layers = [gd.Dense(1, name=f"n{number}-{i}") for i in range(40)]
        gd.Network(layers, input_size=3).predict(x)

threads = [threading.Thread(target=make) for _ in range(2)]
for thread in threads:
    thread.start()
try:
    for _ in range(60):
        child = os.fork()
        if child == 0:
            gd.Network([gd.Dense(2)], input_size=3).predict(x)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
finally:
    on = False
    for thread in threads:
        thread.join()
"""


@forks
def test_forks_beside_networks_that_are_made() -> None:
    run_python(REGISTRY, env={"PYTHONWARNINGS": "ignore::DeprecationWarning"})


def test_names_of_networks_that_are_gone_are_forgotten() -> None:
    """There are 65,535 numbers for operations; each network here takes 400 of them."""
    x = np.ones((1, 2), np.float32)
    for number in range(200):
        layers = [gd.Dense(1, name=f"{number}-{i}") for i in range(400)]
        gd.Network(layers, input_size=2).predict(x)
    net = gd.Network([gd.Dense(2, name="the last")], input_size=2)
    with gd.profile() as prof:
        net.predict(x)
    assert "the last" in {row["layer"] for row in prof.table("layer")}
    assert len(prof.operations) < 2000


# ---- the end of the process ----

END = """
import atexit, sys, threading, time
import gdcore as gd, nets, numpy as np

what = sys.argv[1]
net = nets.network([20, 64, 3], ["relu", "identity"], "float32")
x, y = nets.inputs(2048, 20).astype(np.float32), nets.targets("cross_entropy", 2048, 3)
schedule = (lambda epoch: 1e-3) if what == "schedule" else None
trainer = gd.Trainer(net, "cross_entropy", "adam", num_threads=2, schedule=schedule)
weights = np.ones(200_000, np.float32)
rule, wide = gd.Adam().bind([weights]), x.astype(np.float64)

class Callback(gd.callbacks.Callback):
    def on_batch_end(self, trainer, loss):
        sum(range(50))

def fit(*callbacks):
    trainer.fit(x, y, epochs=1000, progress=False, callbacks=callbacks)

def profile():
    with gd.profile(events_per_thread=1024):
        trainer.step(x, y)

def backward():
    net.backward(net.forward(x, training=True))

deeds = {
    "fit": fit, "schedule": fit, "callback": lambda: fit(Callback()), "profile": profile,
    "learn_many": lambda: trainer.learn_many(x, y), "step": lambda: trainer.step(wide, y),
    "predict": lambda: net.predict(x), "evaluate": lambda: trainer.evaluate(x, y),
    "rule": lambda: rule.step([weights * 0.1]), "matmul": lambda: gd.matmul(x, x.T),
    "check_gradients": lambda: gd.check_gradients(net, "cross_entropy", x[:8], y[:8]),
    "backward": backward, "state_dict": lambda: net.load_state_dict(net.state_dict()),
}

def again():
    while True:
        deeds[what]()

for _ in range(2 if what in ("step", "predict", "rule", "matmul") else 1):
    threading.Thread(target=again, daemon=True).start()
time.sleep(0.1)
print("end")
"""


@pytest.mark.parametrize(
    "what",
    [
        "fit", "schedule", "callback", "profile", "learn_many", "step", "predict", "evaluate",
        "rule", "matmul", "check_gradients", "backward", "state_dict",
    ],
)  # fmt: skip
def test_the_process_ends_quietly_while_a_daemon_thread_works(what: str) -> None:
    result = run_python(END, what)
    assert (result.stdout, result.stderr) == ("end\n", "")


OTHER_ENDS = """
import atexit, sys, threading
import gdcore as gd, nets

x, y = nets.inputs(64, 20), nets.targets("mse", 64, 3)
trainer = gd.Trainer(
    nets.network([20, 200, 3], ["tanh", "identity"], "float32"), "mse", "adam", num_threads=2
)

class Exit(gd.callbacks.Callback):
    def on_batch_end(self, trainer, loss):
        sys.exit(7)

def fit(*callbacks):
    trainer.fit(x, y, epochs=3, progress=False, callbacks=callbacks)

if sys.argv[1] == "atexit":
    atexit.register(lambda: (fit(), print("end")))
elif sys.argv[1] == "a thread that is waited for":
    threading.Thread(target=lambda: (fit(), print("end"))).start()
else:
    print("end")
    fit(Exit())
"""


@pytest.mark.parametrize(
    ("how", "status"), [("atexit", 0), ("a thread that is waited for", 0), ("sys.exit", 7)]
)
def test_other_ends(how: str, status: int) -> None:
    result = run_python(OTHER_ENDS, how, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (status, "end\n", "")


# ---- two at once ----


def small_trainer(**options: Any) -> gd.Trainer:
    net = gd.Network([gd.Dense(3)], input_size=2, seed=0)
    return gd.Trainer(net, "mse", "sgd", **options)


def test_of_two_fits_at_once_one_raises() -> None:
    """Also where the first is still looking at its arguments."""
    trainer = small_trainer()
    x, y = np.ones((4, 2)), np.ones((4, 3))
    within, done = threading.Event(), threading.Event()

    def waiting(truth: Any, output: Any) -> float:
        within.set()
        done.wait()
        return 0.0

    first = threading.Thread(
        target=partial(trainer.fit, progress=False), args=(x, y),
        kwargs={"validation_data": (x, y), "metrics": [waiting]},
    )  # fmt: skip
    first.start()
    within.wait()
    try:
        with pytest.raises(RuntimeError, match="fit is at work"):
            trainer.fit(x, y, progress=False)
    finally:
        done.set()
        first.join()
    assert trainer.epochs == 1
    with pytest.raises(ValueError, match="epochs"):
        trainer.fit(x, y, epochs=0, progress=False)
    trainer.fit(x, y, progress=False)
    assert trainer.epochs == 2


PROFILES = """
import threading
import gdcore as gd, numpy as np

net = gd.Network([gd.Dense(8)], input_size=4, seed=0)
x = np.ones((4, 4), np.float32)
wrong = []

def record():
    made = 0
    while made < 150:
        try:
            with gd.profile(events_per_thread=1024, counters=False) as prof:
                net.predict(x)
        except RuntimeError as error:
            assert "one at a time" in str(error), error
            continue
        made += 1
        events = prof.events
        if not 0 <= prof.seconds < 1000 or not len(events) or (events["end"] > 1e12).any():
            wrong.append(repr(prof))

threads = [threading.Thread(target=record) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not wrong, wrong[:3]
"""


def test_profiles_of_several_threads_take_turns() -> None:
    run_python(PROFILES)


# ---- what reaches itself ----


class Holder:
    def __init__(self) -> None:
        self.trainer: gd.Trainer | None = None

    def rate(self, epoch: int) -> float:
        return 0.1


def by_closure(holder: Holder) -> Callable[[int], float]:
    return lambda epoch: 0.1 if holder.trainer is not None else 0.2


def by_method(holder: Holder) -> Callable[[int], float]:
    return holder.rate


def by_partial(holder: Holder) -> Callable[[int], float]:
    return partial(lambda holder, epoch: 0.1, holder)


@pytest.mark.parametrize("made", [by_closure, by_method, by_partial])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_schedule_that_reaches_its_trainer_is_freed(
    made: Callable[[Holder], Callable[[int], float]], dtype: str
) -> None:
    holder = Holder()
    net = gd.Network([gd.Dense(3)], input_size=2, dtype=dtype)
    holder.trainer = trainer = gd.Trainer(net, "mse", "sgd", schedule=made(holder))
    trainer.step(np.ones((2, 2)), np.ones((2, 3)))
    gc.collect()
    assert trainer.lr == 0.1, "the collector takes nothing that is in use"
    gone = [weakref.ref(each) for each in (holder, trainer, net)]
    del holder, trainer, net
    gc.collect()
    assert [each() for each in gone] == [None] * 3
