"""`Trainer.memory_plan` against what a process really takes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support import run_json

import gdcore as gd

MEASURE = """
import json, sys
import numpy as np
import gdcore as gd

case = json.loads(sys.argv[1])

def resident():
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))

def trainer(widths):
    layers = [gd.Dense(width, "relu") for width in widths[1:-1]] + [gd.Dense(widths[-1])]
    net = gd.Network(layers, input_size=widths[0])
    return gd.Trainer(net, case["loss"], case["rule"], num_threads=case["threads"])

x = np.ones((case["rows"], case["widths"][0]), np.float32)
x[:, 0] = np.linspace(-1, 1, len(x))
y = np.zeros(len(x), np.int64) if case["loss"] == "cross_entropy" else x[:, :1].copy()
# Libraries, threads and the first pages of everything are there before it is measured.
small = trainer([case["widths"][0], 4, case["widths"][-1]])
small.fit(x[:512], y[:512], batch_size=256, progress=False)
del small
before = resident()
one = trainer(case["widths"])
one.fit(x, y, batch_size=case["batch_size"], progress=False)
plan = one.memory_plan(case["batch_size"], len(x))
print(json.dumps({"taken": resident() - before, "plan": plan, "data": x.nbytes + y.nbytes}))
"""

CASES: dict[str, dict[str, Any]] = {
    "wide, Adam": {"widths": [300, 2000, 2000, 10], "rows": 4000, "batch_size": 512, "threads": 2},
    "wide, SGD": {"widths": [300, 2000, 2000, 10], "rows": 999, "batch_size": 64, "rule": "sgd"},
    "full batch": {"widths": [40, 256, 256, 1], "rows": 50_000, "batch_size": None, "loss": "mse"},
}


@pytest.mark.parametrize("name", CASES)
def test_fit_takes_what_the_plan_says(name: str) -> None:
    case = {"rule": "adam", "loss": "cross_entropy", "threads": 1} | CASES[name]
    told = run_json(MEASURE, json.dumps(case))
    total = told["plan"]["total"]
    # The small trainer of before has warmed up to 8 MB of it.
    assert told["taken"] <= max(1.05 * total, total + 8e6), told
    assert told["taken"] >= total - 8e6 - 0.05 * total, told


def trainer(loss: str | None = "mse", rule: str = "adam") -> gd.Trainer:
    net = gd.Network([gd.Dense(30), gd.Dense(1)], input_size=20)
    return gd.Trainer(net, loss, rule, num_threads=1)


def test_the_parts_make_the_total() -> None:
    plan = trainer().memory_plan(32, 1000)
    assert plan["total"] == sum(value for key, value in plan.items() if key != "total")
    # Buffers are padded to cache lines, no more.
    parameters = 4 * (30 * 20 + 30 + 30 + 1)
    assert parameters <= plan["parameters"] == plan["gradients"] <= parameters + 4 * 64
    assert plan["optimizer_state"] == 2 * plan["parameters"]
    assert plan["snapshot"] == 3 * plan["parameters"]
    assert plan["order"] == 8000
    assert plan["batch"] >= 4 * 32 * (20 + 1 + 1)


def test_what_each_part_depends_on() -> None:
    assert trainer(rule="sgd").memory_plan(32)["optimizer_state"] == 0
    assert trainer().memory_plan(32, shuffle=False)["batch"] == 0
    assert trainer().memory_plan(32, 1000, shuffle=False)["order"] == 0
    full = trainer().memory_plan(None, 1000)
    assert (full["batch"], full["order"]) == (0, 0)
    assert trainer().memory_plan(5000)["activations"] == trainer().memory_plan(10**9)["activations"]
    own = trainer(loss=None).memory_plan(5000)
    assert own["snapshot"] == 0
    assert own["activations"] > trainer().memory_plan(5000)["activations"]
    assert own["batch"] == 4 * 5000 * 20


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="samples must be given where batch_size is None"):
        trainer().memory_plan(None)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        trainer().memory_plan(0)
    with pytest.raises(ValueError, match="samples must be at least 1, got -1"):
        trainer().memory_plan(1, -1)
    with pytest.raises(TypeError, match="batch_size must be an integer"):
        trainer().memory_plan(2.0)  # type: ignore[arg-type]


# ---- numbers too large to count ----


@pytest.mark.parametrize("batch_size", [2**30, 2**53 + 1, 2**57, 2**60, 2**62, 2**63 - 1])
@pytest.mark.parametrize("ask", ["operations", "flops_per_step", "memory_plan", "own memory_plan"])
@pytest.mark.parametrize("widths", [(20, 30, 1), (1, 1), (4096, 512)])
def test_no_count_overflows(ask: str, batch_size: int, widths: tuple[int, ...]) -> None:
    layers = [gd.Dense(width) for width in widths[1:]]
    net = gd.Network(layers, input_size=widths[0])
    one = gd.Trainer(net, None if ask.startswith("own") else "mse", "adam", num_threads=2)
    told = getattr(one, ask.removeprefix("own "))
    most = 2.0**62 / sum(widths) ** 2 / 100  # from somewhere above it cannot be counted any more
    if batch_size > 2**53 or (batch_size > most and ask != "memory_plan"):
        with pytest.raises(ValueError, match=r"^batch_size must be "):
            told(batch_size)
        return
    found = told(batch_size)
    first = told(1024)
    ratio = batch_size / 1024
    if ask == "operations":
        for large, small in zip(found, first, strict=True):
            assert small["flops"] <= large["flops"] <= ratio * small["flops"]
            assert small["bytes"] <= large["bytes"] <= ratio * small["bytes"]
    elif ask == "flops_per_step":
        assert first <= found <= ratio * first
    else:
        for key, size in first.items():
            assert size <= found[key] <= max(size, ratio * size)


def test_a_batch_of_more_than_there_are_is_counted_as_all() -> None:
    assert trainer().memory_plan(2**63 - 1, 100) == trainer().memory_plan(100, 100)
    with pytest.raises(ValueError, match="samples must be at most"):
        trainer().memory_plan(None, 2**60)


def test_huge_batches_and_epochs_are_no_more_than_there_is(capsys: Any) -> None:
    class Stops(gd.callbacks.Callback):
        def on_epoch_end(self, trainer: gd.Trainer, epoch: int, values: Any) -> None:
            trainer.stop()

    x, y = np.ones((50, 20)), np.ones(50)
    one, other = trainer(), trainer()
    largest = 2**63 - 1
    for progress in (False, True):
        for epochs in ({"epochs": largest}, {"until_epoch": largest}):
            one.fit(x, y, batch_size=largest, callbacks=[Stops()], progress=progress, **epochs)
            other.fit(x, y, epochs=1, batch_size=None, progress=False)
    assert one.evaluate(x, y, batch_size=largest) == other.evaluate(x, y)
    assert np.array_equal(one.network.predict(x, batch_size=largest), other.network.predict(x))
    assert one.epochs == 4
