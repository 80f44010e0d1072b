"""What is to be learnt: classes or numbers, by the target's cells."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._names import choice
from gdcore.tabular.cells import Notation, all_dates
from gdcore.tabular.columns import Column
from gdcore.tabular.fitting import ones_of, places_of
from gdcore.tabular.meanings import ClassTarget, LabelsTarget, NumberTarget, Target
from gdcore.tabular.tables import Table

__all__ = ["TASKS", "Chosen", "Wanted", "again", "check_missing", "choose", "standardized"]

TASKS = ("auto", "classification", "regression", "multilabel")
FEW = 20  # whole numbers of so many different values may be classes
ROWS_EACH = 10  # if there are so many rows for each value
MANY = 1000  # more classes than that are a mistake
SHOWN = 8  # classes in a note
_ONES = {"0", "1", "0.0", "1.0", "true", "false"}


@dataclass(frozen=True)
class Wanted:
    """What is to be learnt, of all rows.

    Args:
        name: The target's.
        columns: Those that hold it.
        reason: Why it is classes or numbers, for people.
        classes: Ascending; None for numbers.
        labels: (N,) places in classes; None for numbers.
        values: (N, K) numbers in their own units; None for classes.
        notes: What the user should know.
        ones: (N, K) 0 and 1 for each of several labels; None for classes and numbers.
        one_hot: The columns of the classes, where each has one.
    """

    name: str
    columns: tuple[Column, ...]
    reason: str
    classes: tuple[Any, ...] | None = None
    labels: NDArray[np.int64] | None = None
    values: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    ones: NDArray[np.float64] | None = None
    one_hot: tuple[str, ...] = ()

    def too_small(self, held_out: NDArray[Any]) -> list[str]:
        """A note on classes of which no row is held out, though of others there are some."""
        if self.classes is None or self.labels is None or not len(held_out):
            return []
        sizes = np.bincount(self.labels)
        held = np.bincount(self.labels[held_out], minlength=len(sizes))
        small = [f"{self.classes[at]!r} ({sizes[at]})" for at in np.flatnonzero(held == 0)]
        more = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
        told = f"{', '.join(small[:SHOWN])}{more}"
        return [f"no row is held out of classes with too few rows: {told}"] if small else []


@dataclass(frozen=True)
class Chosen:
    """A target.

    Args:
        target: What the outputs will mean.
        y: Class labels (N,), standardized numbers (N, K), or 0 and 1 for labels (N, K), for all
            rows.
        values: The numbers (N, K) in their own units; None for others.
        reason: Why, for people.
    """

    target: Target
    y: NDArray[Any]
    values: NDArray[np.float64] | None
    reason: str


def choose(name: str, columns: Sequence[Column], task: str, *, as_text: bool) -> Wanted:
    """Decides between classification and regression.

    Args:
        name: The target's.
        columns: At least one; several are several numbers for each row.
        task: One of `TASKS`.
        as_text: Takes numbers for the names of classes.

    Raises:
        ValueError: A cell is missing or wrong, or there is but one class.
    """
    task = choice("--task", task, TASKS)
    for column in columns:
        # A word for a missing cell may well name a class.
        check_missing(column, column.cells.is_null().to_numpy() if as_text else column.missing())
    if as_text and len(columns) > 1:
        raise ValueError(
            f"--categories must not hold one of the {len(columns)} columns of --target"
        )
    if task == "multilabel" or (len(columns) > 1 and task != "regression"):
        return _of_columns(name, columns, task)
    if len(columns) > 1:
        return _numbers(name, columns, f"it has {len(columns)} columns")
    column = columns[0]
    if as_text:
        if task == "regression":
            raise ValueError(f"--categories must not hold the target {name!r} of a regression")
        return _classes(column, column.texts().to_list(), "--categories says so")
    if task == "classification":
        return _classes(column, column.values(), "--task says so")
    if task == "regression":
        return _numbers(name, columns, "--task says so")
    if column.kind() != "numeric":
        holds = "text" if column.is_text else "truth values"
        reason = "the file says so" if column.says_category else f"it holds {holds}"
        return _classes(column, column.values(), reason)
    numbers, distinct = column.numbers(), column.distinct()
    if distinct <= max(2, min(FEW, len(numbers) // ROWS_EACH)) and _whole(numbers):
        return _classes(column, column.values(), f"its {distinct} values are whole numbers")
    return _numbers(name, columns, f"it holds {distinct} different numbers")


def _of_columns(name: str, columns: Sequence[Column], task: str) -> Wanted:
    """Several columns, each of which is a label, a class or a number."""
    several = f"it has {len(columns)} columns"
    if task == "auto" and not all(_may_be_ones(column) for column in columns):
        return _numbers(name, columns, several)
    ones, names = ones_of(columns), tuple(column.name for column in columns)
    alone = bool((ones.sum(axis=1) == 1).all())
    if task == "multilabel" or (task == "auto" and not alone):
        told = "--task says so" if task == "multilabel" else f"{several} of 0 and 1"
        for column, own in zip(columns, ones.T, strict=True):
            if own.min() == own.max():
                raise ValueError(f"the target {column.name!r} is {own[0]:g} in all rows")
        return Wanted(name, tuple(columns), told, ones=ones)
    try:
        labels = places_of(ones, columns)
    except ValueError as error:
        raise ValueError(f"{error}: give --task multilabel if rows may have several") from None
    classes = tuple(range(len(names))) if names[0] == f"{name}[0]" else names
    told = f"{several}, of which one is 1 in each row"
    return Wanted(name, tuple(columns), told, classes, labels, one_hot=names)


def _may_be_ones(column: Column) -> bool:
    names = column.factorized()[1]
    return len(names) <= 8 and {each.lower() for each in names} <= _ONES


def standardized(wanted: Wanted, kept: NDArray[Any]) -> Chosen:
    """The target, with mean and deviation of numbers from the rows for training.

    Raises:
        ValueError: There is but one number among these rows, or they cannot be standardized.
    """
    if wanted.ones is not None:
        labels = LabelsTarget(wanted.name, tuple(each.name for each in wanted.columns))
        return Chosen(labels, wanted.ones, None, wanted.reason)
    if wanted.values is None:
        assert wanted.classes is not None
        assert wanted.labels is not None
        target = ClassTarget(wanted.name, wanted.classes, wanted.one_hot)
        return Chosen(target, wanted.labels, None, wanted.reason)
    values = wanted.values
    training = values[kept]
    for k, column in enumerate(wanted.columns):
        if training[:, k].min() == training[:, k].max():
            what = (
                "one value only"
                if column.one_number_in(kept)
                else ("numbers that differ by less than float64 can tell")
            )
            raise ValueError(
                f"the target {column.name!r} has {what} in the rows for training, "
                f"{training[0, k]:g}"
            )
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = training.mean(axis=0), training.std(axis=0)
        y = (values - mean) / deviation
    if not (np.isfinite(deviation) & (deviation > 0)).all() or not np.isfinite(y).all():
        raise ValueError(
            f"the target {wanted.name!r} has numbers too large or too close to standardize"
        )
    names = tuple(column.name for column in wanted.columns)
    own = names if len(names) > 1 and names[0] != f"{wanted.name}[0]" else ()
    numbers = NumberTarget(wanted.name, tuple(mean.tolist()), tuple(deviation.tolist()), own)
    return Chosen(numbers, y, values, wanted.reason)


def again(target: Target, table: Table, notation: Notation, reason: str) -> Chosen:
    """A target that a model knows, of another table.

    Raises:
        ValueError: A column or cell is missing, or no class of the model.
    """
    names = [n for each in target.columns or [target.name] for n in table.targets(each)]
    if table.width is not None:  # of an array
        names = table.targets(target.name)
    columns = [replace(table.column(name, notation), is_target=True) for name in names]
    as_text = isinstance(target, ClassTarget) and isinstance(target.classes[0], str)
    for column in columns:
        text = as_text and not getattr(target, "one_hot", ())
        check_missing(column, column.cells.is_null().to_numpy() if text else column.missing())
    if isinstance(target, LabelsTarget) or (isinstance(target, ClassTarget) and target.one_hot):
        ones = ones_of(columns)
        _check_count(target, len(target.columns), len(columns))
        labels = ones if isinstance(target, LabelsTarget) else places_of(ones, columns)
        return Chosen(target, labels, None, reason)
    if isinstance(target, ClassTarget):
        return Chosen(target, _labels(target, columns[0], as_text=as_text), None, reason)
    _check_count(target, len(target.mean), len(columns))
    values = np.column_stack([column.numbers() for column in columns])
    y = target.scaled(values)
    if not np.isfinite(y).all():
        raise ValueError(f"the target {target.name!r} has numbers too large to standardize")
    return Chosen(target, y, values, reason)


def _check_count(target: Target, wanted: int, got: int) -> None:
    if wanted != got:
        raise ValueError(
            f"the target {target.name!r} must have {wanted} columns, as in training, got {got}"
        )


def _labels(target: ClassTarget, column: Column, *, as_text: bool) -> NDArray[np.int64]:
    places = {each: place for place, each in enumerate(target.classes)}
    values: list[Any] = column.texts().to_list() if as_text else column.values()
    for at, value in enumerate(values):
        if value not in places:
            raise ValueError(
                f"the target {target.name!r} must hold a class that training saw "
                f"({target.told()}), got {value!r} in {column.rows.told(at)}"
            )
    return np.array([places[each] for each in values], np.int64)


def check_missing(column: Column, missing: NDArray[np.bool_]) -> None:
    """ValueError where a cell of the target is missing; the message tells which."""
    if missing.any():
        at = int(missing.argmax())
        told = ""
        if (word := column.cells[at]) is not None:
            told = f", {word!r}: give --categories {shlex.quote(column.name)} if it is a class"
        raise ValueError(
            f"the target {column.name!r} must have no missing cells, got {missing.sum()}, the "
            f"first in {column.rows.told(at)}{told}{': ' if not told else ', or '}give "
            "--missing-target drop to leave such rows out"
        )


def _whole(numbers: NDArray[np.float64]) -> bool:
    return bool((numbers == np.rint(numbers)).all())


def _classes(column: Column, values: list[Any], reason: str) -> Wanted:
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
    notes = []
    if isinstance(classes[0], str):
        if (at := column.code()) is not None:
            notes.append(f"{column.name!r} has codes such as {column.cells[at]!r}: each is a class")
        if all_dates(classes):
            notes.append(f"{column.name!r} holds dates, as {classes[0]!r}: each is a class")
    return Wanted(column.name, (column,), reason, tuple(classes), y, None, tuple(notes))


def _numbers(name: str, columns: Sequence[Column], reason: str) -> Wanted:
    values = np.column_stack([column.numbers() for column in columns])
    notes = [
        f"{column.name!r} has whole numbers that float64 rounds, as {column.cells[at]}"
        for column in columns
        if (at := column.rounded()) is not None
    ]
    return Wanted(name, tuple(columns), reason, values=values, notes=tuple(notes))
