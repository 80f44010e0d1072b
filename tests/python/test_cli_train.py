"""gdcore train on files: what it makes of them, and what it refuses."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command_line import arrays, done, frame, npz, put, refused, run, small, written

import gdcore as gd
from gdcore.files import read_description
from gdcore.tabular.fitted import Fitted

FEW = ["--epochs", "2", "--hidden", "8"]


def figure(out: str, name: str) -> float:
    found = re.search(rf"{name}\D*?(-?[\d.,]+)", out)
    assert found, out
    return float(found[1].replace(",", ""))


# ---- what is learnt ----


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "npz"])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_classes_are_learnt_from_any_file(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / f"{name}.{ending}"
    if ending == "csv.gz":
        path.write_bytes(gzip.compress(frame(name).write_csv().encode()))
    else:
        written(path, frame(name))
    name_of_target = "y" if ending == "npz" else "target"
    result = done("train", path, "--target", name_of_target, "--epochs", 60, "--lr", 0.01)
    assert figure(result.stdout, "accuracy, held out") >= 90
    assert f"classification of '{name_of_target}' into" in result.stderr
    assert "it holds text" in result.stderr


def test_all_files_of_the_same_data_train_to_the_same_bits(tmp_path: Path) -> None:
    results = []
    for ending in ("csv", "parquet"):
        path = written(tmp_path / f"wine.{ending}", frame("wine"))
        done("train", path, "--target", "target", *FEW, "--save", tmp_path / "model")
        results.append((tmp_path / "model").read_bytes())
    assert results[0] == results[1]


def test_numbers_are_learnt_in_their_own_units(tmp_path: Path) -> None:
    path = written(tmp_path / "diabetes.csv", frame("diabetes"))
    result = done("train", path, "--target", "target", "--epochs", 40, "--hidden", "16",
                  "--save", tmp_path / "m", "--lr", "0.003")  # fmt: skip
    assert "regression of 'target': it holds 214 different numbers" in result.stderr
    assert figure(result.stdout, "r2, held out") > 0.3
    predicted = pl.read_csv(done("predict", tmp_path / "m", path).stdout.encode())["prediction"]
    truth = frame("diabetes")["target"].to_numpy()
    held_out = 442 // 5
    squares = (predicted.to_numpy() - truth) ** 2
    # The rows of both parts together, and those of the table weighted by their numbers.
    parts = [figure(result.stdout, f"rmse, {part}") ** 2 for part in ("training", "held out")]
    both = (parts[0] * (442 - held_out) + parts[1] * held_out) / 442
    assert squares.mean() == pytest.approx(both, rel=1e-3)


def test_several_numbers_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.stack([100 * x[:, 0] + 1000, 1e-3 * x[:, 1]], axis=1)
    np.savez(tmp_path / "d.npz", x=x, goal=y)
    result = done("train", tmp_path / "d.npz", "--target", "goal", "--epochs", 60,
                  "--save", tmp_path / "m")  # fmt: skip
    assert "it has 2 columns" in result.stderr
    assert figure(result.stdout, "r2, held out") > 0.9
    done("predict", tmp_path / "m", tmp_path / "d.npz", "--out", tmp_path / "p.npz")
    predicted = arrays(tmp_path / "p.npz")["prediction"]
    assert predicted.shape == (200, 2)
    assert np.corrcoef(predicted[:, 1], y[:, 1])[0, 1] > 0.95
    assert np.abs(predicted[:, 0] - y[:, 0]).max() < 100
    assert "'goal[1]'" in done("info", tmp_path / "m").stdout


@pytest.mark.parametrize(
    ("y", "task", "kind"),
    [
        ([i % 3 for i in range(60)], "auto", int),
        ([i % 2 for i in range(60)], "auto", int),
        ([float(i % 2) for i in range(60)], "auto", float),
        ([i % 7 for i in range(60)], "classification", int),
        ([i % 2 / 2 for i in range(60)], "classification", float),
        ([i % 2 == 0 for i in range(60)], "auto", bool),
        (["ab"[i % 2] for i in range(60)], "auto", str),
    ],
)
def test_classes_keep_their_type(tmp_path: Path, y: list[Any], task: str, kind: type) -> None:
    path = written(tmp_path / "d.parquet", small(y=y))
    done("train", path, "--target", "y", "--task", task, *FEW, "--save", tmp_path / "m")
    done("predict", tmp_path / "m", path, "--out", tmp_path / "p.parquet")
    predicted = pl.read_parquet(tmp_path / "p.parquet")
    assert type(predicted["prediction"][0]) is kind
    assert set(predicted["prediction"]) <= set(y)
    assert predicted.width == 1 + len(set(y))


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([i % 7 for i in range(60)], "regression of 'y': it holds 7 different numbers"),
        ([i % 6 for i in range(60)], "classification of 'y' into 6 classes: its 6 values are"),
        ([i / 8 for i in range(60)], "regression of 'y': it holds 60 different numbers"),
        ([0.5 + i % 2 for i in range(60)], "regression of 'y': it holds 2 different numbers"),
        (["tf"[i % 2] for i in range(60)], "classification of 'y' into 2 classes: it holds text"),
    ],
)
def test_the_task_is_chosen_and_told(tmp_path: Path, y: list[Any], words: str) -> None:
    path = written(tmp_path / "d.csv", small(y=y))
    assert words in done("train", path, "--target", "y", *FEW).stderr


def test_a_task_can_be_told(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(y=[i % 3 for i in range(60)]))
    result = done("train", path, "--target", "y", "--task", "regression", *FEW)
    assert "regression of 'y': --task says so" in result.stderr
    assert "rmse, held out" in result.stdout
    assert "accuracy" not in result.stdout


def test_text_is_learnt_from(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(y=["ab"[i % 3 == 0] for i in range(60)]))
    result = done("train", path, "--target", "y", "--drop", "a,b", "--epochs", "30")
    assert "inputs: 3, from 0 columns of numbers and 1 of categories" in result.stderr
    assert figure(result.stdout, "accuracy, held out") == 100


def test_codes_can_be_categories(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(c=[i % 3 for i in range(60)]))
    assert "inputs: 3," in done("train", path, "--target", "y", *FEW).stderr
    result = done("train", path, "--target", "y", "--categories", "c", *FEW)
    assert "inputs: 5, from 2 columns of numbers and 1 of categories" in result.stderr


def test_codes_can_be_classes_by_their_text(tmp_path: Path) -> None:
    codes = [("001", "01", "1")[i % 3] for i in range(60)]
    path = written(tmp_path / "d.csv", small(y=codes))
    done("train", path, "--target", "y", "--categories", "y", *FEW, "--save", tmp_path / "m")
    assert (
        "probability of 001,probability of 01,probability of 1"
        in done("predict", tmp_path / "m", path).stdout
    )


def test_truth_values_and_numbers_of_all_types_are_inputs(tmp_path: Path) -> None:
    table = small().with_columns(
        t=pl.Series([i % 2 == 0 if i % 5 else None for i in range(60)]),
        u=pl.Series(range(60), dtype=pl.UInt8),
        f=pl.Series(range(60), dtype=pl.Float32),
        d=pl.Series(range(60)).cast(pl.Decimal(10, 2)),
        e=pl.Series(["x", "y"] * 30, dtype=pl.Categorical),
    )
    path = written(tmp_path / "d.parquet", table)
    result = done("train", path, "--target", "y", *FEW)
    assert "inputs: 13, from 5 columns of numbers and 3 of categories" in result.stderr


def test_blanks_around_names_and_cells_do_not_count(tmp_path: Path) -> None:
    text = " a , c , y \n" + "".join(f" {i} , {'uv'[i % 2]} ,{'pq'[i % 2]}  \n" for i in range(40))
    (tmp_path / "d.csv").write_text(text)
    done("train", tmp_path / "d.csv", "--target", "y", *FEW, "--save", tmp_path / "m")
    (tmp_path / "e.csv").write_text("c,a\nu,3\n")
    assert "p," in done("predict", tmp_path / "m", tmp_path / "e.csv").stdout


def test_one_value_only_is_left_out_with_a_note(tmp_path: Path) -> None:
    table = small(p=[5] * 60, q=["same"] * 60, r=[None] * 60)
    result = done("train", written(tmp_path / "d.csv", table), "--target", "y", *FEW)
    for name, why in (
        ("p", "one value only, 5"),
        ("q", "one value only, 'same'"),
        ("r", "no cell"),
    ):
        assert f"left out '{name}': it has {why}" in result.stderr
    assert "inputs: 5," in result.stderr


def test_missing_text_is_a_category_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(c=put(small()["c"], (4, None), (9, "  "))))
    result = done("train", path, "--target", "y", *FEW, "--save", tmp_path / "m")
    assert "inputs: 6," in result.stderr
    assert "4 categories: blue, green, red, missing" in done("info", tmp_path / "m").stdout


def test_missing_numbers_can_become_the_mean_of_the_training_part(tmp_path: Path) -> None:
    table = small(a=put(small()["a"], (4, None), (9, None)))
    path = written(tmp_path / "d.parquet", table)
    done("train", path, "--target", "y", *FEW, "--missing", "mean", "--save", tmp_path / "m")
    kept = read_description(tmp_path / "m")["extra"]["preparation"]
    column = kept["columns"][0]
    assert column["name"] == "a"
    assert kept["fill"] is True
    # Who fills in the mean by hand gets the same predictions.
    filled = written(
        tmp_path / "e.parquet", table.with_columns(pl.col("a").fill_null(column["mean"]))
    )
    first, second = (done("predict", tmp_path / "m", each).stdout for each in (path, filled))
    assert first == second


def test_mean_and_deviation_are_those_of_the_rows_for_training(tmp_path: Path) -> None:
    table = small()
    path = written(tmp_path / "d.parquet", table)
    done("train", path, "--target", "y", *FEW, "--seed", 3, "--save", tmp_path / "m")
    from gdcore.cli.split import split

    kept, held_out = split(60, 0.2, 3)
    assert sorted([*kept, *held_out]) == list(range(60))
    assert len(held_out) == 12
    preparation = Fitted.from_json(read_description(tmp_path / "m")["extra"]["preparation"])
    a = table["a"].to_numpy()[kept]
    assert preparation.columns[0].mean == pytest.approx(a.mean(), rel=1e-15)  # type: ignore[union-attr]
    assert preparation.columns[0].deviation == pytest.approx(a.std(), rel=1e-15)  # type: ignore[union-attr]


def test_texts_that_mean_missing(tmp_path: Path) -> None:
    table = small().cast({"a": pl.String})
    table = table.with_columns(a=pl.Series(put(table["a"], (4, "gone"), (9, "no, not yet"))))
    path = written(tmp_path / "d.csv", table)
    gone = ["--na", "gone"]
    refused(
        tmp_path, ["train", path, "--target", "y", *gone], "'a'", "row 10", "--na 'no, not yet'"
    )
    for given in ([*gone, "--na", "no, not yet"], ["--na", "gone,x", "--na", "no, not yet"]):
        options = [*given, "--missing", "mean", *FEW, "--save", tmp_path / "m"]
        done("train", path, "--target", "y", *options)
        done("predict", tmp_path / "m", path)
    assert "empty, or gone" in done("info", tmp_path / "m").stdout


def test_the_text_nan_is_a_missing_number(tmp_path: Path) -> None:
    table = small().cast({"a": pl.String})
    path = written(tmp_path / "d.csv", table.with_columns(a=pl.Series(put(table["a"], (4, "NaN")))))
    refused(tmp_path, ["train", path, "--target", "y"], "'a'", "1 missing", "row 5", "--missing")
    done("train", path, "--target", "y", "--missing", "mean", *FEW)


def test_rows_and_lines_are_both_told(tmp_path: Path) -> None:
    lines = small().write_csv().splitlines()
    lines[8] = "x,1,red,yes"
    (tmp_path / "d.csv").write_text("by hand\n" + "\n".join(lines) + "\n\n")
    arguments = ["train", tmp_path / "d.csv", "--target", "y", "--skip-lines", "1"]
    refused(tmp_path, arguments, "'x'", "row 8 (line 10)")


@pytest.mark.parametrize("share", [0, 0.29, 0.5])
def test_the_share_that_is_held_out(tmp_path: Path, share: float) -> None:
    path = written(tmp_path / "d.csv", small(100))
    result = done("train", path, "--target", "y", *FEW, "--validation", share)
    assert f"{100 - round(100 * share)} for training, {round(100 * share)} held" in result.stderr
    assert ("accuracy, held out" in result.stdout) == (share > 0)
    assert ("val_loss" in result.stderr) == (share > 0)


def test_figures_of_speed_and_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    out = done("train", path, "--target", "y", *FEW).stdout
    for name in ("loss, training", "loss, held out", "time", "samples/s", "GFLOP/s", "peak memory"):
        figure(out, name)
    assert 20 < figure(out, "peak memory") < 20_000


# ---- loss, schedule, files ----


def trainer_of(path: Path, *options: object) -> gd.Trainer:
    model = path.with_suffix(".model")
    done("train", path, "--target", "y", "--hidden", "8", "--save", model, *options)
    with pytest.warns(UserWarning, match="gdcore predict"):
        return gd.Trainer.load(model)


def test_a_loss_can_be_chosen(tmp_path: Path) -> None:
    classes = written(tmp_path / "c.csv", small())
    trainer = trainer_of(classes, "--loss", "bce_with_logits", "--epochs", 40, "--lr", 0.05)
    assert trainer.loss == gd.BCEWithLogits()
    assert trainer.network.output_size == 1
    predicted = pl.read_csv(done("predict", tmp_path / "c.model", classes).stdout.encode())
    assert predicted.columns == ["prediction", "probability of no", "probability of yes"]
    assert (predicted["prediction"] == small()["y"]).mean() > 0.9
    numbers = written(tmp_path / "n.csv", small(y=[i / 7 for i in range(60)]))
    assert trainer_of(numbers, "--loss", "huber", "--epochs", 1).loss == gd.Huber()


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ([], [1, 1, 1, 1, 1, 1]),
        (["--schedule", "step"], [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (["--schedule", "exponential"], [0.01 ** (t / 5) for t in range(6)]),
        (["--schedule", "cosine"], [(1 + np.cos(np.pi * t / 6)) / 2 for t in range(6)]),
        (["--warmup", "2"], [1 / 3, 2 / 3, 1, 1, 1, 1]),
        (["--schedule", "step", "--warmup", "3"], [1 / 3, 5 / 9, 7 / 9, 1, 0.1, 0.01]),
    ],
    ids=str,
)
def test_the_schedule_of_the_learning_rate(
    tmp_path: Path, options: list[str], rates: list[float]
) -> None:
    path = written(tmp_path / "d.csv", small())
    made = trainer_of(path, *options, "--epochs", 6, "--lr", 0.5)
    # A trainer of the same schedule, asked before each epoch.
    fresh = gd.Trainer(made.network, made.loss, made.optimizer, schedule=made.schedule)
    found = []
    for _ in range(6):
        found.append(fresh.lr)
        fresh.fit(np.zeros((2, made.network.input_size)), [0, 1], progress=False)
    np.testing.assert_allclose(found, 0.5 * np.array(rates), rtol=1e-6)


def test_one_epoch_takes_any_schedule(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    for name in ("constant", "step", "cosine", "one_cycle", "coslog"):
        done("train", path, "--target", "y", "--epochs", 1, "--schedule", name)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_curves_are_drawn(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, of the extra plot, is not installed")
    path = written(tmp_path / "d.csv", small())
    picture = tmp_path / f"curve.{ending}"
    done("train", path, "--target", "y", *FEW, "--plot", picture, "--validation", 0)
    first = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert picture.read_bytes().startswith(first)
    assert sorted(each.name for each in tmp_path.iterdir()) == [picture.name, "d.csv"]


def test_without_matplotlib_plot_tells_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "d.csv", small())
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    options = ["--plot", tmp_path / "p.png", "--save", tmp_path / "m"]
    told = refused(tmp_path, ["train", path, "--target", "y", *options], 'gdcore[plot]"')
    assert "epoch" not in told, "it has trained"


def test_ctrl_c_saves_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "d.csv", small())
    fit = gd.Trainer.fit

    def interrupted(self: gd.Trainer, *args: Any, **options: Any) -> None:
        fit(self, *args, **(options | {"epochs": 2}))
        raise KeyboardInterrupt

    monkeypatch.setattr(gd.Trainer, "fit", interrupted)
    result = run("train", path, "--target", "y", "--epochs", 9, "--save", tmp_path / "m")
    assert result.exit_code == 130
    assert "stopped after 2 of 9 epochs" in result.stderr
    assert str(tmp_path / "m") in result.stderr
    with pytest.warns(UserWarning, match="gdcore predict"):
        assert gd.Trainer.load(tmp_path / "m").epochs == 2
    done("predict", tmp_path / "m", path)
    result = run("train", path, "--target", "y", "--epochs", 9)
    assert result.exit_code == 130
    assert "nothing is saved" in result.stderr


def test_arrays_keep_all_their_columns(tmp_path: Path) -> None:
    """Who predicts has an array of the same width, constant columns or not."""
    x = np.ones((40, 3))
    x[:, 1] = np.arange(40) % 2
    path = npz(tmp_path / "d.npz", x=x, y=np.arange(40) % 2)
    assert "inputs: 3," in done("train", path, *FEW).stderr


# ---- all rows at once ----


@pytest.mark.parametrize(
    "options", [["lbfgs"], ["levenberg_marquardt", "--dtype", "float64"]], ids=lambda each: each[0]
)
def test_solvers_take_all_rows_unless_they_are_told_otherwise(
    tmp_path: Path, options: list[str]
) -> None:
    path = written(tmp_path / "diabetes.csv", frame("diabetes"))
    train = ["train", path, "--target", "target", "--hidden", "3", "--activation", "tanh"]
    train += ["--optimizer", *options]
    result = done(*train, "--epochs", 400, "--weight-decay", 0.1)
    assert re.search(r"converged after \d+ of 400 epochs, by \w+", result.stderr)
    assert figure(result.stdout, "r2, held out") > 0.3
    asked = re.findall(r"[\d,]+ (losses|gradients|jacobians)", result.stdout)
    assert ("gradients" in asked) == (options[0] == "lbfgs") == ("jacobians" not in asked)
    assert ("GFLOP/s" in result.stdout) == ("jacobians" not in asked)
    refused(tmp_path, [*train, "--batch-size", 32], "--batch-size must be left out with")
    if options[0] == "lbfgs":
        refused(tmp_path, ["scaling", *train[1:]], "--optimizer must be one that trains by steps")
    else:
        refused(tmp_path, train[:-2], "a network of float64, got float32")
        refused(tmp_path, [*train, "--lr", 0.1], "--lr is for")
        refused(tmp_path, [*train, "--schedule", "cosine"], "schedule must be None")
