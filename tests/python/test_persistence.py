"""Files of networks and trainers: what comes back, and what goes on from them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from models import (
    DTYPES,
    SCHEDULES,
    X,
    Y,
    assert_same_network,
    assert_same_trainer,
    comes_back,
    fit,
    pack,
    rule,
    saved,
    small,
    trained,
    unpacked,
)
from rule_options import CASES, IDS
from support import assert_same_state, run_python

import gdcore as gd
from gdcore import files, schedules


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# ---- round trips ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_a_network_comes_back(name: str, dtype: str, path: Path) -> None:
    net = nets.network([5, 6, 3], ["tanh", name], dtype, seed=2**63 - 1)
    whole = saved(net, path)
    loaded = gd.Network.load(path)
    assert_same_network(loaded, net)
    assert saved(loaded, path) == whole


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_of_many_options_comes_back(dtype: str, path: Path) -> None:
    net = small(dtype)
    net.save(path)
    assert_same_network(gd.Network.load(path), net)
    arrays = safetensors.numpy.load_file(path)
    assert_same_state(dict(sorted(arrays.items())), dict(sorted(net.state_dict().items())))
    described = files.read_description(path)
    assert described["kind"] == "network"
    assert described["extra"] == {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_a_trainer_of_any_optimizer_comes_back(
    name: str, options: dict[str, Any], dtype: str, path: Path
) -> None:
    trainer = gd.Trainer(small(dtype), "mse", rule(name, options))
    comes_back(trainer, path)  # of no step yet
    comes_back(trainer, path)


@pytest.mark.parametrize("loss", nets.LOSSES)
def test_a_trainer_of_any_loss_comes_back(loss: str, path: Path) -> None:
    trainer = gd.Trainer(small("float32"), nets.loss(loss), "adam")
    y = nets.targets(loss, 20, 2)
    trainer.fit(X, y, progress=False)
    trainer.save(path)
    loaded = gd.Trainer.load(path)
    assert_same_trainer(loaded, trainer)
    assert loaded.step(X, y) == trainer.step(X, y)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_trainer_of_any_schedule_comes_back(schedule: str, path: Path) -> None:
    comes_back(trained(schedule=SCHEDULES[schedule]), path)


@pytest.mark.parametrize("lr", [0.0, 0.1 + 0.2, 1e-300])
@pytest.mark.parametrize("schedule", ["none", "exponential", "cosine"])
def test_a_rate_that_was_set_by_hand_comes_back(schedule: str, lr: float, path: Path) -> None:
    trainer = trained(schedule=SCHEDULES[schedule])
    trainer.lr = lr
    comes_back(trainer, path)


def test_the_other_arguments_come_back(path: Path) -> None:
    net = small("float32")
    trainer = gd.Trainer(
        net, "mse", "sgd", matmul_precision="high", clip_grad_norm=1 / 3, seed=12, num_threads=2
    )
    comes_back(fit(trainer, 1), path, num_threads=1)
    description = files.read_description(path)
    assert description["kind"] == "trainer"
    assert "threads" not in json.dumps(description)


def test_a_trainer_without_a_loss_comes_back(path: Path) -> None:
    trainer = gd.Trainer(small(), None, gd.Adam())
    for _ in range(2):
        trainer.save(path)
        loaded = gd.Trainer.load(path)
        assert_same_trainer(loaded, trainer)
        for each in (trainer, loaded):
            each.network.backward(each.network.forward(X, training=True))
            each.apply_gradients()
        assert_same_trainer(loaded, trainer)


# ---- going on ----


def several() -> dict[str, gd.Trainer]:
    """Trainers in all sorts of positions, by a name to save them under."""
    found = {
        f"rule {i}": gd.Trainer(small(DTYPES[i % 2]), "mse", rule(*case))
        for i, case in enumerate(CASES)
    }
    for name, schedule in SCHEDULES.items():
        found[name] = gd.Trainer(small(), "mse", gd.SGD(0.01), schedule=schedule, clip_grad_norm=1)
        by_hand = gd.Trainer(small(), "mae", "rmsprop", schedule=schedule, seed=3)
        by_hand.lr = 0.004
        found[f"{name} by hand"] = by_hand
    online = found["online"] = gd.Trainer(small("float32"), "mse", "adam")
    for i in range(5):
        online.learn_one(X[i], Y[i])
    return found


def test_another_process_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Shuffled, with weights: 10 epochs of one run against 5, a file, and 5 elsewhere."""
    halves = several()
    for name, trainer in several().items():
        fit(trainer, 10).save(tmp_path / f"{name}.whole")
        fit(halves[name], 5).save(tmp_path / f"{name}.half")
    code = """
import sys
from pathlib import Path
import models
import gdcore as gd
for half in Path(sys.argv[1]).glob("*.half"):
    trainer = gd.Trainer.load(half)
    assert trainer.epochs == 5
    models.fit(trainer, 10).save(half.with_suffix(".resumed"))
"""
    run_python(code, str(tmp_path))
    wrong = [
        name
        for name in halves
        if (tmp_path / f"{name}.whole").read_bytes() != (tmp_path / f"{name}.resumed").read_bytes()
    ]
    assert wrong == []


def test_equal_models_are_equal_files(path: Path) -> None:
    extra = {"b": [1, {"y": 2, "x": 1}], "a": None}
    backwards = {"a": None, "b": [1, {"x": 1, "y": 2}]}
    whole = saved(trained(), path, extra=extra)
    assert saved(trained(), path.with_name("another"), extra=backwards) == whole
    assert saved(small(), path) == saved(small(), path)
    assert saved(small(seed=5), path) != saved(small(), path)
    assert saved(trained(gd.Adam(lr=0.0)), path) != saved(trained(gd.Adam(lr=0)), path, extra=extra)


@pytest.mark.parametrize("per", ["epoch", "step"])
def test_a_function_as_schedule_is_given_anew(per: str, path: Path) -> None:
    def rate(t: int) -> float:
        return 0.1 / (1 + t)

    trainer = trained("sgd", schedule=schedules.Function(rate, per=per))
    whole = saved(trainer, path)
    with pytest.raises(ValueError, match=r"^schedule must be given: .*model.safetensors"):
        gd.Trainer.load(path)
    loaded = gd.Trainer.load(path, schedule=schedules.Function(rate, per=per))
    assert_same_trainer(loaded, trainer)
    assert saved(loaded, path) == whole
    assert_same_trainer(fit(loaded, 4), fit(trainer, 4))
    assert_same_network(gd.Network.load(path), gd.Trainer.load(path, schedule=rate).network)


def test_another_schedule_takes_the_place_of_the_one_saved(path: Path) -> None:
    trained(gd.SGD(lr=0.5), schedule=schedules.Exponential(0.5)).save(path)
    loaded = gd.Trainer.load(path, schedule=lambda epoch: 10.0 + epoch)
    assert loaded.lr == 12.0
    assert gd.Trainer.load(path, schedule=schedules.Constant()).lr == 0.5


def test_a_given_network_takes_the_parameters(path: Path) -> None:
    trainer = trained()
    trainer.save(path)
    net = small()
    loaded = gd.Trainer.load(path, network=net)
    assert loaded.network is net
    assert_same_trainer(loaded, trainer)
    assert_same_trainer(fit(loaded, 4), fit(trainer, 4))


@pytest.mark.parametrize(
    "other",
    [
        small("float32"),
        small(seed=5),
        nets.network([3, 4, 3, 2], ["leaky_relu", "softplus", "identity"], seed=4),
        gd.Network([*small().layers[:2], gd.Dense(3)], input_size=3, dtype="float64", seed=4),
    ],
)
def test_another_network_is_refused_and_keeps_its_parameters(other: Any, path: Path) -> None:
    trained().save(path)
    before = other.state_dict()
    with pytest.raises(ValueError, match=r"^network must be the one that .*model.safetensors bel"):
        gd.Trainer.load(path, network=other)
    assert_same_state(other.state_dict(), before)


def test_a_given_network_is_untouched_where_the_file_is_damaged(path: Path) -> None:
    trained().save(path)
    arrays, description = unpacked(path)
    del arrays["optimizer.1.2.bias"]
    pack(path, arrays, description)
    net = small()
    with pytest.raises(ValueError, match=r"damaged.*'optimizer\.1\.2\.bias' is missing"):
        gd.Trainer.load(path, network=net)
    assert_same_state(net.state_dict(), small().state_dict())


# ---- extra ----

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(extra=st.dictionaries(st.text(), JSON, max_size=4) | st.lists(JSON, max_size=4))
def test_extra_comes_back(extra: Any, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "extra"
    small().save(path, extra=extra)
    # repr tells 1, 1.0 and True apart, 0.0 and -0.0, and each float from the next.
    found = files.read_description(path)["extra"]
    assert json.dumps(found, sort_keys=True) == json.dumps(extra, sort_keys=True)
    assert found == extra
    gd.Network.load(path)


def test_a_tuple_in_extra_is_told_with_its_place(path: Path) -> None:
    with pytest.raises(ValueError, match=r"extra\['a'\]\[1\] is a tuple, which would come back"):
        small().save(path, extra={"a": [1, (2, 3)]})


def circle() -> dict[str, Any]:
    around: dict[str, Any] = {}
    around["itself"] = [around]
    return around


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ({"a": np.nan}, ValueError),
        ({"a": [{"b": -np.inf}]}, ValueError),
        ({"a": {1, 2}}, ValueError),
        ({"a": b"bytes"}, ValueError),
        ({"a": 1j}, ValueError),
        ({"a": np.ones(2)}, ValueError),
        ({"a": np.float32(1)}, ValueError),
        ({1: "a"}, ValueError),
        ({None: 1}, ValueError),
        ({"a": [({2.5: 1},)]}, ValueError),
        ({1: "a", "1": "b"}, ValueError),
        (circle(), ValueError),
        ({"a": deep()}, ValueError),
        ({"a": [1, (2, 3)]}, ValueError),
        ([1, {"b": ()}], ValueError),
        ([float("nan")], ValueError),
        ((1, 2), TypeError),
        ("a", TypeError),
        (3, TypeError),
    ],
)
@pytest.mark.parametrize("thing", [small, trained], ids=["network", "trainer"])
def test_extra_that_no_file_can_hold(
    thing: Callable[[], Any], extra: Any, error: type[Exception], path: Path
) -> None:
    whole = saved(thing(), path, extra={"old": 1})
    with pytest.raises(error, match=r"^extra must "):
        thing().save(path, extra=extra)
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


def test_extra_that_no_reader_would_take(path: Path) -> None:
    """safetensors reads no header above 100 MB."""
    whole = saved(small(), path)
    with pytest.raises(ValueError, match=r"model\.safetensors would have a description above"):
        small().save(path, extra={"a": "x" * 100_000_000})
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


def test_a_file_written_while_another_thread_trains_is_of_one_moment(tmp_path: Path) -> None:
    """Each is what a run that nothing disturbed was at that step."""
    trainer, alone = (gd.Trainer(small(), "huber", "adam", num_threads=1) for _ in range(2))
    stop = threading.Event()

    def train() -> None:
        while not stop.is_set():
            trainer.fit(X, Y, batch_size=1, shuffle=False, progress=False)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for number in range(10):
            trainer.save(tmp_path / f"{number}")
    finally:
        stop.set()
        thread.join()
    for number in range(10):
        loaded = gd.Trainer.load(tmp_path / f"{number}")
        for step in range(alone.steps, loaded.steps):
            at = slice(step % len(X), step % len(X) + 1)
            alone.step(X[at], Y[at])
        assert_same_state(loaded.network.state_dict(), alone.network.state_dict())
        for state, other in zip(loaded._native.copy()[2], alone._native.copy()[2]):
            assert_same_state(state, other)
    assert trainer.steps >= loaded.steps > 0
