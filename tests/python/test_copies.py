"""What can be copied, pickled and assigned, and what refuses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import pytest
from support import assert_same_bits, assert_same_state

import gdcore as gd

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda thing, p=protocol: pickle.loads(pickle.dumps(thing, p))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def trained(dtype: str) -> gd.Network:
    layers = [gd.Dense(5, gd.LeakyReLU(0.3), name="hidden"), gd.Dense(2, bias=False)]
    net = gd.Network(layers, input_size=3, dtype=dtype, seed=4)
    gd.Trainer(net, "mse", "sgd").step(nets.inputs(6, 3), nets.targets("mse", 6, 2))
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_network_is_the_same_and_on_its_own(way: str, dtype: str) -> None:
    net = trained(dtype)
    net.forward(nets.inputs(6, 3), training=True)
    before = net.state_dict()
    twin = COPIES[way](net)
    assert type(twin) is gd.Network
    for name in ("layers", "layer_names", "dtype", "seed", "input_size", "output_size"):
        assert getattr(twin, name) == getattr(net, name), name
    assert repr(twin) == repr(net)
    assert_same_state(twin.state_dict(), before)
    x, y = nets.inputs(6, 3, 1), nets.targets("mse", 6, 2, 1)
    assert_same_bits(twin.predict(x), net.predict(x), "prediction")
    with pytest.raises(RuntimeError, match="backward"):
        twin.gradients()
    gd.Trainer(twin, "mse", "adam").step(x, y)
    assert_same_state(net.state_dict(), before)
    assert not np.array_equal(twin.state_dict()["1.weight"], before["1.weight"])


class Labelled(gd.Network):
    def __init__(self, label: str) -> None:
        super().__init__([gd.Dense(2)], input_size=3)
        self.label = label


@pytest.mark.parametrize("way", ["copy", "deepcopy"])
def test_a_subclass_keeps_what_it_has(way: str) -> None:
    net = Labelled("mine")
    twin = COPIES[way](net)
    assert type(twin) is Labelled
    assert twin.label == "mine"
    assert_same_state(twin.state_dict(), net.state_dict())


@pytest.mark.parametrize("way", COPIES)
def test_what_has_a_state_in_cpp_refuses_clearly(way: str) -> None:
    trainer = gd.Trainer(trained("float64"), "mse", "adam")
    rule = gd.Adam().bind([np.ones(3)])
    for thing in (trainer, rule):
        kind = type(thing).__name__
        with pytest.raises(TypeError, match=f"^a {kind} cannot be pickled or copied"):
            COPIES[way](thing)


@pytest.mark.parametrize("way", COPIES)
def test_descriptions_and_histories_are_copied(way: str) -> None:
    history = gd.History()
    history.append({"loss": 1.5})
    for thing in (gd.Dense(3, "elu"), gd.Adam(lr=0.5), gd.Huber(delta=2), history):
        assert COPIES[way](thing) == thing


@pytest.mark.parametrize("name", ["layers", "layer_names", "dtype", "seed", "input_size"])
def test_what_a_network_is_cannot_be_assigned(name: str) -> None:
    net = trained("float64")
    with pytest.raises(AttributeError, match=name):
        setattr(net, name, getattr(net, name))


@pytest.mark.parametrize(
    "name",
    [
        "network", "loss", "optimizer", "matmul_precision", "clip_grad_norm", "seed", "steps",
        "epochs", "history",
    ],
)  # fmt: skip
def test_what_a_trainer_is_cannot_be_assigned(name: str) -> None:
    trainer = gd.Trainer(trained("float64"), "mse", "adam", clip_grad_norm=2)
    with pytest.raises(AttributeError, match=name):
        setattr(trainer, name, getattr(trainer, name))
    assert trainer.clip_grad_norm == 2.0


def test_arrays_of_a_subclass_are_updated_in_place(tmp_path: Any) -> None:
    """Such as memmap: a file of weights."""
    mapped = np.memmap(tmp_path / "weights", dtype=np.float64, mode="w+", shape=(3,))
    gd.SGD(lr=1.0).bind([mapped]).step([np.ones(3)])
    assert mapped.tolist() == [-1.0] * 3
