"""One column of a table: what its cells are, and which of them are wrong."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore.tabular import cells as meaning
from gdcore.tabular.cells import CODE, MISSING_WORDS, Notation

__all__ = ["Column", "Rows", "listed", "named", "no_column"]

# From this share of numbers on, what is none is taken for a mistake and not for a category.
MOSTLY = 0.9
# Nor are so few words categories where most cells are numbers, or one word among so many numbers.
WORDS = 5
NUMBERS = 20
LISTED = 20  # names in a message
_WAYS = {
    "missing": ": fill them, or train with --missing median",
    "category": ": correct it, or train with --unseen other",
}
EXACT = 1000  # so many texts are looked at one by one


@dataclass(frozen=True)
class Rows:
    """How messages call the rows.

    Args:
        lines: The line of the file at which each begins; None where it has no lines.
        files: Of several files that are one table, the name of each and its first row, from 0 on.
        places: Which rows of the file these are, from 0 on; None for all.
    """

    lines: NDArray[np.intp] | None = None
    files: tuple[tuple[str, int], ...] = ()
    places: NDArray[np.intp] | None = None

    def told(self, at: int) -> str:
        """``row 5 (line 6)``; rows are counted from 1."""
        at = at if self.places is None else int(self.places[at])
        where = "the first is 1" if self.lines is None else f"line {self.lines[at]}"
        name, begins = next((each for each in reversed(self.files) if each[1] <= at), ("", 0))
        return f"row {at - begins + 1}{f' of {name}' if name else ''} ({where})"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: Its name.
        cells: As text, numbers or truth values; null where they are missing.
        rows: How messages call them.
        notation: How its text writes numbers.
        says_category: Whether the file says that the cells are categories.
        is_target: Whether it is to be predicted.
    """

    name: str
    cells: pl.Series
    rows: Rows
    notation: Notation
    says_category: bool = False
    is_target: bool = False

    @classmethod
    def of(
        cls,
        cells: pl.Series,
        rows: Rows,
        notation: Notation,
        says_category: bool = False,
        dates: bool = False,
    ) -> Column:
        """Reads the cells as what they can be.

        Args:
            cells: As the file has them.
            rows: The same number of rows.
            notation: How text writes numbers and missing cells.
            says_category: Whether the file says so beside the cells' type.
            dates: Whether dates are what is wanted.

        Raises:
            ValueError: The file has dates, lists or something else that is no input.
        """
        dtype = cells.dtype
        category = dtype in (pl.Categorical, pl.Enum)
        if dtype.is_decimal() or str(dtype) in ("Int128", "UInt128"):
            cells = _narrowed(cells)
        elif dtype.is_float():
            cells = cells.cast(pl.Float64).fill_nan(None)
        elif dtype == pl.Null or dtype == pl.String or category:
            cells = cells.cast(pl.String).str.strip_chars()
            cells = cells.set(cells.is_in(["", *notation.na]), None)
        elif not (dtype.is_integer() or dtype == pl.Boolean or (dates and dtype.is_temporal())):
            raise ValueError(
                f"column {cells.name!r} holds {dtype}, which is neither text, number nor truth "
                f"value: convert it, or leave it out with {_option('--drop', cells.name)}"
            )
        return cls(cells.name, cells, rows, notation, category or says_category)

    @property
    def is_text(self) -> bool:
        """Whether the file has text here; it may well be text of numbers."""
        return self.cells.dtype == pl.String

    @cached_property
    def _parsed(self) -> pl.Series:
        """The cells as numbers; null where they are missing or none."""
        numbers = self.notation.numbers(self.cells) if self.is_text else self.cells
        return numbers.cast(pl.Float64).fill_nan(None)

    @cached_property
    def words(self) -> NDArray[np.bool_]:
        """Which cells are text and neither a number nor a word for a missing one."""
        if not self.is_text:
            return np.zeros(len(self.cells), bool)
        missing = self.cells.str.to_lowercase().is_in(list(MISSING_WORDS))
        return (self._parsed.is_null() & self.cells.is_not_null() & ~missing).to_numpy()

    def code(self) -> int | None:
        """The first row of a whole number that does not print back as it came, as ``01``."""
        if not self.is_text:
            return None
        codes = self.cells.str.contains(CODE).fill_null(False).to_numpy()
        return int(codes.argmax()) if codes.any() else None

    def kind(self) -> Literal["numeric", "categorical", "empty"]:
        """What the cells are, by the cells that are there.

        Raises:
            ValueError: Most are numbers, and some are text; or they may be numbers in another
                notation.
        """
        if self.cells.null_count() == len(self.cells):
            return "empty"
        if self.says_category or self.cells.dtype == pl.Boolean:
            return "categorical"
        if not self.is_text:
            return "numeric"
        numbers = len(self.cells) - self._parsed.null_count()
        wrong = int(self.words.sum())
        if not wrong and not numbers:
            return "empty"  # but for words that may mean so
        if not wrong:
            return "numeric" if self.code() is None else "categorical"
        if wrong <= numbers + wrong - MOSTLY * (numbers + wrong):
            raise self._mixed(numbers, wrong)
        words = self.cells.filter(pl.Series(self.words)).unique(maintain_order=True)
        measures = len(words) > NUMBERS and meaning.one_unit(words)  # few may be classes of size
        if measures or all(map(meaning.is_foreign, words)):
            raise self._foreign()
        few = numbers > wrong and len(words) <= WORDS
        many = len(words) == 1 and self._parsed.n_unique() > NUMBERS
        if (few or many) and self.code() is None:
            raise self._mixed(numbers, wrong)
        return "categorical"

    def numbers(self) -> NDArray[np.float64]:
        """The cells as numbers, NaN where missing.

        Raises:
            ValueError: A cell is text or infinite.
        """
        if self.words.any():
            at = int(self.words.argmax())
            word = self.cells[at]
            hint = self._notations(word) if meaning.is_foreign(word) else ""
            raise ValueError(
                f"column {self.name!r} must hold numbers, got {word!r} in {self.rows.told(at)}"
                + (f". {hint.rstrip('. ')}" if hint else "")
            )
        values = self._parsed.to_numpy().astype(np.float64)
        if (infinite := np.isinf(values)).any():
            at = int(infinite.argmax())
            raise ValueError(
                f"column {self.name!r} must hold finite numbers, got {self.cells[at]} in "
                f"{self.rows.told(at)}"
            )
        return values

    def factorized(self) -> tuple[NDArray[np.int64], list[str]]:
        """For each cell the place of its text among different ones, -1 where missing; and these."""
        texts = self.texts()
        names = texts.unique(maintain_order=True).drop_nulls()
        places = texts.cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(-1)
        return places.to_numpy(), names.to_list()

    def dates(self) -> NDArray[np.datetime64]:
        """The cells as datetime64[us], NaT where missing; text as ISO 8601 has them.

        Raises:
            ValueError: A cell is no date.
        """
        if self.cells.dtype in (pl.Date, pl.Datetime):
            return self.cells.cast(pl.Datetime("us")).to_numpy().astype("datetime64[us]")
        places, names = self.factorized()
        found = meaning.iso_dates([*names, "NaT"])[places]
        if (wrong := np.isnat(found) & (places >= 0)).any():
            at = int(wrong.argmax())
            raise ValueError(
                f"column {self.name!r} must hold dates, as 2024-12-31, got "
                f"{names[places[at]]!r} in {self.rows.told(at)}: correct it, or give "
                f"{_option('--na', names[places[at]])} if it means a missing cell"
            )
        return found

    def is_dates(self) -> bool:
        """Whether all cells that are there are dates with year, month and day."""
        if self.cells.dtype in (pl.Date, pl.Datetime):
            return True
        if not self.is_text or self.says_category:
            return False
        known = self.cells.unique().drop_nulls()
        if not len(known) or not known.str.contains(r"^\d{4}-\d{2}-\d{2}").all():
            return False
        return not np.isnat(meaning.iso_dates(known)).any()

    def cell(self, at: int) -> str:
        """A cell as messages tell it."""
        return str(self.cells[at])

    def place(self, at: int) -> str:
        """Where it is."""
        return self.rows.told(at)

    def hint(self, what: str) -> str:
        """The way out of a fault, from the colon on."""
        return _WAYS.get(what, "")

    def categories(self) -> tuple[pl.Series, list[str]]:
        """The names of the categories that the cells stand for, null where missing, and notes.

        The same value has the same name, whatever its type or notation: 1, 1.0 and ``"1.0"``.
        """
        texts = self.texts()
        known = texts.unique(maintain_order=True).drop_nulls().to_list()
        names = meaning.canonical(known)
        if names is None or all(name == each for each, name in names.items()):
            return texts, []
        seen: dict[str, str] = {}
        twice = ((seen.setdefault(name, each), each) for each, name in names.items())
        notes = [
            f"{self.name!r}: {first!r} and {each!r} are one category"
            for first, each in twice
            if first != each
        ]
        return texts.replace_strict(names, return_dtype=pl.String), notes[:1]

    def texts(self) -> pl.Series:
        """The cells as text, null where missing; a whole number never has a decimal point."""
        if self.cells.dtype.is_float():
            known = self.cells.unique().drop_nulls().to_list()
            names = {each: repr(each) for each in known}
            shortest = {name: (meaning.canonical([name]) or {}) for name in names.values()}
            return self.cells.replace_strict(
                {each: shortest[name].get(name, name) for each, name in names.items()},
                return_dtype=pl.String,
            )
        return self.cells.cast(pl.String)

    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing, where text that means so among numbers is."""
        missing = self.cells.is_null()
        numbers = self.is_text and not self.says_category and not self.words.any()
        if numbers and self._parsed.null_count() < len(self.cells):
            missing = self._parsed.is_null()
        return missing.to_numpy()

    def distinct(self) -> int:
        """How many different numbers there are."""
        if not self.is_text:
            return self.cells.drop_nulls().n_unique()
        if self.cells.n_unique() > EXACT:
            return self._parsed.drop_nulls().n_unique()
        return len({each for each in self.values() if each is not None})

    def values(self) -> list[Any]:
        """The cells as Python's own values: text becomes numbers where these print it."""
        if not self.is_text:
            return self.cells.to_list()
        cells = self.cells.set(pl.Series(self.missing()), None)
        known = [] if self.says_category else cells.unique().drop_nulls().to_list()
        if known and (numbers := meaning.typed(known)) is not None:
            return [None if each is None else numbers[each] for each in cells]
        return cells.to_list()

    def one_number_in(self, kept: NDArray[Any]) -> bool:
        """Whether the numbers of some rows are the very same, which float64 may not tell."""
        cells = self.cells[kept].filter(self._parsed[kept].is_not_null()).unique()
        if self.is_text and len(cells) > 1:
            names = meaning.canonical(cells)
            return names is None or len(set(names.values())) == 1
        return len(cells) == 1

    def rounded(self) -> int | None:
        """The first row of a whole number beyond 2**53, where float64 makes different ones equal.

        None where there is no such thing.
        """
        if self.cells.dtype.is_float() or self.cells.dtype == pl.Boolean:
            return None
        large = (self._parsed.abs() >= 2.0**53).fill_null(False)
        if not large.any() or self.cells.filter(large).n_unique() == (
            self._parsed.filter(large).n_unique()
        ):
            return None
        return int(large.to_numpy().argmax())

    def _mixed(self, numbers: int, wrong: int) -> ValueError:
        at = int(self.words.argmax())
        word = self.cells[at]
        hint = self._notations(word) if meaning.is_foreign(word) else ""
        return ValueError(
            f"column {self.name!r} has text in a number column: {word!r} in {self.rows.told(at)}, "
            f"and {numbers} of its {numbers + wrong} cells are numbers. {hint}Correct it, or give "
            f"{_option('--na', word)} if it means a missing cell, {self._else('codes')}"
        )

    def _foreign(self) -> ValueError:
        at = int(self.words.argmax())
        word = self.cells[at]
        return ValueError(
            f"column {self.name!r} seems to hold numbers in another notation: {word!r} in "
            f"{self.rows.told(at)}. {self._notations(word)}Write plain numbers, or give "
            f"{self._else('categories')}"
        )

    def _else(self, what: str) -> str:
        way = f"{_option('--categories', self.name)} if they are {what}"
        return way if self.is_target else f"{way}, or {_option('--drop', self.name)}"

    def _notations(self, word: str) -> str:
        """The options under which all cells are numbers, as a sentence; empty if none is."""
        there = self.cells.filter(pl.Series(self.words) | self._parsed.is_not_null())
        found = [
            f"give{each.options(self.notation)}, so that it is {each.number(word):.15g}"
            for each in meaning.fitting_notations(there)
        ]
        told = ", or ".join(found)
        return f"{told[0].upper()}{told[1:]}. " if told else ""


def _narrowed(cells: pl.Series) -> pl.Series:
    """Wide whole numbers in 64 bits, or as text that keeps them; other decimals as float64."""
    if cells.dtype.is_decimal() and getattr(cells.dtype, "scale", None) != 0:
        return cells.cast(pl.Float64)
    for narrow in (pl.Int64, pl.UInt64):
        whole = cells.cast(narrow, strict=False)
        if whole.null_count() == cells.null_count():
            return whole
    return cells.cast(pl.String)


def _option(option: str, value: str) -> str:
    return f"{option} {shlex.quote(value)}"


def named(option: str, given: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """The columns that the values of an option name: one, or several with commas between them.

    Raises:
        ValueError: There is no such column.
    """
    known = list(names)
    found: dict[str, None] = {}
    for value in given:
        parts = [value] if value in known else [each.strip() for each in value.split(",")]
        for each in parts:
            if each and each not in known:
                raise no_column(option, each, known)
            if each:
                found[each] = None
    return tuple(found)


def no_column(option: str, name: str, names: Iterable[str]) -> ValueError:
    """The error for a name that no column has, with the names there are and the nearest of them."""
    known = list(names)
    lowered = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(lowered[each]) for each in close)}?" if close else ""
    return ValueError(f"{option} must be a column ({listed(known)}), got {name!r}{hint}")


def listed(names: Sequence[str]) -> str:
    """The first few names."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
