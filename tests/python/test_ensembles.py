"""Several networks as one model."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from models import pack, unpacked
from support import assert_same_bits, assert_same_state

import gdcore as gd
from gdcore.files import read_description

X = nets.inputs(30, 5)


def network(seed: int = 0, outputs: int = 1, last: str = "identity", **options: Any) -> gd.Network:
    units = options.pop("units", 6)
    layers = [gd.Dense(units, "relu"), gd.Dense(outputs, last)]
    return gd.Network(layers, input_size=5, seed=seed, **options)


def joined(seed: int) -> gd.Network:
    numbers, codes = gd.Input(4, name="numbers"), gd.Input(categories=(3,), name="codes")
    h = gd.Dense(8, "relu")(gd.Concat()(numbers, gd.Embedding(2)(codes)))
    outputs = {"price": gd.Dense(1)(h), "kind": gd.Dense(3)(h)}
    return gd.Network(inputs=[numbers, codes], outputs=outputs, seed=seed)


def mean(arrays: list[Any], weights: Any, dtype: Any) -> Any:
    total = np.zeros(arrays[0].shape)
    for each, weight in zip(arrays, weights):
        total = total + weight * each.astype(np.float64)
    return (total / sum(weights)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights", [None, [1, 0.5, 0]])
def test_predictions_are_the_mean(dtype: str, weights: Any) -> None:
    several = [network(seed, 2, dtype=dtype, units=4 + seed) for seed in range(3)]
    model = gd.Ensemble(several, weights)
    expected = mean([net.predict(X) for net in several], weights or [1, 1, 1], dtype)
    assert_same_bits(model.predict(X), expected)
    assert_same_bits(model.predict(X, batch_size=7), expected)
    assert model.networks == tuple(several)
    assert model.weights == tuple(map(float, weights or (1, 1, 1)))
    assert len(model) == 3
    assert (model.input_size, model.output_size, model.dtype) == (5, 2, np.dtype(dtype))
    assert model.num_parameters == sum(net.num_parameters for net in several)


@pytest.mark.parametrize(
    ("outputs", "last", "task"),
    [
        (1, "identity", None),
        (3, "identity", None),
        (3, "identity", "binary"),
        (1, "sigmoid", None),
        (3, "softmax", None),
    ],
)
def test_probabilities_are_the_mean_of_probabilities(outputs: int, last: str, task: Any) -> None:
    several = [network(seed, outputs, last, dtype="float64") for seed in range(4)]
    weights = [1, 2, 3, 4]
    model = gd.Ensemble(several, weights)
    shares = mean([net.predict_proba(X, task=task) for net in several], weights, "float64")
    assert_same_bits(model.predict_proba(X, task=task), shares)
    if task == "binary":
        classes = (shares > 0.5).astype(np.int64)
    else:
        classes = (shares[:, 0] > 0.5) if outputs == 1 else shares.argmax(axis=1)
    assert_same_bits(model.predict_classes(X, task=task), np.asarray(classes, np.int64))
    of_shares = gd.Ensemble(several, weights, "probabilities")
    if task is None:
        assert_same_bits(of_shares.predict(X), shares)
    of_outputs = gd.Ensemble(several, weights, "outputs")
    logits = of_outputs.predict(X)
    assert_same_bits(logits, mean([net.predict(X) for net in several], weights, "float64"))
    if last == "identity":
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True)
        if outputs == 1 or task == "binary":
            p = 1 / (1 + np.exp(-logits))
        np.testing.assert_allclose(of_outputs.predict_proba(X, task=task), p, rtol=1e-12)
        some = p > 0.5 if task == "binary" else p.argmax(axis=1) if outputs > 1 else p[:, 0] > 0.5
        assert_same_bits(of_outputs.predict_classes(X, task=task), some.astype(np.int64))


def test_it_may_say_another_class_than_the_mean_of_outputs() -> None:
    def fixed(*logits: float) -> gd.Network:
        net = gd.Network([gd.Dense(3)], input_size=5, dtype="float64")
        net.load_state_dict({"0.weight": np.zeros((3, 5)), "0.bias": np.array(logits)})
        return net

    several = [fixed(9, 0, 0), fixed(0, 1.5, 0), fixed(0, 1.5, 0), fixed(0, 1.5, 0)]
    assert set(gd.Ensemble(several).predict_classes(X)) == {1}
    assert set(gd.Ensemble(several, average="outputs").predict_classes(X)) == {0}


def test_several_inputs_and_heads() -> None:
    several = [joined(seed) for seed in range(3)]
    x = {"numbers": X[:, :4], "codes": np.arange(30)[:, None] % 3}
    model = gd.Ensemble(several)
    found = model.predict(x)
    assert list(found) == ["price", "kind"]
    for head in found:
        rows = [net.predict(x)[head] for net in several]
        assert_same_bits(found[head], mean(rows, [1, 1, 1], "float32"))
    shares = mean([net.predict_proba(x, head="kind") for net in several], [1, 1, 1], "float32")
    assert_same_bits(model.predict_proba(x, head="kind"), shares)
    assert_same_bits(model.predict_classes(x, head="kind"), shares.argmax(axis=1))
    of_shares = gd.Ensemble(several, average="probabilities").predict(x)
    assert_same_bits(of_shares["kind"], shares)
    with pytest.raises(ValueError, match="head must be given where there are several"):
        model.predict_proba(x)


def test_networks_may_be_ensembles_themselves() -> None:
    layers = [gd.EnsembleDense(4, 3, activation="relu"), gd.Dense(2)]
    several: list[gd.Network] = [gd.Network(layers, input_size=5, seed=i) for i in range(2)]
    model = gd.Ensemble([*several, network(5, 2)])
    parts = [net.predict_proba(X) for net in model.networks]
    assert_same_bits(model.predict_proba(X), mean(parts, [1, 1, 1], "float32"))


# ---- files, copies ----

KINDS: dict[str, Any] = {
    "plain": lambda: gd.Ensemble([network(0), network(1, units=9)], [0.25, 3]),
    "classes": lambda: gd.Ensemble([network(i, 3) for i in range(12)], average="probabilities"),
    "heads": lambda: gd.Ensemble([joined(0), joined(1)], average="outputs"),
    "state": lambda: gd.Ensemble(
        [gd.Network([gd.Dense(3), gd.BatchNorm(), gd.Dense(1)], input_size=5, dtype="float64")]
    ),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_comes_back(kind: str, tmp_path: Path) -> None:
    model = KINDS[kind]()
    x = {"numbers": X[:, :4], "codes": np.arange(30)[:, None] % 3} if kind == "heads" else X
    path = tmp_path / "model.safetensors"
    model.save(path, extra={"scale": [1.5]})
    whole = path.read_bytes()
    for found in (
        gd.Ensemble.load(path),
        pickle.loads(pickle.dumps(model)),
        copy.copy(model),
        copy.deepcopy(model),
    ):
        assert repr(found) == repr(model)
        assert (found.weights, found.average) == (model.weights, model.average)
        assert all(a is not b for a, b in zip(found.networks, model.networks))
        got, expected = found.predict(x), model.predict(x)
        if isinstance(got, dict):
            assert_same_state(got, expected)
        else:
            assert_same_bits(got, expected)
        found.save(path, extra={"scale": [1.5]})
        assert path.read_bytes() == whole
    arrays, description = unpacked(path)
    first = next(iter(model.networks[0].state_dict()))
    assert f"0/{first}" in arrays
    assert description["kind"] == "ensemble"
    told = read_description(path)
    assert told["extra"] == {"scale": [1.5]}
    assert len(told["networks"]) == len(model)


def test_each_reader_names_the_other(tmp_path: Path) -> None:
    path, other = tmp_path / "e.safetensors", tmp_path / "n.safetensors"
    gd.Ensemble([network()]).save(path)
    network().save(other)
    words = r"holds an ensemble: read it with gdcore\.Ensemble\.load"
    with pytest.raises(ValueError, match=words):
        gd.Network.load(path)
    with pytest.raises(ValueError, match=words):
        gd.Trainer.load(path)
    with pytest.raises(ValueError, match=r"holds no ensemble: read it with gdcore\.Network\.load"):
        gd.Ensemble.load(other)
    with pytest.raises(FileNotFoundError):
        gd.Ensemble.load(tmp_path / "none")


FORGED: dict[str, Any] = {
    "no networks": lambda arrays, told: told.pop("networks"),
    "empty": lambda arrays, told: told.update(networks=[]),
    "a network too few": lambda arrays, told: told["networks"].pop(),
    "a weight too few": lambda arrays, told: told["weights"].pop(),
    "weights of text": lambda arrays, told: told.update(weights=["1", "1"]),
    "no average": lambda arrays, told: told.pop("average"),
    "a stranger": lambda arrays, told: arrays.update({"2/0.weight": np.ones(3)}),
    "no number": lambda arrays, told: arrays.update({"0.weight": np.ones(3)}),
    "a zero before it": lambda arrays, told: arrays.update({"00/0.weight": arrays["0/0.weight"]}),
    "an array too few": lambda arrays, told: arrays.pop("1/0.bias"),
    "an array too many": lambda arrays, told: arrays.update({"1/7.bias": np.ones(3)}),
    "no layers": lambda arrays, told: told["networks"][1].update(layers=[]),
    "not described": lambda arrays, told: told["networks"].__setitem__(1, 3),
}


@pytest.mark.parametrize("what", list(FORGED))
def test_a_forged_file_is_told(what: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    gd.Ensemble([network(0), network(1)]).save(path)
    arrays, told = unpacked(path)
    FORGED[what](arrays, told)
    pack(path, arrays, json.dumps(told))
    with pytest.raises(ValueError, match="is damaged or was forged"):
        gd.Ensemble.load(path)


def test_what_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    net = network()
    gd.Trainer(net, "mse", gd.SGD(lr=1e38)).step(X, 1e10 * X[:, :1])
    gd.Trainer(net, "mse", gd.SGD(lr=1e38)).step(X, 1e10 * X[:, :1])
    with pytest.raises(ValueError, match=r"1/\d\.\w+ must be finite to be saved"):
        gd.Ensemble([network(3), net]).save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# ---- shown, refused ----


def test_it_shows_itself() -> None:
    one = gd.Ensemble([network(i) for i in range(3)])
    assert repr(one) == "Ensemble(3 x Network(5 -> 6 relu -> 1, float32, 43 parameters))"
    other = gd.Ensemble([network(), network(units=3)], [1, 2], "outputs")
    assert "and others, weights=[1.0, 2.0], average='outputs')" in repr(other)
    lines = str(other.summary()).splitlines()
    assert lines[0].split() == ["network", "layers", "weight", "parameters", "bytes"]
    assert lines[-1].split() == ["total", "3", "65", "260"]
    assert "<table>" in other._repr_html_()


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "none": (lambda: ([],), ValueError, "networks must hold at least one, got none"),
    "one": (lambda: (network(),), TypeError, "networks must be a sequence of networks"),
    "trainer": (lambda: ([gd.Trainer(network(), "mse", "sgd")],), TypeError,
                r"networks\[0\] must be a gdcore.Network, got Trainer"),
    "twice": (lambda: ([*[network()] * 2],), ValueError, r"networks\[1\] is there twice"),
    "dtype": (lambda: ([network(), network(dtype="float64")],), ValueError,
              r"networks\[1\] must have the dtype of networks\[0\], float32, got float64"),
    "outputs": (lambda: ([network(), network(outputs=2)],), ValueError,
                r"networks\[1\] must have the outputs of networks\[0\], 1, got 2"),
    "inputs": (lambda: ([network(), gd.Network([gd.Dense(1)], input_size=4)],), ValueError,
               r"networks\[1\] must have the inputs of networks\[0\]"),
    "heads": (lambda: ([joined(0), network()],), ValueError, "must have the inputs"),
    "few weights": (lambda: ([network()], [1, 2]), ValueError,
                    "weights must hold a number for each of 1 networks, got 2"),
    "below": (lambda: ([network()], [-1]), ValueError, r"weights\[0\] must be at least 0, got -1"),
    "zero": (lambda: ([network()], [0]), ValueError, "weights must add up to a finite number"),
    "text": (lambda: ([network()], ["1"]), TypeError, r"weights\[0\] must be a real number"),
    "average": (lambda: ([network()], None, "median"), ValueError,
                "average must be one of auto, outputs, probabilities, got 'median'"),
    "no classes": (lambda: ([network(last="relu")], None, "probabilities"), ValueError,
                   "the last layer must be linear, sigmoid, softmax or log_softmax"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(BAD))
def test_bad_input(what: str) -> None:
    given, error, words = BAD[what]
    with pytest.raises(error, match=words):
        gd.Ensemble(*given())


def test_classes_need_one_meaning() -> None:
    mixed = [network(0, 3), network(1, 3, "sigmoid")]
    with pytest.raises(ValueError, match="task must be given: the networks' last activations"):
        gd.Ensemble(mixed).predict_proba(X)
    shares = gd.Ensemble(mixed).predict_proba(X, task="binary")
    expected = [net.predict_proba(X, task="binary") for net in mixed]
    assert_same_bits(shares, mean(expected, [1, 1], "float32"))
    with pytest.raises(ValueError, match="tells no classes where the networks' last activations"):
        gd.Ensemble(mixed, average="outputs").predict_classes(X, task="binary")
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        gd.Ensemble(mixed).predict(X, 0)
    with pytest.raises(ValueError, match="x must have shape"):
        gd.Ensemble(mixed).predict(X[:, :2])
