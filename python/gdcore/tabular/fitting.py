"""Finds out from the rows of a frame how its columns are to be prepared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.tabular.cells import Notation, canonical
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.frames import Frame, FrameColumn
from gdcore.tabular.inputs import (
    CYCLES,
    CategoricalColumn,
    Column,
    DateColumn,
    EmbeddedColumn,
    Input,
    NumericColumn,
    QuantileColumn,
)
from gdcore.tabular.meanings import ClassTarget, NumberTarget, Target, few_enough

__all__ = ["DATES", "Options", "labels_of", "learn", "numbers_of", "ones_of", "places_of"]

MANY = 1000  # more categories than that are too many for an input each, and classes a mistake
QUANTILES = 1000
DATES = 2  # days, below which a column of dates has no place in the year


@dataclass(frozen=True)
class Options:
    """What `gdcore.tabular.Preparation` was told, checked."""

    numbers: str
    missing: str
    indicator: bool
    categories: tuple[str, ...]
    drop: tuple[str, ...]
    unseen: str
    min_count: int
    embed_above: int | None
    task: str
    target_scaling: str
    clamp: bool


def learn(
    frame: Frame, targets: Sequence[FrameColumn], options: Options, *, within: bool
) -> tuple[Fitted, list[str]]:
    """Decides what becomes of each column.

    Args:
        frame: All columns.
        targets: Those of the target.
        options: The user's.
        within: Whether the targets are columns of the frame.

    Returns:
        What was found, and notes on columns that are left out.

    Raises:
        TypeError: A column is of a type that is no input.
        ValueError: A column or a cell is not what it must be; the message names it.
    """
    target = _target(targets, options)
    named = {each.name for each in targets} if within else set()
    inputs: list[Input] = []
    notes: list[str] = []
    for name in frame.inputs:
        if name in named or name in options.drop:
            continue
        column = frame.column(name, Notation())
        made = _input(column, options, keep=frame.width is not None)
        if isinstance(made, str):
            notes.append(f"left out {name!r}: it has {made}")
        else:
            inputs.append(made)
    if not inputs:
        raise ValueError("frame must have an input beside the target, got none")
    taken = {each.name for each in inputs}
    others = tuple(each for each in frame.inputs if each not in taken)
    fill = options.missing != "error"
    return Fitted(tuple(inputs), target, fill, width=frame.width, others=others), notes


def _input(column: FrameColumn, options: Options, *, keep: bool) -> Input | str:
    """What becomes of a column, or why nothing does; ``keep`` those of one value, too."""
    kind = column.kind
    if kind == "empty":
        if keep:
            raise ValueError(f"column {column.name!r} has no cell that is not missing")
        return "no cell"
    if column.name in options.categories or kind in ("truth", "text", "category"):
        return _categories(column, options, keep=keep)
    missing = column.missing()
    if missing.any() and options.missing == "error":
        raise ValueError(
            f"column {column.name!r} has {missing.sum()} missing cells, the first in "
            f"{column.place(int(missing.argmax()))}: fill them, leave the column out with "
            "drop, or give missing='mean' or 'median'"
        )
    indicator = options.indicator and bool(missing.any())
    if kind == "date":
        return _dates(column, missing, indicator, keep=keep)
    return _numbers(column, missing, indicator, options, keep=keep)


def _mean_and_deviation(name: str, values: NDArray[np.float64]) -> tuple[float, float]:
    # With a second column NumPy adds row after row: the bits do not depend on the machine.
    rows = np.column_stack([values, np.zeros(len(values))])
    with np.errstate(over="ignore", invalid="ignore"):
        mean = rows.sum(axis=0)[0] / len(values)
        rows[:, 0] -= mean
        deviation = math.sqrt((rows * rows).sum(axis=0)[0] / len(values))
    if not (math.isfinite(mean) and math.isfinite(deviation)):
        raise ValueError(f"column {name!r} has numbers that are too large to standardize")
    return float(mean), deviation or 1.0  # squares of tiny differences may vanish


def _numbers(
    column: FrameColumn,
    missing: NDArray[np.bool_],
    indicator: bool,
    options: Options,
    *,
    keep: bool,
) -> Input | str:
    name, there = column.name, column.numbers()[~missing]
    low, high = float(there.min()), float(there.max())
    if low == high and not (keep or indicator):
        return f"one value only, {low:g}"
    mean, deviation = _mean_and_deviation(name, there)
    fill = None
    if options.missing != "error":
        fill = mean if options.missing == "mean" else float(np.median(there))
    if options.numbers == "quantile" and low < high:
        shares = np.linspace(0, 1, min(QUANTILES, len(there)))
        edges = np.maximum.accumulate(np.quantile(there, shares))
        return QuantileColumn(name, tuple(edges.tolist()), fill, indicator)
    if options.numbers == "robust" and low < high:
        # RealMLP's: where the quartiles meet, half the range.
        first, middle, third = np.quantile(there, [0.25, 0.5, 0.75]).tolist()
        scale = third - first or 0.5 * (high - low)
        return NumericColumn(name, middle, scale, True, fill, indicator)
    if options.numbers == "none":
        return NumericColumn(name, 0.0, 1.0, False, fill, indicator)
    return NumericColumn(name, mean, 1.0 if low == high else deviation, False, fill, indicator)


def _dates(
    column: FrameColumn, missing: NDArray[np.bool_], indicator: bool, *, keep: bool
) -> Input | str:
    there = column.dates()[~missing]
    if there.min() == there.max() and not (keep or indicator):
        return f"one date only, {there[0]}"
    days = DateColumn.days(there)
    times = bool((days != np.floor(days)).any())
    span = float(days.max() - days.min())
    cycles = tuple(
        each for each, fits in zip(CYCLES, (span > DATES, span >= 1, times), strict=True) if fits
    )
    mean, deviation = _mean_and_deviation(column.name, days)
    return DateColumn(column.name, mean, deviation, cycles, bool(missing.any()), indicator)


def _categories(column: FrameColumn, options: Options, *, keep: bool) -> Input | str:
    places, names = column.factorized()
    name, rows = column.name, len(places)
    missing = int((places < 0).sum())
    counts = np.bincount(places[places >= 0], minlength=len(names))
    known: list[str | None] = [
        names[at]
        for at in sorted(range(len(names)), key=names.__getitem__)
        if counts[at] >= options.min_count
    ]
    rare = int((counts > 0).sum()) - len(known)
    if missing and missing >= options.min_count:
        known.append(None)
    elif missing:
        rare += 1
    embedded = options.embed_above is not None and len(known) > options.embed_above
    if (len(known) > MANY and not embedded) or (1 < len(known) == rows and column.kind == "text"):
        every = "a different text in every row" if len(known) == rows else "too many for inputs"
        raise ValueError(
            f"column {name!r} has {len(known)} categories in {rows} rows, {every}: leave it out "
            "with drop, put rare ones together with unseen='other' and min_count, or give "
            f"embed_above (at most {MANY}) to learn a vector for each"
        )
    if not known:
        return f"no category in {options.min_count} rows"
    if len(known) == 1 and not rare and not keep:
        return f"one value only, {known[0]!r}"
    other = ""
    if options.unseen == "other":
        other = "own" if rare or embedded else "zeros"
    kind = EmbeddedColumn if embedded else CategoricalColumn
    return kind(name, tuple(known), other)


def _target(columns: Sequence[FrameColumn], options: Options) -> Target:
    for column in columns:
        if (missing := column.missing()).any():
            raise ValueError(
                f"the target {column.name!r} must have no missing cells, got {missing.sum()}, the "
                f"first in {column.place(int(missing.argmax()))}: leave these rows out"
            )
    if len(columns) > 1:
        if options.task == "classification":
            raise ValueError(f"the target has {len(columns)} columns, classes stand in one")
        return _number_target(columns, options)
    column = columns[0]
    if column.kind == "date":
        raise TypeError(f"the target {column.name!r} must not hold dates, got {column.raw.dtype}")
    if options.task == "regression":
        return _number_target(columns, options)
    places, values = column.distinct()
    whole = options.task == "auto" and column.kind == "number"
    if whole and not few_enough(len(values), column.numbers()):
        return _number_target(columns, options)
    return _class_target(column, places, values)


def _class_target(
    column: FrameColumn, places: NDArray[np.int64], values: Sequence[Any]
) -> ClassTarget:
    classes = sorted(values[i] for i in np.unique(places))
    if len(classes) < 2:
        raise ValueError(f"the target {column.name!r} has one class only, {classes[0]!r}")
    if len(classes) > MANY or (len(classes) == len(places) and isinstance(classes[0], str)):
        raise ValueError(
            f"the target {column.name!r} has {len(classes)} different values in {len(places)} "
            "rows, too many for classes: give task='regression' if they are numbers"
        )
    return ClassTarget(column.name, tuple(classes))


def _number_target(columns: Sequence[FrameColumn], options: Options) -> NumberTarget:
    means, deviations, bounds = [], [], []
    for column in columns:
        values = column.numbers()
        low, high = float(values.min()), float(values.max())
        if low == high:
            raise ValueError(f"the target {column.name!r} has one value only, {low:g}")
        mean, deviation = _mean_and_deviation(column.name, values)
        scaled = options.target_scaling == "standard"
        means.append(mean if scaled else 0.0)
        deviations.append(deviation if scaled else 1.0)
        bounds.append((low, high))
    lowest, highest = zip(*bounds, strict=True)
    names = tuple(each.name for each in columns)
    own = names if len(names) > 1 else ()
    limits = (lowest, highest) if options.clamp else (None, None)
    return NumberTarget(", ".join(names), tuple(means), tuple(deviations), own, *limits)


def labels_of(target: ClassTarget, column: FrameColumn) -> NDArray[np.int64]:
    """The places of a column's classes, (N,).

    Raises:
        ValueError: A cell is missing or no class of the target.
    """
    places, values = column.distinct()
    known = {each: place for place, each in enumerate(target.classes)}
    labels = np.array([*(known.get(each, -1) for each in values), -1], np.int64)[places]
    if (wrong := labels < 0).any():
        at = int(wrong.argmax())
        raise ValueError(
            f"the target {column.name!r} must hold a class that training saw ({target.told()}), "
            f"got {column.cell(at)} in {column.place(at)}: correct it or leave the row out"
        )
    return labels


def ones_of(columns: Sequence[Column]) -> NDArray[np.float64]:
    """What columns of 0 and 1, or of truth values, hold, (N, K).

    Raises:
        ValueError: A cell is missing or something else.
    """
    made = []
    for column in columns:
        places, names = column.factorized()
        known = [{"0": 0.0, "1": 1.0}.get((canonical([n]) or {n: n})[n], np.nan) for n in names]
        truths = [{"false": 0.0, "true": 1.0}.get(each.lower(), np.nan) for each in names]
        values = np.array([*np.where(np.isnan(known), truths, known), np.nan])[places]
        if (wrong := np.isnan(values)).any():
            at = int(wrong.argmax())
            got = column.cell(at) if places[at] >= 0 else "a missing cell"
            raise ValueError(
                f"the target {column.name!r} must hold 0 or 1, or true or false, got {got} in "
                f"{column.place(at)}"
            )
        made.append(values)
    return np.column_stack(made)


def places_of(ones: NDArray[np.float64], columns: Sequence[Column]) -> NDArray[np.int64]:
    """Which of the columns is 1 in each row, (N,); ValueError where it is not one alone."""
    if (wrong := ones.sum(axis=1) != 1).any():
        at = int(wrong.argmax())
        names = [each.name for each, one in zip(columns, ones[at], strict=True) if one]
        raise ValueError(
            f"one-hot targets must have one 1 in each row, got "
            f"{'it in ' + ' and '.join(map(repr, names)) if names else 'none'} in "
            f"{columns[0].place(at)}"
        )
    places: NDArray[np.int64] = ones.argmax(axis=1)
    return places


def numbers_of(target: NumberTarget, columns: Sequence[FrameColumn]) -> NDArray[np.float64]:
    """A target's numbers in their own units, (N, K).

    Raises:
        ValueError: There are other columns, or a cell is missing or no number.
    """
    if len(columns) != len(target.mean):
        raise ValueError(
            f"the target {target.name!r} must have {len(target.mean)} columns, as in training, "
            f"got {len(columns)}"
        )
    for column in columns:
        if (missing := column.missing()).any():
            raise ValueError(
                f"the target {column.name!r} must have no missing cells, got {missing.sum()}, the "
                f"first in {column.place(int(missing.argmax()))}: leave these rows out"
            )
    return np.column_stack([column.numbers() for column in columns])
