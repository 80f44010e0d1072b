"""From the columns of a table to the numbers a network takes, the same way in training and after.

A `Fitted` goes into a model file as plain JSON, and comes back from it checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gdcore.network import Network
from gdcore.tabular import forms
from gdcore.tabular.cells import Notation
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.inputs import (
    Column,
    DateColumn,
    EmbeddedColumn,
    Input,
    NumericColumn,
    input_from,
)
from gdcore.tabular.meanings import Target, target_from

__all__ = ["CODES", "NUMBERS", "Fitted", "Prepared", "taken"]

SHOWN = 8  # names in a message
NUMBERS, CODES = "numbers", "categories"  # the inputs of a network with embedded columns
MORE = ("encoding", "comment")  # of a dialect, where it has them

Prepared = NDArray[Any] | dict[str, NDArray[Any]]


def taken(x: Prepared, rows: Any) -> Prepared:
    """Some rows of what a network takes."""
    if isinstance(x, dict):
        return {name: each[rows] for name, each in x.items()}
    some: NDArray[Any] = x[rows]
    return some


class Rows(Protocol):
    """A table: of a file, or a frame in memory."""

    @property
    def inputs(self) -> list[str]:
        """Names of its columns, without those of an array of targets."""

    @property
    def width(self) -> int | None:
        """Number of columns of the array x; None where columns have names of their own."""

    def __len__(self) -> int: ...

    def column(self, name: str, notation: Notation, *, dates: bool = False) -> Column:
        """One column that there is, as text is written in ``notation``; ``dates`` are wanted."""


@dataclass(frozen=True)
class Fitted:
    """All that turns a table into inputs, and outputs into predictions.

    Args:
        columns: Where the inputs come from, in order.
        target: What the outputs mean.
        fill: Whether a missing number becomes its column's mean, or is an error.
        notation: How text writes numbers and missing cells.
        width: Number of columns of the array x; None where columns have names of their own.
        dialect: How CSV files were delimited.
        others: The columns beside these that training saw and made nothing of, or the target of;
            None: not known.
    """

    columns: tuple[Input, ...]
    target: Target
    fill: bool = False
    notation: Notation = field(default_factory=Notation)
    width: int | None = None
    dialect: Dialect = field(default_factory=Dialect)
    others: tuple[str, ...] | None = None

    @property
    def input_size(self) -> int:
        """Number of inputs of the network that are numbers."""
        return sum(each.width for each in self.columns if not isinstance(each, EmbeddedColumn))

    @property
    def embedded(self) -> tuple[EmbeddedColumn, ...]:
        """The columns that become codes."""
        return tuple(each for each in self.columns if isinstance(each, EmbeddedColumn))

    def inputs(
        self,
        table: Rows,
        dtype: DTypeLike = np.float32,
        notes: list[str] | None = None,
        *,
        strict: bool = False,
    ) -> Prepared:
        """Turns the columns, found by their names, into the network's inputs.

        Args:
            table: The rows.
            dtype: The network's.
            notes: Gets a note for each column of which missing cells are filled.
            strict: Whether a column that training did not see is an error, where that is known.

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
        if strict and self.others is not None:
            known = {*self.others, *(each.name for each in self.columns)}
            _check_known([each for each in table.inputs if each not in known])
        numbers = np.zeros((len(table), self.input_size), dtype)
        codes = np.zeros((len(table), len(self.embedded)), np.int32)
        at, code = 0, 0
        for each in self.columns:
            column = table.column(each.name, self.notation, dates=isinstance(each, DateColumn))
            if isinstance(each, EmbeddedColumn):
                codes[:, code] = each.codes(column)
                code += 1
                continue
            filled = each.write(column, self.fill, numbers[:, at : at + each.width])
            if filled and notes is not None:
                own = isinstance(each, NumericColumn) and each.fill not in (None, each.mean)
                how = "median" if own else "mean"
                notes.append(f"filled {filled} missing cells of {each.name!r} with its {how}")
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
            **({} if self.others is None else {"others": list(self.others)}),
            "reading": {
                "decimal": self.notation.decimal,
                "thousands": self.notation.thousands,
                "delimiter": self.dialect.delimiter,
                "skip_lines": self.dialect.skip_lines,
                "quotes": self.dialect.quotes,
                **{key: value for key in MORE if (value := getattr(self.dialect, key)) is not None},
            },
        }

    @classmethod
    def from_json(cls, value: object) -> Fitted:
        """Reads what `to_json` gave.

        Raises:
            ValueError: It is something else; the message names what is wrong.
        """
        form = forms.Form("preparation", value)
        columns = tuple(
            input_from(f"preparation.columns[{index}]", each)
            for index, each in enumerate(form.list("columns"))
        )
        names = [each.name for each in columns]
        if len(set(names)) < len(names):
            raise form.error("columns", "with different names", names)
        if not columns:
            raise form.error("columns", "with at least one column", [])
        target = target_from("preparation.target", form.get("target"))
        notation, dialect = _reading(form)
        width = form.whole_or_none("width")
        others = form.different("others", str, at_least=0) if form.has("others") else None
        return cls(columns, target, form.flag("fill"), notation, width, dialect, others)

    @classmethod
    def of_model(cls, description: Mapping[str, Any], net: Network) -> Fitted | None:
        """The preparation in a model's description, or None; it must fit the network's sizes.

        Raises:
            ValueError: It is forged, or does not fit.
        """
        extra = description["extra"]
        value = extra.get("preparation") if isinstance(extra, dict) else None
        if value is None:
            return None
        preparation = cls.from_json(value)
        preparation.check(net)
        return preparation

    def check(self, net: Network) -> None:
        """ValueError where it does not fit the network's sizes."""
        makes, takes = self._parts(), _parts_of(net)
        if makes != takes or not self.target.fits(net.output_size):
            raise ValueError(
                f"the model's preparation makes {_told(makes)} and does not fit its network, which "
                f"has {_told(takes)} and {net.output_size} outputs"
            )

    def _parts(self) -> list[_Part]:
        """What `inputs` makes."""
        codes = tuple(each.size for each in self.embedded)
        if not codes:
            return [("", self.input_size, ())]
        if not self.input_size:
            return [("", len(codes), codes)]
        return [(NUMBERS, self.input_size, ()), (CODES, len(codes), codes)]


def _check_known(unknown: Sequence[str]) -> None:
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ValueError(
            f"the data must not have the column {unknown[0]!r}{more}, which training did not see: "
            "leave it out, or fit the preparation anew"
        )


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
                *(reading.text(key) if reading.has(key) else None for key in MORE),
            ),
        )
    except ValueError as error:
        raise form.error("reading", f"as told: {error}", form.get("reading")) from None
