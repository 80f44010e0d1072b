"""Tables as they come: how they are written, several files, gaps, dates, weights, targets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command_line import WIDE, done, refused, run, small, written
from typer.testing import CliRunner

import gdcore as gd
from gdcore.cli.app import app
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.sources import expanded
from gdcore.tabular.tables import read

FEW = ("--hidden", 4, "--epochs", 2)


def described(model: Path) -> dict[str, Any]:
    from gdcore.files import read_description

    return read_description(model)["extra"]["preparation"]


# ---- how text is written ----


def test_comments_and_encodings_keep_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes('# by me\nname;y\n# "more\nBär;1\n"#a\nb";2\nÄ;x\n'.encode("latin1"))
    table = read(str(path), dialect=Dialect(";", encoding="latin1", comment="#"))
    assert table.frame["name"].to_list() == ["Bär", "#a\nb", "Ä"]
    assert [table.rows.told(i) for i in range(3)] == [
        "row 1 (line 4)",
        "row 2 (line 5)",
        "row 3 (line 7)",
    ]


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"a,y\n\xe9,1\n", [], ["line 2", "0xe9", "--encoding latin1"]),
        (b"a,y\n\xff\xff,1\n", ["--encoding", "shift_jis"], ["not shift_jis", "line 2", "another"]),
        (b"a,y\n1,1\n", ["--encoding", "base64"], ["--encoding", "latin1", "'base64'"]),
        (b"a,y\n1,1\n", ["--comment", ""], ["--comment", "''"]),
        (b"# x\n# y\na,y\n1,1\n", [], ["line 1", "--skip-lines 2", '--comment "#"']),
        (b"#,\na,y\n#\n1,1\n2\n", ["--comment", "#"], ["line 5 has 1 field"]),
    ],
)
def test_what_is_written_otherwise_is_told(
    tmp_path: Path, content: bytes, options: list[str], words: list[str]
) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(content)
    refused(tmp_path, ["train", path, "--target", "y", *options], *words)


def test_a_model_remembers_how_its_table_was_written(tmp_path: Path) -> None:
    text = "#\n" + small(a=["1,5", "2,5"] * 30, b=[1, 2] * 30).write_csv(separator=";")
    path, model = tmp_path / "d.csv", tmp_path / "m"
    path.write_bytes(text.replace("green", "grün").encode("cp1252"))
    done("train", path, "--target", "y", "--sep", ";", "--decimal", ",", "--encoding", "cp1252",
         "--comment", "#", "--save", model, *FEW)  # fmt: skip
    assert described(model)["reading"]["encoding"] == "cp1252"
    assert "--encoding cp1252" in done("info", model).stdout
    assert len(done("predict", model, path).stdout.splitlines()) == 61


def test_files_of_one_table(tmp_path: Path) -> None:
    table = small()
    table[:30].write_csv(tmp_path / "part1.tsv", separator="\t")
    other = table[30:].select("y", "c", "b", "a").write_csv(separator="\t")
    (tmp_path / "part2.tsv.gz").write_bytes(gzip.compress(other.encode()))
    read_again = read(str(tmp_path / "part*"))
    assert read_again.frame["c"].to_list() == table["c"].to_list()
    assert read_again.rows.told(31) == "row 2 of part2.tsv.gz (line 3)"
    done(
        "train", tmp_path / "part*", "--target", "y", "--sep", "tab", "--save", tmp_path / "m", *FEW
    )
    whole = done("predict", tmp_path / "m", written(tmp_path / "d.parquet", table)).stdout
    assert done("predict", tmp_path / "m", tmp_path / "part?.tsv*").stdout == whole
    (tmp_path / "part3.tsv").write_text("a\tc\n1\tred\n")
    refused(
        tmp_path, ["train", tmp_path / "part*", "--target", "y"], "part3.tsv", "'b'", "part1.tsv"
    )
    refused(tmp_path, ["train", tmp_path / "x*.csv", "--target", "y"], "no file fits", "x*.csv")
    assert expanded(str(tmp_path / "part1.tsv"), ()) == [str(tmp_path / "part1.tsv")]


def test_parquet_files_of_other_types_are_told(tmp_path: Path) -> None:
    small().write_parquet(tmp_path / "1.parquet")
    small(a=["x"] * 60).write_parquet(tmp_path / "2.parquet")
    words = ("2.parquet", "String", "column 'a'", "Float64")
    refused(tmp_path, ["train", tmp_path / "?.parquet", "--target", "y"], *words)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_standard_input(tmp_path: Path, ending: str) -> None:
    content = written(tmp_path / f"d.{ending}", small()).read_bytes()
    options = ["--target", "y", "--hidden", "4", "--epochs", "2", "--save", str(tmp_path / "m")]
    result = CliRunner().invoke(app, ["train", "-", *options], input=content, env=WIDE)
    assert result.exit_code == 0, result.stderr
    twice = [*options, "--validation-file", "-"]
    result = CliRunner().invoke(app, ["train", "-", *twice], input=content, env=WIDE)
    assert result.exit_code == 2
    assert "read once" in result.stderr


# ---- columns ----


def test_missing_numbers_become_the_median_and_an_input(tmp_path: Path) -> None:
    table = small().with_columns(b=pl.Series([None, 1.0, 2.0, 90.0] * 15))
    path, model = written(tmp_path / "d.csv", table), tmp_path / "m"
    how = ("--target", "y", "--validation", 0, "--missing", "median", "--indicator")
    told = done("train", path, *how, "--save", model, *FEW).stderr
    assert "filled 15 missing cells of 'b' with its median" in told
    (column,) = (each for each in described(model)["columns"] if each["name"] == "b")
    assert column["fill"] == 2
    assert column["indicator"] is True
    x = gd.load_model(model).preparation.transform(table.drop("y").to_dict(as_series=False))
    assert x.shape[1] == 1 + 2 + 3
    assert x[:, 2].tolist() == [1.0, 0.0, 0.0, 0.0] * 15
    done("train", path, *how[:2], *how[4:], "--folds", 3, "--save", model, *FEW)
    refused(tmp_path, ["train", path, "--target", "y", "--indicator"], "--indicator", "median")


def test_unseen_and_rare_categories_are_others(tmp_path: Path) -> None:
    table = small().with_columns(c=pl.Series(["a", "b", "a"] * 19 + ["q", "r", "s"]))
    path, model = written(tmp_path / "d.csv", table), tmp_path / "m"
    how = ["--target", "y", "--unseen", "other", "--min-count", 3, "--save", model, *FEW]
    done("train", path, *how)
    (column,) = (each for each in described(model)["columns"] if each["name"] == "c")
    assert (column["categories"], column["other"]) == (["a", "b"], "own")
    new = written(tmp_path / "new.csv", small(c=["never", "a"] * 30))
    done("predict", model, new)
    done("train", path, *how, "--embed", 1)
    done("predict", model, new)
    done("train", path, "--target", "y", "--save", model, *FEW)
    (tmp_path / "m2").write_bytes(model.read_bytes())
    refused(tmp_path, ["predict", model, new], "'never'", "row 1 (line 2)", "--unseen other")
    refused(tmp_path, ["train", path, "--target", "y", "--min-count", 2], "--unseen other")


DAYS = [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(60)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_dates_become_features(tmp_path: Path, ending: str) -> None:
    table = small().with_columns(day=pl.Series(DAYS).str.to_date())
    path, model = written(tmp_path / f"d.{ending}", table), tmp_path / "m"
    told = done("train", path, "--target", "y", "--save", model, *FEW).stderr
    assert "1 of dates" in told
    assert ("'day' holds dates: taken by time, year, week" in told) == (ending == "csv")
    assert "date, with its place in the year, week" in done("info", model).stdout
    done("predict", model, written(tmp_path / "d.csv", table))
    done("train", path, "--target", "y", "--folds", 3, "--save", model, *FEW)


def test_dates_with_zones_and_gaps(tmp_path: Path) -> None:
    days = [f"{each}T0{i % 9}:00:00Z" for i, each in enumerate(DAYS)]
    days[4] = ""
    path = written(tmp_path / "d.csv", small(day=days))
    refused(tmp_path, ["train", path, "--target", "y"], "row 5 (line 6)", "--missing mean")
    done("train", path, "--target", "y", "--missing", "mean", "--save", tmp_path / "m", *FEW)
    moment = gd.tabular.cells.iso_dates(["2024-03-01T01:00:00+02:00"])
    assert moment[0] == np.datetime64("2024-02-29T23:00:00")


def test_columns_that_must_be_dates(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(day=[*DAYS[:59], "2024-13-01"]))
    words = ("'day'", "'2024-13-01'", "row 60 (line 61)", "--na 2024-13-01")
    refused(tmp_path, ["train", path, "--target", "y", "--dates", "day"], *words)
    done("train", path, "--target", "y", "--dates", "day", "--na", "2024-13-01",
         "--missing", "mean", *FEW)  # fmt: skip


def test_rows_without_target(tmp_path: Path) -> None:
    table = small().with_columns(y=pl.Series(["yes", "no", None] * 20))
    path, model = written(tmp_path / "d.csv", table), tmp_path / "m"
    refused(tmp_path, ["train", path, "--target", "y"], "row 3 (line 4)", "--missing-target drop")
    told = done("train", path, "--target", "y", "--missing-target", "drop", "--save", model, *FEW)
    assert "left out 20 rows without target, the first is row 3 (line 4)" in told.stderr
    assert "32 for training, 8 held out" in told.stderr
    assert "40 rows" in done("evaluate", model, path, "--missing-target", "drop").stdout
    refused(tmp_path, ["evaluate", model, path], "missing cells", "--missing-target drop")
    text = path.read_text().replace("\n1.75,", "\nx,")
    path.write_text(text)
    refused(tmp_path, ["evaluate", model, path, "--missing-target", "drop"], "'x'", "(line ")


# ---- predictions ----


def test_columns_beside_predictions(tmp_path: Path) -> None:
    table = small().with_columns(
        id=pl.Series([f"i{i}" for i in range(60)]), w=pl.Series([1, 2] * 30)
    )
    path, model = written(tmp_path / "d.csv", table), tmp_path / "m"
    done("train", path, "--target", "y", "--id-column", "id", "--drop", "w", "--save", model, *FEW)
    assert {each["name"] for each in described(model)["columns"]} == {"a", "b", "c"}
    head = "id,prediction,probability of no,probability of yes"
    assert done("predict", model, path).stdout.splitlines()[0] == head
    lines = done("predict", model, path, "--keep", "w,id", "--no-proba").stdout.splitlines()
    assert lines[0] == "w,id,prediction"
    assert lines[2].startswith("2,i1,")
    out = tmp_path / "p.npz"
    done("predict", model, path, "--out", out)
    with np.load(out) as file:
        assert file["id"][1] == "i1"
    refused(tmp_path, ["predict", model, path, "--keep", "idd"], "--keep", "did you mean 'id'")
    refused(tmp_path, ["train", path, "--target", "y", "--id-column", "y"], "--id-column", "target")


# ---- weights ----


def test_weights_of_rows_are_those_of_repeated_rows(tmp_path: Path) -> None:
    """In steps over all rows a row of weight 2 is a row that stands there twice."""
    table = small(8).with_columns(w=pl.Series([1, 2, 1, 1, 3, 1, 1, 1]))
    repeated = table.select(pl.exclude("w").repeat_by("w").explode())
    how = ("--target", "y", "--validation", 0, "--optimizer", "sgd", "--lr", 0.1, "--batch-size",
           100, "--numbers", "a", "--drop", "b", "--hidden", 3, "--epochs", 3)  # fmt: skip
    states = []
    for name, data, more in (("w", table, ["--weight-column", "w"]), ("r", repeated, [])):
        path = written(tmp_path / f"{name}.csv", data.with_columns(a=pl.col("a") * 0 + pl.lit(1.0)))
        done("train", path, *how, *more, "--save", tmp_path / name)
        states.append(gd.load_model(tmp_path / name).network.state_dict())
    for key, value in states[0].items():
        np.testing.assert_allclose(value, states[1][key], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([-1.0, 1.0], ["'w'", "-1.0", "row 1 (line 2)"]),
        ([1.0, None], ["missing cell", "row 2 (line 3)"]),
        ([0.0, 0.0], ["above 0"]),
        (["1", "x"], ["'x'", "row 2"]),
    ],
)
def test_weights_that_are_none(tmp_path: Path, cells: list[Any], words: list[str]) -> None:
    path = written(tmp_path / "d.csv", small(w=cells * 30))
    words = [each.replace("'w'", "--weight-column w") for each in words]
    refused(tmp_path, ["train", path, "--target", "y", "--weight-column", "w"], *words)


def test_parts_that_weigh_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(w=[1, *[0] * 59]))
    how = ["train", path, "--target", "y", "--weight-column", "w"]
    refused(tmp_path, how, "--weight-column w is 0", "held out", "--seed")
    refused(tmp_path, [*how, "--folds", 3], "fold ", "--weight-column w is 0")
    done(*how, "--validation", 0, *FEW)


def test_class_weights(tmp_path: Path) -> None:
    from gdcore.cli import weighing
    from gdcore.cli.targets import Chosen
    from gdcore.tabular.meanings import ClassTarget

    y = np.array([0, 0, 0, 1])
    chosen = Chosen(ClassTarget("y", ("a", "b")), y, None, "")
    every = np.arange(4)
    assert weighing.by_class("balanced", chosen, every) == pytest.approx([2 / 3] * 3 + [2])
    assert weighing.by_class("b=3", chosen, every).tolist() == [1, 1, 1, 3]
    assert weighing.by_class('{"a": 0.5, "b": 2}', chosen, every[2:]).tolist() == [0.5, 2]
    path = written(tmp_path / "d.csv", small())
    for option in ("balanced", "yes=1,no=4"):
        done("train", path, "--target", "y", "--class-weight", option, "--folds", 2, *FEW)
    for option, word in (
        ("maybe=2", "'maybe'"),
        ("yes", "balanced"),
        ("{", "JSON"),
        ("no=-1", "0"),
    ):
        refused(tmp_path, ["train", path, "--target", "y", "--class-weight", option], word)
    refused(tmp_path, ["train", path, "--target", "a", "--class-weight", "balanced"], "classes")


# ---- what is held out, and the best epoch ----


def test_a_file_of_its_own_is_held_out(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    later = written(tmp_path / "later.csv", small(20).select("y", "c", "a", "b"))
    how = ["train", path, "--target", "y", "--validation-file", later]
    result = done(*how, "--save", tmp_path / "m", *FEW)
    assert "60 for training, 20 held out" in result.stderr
    again = done("train", path, "--resume", tmp_path / "m", "--validation-file", later)
    assert "60 for training, 20 held out" in again.stderr
    done(*how, "--seeds", 2, *FEW)
    other = written(tmp_path / "other.csv", small(20, y=["no", "perhaps"] * 10))
    refused(tmp_path, [*how[:-1], other], "'perhaps'", "row 2 (line 3)")
    refused(tmp_path, [*how, "--validation", 0.1], "--validation-file")
    refused(tmp_path, [*how, "--folds", 2], "--validation-file", "--folds")


@pytest.mark.parametrize("metric", ["loss", "f1", "auc", "accuracy"])
def test_the_best_epoch_by_a_metric(tmp_path: Path, metric: str) -> None:
    path = written(tmp_path / "d.csv", small(z=["p", "q", "r"] * 20))
    how = ("--hidden", 4, "--epochs", 6, "--save", tmp_path / "m", "--metric", metric)
    told = done("train", path, "--target", "z", *how).stderr
    assert f"with val_{metric}" in told
    assert "of 6 epochs" in told
    with pytest.warns(UserWarning, match="columns of a table"):
        history = gd.Trainer.load(tmp_path / "m").history[f"val_{metric}"]
    best = min(history) if metric == "loss" else max(history)
    assert f"with val_{metric} {best:.5g}" in told
    told = done("train", path, "--target", "z", *how[:2], "--epochs", 50, "--lr", 0,
                "--early-stopping", 2, "--metric", metric).stderr  # fmt: skip
    assert "stopped after 3 of 50 epochs" in told


def test_metrics_that_do_not_go(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    refused(tmp_path, ["train", path, "--target", "y", "--metric", "f2"], "--metric", "f1")
    refused(tmp_path, ["train", path, "--target", "a", "--metric", "f1"], "f1", "numbers")
    refused(tmp_path, ["train", path, "--target", "y", "--metric", "f1", "--validation", 0], "held")


# ---- targets ----


def test_labels_of_which_several_may_hold(tmp_path: Path) -> None:
    table = small().with_columns(
        p=(pl.col("a") > 7).cast(int), q=pl.Series([True, False, True] * 20), y=None
    )
    path, model = written(tmp_path / "d.csv", table.drop("y")), tmp_path / "m"
    told = done("train", path, "--target", "p,q", "--epochs", 60, "--save", model).stderr
    assert "several labels: 'p', 'q': it has 2 columns of 0 and 1" in told
    lines = done("predict", model, path).stdout.splitlines()
    assert lines[0] == "prediction of p,prediction of q,probability of p,probability of q"
    loaded = gd.load_model(model)
    x = table.drop("y", "p", "q").to_dict(as_series=False)
    truth = table.select(pl.col("p", "q").cast(int)).to_numpy()
    assert (loaded.predict(x) == truth).mean() > 0.95
    assert loaded.classes == ("p", "q")
    assert loaded.predict_proba(x).shape == (60, 2)
    targets = loaded.preparation.transform_target(table.select("p", "q"))
    assert np.array_equal(targets, truth)
    assert "target 'q'" in done("info", model).stdout
    done("train", path, "--resume", model, "--epochs", 1)
    done("train", path, "--target", "p,q", "--seeds", 2, "--save", model, *FEW)
    assert "all labels right" in done("evaluate", model, path).stdout
    done("train", path, "--target", "p,q", "--folds", 2, "--metrics", "f1,auc", *FEW)
    wrong = written(tmp_path / "w.csv", small(p=[0, 1, 2] * 20, q=[0, 1] * 30))
    words = ("'p'", "0 or 1", "got 2", "row 3 (line 4)")
    refused(tmp_path, ["train", wrong, "--target", "p,q", "--task", "multilabel"], *words)


def test_one_hot_targets_are_classes(tmp_path: Path) -> None:
    table = small().drop("y")
    table = table.with_columns(
        (table["c"] == name).cast(int).alias(name) for name in ("red", "blue")
    )
    table = table.with_columns(green=1 - pl.col("red") - pl.col("blue")).drop("c")
    path, model = written(tmp_path / "d.csv", table), tmp_path / "m"
    told = done("train", path, "--target", "red,blue,green", "--save", model, *FEW).stderr
    assert "into 3 classes: it has 3 columns, of which one is 1 in each row" in told
    assert done("predict", model, path).stdout.splitlines()[1].partition(",")[0] in table.columns
    labels = gd.load_model(model).preparation.transform_target(table)
    assert labels.tolist()[:3] == [0, 2, 1]
    done("train", path, "--resume", model, "--epochs", 1)
    wrong = written(tmp_path / "w.csv", table.with_columns(red=pl.lit(1)))
    refused(tmp_path, ["evaluate", model, wrong], "one-hot", "'red' and 'green'", "row 2 (line 3)")


def test_several_numbers(tmp_path: Path) -> None:
    table = small().with_columns(s=pl.col("a") + pl.col("b"), d=pl.col("a") - 2 * pl.col("b"))
    path, model = written(tmp_path / "d.csv", table), tmp_path / "m"
    result = done("train", path, "--target", "s,d", "--save", model, *FEW)
    assert "it has 2 columns" in result.stderr
    assert "by target" in result.stdout
    assert done("predict", model, path).stdout.startswith("prediction of s,prediction of d\n")
    assert gd.load_model(model).preparation.fitted.target.columns == ("s", "d")
    done("train", path, "--resume", model, "--epochs", 1)
    refused(tmp_path, ["train", path, "--target", "s,dd"], "--target", "did you mean 'd'")


def test_forged_targets_are_found() -> None:
    from gdcore.tabular.meanings import target_from

    labels = {"kind": "labels", "name": "p, q", "columns": ["p", "q"]}
    assert target_from("t", labels).fits(2)
    for wrong in (
        labels | {"columns": ["p", "p"]},
        {"kind": "classes", "name": "y", "classes": ["a", "b"], "one_hot": ["a"]},
    ):
        with pytest.raises(ValueError, match=r"t\.(columns|one_hot)"):
            target_from("t", json.loads(json.dumps(wrong)))


def test_a_rate_that_falls_where_nothing_becomes_better(tmp_path: Path) -> None:
    path, model = written(tmp_path / "d.csv", small()), tmp_path / "m"
    how = ["train", path, "--target", "y", "--schedule", "plateau"]
    done(*how, "--lr", 0, "--epochs", 2, "--save", model)
    assert "ReduceOnPlateau(" in done("info", model).stdout
    done(*how, "--validation", 0, *FEW)
    done(*how, "--folds", 2, *FEW)
    refused(tmp_path, [*how, "--warmup", 1], "--warmup", "plateau")


def test_help_tells_it() -> None:
    told = run("train", "--help").stdout
    for option in ("--sep", "--early-stopping", "--class-weight", "--validation-file", "--report"):
        assert option in told
    assert "gdcore evaluate model.safetensors" in run("evaluate", "--help").stdout
