"""``gdcore train --resume``: a model goes on to learn, from the same table or from a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdcore import Trainer, _resuming
from gdcore.cli import networks, report
from gdcore.cli.setting_up import SetUp
from gdcore.cli.split import split
from gdcore.cli.targets import Chosen, check_missing
from gdcore.files import read_description
from gdcore.tabular.columns import Column
from gdcore.tabular.fitted import Fitted, taken
from gdcore.tabular.meanings import ClassTarget, Target
from gdcore.tabular.tables import read

if TYPE_CHECKING:
    from gdcore.cli.training import Options

__all__ = ["resumed"]


def resumed(options: Options, path: Path) -> SetUp:
    """The trainer of a model, with a table that is prepared as the first one was.

    Rows are held out by the model's seed, so that of the same table they are the same ones.

    Raises:
        OSError: A file cannot be read.
        ValueError: The file is no model of ``gdcore train``, or the table does not fit it.
    """
    trainer = _resuming.resumed(Trainer, path, None, None, options.threads, warns=False)
    net = trainer.network
    preparation = Fitted.of_model(read_description(path), net)
    if preparation is None or trainer.loss is None:
        raise ValueError(
            f"--resume must be a model that gdcore train saved, got {path}, which knows no "
            "columns: go on with it in Python, by gdcore.Trainer.load"
        )
    if options.lr is not None:
        trainer.lr = options.lr
    reading = options.reading
    dialect = reading.dialect(preparation.dialect)
    preparation = replace(
        preparation, notation=reading.notation(preparation.notation), dialect=dialect
    )
    target = preparation.target
    table = read(options.data, target.name, dialect)
    columns = [
        replace(table.column(name, preparation.notation), is_target=True)
        for name in target.columns or table.targets(target.name)
    ]
    chosen = _chosen(target, columns, path)
    labels = chosen.y if chosen.values is None else None
    kept, held_out = split(len(table), options.validation, trainer.seed, labels)
    notes = list(table.notes)
    x = preparation.inputs(table, net.dtype, notes)
    size = networks.vector_size(net)
    report.tell_choice(preparation, chosen, len(kept), len(held_out), notes, size)
    y = chosen.y
    if isinstance(target, ClassTarget) and net.output_size == 1:
        y = y.astype(net.dtype)
    return SetUp(
        trainer,
        preparation,
        chosen,
        (taken(x, kept), y[kept]),
        (taken(x, held_out), y[held_out]),
        kept,
        held_out,
    )


def _chosen(target: Target, columns: Sequence[Column], path: Path) -> Chosen:
    """The target's values, in the classes or units of the model.

    Raises:
        ValueError: A cell is missing or no class of the model.
    """
    reason = f"as in {path}"
    if isinstance(target, ClassTarget):
        column = columns[0]
        as_text = isinstance(target.classes[0], str)
        check_missing(column, column.cells.is_null().to_numpy() if as_text else column.missing())
        return Chosen(target, _labels(target, column, as_text=as_text), None, reason)
    if len(columns) != len(target.mean):
        raise ValueError(
            f"the target {target.name!r} must have {len(target.mean)} columns, as in training, got "
            f"{len(columns)}"
        )
    for column in columns:
        check_missing(column, column.missing())
    values = np.column_stack([column.numbers() for column in columns])
    y = (values - np.array(target.mean)) / np.array(target.deviation)
    if not np.isfinite(y).all():
        raise ValueError(f"the target {target.name!r} has numbers too large to standardize")
    return Chosen(target, y, values, reason)


def _labels(target: ClassTarget, column: Column, *, as_text: bool) -> NDArray[np.int64]:
    places = {each: place for place, each in enumerate(target.classes)}
    values: list[Any] = column.texts().to_list() if as_text else column.values()
    for at, value in enumerate(values):
        if value not in places:
            known = ", ".join(map(repr, target.classes[:8]))
            more = ", ..." if len(target.classes) > 8 else ""
            raise ValueError(
                f"the target {target.name!r} must hold a class that training saw ({known}{more}), "
                f"got {value!r} in {column.rows.told(at)}"
            )
    return np.array([places[each] for each in values], np.int64)
