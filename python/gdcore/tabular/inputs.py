"""What becomes of a column: numbers, places of categories, features of dates.

A column comes as a `Column`, whichever package or file it is from; these know NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from gdcore.tabular import forms
from gdcore.tabular.cells import canonical

__all__ = [
    "CYCLES",
    "CategoricalColumn",
    "Column",
    "DateColumn",
    "EmbeddedColumn",
    "Input",
    "NumericColumn",
    "QuantileColumn",
    "input_from",
]

SHOWN = 8  # categories in a message
CYCLES = ("year", "week", "day")  # through which dates go
_FURTHEST = 5.199337582605575  # of a normal number: that of the share 1e-7
_OTHER = ("", "zeros", "own")


class Column(Protocol):
    """A column of a table, which knows how to tell its cells."""

    @property
    def name(self) -> str:
        """Its name."""

    def numbers(self) -> NDArray[np.float64]:
        """The cells as finite numbers (N,), NaN where missing; an error names one that is none."""

    def factorized(self) -> tuple[NDArray[np.int64], list[str]]:
        """For each cell (N,) the place of its text among different ones; -1: it is missing."""

    def dates(self) -> NDArray[np.datetime64]:
        """The cells as datetime64[us] (N,), NaT where missing; an error names one that is none."""

    def cell(self, at: int) -> str:
        """A cell as messages tell it."""

    def place(self, at: int) -> str:
        """Where it is."""

    def hint(self, what: str) -> str:
        """The way out of a fault, from the colon on; empty where there is none to tell."""


@dataclass(frozen=True)
class NumericColumn:
    """A column of numbers, which becomes one input, (number - mean) / deviation.

    Args:
        name: The column's.
        mean: What becomes 0; the median where the scale is a robust one.
        deviation: What becomes 1, above 0.
        smooth: Whether z is pressed together to z / sqrt(1 + (z / 3)^2), within (-3, 3).
        fill: What stands for a missing number; None: what the preparation has for all columns.
        indicator: Whether a second input is 1 where the number is missing, else 0.
    """

    kind: ClassVar[str] = "numeric"
    name: str
    mean: float
    deviation: float
    smooth: bool = False
    fill: float | None = None
    indicator: bool = False

    @property
    def width(self) -> int:
        """Number of inputs."""
        return 1 + self.indicator

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What becomes of numbers; NaN stays."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = (values - self.mean) / self.deviation
            return z / np.sqrt(1 + (z / 3) ** 2) if self.smooth else z

    def write(self, column: Column, fill: bool, x: NDArray[Any]) -> int:
        """Writes the inputs (N, width).

        Args:
            column: The cells.
            fill: Whether a missing one is the mean where nothing else is said; else it is an error.
            x: Where they go.

        Returns:
            How many cells were missing.
        """
        own = self.mean if fill and self.fill is None else self.fill
        return _write(self, column, own, x, f" from its mean {self.mean:g}")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        told: dict[str, Any] = {"name": self.name, "mean": self.mean, "deviation": self.deviation}
        return told | ({"smooth": True} if self.smooth else {}) | _told_missing(self)

    @classmethod
    def from_json(cls, form: forms.Form) -> NumericColumn:
        """Reads what `to_json` gave; ValueError where it is something else."""
        return cls(
            form.text("name"),
            form.number("mean"),
            form.number("deviation", above=0),
            form.has("smooth") and form.flag("smooth"),
            *_missing_from(form),
        )


@dataclass(frozen=True)
class QuantileColumn:
    """A column of numbers, which becomes one input of nearly normal distribution.

    It is the normal number of the share of training rows below, as in scikit-learn's
    ``QuantileTransformer``, between -5.2 and 5.2.

    Args:
        name: The column's.
        quantiles: The numbers at the shares 0 to 1, evenly spaced; at least two.
        fill: What stands for a missing number; None: as `NumericColumn`, with the median.
        indicator: As `NumericColumn`.
    """

    kind: ClassVar[str] = "quantile"
    name: str
    quantiles: tuple[float, ...]
    fill: float | None = None
    indicator: bool = False

    @property
    def width(self) -> int:
        """Number of inputs."""
        return 1 + self.indicator

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What becomes of numbers; NaN stays."""
        edges = np.array(self.quantiles)
        shares = np.linspace(0, 1, len(edges))
        # Of equal quantiles the place in their middle, from both sides.
        below = np.interp(values, edges, shares)
        above = -np.interp(-values, -edges[::-1], -shares[::-1])
        middle = (below + above) / 2
        middle = np.where(values <= edges[0], 0, np.where(values >= edges[-1], 1, middle))
        different, back = np.unique(middle, return_inverse=True)
        inverse = NormalDist().inv_cdf
        made = np.array([_normal(each, inverse) for each in different.tolist()])
        found: NDArray[np.float64] = made[back.reshape(-1)]
        return found

    def write(self, column: Column, fill: bool, x: NDArray[Any]) -> int:
        """Writes the inputs (N, width); see `NumericColumn.write`."""
        middle = self.quantiles[len(self.quantiles) // 2]
        return _write(self, column, middle if fill and self.fill is None else self.fill, x, "")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "quantiles": list(self.quantiles)} | _told_missing(self)

    @classmethod
    def from_json(cls, form: forms.Form) -> QuantileColumn:
        """Reads what `to_json` gave; ValueError where it is something else."""
        quantiles = form.numbers("quantiles")
        if len(quantiles) < 2 or any(np.diff(quantiles) < 0):
            raise form.error("quantiles", "at least two numbers, ascending", list(quantiles))
        return cls(form.text("name"), quantiles, *_missing_from(form))


def _normal(share: float, inverse: Any) -> float:
    if not 1e-7 < share < 1 - 1e-7:
        return share if share != share else _FURTHEST if share > 0.5 else -_FURTHEST
    return float(inverse(share))


def _write(
    own: NumericColumn | QuantileColumn,
    column: Column,
    fill: float | None,
    x: NDArray[Any],
    far: str,
) -> int:
    values = column.numbers()
    missing = np.isnan(values)
    if missing.any():
        if fill is None:
            raise _no_missing(own.name, column, missing)
        values = np.where(missing, fill, values)
    made = own.scaled(values)
    if (large := ~(np.abs(made) <= np.finfo(x.dtype).max)).any():
        at = int(large.argmax())
        raise ValueError(
            f"column {own.name!r} has a number that is too far{far}: "
            f"{column.cell(at)} in {column.place(at)}{column.hint('far')}"
        )
    x[:, 0] = made
    if own.indicator:
        x[:, 1] = missing
    return int(missing.sum())


def _no_missing(name: str, column: Column, missing: NDArray[np.bool_]) -> ValueError:
    return ValueError(
        f"column {name!r} must have no missing cells, as in training, got "
        f"{missing.sum()}, the first in {column.place(int(missing.argmax()))}"
        f"{column.hint('missing')}"
    )


def _told_missing(own: NumericColumn | QuantileColumn) -> dict[str, Any]:
    told: dict[str, Any] = {} if own.fill is None else {"fill": own.fill}
    return told | ({"indicator": True} if own.indicator else {})


def _missing_from(form: forms.Form) -> tuple[float | None, bool]:
    fill = form.number("fill") if form.has("fill") else None
    return fill, form.has("indicator") and form.flag("indicator")


@dataclass(frozen=True)
class DateColumn:
    """A column of dates, which becomes the time that has gone by, and places in cycles.

    The first input is (days since 1970 - mean) / deviation; each cycle adds sine and cosine of its
    share that is over: of the year, of the week from Monday on, of the day. Times with a time zone
    are taken in UTC.

    Args:
        name: The column's.
        mean: In days.
        deviation: In days, above 0.
        cycles: Some of `CYCLES`.
        fill: Whether a missing date is an error, or the mean with all of its cycles at 0.
        indicator: As `NumericColumn`.
    """

    kind: ClassVar[str] = "date"
    name: str
    mean: float
    deviation: float
    cycles: tuple[str, ...] = CYCLES
    fill: bool = False
    indicator: bool = False

    @property
    def width(self) -> int:
        """Number of inputs."""
        return 1 + 2 * len(self.cycles) + self.indicator

    def write(self, column: Column, fill: bool, x: NDArray[Any]) -> int:
        """Writes the inputs (N, width); see `NumericColumn.write`."""
        dates = column.dates()
        missing = np.isnat(dates)
        if missing.any() and not (fill or self.fill):
            raise _no_missing(self.name, column, missing)
        x[:, 0] = np.where(missing, 0, (self.days(dates) - self.mean) / self.deviation)
        for k, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * _share(dates, cycle)
            x[:, 1 + 2 * k] = np.where(missing, 0, np.sin(angle))
            x[:, 2 + 2 * k] = np.where(missing, 0, np.cos(angle))
        if self.indicator:
            x[:, -1] = missing
        return int(missing.sum())

    @staticmethod
    def days(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Days since 1970, NaN where missing."""
        since = (dates - np.datetime64(0, "us")) / np.timedelta64(1, "D")
        return np.asarray(since, np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        told: dict[str, Any] = {"name": self.name, "mean": self.mean, "deviation": self.deviation}
        told["cycles"] = list(self.cycles)
        return told | {"fill": self.fill, "indicator": self.indicator}

    @classmethod
    def from_json(cls, form: forms.Form) -> DateColumn:
        """Reads what `to_json` gave; ValueError where it is something else."""
        cycles = form.different("cycles", str, at_least=0)
        if not set(cycles) <= set(CYCLES):
            raise form.error("cycles", f"some of {', '.join(CYCLES)}", list(cycles))
        mean, deviation = form.number("mean"), form.number("deviation", above=0)
        flags = (form.flag("fill"), form.flag("indicator"))
        return cls(form.text("name"), mean, deviation, cycles, *flags)


def _share(dates: NDArray[np.datetime64], cycle: str) -> NDArray[np.float64]:
    """How much of the cycle is over, NaN where missing."""
    if cycle == "year":
        years = dates.astype("datetime64[Y]")
        begun, ends = years.astype(dates.dtype), (years + 1).astype(dates.dtype)
        return np.asarray((dates - begun) / (ends - begun), np.float64)
    days = DateColumn.days(dates)
    return np.mod(days, 1) if cycle == "day" else np.mod(days + 3, 7) / 7


@dataclass(frozen=True)
class _Categories:
    """The categories of a column.

    None stands for a missing cell, a category of its own; it comes last.

    Args:
        name: The column's.
        categories: Those that training saw.
        other: What becomes of others: empty, they are an error; ``"own"``, one category more, of
            those that were rare in training; ``"zeros"``, as none of these.
    """

    name: str
    categories: tuple[str | None, ...]
    other: str = ""

    @property
    def size(self) -> int:
        """How many there are, with others as one if they are a category."""
        return len(self.categories) + (self.other == "own")

    def codes(self, column: Column) -> NDArray[np.int64]:
        """The place of each cell's category, (N,); that of others is the last, or -1 for none.

        Raises:
            ValueError: A category is unknown.
        """
        places, names = column.factorized()
        known = self._places
        other = {"own": len(self.categories), "zeros": -1}.get(self.other, -2)
        found = [known.get(each, other) for each in self._named(names)]
        # The last one is found by -1.
        codes = np.array([*found, known.get(None, other)], np.int64)[places]
        if (unknown := codes == -2).any():
            at = int(unknown.argmax())
            got = "a missing cell" if places[at] < 0 else repr(names[places[at]])
            raise ValueError(
                f"column {self.name!r} must hold a category that training saw ({self.told()}), "
                f"got {got} in {column.place(at)}{column.hint('category')}"
            )
        return codes

    @cached_property
    def _places(self) -> dict[str | None, int]:
        return {each: place for place, each in enumerate(self.categories)}

    @cached_property
    def _values(self) -> dict[str, str] | None:
        """Of categories that are numbers or truth values, each by its name."""
        known = [each for each in self.categories if each is not None]
        names = canonical(known)
        if names is None or len(set(names.values())) < len(names):
            return None  # text, of which each stands for itself
        return {name: each for each, name in names.items()}

    def _named(self, names: list[str]) -> list[str]:
        """The texts as training wrote them: the same value is the same category."""
        if (values := self._values) is None:
            return names
        same = [(canonical([each]) or {}).get(each, each) for each in names]
        return [values.get(name, each) for name, each in zip(same, names, strict=True)]

    def told(self) -> str:
        """The first few categories."""
        names = ["missing" if each is None else each for each in self.categories]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return ", ".join(names[:SHOWN]) + more

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        told: dict[str, Any] = {"name": self.name, "categories": list(self.categories)}
        return told | ({"other": self.other} if self.other else {})

    @classmethod
    def from_json(cls, form: forms.Form) -> Any:
        """Reads what `to_json` gave; ValueError where it is something else."""
        categories = form.different("categories", str, type(None))
        if None in categories[:-1]:
            raise form.error("categories", "with null last", categories)
        other = form.text("other") if form.has("other") else ""
        if other not in _OTHER:
            raise form.error("other", " or ".join(map(repr, _OTHER)), other)
        return cls(form.text("name"), categories, other)


@dataclass(frozen=True)
class CategoricalColumn(_Categories):
    """Categories, each of which becomes an input, 1 where it is the row's, else 0."""

    kind: ClassVar[str] = "categorical"

    @property
    def width(self) -> int:
        """Number of inputs."""
        return self.size

    def write(self, column: Column, fill: bool, x: NDArray[Any]) -> int:
        """Writes the inputs (N, width), which are 0; an unknown category may be an error.

        Returns 0: no cell is filled.
        """
        codes = self.codes(column)
        rows = np.flatnonzero(codes >= 0)
        x[rows, codes[rows]] = 1
        return 0


@dataclass(frozen=True)
class EmbeddedColumn(_Categories):
    """Categories, each of which becomes a code, for which the network has a vector."""

    kind: ClassVar[str] = "embedded"


Input = NumericColumn | QuantileColumn | DateColumn | CategoricalColumn | EmbeddedColumn
_KINDS: dict[str, Any] = {
    each.kind: each
    for each in (NumericColumn, QuantileColumn, DateColumn, CategoricalColumn, EmbeddedColumn)
}


def input_from(path: str, value: object) -> Input:
    """Reads one of them, as its ``to_json`` with its kind gave it; ValueError where it is none."""
    made: Input = forms.Form(path, value).one_of(_KINDS)
    return made
