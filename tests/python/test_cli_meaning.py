"""What a column is taken for: numbers, categories, classes, an index; and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from command_line import arrays, done, npz, put, refused, small, written

from gdcore.files import read_description

FEW = ["--epochs", "1", "--hidden", "4"]
ROWS = 60


def cells(*parts: Any) -> list[Any]:
    """The parts in turn, to a column."""
    return [parts[i % len(parts)] for i in range(ROWS)]


def each(form: str) -> list[str]:
    return [form.format(i + 1) for i in range(ROWS)]


def prepared(model: Path) -> dict[str, Any]:
    kept: dict[str, Any] = read_description(model)["extra"]["preparation"]
    return kept


def trained(path: Path, *options: object) -> tuple[dict[str, Any], str]:
    """What the model at path.m holds of its columns, and what was told."""
    model = path.with_suffix(".m")
    told = done("train", path, "--target", "y", *FEW, "--save", model, *options).stderr
    return prepared(model), told


def column(kept: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(part for part in kept["columns"] if part["name"] == name)
    return found


# ---- numbers are not taken for categories ----


@pytest.mark.parametrize("word", ["NA", "N/A", "null", "None", "-", "?", "nan", "NULL", "<NA>"])
def test_a_word_for_missing_is_missing_among_numbers(tmp_path: Path, word: str) -> None:
    numbers = [float(i) for i in range(ROWS)]
    filled = written(tmp_path / "e.csv", small(a=put(numbers, *((i, None) for i in range(20)))))
    path = written(tmp_path / "d.csv", small(a=put(each("{}"), *((i, word) for i in range(20)))))
    refused(
        tmp_path, ["train", path, "--target", "y"], "'a'", "20 missing", repr(word), "--missing"
    )
    refused(tmp_path, ["train", filled, "--target", "y"], "'a'", "20 missing")
    kept, told = trained(path, "--missing", "mean")
    assert column(kept, "a")["kind"] == "numeric"
    assert "filled 20 missing cells of 'a' with its mean" in told
    done("predict", path.with_suffix(".m"), path)


def test_a_word_for_missing_is_text_among_text(tmp_path: Path) -> None:
    kept, _ = trained(written(tmp_path / "d.csv", small(c=cells("FR", "NA", None))))
    assert column(kept, "c")["categories"] == ["FR", "NA", None]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (put(each("{}.5"), *((i, "unknown") for i in range(0, 60, 5))), ["--na unknown"]),
        (put(each("{}"), *((i, "over 9000") for i in range(25))), ["--na 'over 9000'"]),
        (put(each("{}"), *((i, "no") for i in range(35))), ["'no'", "25 of its 60"]),
        (put(each("{}"), (33, "x"), (39, "y"), *((i, "z") for i in range(9))), ["'z'", "49 of"]),
        (each('{},500'), ["'1,500'", '--thousands ","', "1500", '--decimal ","', "1.5"]),
        (each("{},5"), ["'1,5'", '--decimal ","']),
        (each("{},123.5"), ["'1,123.5'", '--thousands ","', "1123.5"]),
        (each("{}.123,5"), ["'1.123,5'", '--decimal "," --thousands "."', "1123.5"]),
        (each("{} 000"), ["'1 000'", '--thousands " "']),
        (each("1'{:03d}"), ["1'001", """--thousands "'\""""]),
        (cells("10", "1,500"), ["'1,500'", "row 2 (line 3)"]),
        (each("${}"), ["'$1'", "plain numbers", "--categories a"]),
        (each("{} %"), ["'1 %'"]),
        (each("{}%"), ["'1%'"]),
        (each("€ {},50"), ["'€ 1,50'"]),
        (each("\u2212{}"), ["'\u22121'"]),
        (cells("1", "\u22122"), ["'\u22122'"]),
        (each("({})"), ["'(1)'"]),
        (each("1_{:03d}"), ["'1_001'"]),
        (each("0x{:02X}"), ["'0x01'"]),
        (each("USD {}"), ["'USD 1'"]),
        (each("{} kg"), ["'1 kg'", "another notation"]),
        (put(cells("7", "8"), *((i, f"{i},5km/h") for i in range(30))), ["'0,5km/h'"]),
        (each("1.{}d3"), ["'1.1d3'"]),
        (each("\uff11{}"), ["'\uff111'"]),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else "",
)  # fmt: skip
def test_numbers_that_are_not_plain_are_asked_for(
    tmp_path: Path, values: list[str], words: list[str]
) -> None:
    path = written(tmp_path / "d.csv", small(a=values))
    refused(tmp_path, ["train", path, "--target", "y"], "column 'a'", *words)
    if len(set(values)) < ROWS:
        kept, _ = trained(path, "--categories", "a")
        assert column(kept, "a")["kind"] == "categorical"
    done("train", path, "--target", "y", "--drop", "a", *FEW)


@pytest.mark.parametrize(
    ("form", "options", "mean"),
    [
        ("{},500", ["--thousands", ","], 1000),
        ("{},500", ["--decimal", ","], 1),
        ("{}.123,5", ["--decimal", ",", "--thousands", "."], 1000),
        ("{} 000", ["--thousands", " "], 1000),
        ("1'{:03d}", ["--thousands", "'"], 1),
    ],
)
def test_a_notation_that_is_told_is_read_and_kept(
    tmp_path: Path, form: str, options: list[str], mean: float
) -> None:
    path = written(tmp_path / "d.csv", small(a=each(form)).drop("b"))
    plain = written(tmp_path / "e.csv", small(a=[float(i) for i in range(ROWS)]))
    kept, _ = trained(path, *options)
    expected, _ = trained(plain)
    scale = column(kept, "a")["deviation"] / column(expected, "a")["deviation"]
    assert scale == pytest.approx(mean, rel=1e-12)
    done("predict", path.with_suffix(".m"), path)


@pytest.mark.parametrize(
    "values",
    [
        cells("S", "M", "L"),
        cells("12-18", "19-30", "31+"),
        cells("1.2.3", "1.10.0"),
        cells("V27", "250", "E81", "V30", "V31", "V32", "401", "V33"),
        cells("<5", ">90"),
        cells("3 months", "12 months"),
        cells("1/2", "1/3"),
        cells("Q1", "Q2"),
        cells("a 5", "5 %"),
    ],
    ids=lambda value: value[0],
)
def test_text_stays_text(tmp_path: Path, values: list[str]) -> None:
    kept, _ = trained(written(tmp_path / "d.csv", small(c=values)))
    assert column(kept, "c")["categories"] == sorted(set(values))


# ---- values keep what they are ----


@pytest.mark.parametrize(
    ("values", "printed"),
    [
        (cells("01", "1"), ["01", "1"]),
        (cells("007", "7", "08"), ["007", "08", "7"]),
        (cells("1", "2"), ["1", "2"]),
        (cells("1.50", "2.50"), ["1.50", "2.50"]),
        (cells("1.5", "2.5"), ["1.5", "2.5"]),
        (cells("+1", "+2"), ["+1", "+2"]),
        (cells("1e3", "2e3"), ["1e3", "2e3"]),
        (cells("True", "False"), ["False", "True"]),
        (cells(str(2**53), str(2**53 + 1)), [str(2**53), str(2**53 + 1)]),
        (cells(str(2**63), str(2**63 + 1), "5"), ["5", str(2**63), str(2**63 + 1)]),
        (cells(str(-(2**63)), str(2**63)), [str(-(2**63)), str(2**63)]),
        (cells(str(10**30), str(10**30 + 1)), [str(10**30), str(10**30 + 1)]),
        (cells("0.1", "0.10000000000000000001"), ["0.1", "0.10000000000000000001"]),
    ],
    ids=lambda value: value[0],
)
def test_classes_are_printed_as_they_came(
    tmp_path: Path, values: list[str], printed: list[str]
) -> None:
    path = written(tmp_path / "d.csv", small(y=values))
    trained(path, "--task", "classification")
    lines = done("predict", path.with_suffix(".m"), path).stdout.splitlines()
    assert lines[0] == ",".join(["prediction", *(f"probability of {each}" for each in printed)])
    assert {line.split(",")[0] for line in lines[1:]} <= set(printed)
    done("predict", path.with_suffix(".m"), path, "--out", tmp_path / "p.npz")
    assert [str(each) for each in arrays(tmp_path / "p.npz")["classes"].tolist()] == printed


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([2**63, 2**63 + 1], np.uint64),
        ([5, 2**64 - 1], np.uint64),
        ([2**53, 2**53 + 1], np.int64),
        ([-(2**63), -(2**63) + 1], np.int64),
    ],
)
def test_whole_numbers_of_arrays_stay_whole(tmp_path: Path, values: list[int], dtype: type) -> None:
    y = np.array(cells(*values), dtype)
    path = npz(tmp_path / "d.npz", x=np.arange(2.0 * ROWS).reshape(ROWS, 2), y=y)
    kept, told = trained(path)
    assert "into 2 classes" in told
    assert kept["target"]["classes"] == sorted(values)
    done("predict", path.with_suffix(".m"), path, "--out", tmp_path / "p.npz")
    found = arrays(tmp_path / "p.npz")
    assert found["prediction"].dtype == dtype
    assert found["classes"].tolist() == sorted(values)


@pytest.mark.parametrize("dtype", [pl.Decimal(38, 0), pl.Int128], ids=str)
@pytest.mark.parametrize("value", [5, 2**53, 2**63, 10**30])
def test_wide_whole_numbers_stay_whole(tmp_path: Path, value: int, dtype: Any) -> None:
    y = pl.Series(cells(str(value), str(value + 1))).cast(dtype)
    path = written(tmp_path / "d.parquet", small().with_columns(y=y))
    trained(path)
    header = done("predict", path.with_suffix(".m"), path).stdout.splitlines()[0]
    assert header == f"prediction,probability of {value},probability of {value + 1}"


def test_the_same_number_is_the_same_class(tmp_path: Path) -> None:
    kept, _ = trained(written(tmp_path / "d.csv", small(y=cells("1", "1.0", "2"))))
    assert kept["target"]["classes"] == [1, 2]


def test_codes_are_categories_or_numbers_as_told(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(c=cells("00501", "12345", "01234")))
    kept, told = trained(path)
    assert column(kept, "c")["categories"] == ["00501", "01234", "12345"]
    assert "'c' has codes such as '00501': taken as categories" in told
    kept, _ = trained(path, "--numbers", "c")
    assert column(kept, "c")["mean"] == pytest.approx(4693, abs=500)
    both = ["train", path, "--target", "y", "--numbers", "c", "--categories", "c"]
    refused(tmp_path, both, "--numbers and --categories", "'c'")
    many = written(tmp_path / "e.csv", small(c=each("0{}")))
    refused(tmp_path, ["train", many, "--target", "y"], "'c'", "--numbers c", "'01'")
    refused(tmp_path, ["train", many, "--target", "y", "--numbers", "x"], "--numbers", "'x'")


@pytest.mark.parametrize(
    "values",
    [
        cells(2**53, 2**53 + 1),
        cells(2**60 + 1, 2**60 + 2),
        cells("0.1", "0.10000000000000000001"),
        cells("1e-400", "0"),
    ],
    ids=lambda value: str(value[0]),
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_float64_cannot_tell_is_not_called_one_value(
    tmp_path: Path, values: list[Any], ending: str
) -> None:
    path = written(tmp_path / f"d.{ending}", small(a=values))
    told = refused(tmp_path, ["train", path, "--target", "y"], "'a'", "float64", "--categories a")
    assert "one value" not in told
    kept, _ = trained(path, "--categories", "a")
    assert len(column(kept, "a")["categories"]) == 2
    path = written(tmp_path / f"e.{ending}", small(y=values))
    refused(tmp_path, ["train", path, "--target", "y", "--task", "regression"], "'y'", "float64")


def test_numbers_that_are_rounded_are_told(tmp_path: Path) -> None:
    ids = [2**53 + i for i in range(ROWS)]
    _, told = trained(written(tmp_path / "d.csv", small(a=ids)))
    assert f"'a' has whole numbers that float64 rounds, as {2**53}" in told
    _, told = trained(written(tmp_path / "e.parquet", small(y=ids)))
    assert f"'y' has whole numbers that float64 rounds, as {2**53}" in told
    assert "it holds 60 different numbers" in told


def test_one_value_is_told_of_the_rows_it_is_of(tmp_path: Path) -> None:
    """Of rows that are held out the column has another; the share is one row."""
    path = written(tmp_path / "d.csv", small(y=[float(i) for i in range(ROWS)]))
    notes = set()
    for at in range(ROWS):
        path = written(path, small(a=put([1.0] * ROWS, (at, 2.0)), y=[i / 7 for i in range(ROWS)]))
        told = done("train", path, "--target", "y", "--validation", 0.5, *FEW).stderr
        notes.add("left out 'a': it has one value only, 1, in the rows for training\n" in told)
        assert "left out 'a': it has one value only, 1\n" not in told
        if len(notes) == 2:
            return
    raise AssertionError(notes)


# ---- a category is one, whatever its type ----


@pytest.mark.parametrize(
    "dtype", [pl.Categorical, pl.Enum(["1", "2", "30"])], ids=["Categorical", "Enum"]
)
def test_what_the_file_calls_a_category_is_one(tmp_path: Path, dtype: Any) -> None:
    codes = pl.Series(cells("1", "2", "30"), dtype=dtype)
    path = written(tmp_path / "d.parquet", small().with_columns(c=codes))
    kept, _ = trained(path)
    assert column(kept, "c")["categories"] == ["1", "2", "30"]
    path = written(tmp_path / "e.parquet", small().with_columns(y=codes))
    kept, told = trained(path)
    assert kept["target"]["classes"] == ["1", "2", "30"]
    assert "the file says so" in told


def pandas_parquet(path: Path, table: pl.DataFrame, *categories: str) -> Path:
    """A file as pandas writes it, whose metadata say which columns were categories."""
    kinds = [
        {"name": name, "field_name": name,
         "pandas_type": "categorical" if name in categories else "int64"}
        for name in table.columns
    ]  # fmt: skip
    table.write_parquet(path, metadata={"pandas": json.dumps({"columns": kinds})})
    return path


def test_categories_of_pandas_that_are_numbers(tmp_path: Path) -> None:
    table = small(c=cells(1, 2, 3)).with_columns(t=pl.Series(cells(True, False)))
    kept, _ = trained(pandas_parquet(tmp_path / "d.parquet", table, "c"))
    assert column(kept, "c")["categories"] == ["1", "2", "3"]
    assert column(kept, "t")["categories"] == ["false", "true"]
    kept, _ = trained(pandas_parquet(tmp_path / "e.parquet", table))
    assert column(kept, "c")["kind"] == "numeric"


SAME = {
    "whole": (cells(1, 2, 3), pl.Int64),
    "small": (cells(1, 2, 3), pl.UInt8),
    "points": (cells(1.0, 2.0, 3.0), pl.Float64),
    "decimal": (cells("1", "2", "3"), pl.Decimal(10, 0)),
    "text": (cells("1", "2", "3"), pl.String),
    "text with points": (cells("1.0", "2.00", "3"), pl.String),
}
TRUTH = {
    "truth": (cells(True, False), pl.Boolean),
    "text": (cells("True", "False"), pl.String),
    "small": (cells("true", "false"), pl.String),
    "large": (cells("TRUE", "FALSE"), pl.String),
}


@pytest.mark.parametrize("forms", [SAME, TRUTH], ids=["numbers", "truth"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_same_value_is_the_same_category(
    tmp_path: Path, forms: dict[str, tuple[list[Any], Any]], ending: str
) -> None:
    tables = {}
    for name, (values, dtype) in forms.items():
        series = pl.Series(values).cast(dtype)
        tables[name] = written(tmp_path / f"{name}.{ending}", small().with_columns(c=series))
    for path in tables.values():
        trained(path, "--categories", "c")
        outs = {done("predict", path.with_suffix(".m"), each).stdout for each in tables.values()}
        assert len(outs) == 1
    models = {(path.with_suffix(".m")).read_bytes() for path in tables.values()}
    assert len(models) == 1


def test_text_that_is_no_number_is_compared_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(c=cells("01", "1", "x")))
    kept, _ = trained(path)
    assert column(kept, "c")["categories"] == ["01", "1", "x"]
    other = written(tmp_path / "e.csv", small(c=cells("1.0", "1", "x")))
    refused(tmp_path, ["predict", path.with_suffix(".m"), other], "'c'", "'1.0'")


# ---- an index is no input ----


def test_the_index_of_pandas_is_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame(small().to_dict(as_series=False))
    shuffled = frame.sample(frac=1, random_state=0)
    moved = frame.set_index(pd.RangeIndex(1000, 1000 + ROWS))
    frame.to_csv(tmp_path / "plain.csv", index=False)
    plain, _ = trained(tmp_path / "plain.csv")
    for name, table in (("whole", frame), ("shuffled", shuffled), ("moved", moved)):
        path = tmp_path / f"{name}.csv"
        table.to_csv(path)
        kept, told = trained(path)
        assert [each["name"] for each in kept["columns"]] == ["a", "b", "c"]
        assert "left out 'Unnamed: 0': it numbers the rows" in told
        done("predict", path.with_suffix(".m"), tmp_path / "plain.csv")
    kept, _ = trained(tmp_path / "whole.csv")
    assert kept == plain
    twice = tmp_path / "twice.csv"
    pd.read_csv(tmp_path / "whole.csv").to_csv(twice, index=False)
    assert "left out 'Unnamed: 0'" in trained(twice)[1]


def test_the_index_in_parquet_is_left_out(tmp_path: Path) -> None:
    table = small().with_columns(pl.Series("__index_level_0__", range(0, 2 * ROWS, 2)))
    path = written(tmp_path / "d.parquet", table)
    kept, told = trained(path)
    assert [each["name"] for each in kept["columns"]] == ["a", "b", "c"]
    assert "left out '__index_level_0__'" in told


@pytest.mark.parametrize(
    "values", [cells(1, 2, 3), [i * i for i in range(ROWS)], [i / 2 for i in range(ROWS)]]
)
def test_a_column_without_name_that_is_no_index_is_an_input_with_a_note(
    tmp_path: Path, values: list[float]
) -> None:
    path = tmp_path / "d.csv"
    written(path, pl.DataFrame({"": values}).hstack(small()))
    kept, told = trained(path)
    assert kept["columns"][0]["name"] == "Unnamed: 0"
    assert "column 1 has no name and is called 'Unnamed: 0'" in told
    kept, _ = trained(path, "--drop", "Unnamed: 0")
    assert [each["name"] for each in kept["columns"]] == ["a", "b", "c"]


def test_delimiters_at_the_ends_of_lines_make_no_column(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(small().write_csv().replace("\n", ",,\n"))
    kept, told = trained(path)
    assert [each["name"] for each in kept["columns"]] == ["a", "b", "c"]
    assert "left out column 5, 6 of the file: it has no name and no cell" in told


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_drop_reaches_every_column(tmp_path: Path, ending: str) -> None:
    table = small().with_columns(pl.lit(1.5).alias("p,q"), pl.col("b").alias("r, s"))
    path = written(tmp_path / f"d.{ending}", table)
    for options in (
        ["--drop", "p,q", "--drop", "r, s", "--drop", "b"],
        ["--drop", "r, s", "--drop", "b", "--drop", "p,q", "--drop", "b"],
    ):
        kept, _ = trained(path, *options)
        assert [each["name"] for each in kept["columns"]] == ["a", "c"]
    kept, _ = trained(path, "--drop", "a, b", "--drop", "r, s")
    assert [each["name"] for each in kept["columns"]] == ["c"]
    for wrong in ("p", "p,q,x", "R, s"):
        refused(tmp_path, ["train", path, "--target", "y", "--drop", wrong], "--drop")
    near = ["train", path, "--target", "y", "--drop", "c1"]
    refused(tmp_path, near, "--drop must be a column", "'c1'", "did you mean 'c'")


# ---- a class is learnt from ----


def test_each_class_is_held_out_by_its_share(tmp_path: Path) -> None:
    from gdcore.cli.split import split

    sizes = [1, 2, 5, 40, 52]
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), sizes))
    for seed in range(30):
        kept, held_out = split(100, 0.2, seed, labels)
        assert sorted([*kept, *held_out]) == list(range(100))
        assert np.bincount(labels[held_out], minlength=5).tolist() in (
            [0, 0, 1, 8, 11], [0, 1, 1, 8, 10]
        )  # fmt: skip
        assert len(held_out) == 20
        assert (np.bincount(labels[kept], minlength=5) > 0).all()
        again = split(100, 0.2, seed, labels)
        assert (again[0] == kept).all()
        assert (again[1] == held_out).all()
    others = {tuple(split(100, 0.2, seed, labels)[1]) for seed in range(30)}
    assert len(others) == 30


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_no_class_is_only_held_out(share: float) -> None:
    from gdcore.cli.split import split

    labels = np.arange(40) % 13
    for seed in range(20):
        kept, held_out = split(40, share, seed, labels)
        assert set(labels[kept]) == set(range(13))
        assert len(held_out) == min(int(40 * share), 40 - 13)


def test_classes_too_small_to_hold_out_are_told(tmp_path: Path) -> None:
    y = put(cells("p", "q"), (7, "rare"), (9, "odd"), (12, "odd"))
    for seed in range(8):
        path = written(tmp_path / "d.csv", small(y=y))
        told = done("train", path, "--target", "y", "--seed", seed, *FEW).stderr
        assert "no row is held out of classes with too few rows: 'odd' (2), 'rare' (1)" in told
    refused(
        tmp_path,
        ["train", written(tmp_path / "e.csv", small(4, y=[1, 2, 3, 4])), "--target", "y",
         "--task", "classification", "--validation", "0.5"],
        "--validation", "no class has a second row",
    )  # fmt: skip


# ---- notes ----


@pytest.mark.parametrize(
    "values",
    [
        cells("5.1.2020", "6.1.2020", ""),
        cells("01/05/20", "02/05/20"),
        cells("12:30", "14:45"),
        cells("5 Jan 2020", "12 Feb 2021"),
    ],
    ids=lambda value: value[0],
)
def test_dates_that_repeat_are_told(tmp_path: Path, values: list[str]) -> None:
    _, told = trained(written(tmp_path / "d.csv", small(c=values)))
    assert "'c' holds dates, as " in told
    assert "taken as categories" in told


def test_a_column_without_a_cell_is_told(tmp_path: Path) -> None:
    table = small().with_columns(e=pl.Series([None] * ROWS, dtype=pl.Float64))
    for ending in ("csv", "parquet"):
        _, told = trained(written(tmp_path / f"d.{ending}", table))
        assert "left out 'e': it has no cell" in told


@pytest.mark.parametrize(
    ("values", "words"),
    [(cells("NA"), "'NA'"), (cells("-", "", "?"), "'-'"), (cells("nan", None), "'nan'")],
)
def test_a_column_of_words_for_missing_has_no_cell(
    tmp_path: Path, values: list[Any], words: str
) -> None:
    path = written(tmp_path / "d.csv", small(c=values))
    assert f"left out 'c': it has no cell but {words}" in trained(path)[1]


def test_the_columns_of_a_wide_table_are_not_all_listed(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", {f"c{i}": [1, 2] for i in range(3000)})
    told = refused(tmp_path, ["train", path], "--target must name the column", "c0, c1, c2")
    assert len(told) < 300
    assert "and 2980 more" in told


def test_a_column_that_is_left_out_is_not_filled(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(a=put([7.5] * ROWS, (3, None))))
    told = trained(path, "--missing", "mean")[1]
    assert "left out 'a': it has one value only, 7.5\n" in told
    assert "filled" not in told


def test_what_is_said_of_a_target_can_be_done(tmp_path: Path) -> None:
    for word in ("none", "some"):
        path = written(tmp_path / "d.csv", small(y=cells(word, "1", "2", "3")))
        told = refused(tmp_path, ["train", path, "--target", "y"], "'y'", "--categories y")
        assert "--drop" not in told
        kept, _ = trained(path, "--categories", "y")
        assert kept["target"]["classes"] == ["1", "2", "3", word]
        path.with_suffix(".m").unlink()


def test_a_missing_class_can_be_one(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(y=cells("0", "1", "None")))
    refused(tmp_path, ["train", path, "--target", "y"], "'y'", "20", "'None'", "--categories y")
    kept, _ = trained(path, "--categories", "y")
    assert kept["target"]["classes"] == ["0", "1", "None"]


def test_columns_of_two_notations_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", small(a=each("{},5")))
    arguments = ["train", path, "--target", "y", "--decimal", ","]
    refused(tmp_path, arguments, "'b'", "'0.0'", 'Give --decimal "."')


def test_models_without_a_notation_are_read(tmp_path: Path) -> None:
    """Those that were written before there was a choice."""
    from gdcore.tabular.fitted import Fitted

    path = written(tmp_path / "d.csv", small())
    kept, _ = trained(path)
    old = {key: value for key, value in kept.items() if key != "reading"}
    assert Fitted.from_json(old) == Fitted.from_json(kept)
