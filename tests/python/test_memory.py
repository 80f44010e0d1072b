"""No heap allocation in a step after the first, on any thread."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from support import run_json

SOURCE = Path(__file__).parent / "data" / "count_allocations.c"

STEPS = """
import ctypes, gc, json, sys
import gdcore as gd, nets, numpy as np

threads, dtype, case = int(sys.argv[1]), sys.argv[2], sys.argv[3]
counter = ctypes.CDLL(None)
counter.counting_stop.restype = ctypes.c_long
start, stop = counter.counting_start, counter.counting_stop

widths, batch, loss, rule, weighted = {
    "tabular": ([54, 256, 64, 7], 128, "cross_entropy", gd.Adam(lr=1e-3, amsgrad=True), False),
    "narrow": ([10, 32, 32, 4], 64, "mse", gd.SGD(lr=1e-3, momentum=0.9, nesterov=True), True),
    "online": ([30, 64, 1], 1, "bce_with_logits", gd.Adam(lr=1e-3), False),
    "ragged": ([7, 19, 3], 33, "huber", gd.SGD(lr=1e-3), True),
}[case]
net = nets.network(widths, ["relu"] * (len(widths) - 2) + ["identity"], dtype)
trainer = gd.Trainer(net, loss=loss, optimizer=rule, num_threads=threads)
# Contiguous and of the network's dtype; a smaller batch than the first needs nothing new either.
batches = []
for step in range(4):
    rows = batch if step < 3 else max(1, batch // 3)
    x = np.ascontiguousarray(nets.inputs(rows, widths[0], step), dtype)
    y = nets.targets(loss, rows, widths[-1], step)
    y = y if loss == "cross_entropy" else np.ascontiguousarray(y, dtype)
    batches.append((x, y, np.linspace(0.5, 1, rows).astype(dtype) if weighted else None))
step = trainer.step

def run(times):
    for _ in range(times):
        for x, y, weight in batches:
            step(x, y, weight)

run(5)
gc.collect()
gc.disable()
start()
nothing = stop()
start()
run(50)
in_steps = stop()
start()
kept = np.empty(4096)
in_numpy = stop()
start()
before = gd.Trainer(net, loss=loss, optimizer=rule, num_threads=threads)
in_gdcore = stop()
print(json.dumps([nothing, in_steps, in_numpy, in_gdcore]))
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("cc is not on the path, so the counter cannot be built")
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the counter stands in front of glibc's allocator, which is not here")
    library = tmp_path_factory.mktemp("counter") / "count_allocations.so"
    command = [compiler, "-O2", "-shared", "-fPIC", SOURCE, "-o", library]
    subprocess.run([str(part) for part in command], check=True)
    return library


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("case", ["tabular", "narrow", "online", "ragged"])
def test_a_step_allocates_nothing(counter: Path, case: str, threads: int, dtype: str) -> None:
    """200 steps between the two counts; NumPy and a new trainer show that the counter counts.

    Python's own objects of up to 512 bytes live in its arenas, not on the heap.
    """
    env = {"LD_PRELOAD": str(counter)}
    nothing, in_steps, in_numpy, in_gdcore = run_json(STEPS, str(threads), dtype, case, env=env)
    assert nothing == 0
    assert in_numpy > 0
    assert in_gdcore > 0
    assert in_steps == 0


TRACED = """
import gc, json, tracemalloc
import gdcore as gd, nets, numpy as np

net = nets.network([54, 256, 64, 7], ["relu", "relu", "identity"], "float32")
trainer = gd.Trainer(net, loss="cross_entropy", optimizer="adam", num_threads=2)
x = nets.inputs(128, 54).astype(np.float32)
y = nets.targets("cross_entropy", 128, 7)
step = trainer.step
i = before = kept = None  # names that are new make the module's dict grow
tracemalloc.start()
gc.collect()
gc.disable()
for _ in range(20):  # after the collection, which empties the interpreter's free lists
    last = step(x, y)
    before = tracemalloc.get_traced_memory()[0]  # the tuple it returns goes to a free list too
differences = []
for _ in range(3):
    before = tracemalloc.get_traced_memory()[0]
    for i in range(200):
        last = step(x, y)
    differences.append(tracemalloc.get_traced_memory()[0] - before)
kept = [None] * 200
before = tracemalloc.get_traced_memory()[0]
for i in range(200):
    kept[i] = step(x, y)
print(json.dumps([differences, tracemalloc.get_traced_memory()[0] - before]))
"""


def test_a_step_leaves_nothing_but_its_float() -> None:
    """tracemalloc sees Python's and NumPy's memory. A float takes 24 bytes, an int object (the
    loop's counter, and what the first reading returned) 28 or 32."""
    differences, kept = run_json(TRACED)
    assert all(abs(difference) <= 64 for difference in differences), differences
    assert abs(kept - 200 * 24) <= 64  # one or two come from the free list


BOUNDED = """
import json, resource
import gdcore as gd, numpy as np

def peak():  # kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

net = gd.Network([gd.Dense(4096, "relu"), gd.Dense(1)], input_size=4)
x = np.ones((100_000, 4), np.float32)
before = peak()
net.predict(x)
print(json.dumps((peak() - before) / 1024))
"""


def test_predict_needs_little_memory() -> None:
    """All hidden values at once would be 1,600 MB; a batch of a thousand rows has 16 MB."""
    assert run_json(BOUNDED) <= 200
