"""Weights of Keras models, as lists and as files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import INPUTS, X, close, randomized

import gdcore as gd
from gdcore import export

SHAPES = [
    (), (5,), (5,), (5, 4), (4,), (4,), (4,), (4,), (4,), (4,), (1,), (4,), (4,), (4,), (4, 3),
]  # fmt: skip


def network(seed: int = 0) -> gd.Network:
    """Of each kind that both have and that keeps something, with Keras's eps."""
    layers = [
        gd.Standardize([0.5] * INPUTS, [2.0] * INPUTS),
        gd.Dense(4, "relu"),
        gd.BatchNorm(eps=1e-3),
        gd.Dropout(0.5),
        gd.PReLU(shared=False),
        gd.PReLU(),
        gd.LayerNorm(eps=1e-3),
        gd.RMSNorm(eps=1e-6),
        gd.Dense(3, bias=False),
    ]
    return randomized(gd.Network(layers, input_size=INPUTS, seed=seed), seed + 2)


def with_codes(seed: int = 0) -> gd.Network:
    x, c = gd.Input(3, name="numbers"), gd.Input(categories=(4, 7), name="codes")
    h = gd.Concat()(gd.Dense(5, "tanh")(x), gd.Embedding(2)(c))
    h = gd.Residual([gd.BatchNorm(affine=False), gd.Dense(9)])(h)
    heads = {"price": gd.Dense(1)(h), "kind": gd.Dense(4)(h)}
    return randomized(gd.Network(inputs=[x, c], outputs=heads, seed=seed), seed + 2)


def test_they_stand_as_keras_has_them() -> None:
    net = network()
    weights, state = export.to_keras_weights(net), net.state_dict()
    assert sorted(each.shape for each in weights) == sorted(SHAPES)
    order = [weights[i] for i in (0, 3, 4, 5, 6, 7, 8)]
    keys = ("0.mean", "1.weight", "1.bias", "2.weight", "2.bias", "2.running_mean", "2.running_var")
    for array, key in zip(order, keys):
        wanted = state[key].T if key == "1.weight" else state[key]
        np.testing.assert_array_equal(array, wanted)
    np.testing.assert_allclose(weights[1], state["0.scale"] ** 2)  # a variance
    weights[3][:] = 0  # copies
    np.testing.assert_array_equal(net.state_dict()["1.weight"], state["1.weight"])


@pytest.mark.parametrize("make", [network, with_codes])
def test_they_go_both_ways(make: Any) -> None:
    net, other = make(), make(5)
    export.from_keras_weights(other, export.to_keras_weights(net))
    for key, wanted in net.state_dict().items():
        np.testing.assert_allclose(other.state_dict()[key], wanted, rtol=1e-6)


GROUPS = {
    "normalization": (0, 3), "dense": (3, 5), "batch_normalization": (5, 9), "p_re_lu": (9, 10),
    "p_re_lu_1": (10, 11), "layer_normalization": (11, 13), "rms_normalization": (13, 14),
    "dense_1": (14, 15),
}  # fmt: skip


def saved(path: Path, weights: list[Any], groups: dict[str, tuple[int, int]] = GROUPS) -> Path:
    """A file as Keras 3 writes it: a group a layer, by its class and a number."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    inner = path if path.suffix == ".h5" else path.with_suffix(".weights.h5")
    with h5py.File(inner, "w") as file:
        for name, (begin, end) in {**groups, "dropout": (0, 0)}.items():
            own = file.create_group(f"layers/{name}/vars")
            for place, array in enumerate(weights[begin:end]):
                own[str(place)] = array
    if path != inner:
        with zipfile.ZipFile(path, "w") as whole:
            whole.writestr("config.json", json.dumps({}))
            whole.write(inner, "model.weights.h5")
    return path


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_files_are_read(name: str, tmp_path: Path) -> None:
    net, other = network(), network(5)
    export.from_keras_weights(other, saved(tmp_path / name, export.to_keras_weights(net)))
    np.testing.assert_allclose(other.predict(X), net.predict(X), atol=1e-6)


def test_files_that_are_wrong_change_nothing(tmp_path: Path) -> None:
    weights, net = export.to_keras_weights(network()), network(5)
    before = net.state_dict()
    more = {**GROUPS, "conv2d": (0, 1)}
    fewer = {name: ends for name, ends in GROUPS.items() if name != "dense_1"}
    damaged = tmp_path / "d.weights.h5"
    damaged.write_bytes(b"no")
    no_zip = tmp_path / "d.keras"
    no_zip.write_bytes(b"no")
    for source, kind, words in (
        (saved(tmp_path / "a.weights.h5", weights, more), ValueError, "arrays of 'conv2d' that"),
        (saved(tmp_path / "b.weights.h5", weights, fewer), ValueError, "layer '8', in 'dense_1'"),
        (damaged, ValueError, "damaged, or no file of weights"),
        (no_zip, ValueError, "no model that Keras 3 saved"),
        (tmp_path / "e.h5", ValueError, r"must be a \.keras or a \.weights\.h5 file"),
        (tmp_path / "none.keras", FileNotFoundError, "none"),
        (tmp_path / "none.weights.h5", FileNotFoundError, "none"),
    ):
        with pytest.raises(kind, match=words):
            export.from_keras_weights(net, source)
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def changed(at: int, value: Any) -> list[Any]:
    weights = export.to_keras_weights(network())
    weights[at] = value
    return weights


@pytest.mark.parametrize(
    ("weights", "kind", "words"),
    [
        (3, TypeError, "weights must be a list of arrays.*got int"),
        ([], ValueError, r"weights must be 15 arrays \(mean of 0, .*kernel of 8\), got 0"),
        (changed(3, np.ones((4, 5))), ValueError, r"weights\[3\], kernel of layer '1', .*\(5, 4\)"),
        (changed(4, np.array(["a"] * 4)), TypeError, r"weights\[4\].*real numbers, got <U1"),
        (
            changed(1, np.zeros(5)),
            ValueError,
            r"weights\[1\], variance of layer '0', must be above 0, got 0",
        ),
        (changed(4, np.full(4, np.nan)), ValueError, "finite"),
    ],
)
def test_arrays_that_are_wrong_change_nothing(
    weights: Any, kind: type[Exception], words: str
) -> None:
    net = network(5)
    before = net.state_dict()
    with pytest.raises(kind, match=words):
        export.from_keras_weights(net, weights)
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_what_has_no_equal_is_named() -> None:
    net = gd.Network([gd.Dense(3), gd.Scale(name="by")], input_size=2)
    with pytest.raises(ValueError, match=r"layer 'by' \(scale\) cannot go to Keras"):
        export.to_keras_weights(net)
    net = gd.Network([gd.Dense(3, weight_norm=True)], input_size=2)
    with pytest.raises(ValueError, match=r"layer '0' \(weight_norm_dense\) cannot go to Keras"):
        export.from_keras_weights(net, [])
    net = gd.Network([gd.Dense(3)], input_size=2, parameters=[gd.Parameter("spread")])
    with pytest.raises(ValueError, match="parameter 'spread' cannot go to Keras"):
        export.to_keras_weights(net)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch below Keras
def test_keras_makes_the_same_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PyTorch below; it takes some seconds to load."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    kind = keras.layers
    model = keras.Sequential(
        [
            keras.Input((INPUTS,)),
            kind.Normalization(),
            kind.Dense(4, activation="relu"),
            kind.BatchNormalization(),
            kind.Dropout(0.5),
            kind.PReLU(),
            kind.PReLU(shared_axes=[1]),
            kind.LayerNormalization(),
            kind.RMSNormalization(),
            kind.Dense(3, use_bias=False),
        ]
    )
    net, other, x = network(), network(5), X.astype(np.float32)
    model.set_weights(export.to_keras_weights(net))
    model.layers[0].finalize_state()
    found = np.asarray(model.predict(x, verbose=0))
    np.testing.assert_allclose(found, net.predict(x), atol=2e-6)
    for name in ("m.keras", "m.weights.h5"):
        (model.save if name == "m.keras" else model.save_weights)(tmp_path / name)
        export.from_keras_weights(other, tmp_path / name)
        close(other.predict(x), net.predict(x), "float32", name)
    export.from_keras_weights(other, model.get_weights())
    close(other.predict(x), net.predict(x), "float32", "get_weights")
    first = net.state_dict()["1.weight"]
    np.testing.assert_array_equal(model.layers[1].get_weights()[0], first.T)
