"""What is to be learnt: classes or numbers, by the target's cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._names import choice
from gdcore.cli.columns import Column
from gdcore.cli.preparation import ClassTarget, NumberTarget, Target

__all__ = ["TASKS", "Chosen", "choose"]

TASKS = ("auto", "classification", "regression")
FEW = 20  # whole numbers of so many different values may be classes
ROWS_EACH = 10  # if there are so many rows for each value
MANY = 1000  # more classes than that are a mistake


@dataclass(frozen=True)
class Chosen:
    """A target.

    Args:
        target: What the outputs will mean.
        y: Class labels (N,), or standardized numbers (N, K), for all rows.
        values: The numbers (N, K) in their own units; None for classes.
        reason: Why, for people.
    """

    target: Target
    y: NDArray[Any]
    values: NDArray[np.float64] | None
    reason: str


def choose(
    name: str, columns: Sequence[Column], kept: NDArray[Any], task: str, *, as_text: bool
) -> Chosen:
    """Decides between classification and regression, and prepares the target.

    Args:
        name: The target's.
        columns: At least one; several are several numbers for each row.
        kept: The rows for training, which decide mean and deviation.
        task: One of `TASKS`.
        as_text: Takes numbers for the names of classes.

    Raises:
        ValueError: A cell is missing or wrong, or there is but one class or one number.
    """
    task = choice("--task", task, TASKS)
    for column in columns:
        _check_missing(column)
    if len(columns) > 1:
        if task == "classification" or as_text:
            raise ValueError(f"--target {name} has {len(columns)} columns, classes stand in one")
        return _numbers(name, columns, kept, f"it has {len(columns)} columns")
    column = columns[0]
    if as_text:
        if task == "regression":
            raise ValueError(f"--categories must not hold the target {name!r} of a regression")
        return _classes(column, column.texts().to_list(), "--categories says so")
    if task == "classification":
        return _classes(column, column.values(), "--task says so")
    if task == "regression":
        return _numbers(name, columns, kept, "--task says so")
    if column.kind() == "categorical":
        holds = "text" if column.is_text else "truth values"
        return _classes(column, column.values(), f"it holds {holds}")
    values = column.numbers()
    distinct = len(np.unique(values))
    if (values == np.rint(values)).all() and distinct <= max(2, min(FEW, len(values) // ROWS_EACH)):
        return _classes(column, column.values(), f"its {distinct} values are whole numbers")
    return _numbers(name, columns, kept, f"it holds {distinct} different numbers")


def _check_missing(column: Column) -> None:
    missing = np.array([each is None for each in column.values()])
    if missing.any():
        raise ValueError(
            f"the target {column.name!r} must have no missing cells, got {missing.sum()}, the "
            f"first in {column.rows.told(int(missing.argmax()))}"
        )


def _classes(column: Column, values: list[Any], reason: str) -> Chosen:
    classes = sorted(set(values))
    if len(classes) < 2:
        raise ValueError(f"the target {column.name!r} has one class only, {classes[0]!r}")
    if len(classes) > MANY or (len(classes) == len(values) and isinstance(classes[0], str)):
        other = " Is it --task regression?" if not isinstance(classes[0], str) else ""
        raise ValueError(
            f"the target {column.name!r} has {len(classes)} different values in {len(values)} "
            f"rows, too many for classes.{other}"
        )
    label = {each: number for number, each in enumerate(classes)}
    y = np.array([label[each] for each in values], np.int64)
    return Chosen(ClassTarget(column.name, tuple(classes)), y, None, reason)


def _numbers(name: str, columns: Sequence[Column], kept: NDArray[Any], reason: str) -> Chosen:
    values = np.column_stack([column.numbers() for column in columns])
    training = values[kept]
    for k, column in enumerate(columns):
        if training[:, k].min() == training[:, k].max():
            raise ValueError(
                f"the target {column.name!r} has one value only in the rows for training, "
                f"{training[0, k]:g}"
            )
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = training.mean(axis=0), training.std(axis=0)
        y = (values - mean) / deviation
    if not (np.isfinite(deviation) & (deviation > 0)).all() or not np.isfinite(y).all():
        raise ValueError(f"the target {name!r} has numbers too large or too close to standardize")
    target = NumberTarget(name, tuple(mean.tolist()), tuple(deviation.tolist()))
    return Chosen(target, y, values, reason)
