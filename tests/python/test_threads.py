"""Threads: how many and why, forks, several Python threads, and nothing global touched."""

from __future__ import annotations

import os
import threading
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_state, digest, run_json, run_python

import gdcore as gd

# ---- how many ----

COUNT = """
import gdcore as gd, json
told = gd.show_config()
print(json.dumps([gd.get_num_threads(), told["num_threads"], told["num_threads_source"]]))
"""


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("1", 1), ("5,2", 5)])
def test_omp_num_threads_counts(text: str, count: int) -> None:
    assert run_json(COUNT, env={"OMP_NUM_THREADS": text}) == [count, count, "OMP_NUM_THREADS"]


def test_without_it_the_machine_counts() -> None:
    count, told, source = run_json(COUNT)
    cpus = gd.show_config()["cpus"]
    limits = [cpus["affinity"], cpus["physical_cores"]]
    if cpus["cgroup_quota"] is not None:
        limits.append(max(1, int(cpus["cgroup_quota"])))
    assert count == told == min(limits)
    assert source in ("affinity mask", "cgroup quota", "physical cores")


def test_a_smaller_affinity_mask_counts() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity masks")
    told = run_json("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})" + COUNT)
    assert told == [1, 1, "affinity mask"]


def test_what_is_set_counts_more() -> None:
    code = "import gdcore; gdcore.set_num_threads(4)" + COUNT
    assert run_json(code, env={"OMP_NUM_THREADS": "3"}) == [4, 4, "set_num_threads"]
    code = "import gdcore; gdcore.set_num_threads(4); gdcore.set_num_threads(None)" + COUNT
    assert run_json(code, env={"OMP_NUM_THREADS": "3"}) == [3, 3, "OMP_NUM_THREADS"]


ARGUMENT = """
import gdcore as gd, json, nets, os
net = nets.network([300, 200, 10], ["tanh", "identity"], "float32")
trainer = gd.Trainer(net, loss="mse", optimizer="sgd", num_threads=3)
before = len(os.listdir("/proc/self/task"))
trainer.step(nets.inputs(200, 300), nets.targets("mse", 200, 10))
print(json.dumps(len(os.listdir("/proc/self/task")) - before))
"""


def test_an_argument_counts_most() -> None:
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("there is no /proc to count threads in")
    assert run_json(ARGUMENT, env={"OMP_NUM_THREADS": "1"}) >= 2


# ---- six at once ----


def train(index: int, threads: int, barrier: threading.Barrier | None = None) -> dict[str, Any]:
    """One of several networks, of its own shape, data, rule and number of threads."""
    names = ["tanh", "relu", "identity"]
    widths = [50 + index, 300 - 20 * index, 120, 6]  # work enough for more threads than there are
    dtype = ("float32", "float64")[index % 2]
    rule = (gd.Adam(lr=1e-2), gd.SGD(lr=1e-2, momentum=0.9))[index % 2]
    net = nets.network(widths, names, dtype, seed=index)
    trainer = gd.Trainer(net, loss="mse", optimizer=rule, num_threads=threads)
    x, y = nets.inputs(300, widths[0], index), nets.targets("mse", 300, 6, index)
    if barrier is not None:
        barrier.wait()
    trainer.fit(x, y, epochs=6, batch_size=150, progress=False)
    for at in range(0, 300, 100):
        trainer.step(x[at : at + 100], y[at : at + 100])
    return net.state_dict()


@pytest.mark.parametrize("threads", [(1,) * 6, (2,) * 6, (1, 2, 3, 5, 2, 3)])
def test_six_python_threads_train_six_networks(threads: tuple[int, ...]) -> None:
    serial = [train(index, 1) for index in range(6)]
    results: dict[int, Any] = {}
    barrier = threading.Barrier(6)

    def work(index: int) -> None:
        results[index] = train(index, threads[index], barrier)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results) == list(range(6))
    for index, state in enumerate(serial):
        assert_same_state(results[index], state)


def test_one_trainer_in_two_python_threads_makes_whole_steps() -> None:
    """Whoever comes first, each step is whole: with one batch, the order cannot be told."""
    x, y = nets.inputs(128, 50), nets.targets("mse", 128, 3)

    def make() -> gd.Trainer:
        net = nets.network([50, 300, 3], ["tanh", "identity"], "float32")
        return gd.Trainer(net, loss="mse", optimizer=gd.Adam(lr=1e-2), num_threads=2)

    shared, alone = make(), make()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(100):
                shared.step(x, y)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    for _ in range(200):
        alone.step(x, y)
    assert shared.steps == 200
    assert_same_state(shared.network.state_dict(), alone.network.state_dict())


LOOK = """
import json, threading
import gdcore as gd, nets
from support import digest

def make():
    net = nets.network([50, 300, 3], ["tanh", "identity"], "float32", seed=1)
    return net, gd.Trainer(net, loss="mse", optimizer=gd.Adam(lr=1e-2), num_threads=2)

x, y = nets.inputs(256, 50), nets.targets("mse", 256, 3)
(net, trainer), (twin, quiet) = make(), make()
done, looks = threading.Event(), []

def look():
    while not done.is_set() or not looks:
        net.state_dict()
        net.predict(x[:10])
        net.forward(x[:20], training=True)
        trainer.evaluate(x[:30], y[:30])
        looks.append(trainer.steps)

threads = [threading.Thread(target=look) for _ in range(2)]
for thread in threads:
    thread.start()
trainer.fit(x, y, epochs=40, batch_size=64, progress=True)
done.set()
for thread in threads:
    thread.join()
quiet.fit(x, y, epochs=40, batch_size=64, progress=False)
print(json.dumps([digest(net.state_dict()), digest(twin.state_dict())]))
"""


def test_others_may_look_at_a_network_while_it_trains() -> None:
    """In a process of its own, because two locks taken in two orders would hang."""
    looked_at, alone = run_json(LOOK)
    assert looked_at == alone


# ---- forks ----

# Alone in its process, so that the test runner itself is not forked.
FORK = """
import json, multiprocessing, os, sys, warnings
import gdcore as gd, nets
from support import digest

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later warn of any fork with threads
how, threads = sys.argv[1], int(sys.argv[2])

def train(again):
    net = nets.network([40, 400, 256, 5], ["tanh", "relu", "identity"], "float32", seed=4)
    trainer = gd.Trainer(net, loss="mse", optimizer=gd.Adam(lr=1e-2), num_threads=threads)
    x, y = nets.inputs(512, 40), nets.targets("mse", 512, 5)
    trainer.fit(x, y, epochs=5, batch_size=256, progress=False)
    assert not again or len(os.listdir("/proc/self/task")) >= threads
    return digest(net.state_dict())

def child(pipe):
    os.write(pipe, train(True).encode())

in_parent = train(False)
read, write = os.pipe()
if how == "os.fork":
    pid = os.fork()
    if pid == 0:
        try:
            child(write)
        finally:
            os._exit(0)
    def join(): os.waitpid(pid, 0)
else:
    process = multiprocessing.get_context("fork").Process(target=child, args=(write,))
    process.start()
    join = process.join
os.close(write)  # so that a child that dies ends the wait
in_child = os.read(read, 100).decode()  # a child that hangs is ended by who runs this
join()
print(json.dumps([in_parent, in_child, train(True)]))
"""


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("how", ["os.fork", "multiprocessing"])
def test_a_forked_child_trains_to_the_same_bits(how: str, threads: int) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    in_parent, in_child, afterwards = run_json(FORK, how, str(threads))
    assert in_child == in_parent
    assert afterwards == in_parent


# The child goes on with the trainer that the parent made and used.
INHERIT = """
import json, os, warnings
import gdcore as gd, nets
from support import digest

warnings.simplefilter("ignore", DeprecationWarning)
net = nets.network([40, 256, 64, 5], ["tanh", "relu", "identity"], "float32", seed=4)
trainer = gd.Trainer(net, loss="mse", optimizer=gd.Adam(lr=1e-2), num_threads=3)
x, y = nets.inputs(256, 40), nets.targets("mse", 256, 5)
trainer.fit(x, y, epochs=2, batch_size=256, progress=False)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        trainer.fit(x, y, epochs=2, batch_size=256, progress=False)
        os.write(write, digest(net.state_dict()).encode())
    finally:
        os._exit(0)
os.close(write)
in_child = os.read(read, 100).decode()
os.waitpid(pid, 0)
trainer.fit(x, y, epochs=2, batch_size=256, progress=False)
print(json.dumps([digest(net.state_dict()), in_child]))
"""


def test_a_forked_child_goes_on_with_the_parents_trainer() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    in_parent, in_child = run_json(INHERIT)
    assert in_parent == in_child


# ---- nothing global ----

GLOBAL = """
import ctypes, json, os, nets
import gdcore as gd
from threadpoolctl import threadpool_info

def openmp():
    told = {}
    for info in threadpool_info():
        if info["internal_api"] == "gdcore":  # ours, which set_num_threads is to change
            continue
        entry = {key: info[key] for key in ("user_api", "internal_api", "num_threads", "filepath")}
        if info["user_api"] == "openmp":
            library = ctypes.CDLL(info["filepath"])
            entry["state"] = [
                getattr(library, name)()
                for name in ("omp_get_max_threads", "omp_get_dynamic", "omp_get_max_active_levels",
                             "omp_get_thread_limit", "omp_in_parallel")
            ]
        told[info["filepath"]] = entry  # they come in any order
    return told

before, environment = openmp(), dict(os.environ)
gd.set_num_threads(3)
net = nets.network([200, 256, 5], ["tanh", "identity"], "float32")
trainer = gd.Trainer(net, loss="mse", optimizer="adam", num_threads=5)
trainer.step(nets.inputs(256, 200), nets.targets("mse", 256, 5))
gd.matmul(nets.inputs(256, 200), nets.inputs(200, 100))
print(json.dumps([before, openmp(), environment == dict(os.environ)]))
"""


def test_no_global_openmp_state_is_written() -> None:
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    before, after, same_environment = run_json(GLOBAL, env={"OMP_NUM_THREADS": "4"})
    assert after == before
    assert any(info["user_api"] == "openmp" for info in before.values()), (
        "gdcore's OpenMP is not seen"
    )
    assert same_environment


FLOATING_POINT_MODE = """
import json, nets
import gdcore as gd, numpy as np

def denormals_live():
    tiny = np.full(64, np.finfo(np.float32).tiny, dtype=np.float32)
    double = np.full(64, np.finfo(np.float64).tiny)
    return bool(np.all(tiny / 4 > 0)) and bool(np.all(double / 4 > 0))

told = [denormals_live()]
for threads in (1, 3):
    gd.set_num_threads(threads)
    net = nets.network([200, 256, 5], ["tanh", "identity"], "float32")
    trainer = gd.Trainer(net, loss="mse", optimizer="adam")
    x, y = nets.inputs(256, 200), nets.targets("mse", 256, 5)
    trainer.fit(x, y, batch_size=256, progress=False)
    trainer.step(x, y)
    net.predict(x)
    gd.matmul(x, x.T)
    gd.SGD(lr=0.1).bind([np.ones(50)]).step([np.ones(50)])
    told.append(denormals_live())
    try:
        trainer.step(np.ones((3, 2)), np.ones((3, 5)))
    except ValueError:
        told.append(denormals_live())
print(json.dumps(told))
"""


def test_the_callers_floating_point_mode_is_restored() -> None:
    """Denormals are flushed inside; NumPy's own stay alive after every call, failed ones too."""
    assert run_json(FLOATING_POINT_MODE) == [True] * 5


def test_a_process_that_trained_ends_by_itself() -> None:
    code = """
import nets, gdcore as gd
net = nets.network([200, 256, 5], ["tanh", "identity"], "float32")
gd.Trainer(net, loss="mse", optimizer="adam", num_threads=3).step(
    nets.inputs(256, 200), nets.targets("mse", 256, 5))
print("end")
"""
    result = run_python(code)
    assert result.stdout == "end\n"
    assert result.stderr == ""


def test_support_digests_see_every_byte() -> None:
    state = {"a": np.zeros(3), "b": np.zeros((2, 2), np.float32)}
    same = {key: value.copy() for key, value in state.items()}
    assert digest(state) == digest(same)
    same["b"][1, 1] = np.nextafter(np.float32(0), np.float32(1))
    assert digest(state) != digest(same)
