"""The command ``gdcore predict``: from a model file and new data to a table of predictions."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer

from gdcore import Network
from gdcore._names import unknown
from gdcore.cli import report
from gdcore.cli.outputs import check_output
from gdcore.cli.reading import Reading
from gdcore.files import read_description, written_beside
from gdcore.tabular import models
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.inputs import NumericColumn
from gdcore.tabular.meanings import NumberTarget
from gdcore.tabular.tables import Table, read

__all__ = ["predict"]

ENDINGS = (".csv", ".parquet", ".npz")


def predict(model: str, data: str, out: Path | None, reading: Reading) -> None:
    """Predicts each row of the data; writes the predictions, or prints them as CSV.

    Args:
        model: A model file.
        data: New data.
        out: Where the predictions go.
        reading: How to read text; what it does not say is as in training.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The model is damaged, the data do not fit it, or there is no such format.
    """
    if out is not None:
        if out.suffix.lower() not in ENDINGS:
            raise unknown("--out", str(out), [f"a file that ends in {each}" for each in ENDINGS])
        check_output("--out", out, model, data)
    reading.check(data)
    predictor = models.loaded(model)
    net = predictor if isinstance(predictor, Network) else predictor.networks[0]
    preparation = Fitted.of_model(read_description(model), net)
    as_in_training = Dialect() if preparation is None else preparation.dialect
    table = read(data, dialect=reading.dialect(as_in_training))
    if preparation is None:
        preparation = _as_it_is(net, table, model)
    preparation = replace(preparation, notation=reading.notation(preparation.notation))
    notes = list(table.notes)
    x = preparation.inputs(table, net.dtype, notes)
    report.tell_notes(notes)
    arrays = models.predictions(preparation.target, predictor, x)
    if out is None:
        typer.echo(_frame(arrays).write_csv(), nl=False)
        return
    with written_beside(out) as file:
        _write(arrays, out.suffix.lower(), file)


def _as_it_is(net: Network, table: Table, model: str) -> Fitted:
    """For a model that knows nothing of columns: x goes in and the outputs come out as they are."""
    if len(net.inputs) > 1 or net.heads:
        raise ValueError(
            f"{model} has several inputs, or outputs with names, which a table has not: predict in "
            "Python, with gdcore.Network.load"
        )
    if table.width != net.input_size:
        got = "columns with names" if table.width is None else f"{table.width} columns"
        raise ValueError(
            f"{model} was not saved by gdcore train and knows no columns: the data must be an NPZ "
            f"file with an array x of {net.input_size} columns, got {got}"
        )
    columns = tuple(NumericColumn(name, 0.0, 1.0) for name in table.inputs)
    target = NumberTarget("", (0.0,) * net.output_size, (1.0,) * net.output_size)
    return Fitted(columns, target, width=table.width)


def _frame(arrays: dict[str, Any]) -> pl.DataFrame:
    prediction = arrays["prediction"]
    if prediction.ndim == 2:
        return pl.DataFrame({f"prediction[{k}]": row for k, row in enumerate(prediction.T)})
    columns = {"prediction": prediction}
    for each, probability in zip(
        arrays.get("classes", np.array([])).tolist(), arrays.get("probability", np.array([])).T,
        strict=True,
    ):  # fmt: skip
        name = str(each).lower() if isinstance(each, bool) else str(each)
        columns[f"probability of {name}"] = probability
    return pl.DataFrame(columns)


def _write(arrays: dict[str, Any], ending: str, file: io.BufferedWriter) -> None:
    if ending == ".npz":
        np.savez(file, **arrays)
    elif ending == ".parquet":
        _frame(arrays).write_parquet(file)
    else:
        _frame(arrays).write_csv(file)
