"""From the columns of a table to the numbers a network takes, the same way in training and after.

A `Preparation` goes into a model file as plain JSON, and comes back from it checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from gdcore.cli import cells, forms
from gdcore.cli.cells import Notation
from gdcore.cli.columns import Column
from gdcore.cli.delimited import Dialect
from gdcore.cli.tables import Table

__all__ = ["CategoricalColumn", "ClassTarget", "NumberTarget", "NumericColumn", "Preparation"]

SHOWN = 8  # categories in a message


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
class CategoricalColumn:
    """A column of categories, each of which becomes an input, 1 where it is the row's, else 0.

    None stands for a missing cell, a category of its own; it comes last.
    """

    kind: ClassVar[str] = "categorical"
    name: str
    categories: tuple[str | None, ...]

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.categories)

    def write(self, column: Column, fill: bool, x: NDArray[Any]) -> int:
        """Writes the inputs (N, categories), which are 0; an unknown category is an error.

        Returns 0: no cell is filled.
        """
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
        x[np.arange(len(x)), codes.to_numpy()] = 1
        return 0

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
    def from_json(cls, form: forms.Form) -> CategoricalColumn:
        """Reads what `to_json` gave; ValueError where it is something else."""
        categories = form.different("categories", str, type(None))
        if None in categories[:-1]:
            raise form.error("categories", "with null last", categories)
        return cls(form.text("name"), categories)


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


Input = NumericColumn | CategoricalColumn
Target = ClassTarget | NumberTarget
_INPUTS: dict[str, Any] = {each.kind: each for each in (NumericColumn, CategoricalColumn)}
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
        """Number of inputs of the network."""
        return sum(each.width for each in self.columns)

    def inputs(
        self, table: Table, dtype: DTypeLike = np.float32, notes: list[str] | None = None
    ) -> NDArray[Any]:
        """Turns the columns, found by their names, into the network's inputs.

        Args:
            table: The rows.
            dtype: The network's.
            notes: Gets a note for each column of which missing cells are filled.

        Returns:
            (N, input_size).

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
        x = np.zeros((len(table), self.input_size), dtype)
        at = 0
        for each in self.columns:
            column = table.column(each.name, self.notation)
            filled = each.write(column, self.fill, x[:, at : at + each.width])
            if filled and notes is not None:
                notes.append(f"filled {filled} missing cells of {each.name!r} with its mean")
            at += each.width
        return x

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
    def of_model(
        cls, description: Mapping[str, Any], inputs: int, outputs: int
    ) -> Preparation | None:
        """The preparation in a model's description, or None; it must fit the network's sizes.

        Raises:
            ValueError: It is forged, or does not fit.
        """
        extra = description["extra"]
        value = extra.get("preparation") if isinstance(extra, dict) else None
        if value is None:
            return None
        preparation = cls.from_json(value)
        if preparation.input_size != inputs or not preparation.target.fits(outputs):
            raise ValueError(
                f"the model's preparation makes {preparation.input_size} inputs and does not fit "
                f"its network, which has {inputs} inputs and {outputs} outputs"
            )
        return preparation


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
