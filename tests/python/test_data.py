"""Sources of data: epochs over them are those over arrays, to the bit; faults tell where."""

from __future__ import annotations

import argparse
import importlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sources import (
    INPUTS,
    LABELS,
    MAKERS,
    QUIET,
    ROWS,
    WEIGHTS,
    X,
    Y,
    assert_same,
    chunks,
    heads,
    npy,
    parquet,
    table,
    trainer,
)
from support import ROOT

import gdcore as gd
from gdcore import data
from gdcore.callbacks import Callback


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("ahead", [0, 2])
def test_an_epoch_in_order_is_that_over_arrays(kind: str, ahead: int, tmp_path: Path) -> None:
    expected, made = trainer(), trainer()
    expected.fit(X, Y, epochs=2, shuffle=False, **QUIET)
    source = MAKERS[kind](tmp_path, ahead=ahead)
    history = made.fit(source, epochs=2, shuffle=False, **QUIET)
    assert_same(made, expected)
    assert len(history["loss"]) == 2
    assert source.rows in (ROWS, None if kind == "chunks" else ROWS)


@pytest.mark.parametrize("part", [1, 100])
def test_parts_change_no_bit(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, made = trainer(), trainer()
    expected.fit(X, Y, epochs=1, shuffle=False, **QUIET)
    monkeypatch.setattr("gdcore.data.source.PART", part)
    made.fit(data.Chunks(chunks(X, Y)), epochs=1, shuffle=False, **QUIET)
    assert_same(made, expected)


def test_weights_labels_accumulation_and_validation_are_those_of_arrays() -> None:
    options: dict[str, Any] = {"epochs": 2, "shuffle": False, "accumulate": 3, **QUIET}
    options["validation_data"] = (X[:50], LABELS[:50])
    expected, made = (trainer("cross_entropy", 3, average="ema") for _ in range(2))
    expected.fit(X, LABELS, sample_weight=WEIGHTS, **options)
    made.fit(data.Chunks(chunks(X, LABELS, WEIGHTS)), **options)
    assert_same(made, expected)


def test_inputs_and_outputs_by_name_are_those_of_arrays(tmp_path: Path) -> None:
    x, y = {"a": X, "b": LABELS[:, None]}, {"p": Y, "k": LABELS}
    expected, made = heads(), heads()
    expected.fit(x, y, epochs=1, shuffle=False, **QUIET)
    source = data.Chunks(chunks(x, y))
    made.fit(source, epochs=1, shuffle=False, callbacks=[StopAt(12)], **QUIET)
    made.save(tmp_path / "m")  # the sums of both heads go with it
    again = gd.Trainer.load(tmp_path / "m")
    again.fit(source, epochs=1, shuffle=False, **QUIET)
    assert_same(again, expected)


def test_columns_weights_and_float64_of_files(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", w=WEIGHTS, k=LABELS)
    source = data.Parquet(folder, ["y", "k"], columns=["c2", "c0"], sample_weight="w")
    nets = [gd.Network([gd.Dense(2)], input_size=2, dtype="float64", seed=0) for _ in range(2)]
    expected, made = (gd.Trainer(net, "mse", "adam") for net in nets)
    y = np.column_stack([Y, LABELS])
    expected.fit(X[:, [2, 0]], y, sample_weight=WEIGHTS, epochs=1, shuffle=False, **QUIET)
    made.fit(source, epochs=1, shuffle=False, **QUIET)
    assert_same(made, expected)
    assert made.network.feature_names == ("c2", "c0")


def test_a_preparation_prepares_row_groups(tmp_path: Path) -> None:
    city = np.array(["Ulm", "Bonn", "Jena"])[LABELS]
    folder = parquet(tmp_path / "p", city=city)
    preparation = gd.tabular.Preparation(embed_above=2).fit(table(city=city), "y")
    x, y = preparation.transform(table(city=city)), preparation.transform_target(table(city=city))
    pair = [
        gd.Trainer(preparation.network([gd.Dense(4, "relu")]), preparation.loss, "adam")
        for _ in range(2)
    ]
    pair[0].fit(x, y, epochs=1, shuffle=False, **QUIET)
    pair[1].fit(data.Parquet(folder, preparation=preparation), epochs=1, shuffle=False, **QUIET)
    assert_same(*pair)


# ---- order ----


def order(source: data.Source, epoch: int, *, seed: int = 0, begin: int = 0) -> np.ndarray:
    """The rows of a shuffled epoch by their numbers, which are in y."""
    parts = source._epoch(seed, epoch, begin, 10, np.dtype(np.float32), shuffle=True)
    return np.concatenate([piece.y for piece, _ in parts])


NUMBERED = np.arange(ROWS)


@pytest.mark.parametrize("buffer", [1, 150, 4096])
@pytest.mark.parametrize("kind", ["npy", "chunks"])
def test_shuffled_epochs_depend_on_seed_and_epoch(kind: str, buffer: int) -> None:
    def made() -> data.Source:
        if kind == "npy":
            return data.NPY(X, NUMBERED, unit=50, shuffle_buffer=buffer)
        return data.Chunks(chunks(X, NUMBERED), shuffle_buffer=buffer)

    first = order(made(), 0)
    np.testing.assert_array_equal(np.sort(first), NUMBERED)
    np.testing.assert_array_equal(order(made(), 0), first)
    if buffer > 1 or kind == "npy":
        assert (order(made(), 1) != first).any()
        assert (order(made(), 0, seed=1) != first).any()
        assert (first != NUMBERED).any()
    for begin in (10, 150, 160, 990):
        np.testing.assert_array_equal(order(made(), 0, begin=begin), first[begin:])


def test_a_sample_of_units_is_another_in_each_epoch() -> None:
    source = data.NPY(X, NUMBERED, unit=50, rows_per_epoch=120)
    found = [order(source, epoch) for epoch in range(3)]
    assert source.rows == 120
    assert [len(set(each.tolist())) for each in found] == [120] * 3
    assert len({tuple(sorted(each.tolist())) for each in found}) == 3
    made = trainer()
    made.fit(source, epochs=3, **QUIET)
    assert made.steps == 3 * 4


def test_an_endless_stream_ends_where_it_is_told() -> None:
    def endless() -> Iterator[tuple[Any, Any]]:
        while True:
            yield X[:7], Y[:7]

    made = trainer()
    made.fit(data.Chunks(endless, rows_per_epoch=100), epochs=2, **QUIET)
    assert (made.steps, made.epochs) == (2 * 4, 2)


def test_schedules_by_name_know_the_rows(tmp_path: Path) -> None:
    expected, made = (trainer(schedule="one_cycle") for _ in range(2))
    expected.fit(X, Y, epochs=2, shuffle=False, **QUIET)
    made.fit(data.Chunks(chunks(X, Y), rows=ROWS), epochs=2, shuffle=False, **QUIET)
    assert_same(made, expected)
    with pytest.raises(ValueError, match=r"schedule must be .*no name .*got 'one_cycle'"):
        trainer(schedule="one_cycle").fit(data.Chunks(chunks(X, Y)), epochs=2, **QUIET)


# ---- within an epoch ----


class StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        if trainer.steps == self.step:
            trainer.stop()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_goes_on_where_it_was_left(kind: str, shuffle: bool, tmp_path: Path) -> None:
    options = {"shuffle": shuffle, **QUIET}
    expected = trainer()
    expected.fit(MAKERS[kind](tmp_path, shuffle_buffer=150), epochs=2, **options)
    made = trainer()
    for step in (7, 20, 39):
        source = MAKERS[kind](tmp_path, shuffle_buffer=150)
        made.fit(source, until_epoch=2, callbacks=[StopAt(step)], **options)
        assert made.steps == step
        made.save(tmp_path / "m")
        made = gd.Trainer.load(tmp_path / "m")
    made.fit(MAKERS[kind](tmp_path, shuffle_buffer=150), until_epoch=2, **options)
    assert_same(made, expected)


def test_other_batches_cannot_go_on_with_an_epoch() -> None:
    made = trainer()
    made.fit(data.NPY(X, Y), epochs=1, callbacks=[StopAt(3)], **QUIET)
    with pytest.raises(ValueError, match=r"batch_size must divide the 96 rows .*updates of 36"):
        made.fit(data.NPY(X, Y), epochs=1, batch_size=36, progress=False)
    made.fit(X, Y, epochs=1, **QUIET)  # arrays begin it anew
    assert (made.epochs, made.steps) == (1, 3 + 32)


def test_a_forged_place_within_an_epoch_is_refused(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    made = trainer()
    made.fit(data.NPY(X, Y), epochs=1, callbacks=[StopAt(3)], **QUIET)
    made.save(tmp_path / "m")
    with safe_open(tmp_path / "m", "np") as file:
        text = file.metadata()["gdcore"]
    assert '"samples":96' in text
    for was, becomes in (
        ('"samples":96', '"samples":-1'),
        ('"head_losses":[]', '"head_losses":[1.0]'),
    ):
        forged = {"gdcore": text.replace(was, becomes)}
        save_file(load_file(tmp_path / "m"), tmp_path / "f", forged)
        with pytest.raises(ValueError, match="damaged or was forged"):
            gd.Trainer.load(tmp_path / "f")


def test_a_divergence_goes_back_to_where_the_epoch_began() -> None:
    far = np.where(np.arange(ROWS) < 500, Y, np.float32(1e30))
    made = trainer()
    made.fit(X, Y, epochs=1, **QUIET)
    before = made.network.state_dict()
    with pytest.raises(FloatingPointError, match="in epoch 2 at step"):
        made.fit(data.NPY(X, far), epochs=1, shuffle=False, **QUIET)
    for key, array in before.items():
        np.testing.assert_array_equal(made.network.state_dict()[key], array)
    expected = trainer()
    expected.fit(X, Y, epochs=1, **QUIET)
    for each in (made, expected):
        each.fit(data.NPY(X, Y), epochs=1, shuffle=False, **QUIET)
    np.testing.assert_array_equal(made.network.predict(X), expected.network.predict(X))


# ---- faults ----


def raising(*before: Any) -> Callable[[], Iterator[Any]]:
    def make() -> Iterator[Any]:
        yield from before
        raise ZeroDivisionError("no more")

    return make


GOOD = (X[:70], Y[:70])
STREAM_FAULTS: list[tuple[Any, type[Exception], str]] = [
    (raising(GOOD), RuntimeError, r"chunk 1 of Chunks\(make\) .*ZeroDivisionError\('no more'\)"),
    ([GOOD, (X[:9, :3], Y[:9])], ValueError, r"chunk 1 .* has x \(N, 3\), y \(N\), .*x \(N, 4\)"),
    ([GOOD, (X[:9], Y[:8])], ValueError, "chunk 1 .*: y has 8 rows, and x has 9"),
    ([GOOD, (X[:9], Y[:9], WEIGHTS[:9])], ValueError, "chunk 1 .*has .*sample_weight"),
    ([GOOD, (X[:9] + np.inf, Y[:9])], ValueError, "chunk 1 .*x must be finite, got inf in row 0"),
    ([GOOD, X[:9]], TypeError, r"chunk 1 .*must be \(x, y\) or .*got ndarray"),
    ([GOOD, (X[0], Y[:1])], ValueError, r"chunk 1 .*x must have shape \(N, columns\), got \(4,\)"),
    ([GOOD, (X[:9].astype(str), Y[:9])], TypeError, "chunk 1 .*: x must hold real numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "words"), STREAM_FAULTS)
@pytest.mark.parametrize("ahead", [0, 2])
def test_faults_of_a_stream_leave_the_last_whole_step(
    given: Any, kind: type[Exception], words: str, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdcore.data.source.PART", 32)
    made, expected = trainer(), trainer()
    with pytest.raises(kind, match=words):
        made.fit(data.Chunks(given, ahead=ahead), epochs=1, shuffle=False, **QUIET)
    expected.fit(X[:64], Y[:64], epochs=1, shuffle=False, **QUIET)
    assert (made.steps, made.epochs) == (2, 0)
    np.testing.assert_array_equal(made.network.predict(X), expected.network.predict(X))
    assert not [each for each in threading.enumerate() if each.name.startswith("gdcore")]
    # And from there it goes on.
    made.fit(data.Chunks(chunks(X, Y)), epochs=1, shuffle=False, **QUIET)
    whole = trainer()
    whole.fit(X, Y, epochs=1, shuffle=False, **QUIET)
    assert_same(made, whole)


def test_a_stream_that_ends_early_is_told() -> None:
    made = trainer()
    with pytest.raises(
        ValueError, match=r"ended early: after 6 chunks with 1000 rows, .*have 1200"
    ):
        made.fit(data.Chunks(chunks(X, Y), rows=1200), epochs=1, **QUIET)
    assert made.epochs == 0
    generator = chunks(X, Y)()
    with pytest.raises(ValueError, match=r"Chunks\(make\) is used up: .*a function that makes"):
        trainer().fit(data.Chunks(generator), epochs=2, **QUIET)


def test_labels_out_of_range_tell_where() -> None:
    wrong = LABELS.copy()
    wrong[987] = 7
    source = data.Chunks(chunks(X, wrong))
    with pytest.raises(ValueError, match=r"chunk 0 of .* to chunk 5 of .*: y .*7"):
        trainer("cross_entropy", 3).fit(source, epochs=1, shuffle=False, **QUIET)


FILE_FAULTS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda t: t.drop_columns(["c1"]), ValueError, "c.parquet has no column 'c1', which .*a.p"),
    (lambda t: t.set_column(0, "c0", t["c0"].cast("float64")), ValueError,
     "c.parquet has double in column 'c0', and .*a.parquet has float"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "words"), FILE_FAULTS)
def test_another_schema_is_told_before_and_within(
    change: Callable[[Any], Any],
    kind: type[Exception],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    source = data.Parquet(parquet(tmp_path / "p"), "y")
    rows = table().slice(301)
    pq.write_table(change(rows), tmp_path / "p" / "c.parquet", row_group_size=256)
    with pytest.raises(kind, match=words):
        data.Parquet(tmp_path / "p", "y")
    monkeypatch.setattr("gdcore.data.source.PART", 100)
    made, expected = trainer(), trainer()
    with pytest.raises(kind, match=f"c.parquet, row group 0: .*{words}"):
        made.fit(source, epochs=1, shuffle=False, batch_size=100, progress=False)
    expected.fit(X[:300], Y[:300], epochs=1, shuffle=False, batch_size=100, progress=False)
    assert (made.epochs, made.steps) == (0, 3)
    np.testing.assert_array_equal(made.network.predict(X), expected.network.predict(X))


def test_what_a_row_group_lacks_is_told(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet(tmp_path / "p")
    rows = table().slice(301)
    for value, words in (
        (None, "no missing cells, got 1, the first in row 44"),
        (np.nan, "finite"),
    ):
        cells = rows["c3"].to_pylist()
        cells[300] = value
        wrong = rows.set_column(3, "c3", pa.array(cells, pa.float32()))
        pq.write_table(wrong, tmp_path / "p" / "c.parquet", row_group_size=256)
        source = data.Parquet(tmp_path / "p", "y")
        with pytest.raises(ValueError, match=f"c.parquet, row group 1: column 'c3' must .*{words}"):
            trainer().fit(source, epochs=1, shuffle=False, **QUIET)


def test_damaged_files_are_told(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p")
    whole = (folder / "c.parquet").read_bytes()
    (folder / "c.parquet").write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"c\.parquet cannot be read: "):
        data.Parquet(folder, "y")
    torn = bytearray(whole)
    torn[200:1200] = bytes(1000)  # pages of the first row group
    (folder / "c.parquet").write_bytes(torn)
    source = data.Parquet(folder, "y")
    with pytest.raises(ValueError, match=r"c\.parquet, row group 0: "):
        trainer().fit(source, epochs=1, shuffle=False, **QUIET)
    x, y = npy(tmp_path)
    x.write_bytes(x.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"x\.npy cannot be read: "):
        data.NPY(x, y)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda p: data.Parquet(p, "z"), ValueError, "target must be a column .*got 'z'"),
        (lambda p: data.Parquet(p), TypeError, "target must name a column"),
        (lambda p: data.Parquet(p, "y", columns=["q"]), ValueError, "columns must be a col.*'q'"),
        (lambda p: data.Parquet(p / "no.parquet", "y"), FileNotFoundError, "no.parquet"),
        (lambda p: data.Parquet([], "y"), ValueError, "got none"),
        (lambda p: data.Arrow(p, "y"), FileNotFoundError, "ends in .arrow or .feather"),
        (lambda p: data.NPY(X, Y[:3]), ValueError, "y must have 1000 rows, as x has"),
        (lambda p: data.NPY(Y, Y), ValueError, r"x must have shape \(N, columns\)"),
        (lambda p: data.NPY(X.astype(str), Y), TypeError, "x must hold real numbers"),
        (lambda p: data.Chunks(3), TypeError, "chunks must be a function .*got int"),
        (lambda p: data.Chunks([], ahead=-1), ValueError, "ahead"),
        (lambda p: data.Chunks([], shuffle_buffer=0), ValueError, "shuffle_buffer"),
        (lambda p: data.Chunks([], rows_per_epoch=1.5), TypeError, "rows_per_epoch"),
    ],
)
def test_arguments_are_checked(
    make: Any, kind: type[Exception], words: str, tmp_path: Path
) -> None:
    folder = parquet(tmp_path / "p")
    with pytest.raises(kind, match=words):
        make(folder)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"batch_size": None}, ValueError, "batch_size must be a number where x is a source"),
        ({"sample_weight": WEIGHTS}, ValueError, "sample_weight must be None where x is a source"),
        ({"validation_split": 0.1}, ValueError, "validation_split must be None"),
        ({"dy": X}, ValueError, "dy must be None"),
        ({"shuffle": 2}, TypeError, "shuffle"),
    ],
)
def test_what_a_source_cannot_go_with_is_told(
    options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    made = trainer()
    with pytest.raises(kind, match=words):
        made.fit(data.NPY(X, Y), epochs=1, **{**QUIET, **options})
    assert made.steps == 0


def test_trainers_that_cannot_take_a_source_say_so() -> None:
    with pytest.raises(TypeError, match=r"y must be given, unless x is a source .*ndarray"):
        trainer().fit(X, epochs=1)  # type: ignore[call-arg]
    net = gd.Network([gd.Dense(1)], input_size=INPUTS)
    with pytest.raises(ValueError, match="arrays for lbfgs, which takes all samples at once"):
        gd.Trainer(net, "mse", "lbfgs").fit(data.NPY(X, Y), epochs=1)
    own = gd.Trainer(net, lambda p, t: (((p - t) ** 2).sum(1), 2 * (p - t)), "sgd")
    with pytest.raises(ValueError, match="where the loss is a Python function"):
        own.fit(data.NPY(X, Y), epochs=1)
    with pytest.raises(RuntimeError, match="no loss"):
        gd.Trainer(net, None, "sgd").fit(data.NPY(X, Y), epochs=1)


def test_progress_without_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    trainer().fit(data.Chunks(chunks(X, Y)), epochs=2, batch_size=32)
    assert "2.00k" in capsys.readouterr().err


def test_a_folder_larger_than_memory_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one of `python -m benchmarks.larger_than_memory`, whose speed is not judged here."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("resource")
    monkeypatch.syspath_prepend(str(ROOT))
    large = importlib.import_module("benchmarks.larger_than_memory")
    options = argparse.Namespace(limit=0, room=16, hidden=8, batch_size=256, times=1)
    found = large.compared(options)
    assert found.same
    assert found.below
    assert found.rows * 4 * (large.COLUMNS + 1) >= 3 * 16 * large.MB
