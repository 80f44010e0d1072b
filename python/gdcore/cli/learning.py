"""Finds out from the rows for training how a table is to be prepared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._names import choice
from gdcore.cli.columns import Column, no_column
from gdcore.cli.preparation import CategoricalColumn, Input, NumericColumn, Preparation
from gdcore.cli.tables import Table
from gdcore.cli.targets import Chosen, choose

__all__ = ["MISSING", "Choices", "learn"]

MISSING = ("error", "mean")
AT_ONCE = 32  # columns of numbers, of which copies are held
MANY = 1000  # more categories than that are names or texts, of which nothing is learnt


@dataclass(frozen=True)
class Choices:
    """What the user says about the columns.

    Args:
        target: The column to predict.
        task: ``"auto"``, ``"classification"`` or ``"regression"``.
        categories: Columns whose numbers are categories.
        drop: Columns to leave out.
        missing: ``"error"``, or ``"mean"`` to fill missing numbers with their column's mean.
        na: Texts that mean that a cell is missing.
    """

    target: str
    task: str = "auto"
    categories: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    missing: str = "error"
    na: tuple[str, ...] = ()


def learn(
    table: Table, choices: Choices, kept: NDArray[Any]
) -> tuple[Preparation, Chosen, list[str]]:
    """Decides what each column is, and takes mean and deviation from the rows for training.

    Categories and classes are those of all rows, so that none that is held out is unknown.

    Args:
        table: All rows.
        choices: The user's.
        kept: The rows for training.

    Returns:
        The preparation, the target with its values for all rows, and notes for the user.

    Raises:
        ValueError: A column or a cell is not what it must be; the message names it.
    """
    choice("--missing", choices.missing, MISSING)
    targets = table.targets(choices.target)
    for option, names in (("--categories", choices.categories), ("--drop", choices.drop)):
        for name in names:
            if name not in table.frame.columns:
                raise no_column(option, name, table.frame.columns)
    if set(targets) & set(choices.drop):
        raise ValueError(f"--drop must not hold the target, {choices.target!r}")
    chosen = choose(
        choices.target,
        [table.column(name, choices.na) for name in targets],
        kept,
        choices.task,
        as_text=choices.target in choices.categories,
    )
    left = [name for name in table.inputs if name not in {*targets, *choices.drop}]
    inputs, notes = _inputs(table, left, choices, kept)
    if table.empty_rows:
        notes.append(f"empty rows passed over: {table.empty_rows}")
    if not inputs:
        raise ValueError(f"there must be an input beside the target {choices.target!r}, got none")
    fill = choices.missing == "mean"
    preparation = Preparation(tuple(inputs), chosen.target, fill, choices.na, table.width)
    return preparation, chosen, notes


def _inputs(
    table: Table, names: Sequence[str], choices: Choices, kept: NDArray[Any]
) -> tuple[list[Input], list[str]]:
    found: dict[str, Input | None] = {}
    numeric: dict[str, NDArray[np.float64]] = {}
    keep = table.width is not None  # who gives an array later has all of its columns
    for number, name in enumerate(names, start=1):
        column = table.column(name, choices.na)
        kind = "categorical" if name in choices.categories else column.kind()
        if kind == "numeric":
            numeric[name] = _checked(column, choices)[kept]
        elif kind == "empty" and keep:
            raise ValueError(f"column {name!r} has no cell that is not missing")
        else:
            found[name] = None if kind == "empty" else _categories(column, keep=keep)
        if len(numeric) == AT_ONCE or number == len(names):
            found |= _standardized(numeric, keep=keep)
            numeric.clear()
    notes = [f"left out {name!r}: it has one value only" for name in names if found[name] is None]
    return [each for name in names if (each := found[name]) is not None], notes


def _checked(column: Column, choices: Choices) -> NDArray[np.float64]:
    values = column.numbers()
    missing = np.isnan(values)
    if missing.any() and choices.missing == "error":
        raise ValueError(
            f"column {column.name!r} has {missing.sum()} missing cells among its numbers, the "
            f"first in {column.rows.told(int(missing.argmax()))}: give --missing mean to fill "
            f"them with the column's mean, or --drop {column.name}"
        )
    return values


def _standardized(
    columns: Mapping[str, NDArray[np.float64]], *, keep: bool
) -> dict[str, NumericColumn | None]:
    """Mean and deviation of each column; of a single value None, or the deviation 1 if ``keep``."""
    if not columns:
        return {}
    # With a second column NumPy adds row after row, so that the bits do not depend on how many
    # columns stand together.
    rows = np.column_stack([*columns.values(), np.zeros(len(next(iter(columns.values()))))])
    there = ~np.isnan(rows)
    count = np.maximum(there.sum(axis=0), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.where(there, rows, 0).sum(axis=0) / count
        deviation = np.sqrt((np.where(there, rows - mean, 0) ** 2).sum(axis=0) / count)
    lowest = np.where(there, rows, np.inf).min(axis=0)
    highest = np.where(there, rows, -np.inf).max(axis=0)
    found: dict[str, NumericColumn | None] = {}
    for k, name in enumerate(columns):
        if not (math.isfinite(mean[k]) and math.isfinite(deviation[k])):
            raise ValueError(f"column {name!r} has numbers that are too large to standardize")
        one_value = highest[k] <= lowest[k]
        # Squares of tiny differences may vanish.
        scale = 1.0 if one_value or deviation[k] == 0 else float(deviation[k])
        left_out = one_value and not keep
        found[name] = None if left_out else NumericColumn(name, float(mean[k]), scale)
    return found


def _categories(column: Column, *, keep: bool) -> CategoricalColumn | None:
    """The column's categories; None where it has one only, unless it must be kept."""
    texts = column.texts().unique().to_list()
    categories: list[str | None] = sorted(each for each in texts if each is not None)
    rows = len(column.cells)
    if len(categories) > MANY or (1 < len(categories) == rows):
        every = "a different text in every row" if len(categories) == rows else "too many"
        raise ValueError(
            f"column {column.name!r} has {len(categories)} categories in {rows} rows, {every}: "
            f"leave it out with --drop {column.name}"
        )
    if None in texts:
        categories.append(None)
    if len(categories) == 1 and not keep:
        return None
    return CategoricalColumn(column.name, tuple(categories))
