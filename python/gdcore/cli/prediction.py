"""The command ``gdcore predict``: from a model file and new data to a table of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from gdcore import Network
from gdcore._names import unknown
from gdcore.cli import report
from gdcore.cli.outputs import check_output
from gdcore.cli.reading import Reading
from gdcore.files import read_description, written_beside
from gdcore.tabular import models
from gdcore.tabular.columns import named
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.inputs import NumericColumn
from gdcore.tabular.meanings import ClassTarget, NumberTarget, Target
from gdcore.tabular.tables import Table, read

__all__ = ["predict"]

ENDINGS = (".csv", ".parquet", ".npz")


def predict(
    model: str,
    data: str,
    out: Path | None,
    reading: Reading,
    keep: Sequence[str] | None = None,
    na: Sequence[str] = (),
    *,
    proba: bool = True,
) -> None:
    """Predicts each row of the data; writes the predictions, or prints them as CSV.

    Args:
        model: A model file.
        data: New data.
        out: Where the predictions go.
        reading: How to read text; what it does not say is as in training.
        keep: Columns of the data that stand beside the predictions; None: as in training.
        na: More texts that mean a missing cell.
        proba: Whether probabilities are written.

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
    description = read_description(model)
    preparation = Fitted.of_model(description, net)
    as_in_training = Dialect() if preparation is None else preparation.dialect
    table = read(data, dialect=reading.dialect(as_in_training))
    if preparation is None:
        preparation = _as_it_is(net, table, model)
    preparation = replace(preparation, notation=reading.notation(preparation.notation, na))
    kept = _kept(table, keep, description["extra"])
    notes = list(table.notes)
    x = preparation.inputs(table, net.dtype, notes)
    report.tell_notes(notes)
    arrays = models.predictions(preparation.target, predictor, x)
    if not proba:
        arrays.pop("probability", None)
    frame = _frame(arrays, preparation.target, kept)
    if out is None:
        typer.echo(frame.write_csv(), nl=False)
        return
    with written_beside(out) as file:
        if out.suffix.lower() == ".npz":
            beside = {each.name: _array(each) for each in kept}
            np.savez(file, **(arrays | beside))
        elif out.suffix.lower() == ".parquet":
            frame.write_parquet(file)
        else:
            frame.write_csv(file)


def _kept(table: Table, keep: Sequence[str] | None, extra: Any) -> list[pl.Series]:
    """The columns that stand beside the predictions, as the file has them.

    Raises:
        ValueError: There is no such column.
    """
    if keep is None:
        told = extra.get("keep") if isinstance(extra, dict) else None
        names = [each for each in told or () if each in table.frame.columns]
    else:
        names = list(named("--keep", keep, table.frame.columns))
    for name in names:
        if name.startswith(("prediction", "probability")):
            raise ValueError(f"--keep must not hold {name!r}, which predictions are called")
    return [table.frame[name] for name in names]


def _array(cells: pl.Series) -> NDArray[Any]:
    """For an NPZ file, which has no missing text."""
    return (
        cells.cast(pl.String).fill_null("").to_numpy().astype(str)
        if (cells.dtype == pl.String or cells.null_count())
        else cells.to_numpy()
    )


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


def _frame(arrays: dict[str, Any], target: Target, kept: Sequence[pl.Series]) -> pl.DataFrame:
    prediction = arrays["prediction"]
    columns: dict[str, Any] = {each.name: each for each in kept}
    if prediction.ndim == 2:
        own = target.columns if not isinstance(target, ClassTarget) else ()
        for k, row in enumerate(prediction.T):
            columns[f"prediction of {own[k]}" if own else f"prediction[{k}]"] = row
    else:
        columns["prediction"] = prediction
    known = arrays.get("classes", arrays.get("labels", np.array([]))).tolist()
    for each, probability in zip(
        known, arrays.get("probability", np.empty((0, 0))).T, strict=False
    ):
        name = str(each).lower() if isinstance(each, bool) else str(each)
        columns[f"probability of {name}"] = probability
    return pl.DataFrame(columns)
