"""gdcore train --embed: a learnt vector for each category of columns that have many."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

for package in ("typer", "rich", "sklearn", "polars"):
    pytest.importorskip(package, reason=f"{package}, of the extra cli, is not installed")

# They need the packages above.
from command_line import arrays, done, forged, npz, put, refused, small, written  # noqa: E402

import gdcore as gd  # noqa: E402
from gdcore.cli.split import split  # noqa: E402
from gdcore.tabular.fitted import Fitted  # noqa: E402
from gdcore.tabular.inputs import EmbeddedColumn  # noqa: E402
from gdcore.tabular.meanings import ClassTarget  # noqa: E402
from gdcore.tabular.networks import network_over  # noqa: E402

ROWS, USERS = 4000, 2000
FEW = ["--target", "y", "--hidden", "8", "--epochs", 2]
EMBEDDING = gd.Embedding(8, weight_init="lecun_normal")


def trainer_of(path: Path) -> gd.Trainer:
    with pytest.warns(UserWarning, match="was written by `gdcore train`"):
        return gd.Trainer.load(path)


def preparation_of(path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = gd.files.read_description(path)["extra"]["preparation"]
    return kept


def figure(out: str, name: str) -> float:
    found = re.search(rf"│ {name} +│ (-?[\d.,]+)", out)
    assert found, out
    return float(found[1].replace(",", ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table d.parquet with a column of 2,000 categories, and what trained on it: m, out, err."""
    made = tmp_path_factory.mktemp("embedded")
    users = [f"user {(7 * i) % USERS}" for i in range(ROWS)]
    table = small(ROWS, user=users, y=[(7 * i) % USERS % 11 + i / ROWS for i in range(ROWS)])
    data = written(made / "d.parquet", table)
    result = done("train", data, *FEW, "--embed", 100, "--save", made / "m")
    (made / "out").write_text(result.stdout)
    (made / "err").write_text(result.stderr)
    return made


def test_a_column_of_many_categories_is_embedded(folder: Path) -> None:
    told = (folder / "err").read_text()
    assert "inputs: 5, from 2 columns of numbers and 1 of categories\n" in told
    assert "embedded: the categories of 'user' (2000), as 8 numbers each\n" in told
    net = trainer_of(folder / "m").network
    assert [(each.name, each.size, each.categories) for each in net.inputs] == [
        ("numbers", 5, None),
        ("categories", 1, (USERS,)),
    ]
    assert net.layers == (EMBEDDING, gd.Concat(), gd.Dense(8, "relu"), gd.Dense(1))
    kinds = {each["name"]: each["kind"] for each in preparation_of(folder / "m")["columns"]}
    expected = {"a": "numeric", "b": "numeric", "c": "categorical", "user": "embedded"}
    assert kinds == expected


def test_predictions_are_those_of_the_training(folder: Path, tmp_path: Path) -> None:
    done("predict", folder / "m", folder / "d.parquet", "--out", tmp_path / "p.npz")
    predicted = arrays(tmp_path / "p.npz")["prediction"]
    table = pl.read_parquet(folder / "d.parquet")

    truth = table["y"].to_numpy()
    for part, rows in zip(("training", "held out"), split(ROWS, 0.2, 0), strict=True):
        rmse = np.sqrt(np.mean((predicted - truth)[rows] ** 2))
        told = figure((folder / "out").read_text(), f"rmse, {part}")
        assert rmse == pytest.approx(told, rel=1e-4)

    kept = preparation_of(folder / "m")
    numbers: list[Any] = []
    for each in kept["columns"]:
        cells = table[each["name"]].to_numpy()
        if each["kind"] == "numeric":
            numbers.append((cells - each["mean"]) / each["deviation"])
        elif each["kind"] == "categorical":
            numbers += [cells == name for name in each["categories"]]
        else:
            codes = [each["categories"].index(name) for name in cells]
    x = {"numbers": np.stack(numbers, axis=1, dtype="f4", casting="unsafe"), "categories": codes}
    x["categories"] = np.array(codes)[:, np.newaxis]
    outputs = trainer_of(folder / "m").network.predict(x)[:, 0].astype(float)
    target = kept["target"]
    assert (predicted == outputs * target["deviation"][0] + target["mean"][0]).all()


def test_rows_do_not_depend_on_each_other(folder: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(folder / "d.parquet").drop("y")
    part = written(tmp_path / "part.csv", table[1000:1010].select("user", "c", "b", "a"))
    whole = done("predict", folder / "m", folder / "d.parquet").stdout.splitlines()
    assert done("predict", folder / "m", part).stdout.splitlines()[1:] == whole[1001:1011]


def test_info_tells_what_is_embedded(folder: Path) -> None:
    out = done("info", folder / "m").stdout
    assert repr(trainer_of(folder / "m").network) in out
    assert re.search(r"embedding +\(N, 8\) +16,000", out), "the layers"
    assert "2000 categories, 8 numbers each: user 0, user 1, user 10" in out
    assert "3 categories: blue, green, red" in out


def test_what_only_the_category_tells_is_learnt(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    of_user = rng.permutation(60) < 30
    users = rng.integers(0, 60, 1200)
    columns = {
        "user": [f"u{each}" for each in users],
        "noise": rng.normal(size=1200),
        "y": np.where(of_user[users], "yes", "no"),
    }
    path = written(tmp_path / "d.csv", columns)
    known = done("train", path, *FEW, "--embed", 20, "--epochs", 20, "--lr", 0.01)
    assert figure(known.stdout, "accuracy, held out") > 95
    unknown = done("train", path, *FEW, "--drop", "user", "--epochs", 20, "--lr", 0.01)
    assert figure(unknown.stdout, "accuracy, held out") < 65


# ---- the network ----


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ([], [gd.Concat(), gd.Dense(8, "relu")]),
        (["--drop", "a,b"], [gd.Dense(8, "relu")]),
        (["--hidden", ""], [gd.Concat()]),
        (
            ["--hidden", "8,8", "--residual", "--norm", "rms", "--dropout", 0.25],
            [
                *(gd.Concat(), gd.Dense(8), gd.RMSNorm(), gd.ReLU(), gd.Dropout(0.25)),
                gd.Residual([gd.Dense(8), gd.RMSNorm(), gd.ReLU(), gd.Dropout(0.25)]),
            ],
        ),
        (
            ["--optimizer", "sgd", "--momentum", 0.9, "--weight-decay", 0.01, "--dtype", "float64"],
            [gd.Concat(), gd.Dense(8, "relu")],
        ),
        (["--patience", 1, "--clip-grad-norm", 1], [gd.Concat(), gd.Dense(8, "relu")]),
    ],
    ids=["plain", "codes alone", "linear", "layers", "rule", "judging"],
)
def test_layers_are_made_saved_resumed_and_predict(
    tmp_path: Path, options: list[Any], layers: list[Any]
) -> None:
    path = written(tmp_path / "d.csv", small(d=["uvwxyz"[i % 6] for i in range(60)]))
    sized = ["--embed", 2, "--embed-size", 3]
    made = ["train", path, "--target", "y", "--hidden", "8", *sized, *options, "--lr", 0.01]
    told = done(*made, "--epochs", 5, "--save", tmp_path / "whole").stderr
    assert "embedded: the categories of 'c' (3), 'd' (6), as 3 numbers each" in told
    assert ("inputs: 2, from 2 columns of numbers and 0 of" in told) == ("a,b" not in options)

    net = trainer_of(tmp_path / "whole").network
    embedding = gd.Embedding(3, weight_init="lecun_normal")
    assert net.layers == (embedding, *layers, gd.Dense(2))
    assert net.inputs[-1].categories == (3, 6)

    done(*made, "--epochs", 2, "--save", tmp_path / "part")
    resume = ["--resume", tmp_path / "part", "--epochs", 3, "--save", tmp_path / "part"]
    again = done("train", path, *resume, *options[: 2 * ("--patience" in options)]).stderr
    assert "embedded: the categories of 'c' (3), 'd' (6), as 3 numbers each" in again
    assert (tmp_path / "part").read_bytes() == (tmp_path / "whole").read_bytes()
    first, second = (done("predict", tmp_path / name, path).stdout for name in ("part", "whole"))
    assert first == second
    assert repr(net) in done("info", tmp_path / "whole").stdout


@pytest.mark.parametrize(("rest", "sparse"), [(0, False), (1, True)])
def test_of_very_many_a_step_updates_those_it_names(rest: int, sparse: bool) -> None:
    columns = [
        EmbeddedColumn(str(count), tuple(map(str, range(count))))
        for count in (60_000, 40_000 + rest)
    ]
    target = ClassTarget("y", ("no", "yes"))
    prepared = Fitted(tuple(columns), target)
    net = network_over(prepared, [], 2, 1, dtype="float32", seed=0)
    assert net.layers[0] == gd.Embedding(1, sparse=sparse, weight_init="lecun_normal")


def test_where_no_column_is_above_all_is_as_before(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    done("train", path, *FEW, "--save", tmp_path / "plain")
    told = done("train", path, *FEW, "--embed", 3, "--save", tmp_path / "above").stderr
    assert "note: --embed 3: no column has more categories, none is embedded" in told
    assert "embedded:" not in told
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "above").read_bytes()
    assert trainer_of(tmp_path / "plain").network.layers == (gd.Dense(8, "relu"), gd.Dense(2))


def test_a_missing_cell_is_a_category_with_a_vector(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(c=put(small()["c"], (4, None), (9, None))))
    told = done("train", path, *FEW, "--embed", 3, "--save", tmp_path / "m").stderr
    assert "embedded: the categories of 'c' (4)" in told
    assert "4 categories, 8 numbers each: blue, green, red, missing" in (
        done("info", tmp_path / "m").stdout
    )
    net = trainer_of(tmp_path / "m").network
    done("predict", tmp_path / "m", path, "--out", tmp_path / "p.npz")
    kept = preparation_of(tmp_path / "m")["columns"]
    first = [(small()[each["name"]][4] - each["mean"]) / each["deviation"] for each in kept[:2]]
    outputs = net.predict({"numbers": [first], "categories": [[3]]}).astype(float)
    expected = np.exp(outputs) / np.exp(outputs).sum()
    assert (arrays(tmp_path / "p.npz")["probability"][4] == expected.astype("f4")).all()


def test_columns_of_arrays_and_codes_of_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = np.stack([rng.normal(size=200), rng.integers(0, 9, 200)], axis=1)
    path = npz(tmp_path / "d.npz", x=x, y=x[:, 1] > 4)
    options = ["--categories", "x[1]", "--embed", 5, "--save", tmp_path / "m"]
    done("train", path, *FEW, *options, "--epochs", 60, "--lr", 0.02)
    done("predict", tmp_path / "m", path, "--out", tmp_path / "p.npz")
    assert (arrays(tmp_path / "p.npz")["prediction"] == (x[:, 1] > 4)).mean() > 0.95
    x[7, 1] = 9
    strange = npz(tmp_path / "e.npz", x=x)
    refused(tmp_path, ["predict", tmp_path / "m", strange], "'x[1]'", "got '9' in row 8")


@pytest.mark.parametrize("command", ["profile", "scaling"])
def test_other_commands_know_it(tmp_path: Path, command: str) -> None:
    path = written(tmp_path / "d.csv", small())
    few = {"profile": ["--steps", 20], "scaling": ["--threads", "1", "--rounds", 1]}[command]
    few += ["--batch-sizes", "16"] if command == "scaling" else []
    options = ["--target", "y", "--hidden", "8", "--embed", 2]
    assert "embedded: the categories of 'c' (3)" in done(command, path, *options, *few).stderr


# ---- what cannot be ----


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--embed", 0], ["--embed must be at least 1, got 0"]),
        (["--embed", -5], ["--embed must be at least 1, got -5"]),
        (["--embed", 2.5], ["invalid value for '--embed'"]),
        (["--embed", "many"], ["invalid value for '--embed'"]),
        (["--embed", 5, "--embed-size", 0], ["--embed-size must be at least 1, got 0"]),
        (["--embed-size", 4], ["--embed-size is for columns that --embed", "got 4 without it"]),
        (["--embed-size", 0], ["--embed-size must be at least 1, got 0"]),
    ],
)
def test_what_cannot_be_is_told_before_data_are_read(
    tmp_path: Path, options: list[Any], words: list[str]
) -> None:
    refused(tmp_path, ["train", tmp_path / "none.csv", "--target", "y", *options], *words)


@pytest.mark.parametrize(
    ("rows", "categories", "options", "words"),
    [
        (3000, 1001, [], ["1001 categories in 3000 rows, too many for an input each",
                          "give --embed 1000 to learn a vector for each"]),
        (3000, 1001, ["--embed", 1001], ["too many for an input each", "--embed 1000"]),
        (3000, 1501, ["--embed", 50], ["1501 categories in 3000 rows, fewer than 2 rows for each"]),
        (3000, 1501, [], ["1501 categories in 3000 rows, fewer than 2 rows for each"]),
        (3000, 3000, ["--embed", 50], ["a different text in every row: leave it out with --drop"]),
        (40, 40, ["--embed", 5], ["a different text in every row: leave it out with --drop"]),
    ],
)  # fmt: skip
def test_texts_of_which_nothing_is_learnt(
    tmp_path: Path, rows: int, categories: int, options: list[Any], words: list[str]
) -> None:
    names = [f"n{i % categories}" for i in range(rows)]
    path = written(tmp_path / "d.csv", small(rows, c=names))
    refused(tmp_path, ["train", path, *FEW, *options], "column 'c'", *words)


def test_two_rows_for_each_are_enough(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(3000, c=[f"n{i % 1500}" for i in range(3000)]))
    assert "'c' (1500)" in done("train", path, *FEW, "--embed", 1000, "--epochs", 1).stderr


@pytest.mark.parametrize("cell", ["pink", None])
def test_an_unknown_category_is_the_same_error(tmp_path: Path, cell: str | None) -> None:
    path = written(tmp_path / "d.csv", small())
    new = written(tmp_path / "new.csv", small(c=put(small()["c"], (6, cell))))
    told = []
    for options in ([], ["--embed", 2]):
        done("train", path, *FEW, *options, "--save", tmp_path / "m")
        words = "column 'c' must hold a category that training saw (blue, green, red), got"
        told.append(refused(tmp_path, ["predict", tmp_path / "m", new], words, "in row 7"))
        refused(tmp_path, ["train", new, "--resume", tmp_path / "m"], words)
    assert told[0] == told[1]


# ---- files ----


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(categories=["u", "v"]), ["2 inputs and 1 inputs of 2 codes", "3 code"]),
        (lambda c: c.update(kind="categorical"), ["5 inputs and does not", "1 inputs of 3 codes"]),
        (lambda c: c.update(kind="embeded"), ["columns[2].kind", "'embedded', got 'embeded'"]),
        (lambda c: c.update(categories=[None, "u", "v"]), ["columns[2].categories", "null last"]),
        (lambda c: c.update(categories=[]), ["columns[2].categories", "at least 1"]),
    ],
)
def test_a_forged_preparation_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: list[str]
) -> None:
    path = written(tmp_path / "d.csv", small())
    done("train", path, *FEW, "--embed", 2, "--save", tmp_path / "m")
    forged(tmp_path / "m", tmp_path / "n", lambda kept: change(kept["columns"][2]))
    for arguments in (["predict", tmp_path / "n", path], ["info", tmp_path / "n"]):
        refused(tmp_path, arguments, *words)
    refused(tmp_path, ["train", path, "--resume", tmp_path / "n"], *words)


def test_a_plain_preparation_does_not_fit_several_inputs(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    done("train", path, *FEW, "--save", tmp_path / "m")
    a, b = gd.Input(2, name="a"), gd.Input(3, name="b")
    net = gd.Network(inputs=[a, b], outputs=gd.Dense(2)(gd.Concat()(a, b)))
    net.save(tmp_path / "n", extra={"preparation": preparation_of(tmp_path / "m")})
    words = ["makes 5 inputs and does not fit", "2 inputs and 3 inputs and 2 outputs"]
    refused(tmp_path, ["predict", tmp_path / "n", path], *words)


def test_files_of_before_there_was_a_choice_still_predict(tmp_path: Path) -> None:
    """What version 0.2.0 wrote of its columns."""
    columns = [
        {"kind": "numeric", "name": "a", "mean": 7.5, "deviation": 4.25},
        {"kind": "categorical", "name": "c", "categories": ["blue", "green", "red"]},
    ]
    target = {"kind": "classes", "name": "y", "classes": ["no", "yes"]}
    kept = {"columns": columns, "target": target, "fill": False, "na": [], "width": None}
    net = gd.Network([gd.Dense(2)], input_size=4, seed=1)
    trainer = gd.Trainer(net, "cross_entropy", "sgd")
    trainer.save(tmp_path / "m", extra={"preparation": kept})
    path = written(tmp_path / "d.parquet", small())
    done("predict", tmp_path / "m", path, "--out", tmp_path / "p.npz")
    assert "3 categories: blue, green, red" in done("info", tmp_path / "m").stdout

    table = small()
    x = [(table["a"].to_numpy() - 7.5) / 4.25]
    x += [(table["c"] == each).to_numpy() for each in ("blue", "green", "red")]
    outputs = net.predict(np.stack(x, axis=1)).astype(float)
    expected = np.array(["no", "yes"])[outputs.argmax(axis=1)]
    assert (arrays(tmp_path / "p.npz")["prediction"] == expected).all()
    done("train", path, "--resume", tmp_path / "m", "--epochs", 1, "--save", tmp_path / "m")
    assert trainer_of(tmp_path / "m").epochs == 1
