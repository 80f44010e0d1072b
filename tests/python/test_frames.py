"""Tables: columns are found by name wherever a table goes in, and each is taken by its own type."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import models
import nets
import numpy as np
import pytest
from support import assert_same_bits, assert_same_state, run_json

import gdcore as gd

X = nets.inputs(20, 3)
Y = (X @ [[3.0], [-1.0], [0.5]]) + 0.1
NAMES = ("a", "b", "c")
MOVED = [2, 0, 1]


class Own:
    """A table of one's own: names, and an array."""

    def __init__(self, array: Any, columns: Any) -> None:
        self.array, self.columns = np.asarray(array), columns

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


def pandas_frame(array: Any, columns: Any) -> Any:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    return pandas.DataFrame(array, columns=list(columns))


def polars_frame(array: Any, columns: Any) -> Any:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    return polars.DataFrame(np.asarray(array), schema=list(columns), orient="row")


def arrow_table(array: Any, columns: Any) -> Any:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return arrow.table({name: array[:, i] for i, name in enumerate(columns)})


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "pandas": pandas_frame, "polars": polars_frame, "pyarrow": arrow_table, "own": Own,
}  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS)


def new(dtype: str = "float64", loss: str | None = "mse") -> gd.Trainer:
    return gd.Trainer(nets.network([3, 4, 1], ["tanh", "identity"], dtype), loss, "adam")


def trained(kind: str, dtype: str = "float64") -> gd.Trainer:
    trainer = new(dtype)
    trainer.fit(KINDS[kind](X, NAMES), Y, epochs=2, progress=False)
    return trainer


def moved(kind: str, rows: Any = X) -> Any:
    return KINDS[kind](rows[:, MOVED], [NAMES[i] for i in MOVED])


# What takes a table, and gives something to compare.
CALLS: dict[str, Callable[[gd.Trainer, Any], Any]] = {
    "predict": lambda t, x: t.network.predict(x),
    "forward": lambda t, x: t.network.forward(x),
    "training forward": lambda t, x: t.network.forward(x, training=True),
    "step": lambda t, x: t.step(x, Y),
    "learn_many": lambda t, x: t.learn_many(x, Y),
    "evaluate": lambda t, x: list(t.evaluate(x, Y, metrics=["mae"]).values()),
    "fit": lambda t, x: t.fit(x, Y, epochs=1, progress=False)["loss"],
    "validation": lambda t, x: t.fit(
        X, Y, epochs=1, validation_data=(x, Y), metrics=["mae", "r2"], progress=False
    )["val_mae"],
    "check": lambda t, x: gd.check_gradients(t.network, "mse", x, Y).loss,
}  # fmt: skip


# ---- names ----


@every_kind
@pytest.mark.parametrize("call", CALLS)
def test_another_order_is_put_right(call: str, kind: str) -> None:
    one, other = trained(kind), trained(kind)
    got, expected = CALLS[call](one, moved(kind)), CALLS[call](other, KINDS[kind](X, NAMES))
    assert_same_bits(got, expected)
    assert_same_state(one.network.state_dict(), other.network.state_dict())


@every_kind
@pytest.mark.parametrize("call", [call for call in CALLS if call != "check"])
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("a", "b", "z"), "it lacks 'c' and has beside them 'z'"),
        (("a", "b"), "it lacks 'c'"),
        (("a", "b", "c", "target", "id"), "it has beside them 'id', 'target'"),
        (("A", "B", "C"), "it lacks 'a', 'b', 'c' and has beside them 'A', 'B', 'C'"),
    ],
)
def test_columns_that_are_missing_or_too_many_are_named(
    columns: tuple[str, ...], words: str, call: str, kind: str
) -> None:
    trainer = trained(kind)
    before, steps = trainer.network.state_dict(), trainer.steps
    table = KINDS[kind](np.ones((20, len(columns))), columns)
    argument = r"validation_data\[0\]" if call == "validation" else "x"
    with pytest.raises(
        ValueError,
        match=rf"^{argument} must have the columns that the network was trained with, 'a', 'b', "
        rf"'c'; {words}$",
    ):
        CALLS[call](trainer, table)
    assert trainer.steps == steps
    assert_same_state(trainer.network.state_dict(), before)


def test_a_column_twice_is_named() -> None:
    trainer = trained("pandas")
    with pytest.raises(ValueError, match="it has twice 'a'"):
        trainer.network.predict(pandas_frame(np.ones((5, 4)), ["a", "b", "c", "a"]))


@every_kind
@pytest.mark.parametrize("call", ["fit", "step", "learn_many"])
def test_who_learns_from_a_table_keeps_its_names(call: str, kind: str) -> None:
    trainer = new()
    assert trainer.network.feature_names is None
    CALLS[call](trainer, KINDS[kind](X, NAMES))
    assert trainer.network.feature_names == NAMES
    CALLS[call](trainer, moved(kind))
    assert trainer.network.feature_names == NAMES


@every_kind
@pytest.mark.parametrize("call", ["predict", "forward", "evaluate"])
def test_who_only_looks_keeps_none(call: str, kind: str) -> None:
    trainer = new()
    CALLS[call](trainer, KINDS[kind](X, NAMES))
    assert trainer.network.feature_names is None


@every_kind
def test_the_same_fit_puts_its_validation_data_right(kind: str) -> None:
    one, other = new(), new()
    options = {"epochs": 2, "metrics": ["mae"], "progress": False}
    table = KINDS[kind](X, NAMES)
    got = one.fit(table, Y, validation_data=(moved(kind), Y), **options)
    assert got == other.fit(X, Y, validation_data=(X, Y), **options)
    with pytest.raises(ValueError, match=r"^validation_data\[0\] must have the columns"):
        new().fit(table, Y, validation_data=(KINDS[kind](X, tuple("abq")), Y), **options)


def test_a_fit_that_is_refused_keeps_no_names() -> None:
    table = Own(X, NAMES)
    for wrong in ({"batch_size": 0}, {"callbacks": 3}, {"metrics": ["none"]}, {"shuffle": 2}):
        trainer = new()
        with pytest.raises((TypeError, ValueError)):
            trainer.fit(table, Y, progress=False, **wrong)
        with pytest.raises((TypeError, ValueError)):
            trainer.step(table, Y[:-1])
        assert trainer.network.feature_names is None


def test_arrays_and_tables_without_names_pass() -> None:
    trainer = trained("pandas")
    expected = trainer.network.predict(X)
    assert_same_bits(trainer.network.predict(X.tolist()), expected)
    assert_same_bits(trainer.network.predict(pandas_frame(X, range(3))), expected)
    assert_same_bits(trainer.network.predict(Own(X, ["a", 1, "c"])), expected)
    for columns in (range(3), ["a", 2, "c"], ["a", "a", "b"]):
        fresh = new()
        fresh.fit(Own(X, columns), Y, epochs=1, progress=False)
        assert fresh.network.feature_names is None


def test_a_row_of_a_table_is_put_right() -> None:
    one, other = trained("pandas"), trained("pandas")
    row = pandas_frame(X, NAMES).iloc[4]
    assert one.learn_one(row[["c", "a", "b"]], Y[4]) == other.learn_one(X[4], Y[4])
    with pytest.raises(ValueError, match="it lacks 'b'"):
        one.learn_one(row[["c", "a"]], Y[4])
    assert one.learn_one(X[5], Y[5]) == other.learn_one(X[5], Y[5])


def test_a_scaling_study_puts_a_table_right() -> None:
    table = KINDS["own"](X, ("a", "b", "z"))
    with pytest.raises(ValueError, match="it lacks 'c'"):
        gd.scaling_study(trained("own"), table, Y, threads=[1], rounds=1, seconds=0.001)


# ---- names in copies and files ----


def test_names_come_back_from_files(tmp_path: Path) -> None:
    trainer = trained("own")
    trainer.save(tmp_path / "trainer")
    trainer.network.save(tmp_path / "network")
    for network in (
        gd.Trainer.load(tmp_path / "trainer").network,
        gd.Network.load(tmp_path / "trainer"),
        gd.Network.load(tmp_path / "network"),
        copy.deepcopy(trainer.network),
        pickle.loads(pickle.dumps(trainer.network)),
    ):
        assert network.feature_names == NAMES
        assert_same_bits(network.predict(moved("own")), trainer.network.predict(X))
    given = new().network
    assert gd.Trainer.load(tmp_path / "trainer", network=given).network is given
    assert given.feature_names == NAMES
    other = new()
    other.fit(Own(X, tuple("xyz")), Y, epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"^network must be the one that"):
        gd.Trainer.load(tmp_path / "trainer", network=other.network)


def test_a_network_without_names_is_the_file_it_was(tmp_path: Path) -> None:
    new().network.save(tmp_path / "network")
    assert "feature_names" not in models.unpacked(tmp_path / "network")[1]["network"]


@pytest.mark.parametrize("names", ["abc", ["a"], [1, 2, 3], {}, None, ["a", "b", "c", "d"]])
def test_forged_names_are_told(names: Any, tmp_path: Path) -> None:
    path = tmp_path / "network"
    trained("own").network.save(path)
    arrays, description = models.unpacked(path)
    description["network"]["feature_names"] = names
    models.pack(path, arrays, description)
    with pytest.raises(ValueError, match="is damaged or was forged"):
        gd.Network.load(path)


# ---- columns of several types ----


def mixed(**columns: Any) -> Any:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    there = {"a": [1, 2, 3], "b": [True, False, True], "c": pandas.array([4, 5, 6], dtype="Int64")}
    return pandas.DataFrame(there | columns)


PLAIN = np.array([[1, 1, 4], [2, 0, 5], [3, 1, 6]], float)


@pytest.mark.parametrize(
    "column",
    ["boolean", "Int64", "Float32", "UInt8", "uint64", "float16", "object", "bool", "int8"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_are_taken_by_their_own_type(column: str, dtype: str) -> None:
    net = new(dtype).network
    frame = mixed()
    frame["b"] = frame["b"].astype(column)
    assert_same_bits(net.predict(frame), net.predict(PLAIN))
    assert_same_bits(net.predict(frame.astype(object)), net.predict(PLAIN))


def test_polars_columns_are_taken_by_their_own_type() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    net = new().network
    columns = {"a": [1, 2, 3], "b": [True, False, True], "c": [Decimal(4), Decimal(5), Decimal(6)]}
    assert_same_bits(net.predict(polars.DataFrame(columns)), net.predict(PLAIN))


def test_targets_and_weights_may_be_nullable_columns() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    one, other = new(), new()
    y, weight = pandas.array([1, 2, 3], dtype="Int64"), pandas.array([1, 0.5, 2], dtype="Float64")
    for _ in range(2):
        got = one.step(mixed(), pandas.Series(y), pandas.Series(weight))
        assert got == other.step(PLAIN, [1.0, 2.0, 3.0], [1, 0.5, 2])
    assert one.step(mixed(), pandas.DataFrame({"y": y})) == other.step(PLAIN, [[1.0], [2.0], [3.0]])


def wrong_columns() -> dict[str, tuple[Any, type[Exception], str]]:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    days = pandas.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])
    missing = "x must be finite in float32, got NaN or a missing value at row 1, column 'b'"
    numbers = "x must hold real numbers, got "

    def own(column: Any) -> Any:
        return polars.DataFrame({"a": [1, 2, 3], "b": column, "c": [0.5, 1, 2]})

    return {
        "missing": (mixed(b=pandas.array([1, None, 3], dtype="Int64")), ValueError, missing),
        "no boolean": (mixed(b=pandas.array([True, None, True])), ValueError, missing),
        "None": (mixed(b=[1.5, None, 2]), ValueError, missing),
        "too large": (
            mixed(b=[1, 1e39, 2]), ValueError,
            "x must be finite in float32, got infinity at row 1, column 'b'",
        ),
        "text": (
            mixed(b=["x", "y", "z"]), TypeError, f"{numbers}'x' (str) at row 0 in column 'b'"
        ),
        "mixed text": (
            mixed(b=[1, 2, "?"]), TypeError, f"{numbers}'?' (str) at row 2 in column 'b'"
        ),
        "category": (
            mixed(b=pandas.Categorical([3, 1, 3])), TypeError, f"{numbers}category in column 'b'"
        ),
        "dates": (mixed(b=days), TypeError, f"{numbers}dtype datetime64"),
        "complex": (mixed(b=[1j, 2, 3]), TypeError, f"{numbers}dtype complex128 in column 'b'"),
        "only categories": (
            mixed().astype({"a": "category", "b": "category", "c": "category"}), TypeError,
            f"{numbers}category in column 'a'",
        ),
        "polars null": (own([1, None, 3]), ValueError, missing),
        "polars no boolean": (own([True, None, False]), ValueError, missing),
        "polars text": (own(["u", "v", "w"]), TypeError, "in column 'b'"),
        "polars dates": (
            own(polars.Series([1, 2, 3]).cast(polars.Date)), TypeError, f"{numbers}dtype datetime64"
        ),
        "polars categories": (
            own(polars.Series(["u", "v", "u"]).cast(polars.Categorical)), TypeError, "in column 'b'"
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["missing", "no boolean", "None", "too large", "text", "mixed text", "category", "dates",
     "complex", "only categories", "polars null", "polars no boolean", "polars text",
     "polars dates", "polars categories"],
)  # fmt: skip
def test_a_column_that_cannot_be_taken_is_named(name: str) -> None:
    table, error, words = wrong_columns()[name]
    trainer = new("float32")
    for call in (
        lambda: trainer.fit(table, [1.0, 2.0, 3.0], epochs=1, progress=False),
        lambda: trainer.step(table, [1.0, 2.0, 3.0]),
        lambda: trainer.network.predict(table),
    ):
        with pytest.raises(error) as caught:
            call()
        assert words in str(caught.value)
        assert str(caught.value).startswith("x must ")
    assert trainer.steps == 0
    assert trainer.network.feature_names is None


def test_arrays_import_no_table_package() -> None:
    code = """
import json, sys
import numpy as np
import gdcore as gd
trainer = gd.Trainer(gd.Network([gd.Dense(1)], input_size=2), "mse", "sgd")
trainer.fit(np.ones((4, 2)), [1.0] * 4, epochs=1, progress=False)
trainer.network.predict([[1, 2]])
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    assert not set(run_json(code)) & {"pandas", "polars", "pyarrow"}
