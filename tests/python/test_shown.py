"""What objects show of themselves: summaries, and the calls that make them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore import callbacks, metrics, schedules
from gdcore.activations import Activation
from gdcore.losses import Loss
from gdcore.metrics import Metric
from gdcore.optimizers import Optimizer


def network() -> gd.Network:
    layers = [gd.Dense(64, "relu", name="first"), gd.Dense(1000, bias=False), gd.Dense(3, "tanh")]
    return gd.Network(layers, input_size=30)


def test_a_summary_has_a_line_a_layer() -> None:
    net = network()
    lines = str(net.summary()).splitlines()
    rows = [line.split() for line in lines]
    assert rows[0] == ["layer", "kind", "output", "activation", "parameters", "bytes", "FLOPs"]
    assert rows[2] == ["input", "(N,", "30)"]
    assert rows[3] == ["first", "dense", "(N,", "64)", "relu", "1,984", "7,936", "3,904"]
    assert rows[4] == ["1", "dense", "(N,", "1,000)", "identity", "64,000", "256,000", "128,000"]
    assert rows[5] == ["2", "dense", "(N,", "3)", "tanh", "3,003", "12,012", "6,003"]
    total = sum(value.size for value in net.state_dict().values())
    assert rows[7] == ["total", "float32", f"{total:,}", f"{4 * total:,}", "137,907"]
    assert max(map(len, lines)) == len(lines[0])
    assert repr(net.summary()) == str(net.summary())
    assert isinstance(net.summary(), str)


def test_the_flops_of_a_summary_are_those_of_a_forward_pass() -> None:
    net = network()
    operations = gd.Trainer(net, "mse", "sgd").operations(1)
    forward = sum(each["flops"] for each in operations if each["phase"] == "forward")
    assert forward == int(str(net.summary()).split()[-1].replace(",", ""))


CALLS = [
    callbacks.EarlyStopping(),
    callbacks.EarlyStopping("val_auc", patience=2, min_delta=0.5, mode="max", restore_best=False),
    callbacks.Checkpoint("run.safetensors"),
    callbacks.Checkpoint("run-{epoch}.safetensors", every=3, monitor="val_loss", mode="min"),
    callbacks.Live("live.json"),
    callbacks.Callback(),
    metrics.TopK(3),
    schedules.Warmup(3, after=schedules.Cosine(5)),
    gd.Dense(3, gd.LeakyReLU(0.3), name="a", bias=False),
    *(member() for family in (Activation, Loss, Optimizer) for member in family.members.values()),
    *(member() for name, member in Metric.members.items() if name != "top_k"),
]


@pytest.mark.parametrize("thing", CALLS, ids=repr)
def test_objects_show_the_call_that_makes_them(thing: Any) -> None:
    space = {**vars(callbacks), **vars(metrics), **vars(schedules)}
    space |= {name: getattr(gd, name) for name in gd.__all__}
    if isinstance(thing, Metric):
        space |= vars(metrics)
    again = eval(repr(thing), space)
    assert type(again) is type(thing)
    assert repr(again) == repr(thing)
    if not isinstance(thing, callbacks.Callback):
        assert again == thing


def test_only_arguments_that_say_something_are_shown() -> None:
    assert repr(callbacks.EarlyStopping()) == "EarlyStopping()"
    assert repr(callbacks.EarlyStopping("loss", patience=9)) == "EarlyStopping('loss', patience=9)"
    assert repr(callbacks.Checkpoint("a")) == "Checkpoint('a')"


def test_tensorboard_shows_its_call(tmp_path: Any) -> None:
    pytest.importorskip("tensorboardX")
    shown = repr(callbacks.TensorBoard(tmp_path, every=3))
    assert shown == f"TensorBoard({str(tmp_path)!r}, every=3)"


def test_callbacks_of_ones_own_show_what_is_known() -> None:
    class Mine(callbacks.Callback):
        pass

    class Other(callbacks.Callback):
        def __init__(self, number: int) -> None:
            self.number = number

    assert repr(Mine()) == "Mine()"
    assert "Other object at" in repr(Other(3))


def test_no_public_object_shows_an_address() -> None:
    net = network()
    x = np.random.default_rng(0).normal(size=(8, 30))
    trainer = gd.Trainer(net, "mse", "adam")
    with gd.profile() as prof:
        history = trainer.fit(x, x[:, :3], epochs=1, progress=False)
    found = [net, trainer, history, prof, gd.range("a"), gd.show_config(), prof.table()]
    found += [gd.Adam().bind([np.zeros(3)]), gd.check_gradients(net, "mse", x, x[:, :3])]
    assert not [each for each in found if " at 0x" in repr(each)]
    assert repr(found[-2]) == f"{gd.Adam()!r}.bind([float64 arrays of (3,)])"
    assert all(inspect.getdoc(type(each)) for each in found)
