"""gdcore train --seeds and --folds: many networks, one table, one model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command_line import arrays, done, frame, refused, written

import gdcore as gd
from gdcore.cli import several
from gdcore.files import read_description
from gdcore.tabular.fitted import Fitted

FEW = ["--target", "target", "--epochs", "4", "--hidden", "8", "--lr", "0.01"]


def table(out: str) -> list[list[str]]:
    """Cells of the rows of what was printed first."""
    lines = out.split("└")[0].splitlines()
    rows = [re.split(r"[│┃]", line)[1:-1] for line in lines if re.match(r"[│┃]", line)]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("many")
    for name in ("wine", "diabetes"):
        written(path / f"{name}.csv", frame(name))
    return path


def test_seeds_are_trained_as_each_alone(folder: Path, tmp_path: Path) -> None:
    data = folder / "wine.csv"
    result = done("train", data, *FEW, "--seeds", 3, "--seed", 5,
                  "--save", tmp_path / "m")  # fmt: skip
    rows = table(result.stdout)
    assert rows[0] == ["seed", "epochs", "loss", "accuracy"]
    assert [row[0] for row in rows[1:]] == ["5", "6", "7", "mean", "deviation", "together"]
    assert "figures, held out" in result.stdout
    shares = [float(row[3].rstrip("%")) for row in rows[1:4]]
    assert float(rows[4][3].rstrip("%")) == pytest.approx(np.mean(shares), abs=0.01)
    assert float(rows[5][3].rstrip("%")) == pytest.approx(np.std(shares, ddof=1), abs=0.01)
    assert f"written: {tmp_path / 'm'}, an ensemble of 3 networks" in result.stderr
    model = gd.Ensemble._loaded(tmp_path / "m", warns=False)
    done("train", data, *FEW, "--seed", 5, "--save", tmp_path / "one")
    alone = gd.Network._loaded(tmp_path / "one", warns=False)
    first = model.networks[0]
    assert [each.seed for each in model.networks] == [5, 6, 7]
    for key, value in alone.state_dict().items():
        assert np.array_equal(first.state_dict()[key], value), key


def test_a_model_of_classes_predicts_the_mean_of_probabilities(
    folder: Path, tmp_path: Path
) -> None:
    data, model = folder / "wine.csv", tmp_path / "m"
    done("train", data, *FEW, "--seeds", 3, "--save", model)
    told = pl.read_csv(done("predict", model, data).stdout.encode())
    loaded = gd.Ensemble._loaded(model, warns=False)
    preparation = Fitted.of_model(read_description(model), loaded.networks[0])
    assert preparation is not None
    done("predict", model, data, "--out", tmp_path / "p.npz")
    predicted = arrays(tmp_path / "p.npz")
    shares = predicted["probability"]
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(predicted["classes"][shares.argmax(axis=1)], predicted["prediction"])
    assert told["prediction"].to_list() == predicted["prediction"].tolist()
    truth = frame("wine")["target"].to_numpy()
    assert (predicted["prediction"] == truth).mean() > 0.9
    info = done("info", model).stdout
    assert "Ensemble(3 x Network(13 -> 8 relu -> 3, float32, 139 parameters))" in info
    assert re.search(r"seeds\s*│ 0, 1, 2", info)
    assert "target 'target'" in info
    with pytest.warns(UserWarning, match="gdcore predict"):
        gd.Ensemble.load(model)


def test_two_classes_by_one_output(folder: Path, tmp_path: Path) -> None:
    data = written(tmp_path / "b.csv", frame("breast_cancer"))
    result = done("train", data, *FEW, "--seeds", 2, "--loss", "bce_with_logits",
                  "--metrics", "auc", "--save", tmp_path / "m")  # fmt: skip
    assert table(result.stdout)[0] == ["seed", "epochs", "loss", "accuracy", "auc"]
    done("predict", tmp_path / "m", data, "--out", tmp_path / "p.npz")
    found = arrays(tmp_path / "p.npz")
    assert found["probability"].shape == (569, 2)
    assert (found["prediction"] == frame("breast_cancer")["target"].to_numpy()).mean() > 0.9


def test_folds_hold_every_row_out_once(folder: Path, tmp_path: Path) -> None:
    data = folder / "diabetes.csv"
    result = done("train", data, *FEW, "--folds", 3, "--seeds", 2, "--patience", 2,
                  "--save", tmp_path / "m")  # fmt: skip
    rows = table(result.stdout)
    assert rows[0] == ["fold", "seed", "epochs", "loss", "rmse", "mae", "r2"]
    assert [row[:2] for row in rows[1:-2]] == [
        [str(fold), str(seed)] for fold in range(3) for seed in range(2)
    ]
    assert [row[0] for row in rows[-2:]] == ["mean", "deviation"]
    assert "folds: 3, each held out by 2 of the networks" in result.stderr
    assert "rows: 442 for training, 0 held out" in result.stderr
    loaded = gd.Ensemble._loaded(tmp_path / "m", warns=False)
    assert len(loaded) == 6
    predicted = pl.read_csv(done("predict", tmp_path / "m", data).stdout.encode())["prediction"]
    truth = frame("diabetes")["target"].to_numpy()
    assert np.corrcoef(predicted.to_numpy(), truth)[0, 1] > 0.5


@pytest.mark.parametrize("embed", [[], ["--embed", 3]])
def test_each_fold_is_prepared_from_its_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embed: list[Any]
) -> None:
    """No number of a row that is held out reaches its network; the model is of these networks."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=60)
    a[7] = 1e4  # which would squeeze all others
    once = np.zeros(60)
    once[11] = 1.0  # one number only, where that row is held out
    data = pl.DataFrame({
        "a": a, "once": once, "c": [f"c{i % 4}" for i in range(60)],
        "gap": [None if i % 9 == 4 else float(i % 7) for i in range(60)],
        "y": rng.normal(size=60) + 10,
    })  # fmt: skip
    path = written(tmp_path / "d.csv", data)
    seen: dict[str, Any] = {}
    fit_many, joined = several.fit_many, several.folded.joined
    monkeypatch.setattr(several.folded, "joined", lambda parts: seen.setdefault(
        "joined", joined(seen.setdefault("parts", parts))))  # fmt: skip
    monkeypatch.setattr(several, "fit_many", lambda *given, **options: seen.setdefault(
        "results", fit_many(*given, **options)))  # fmt: skip
    options = ["--target", "y", "--hidden", 8, "--epochs", 3, "--categories", "c", *embed]
    result = done("train", path, *options, "--folds", 4, "--missing", "mean",
                  "--task", "regression", "--save", tmp_path / "m")  # fmt: skip
    assert "means and deviations of columns are of the other rows" in result.stderr
    outputs, errors = [], []
    for fold, one in zip(seen["parts"], seen["results"], strict=True):
        assert sorted([*fold.kept, *fold.held_out]) == list(range(60))
        numbers = fold.whole.x["numbers"] if embed else fold.whole.x
        there = data["gap"].is_not_null().to_numpy()[fold.kept]
        for column, rows in ((0, fold.kept), (1, fold.kept), (-1, fold.kept[there])):
            values = numbers[rows, column]
            silent = column == 1 and 11 in fold.held_out
            assert values.std() == pytest.approx(0 if silent else 1, abs=1e-5)
            assert values.mean() == pytest.approx(0, abs=1e-5)
            if silent:
                assert abs(numbers[:, column]).max() < 1e-20
        assert fold.whole.y[fold.kept].std() == pytest.approx(1)
        alone = several._trainer(one.trainer, 0)
        part = fold.whole.rows(fold.kept)
        alone.fit(part.x, part.y, epochs=3, progress=False)
        for key, value in alone.network.state_dict().items():
            assert np.array_equal(value, one.trainer.network.state_dict()[key]), key
        told = fold.chosen.target.restored(one.trainer.network.predict(fold.whole.x))[:, 0]
        outputs.append(told)
        truth = data["y"].to_numpy()
        errors.append(np.sqrt(((told - truth)[fold.held_out] ** 2).mean()))
    assert [float(row[4]) for row in table(result.stdout)[1:5]] == pytest.approx(errors, rel=1e-4)
    filled = ["--out", tmp_path / "p.npz"]
    done("predict", tmp_path / "m", path, *filled)
    predicted = arrays(tmp_path / "p.npz")["prediction"]
    whole = data["gap"].is_not_null().to_numpy()
    np.testing.assert_allclose(predicted[whole], np.mean(outputs, axis=0)[whole], rtol=1e-4)


def test_without_rows_held_out_figures_are_of_the_training(folder: Path) -> None:
    result = done("train", folder / "wine.csv", *FEW, "--seeds", 2, "--validation", 0)
    assert "figures, training" in result.stdout
    assert "together" not in result.stdout


def test_columns_that_are_embedded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, 30, 300)
    data = pl.DataFrame({"place": [f"p{i}" for i in place], "n": rng.normal(size=300),
                         "y": place * 0.1 + rng.normal(size=300) * 0.1})  # fmt: skip
    path = written(tmp_path / "t.csv", data)
    done("train", path, "--target", "y", "--embed", 10, "--seeds", 2, "--epochs", 3,
         "--save", tmp_path / "m")  # fmt: skip
    assert (
        "Ensemble(2 x Network(numbers 1 + categories 1 codes" in done("info", tmp_path / "m").stdout
    )
    assert len(done("predict", tmp_path / "m", path).stdout.splitlines()) == 301


def test_one_that_diverges_is_left_out_and_all_are_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder / "wine.csv"
    refused(tmp_path, ["train", data, "--target", "target", "--seeds", 2, "--lr", "1e30",
                       "--optimizer", "sgd", "--save", tmp_path / "m"],
            "the loss is not finite in epoch 1", "--lr")  # fmt: skip
    plain = several._trainer

    def one_wild(first: Any, after: int) -> Any:
        made = plain(first, after)
        if after == 1:
            made.lr = 1e30
        return made

    monkeypatch.setattr(several, "_trainer", one_wild)
    result = done("train", data, *FEW, "--optimizer", "sgd", "--seeds", 3, "--save", tmp_path / "m")
    assert "note: network 1 failed and is left out: the loss became" in result.stderr
    assert [row[0] for row in table(result.stdout)[1:]] == ["0", "2", "mean", "deviation",
                                                            "together"]  # fmt: skip
    assert "an ensemble of 2 networks" in result.stderr


def test_ctrl_c_saves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from command_line import run

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(several, "fit_many", interrupted)
    result = run("train", folder / "wine.csv", *FEW, "--seeds", 2, "--save", tmp_path / "m")
    assert result.exit_code == 130
    assert "stopped; nothing is saved" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--seeds", 0], "--seeds must be at least 1, got 0"),
        (["--folds", 1], "--folds must be at least 2, got 1"),
        (["--folds", 1000], "--folds must be at most the number of rows, 178, got 1000"),
        (["--folds", 3, "--validation", 0.1], "--validation must not be given with --folds"),
        (["--seeds", 2, "--plot", "p.png"], "--plot is for one training, got it with --seeds"),
        (["--folds", 2, "--profile", "p.json"], "--profile is for one training, got it with --f"),
        (["--seeds", 2, "--patience", 0], "--patience must be at least 1, got 0"),
        (["--folds", 2, "--patience", 0], "--patience must be at least 1, got 0"),
        (["--seeds", 2, "--patience", 3, "--validation", 0], "--patience needs rows"),
        (["--seeds", 2, "--threads", 0], "num_threads must be at least 1, got 0"),
    ],
)
def test_what_does_not_go_is_told(
    folder: Path, tmp_path: Path, given: list[Any], words: str
) -> None:
    refused(tmp_path, ["train", folder / "wine.csv", *FEW, *given], words)


def test_a_fold_that_cannot_be_prepared_is_told(tmp_path: Path) -> None:
    data = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "y": [0.5, 0.5, 2.5, 0.5]})
    path = written(tmp_path / "d.csv", data)
    refused(tmp_path, ["train", path, "--target", "y", "--folds", 4, "--task", "regression"],
            "of --folds 4: the target 'y' has one value only in the rows for training")  # fmt: skip


def test_an_ensemble_does_not_go_on_and_neither_do_seeds(folder: Path, tmp_path: Path) -> None:
    data = folder / "wine.csv"
    done("train", data, *FEW, "--seeds", 2, "--save", tmp_path / "m")
    refused(tmp_path, ["train", data, "--resume", tmp_path / "m"], "holds an ensemble")
    refused(tmp_path, ["train", data, "--resume", tmp_path / "m", "--seeds", 2],
            "--resume is for one training")  # fmt: skip
