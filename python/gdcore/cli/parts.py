"""Rows as a network takes them, with what they are judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gdcore import Network
from gdcore._names import choice
from gdcore.cli import weighing
from gdcore.cli.targets import Chosen, again
from gdcore.tabular.cells import Notation
from gdcore.tabular.columns import Column
from gdcore.tabular.fitted import Fitted, Prepared, taken
from gdcore.tabular.meanings import ClassTarget, Target
from gdcore.tabular.tables import Table, read

__all__ = ["MISSING_TARGET", "Judged", "Part", "Read", "as_outputs", "of_file", "with_target"]

MISSING_TARGET = ("error", "drop")


class Read(Protocol):
    """What `of_file` has to know of options."""

    @property
    def missing_target(self) -> str:
        """One of `MISSING_TARGET`."""

    @property
    def weight_column(self) -> str | None:
        """Says how much each row counts."""


@dataclass(frozen=True)
class Judged:
    """The same, where there is no training."""

    missing_target: str = "error"
    weight_column: str | None = None


@dataclass(frozen=True)
class Part:
    """Some rows.

    Args:
        x: Their inputs.
        y: Their targets, as the loss takes them.
        values: Targets that are numbers, (N, K) in their own units; None for others.
        weights: (N,) what each counts by --weight-column; None: all the same.
    """

    x: Prepared
    y: NDArray[Any]
    values: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def data(self) -> tuple[Any, ...]:
        """x, y and the weights, if there are some."""
        return (self.x, self.y) if self.weights is None else (self.x, self.y, self.weights)

    def rows(self, places: Any) -> Part:
        """Some of them."""
        values = None if self.values is None else self.values[places]
        weights = None if self.weights is None else self.weights[places]
        return Part(taken(self.x, places), self.y[places], values, weights)


def as_outputs(target: Target, y: NDArray[Any], outputs: int, dtype: Any) -> NDArray[Any]:
    """Targets as the loss takes them: of two classes numbers, where there is one output."""
    return y.astype(dtype) if isinstance(target, ClassTarget) and outputs == 1 else y


def of_file(
    options: Read,
    data: str,
    preparation: Fitted,
    net: Network,
    reason: str,
    notes: list[str],
) -> tuple[Part, Chosen, Table]:
    """All rows of a file, prepared as a model has it.

    Args:
        options: How it is read, and what of its rows is left out or weighed.
        data: The file.
        preparation: The model's.
        net: The model's.
        reason: Why the target is what it is.
        notes: Gets what the user should know.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not like the table of the training.
    """
    target = preparation.target
    table = read(data, target.name, preparation.dialect)
    table = with_target(
        table, target.columns or (target.name,), preparation.notation, options.missing_target, notes
    )
    notes += table.notes
    chosen = again(target, table, preparation.notation, reason)
    x = preparation.inputs(table, net.dtype, notes)
    weights = weighing.of_column(table, options.weight_column, preparation.notation)
    y = as_outputs(target, chosen.y, net.output_size, net.dtype)
    return Part(x, y, chosen.values, weights), chosen, table


def with_target(
    table: Table,
    names: tuple[str, ...],
    notation: Notation,
    missing: str,
    notes: list[str],
    as_text: tuple[str, ...] = (),
) -> Table:
    """The rows whose target is there, where the others are to be left out.

    Args:
        table: All rows.
        names: The target's columns, or its array.
        notation: How its text writes missing cells.
        missing: One of `MISSING_TARGET`.
        notes: Gets how many were left out.
        as_text: Columns in which a word for a missing cell is a class.

    Raises:
        ValueError: There is no such column, or no row is left.
    """
    choice("--missing-target", missing, MISSING_TARGET)
    if missing == "error":
        return table
    there = np.ones(len(table), bool)
    found = {each for name in names for each in table.targets(name)}
    if table.width is not None:
        found = set(table.targets(names[0]))
    for name in found:
        column: Column = replace(table.column(name, notation), is_target=True)
        nulls = column.cells.is_null().to_numpy()
        there &= ~(nulls if name in as_text else column.missing())
    if there.all():
        return table
    if not there.any():
        raise ValueError(f"the target {names[0]!r} is missing in all {len(table)} rows")
    at = table.rows.told(int((~there).argmax()))
    notes.append(f"left out {(~there).sum()} rows without target, the first is {at}")
    return table.rows_of(there)
