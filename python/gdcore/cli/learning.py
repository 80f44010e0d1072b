"""Finds out from the rows for training how a table is to be prepared."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore._names import choice
from gdcore.cli.targets import Chosen, Wanted, choose, standardized
from gdcore.tabular.cells import Notation, all_dates
from gdcore.tabular.columns import Column, named
from gdcore.tabular.fitted import Fitted
from gdcore.tabular.fitting import DATES
from gdcore.tabular.inputs import (
    CYCLES,
    CategoricalColumn,
    DateColumn,
    EmbeddedColumn,
    Input,
    NumericColumn,
)
from gdcore.tabular.tables import Table

__all__ = ["MISSING", "Choices", "learn", "learnt_again", "wanted"]

MISSING = ("error", "mean", "median")
UNSEEN = ("error", "other")
AT_ONCE = 32  # columns of numbers, of which copies are held
MANY = 1000  # more categories than that are too many for an input each
SILENT = 1e30  # a deviation that makes any number an input of 0, also in float32
ROWS_EACH = 2  # of so many an embedded one stands in as many rows on average, else it is a text


@dataclass(frozen=True)
class Choices:
    """What the user says about the columns.

    Args:
        target: The column to predict.
        task: ``"auto"``, ``"classification"`` or ``"regression"``.
        categories: Columns whose numbers are categories; each text one name, or several with
            commas.
        numbers: Columns whose codes, such as 007, are numbers.
        drop: Columns to leave out.
        aside: Columns that are no inputs, and for something else.
        dates: Columns that must hold dates; others are found by their cells.
        missing: ``"error"``, or ``"mean"`` or ``"median"`` of the column for missing numbers.
        indicator: Whether columns that miss some get an input that says where.
        unseen: ``"error"``, or ``"other"`` for categories that rows for training do not have.
        min_count: Categories in fewer of these rows are others, too.
        notation: How text writes numbers and missing cells.
        embed: Columns of more categories are embedded; None: no column is.
    """

    target: str
    task: str = "auto"
    categories: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    missing: str = "error"
    indicator: bool = False
    unseen: str = "error"
    min_count: int = 1
    notation: Notation = field(default_factory=Notation)
    embed: int | None = None

    def of(self, table: Table) -> Choices:
        """The same with the columns by their names.

        Raises:
            ValueError: A column is not there, or chosen for two things.
        """
        names = table.frame.columns
        found: dict[str, Any] = {
            "categories": named("--categories", self.categories, names),
            "numbers": named("--numbers", self.numbers, names),
            "drop": named("--drop", self.drop, names),
            "dates": named("--dates", self.dates, names),
        }
        for one, other in (
            ("numbers", "categories"),
            ("dates", "numbers"),
            ("dates", "categories"),
        ):
            if both := set(found[one]) & set(found[other]):
                raise ValueError(f"--{one} and --{other} must not both hold {min(both)!r}")
        targets = set(table.targets(self.target))
        if own := targets & set(found["drop"]):
            raise ValueError(f"--drop must not hold the target, {min(own)!r}")
        if own := targets & set(self.aside):
            raise ValueError(
                f"--id-column and --weight-column must not hold the target, {min(own)!r}"
            )
        return replace(self, **found)

    def check(self) -> None:
        """ValueError where an option is out of its domain, or goes without another."""
        choice("--missing", self.missing, MISSING)
        choice("--unseen", self.unseen, UNSEEN)
        integer("--min-count", self.min_count)
        if self.min_count > 1 and self.unseen == "error":
            raise ValueError(
                "--min-count is for --unseen other, which rare categories go to, got "
                f"{self.min_count}"
            )
        if self.indicator and self.missing == "error":
            raise ValueError("--indicator is for --missing mean or median, got error")


def wanted(table: Table, choices: Choices) -> Wanted:
    """Finds out what is to be learnt.

    Args:
        table: All rows.
        choices: The user's, as `Choices.of` gives them.

    Raises:
        ValueError: The target is not there, or not what it must be.
    """
    targets = table.targets(choices.target)
    return choose(
        choices.target,
        [replace(table.column(name, choices.notation), is_target=True) for name in targets],
        "regression" if set(targets) <= set(choices.numbers) else choices.task,
        as_text=bool(set(targets) & set(choices.categories)),
    )


def learn(
    table: Table, choices: Choices, target: Wanted, kept: NDArray[Any]
) -> tuple[Fitted, Chosen, list[str]]:
    """Decides what each column is, and takes mean and deviation from the rows for training.

    Classes are those of all rows, and categories too unless others are let in, so that none that is
    held out is unknown.

    Args:
        table: All rows.
        choices: The user's, as `Choices.of` gives them.
        target: What `wanted` found.
        kept: The rows for training.

    Returns:
        The preparation, the target with its values for all rows, and notes for the user.

    Raises:
        ValueError: A column or a cell is not what it must be; the message names it.
    """
    choices.check()
    chosen = standardized(target, kept)
    targets = {each.name for each in target.columns}
    notes = [*table.notes, *target.notes]
    indexes = [
        each for each in table.indexes() if each not in targets | {*choices.drop, *choices.aside}
    ]
    notes += [
        f"left out {each!r}: it numbers the rows, as an index of pandas does" for each in indexes
    ]
    away = {*targets, *choices.drop, *choices.aside, *indexes}
    left = [name for name in table.inputs if name not in away]
    notes += [
        f"column {table.frame.columns.index(each) + 1} has no name and is called {each!r}: "
        f'leave it out with --drop "{each}" if it numbers the rows'
        for each in table.unnamed
        if each in left
    ]
    inputs, found = _inputs(table, left, choices, kept)
    notes += found
    if not inputs:
        raise ValueError(f"there must be an input beside the target {choices.target!r}, got none")
    fill = choices.missing != "error"
    preparation = Fitted(tuple(inputs), chosen.target, fill, choices.notation, table.width)
    if choices.embed is not None and not preparation.embedded:
        notes.insert(0, f"--embed {choices.embed}: no column has more categories, none is embedded")
    return preparation, chosen, notes


def learnt_again(
    table: Table, preparation: Fitted, target: Wanted, kept: NDArray[Any]
) -> tuple[Fitted, Chosen]:
    """The same columns with means and deviations of other rows, and the target too.

    A column of one number in these rows becomes an input that is always 0: it would be left out,
    had these been the rows for training.

    Raises:
        ValueError: Numbers cannot be standardized.
    """
    numeric: dict[str, NDArray[np.float64]] = {}
    found: dict[str, Input] = {each.name: each for each in preparation.columns}
    of_numbers = [each for each in preparation.columns if isinstance(each, NumericColumn)]
    for number, each in enumerate(of_numbers, start=1):
        numeric[each.name] = table.column(each.name, preparation.notation).numbers()[kept]
        if len(numeric) == AT_ONCE or number == len(of_numbers):
            for name, one in _standardized(numeric, set()).items():
                before = found[name]
                assert isinstance(before, NumericColumn)
                own = one or NumericColumn(name, before.mean, SILENT)
                if before.fill is not None:
                    own = replace(own, fill=_median(numeric[name], own.mean))
                found[name] = replace(own, indicator=before.indicator)
            numeric.clear()
    for date in preparation.columns:
        if isinstance(date, DateColumn):
            column = table.column(date.name, preparation.notation, dates=True)
            mean, deviation = _of_days(column.dates()[kept])
            found[date.name] = replace(date, mean=mean, deviation=deviation)
    columns = tuple(found[each.name] for each in preparation.columns)
    chosen = standardized(target, kept)
    return replace(preparation, columns=columns, target=chosen.target), chosen


def _inputs(
    table: Table, names: Sequence[str], choices: Choices, kept: NDArray[Any]
) -> tuple[list[Input], list[str]]:
    found: dict[str, Input | None] = {}
    numeric: dict[str, NDArray[np.float64]] = {}
    lacking: set[str] = set()  # columns with an indicator
    notes: list[str] = []
    keep = table.width is not None  # who gives an array later has all of its columns
    for number, name in enumerate(names, start=1):
        dates = name in choices.dates or table.frame[name].dtype in (pl.Date, pl.Datetime)
        column = table.column(name, choices.notation, dates=dates)
        kind = _kind(column, choices)
        if kind == "numeric":
            values = column.numbers()
            if choices.indicator and np.isnan(values).any():
                lacking.add(name)
            notes += _checked(column, values, choices, kept, keep=keep or name in lacking)
            numeric[name] = values[kept]
        elif kind == "date":
            found[name], told = _dates(column, choices, kept, keep=keep)
            notes += told
        elif kind == "empty":
            if keep:
                raise ValueError(f"column {name!r} has no cell that is not missing")
            words = column.texts().unique(maintain_order=True).drop_nulls()
            but = f" but {words[0]!r}" if len(words) else ""
            notes.append(f"left out {name!r}: it has no cell{but}")
            found[name] = None
        else:
            found[name], told = _categories(column, choices, kept, keep=keep)
            notes += told
        if len(numeric) == AT_ONCE or number == len(names):
            for each, own in _standardized(numeric, set(numeric) if keep else lacking).items():
                if own is not None and choices.missing == "median":
                    own = replace(own, fill=_median(numeric[each], own.mean))
                found[each] = own and replace(own, indicator=each in lacking)
            numeric.clear()
    return [made for name in names if (made := found[name]) is not None], notes


def _kind(column: Column, choices: Choices) -> str:
    if column.name in choices.categories:
        return "categorical"
    if column.name in choices.dates or column.cells.dtype in (pl.Date, pl.Datetime):
        return "empty" if column.cells.null_count() == len(column.cells) else "date"
    if column.name in choices.numbers:
        return "numeric"
    kind = column.kind()
    return "date" if kind == "categorical" and column.is_dates() else kind


def _median(values: NDArray[np.float64], otherwise: float) -> float:
    there = values[~np.isnan(values)]
    return float(np.median(there)) if len(there) else otherwise


def _checked(
    column: Column,
    values: NDArray[np.float64],
    choices: Choices,
    kept: NDArray[Any],
    *,
    keep: bool,
) -> list[str]:
    """Notes on what becomes of the numbers of all rows."""
    name, missing = column.name, np.isnan(values)
    notes = []
    if missing.any():
        at = int(missing.argmax())
        if choices.missing == "error":
            told, code = "", ""
            if (word := column.cells[at]) is not None:
                told = f", {word!r}"
                code = f", --categories {shlex.quote(name)} if it is a category"
            raise ValueError(
                f"column {name!r} has {missing.sum()} missing cells among its numbers, the first "
                f"in {column.rows.told(at)}{told}: give --missing mean or --missing median to fill "
                f"them with the column's{code}, or --drop {shlex.quote(name)}"
            )
        notes.append(f"filled {missing.sum()} missing cells of {name!r} with its {choices.missing}")
    if (large := column.rounded()) is not None:
        notes.append(f"{name!r} has whole numbers that float64 rounds, as {column.cells[large]}")
    there = kept[~missing[kept]]
    if not len(there):
        what, everywhere = "no cell", bool(missing.all())
    elif values[there].min() < values[there].max():
        return notes
    elif column.one_number_in(kept):
        value = values[there[0]]
        what, everywhere = f"one value only, {value:g}", bool((values[~missing] == value).all())
    else:
        at = int(there[0])
        raise ValueError(
            f"column {name!r} has numbers that differ by less than float64 can tell, as "
            f"{column.cells[at]} in {column.rows.told(at)}: give --categories {shlex.quote(name)} "
            f"if they are codes, or --drop {shlex.quote(name)}"
        )
    if keep:
        return notes
    return [
        f"left out {name!r}: it has {what}" + ("" if everywhere else ", in the rows for training")
    ]


def _standardized(
    columns: Mapping[str, NDArray[np.float64]], keep: set[str]
) -> dict[str, NumericColumn | None]:
    """Mean and deviation of each column; of a single value None, or the deviation 1 in ``keep``."""
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
        left_out = one_value and name not in keep
        found[name] = None if left_out else NumericColumn(name, float(mean[k]), scale)
    return found


def _categories(
    column: Column, choices: Choices, kept: NDArray[Any], *, keep: bool
) -> tuple[CategoricalColumn | EmbeddedColumn | None, list[str]]:
    """The column's categories, and notes; None where it has one only, unless it must be kept."""
    texts, notes = column.categories()
    known, embed, rare = texts.unique().to_list(), choices.embed, 0
    if choices.unseen == "other":
        counts = texts[kept].value_counts(name="rows")
        seen = counts[texts.name].to_list()
        known = counts.filter(pl.col("rows") >= choices.min_count)[texts.name].to_list()
        rare = len(seen) - len(known)
    categories: list[str | None] = sorted(each for each in known if each is not None)
    rows = len(column.cells)
    name, drop = column.name, f"--drop {shlex.quote(column.name)}"
    at = None if column.says_category else column.code()
    embedded = embed is not None and len(known) > embed
    in_rows = ROWS_EACH * len(categories) <= rows
    too_many = len(categories) > MANY and not (embedded and in_rows)
    if too_many or (1 < len(categories) == rows):
        every, ways = f"fewer than {ROWS_EACH} rows for each", [f"leave it out with {drop}"]
        if len(categories) == rows:
            every = "a different text in every row"
        elif in_rows:
            every = "too many for an input each"
            ways.append(f"give --embed {MANY} to learn a vector for each")
        if in_rows and choices.unseen == "error":
            ways.append("give --unseen other --min-count N to put rare ones together")
        if at is not None:
            code = f"codes such as {column.cells[at]!r} are numbers"
            ways.append(f"give --numbers {shlex.quote(name)} if {code}")
        raise ValueError(
            f"column {name!r} has {len(categories)} categories in {rows} rows, {every}: "
            + ", or ".join(ways)
        )
    if at is not None:
        notes.append(f"{name!r} has codes such as {column.cells[at]!r}: taken as categories")
    elif categories and all_dates(each for each in categories if each is not None):
        notes.append(
            f"{name!r} holds dates, as {categories[0]!r}: taken as categories; "
            "written as 2024-12-31 they would be dates"
        )
    if None in known:
        categories.append(None)
    if not categories:
        notes.append(f"left out {name!r}: it has no category in {choices.min_count} rows")
        return None, notes
    if rare:
        many = "a rare category" if rare == 1 else f"{rare} rare categories"
        notes.append(f"{name!r} has {many}: taken for others")
    if len(categories) == 1 and not keep and not rare:
        notes.append(f"left out {name!r}: it has one value only, {categories[0]!r}")
        return None, notes
    kind = EmbeddedColumn if embedded else CategoricalColumn
    other = "" if choices.unseen == "error" else "own" if rare or embedded else "zeros"
    return kind(name, tuple(categories), other), notes


def _of_days(dates: NDArray[np.datetime64]) -> tuple[float, float]:
    """Mean and deviation, in days, of those that are there."""
    days = DateColumn.days(dates[~np.isnat(dates)])
    if not len(days):
        return 0.0, 1.0
    return float(days.mean()), float(days.std()) or 1.0


def _dates(
    column: Column, choices: Choices, kept: NDArray[Any], *, keep: bool
) -> tuple[DateColumn | None, list[str]]:
    name, dates = column.name, column.dates()
    missing, notes = np.isnat(dates), []
    if missing.any():
        if choices.missing == "error":
            raise ValueError(
                f"column {name!r} has {missing.sum()} missing cells among its dates, the first in "
                f"{column.rows.told(int(missing.argmax()))}: give --missing mean to fill them, or "
                f"--drop {shlex.quote(name)}"
            )
        notes.append(f"filled {missing.sum()} missing cells of {name!r} with its mean")
    there = dates[kept][~missing[kept]]
    indicator = choices.indicator and bool(missing.any())
    if not len(there) or (there.min() == there.max() and not (keep or indicator)):
        return None, [f"left out {name!r}: it has one date at most, in the rows for training"]
    days = DateColumn.days(there)
    span, times = float(days.max() - days.min()), bool((days != np.floor(days)).any())
    fits = (span > DATES, span >= 1, times)
    cycles = tuple(each for each, fit in zip(CYCLES, fits, strict=True) if fit)
    told = ", ".join(["time", *cycles])
    if column.is_text and name not in choices.dates:
        notes.append(
            f"{name!r} holds dates: taken by {told}; --categories {shlex.quote(name)} takes them "
            "as categories"
        )
    fill = choices.missing != "error"
    return DateColumn(name, *_of_days(there), cycles, fill, indicator), notes
