"""From the columns of a table to the numbers a network takes, the same way in training and after.

A `Preparation` goes into a model file as plain JSON, and comes back from it checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from gdcore import Network
from gdcore.cli import cells, forms
from gdcore.cli.cells import Notation
from gdcore.cli.columns import Column
from gdcore.cli.delimited import Dialect
from gdcore.cli.tables import Table

__all__ = [
    "CategoricalColumn",
    "ClassTarget",
    "EmbeddedColumn",
    "NumberTarget",
    "NumericColumn",
    "Preparation",
    "Prepared",
    "taken",
]

SHOWN = 8  # categories in a message
NUMBERS, CODES = "numbers", "categories"  # the inputs of a network with embedded columns

Prepared = NDArray[Any] | dict[str, NDArray[Any]]


def taken(x: Prepared, rows: Any) -> Prepared:
    """Some rows of what a network takes."""
    if isinstance(x, dict):
        return {name: each[rows] for name, each in x.items()}
    some: NDArray[Any] = x[rows]
    return some


@dataclass(frozen=True)
class NumericColumn:
    """A column of numbers, which becomes one input, (number - mean) / deviation."""

    kind: ClassVar[str] = "numeric"
    name: str
    mean: float
    deviation: float

    @property
    def width(self) -> int:
        """Number of inputs."""
        return 1

    def write(self, column: Column, fill: bool, x: NDArray[Any]) -> int:
        """Writes the inputs (N, 1); a missing cell is the mean if ``fill``, else an error.

        Returns how many cells were missing.
        """
        values = column.numbers()
        missing = np.isnan(values)
        if missing.any() and not fill:
            raise ValueError(
                f"column {self.name!r} must have no missing cells, as in training, got "
                f"{missing.sum()}, the first in {column.rows.told(int(missing.argmax()))}"
            )
        with np.errstate(over="ignore"):
            values = (values - self.mean) / self.deviation
        values[missing] = 0
        if (large := np.abs(values) > np.finfo(x.dtype).max).any():
            at = int(large.argmax())
            raise ValueError(
                f"column {self.name!r} has a number that is too far from its mean {self.mean:g}: "
                f"{column.cells[at]} in {column.rows.told(at)}"
            )
        x[:, 0] = values
        return int(missing.sum())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_json(cls, form: forms.Form) -> NumericColumn:
        """Reads what `to_json` gave; ValueError where it is something else."""
        return cls(form.text("name"), form.number("mean"), form.number("deviation", above=0))


@dataclass(frozen=True)
class _Categories:
    """The categories of a column.

    None stands for a missing cell, a category of its own; it comes last.
    """

    name: str
    categories: tuple[str | None, ...]

    def codes(self, column: Column) -> NDArray[Any]:
        """The place of each cell's category, (N,); an unknown category is an error."""
        known = [each for each in self.categories if each is not None]
        texts = self._named(column, known)
        codes = texts.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int64)
        if None in self.categories:
            codes = codes.set(texts.is_null(), len(self.categories) - 1)
        unknown = codes.is_null().to_numpy()
        if unknown.any():
            at = int(unknown.argmax())
            got = "a missing cell" if texts[at] is None else repr(column.texts()[at])
            raise ValueError(
                f"column {self.name!r} must hold a category that training saw ({self.told()}), "
                f"got {got} in {column.rows.told(at)}"
            )
        found: NDArray[Any] = codes.to_numpy()
        return found

    @staticmethod
    def _named(column: Column, known: list[str]) -> pl.Series:
        """The cells' text as training wrote it: the same value is the same category."""
        texts = column.texts()
        names = cells.canonical(known)
        if names is None or len(set(names.values())) < len(names):
            return texts  # text, of which each stands for itself
        back = {name: each for each, name in names.items()}
        there = texts.unique().drop_nulls().to_list()
        same = {each: (cells.canonical([each]) or {}).get(each, each) for each in there}
        return texts.replace_strict(
            {each: back.get(name, each) for each, name in same.items()}, return_dtype=pl.String
        )

    def told(self) -> str:
        """The first few categories."""
        names = ["missing" if each is None else each for each in self.categories]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return ", ".join(names[:SHOWN]) + more

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "categories": list(self.categories)}

    @classmethod
    def from_json(cls, form: forms.Form) -> _Categories:
        """Reads what `to_json` gave; ValueError where it is something else."""
        categories = form.different("categories", str, type(None))
        if None in categories[:-1]:
            raise form.error("categories", "with null last", categories)
        return cls(form.text("name"), categories)


@dataclass(frozen=True)
class CategoricalColumn(_Categories):
    """Categories, each of which becomes an input, 1 where it is the row's, else 0."""

    kind: ClassVar[str] = "categorical"

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.categories)

    def write(self, column: Column, fill: bool, x: NDArray[Any]) -> int:
        """Writes the inputs (N, categories), which are 0; an unknown category is an error.

        Returns 0: no cell is filled.
        """
        x[np.arange(len(x)), self.codes(column)] = 1
        return 0


@dataclass(frozen=True)
class EmbeddedColumn(_Categories):
    """Categories, each of which becomes a code, for which the network has a vector."""

    kind: ClassVar[str] = "embedded"


@dataclass(frozen=True)
class ClassTarget:
    """Classes to tell apart: texts, whole numbers, numbers or truth values, ascending."""

    kind: ClassVar[str] = "classes"
    name: str
    classes: tuple[str, ...] | tuple[int, ...] | tuple[float, ...]

    def fits(self, outputs: int) -> bool:
        """Whether a network with so many outputs has learnt it: 1 does for two classes."""
        return outputs == len(self.classes) or (outputs == 1 and len(self.classes) == 2)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, form: forms.Form) -> ClassTarget:
        """Reads what `to_json` gave; ValueError where it is something else."""
        for kind in (str, bool, int, float):
            if all(type(each) is kind for each in form.list("classes")):
                return cls(form.text("name"), form.different("classes", kind, at_least=2))
        raise form.error("classes", "of one type", form.list("classes"))


@dataclass(frozen=True)
class NumberTarget:
    """Numbers to predict: the network's output k times deviation[k], plus mean[k]."""

    kind: ClassVar[str] = "numbers"
    name: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def fits(self, outputs: int) -> bool:
        """Whether a network with so many outputs has learnt it."""
        return outputs == len(self.mean)

    def restored(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """The network's outputs (N, K) in the target's own units."""
        values: NDArray[np.float64] = outputs.astype(np.float64)
        values *= np.array(self.deviation)
        values += np.array(self.mean)
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_json(cls, form: forms.Form) -> NumberTarget:
        """Reads what `to_json` gave; ValueError where it is something else."""
        mean, deviation = form.numbers("mean"), form.numbers("deviation", above=0)
        if len(mean) != len(deviation):
            raise form.error("deviation", "as long as mean", deviation)
        return cls(form.text("name"), mean, deviation)


Input = NumericColumn | CategoricalColumn | EmbeddedColumn
Target = ClassTarget | NumberTarget
_INPUTS: dict[str, Any] = {
    each.kind: each for each in (NumericColumn, CategoricalColumn, EmbeddedColumn)
}
_TARGETS: dict[str, Any] = {each.kind: each for each in (ClassTarget, NumberTarget)}


@dataclass(frozen=True)
class Preparation:
    """All that turns a table into inputs, and outputs into predictions.

    Args:
        columns: Where the inputs come from, in order.
        target: What the outputs mean.
        fill: Whether a missing number becomes its column's mean, or is an error.
        notation: How text writes numbers and missing cells.
        width: Number of columns of the array x; None where columns have names of their own.
        dialect: How CSV files were delimited.
    """

    columns: tuple[Input, ...]
    target: Target
    fill: bool = False
    notation: Notation = field(default_factory=Notation)
    width: int | None = None
    dialect: Dialect = field(default_factory=Dialect)

    @property
    def input_size(self) -> int:
        """Number of inputs of the network that are numbers."""
        return sum(each.width for each in self.columns if not isinstance(each, EmbeddedColumn))

    @property
    def embedded(self) -> tuple[EmbeddedColumn, ...]:
        """The columns that become codes."""
        return tuple(each for each in self.columns if isinstance(each, EmbeddedColumn))

    def inputs(
        self, table: Table, dtype: DTypeLike = np.float32, notes: list[str] | None = None
    ) -> Prepared:
        """Turns the columns, found by their names, into the network's inputs.

        Args:
            table: The rows.
            dtype: The network's.
            notes: Gets a note for each column of which missing cells are filled.

        Returns:
            (N, input_size); where columns are embedded, codes (N, embedded), and where there are
            numbers beside them, a dict of both.

        Raises:
            ValueError: A column is missing, or has a cell that training has not prepared for; the
                message names column and row.
        """
        there = set(table.inputs)
        missing = [each.name for each in self.columns if each.name not in there]
        if self.width is not None and table.width not in (None, self.width):
            raise ValueError(f"x must have {self.width} columns, as in training, got {table.width}")
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            names = ", ".join(table.inputs[:SHOWN]) + (", ..." if len(there) > SHOWN else "")
            raise ValueError(
                f"the data must have the column {missing[0]!r}{more}, as in training; they have "
                f"{names}"
            )
        numbers = np.zeros((len(table), self.input_size), dtype)
        codes = np.zeros((len(table), len(self.embedded)), np.int32)
        at, code = 0, 0
        for each in self.columns:
            column = table.column(each.name, self.notation)
            if isinstance(each, EmbeddedColumn):
                codes[:, code] = each.codes(column)
                code += 1
                continue
            filled = each.write(column, self.fill, numbers[:, at : at + each.width])
            if filled and notes is not None:
                notes.append(f"filled {filled} missing cells of {each.name!r} with its mean")
            at += each.width
        if not codes.shape[1]:
            return numbers
        return {NUMBERS: numbers, CODES: codes} if numbers.shape[1] else codes

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: floats come back exactly."""
        return {
            "columns": [{"kind": each.kind, **each.to_json()} for each in self.columns],
            "target": {"kind": self.target.kind, **self.target.to_json()},
            "fill": self.fill,
            "na": list(self.notation.na),
            "width": self.width,
            "reading": {
                "decimal": self.notation.decimal,
                "thousands": self.notation.thousands,
                "delimiter": self.dialect.delimiter,
                "skip_lines": self.dialect.skip_lines,
                "quotes": self.dialect.quotes,
            },
        }

    @classmethod
    def from_json(cls, value: object) -> Preparation:
        """Reads what `to_json` gave.

        Raises:
            ValueError: It is something else; the message names what is wrong.
        """
        form = forms.Form("preparation", value)
        columns = tuple(
            forms.Form(f"preparation.columns[{index}]", each).one_of(_INPUTS)
            for index, each in enumerate(form.list("columns"))
        )
        names = [each.name for each in columns]
        if len(set(names)) < len(names):
            raise form.error("columns", "with different names", names)
        if not columns:
            raise form.error("columns", "with at least one column", [])
        target = forms.Form("preparation.target", form.get("target")).one_of(_TARGETS)
        notation, dialect = _reading(form)
        return cls(
            columns, target, form.flag("fill"), notation, form.whole_or_none("width"), dialect
        )

    @classmethod
    def of_model(cls, description: Mapping[str, Any], net: Network) -> Preparation | None:
        """The preparation in a model's description, or None; it must fit the network's sizes.

        Raises:
            ValueError: It is forged, or does not fit.
        """
        extra = description["extra"]
        value = extra.get("preparation") if isinstance(extra, dict) else None
        if value is None:
            return None
        preparation = cls.from_json(value)
        makes, takes = preparation._parts(), _parts_of(net)
        if makes != takes or not preparation.target.fits(net.output_size):
            raise ValueError(
                f"the model's preparation makes {_told(makes)} and does not fit its network, which "
                f"has {_told(takes)} and {net.output_size} outputs"
            )
        return preparation

    def _parts(self) -> list[_Part]:
        """What `inputs` makes."""
        codes = tuple(len(each.categories) for each in self.embedded)
        if not codes:
            return [("", self.input_size, ())]
        if not self.input_size:
            return [("", len(codes), codes)]
        return [(NUMBERS, self.input_size, ()), (CODES, len(codes), codes)]


# Name, where there are several, number of columns, and of codes how many each column has.
_Part = tuple[str, int, tuple[int, ...]]


def _parts_of(net: Network) -> list[_Part]:
    several = len(net.inputs) > 1
    return [
        (each.name or "" if several else "", each.size, each.categories or ())
        for each in net.inputs
    ]


def _told(parts: Sequence[_Part]) -> str:
    told = []
    for _, size, codes in parts:
        some = ", ".join(map(str, codes[:SHOWN])) + (", ..." if len(codes) > SHOWN else "")
        told.append(f"{size} inputs" + (f" of {some} codes" if codes else ""))
    return " and ".join(told)


def _reading(form: forms.Form) -> tuple[Notation, Dialect]:
    na = form.different("na", str, at_least=0)
    if not form.has("reading"):  # before there was a choice
        return Notation(na), Dialect()
    reading = forms.Form("preparation.reading", form.get("reading"))
    try:
        return (
            Notation(na, reading.text("decimal"), reading.text("thousands")),
            Dialect(
                None if reading.get("delimiter") is None else reading.text("delimiter"),
                reading.whole("skip_lines"),
                reading.flag("quotes"),
            ),
        )
    except ValueError as error:
        raise form.error("reading", f"as told: {error}", form.get("reading")) from None
