"""gdcore predict and gdcore info on model files."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command_line import arrays, done, forged, frame, put, refused, run, small, written
from sklearn.datasets import load_digits

import gdcore as gd
from gdcore.tabular.fitted import Fitted


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on numbers a and b and the text c, to tell y: yes or no."""
    folder = tmp_path_factory.mktemp("model")
    data = written(folder / "d.csv", small())
    path = folder / "m.safetensors"
    done("train", data, "--target", "y", "--epochs", 40, "--lr", 0.05, "--save", path)
    return path


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on the same to tell the number 10 a + 5000."""
    folder = tmp_path_factory.mktemp("numbers")
    data = written(folder / "d.csv", small(y=small()["a"] * 10 + 5000))
    path = folder / "m.safetensors"
    done("train", data, "--target", "y", "--epochs", 200, "--lr", 0.01, "--save", path)
    return path


def csv(text: str) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(text.encode()))


# ---- predict ----


def test_without_out_it_prints_csv(tmp_path: Path, model: Path) -> None:
    predicted = csv(done("predict", model, written(tmp_path / "d.csv", small())).stdout)
    assert predicted.columns == ["prediction", "probability of no", "probability of yes"]
    assert (predicted["prediction"] == small()["y"]).mean() > 0.95
    both = predicted.drop("prediction").to_numpy()
    np.testing.assert_allclose(both.sum(axis=1), 1, rtol=1e-6)
    names = np.array(["no", "yes"])[both.argmax(axis=1)]
    assert (names == predicted["prediction"].to_numpy()).all()


@pytest.mark.parametrize("data", ["d.csv", "d.parquet"])
def test_all_formats_hold_the_same(tmp_path: Path, model: Path, data: str) -> None:
    path = written(tmp_path / data, small())
    printed = csv(done("predict", model, path).stdout)
    for name in ("p.csv", "p.parquet", "p.npz", "P.CSV"):
        assert done("predict", model, path, "--out", tmp_path / name).stdout == ""
    assert csv((tmp_path / "p.csv").read_text()).equals(printed)
    assert (tmp_path / "P.CSV").read_bytes() == (tmp_path / "p.csv").read_bytes()
    parquet = pl.read_parquet(tmp_path / "p.parquet")
    assert parquet.columns == printed.columns
    assert parquet["prediction"].equals(printed["prediction"])
    held = arrays(tmp_path / "p.npz")
    assert sorted(held) == ["classes", "prediction", "probability"]
    assert held["classes"].tolist() == ["no", "yes"]
    assert (held["prediction"] == printed["prediction"].to_numpy()).all()
    assert (held["probability"] == parquet.drop("prediction").to_numpy()).all()
    left = {"p.csv", "P.CSV", "p.parquet", "p.npz", data}
    assert {each.name for each in tmp_path.iterdir()} == left


def test_columns_are_found_by_name(tmp_path: Path, model: Path) -> None:
    first = done("predict", model, written(tmp_path / "d.csv", small())).stdout
    other = small().drop("y").select("c", "b", "a").with_columns(d=pl.lit("more"))
    assert done("predict", model, written(tmp_path / "e.csv", other)).stdout == first
    assert done("predict", model, written(tmp_path / "e.parquet", other)).stdout == first


def test_rows_do_not_depend_on_each_other(tmp_path: Path, model: Path) -> None:
    all_rows = done("predict", model, written(tmp_path / "d.csv", small())).stdout.splitlines()
    one = done("predict", model, written(tmp_path / "e.csv", small()[7:8])).stdout.splitlines()
    assert one == [all_rows[0], all_rows[8]]


def test_numbers_come_in_their_own_units(tmp_path: Path, numbers: Path) -> None:
    data = written(tmp_path / "d.csv", small().drop("y"))
    predicted = csv(done("predict", numbers, data).stdout)
    assert predicted.columns == ["prediction"]
    truth = small()["a"] * 10 + 5000
    assert (predicted["prediction"] - truth).abs().mean() < 5


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_arrays_go_in_and_come_out(tmp_path: Path, name: str) -> None:
    data = written(tmp_path / "d.npz", frame(name))
    done("train", data, "--epochs", 40, "--lr", 0.01, "--save", tmp_path / "m")
    np.savez(tmp_path / "new.npz", x=arrays(data)["x"])  # there is no y
    done("predict", tmp_path / "m", tmp_path / "new.npz", "--out", tmp_path / "p.npz")
    held = arrays(tmp_path / "p.npz")
    assert (held["prediction"] == arrays(data)["y"]).mean() > 0.95


def test_digits_have_a_name_here_too(tmp_path: Path) -> None:
    done("train", "digits", "--epochs", "5", "--save", tmp_path / "m")
    predicted = csv(done("predict", tmp_path / "m", "digits").stdout)
    assert (predicted["prediction"].to_numpy() == load_digits().target).mean() > 0.9


def test_predictions_are_those_of_the_network(tmp_path: Path, model: Path) -> None:
    data = written(tmp_path / "d.parquet", small())
    done("predict", model, data, "--out", tmp_path / "p.npz")
    with pytest.warns(UserWarning, match="gdcore predict") as warned:
        net = gd.Network.load(model)
    assert [each.filename for each in warned] == [__file__], "it names the line of the user"
    kept = gd.files.read_description(model)["extra"]["preparation"]["columns"]
    table = small()
    columns = [
        (table[each["name"]].to_numpy() - each["mean"]) / each["deviation"] for each in kept[:2]
    ]
    columns += [(table["c"] == each).to_numpy().astype(float) for each in kept[2]["categories"]]
    outputs = net.predict(np.stack(columns, axis=1)).astype(np.float64)
    expected = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(arrays(tmp_path / "p.npz")["probability"], expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_from_python_takes_arrays_as_they_are(tmp_path: Path, dtype: str) -> None:
    net = gd.Network([gd.Dense(4, "tanh"), gd.Dense(3)], input_size=5, dtype=dtype)
    gd.Trainer(net, "mse", "sgd").save(tmp_path / "trainer")
    net.save(tmp_path / "network")
    x = np.random.default_rng(0).normal(size=(9, 5))
    np.savez(tmp_path / "d.npz", x=x)
    for name in ("trainer", "network"):
        done("predict", tmp_path / name, tmp_path / "d.npz", "--out", tmp_path / "p.npz")
        assert (arrays(tmp_path / "p.npz")["prediction"] == net.predict(x)).all()
    header = done("predict", tmp_path / "network", tmp_path / "d.npz").stdout.splitlines()[0]
    assert header == "prediction[0],prediction[1],prediction[2]"
    np.savez(tmp_path / "e.npz", x=x[:, :4])
    table = written(tmp_path / "d.csv", small())
    for data, got in ((tmp_path / "e.npz", "4 columns"), (table, "columns with names")):
        arguments = ["predict", tmp_path / "network", data]
        refused(tmp_path, arguments, "network was not saved by gdcore train", "5 columns", got)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"c": put(small()["c"], (6, "pink"))}, ["'c'", "row 7 (", "'pink'", "blue, green, red"]),
        ({"c": put(small()["c"], (6, None))}, ["'c'", "row 7 (", "a missing cell"]),
        ({"a": put(small()["a"], (6, None), (8, None))}, ["'a'", "row 7 (", "got 2"]),
        ({"a": put(map(str, small()["a"]), (6, "x"))}, ["'a'", "row 7 (", "'x'", "numbers"]),
        ({"a": put(small()["a"], (6, float("inf")))}, ["'a'", "row 7 (", "inf", "finite"]),
        ({"a": put(small()["a"], (6, 1e300))}, ["'a'", "row 7 (", "too far from its mean 7.5"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_training_has_not_seen_is_refused(
    tmp_path: Path, model: Path, columns: dict[str, Any], words: list[str], ending: str
) -> None:
    path = written(tmp_path / f"d.{ending}", small(**columns))
    refused(tmp_path, ["predict", model, path, "--out", tmp_path / "p.csv"], *words)


def test_a_missing_column_is_named(tmp_path: Path, model: Path) -> None:
    path = written(tmp_path / "d.csv", small().drop("b"))
    refused(tmp_path, ["predict", model, path], "'b'", "a, c, y")


def test_columns_of_another_type_are_named(tmp_path: Path, model: Path) -> None:
    path = written(
        tmp_path / "d.parquet", small().with_columns(a=pl.Series(range(60)).cast(pl.Date))
    )
    refused(tmp_path, ["predict", model, path], "'a'", "Date")


def test_arrays_must_be_as_wide_as_in_training(tmp_path: Path) -> None:
    data = written(tmp_path / "d.npz", frame("iris"))
    done("train", data, "--epochs", 1, "--save", tmp_path / "m")
    np.savez(tmp_path / "e.npz", x=np.zeros((3, 5)))
    refused(tmp_path, ["predict", tmp_path / "m", tmp_path / "e.npz"], "4 columns", "got 5")


def test_out_is_looked_at_before_the_work(tmp_path: Path, model: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    out = {
        tmp_path / "p.txt": ".parquet",
        tmp_path / "no" / "p.csv": "no such file or directory",
        Path("/proc/p.csv"): "nothing can be written",
        path: "two things",
    }
    for where, words in out.items():
        refused(tmp_path, ["predict", model, path, "--out", where], "--out", words)


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "d.csv", small())
    for name in ("p.csv", "m"):
        (tmp_path / name).write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for arguments in (
        ["predict", model, path, "--out", tmp_path / "p.csv"],
        ["train", path, "--target", "y", "--epochs", 1, "--save", tmp_path / "m"],
    ):
        refused(tmp_path, arguments, "No space left on device")


# ---- models that are not what they should be ----


def test_a_trainer_of_the_command_line_warns_as_its_network_does(model: Path) -> None:
    with pytest.warns(UserWarning, match=r"m\.safetensors .*gdcore predict") as warned:
        gd.Trainer.load(model)
    assert [each.filename for each in warned] == [__file__]


def test_a_model_from_python_does_not_warn(tmp_path: Path) -> None:
    net = gd.Network([gd.Dense(3)], input_size=2)
    net.save(tmp_path / "m", extra={"mean": [0.0, 1.0], "preparation": "by hand"})
    gd.Network.load(tmp_path / "m")
    gd.Trainer(net, "mse", "sgd").save(tmp_path / "t")
    gd.Trainer.load(tmp_path / "t")


def test_no_model(tmp_path: Path) -> None:
    data = written(tmp_path / "d.csv", small())
    for arguments in (["predict", tmp_path / "m", data], ["info", tmp_path / "m"]):
        refused(tmp_path, arguments, str(tmp_path / "m"), "No such file")
    for arguments in (["predict", data, data], ["info", data]):
        told = refused(tmp_path, arguments, str(data), "no gdcore model", "it is text")
        assert "header" not in told, "the words are ours"
    for content, words in ((b"", "empty"), (b"ab", "text"), (bytes(99), "does not begin")):
        (tmp_path / "n").write_bytes(content)
        refused(tmp_path, ["info", tmp_path / "n"], "no gdcore model", words)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_model_cut_short(tmp_path: Path, model: Path, cut: int) -> None:
    data = written(tmp_path / "d.csv", small())
    (tmp_path / "m").write_bytes(model.read_bytes()[:cut])
    for arguments in (["predict", tmp_path / "m", data], ["info", tmp_path / "m"]):
        refused(tmp_path, arguments, str(tmp_path / "m"))


ONE_NUMBER = {"kind": "numbers", "name": "y", "mean": [0], "deviation": [1]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.clear(), ["preparation", "'columns'"]),
        (lambda p: p.update(columns=3), ["columns", "3"]),
        (lambda p: p.update(columns=[]), ["columns", "at least one"]),
        (lambda p: p.update(columns=[None]), ["columns[0]", "None"]),
        (lambda p: p["columns"][0].update(kind="other"), ["columns[0].kind", "'other'"]),
        (lambda p: p["columns"][0].update(kind=[]), ["columns[0].kind", "[]"]),
        (lambda p: p["columns"][0].update(name=None), ["columns[0].name", "None"]),
        (lambda p: p["columns"][0].update(name="b"), ["columns", "different names"]),
        (lambda p: p["columns"][0].update(mean="0"), ["columns[0].mean", "'0'"]),
        (lambda p: p["columns"][0].update(mean=float("nan")), ["columns[0].mean", "nan"]),
        (lambda p: p["columns"][0].update(mean=10**400), ["columns[0].mean"]),
        (lambda p: p["columns"][0].update(mean=True), ["columns[0].mean", "True"]),
        (lambda p: p["columns"][0].update(deviation=0), ["columns[0].deviation", "above 0"]),
        (lambda p: p["columns"][0].update(deviation=float("inf")), ["columns[0].deviation"]),
        (lambda p: p["columns"][0].pop("mean"), ["columns[0]", "'mean'"]),
        (lambda p: p["columns"][2].update(categories=["red"] * 3), ["columns[2].categories"]),
        (lambda p: p["columns"][2].update(categories=[1, 2, 3]), ["columns[2].categories"]),
        (lambda p: p["columns"][2].update(categories=[None, "u", "v"]), ["null last"]),
        (lambda p: p["columns"][2].update(categories=["u", "v"]), ["4 inputs", "5 inputs"]),
        (lambda p: p.pop("target"), ["'target'"]),
        (lambda p: p.update(target="y"), ["target", "'y'"]),
        (lambda p: p["target"].update(classes=["yes"]), ["target.classes", "at least 2"]),
        (lambda p: p["target"].update(classes=["yes", 1]), ["target.classes", "one type"]),
        (lambda p: p["target"].update(classes=["yes", "yes"]), ["target.classes", "different"]),
        (lambda p: p["target"].update(classes=[1.0, float("nan")]), ["target.classes"]),
        (lambda p: p["target"].update(classes=[[], []]), ["target.classes", "one type"]),
        (lambda p: p["target"].update(classes=["a", "b", "c"]), ["fit", "2 outputs"]),
        (lambda p: p["target"].update(kind="numbers"), ["'mean'"]),
        (lambda p: p.update(target=ONE_NUMBER), ["fit", "2 outputs"]),
        (lambda p: p.update(fill="no"), ["fill", "'no'"]),
        (lambda p: p.update(na="NA"), ["na", "'NA'"]),
        (lambda p: p.update(na=[1]), ["na", "[1]"]),
        (lambda p: p.update(width=0), ["width", "0"]),
        (lambda p: p.update(width=True), ["width", "True"]),
    ],
)  # fmt: skip
def test_a_forged_preparation_is_refused(
    tmp_path: Path, model: Path, change: Callable[[dict[str, Any]], object], words: list[str]
) -> None:
    data = written(tmp_path / "d.csv", small())
    forged(model, tmp_path / "m", change)
    for arguments in (["predict", tmp_path / "m", data], ["info", tmp_path / "m"]):
        refused(tmp_path, arguments, *words)


def test_floats_come_back_exactly(model: Path) -> None:
    kept = gd.files.read_description(model)["extra"]["preparation"]
    preparation = Fitted.from_json(kept)
    assert preparation.to_json() == kept
    assert Fitted.from_json(json.loads(json.dumps(preparation.to_json()))) == preparation


@pytest.mark.parametrize("value", [None, 1, [], "x"])
def test_a_preparation_is_an_object(value: object) -> None:
    with pytest.raises(ValueError, match="preparation must be an object"):
        Fitted.from_json(value)


# ---- info ----


def test_info_tells_what_a_model_is(model: Path, numbers: Path) -> None:
    out = done("info", model).stdout
    for words in ("5 -> 128 relu -> 2", "1,026", "CrossEntropy", "Adam(lr=0.05", "0.05", "40",
                  "80", "input 'a'", "number, mean", "input 'c'", "3 categories: blue, green, red",
                  "target 'y'", "classes: no, yes"):  # fmt: skip
        assert words in out, words
    out = done("info", numbers).stdout
    assert "target 'y'" in out
    assert "number, mean 50" in out


def test_info_of_models_from_python(tmp_path: Path) -> None:
    net = gd.Network([gd.Dense(3)], input_size=2)
    net.save(tmp_path / "network")
    assert "Network(2 -> 3, float32, 9 parameters)" in done("info", tmp_path / "network").stdout
    own = gd.Trainer(net, None, "sgd", schedule=lambda epoch: 0.5**epoch)
    own.save(tmp_path / "own")
    out = done("info", tmp_path / "own").stdout
    assert "a function of one's own" in out
    assert "SGD" in out


def test_info_tells_the_schedule(tmp_path: Path) -> None:
    data = written(tmp_path / "d.csv", small())
    done("train", data, "--target", "y", "--epochs", "3", "--schedule", "cosine", "--save",
         tmp_path / "m", "--missing", "mean")  # fmt: skip
    out = done("info", tmp_path / "m").stdout
    assert "Cosine(t_max=3" in out
    assert "become the mean" in out


def test_info_needs_no_model() -> None:
    assert "isa" in run("info").stdout


def test_a_network_that_no_table_fits(tmp_path: Path) -> None:
    a, b = gd.Input(1, name="a"), gd.Input(1, name="b")
    net = gd.Network(inputs=[a, b], outputs=gd.Dense(1)(gd.Concat()(a, b)))
    net.save(tmp_path / "net.safetensors")
    np.savez(tmp_path / "data.npz", x=np.ones((3, 2)))
    words = "has several inputs, or outputs with names, which a table has not"
    refused(tmp_path, ["predict", tmp_path / "net.safetensors", tmp_path / "data.npz"], words)
