"""Sources that judge: the figures of arrays, to the bit; faults tell where."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sources import (
    LABELS,
    MAKERS,
    QUIET,
    WEIGHTS,
    X,
    Y,
    assert_same,
    chunks,
    heads,
    parquet,
    trainer,
)

import gdcore as gd
from gdcore import data


@pytest.mark.parametrize("kind", MAKERS)
def test_a_source_judges_as_arrays_do(kind: str, tmp_path: Path) -> None:
    expected, made = trainer(average="ema"), trainer(average="ema")
    source = MAKERS[kind](tmp_path, ahead=2 if kind == "npy" else 0)
    options: dict[str, Any] = {"epochs": 2, "metrics": ["r2", mean_of], **QUIET}
    expected.fit(X[:100], Y[:100], validation_data=(X, Y), **options)
    made.fit(X[:100], Y[:100], validation_data=source, **options)
    assert_same(made, expected)
    assert made.history["val_r2"] != []
    for averaged in (True, False):
        told = [
            made.evaluate(*given, metrics=["mae"], averaged=averaged)
            for given in ((source,), (X, Y))
        ]
        assert told[0] == told[1]
    assert made.evaluate(source, batch_size=7) == made.evaluate(X, Y, batch_size=7)


def mean_of(y: Any, output: Any) -> float:
    return float(output.mean())


def test_labels_weights_and_names_judge_as_arrays_do() -> None:
    one = trainer("cross_entropy", 3)
    given = (X, LABELS, WEIGHTS)
    source = data.Chunks(chunks(*given))
    assert one.evaluate(source, metrics=[gd.metrics.TopK(2)]) == one.evaluate(
        *given, metrics=[gd.metrics.TopK(2)]
    )
    first = tuple(each[:130] for each in given)
    some = data.Chunks(chunks(*given), rows_per_epoch=130)
    assert one.evaluate(some) == one.evaluate(*first)
    x, y = {"a": X, "b": LABELS[:, None]}, {"p": Y, "k": LABELS}
    expected, made = heads(), heads()
    options: dict[str, Any] = {"epochs": 1, "metrics": {"k": [gd.metrics.TopK(2)]}, **QUIET}
    expected.fit(x, y, validation_data=(x, y), **options)
    made.fit(data.Chunks(chunks(x, y)), shuffle=False, validation_data=data.Chunks(chunks(x, y)),
             **options)  # fmt: skip
    plain = heads()
    plain.fit(x, y, shuffle=False, validation_data=(x, y), **options)
    assert_same(made, plain)
    assert made.evaluate(data.Chunks(chunks(x, y))) == made.evaluate(x, y)


def test_a_generator_that_serves_once_judges_every_epoch() -> None:
    expected, made = trainer(), trainer()
    options: dict[str, Any] = {"epochs": 3, **QUIET}
    expected.fit(X, Y, validation_data=(X, Y), **options)
    made.fit(X, Y, validation_data=data.Chunks(chunks(X, Y)()), **options)
    assert_same(made, expected)


def test_columns_of_files_must_be_in_the_order_of_the_network_s(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p")
    made = trainer()
    made.fit(data.Parquet(folder, "y"), epochs=1, **QUIET)
    other = data.Parquet(folder, "y", columns=["c1", "c0", "c2", "c3"])
    before = made.to_bytes()
    for what, call in (
        ("x", lambda: made.evaluate(other)),
        ("x", lambda: made.fit(other, epochs=1, **QUIET)),
        ("validation_data", lambda: made.fit(X, Y, validation_data=other, epochs=1, **QUIET)),
    ):
        with pytest.raises(ValueError, match=f"^{what} must have the columns in the order"):
            call()
    few = data.Parquet(folder, "y", columns=["c1", "c0"])
    with pytest.raises(ValueError, match="it lacks 'c2', 'c3'"):
        made.evaluate(few)
    assert made.to_bytes() == before


WRONG: dict[str, tuple[Callable[[], Any], dict[str, Any], type[Exception], str]] = {
    "nan": (lambda: data.Chunks([(X, LABELS), (X * np.nan, LABELS)]), {}, ValueError,
            r"^chunk 1 of Chunks\(list\): x must be finite, got nan in row 0"),
    "width": (lambda: data.Chunks([(X[:, :2], Y)]), {}, ValueError, "^chunk 0 of Chunks"),
    "labels": (lambda: data.Chunks([(X, LABELS), (X, LABELS + 9)]), {}, ValueError,
               "^chunk 1 of Chunks"),
    "types": (lambda: data.Chunks([(X, LABELS), (X, LABELS.astype(np.int32))]), {}, ValueError,
              "chunk 1 of Chunks.list.: y is int32, and what came before int64"),
    "none": (lambda: data.Chunks([]), {}, ValueError, "must have rows, and Chunks.list. has none"),
    "fails": (lambda: data.Chunks(lambda: 1 / 0), {}, RuntimeError, "could not begin"),
    "weights": (lambda: data.Chunks([(X, LABELS)]), {"sample_weight": WEIGHTS}, ValueError,
                "sample_weight must be None where x is a source"),
    "no source": (lambda: X, {}, TypeError, "y must be given, unless x is a source"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_wrong_with_a_source_that_judges(what: str) -> None:
    source, given, error, words = WRONG[what]
    one = trainer("cross_entropy", 3)
    before = one.to_bytes()
    with pytest.raises(error, match=words):
        one.evaluate(source(), **given)
    if what not in ("no source", "weights"):
        with pytest.raises(error, match=words):
            one.fit(X, LABELS, validation_data=source(), epochs=1, **QUIET)
    assert one.to_bytes() == before
    assert "gdcore reads ahead" not in [each.name for each in threading.enumerate()]
    with pytest.raises(RuntimeError, match="has no loss to evaluate"):
        gd.Trainer(one.network, None, "sgd").evaluate(data.Chunks([(X, LABELS)]))


def test_rows_that_judge_need_no_memory(tmp_path: Path) -> None:
    """They lie in a file without a name, which nobody has to remove."""
    from gdcore._gathering import gathered

    made = trainer()
    x, y = gathered(data.Chunks(chunks(X, Y)), made, None, "x")
    assert not x.flags.writeable
    assert not x.flags.owndata
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)


def test_a_source_is_read_once_for_many_networks() -> None:
    read = []

    def days() -> Any:
        read.append(1)
        yield from chunks(X, Y)()

    made = [trainer(seed=seed) for seed in range(3)]
    results = gd.fit_many(made, X, Y, validation_data=data.Chunks(days), epochs=2, **QUIET)
    for seed, each in enumerate(results):
        alone = trainer(seed=seed)
        alone.fit(X, Y, validation_data=(X, Y), epochs=2, **QUIET)
        assert each.error is None
        assert_same(made[seed], alone)
    assert len(read) == 1
