"""gdcore export: files for other programs, of columns as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command_line import done, refused, small, written

import gdcore as gd

pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two models, to tell y and the number 10 a + 5000, and the data of both."""
    folder = tmp_path_factory.mktemp("models")
    tables = {"classes": small(), "numbers": small(y=small()["a"] * 10 + 5000)}
    for name, table in tables.items():
        data = written(folder / f"{name}.csv", table)
        common = ("--epochs", 5, "--hidden", 8, "--save", folder / f"{name}.safetensors")
        done("train", data, "--target", "y", *common)
    return folder


def predicted(models: Path, name: str) -> pl.DataFrame:
    command = ("predict", models / f"{name}.safetensors", models / f"{name}.csv")
    done(*command, "--out", models / "out.csv")
    return pl.read_csv(models / "out.csv")


def columns() -> Any:
    """a, b, and 1 or 0 for each category of c."""
    table = small()
    one = [(table["c"] == name).to_numpy() for name in ("blue", "green", "red")]
    return np.stack([table["a"].to_numpy(), table["b"].to_numpy(), *one], 1).astype(np.float32)


def test_onnx_takes_columns_as_they_are(models: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = tmp_path / "m.onnx"
    told = done("export", models / "classes.safetensors", path, "--probabilities").stdout
    assert "a, b, c (3: 1 or 0)" in told
    assert "probabilities of no, yes" in told
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["labels"]) == ["no", "yes"]
    names = ["a", "b", "c=blue", "c=green", "c=red"]
    assert json.loads(metadata["feature_names"]) == names
    (found,) = session.run(None, {"input": columns()})
    wanted = predicted(models, "classes").select("probability of no", "probability of yes")
    np.testing.assert_allclose(found, wanted.to_numpy()[:, -found.shape[1] :], atol=1e-5)


def test_torch_predicts_numbers_in_their_own_units(models: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    told = done("export", models / "numbers.safetensors", tmp_path / "m.pt").stdout
    assert "y, in its own units" in told
    module = torch.load(tmp_path / "m.pt", weights_only=False)
    with torch.no_grad():
        found = module(torch.tensor(columns())).numpy()[:, 0]
    wanted = predicted(models, "numbers")["prediction"].to_numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_c_and_fortran(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.c"
    model = models / "numbers.safetensors"
    done("export", model, path, "--to", "c", "--name", "price", "--fortran")
    assert {each.name for each in tmp_path.iterdir()} == {"net.c", "net.h", "net.f90"}
    assert "int price_predict(const float *x, float *y);" in (tmp_path / "net.h").read_text()
    if shutil.which("cc"):
        subprocess.run(["cc", "-std=c99", "-Werror", "-c", path.name], cwd=tmp_path, check=True)


def test_columns_that_are_embedded(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    data = written(tmp_path / "d.csv", small())
    model = tmp_path / "m.safetensors"
    options = ("--embed", 2, "--epochs", 2, "--hidden", 8, "--save", model)
    done("train", data, "--target", "y", *options)
    done("predict", model, data, "--out", tmp_path / "out.csv")
    assert "logits of" in done("export", model, tmp_path / "m.onnx").stdout
    told = done("export", model, tmp_path / "m.onnx", "--probabilities").stdout
    assert "codes" in told
    codes = np.array([["blue", "green", "red"].index(each) for each in small()["c"]])[:, None]
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
    numbers, categories = (each.name for each in session.get_inputs())
    (found,) = session.run(None, {numbers: columns()[:, :2], categories: codes})
    wanted = pl.read_csv(tmp_path / "out.csv").select("probability of no", "probability of yes")
    np.testing.assert_allclose(found, wanted.to_numpy()[:, -found.shape[1] :], atol=1e-5)


def test_a_network_that_python_saved(tmp_path: Path) -> None:
    x, c = gd.Input(3, name="x"), gd.Input(categories=[4], name="c")
    net = gd.Network(inputs=[x, c], outputs={"y": gd.Concat()(x, gd.Embedding(2)(c))})
    net.save(tmp_path / "m.safetensors")
    told = done("export", tmp_path / "m.safetensors", tmp_path / "m.onnx").stdout
    for words in ("input x", "3 numbers", "input c", "1 codes"):
        assert words in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("m.txt",), ["--to must be given", ".onnx, .c, .pt, .pth", "m.txt"]),
        (("m.onnx", "--to", "onnxx"), ["--to must be one of onnx, c, torch", "did you mean"]),
        (("m.onnx", "--fortran"), ["--fortran is for --to c"]),
        (("m.pt", "--name", "a"), ["--name is for --to c"]),
        (("m.pt", "--probabilities"), ["--probabilities is for --to onnx and --to c"]),
        (("m.onnx", "--probabilities"), ["--probabilities is for classes", "predicts numbers"]),
        (("no/m.onnx",), ["no such file"]),
    ],
)
def test_bad_options_are_told(models: Path, arguments: Any, words: Any, tmp_path: Path) -> None:
    file, *rest = arguments
    command = ("export", models / "numbers.safetensors", tmp_path / file, *rest)
    refused(tmp_path, command, *words)


def test_a_missing_extra_is_named_in_a_line(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    given = ("export", str(next(models.glob("*.safetensors"))), str(tmp_path / "m.onnx"))
    refused(tmp_path, given, "to_onnx needs onnx", "gdcore[onnx]")
    assert not list(tmp_path.iterdir())


def test_several_networks_in_one_file(models: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    data, model = models / "numbers.csv", tmp_path / "m.safetensors"
    common = ("--epochs", 2, "--hidden", 8, "--seeds", 2, "--save", model)
    done("train", data, "--target", "y", *common)
    done("export", model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
    (found,) = session.run(None, {"input": columns()})
    done("predict", model, data, "--out", tmp_path / "out.csv")
    wanted = pl.read_csv(tmp_path / "out.csv")["prediction"].to_numpy()
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-5)
    refused(tmp_path, ("export", model, tmp_path / "m.pt"), "holds several networks")
