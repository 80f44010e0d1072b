"""The command ``gdcore predict``: from a model file and new data to a table of predictions."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from gdcore import Ensemble, Network, Trainer, _resuming
from gdcore._names import unknown
from gdcore.cli import report
from gdcore.cli.delimited import Dialect
from gdcore.cli.outputs import check_output
from gdcore.cli.preparation import NumberTarget, NumericColumn, Preparation, Target
from gdcore.cli.reading import Reading
from gdcore.cli.tables import Table, read
from gdcore.files import read_description, written_beside

__all__ = ["loaded_model", "predict"]

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
    loaded = loaded_model(model)
    net = loaded if isinstance(loaded, Network) else loaded.networks[0]
    preparation = Preparation.of_model(read_description(model), net)
    as_in_training = Dialect() if preparation is None else preparation.dialect
    table = read(data, dialect=reading.dialect(as_in_training))
    if preparation is None:
        preparation = _as_it_is(net, table, model)
    preparation = replace(preparation, notation=reading.notation(preparation.notation))
    notes = list(table.notes)
    x = preparation.inputs(table, net.dtype, notes)
    report.tell_notes(notes)
    arrays = _arrays(preparation.target, loaded, x)
    if out is None:
        typer.echo(_frame(arrays).write_csv(), nl=False)
        return
    with written_beside(out) as file:
        _write(arrays, out.suffix.lower(), file)


def loaded_model(model: str) -> Network | Ensemble:
    """A network, or several as one; of a model with averaged weights one with these."""
    description = read_description(model)
    if description.get("kind") == "ensemble":
        return Ensemble._loaded(model, warns=False)
    extra = description["extra"]
    if _keeps_average(description) and isinstance(extra, dict) and "preparation" in extra:
        # `gdcore train` has told the figures of the average, and so it predicts by that.
        trainer = _resuming.resumed(Trainer, model, None, None, None, warns=False)
        return trainer.averaged if trainer.has_average else trainer.network
    return Network._loaded(model, warns=False)


def _keeps_average(description: dict[str, Any]) -> bool:
    """Whether a trainer's file has weights to judge by beside those that train."""
    rule = description.get("optimizer")
    while isinstance(rule, dict) and isinstance(rule.get("optimizer"), dict):
        rule = rule["optimizer"]
    name = rule.get("name") if isinstance(rule, dict) else None
    return "average" in description or str(name).startswith("schedule_free")


def _as_it_is(net: Network, table: Table, model: str) -> Preparation:
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
    return Preparation(columns, target, width=table.width)


def _arrays(target: Target, model: Network | Ensemble, x: Any) -> dict[str, Any]:
    """The predictions, as an NPZ file holds them.

    Returns:
        ``"prediction"``, (N,) classes or numbers, or (N, K) numbers; of classes also
        ``"probability"`` (N, K) and ``"classes"`` (K,).
    """
    if isinstance(target, NumberTarget):
        values = target.restored(model.predict(x))
        return {"prediction": values[:, 0] if values.shape[1] == 1 else values}
    classes = _array(target.classes)
    if isinstance(model, Ensemble):
        shares = model.predict_proba(x).astype(np.float64)
        if shares.shape[1] == 1:  # of the second class
            shares = np.concatenate([1 - shares, shares], axis=1)
        prediction = classes[shares.argmax(axis=1)]
        probability = shares.astype(np.float32)
        return {"prediction": prediction, "probability": probability, "classes": classes}
    logits = model.predict(x).astype(np.float64)
    if logits.shape[1] == 1:  # of the second class against the first
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    prediction = classes[logits.argmax(axis=1)]
    return {"prediction": prediction, "probability": probability, "classes": classes}


def _array(classes: tuple[Any, ...]) -> NDArray[Any]:
    """As NumPy has them; of whole numbers, some beyond int64, it would make float64."""
    if type(classes[0]) is not int:
        return np.array(classes)
    for dtype in (np.int64, np.uint64):
        if np.iinfo(dtype).min <= min(classes) and max(classes) <= np.iinfo(dtype).max:
            return np.array(classes, dtype)
    return np.array([str(each) for each in classes])


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
