"""Ctrl-C and other signals: seen in long calls, and nothing is left over."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support import ROOT, guarded_run, run_json

# Each call would take far more CPU time than the process may have, so that what does not see the
# signal is ended. No clock is looked at.
LONG = """
import json, os, resource, signal, sys, threading, time
import gdcore as gd, numpy as np

resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
what, how = sys.argv[1:]
gd.set_num_threads(2)

def wide(*layers):
    return gd.Network([gd.Dense(size, "relu") for size in layers] + [gd.Dense(1)], input_size=1)

deep = wide(2048, 2048, 2048)
rows = np.linspace(-1, 1, 4_000_000, dtype=np.float32)[:, None]
trainer = gd.Trainer(deep, "mse", "sgd")
one = np.broadcast_to(np.float32(1), (6000, 1_000_000))
calls = {
    "predict": lambda: deep.predict(rows),
    "predict in large batches": lambda: deep.predict(rows[:2_000_000], batch_size=8192),
    "evaluate": lambda: trainer.evaluate(rows, rows),
    "evaluate row by row": lambda: trainer.evaluate(rows, rows, batch_size=1),
    "check_gradients": lambda: gd.check_gradients(wide(1000, 1000), "mse", rows[:200], rows[:200]),
    "matmul": lambda: gd.matmul(one[:, :400_000], one[:, :400_000], transpose_b=True),
    "deep matmul": lambda: gd.matmul(one, one, transpose_b=True),
    "flat matmul": lambda: gd.matmul(
        np.broadcast_to(np.float32(1), (8_000_000, 400_000)),
        np.broadcast_to(np.float32(1), (400_000, 3))),
    "float64 matmul": lambda: gd.matmul(
        np.broadcast_to(1.0, (6000, 200_000)), np.broadcast_to(1.0, (200_000, 6000))),
}

def send():
    begun = time.process_time()
    while time.process_time() < begun + 0.5:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

small = deep.predict(rows[:5])
threading.Thread(target=send, daemon=True).start()
seen = False
try:
    if how == "profiled":
        with gd.profile(events_per_thread=1024):
            calls[what]()
    else:
        calls[what]()
except KeyboardInterrupt:
    seen = True
with gd.profile(events_per_thread=1024):  # the recorder is off
    after = deep.predict(rows[:5])
print(json.dumps([seen, after.tobytes() == small.tobytes()]))
"""

needs_limits = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


@needs_limits
@pytest.mark.parametrize(
    "what",
    [
        "predict",
        "predict in large batches",
        "evaluate",
        "evaluate row by row",
        "check_gradients",
        "matmul",
        "deep matmul",
        "flat matmul",
        "float64 matmul",
    ],
)
def test_ctrl_c_is_seen_in_the_midst_of_a_long_call(what: str) -> None:
    assert run_json(LONG, what, "plain") == [True, True]


@needs_limits
@pytest.mark.parametrize("what", ["predict", "evaluate", "matmul"])
def test_ctrl_c_within_a_profile_ends_the_recording(what: str) -> None:
    assert run_json(LONG, what, "profiled") == [True, True]


HANDLED = """
import json, os, signal, sys, threading
import gdcore as gd, numpy as np

net = gd.Network([gd.Dense(1024, "relu"), gd.Dense(1024), gd.Dense(3)], input_size=20, seed=0)
trainer = gd.Trainer(net, "cross_entropy", "sgd", num_threads=2)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(20_000, 20)).astype(np.float32), rng.integers(0, 3, 20_000)
a = rng.normal(size=(2000, 2000)).astype(np.float32)
weights = rng.uniform(size=len(x))
calls = [
    lambda: net.predict(x).tobytes(),
    lambda: str(trainer.evaluate(x, y, weights)),
    lambda: gd.matmul(a, a).tobytes(),
]
quiet = [call() for call in calls]
handled = []
signal.signal(signal.SIGALRM, lambda *_: handled.append(net.predict(x[:2]).tobytes()))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
loud = [call() for call in calls]
signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps([quiet == loud, len(handled) > 0, len(set(handled))]))
"""


@needs_limits
def test_a_handler_that_does_not_raise_changes_no_bit() -> None:
    """It may use the very network; pieces are cut by the clock, and no bit hangs on them."""
    assert run_json(HANDLED) == [True, True, 1]


def soak(tool: str, count: int) -> None:
    result = guarded_run(
        [sys.executable, ROOT / "tools" / tool, "--count", str(count)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.rstrip().endswith("0 problems"), result.stdout


def test_interrupts_at_random_moments_leave_nothing_over() -> None:
    soak("interrupts.py", 20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forks_at_random_moments_find_all_whole() -> None:
    soak("forks.py", 20)


# A handler that raises at each line of `save` or `load` in turn, called by the tracer.
SAVE = """
import json, os, signal, sys, tempfile
from pathlib import Path
import gdcore as gd

net = gd.Network([gd.Dense(3)], input_size=2, seed=0)
path = Path(tempfile.mkdtemp()) / "model.safetensors"
net.save(path)
whole = path.read_bytes()
other = gd.Network([gd.Dense(3)], input_size=2, seed=1)
signal.signal(signal.SIGINT, signal.default_int_handler)

def trace(frame, event, argument):
    global left
    # Not where a frame is left: a signal's handler never runs there.
    name = os.path.basename(frame.f_code.co_filename)
    ours = name in ("files.py", "_signals.py", "_stored.py", "contextlib.py")
    if ours and event in ("call", "line"):
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGINT)
    return trace

problems, number, came = [], 0, 0
files = len(os.listdir("/proc/self/fd"))
while True:
    number += 1
    left = number
    sys.settrace(trace)
    try:
        other.save(path) if sys.argv[1] == "save" else gd.Network.load(path)
    except KeyboardInterrupt:
        came += 1
    finally:
        sys.settrace(None)
    if left > 0:
        break
    if len(os.listdir("/proc/self/fd")) != files:
        problems.append(f"{number}: a file is open")
    if [each.name for each in path.parent.iterdir()] != [path.name]:
        problems.append(f"{number}: {list(path.parent.iterdir())}")
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        problems.append(f"{number}: the handler is another")
    gd.Network.load(path)
print(json.dumps([problems, came > 20]))
"""


@needs_limits
@pytest.mark.parametrize("what", ["save", "load"])
def test_ctrl_c_within_save_and_load_leaves_no_file(what: str) -> None:
    assert run_json(SAVE, what) == [[], True]


PROFILE = """
import json, signal, sys
import gdcore as gd

signal.signal(signal.SIGINT, signal.default_int_handler)

def trace(frame, event, argument):
    global left
    # Not where a frame is left: a signal's handler never runs there.
    ours = frame.f_code.co_filename.endswith(("profile.py", "recording.py", "system.py"))
    if ours and event in ("call", "line"):
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGINT)
    return trace

problems, number, came = [], 0, 0
while True:
    number += 1
    left = number
    kept = []
    sys.settrace(trace)
    try:
        kept.append(gd.profile(events_per_thread=1024))
        with kept[0]:
            pass
    except KeyboardInterrupt:
        came += 1
    finally:
        sys.settrace(None)
    if left > 0:
        break
    try:
        with gd.profile(events_per_thread=1024):
            pass
    except RuntimeError as error:
        problems.append(f"{number}: {error}")
        break
print(json.dumps([problems, came > 20]))
"""


def test_ctrl_c_within_a_profile_never_leaves_it_on() -> None:
    assert run_json(PROFILE) == [[], True]


def test_handlers_run_after_save_and_not_within(tmp_path: Path) -> None:
    code = """
import json, os, signal, sys
import gdcore as gd
net = gd.Network([gd.Dense(3)], input_size=2, seed=0)
path, seen = sys.argv[1], []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(os.listdir(os.path.dirname(path))))
fsync = os.fsync
def raising(descriptor):
    signal.raise_signal(signal.SIGUSR1)
    fsync(descriptor)
os.fsync = raising
net.save(path)
print(json.dumps(seen))
"""
    name = str(tmp_path / "model")
    assert run_json(code, name) == [["model"], ["model"]]
