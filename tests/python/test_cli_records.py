"""How delimited text is read: every record is a row, or the message names its line."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command_line import done, refused, small, written
from hypothesis import given, settings
from hypothesis import strategies as st

from gdcore.tabular.tables import read

FEW = ["--epochs", "1", "--hidden", "4"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on numbers p and q to tell the number y; missing cells become the mean."""
    return trained(tmp_path_factory.mktemp("model"), "p", "q")


@pytest.fixture(scope="module")
def one_column(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("one"), "p")


def trained(folder: Path, *names: str) -> Path:
    columns = {name: [float(i % (20 - k)) for i in range(40)] for k, name in enumerate(names)}
    table = written(folder / "d.csv", {**columns, "y": [3.0 * i for i in range(40)]})
    done("train", table, "--target", "y", "--missing", "mean", *FEW, "--save", folder / "m")
    return folder / "m"


def predictions(model: Path, path: Path) -> list[float]:
    out = path.with_name("out.csv")
    done("predict", model, path, "--out", out)
    return pl.read_csv(out)["prediction"].to_list()


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# ---- rows do not vanish ----


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"p,q\n1,1\n,\n9,9\n", [(1, 1), (None, None), (9, 9)]),
        (b"p,q\r\n,\r\n1,1\r\n", [(None, None), (1, 1)]),
        (b"p,q\n , \n1,1\n,\n\n \n", [(None, None), (1, 1), (None, None)]),
        (b'p,q\n"",""\n1,1', [(None, None), (1, 1)]),
        (b"p,q\n,\n,\n,", [(None, None)] * 3),
        (b"p,q\nNA,null\n-,?\n1,1\n", [(None, None), (None, None), (1, 1)]),
    ],
    ids=str,
)
def test_a_record_of_empty_cells_is_predicted(
    tmp_path: Path, model: Path, data: bytes, rows: list[tuple[float | None, float | None]]
) -> None:
    table = pl.DataFrame(rows, {"p": pl.Float64, "q": pl.Float64}, orient="row")
    expected = predictions(model, written(tmp_path / "d.parquet", table))
    assert predictions(model, saved(tmp_path / "d.csv", data)) == expected


@pytest.mark.parametrize(
    ("data", "cells"),
    [
        (b"p\n1\n\n3\n\n\n", [1, None, 3]),
        (b'p\n""\n5\n""\n', [None, 5, None]),
        (b"p\r\n\r\n2\r\n", [None, 2]),
        (b"p\n  \n7\n  \n", [None, 7]),
    ],
)
def test_one_column_keeps_its_empty_cells(
    tmp_path: Path, one_column: Path, data: bytes, cells: list[float | None]
) -> None:
    expected = predictions(one_column, written(tmp_path / "d.parquet", pl.DataFrame({"p": cells})))
    assert predictions(one_column, saved(tmp_path / "d.csv", data)) == expected


def test_a_row_of_nothing_but_nulls_is_predicted_from_parquet(tmp_path: Path, model: Path) -> None:
    table = pl.DataFrame({"p": [None, 1.0, None], "q": [None, 2.0, None]})
    assert len(predictions(model, written(tmp_path / "d.parquet", table))) == 3


def test_filled_cells_are_told(tmp_path: Path, model: Path) -> None:
    result = done("predict", model, saved(tmp_path / "d.csv", b"p,q\n1,\n,2\n,3\n"))
    assert "filled 2 missing cells of 'p' with its mean" in result.stderr
    assert "filled 1 missing cells of 'q' with its mean" in result.stderr


def test_training_does_not_pass_over_rows(tmp_path: Path) -> None:
    lines = small().write_csv().splitlines()
    lines.insert(5, ",,,")
    path = saved(tmp_path / "d.csv", "\n".join(lines).encode())
    refused(tmp_path, ["train", path, "--target", "y"], "'y'", "missing", "row 5 (line 6)")


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=3)
CELLS = st.sampled_from(["", "1", "2.5", "x", "a,b", 'q"t', "l\nm", "é", "NA", "  y ", "#", ";"])
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(CELLS | TEXT, min_size=width, max_size=width), min_size=1, max_size=8
    )
)


@given(
    rows=TABLES,
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    blank=st.integers(0, 3),
)
def test_cells_are_those_of_the_csv_module(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    end: str,
    quoting: int,
    blank: int,
) -> None:
    if len(rows[0]) == 1:  # blanks alone make a blank line
        rows = [[cell.strip()] for (cell,) in rows]
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow([f"c{i}" for i in range(len(rows[0]))])
    writer.writerows(rows)
    path = tmp_path_factory.getbasetemp() / "drawn.csv"
    path.write_bytes((file.getvalue() + end * blank).encode())
    found = [[(cell or "").strip() for cell in row] for row in read(str(path)).frame.rows()]
    assert found == [[cell.strip() for cell in row] for row in rows]


NUMBERS = st.none() | st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@settings(max_examples=20)  # each starts the command twice
@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_csv_and_parquet_of_the_same_rows_give_the_same_predictions(
    model: Path,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[float | None, float | None]],
) -> None:
    folder = tmp_path_factory.getbasetemp()
    table = pl.DataFrame(rows, {"p": pl.Float64, "q": pl.Float64}, orient="row")
    with (folder / "drawn.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["p", "q"])
        writer.writerows(rows)
    expected = predictions(model, written(folder / "drawn.parquet", table))
    assert len(expected) == len(rows)
    assert predictions(model, folder / "drawn.csv") == expected


# ---- what is read right ----


@pytest.mark.parametrize(
    "data",
    [
        b"p,q\n1,2\n3,4\n",
        b"p,q\r\n1,2\r\n3,4\r\n\r\n",
        b"p,q\r1,2\r3,4\r",
        b'"p","q"\n"1", "2"\n 3 ,4',
        b"\xef\xbb\xbfp,q\n1,2\n3,4\n",
        "p,q\n1,2\n3,4\n".encode("utf-16"),
        gzip.compress(b"p,q\n1,2\n3,4\n"),
    ],
    ids=["plain", "CRLF", "CR", "quotes", "mark", "UTF-16", "gzip"],
)
def test_notations_of_the_same_file(tmp_path: Path, data: bytes) -> None:
    table = read(str(saved(tmp_path / "d.csv", data)))
    assert table.frame.columns == ["p", "q"]
    assert [[cell.strip() for cell in row] for row in table.frame.rows()] == [
        ["1", "2"],
        ["3", "4"],
    ]


def test_a_quote_after_a_blank_encloses_its_cell(tmp_path: Path) -> None:
    table = read(str(saved(tmp_path / "d.csv", b'a, b, c\n1, "x, y", 2\n')))
    assert table.frame.row(0) == ("1", "x, y", "2")


def test_a_very_long_cell_is_a_cell(tmp_path: Path) -> None:
    data = b'a,b\n1,"' + b"x" * 200_000 + b'"\n2,y\n'
    assert [len(cell) for cell in read(str(saved(tmp_path / "d.csv", data))).frame["b"]] == [
        200_000,
        1,
    ]
    assert csv.field_size_limit() < 200_000, "what others use is as before"


def test_cells_over_several_lines_are_told(tmp_path: Path) -> None:
    table = small().with_columns(c=pl.Series(["red\nish", "green", "blue"] * 20))
    result = done("train", written(tmp_path / "d.csv", table), "--target", "y", *FEW)
    assert "20 records go over several lines within quotes, the first from line 2" in result.stderr


# ---- what is told ----


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"p,q\n1,2\n1,2,3\n", ["line 3 has 3 fields, the header has 2", "'1,2,3'", "quotes"]),
        (b"p,q\n1,2\n1\n", ["line 3 has 1 field, the header has 2", "'1'"]),
        (b"p,q\n1,2,3\n", ["line 2 has 3 fields", "--skip-lines"]),
        (b"p,q\n1,2\n\n3,4\n", ["line 3 is blank"]),
        (b"\np,q\n1,2\n", ["line 1 is blank", "--skip-lines 1"]),
        (b"\n \np,q\n1,2\n", ["line 1 is blank", "--skip-lines 2"]),
        (b"# by me\np,q\n1,2\n", ["line 1 is '# by me'", "--skip-lines 1"]),
        (b"# by me\n#\n\np,q\n1,2\n", ["line 1 is '# by me'", "--skip-lines 3"]),
        (b"sep=,\np,q\n1,2\n", ["line 1 is 'sep=,'", "--skip-lines 1"]),
        (b"sep=;\np;q\n1;2\n", ["line 1 is 'sep=;'", '--skip-lines 1 --delimiter ";"']),
        (b"% 1\np,q\n1,2\n", ["line 1 is '% 1'", "--skip-lines 1"]),
        (b"// a\np,q\n1,2\n", ["line 1 is '// a'", "--skip-lines 1"]),
        (b"title\np,q\n1,2\n", ["line 2 has 2 fields, the header has 1", "--skip-lines"]),
        (b'p,q\n1,2\n"3,4\n5,6\n', ["line 3 opens a quote", "--no-quotes"]),
        (b'p,q\n1,2\n"3"x,4\n', ["line 3 goes on after a closing quote", "--no-quotes"]),
        (b'p,q\n1,"2\n3,4"\n5,6,7\n', ["line 4 has 3 fields"]),
        (b'p,q\n"1\n2"\n', ["line 2, which goes on to line 3 within quotes, has 1 field"]),
        (b"p;q\n1;2\n", ["line 1 is 'p;q'", '--delimiter ";"']),
        (b"p\tq\n1\t2\n", ["line 1", '--delimiter "tab"']),
        (b"p|q\n1|2\n", ["line 1 is 'p|q'", '--delimiter "|"']),
        (b"p,q\n1,2\r3\n4,5\n", ["line 2 has a carriage return within"]),
        (b"p,q\n1,2\n3,\xe9\n", ["not UTF-8", "line 3", "0xe9", "--encoding latin1"]),
        (b"p,q\n1,2\n3,\0\n", ["line 3", "byte of value 0"]),
        (b"1,2,1\n3,4,5\n", ["two columns with the name '1'", "no header"]),
        (b"p,q\n\n\n", ["no rows"]),
    ],
)
def test_what_is_no_record_is_named(
    tmp_path: Path, model: Path, data: bytes, words: list[str]
) -> None:
    path = saved(tmp_path / "d.csv", data)
    refused(tmp_path, ["predict", model, path], str(path), *words)
    refused(tmp_path, ["train", path, "--target", "q"], str(path), *words)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b"# by me\n\np,q\n1,2\n3000,4\n", ["--skip-lines", "2"]),
        (b"sep=;\np;q\n1;2\n3000;4\n", ["--skip-lines", "1", "--delimiter", ";"]),
        (b"p\tq\n1\t2\n3000\t4\n", ["--delimiter", "tab"]),
        (b'p,q,"r\n1,2,"\n3000,4,x"y\n', ["--no-quotes"]),
        (b"p;q\n1,0;2,00\n3000;4\n", ["--delimiter", ";", "--decimal", ","]),
        (b"p;q\n1;2,0\n3.000;4\n", ["--delimiter", ";", "--decimal", ",", "--thousands", "."]),
    ],
)
def test_the_options_that_are_named_settle_it(
    tmp_path: Path, model: Path, data: bytes, options: list[str]
) -> None:
    plain = predictions(model, saved(tmp_path / "plain.csv", b"p,q\n1,2\n3000,4\n"))
    out = done("predict", model, saved(tmp_path / "d.csv", data), *options).stdout
    assert pl.read_csv(out.encode())["prediction"].to_list() == plain


def test_a_model_remembers_how_its_table_was_written(tmp_path: Path) -> None:
    lines = ["by hand", "p;q", *(f"{i},5;{i % 7 + 1}.000,25" for i in range(40))]
    path = saved(tmp_path / "d.csv", "\n".join(lines).encode())
    told = ["--delimiter", ";", "--decimal", ",", "--thousands", ".", "--skip-lines", 1]
    done("train", path, "--target", "q", *told, *FEW, "--save", tmp_path / "m")
    expected = predictions(tmp_path / "m", path)
    other = written(tmp_path / "e.parquet", pl.DataFrame({"p": [i + 0.5 for i in range(40)]}))
    assert predictions(tmp_path / "m", other) == expected
    plain = saved(tmp_path / "e.csv", b"p\n0.5\n1.5\n")
    back = ["--delimiter", ",", "--decimal", ".", "--thousands", "", "--skip-lines", "0"]
    out = done("predict", tmp_path / "m", plain, *back).stdout
    assert pl.read_csv(out.encode())["prediction"].to_list() == expected[:2]
    info = done("info", tmp_path / "m").stdout
    assert '--decimal "," --thousands "." --delimiter ";" --skip-lines 1' in info


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--delimiter", "ab"], ["--delimiter", "one letter", "'ab'"]),
        (["--delimiter", '"'], ["--delimiter"]),
        (["--delimiter", "é"], ["--delimiter"]),
        (["--decimal", ";"], ["--decimal must be '.' or ','", "';'"]),
        (["--thousands", "x"], ["--thousands", "'x'"]),
        (["--thousands", "."], ["--thousands must not be '.'"]),
        (["--skip-lines", "-1"], ["--skip-lines must be at least 0"]),
        (["--skip-lines", "99"], ["--skip-lines must leave a header, got 99"]),
    ],
)
def test_options_out_of_their_domain(
    tmp_path: Path, model: Path, options: list[str], words: list[str]
) -> None:
    path = saved(tmp_path / "d.csv", b"p,q\n1,2\n")
    refused(tmp_path, ["train", path, "--target", "q", *options], *words)
    refused(tmp_path, ["predict", model, path, *options], *words)


@pytest.mark.parametrize("option", [["--delimiter", ";"], ["--skip-lines", "1"], ["--no-quotes"]])
def test_lines_are_those_of_csv_files(tmp_path: Path, option: list[str]) -> None:
    path = written(tmp_path / "d.parquet", small())
    refused(tmp_path, ["train", path, "--target", "y", *option], option[0], "CSV")


def test_many_rows_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gdcore.tabular.delimited.CHUNK", 7)
    rows = [[str(i), f"t{i},"] for i in range(30)]
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["a", "b"], *rows])
    table = read(str(saved(tmp_path / "d.csv", file.getvalue().encode())))
    assert [list(row) for row in table.frame.rows()] == rows
    assert table.rows.told(29) == "row 30 (line 31)"


def test_a_text_far_down_is_found(tmp_path: Path) -> None:
    cells = [str(value) for value in np.arange(30_000) / 4]
    cells[20_000] = "oops"
    path = written(tmp_path / "d.csv", {"a": cells, "y": ["p", "q"] * 15_000})
    refused(tmp_path, ["train", path, "--target", "y"], "'oops'", "row 20001 (line 20002)")
