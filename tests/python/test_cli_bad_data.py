"""gdcore train on data that are not right: what it says, and that it writes nothing."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command_line import done, frame, npz, put, refused, small, written

FEW = ["--epochs", "2", "--hidden", "8"]

A, C, Y = small()["a"], small()["c"], small()["y"]
TEXTS = [str(each) for each in A]


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"a": put(TEXTS, (6, "abc"))}, [], ["'a'", "row 7 (", "'abc'", "text in a number column"]),
        ({"a": put(TEXTS, (6, "1,5"))}, [], ["'a'", "row 7 (", "'1,5'"]),
        ({"a": put(TEXTS, (6, "1_0"))}, [], ["'a'", "row 7 (", "'1_0'"]),
        ({"a": put(TEXTS, (6, "inf"))}, [], ["'a'", "row 7 (", "inf", "finite"]),
        ({"a": put(TEXTS, (6, "1e999"))}, [], ["'a'", "row 7 (", "1e999", "finite"]),
        (
            {"a": put(A, (6, None), (8, None))},
            [],
            ["'a'", "row 7 (", "2 missing", "--missing mean"],
        ),
        ({"a": put(A, (6, 1e308), (7, -1e308))}, [], ["'a'", "too large"]),
        ({"c": [f"text {i}" for i in range(60)]}, [], ["'c'", "60 categories", "--drop c"]),
        ({"y": put(Y, (6, None))}, [], ["'y'", "row 7 (", "1", "missing"]),
        ({"y": ["yes"] * 60}, [], ["'y'", "one class only", "'yes'"]),
        ({"y": [f"text {i}" for i in range(60)]}, [], ["'y'", "60", "classes"]),
        ({"y": put(TEXTS, (6, "abc"))}, [], ["'y'", "row 7 (", "'abc'"]),
        ({"y": put(TEXTS, (6, "inf"))}, [], ["'y'", "row 7 (", "inf"]),
        ({"y": [0.5] * 60}, [], ["'y'", "one value only", "0.5"]),
        ({"y": [(-1e308, 0.5, 1e308)[i % 3] for i in range(60)]}, [], ["'y'", "too large"]),
        ({}, ["--task", "regression"], ["'y'", "row 1 (", "must hold numbers"]),
        ({}, ["--task", "clasification"], ["--task", "did you mean 'classification'"]),
        ({}, ["--target", "Z"], ["--target", "'Z'", "a, b, c, y"]),
        ({"target": Y}, ["--target", "tarjet"], ["did you mean 'target'"]),
        ({}, ["--target", "A"], ["--target", "did you mean 'a'"]),
        ({}, ["--drop", "d"], ["--drop", "'d'", "a, b, c, y"]),
        ({}, ["--drop", "y"], ["--drop", "target", "'y'"]),
        ({}, ["--drop", "a,b,c"], ["input", "none"]),
        ({}, ["--categories", "d"], ["--categories", "'d'"]),
        ({}, ["--categories", "y", "--task", "regression"], ["--categories", "'y'"]),
        ({}, ["--missing", "middle"], ["--missing", "mean", "median", "'middle'"]),
        ({}, ["--loss", "mse"], ["--loss", "cross_entropy", "'mse'"]),
        ({}, ["--loss", "mes"], ["--loss", "did you mean 'mse'"]),
        ({"y": C}, ["--loss", "bce_with_logits"], ["--loss", "two classes", "3"]),
        ({"y": A}, ["--loss", "cross_entropy"], ["--loss", "mse", "'cross_entropy'"]),
        ({}, ["--validation", "1"], ["--validation", "below 1"]),
        ({}, ["--validation", "-0.1"], ["--validation", "at least 0"]),
        ({}, ["--validation", "nan"], ["--validation", "finite"]),
        ({}, ["--validation", "0.01"], ["--validation", "60 rows"]),
        ({}, ["--schedule", "cosin"], ["--schedule", "did you mean 'cosine'"]),
        ({}, ["--warmup", "2", "--epochs", "2"], ["--warmup", "--epochs"]),
        ({}, ["--warmup", "-1"], ["--warmup", "at least 0"]),
        ({}, ["--schedule", "coslog", "--warmup", "2"], ["--warmup", "must be 0 for", "coslog"]),
        ({}, ["--lr", "1e30", "--optimizer", "sgd"], ["epoch 1", "learning rate"]),
        ({}, ["--seed", "-1"], ["seed"]),
        ({}, ["--hidden", "1000000000,1000000000"], ["memory"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_data_and_options_are_refused(
    tmp_path: Path, columns: dict[str, Any], options: list[str], words: list[str]
) -> None:
    path = written(tmp_path / "d.csv", small().with_columns(
        **{name: pl.Series(cells, strict=False) for name, cells in columns.items()}
    ))  # fmt: skip
    arguments = ["train", path, "--target", "y", "--save", tmp_path / "m", *options]
    refused(tmp_path, arguments, *words)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (pl.Series([float("inf")] + [1.0, 2.0] * 30)[:60], ["row 1 (", "finite"]),
        (pl.Series([1.0, float("nan")] + [1.0, 2.0] * 29), ["row 2 (", "1 missing"]),
        (pl.Series(range(60)).cast(pl.Time), ["Time", "--drop"]),
        (pl.Series([[1]] * 60), ["List", "--drop"]),
        (pl.Series([b"x"] * 60), ["Binary", "--drop"]),
    ],
    ids=["inf", "nan", "time", "list", "bytes"],
)
def test_bad_columns_of_parquet_are_refused(
    tmp_path: Path, series: pl.Series, words: list[str]
) -> None:
    path = written(tmp_path / "d.parquet", small().with_columns(s=series))
    refused(tmp_path, ["train", path, "--target", "y"], "column 's'", *words)
    done("train", path, "--target", "y", "--drop", "s", *FEW)


def test_the_target_must_be_named(tmp_path: Path) -> None:
    refused(tmp_path, ["train", written(tmp_path / "d.csv", small())], "--target", "a, b, c, y")


def test_more_than_a_thousand_categories_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(2004, c=[f"n{i // 2}" for i in range(2004)]))
    refused(tmp_path, ["train", path, "--target", "y"], "'c'", "1002 categories", "--drop c")


NPY = b"\x93NUMPY\x01\0v\0" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}".ljust(118)
NPY = NPY[:127] + b"\n" + bytes(8)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("d.csv", b"", ["d.csv"]),
        ("d.csv", b"a,y\n", ["no rows"]),
        ("d.csv", b"a,y\n\n\n", ["no rows"]),
        ("d.csv", b"a,y,a\n1,2,3\n", ["two columns", "'a'"]),
        ("d.csv", b"a,y\n1,2,3\n", ["d.csv", "fields"]),
        ("d.csv", b"a,y\n1,\xff\n", ["d.csv", "utf-8"]),
        ("d.csv", b'a,y\n"1,2\n3,4\n', ["d.csv"]),
        ("d.csv.gz", gzip.compress(b"a,y\n1,2\n" * 99, mtime=0)[:30], ["d.csv.gz"]),
        ("d.csv.gz", b"\x1f\x8b no gzip at all", ["d.csv.gz"]),
        ("d.parquet", b"", ["d.parquet"]),
        ("d.parquet", b"PAR1" + b"x" * 99 + b"\x10\0\0\0PAR1", ["d.parquet"]),
        ("d.npz", b"", ["d.npz"]),
        ("d.npz", b"PK\x03\x04 no archive", ["d.npz"]),
        ("d.npz", NPY, ["d.npz", "single array"]),
        ("d.npz", b"a,y\n1,2\n", ["d.npz", "no archive of NumPy"]),
        ("d.txt", b"a,y\n1,2\n", ["DATA", ".csv", "d.txt"]),
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, name: str, data: bytes, words: list[str]
) -> None:
    (tmp_path / name).write_bytes(data)
    refused(tmp_path, ["train", tmp_path / name, "--target", "y"], *words)


@pytest.mark.parametrize("cut", [10, 100, 500, -60, -1])
@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_files_cut_short_are_refused(tmp_path: Path, ending: str, cut: int) -> None:
    path = written(tmp_path / f"d.{ending}", frame("iris"))
    path.write_bytes(path.read_bytes()[:cut])
    refused(tmp_path, ["train", path], str(path))


def test_a_stumble_of_the_reader_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """polars panics on a few damaged files, with what is no Exception."""

    def panics(file: object) -> None:
        raise pl.exceptions.PanicException("called unwrap on None")

    path = written(tmp_path / "d.parquet", small())
    monkeypatch.setattr(pl, "read_parquet", panics)
    refused(tmp_path, ["train", path, "--target", "y"], str(path), "called unwrap")


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ({"y": np.zeros(4)}, [], ["array x", "arrays: y"]),
        ({"x": np.zeros((4, 2))}, [], ["array y", "arrays: x"]),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4)}, ["--target", "z"], ["array z"]),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4)}, ["--target", "x"], ["--target"]),
        ({"x": np.eye(4), "x[2]": np.zeros(4)}, ["--target", "x[2]"], ["--target", "column of x"]),
        ({"x": np.zeros(4), "y": np.zeros(4)}, [], ["x", "(N, D)", "(4,)"]),
        ({"x": np.zeros((4, 0)), "y": np.zeros(4)}, [], ["x", "(4, 0)"]),
        ({"x": np.zeros((4, 2)), "y": np.zeros(5)}, [], ["y", "(4,)", "(5,)"]),
        ({"x": np.zeros((4, 2)), "y": np.zeros((4, 1, 1))}, [], ["y", "(4, 1, 1)"]),
        ({"x": np.zeros((4, 2), complex), "y": np.zeros(4)}, [], ["x", "complex128"]),
        ({"x": np.zeros((4, 2)), "y": np.array(["2020"] * 4, "M8[Y]")}, [], ["y", "datetime64"]),
        ({"x": np.array([[object()]]), "y": np.zeros(1)}, [], ["d.npz", "x holds Python"]),
        ({"x": np.eye(2), "y": np.array([None, "a"])}, [], ["d.npz", "y holds Python objects"]),
        ({"x": np.zeros((4, 2), "S3"), "y": np.zeros(4)}, [], ["x must hold numbers", "|S3"]),
        ({"x": np.zeros((4, 2), "f4,f4"), "y": np.zeros(4)}, [], ["x must hold numbers", "f4"]),
        (
            {"x": np.eye(10), "y": np.tri(10)},
            ["--task", "classification"],
            ["one-hot", "row 2", "--task multilabel"],
        ),
    ],
)  # fmt: skip
def test_arrays_of_another_form_are_refused(
    tmp_path: Path, content: dict[str, Any], options: list[str], words: list[str]
) -> None:
    path = npz(tmp_path / "d.npz", **content)
    assert "allow_pickle" not in refused(tmp_path, ["train", path, *options], *words)


def test_infinite_numbers_of_arrays_are_named(tmp_path: Path) -> None:
    x = np.ones((9, 3))
    x[4, 1] = -np.inf
    path = npz(tmp_path / "d.npz", x=x, y=np.arange(9) % 2)
    refused(tmp_path, ["train", path], "'x[1]'", "row 5 (", "-inf")


# ---- where files go ----


@pytest.mark.parametrize("option", ["--save", "--plot"])
def test_where_nothing_can_be_written_is_told_before_the_training(
    tmp_path: Path, option: str
) -> None:
    path = written(tmp_path / "d.csv", small())
    (tmp_path / "folder.png").mkdir()
    bad = {
        tmp_path / "no" / "such.png": "no such file or directory",
        tmp_path / "folder.png": "folder",
        path / "below.png": "no such file or directory",
        Path("/proc/p.png"): "nothing can be written in /proc",
        tmp_path / f"{'n' * 249}.png": "file name too long",  # with what stands beside it
        tmp_path / "taken.png": "is a directory",
        tmp_path / "pipe.png": "device or a pipe",
    }
    (tmp_path / ".taken.png.tmp").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for where, words in bad.items():
        told = refused(tmp_path, ["train", path, "--target", "y", option, where], option, words)
        assert "epoch" not in told, "it has trained"


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "digits", "--profile", "taken.npz"],
        ["profile", "digits", "--out", "taken.npz"],
        ["bench", "limits", "--json", "taken.npz"],
    ],
    ids=lambda value: value[0],
)
def test_every_file_is_tried_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".taken.npz.tmp").mkdir()
    told = refused(tmp_path, arguments, arguments[2], "taken.npz", "is a directory")
    assert "epoch" not in told


def test_what_is_there_stays_when_it_is_tried(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    (tmp_path / "m").write_text("old")
    refused(tmp_path, ["train", path, "--target", "z", "--save", tmp_path / "m"], "'z'")


@pytest.mark.parametrize("command", ["train", "profile"])
def test_divergence_names_options_that_there_are(tmp_path: Path, command: str) -> None:
    path = written(tmp_path / "d.csv", small())
    arguments = [command, path, "--target", "y", "--lr", "1e30", "--optimizer", "sgd"]
    told = refused(tmp_path, arguments, "not finite in epoch 1", "learning rate 1e+30", "--lr")
    assert "clip" not in told


def test_no_file_takes_the_place_of_another_that_is_needed(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    train = ["train", path, "--target", "y"]
    refused(tmp_path, [*train, "--save", path], "--save", "two things")
    both = ["--save", tmp_path / "f.png", "--plot", tmp_path / ".." / tmp_path.name / "f.png"]
    refused(tmp_path, [*train, *both], "--plot", "two things")


def test_an_unknown_format_of_pictures(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small())
    arguments = ["train", path, "--target", "y", "--plot", tmp_path / "p.xyz"]
    refused(tmp_path, arguments, "--plot", ".png", "p.xyz")


@pytest.mark.parametrize("data", ["no.csv", "no.parquet", "no.npz"])
def test_a_missing_file_is_named(tmp_path: Path, data: str) -> None:
    refused(tmp_path, ["train", tmp_path / data, "--target", "y"], data, "No such file")


def test_a_folder_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    refused(tmp_path, ["train", tmp_path / "d.csv", "--target", "y"], "Is a directory")
