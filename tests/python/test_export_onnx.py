"""Networks as ONNX models, run by onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import CASES, DTYPES, INPUTS, X, case, close, randomized

import gdcore as gd
from gdcore import export

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def model(path: Path) -> Any:
    return onnx.load(str(path))


def run(path: Path, x: Any) -> Any:
    """What onnxruntime makes of an array, or of a dict of them; a dict where outputs have names."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = x if isinstance(x, dict) else {"input": x}
    kinds = {each.name: each.type for each in session.get_inputs()}
    fed = {k: v.astype(np.int64) if "int64" in kinds[k] else v for k, v in given.items()}
    found = dict(zip([each.name for each in session.get_outputs()], session.run(None, fed)))
    return found["output"] if list(found) == ["output"] else found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_it_makes_what_predict_does(name: str, dtype: str, tmp_path: Path) -> None:
    net, x = case(name, dtype)
    export.to_onnx(net, tmp_path / "m.onnx")
    close(run(tmp_path / "m.onnx", x), net.predict(x), dtype, name)
    if not isinstance(x, dict) and not net.heads:  # any number of rows
        close(run(tmp_path / "m.onnx", x[:1]), net.predict(x[:1]), dtype, name)


@pytest.mark.parametrize("name", ["norms", "tabm", "piecewise_b", "activations"])
def test_a_newer_opset(name: str, tmp_path: Path) -> None:
    net, x = case(name, "float32")
    export.to_onnx(net, tmp_path / "m.onnx", opset=21)
    assert model(tmp_path / "m.onnx").opset_import[0].version == 21
    close(run(tmp_path / "m.onnx", x), net.predict(x), "float32", name)


def test_only_standard_operators_and_equal_files(tmp_path: Path) -> None:
    net, _ = case("joined", "float32")
    for file in ("a.onnx", "b.onnx"):
        export.to_onnx(net, tmp_path / file)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    made = model(tmp_path / "a.onnx")
    assert [(each.domain, each.version) for each in made.opset_import] == [("", 17)]
    assert {each.domain for each in made.graph.node} == {""}
    shapes = {
        each.name: [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim]
        for each in (*made.graph.input, *made.graph.output)
    }
    assert shapes == {"numbers": ["N", 3], "exp": ["N", 2], "a price": ["N", 1], "mean": ["N", 4]}


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("last", ["identity", "sigmoid", "softmax", "log_softmax"])
def test_probabilities_are_those_of_predict_proba(last: str, outputs: int, tmp_path: Path) -> None:
    if outputs == 1 and "softmax" in last:
        return  # of one class alone there are none
    net = randomized(gd.Network([gd.Dense(outputs, last)], input_size=INPUTS))
    x = X.astype(np.float32)
    export.to_onnx(net, tmp_path / "m.onnx", probabilities=True)
    close(run(tmp_path / "m.onnx", x), net.predict_proba(x), "float32", last)


def test_probabilities_of_several_labels_of_members_and_of_one_head(tmp_path: Path) -> None:
    path, x = tmp_path / "m.onnx", X.astype(np.float32)
    net = randomized(gd.Network([gd.Dense(3)], input_size=INPUTS))
    export.to_onnx(net, path, probabilities=True, task="binary")
    close(run(path, x), net.predict_proba(x, task="binary"), "float32", "labels")
    net = randomized(gd.Network([gd.EnsembleDense(3, 4)], input_size=INPUTS))
    export.to_onnx(net, path, probabilities=True)
    close(run(path, x), net.predict_proba(x), "float32", "members")
    net, given = case("joined", "float32")
    export.to_onnx(net, path, probabilities="mean")
    wanted = {**net.predict(given), "mean": net.predict_proba(given, head="mean")}
    close(run(path, given), wanted, "float32", "one head")


@pytest.mark.parametrize("average", ["auto", "outputs", "probabilities"])
@pytest.mark.parametrize("last", ["identity", "softmax"])
def test_several_networks_as_one(last: str, average: Any, tmp_path: Path) -> None:
    path, x = tmp_path / "m.onnx", X.astype(np.float32)
    layers = [gd.Dense(6, "tanh"), gd.Dense(3, last)]
    nets = [randomized(gd.Network(layers, input_size=INPUTS, seed=seed), seed) for seed in range(3)]
    both = gd.Ensemble(nets, weights=[1.0, 2.0, 5.0], average=average)
    export.to_onnx(both, path)
    close(run(path, x), both.predict(x), "float32", "outputs")
    export.to_onnx(both, path, probabilities=True, labels=["a", "b", "c"])
    close(run(path, x), both.predict_proba(x), "float32", "probabilities")


def test_several_networks_with_heads(tmp_path: Path) -> None:
    _, x = case("joined", "float32")
    nets = [randomized(CASES["joined"]("float32"), seed) for seed in (3, 4)]
    both = gd.Ensemble(nets)
    export.to_onnx(both, tmp_path / "m.onnx", probabilities=["mean"])
    wanted = {**both.predict(x), "mean": both.predict_proba(x, head="mean")}
    close(run(tmp_path / "m.onnx", x), wanted, "float32", "heads")


def test_labels_and_names_of_columns_are_metadata(tmp_path: Path) -> None:
    frames = pytest.importorskip("pandas", reason="pandas is not installed")
    x = frames.DataFrame({"a": [0.0, 1.0], "b": [1.0, 3.0]})
    net = gd.Network([gd.Dense(1)], input_size=2)
    trainer = gd.Trainer(net, "bce_with_logits", "adam")
    trainer.fit(x, np.array([0, 1]), epochs=1, progress=False)
    export.to_onnx(trainer.network, tmp_path / "m.onnx", labels=np.array(["no", "yes"]))
    made = model(tmp_path / "m.onnx")
    told = {each.key: json.loads(each.value) for each in made.metadata_props}
    assert told == {"labels": ["no", "yes"], "feature_names": ["a", "b"]}
    net, _ = case("joined", "float32")
    export.to_onnx(net, tmp_path / "m.onnx", labels={"mean": [1, 2, 3, 4]})
    told = {each.key: json.loads(each.value) for each in model(tmp_path / "m.onnx").metadata_props}
    assert told == {"labels": {"mean": [1, 2, 3, 4]}}


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"labels": ["a"]}, ValueError, "labels must be as many as outputs, 3, got 1"),
        ({"labels": "abc"}, TypeError, "labels must be a sequence of labels, got str"),
        ({"labels": [None] * 3}, TypeError, "labels must be strings or numbers, got NoneType"),
        ({"opset": 16}, ValueError, "opset must be at least 17, got 16"),
        ({"opset": 17.0}, TypeError, "opset must be an integer"),
        ({"probabilities": 1}, TypeError, "probabilities must be a bool, or names"),
        ({"probabilities": "kind"}, ValueError, "outputs that there are.*no names.*got 'kind'"),
        ({"task": "binary"}, ValueError, "task must be None without probabilities"),
        ({"probabilities": True, "task": "both"}, ValueError, "task must be one of"),
    ],
)
def test_bad_arguments_are_told(
    arguments: dict[str, Any], kind: type[Exception], words: str, tmp_path: Path
) -> None:
    net = gd.Network([gd.Dense(3)], input_size=2)
    with pytest.raises(kind, match=words):
        export.to_onnx(net, tmp_path / "m.onnx", **arguments)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(TypeError, match=r"net must be a gdcore\.Network, got str"):
        export.to_onnx("model", path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path"):
        export.to_onnx(gd.Network([gd.Dense(3)], input_size=2), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be linear, sigmoid, softmax"):
        export.to_onnx(gd.Network([gd.Dense(3, "relu")], input_size=2), path, probabilities=True)
    x, y = gd.Input(2, name="x"), gd.Input(2, name="y")
    net = gd.Network(inputs=[x, y], outputs={"x": gd.Add()(x, y)})
    with pytest.raises(ValueError, match="outputs must not have an input's name in ONNX, got 'x'"):
        export.to_onnx(net, path)
    net = gd.Network([gd.Dense(3, weight_norm=True, name="dead")], input_size=2)
    net.load_state_dict({**net.state_dict(), "dead.weight_v": np.zeros((3, 2))})
    with pytest.raises(ValueError, match="layer 'dead' must have finite parameters to go to ONNX"):
        export.to_onnx(net, path)
    # There is none that is not known: two are taken out of the tables.
    from gdcore.export import _lowered, _onnx_activations

    monkeypatch.delitem(_lowered.KINDS, "scale")
    monkeypatch.delitem(_onnx_activations.ACTIVATIONS, "mish")
    with pytest.raises(ValueError, match=r"layer 'by' \(scale\) cannot go to ONNX"):
        export.to_onnx(gd.Network([gd.Scale(name="by")], input_size=3), path)
    with pytest.raises(ValueError, match=r"layer '0' \(mish\) cannot go to ONNX"):
        export.to_onnx(gd.Network([gd.Dense(2, "mish")], input_size=3), path)
    assert not list(tmp_path.iterdir())
