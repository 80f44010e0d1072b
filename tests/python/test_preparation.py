"""Preparations of tables from Python: the same for every kind of frame, and told faults."""

from __future__ import annotations

import copy
import datetime
import decimal
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdcore as gd
from gdcore.tabular import Model, Preparation

ROWS = 60


def columns(rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 900, rows).astype("timedelta64[D]")
    return {
        "age": rng.normal(40, 10, rows),
        "count": rng.integers(0, 90, rows),
        "city": rng.choice(["Ulm", "Bonn", "Jena"], rows),
        "member": rng.random(rows) > 0.5,
        "since": np.datetime64("2021-03-01T00:00", "us") + days,
    }


def price(table: dict[str, Any]) -> np.ndarray:
    return 2.5 * table["age"] + 30.0 * (table["city"] == "Ulm")


def priced() -> dict[str, Any]:
    table = columns()
    return {**table, "price": price(table)}


def as_objects(table: dict[str, Any]) -> dict[str, Any]:
    return {key: np.array(each.tolist(), object) for key, each in table.items()}


def as_records(table: dict[str, Any]) -> np.ndarray:
    return np.rec.fromarrays(list(table.values()), names=",".join(table))


def as_pandas(table: dict[str, Any]) -> Any:
    return pytest.importorskip("pandas").DataFrame(table)


def as_nullable(table: dict[str, Any]) -> Any:
    return as_pandas(table).convert_dtypes()


def as_arrow_backed(table: dict[str, Any]) -> Any:
    pytest.importorskip("pyarrow")
    return as_pandas(table).convert_dtypes(dtype_backend="pyarrow")


def as_categories(table: dict[str, Any]) -> Any:
    return as_pandas(table).astype({"city": "category"})


def as_polars(table: dict[str, Any]) -> Any:
    return pytest.importorskip("polars").DataFrame(table)


def as_pyarrow(table: dict[str, Any]) -> Any:
    return pytest.importorskip("pyarrow").table(table)


def as_dictionaries(table: dict[str, Any]) -> Any:
    made = as_pyarrow(table)
    place = made.column_names.index("city")
    return made.set_column(place, "city", made["city"].dictionary_encode())


FRAMES: list[Callable[[dict[str, Any]], Any]] = [
    dict, as_objects, as_records, as_pandas, as_nullable, as_arrow_backed, as_categories,
    as_polars, as_pyarrow, as_dictionaries,
]  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_every_frame_becomes_the_same_numbers(frame: Callable[[dict[str, Any]], Any]) -> None:
    expected, targets = Preparation().fit_transform(priced(), "price")
    x, y = Preparation().fit_transform(frame(priced()), "price")
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, targets)
    assert x.dtype == np.float32
    assert x.shape == (ROWS, 1 + 1 + 3 + 2 + 5)
    assert y.shape == (ROWS, 1)


@pytest.mark.parametrize("frame", FRAMES)
def test_columns_are_found_by_their_names(frame: Callable[[dict[str, Any]], Any]) -> None:
    preparation = Preparation().fit(as_objects(priced()), "price")
    table = columns()
    turned = frame(dict(reversed(table.items())))
    np.testing.assert_array_equal(preparation.transform(turned), preparation.transform(table))


def test_missing_cells_of_every_package_are_missing() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    cells = {
        "a": [1.0, None, 3.0, 8.0],
        "b": [1, 2, None, 2],
        "c": ["x", None, "y", "x"],
        "d": [True, None, False, True],
        "e": [None, *(datetime.date(2020, month, 1) for month in (1, 5, 11))],
    }
    y = [1.0, 2.5, 3.0, 4.0]
    made = [
        Preparation(missing="mean", indicator=True, task="regression").fit_transform(frame, y)[0]
        for frame in (
            {key: np.array(each, object) for key, each in cells.items()},
            pandas.DataFrame(cells),
            pandas.DataFrame(cells).convert_dtypes(),
            polars.DataFrame(cells),
        )
    ]
    for each in made[1:]:
        np.testing.assert_array_equal(each, made[0])
    np.testing.assert_array_equal(made[0][:, 1], [0, 1, 0, 0])
    assert made[0][1, 0] == 0


# ---- what becomes of numbers ----


def only(x: Any, **options: Any) -> np.ndarray:
    y = np.arange(len(x), dtype=float) + 0.5
    made = Preparation(**options).fit({"a": x}, y).transform({"a": x}, "float64")
    assert isinstance(made, np.ndarray)
    return made


SKEWED = np.random.default_rng(3).exponential(3.0, 500)


def test_standard_is_mean_and_deviation() -> None:
    np.testing.assert_allclose(only(SKEWED)[:, 0], (SKEWED - SKEWED.mean()) / SKEWED.std())


def test_robust_is_realmlps() -> None:
    """RobustScaleSmoothClipTransform of pytabkit, written down anew."""
    first, third = np.quantile(SKEWED, [0.25, 0.75])
    z = (SKEWED - np.median(SKEWED)) / (third - first)
    made = only(SKEWED, numbers="robust")[:, 0]
    np.testing.assert_allclose(made, z / np.sqrt(1 + (z / 3) ** 2))
    assert np.abs(made).max() < 3
    mostly = np.array([5.0] * 9 + [7.0])
    z = (mostly - 5) / (0.5 * (7 - 5))
    np.testing.assert_allclose(only(mostly, numbers="robust")[:, 0], z / np.sqrt(1 + (z / 3) ** 2))


# Where numbers are equal, scikit-learn's quantiles of them differ by rounding.
@pytest.mark.parametrize(("digits", "close"), [(1, 0.02), (8, 1e-9)])
def test_quantiles_are_scikit_learns(digits: int, close: float) -> None:
    processing = pytest.importorskip("sklearn.preprocessing")
    x = np.round(SKEWED, digits)
    theirs = processing.QuantileTransformer(output_distribution="normal", n_quantiles=len(x))
    expected = theirs.fit_transform(x[:, None])[:, 0]
    np.testing.assert_allclose(only(x, numbers="quantile")[:, 0], expected, atol=close)


def test_none_leaves_numbers_as_they_are() -> None:
    np.testing.assert_array_equal(only(SKEWED, numbers="none")[:, 0], SKEWED)


@pytest.mark.parametrize(("missing", "at"), [("mean", 4.0), ("median", 2.0)])
@pytest.mark.parametrize("numbers", ["standard", "robust", "quantile", "none"])
def test_missing_numbers_are_filled(missing: str, at: float, numbers: str) -> None:
    x = np.array([1.0, 1.5, np.nan, 2.0, 2.5, 13.0])
    options = {"numbers": numbers, "missing": missing}
    preparation = Preparation(indicator=True, **options).fit({"a": x}, np.arange(6) + 0.5)
    made = preparation.transform({"a": np.array([np.nan, at])}, "float64")
    np.testing.assert_array_equal(made, [[made[1, 0], 1], [made[1, 0], 0]])


def test_codes_in_a_list_are_categories() -> None:
    preparation = Preparation(categories=["zip"]).fit({"zip": np.array([7, 8, 7, 9])}, SKEWED[:4])
    made = preparation.transform({"zip": np.array(["9", "7"])})
    np.testing.assert_array_equal(made, [[0, 0, 1], [1, 0, 0]])


# ---- dates ----


def test_dates_have_time_and_places_in_cycles() -> None:
    days = np.array(["2023-01-01", "2024-07-01T12:00", "2024-12-31T18:00"], "datetime64[us]")
    made = only(days)
    since = (days - days[0]) / np.timedelta64(1, "D")
    np.testing.assert_allclose(made[:, 0], (since - since.mean()) / since.std())
    year = 2 * np.pi * np.array([0, 182.5 / 366, 365.75 / 366])
    week = 2 * np.pi * np.array([6, 0.5, 1.75]) / 7  # a Sunday, a Monday and a Tuesday
    day = 2 * np.pi * np.array([0, 0.5, 0.75])
    for place, angle in enumerate((year, week, day)):
        np.testing.assert_allclose(made[:, 1 + 2 * place], np.sin(angle), atol=1e-12)
        np.testing.assert_allclose(made[:, 2 + 2 * place], np.cos(angle), atol=1e-12)


def test_times_of_a_zone_are_taken_in_utc() -> None:
    pandas = pytest.importorskip("pandas")
    utc = pandas.Series(pandas.to_datetime(["2024-01-01 01:00", "2024-03-01 05:00"], utc=True))
    berlin = utc.dt.tz_convert("Europe/Berlin")
    np.testing.assert_array_equal(only(berlin), only(utc))
    np.testing.assert_array_equal(only(berlin.astype(object)), only(utc))


def test_text_of_dates_is_taken_where_dates_were() -> None:
    preparation = Preparation().fit({"d": columns()["since"]}, SKEWED[:ROWS])
    day = preparation.transform({"d": np.array(["2021-05-01"], "datetime64[D]")})
    np.testing.assert_array_equal(preparation.transform({"d": ["2021-05-01"]}), day)
    with pytest.raises(ValueError, match=r"'d' must hold dates, .* got 'soon' in row 1 "):
        preparation.transform({"d": ["2021-05-01", "soon"]})


# ---- categories ----


def test_others_are_none_of_the_categories_where_none_was_rare() -> None:
    preparation = Preparation(unseen="other").fit({"c": np.array(list("abab"))}, SKEWED[:4])
    np.testing.assert_array_equal(preparation.transform({"c": ["b", "z"]}), [[0, 1], [0, 0]])


def test_rare_categories_are_one_with_those_to_come() -> None:
    cells = np.array(list("aaabbbxy"))
    preparation = Preparation(unseen="other", min_count=2).fit({"c": cells}, SKEWED[:8])
    made = preparation.transform({"c": np.array(["b", "x", "new", None], object)})
    np.testing.assert_array_equal(made, [[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]])


def test_large_columns_become_codes_and_small_ones_inputs() -> None:
    table = {"small": list("ab" * 6), "large": list("abcdef" * 2), "x": SKEWED[:12]}
    preparation = Preparation(embed_above=2, unseen="other")
    x, y = preparation.fit_transform(table, SKEWED[12:24])
    assert x["numbers"].shape == (12, 3)
    np.testing.assert_array_equal(x["categories"][:6, 0], range(6))
    new = preparation.transform({**table, "large": ["new"] * 12})
    assert set(new["categories"][:, 0].tolist()) == {6}
    net = preparation.network([gd.Dense(4, "relu")], embedding_size=3)
    assert [each.categories for each in net.inputs] == [None, (7,)]
    gd.Trainer(net, preparation.loss, "adam").fit(x, y, epochs=1, progress=False)


# ---- targets ----


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (np.array(["no", "yes"] * 10), ("no", "yes")),
        (np.array([True, False] * 10), (False, True)),
        (np.array([3, 1] * 10), (1, 3)),
        (np.array(["b", "a"] * 10, object), ("a", "b")),
    ],
)
def test_classes_are_what_they_were(target: np.ndarray, classes: tuple[Any, ...]) -> None:
    preparation = Preparation()
    _, y = preparation.fit_transform({"a": SKEWED[:20]}, target)
    assert preparation.classes == classes
    assert preparation.loss == "cross_entropy"
    np.testing.assert_array_equal(np.array(classes)[y], target)
    model = Model(preparation.network([], seed=0), preparation)
    found = model.predict({"a": SKEWED[:20]})
    assert found.dtype.kind == target.dtype.kind or target.dtype == object
    shares = model.predict_proba({"a": SKEWED[:20]})
    np.testing.assert_array_equal(found, np.array(classes)[shares.argmax(axis=1)])
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)


def test_categories_of_numbers_are_classes_of_numbers() -> None:
    pandas = pytest.importorskip("pandas")
    target = pandas.Series([30, 10] * 10, dtype="category", name="grade")
    preparation = Preparation().fit({"a": SKEWED[:20]}, target)
    assert preparation.classes == (10, 30)


def test_numbers_come_back_in_their_own_units_and_bounds() -> None:
    table = {"a": SKEWED[:20], "p": 1000 + SKEWED[20:40], "q": SKEWED[40:60]}
    preparation = Preparation(clamp=True)
    _, y = preparation.fit_transform(table, ["p", "q"])
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1)
    np.testing.assert_allclose(preparation.inverse_target(y)[:, 0], table["p"])
    far = preparation.inverse_target(np.array([[100.0, -100.0]]))
    np.testing.assert_array_equal(far, [[table["p"].max(), table["q"].min()]])
    plain = Preparation(target_scaling="none").fit(table, "p")
    np.testing.assert_array_equal(plain.transform_target(table)[:, 0], table["p"])


# ---- arrays ----


def test_arrays_have_places_for_names() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    preparation = Preparation().fit(x, SKEWED[:20])
    assert preparation.input_names == ("x[0]", "x[1]", "x[2]")
    np.testing.assert_allclose(preparation.transform(x), (x - x.mean(0)) / x.std(0), rtol=1e-5)
    with pytest.raises(ValueError, match="x must have 3 columns, as in training, got 4"):
        preparation.transform(np.ones((2, 4)))


# ---- models ----


@pytest.fixture(scope="module")
def trained() -> Model:
    preparation = Preparation(numbers="robust", missing="median", unseen="other")
    x, y = preparation.fit_transform(priced(), "price")
    net = preparation.network([gd.Dense(16, "relu")], seed=0)
    trainer = gd.Trainer(net, preparation.loss, gd.Adam(lr=1e-2), average="ema")
    trainer.fit(x, y, epochs=3, progress=False)
    return Model(trainer, preparation)


def test_a_model_takes_raw_rows_after_a_file_too(trained: Model, tmp_path: Path) -> None:
    trained.save(tmp_path / "m", extra={"who": "me"})
    loaded = gd.load_model(tmp_path / "m")
    table = columns(seed=7)
    assert trained.predict(table).shape == (ROWS,)
    np.testing.assert_array_equal(loaded.predict(table), trained.predict(table))
    assert loaded.preparation.fitted == trained.preparation.fitted
    assert gd.files.read_description(tmp_path / "m")["extra"]["who"] == "me"
    assert trained.trainer is not None
    outputs = trained.trainer.averaged.predict(trained.preparation.transform(table))
    expected = trained.preparation.inverse_target(outputs)[:, 0]
    np.testing.assert_array_equal(trained.predict(table), expected)


def test_a_preparation_is_pickled_and_copied(trained: Model) -> None:
    preparation = trained.preparation
    for other in (pickle.loads(pickle.dumps(preparation)), copy.deepcopy(preparation)):
        assert other.fitted == preparation.fitted
        assert repr(other) == repr(preparation)


@pytest.mark.parametrize("numbers", ["standard", "robust", "quantile", "none"])
def test_a_preparation_comes_back_from_json(numbers: str) -> None:
    table = {**priced(), "gaps": np.where(SKEWED[:ROWS] > 3, np.nan, SKEWED[:ROWS])}
    options: dict[str, Any] = {"numbers": numbers, "embed_above": 2, "unseen": "other"}
    preparation = Preparation(missing="median", indicator=True, clamp=True, **options)
    preparation.fit(table, "price")
    text = json.dumps(preparation.to_json())
    again = Preparation.from_json(json.loads(text))
    assert again.fitted == preparation.fitted
    assert json.dumps(again.to_json()) == text


def test_a_file_of_a_bare_network_names_the_way(tmp_path: Path) -> None:
    gd.Network([gd.Dense(1)], input_size=2).save(tmp_path / "n")
    with pytest.raises(ValueError, match=r"knows no columns: .*Network\.load"):
        gd.load_model(tmp_path / "n")


def test_the_command_and_python_predict_the_same(tmp_path: Path) -> None:
    for module in ("polars", "rich", "sklearn", "typer"):
        pytest.importorskip(module)
    import polars as pl
    from command_line import arrays, done

    table = as_polars(priced()).with_columns(pl.col("since").dt.date())
    plain = table.drop("since", "price").with_columns(y=pl.col("city"))
    plain.write_csv(tmp_path / "d.csv")
    done("train", tmp_path / "d.csv", "--target", "y", "--save", tmp_path / "m", "--epochs", 2)
    done("predict", tmp_path / "m", tmp_path / "d.csv", "--out", tmp_path / "p.npz")
    expected = arrays(tmp_path / "p.npz")
    model = gd.load_model(tmp_path / "m")
    for frame in (plain, plain.drop("y"), pl.read_csv(tmp_path / "d.csv", infer_schema=False)):
        np.testing.assert_array_equal(model.predict(frame), expected["prediction"])
        np.testing.assert_array_equal(model.predict_proba(frame), expected["probability"])
    # And the other way: what Python has prepared, dates and all.
    preparation = Preparation().fit(table, "price")
    made = Model(preparation.network([], seed=0), preparation)
    made.save(tmp_path / "m2")
    for ending, write in (("parquet", table.write_parquet), ("csv", table.write_csv)):
        write(tmp_path / f"d.{ending}")
        data, out = tmp_path / f"d.{ending}", tmp_path / "q.npz"
        done("predict", tmp_path / "m2", data, "--out", out)
        np.testing.assert_array_equal(arrays(out)["prediction"], made.predict(table))
    assert "its place in the year" in done("info", tmp_path / "m2").stdout


# ---- faults ----

FAULTS: list[tuple[Callable[[dict[str, Any]], Any], type[Exception], str]] = [
    (lambda t: {k: v for k, v in t.items() if k != "age"}, ValueError, "the column 'age', as in"),
    (lambda t: {**t, "new": t["age"]}, ValueError, "not have the column 'new', which training did"),
    (lambda t: {**t, "city": ["Rom"] * ROWS}, ValueError,
     r"'city' must hold a category .*Bonn, Jena, Ulm.*got 'Rom' in row 0 .*unseen='other'"),
    (lambda t: {**t, "age": ["?", "many"] * (ROWS // 2)}, ValueError,
     r"'age' must hold numbers, got 'many' in row 1 "),
    (lambda t: {**t, "age": np.r_[t["age"][1:], np.inf]}, ValueError, "got inf in row 59 "),
    (lambda t: {**t, "age": np.r_[t["age"][1:], np.nan]}, ValueError,
     r"'age' must have no missing cells, .*got 1, the first in row 59 .*missing='mean'"),
    (lambda t: {**t, "since": t["age"]}, TypeError, "'since' must hold dates, got float64"),
    (lambda t: {**t, "age": t["since"]}, TypeError, "'age' must hold numbers, got datetime64"),
    (lambda t: {**t, "city": t["since"]}, TypeError, "'city' must hold categories, got datetime64"),
    (lambda t: {**t, "age": t["age"] * 1j}, TypeError, "'age' holds complex128, which is neither"),
    (lambda t: {**t, "city": np.array([["a"]] * ROWS + [1], object)[:-1]}, TypeError,
     r"'city' holds \['a'\] \(list\) in row 0 "),
    (lambda t: {**t, "city": np.array(["a", 1] * (ROWS // 2), object)}, TypeError,
     "'city' holds values of several types: 'a' in row 0 and 1 in row 1 "),
    (lambda t: {**t, "age": t["age"][1:]}, ValueError, "of one length, got 59 cells in 'age' and"),
    (lambda t: {**t, 3: t["age"]}, TypeError, r"names are text, got 3 \(int\)"),
    (lambda t: np.ones((3, 5, 2)), ValueError, r"shape \(N, columns\), got \(3, 5, 2\)"),
    (lambda t: [1, 2], TypeError, "frame must be a table of pandas, polars or pyarrow"),
    (lambda t: {k: v[:0] for k, v in t.items()}, ValueError, "a column and a row at least"),
    (lambda t: np.ma.masked_array(np.ones((3, 5))), TypeError, "must not be a masked array"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "words"), FAULTS)
def test_faults_tell_column_row_and_cell(change: Any, kind: type[Exception], words: str) -> None:
    preparation = Preparation().fit(columns(), SKEWED[:ROWS])
    with pytest.raises(kind, match=words):
        preparation.transform(change(columns()))


def test_two_columns_of_one_name_and_lazy_frames_are_refused() -> None:
    preparation = Preparation().fit(columns(), SKEWED[:ROWS])
    table = as_pandas(columns())
    twice = pytest.importorskip("pandas").concat([table, table[["age"]]], axis=1)
    with pytest.raises(ValueError, match="two columns with the name 'age'"):
        preparation.transform(twice)
    with pytest.raises(TypeError, match=r"a LazyFrame: collect\(\) it"):
        preparation.transform(as_polars(columns()).lazy())


FIT_FAULTS: list[tuple[dict[str, Any], Callable[[dict[str, Any]], Any], Any, str]] = [
    ({}, dict, "prise", "target must be a column .*got 'prise'; did you mean 'price'"),
    ({"drop": ["agee"]}, dict, "price", "drop must be a column .*did you mean 'age'"),
    ({"drop": ["price"]}, dict, "price", "drop must not hold the target, 'price'"),
    ({}, lambda t: {**t, "age": np.r_[np.nan, t["age"][1:]]}, "price",
     "'age' has 1 missing cells, the first in row 0 .*missing='mean' or 'median'"),
    ({}, lambda t: {**t, "city": [f"c{i}" for i in range(ROWS)]}, "price",
     "'city' has 60 categories in 60 rows, a different text in every row: leave it out with drop"),
    ({}, lambda t: {**t, "price": np.r_[np.nan, t["age"][1:]]}, "price",
     "target 'price' must have no missing cells, got 1, the first in row 0 "),
    ({}, lambda t: {**t, "price": np.ones(ROWS)}, "price", "has one class only, 1.0"),
    ({"task": "regression"}, lambda t: {**t, "price": np.ones(ROWS)}, "price", "one value only, 1"),
    ({}, dict, np.ones(3), "target must have 60 rows, as frame has, got 3"),
    ({}, lambda t: {"price": t["price"], "k": [1] * ROWS}, "price", "must have an input beside"),
    ({}, lambda t: {**t, "age": np.full(ROWS, 1e200) * np.arange(ROWS)}, "price", "too large to"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "change", "target", "words"), FIT_FAULTS)
def test_faults_of_training_rows_leave_it_as_it_was(
    options: dict[str, Any], change: Any, target: Any, words: str
) -> None:
    preparation = Preparation(**options)
    with pytest.raises(ValueError, match=words):
        preparation.fit(change(priced()), target)
    with pytest.raises(RuntimeError, match="not fitted: call fit"):
        preparation.transform(priced())


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"numbers": "log"}, ValueError, "numbers must be .*'log'"),
        ({"missing": "zero"}, ValueError, "missing must be .*'zero'"),
        ({"unseen": "ignore"}, ValueError, "unseen must be .*'ignore'"),
        ({"min_count": 2}, ValueError, "min_count must be 1 unless unseen is 'other'"),
        ({"indicator": True}, ValueError, "indicator must be False where missing is 'error'"),
        ({"categories": "zip"}, TypeError, "categories must be names of columns in a list"),
        ({"drop": ["a"], "categories": ["a"]}, ValueError, "must not both hold 'a'"),
        ({"embed_above": 2.5}, TypeError, "embed_above"),
        ({"clamp": 1}, TypeError, "clamp"),
    ],
)
def test_options_are_checked(options: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        Preparation(**options)


def test_an_unknown_class_is_named() -> None:
    preparation = Preparation().fit({"a": SKEWED[:4]}, np.array(["no", "yes", "no", "yes"]))
    with pytest.raises(ValueError, match=r"a class that training saw \('no', 'yes'\), got 'maybe'"):
        preparation.transform_target(np.array(["no", "maybe"]))


def test_a_model_needs_what_fits() -> None:
    preparation = Preparation().fit(columns(), SKEWED[:ROWS])
    with pytest.raises(ValueError, match="does not fit its network"):
        Model(gd.Network([gd.Dense(1)], input_size=3), preparation)
    with pytest.raises(TypeError, match=r"predict_proba is for classes: .*numbers 'y'"):
        Model(preparation.network([]), preparation).predict_proba(columns())


def test_what_was_left_out_is_told() -> None:
    table = {**columns(), "one": [1] * ROWS, "none": np.full(ROWS, np.nan)}
    preparation = Preparation().fit(table, SKEWED[:ROWS])
    assert preparation.notes == (
        "left out 'one': it has one value only, 1",
        "left out 'none': it has no cell",
    )
    table["one"][3] = 2
    preparation.transform(table)  # it was there in training, and says nothing


def test_decimals_and_whole_numbers_are_numbers() -> None:
    cells = [decimal.Decimal("1.5"), decimal.Decimal(2), decimal.Decimal("4.25")]
    np.testing.assert_array_equal(only(np.array(cells, object)), only(np.array([1.5, 2, 4.25])))
    assert math.isclose(float(only(np.array([1, 2, 9], np.uint8)).mean()), 0, abs_tol=1e-12)
