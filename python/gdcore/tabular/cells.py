"""What a cell of text means: a number, a missing cell, a date, the name of a category."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "CODE",
    "MISSING_WORDS",
    "Notation",
    "all_dates",
    "canonical",
    "fitting_notations",
    "is_foreign",
    "iso_dates",
    "one_unit",
    "typed",
]

# Among numbers these mean what an empty cell does; lower case. In a column of text they are text.
MISSING_WORDS = ("nan", "na", "n/a", "<na>", "#n/a", "null", "none", "-", "?")
# Of a whole number that does not print back as it came: a code, such as a postal one.
CODE = r"^[+-]?0\d+$"
POINTS = (".", ",")
GROUPS = ("", ",", ".", "'", " ")

_PLAIN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?")
_TRUTH = ("true", "false")
_SIGNS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"))
_DIGITS = r"\d[\d.,'_ \u2019]*(?:[eEdD][+-]?\d+)?|[.,]\d+|0[xX][0-9a-fA-F]+"
_CURRENCY = re.compile(r"\b(?:USD|EUR|GBP|CHF|JPY|CNY|INR)\b|\bRs\b\.?")
_MEASURE = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*([^\W\d_]+[23]?(?:/[^\W\d_]+)?)")
_FOREIGN = re.compile(rf"\(?[+-]?\s*¤?\s*[+-]?(?:{_DIGITS})\s*[¤%‰°]?\s*[+-]?\)?")
_ZONED = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d{3,6})?(?:[zZ]|[+-]\d\d:\d\d)")
_CLOCK = r"(?:[T ]+\d{1,2}:\d{2}.*)?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(
    rf"(?:\d{{4}}[-/.]\d{{1,2}}(?:[-/.]\d{{1,2}})?|\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}[- .]*{_MONTH}[- .,]*(?:\d{{2}}){{1,2}}|{_MONTH}[- .]*\d{{1,2}},? *\d{{4}})"
    rf"{_CLOCK}|\d{{1,2}}:\d{{2}}(?::\d{{2}}.*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Notation:
    """How text writes numbers and missing cells.

    Args:
        na: Texts that mean that a cell is missing, as an empty one does.
        decimal: What stands before the fraction.
        thousands: What may stand between groups of three digits; empty for nothing.

    Raises:
        ValueError: A sign is not one of those known, or both are the same.
    """

    na: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""

    def __post_init__(self) -> None:
        for option, got, known in (
            ("--decimal", self.decimal, POINTS),
            ("--thousands", self.thousands, GROUPS),
        ):
            if got not in known:
                wanted = " or ".join(repr(each) for each in known if each)
                raise ValueError(f"{option} must be {wanted}, got {got!r}")
        if self.decimal == self.thousands:
            raise ValueError(f"--thousands must not be {self.decimal!r}, which is --decimal")

    def numbers(self, texts: pl.Series) -> pl.Series:
        """The numbers that texts are, null where they are none.

        ``nan`` becomes NaN, and what is too large infinity.
        """
        import polars as pl  # only here: frames of other packages do without

        if self.decimal == "." and not self.thousands:
            return texts.cast(pl.Float64, strict=False)
        point = re.escape(self.decimal)
        if self.thousands:
            group = re.escape(self.thousands)
            grouped = rf"^[+-]?[1-9]\d{{0,2}}(?:{group}\d{{3}})+(?:{point}\d*)?$"
            whole = texts.str.contains(grouped).fill_null(False)
            texts = texts.zip_with(~whole, texts.str.replace_all(self.thousands, "", literal=True))
        if self.decimal == ",":
            texts = texts.set(texts.str.contains(".", literal=True).fill_null(False), None)
            texts = texts.str.replace(",", ".", literal=True)
        return texts.cast(pl.Float64, strict=False)

    def number(self, text: str) -> float:
        """One of them; NaN where it is none."""
        import polars as pl

        value = self.numbers(pl.Series([text]))[0]
        return math.nan if value is None else float(value)

    def parsed(self, text: str) -> float | None:
        """One of them without polars; NaN for a word that means a missing cell, None for others."""
        if text.lower() in MISSING_WORDS:
            return math.nan
        point = re.escape(self.decimal)
        if self.thousands:
            group = re.escape(self.thousands)
            grouped = rf"[+-]?[1-9]\d{{0,2}}(?:{group}\d{{3}})+(?:{point}\d*)?"
            if re.fullmatch(grouped, text):
                text = text.replace(self.thousands, "")
        number = rf"[+-]?(?:\d+(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
        if not re.fullmatch(number, text, re.ASCII):
            return None
        return float(text.replace(self.decimal, "."))

    def options(self, other: Notation | None = None) -> str:
        """The options that say how numbers are written, if not as in ``other``.

        A blank stands before each; without ``other`` the defaults go without saying.
        """
        other = other or Notation()
        told = "" if self.decimal == other.decimal else f' --decimal "{self.decimal}"'
        same = self.thousands == other.thousands
        return told if same else f'{told} --thousands "{self.thousands}"'


def fitting_notations(texts: pl.Series) -> Iterator[Notation]:
    """The notations in which each of the texts is a number."""
    for decimal in POINTS:
        for thousands in GROUPS:
            if decimal == thousands:
                continue
            notation = Notation((), decimal, thousands)
            if notation.numbers(texts).null_count() == 0:
                yield notation
                break  # with groups as well it would be another way to say the same


def is_foreign(text: str) -> bool:
    """Whether it looks like a number in a notation that is not ours: ``$5``, ``5 %``, ``1 000``."""
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    text = "".join("¤" if unicodedata.category(each) == "Sc" else each for each in text)
    text = _CURRENCY.sub("¤", text)
    # Groups and points between digits make one number; a date or a version has more than one.
    if not _FOREIGN.fullmatch(text):
        return False
    body = re.sub(r"[^\d.,]", "", text)
    parts = re.split(r"[.,]", body)
    return len(parts) <= 2 or all(len(each) == 3 for each in parts[1:-1])


def one_unit(texts: Iterable[str]) -> bool:
    """Whether the texts, of which there is one at least, are numbers of one unit: ``70 kg``."""
    units = set()
    for each in texts:
        if not (found := _MEASURE.fullmatch(each)):
            return False
        units.add(found[1])
    return len(units) == 1


def all_dates(texts: Iterable[str]) -> bool:
    """Whether each of the texts, of which there is one at least, looks like a date or a time."""
    return all(_DATE.fullmatch(each) for each in texts)


def iso_dates(texts: Iterable[str]) -> NDArray[np.datetime64]:
    """The dates or times that texts tell as ISO 8601 has them, datetime64[us]; NaT where none.

    Those with a time zone are in UTC.
    """

    def date(text: str) -> np.datetime64:
        try:
            if _ZONED.fullmatch(text):
                moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
                return np.datetime64(moment.astimezone(timezone.utc).replace(tzinfo=None), "us")
            return np.datetime64(text, "us") if text[:4].isdigit() else np.datetime64("NaT", "us")
        except ValueError:
            return np.datetime64("NaT", "us")

    return np.array([date(each) for each in texts], "datetime64[us]")


def canonical(texts: Iterable[str]) -> dict[str, str] | None:
    """The name of the category that each text stands for, where texts may differ and values not.

    Returns:
        For truth values ``true`` or ``false``, for plain numbers the shortest way to write them;
        None where a text is neither, so that each stands for itself.
    """
    named = {}
    known = list(texts)
    if all(each.lower() in _TRUTH for each in known):
        return {each: each.lower() for each in known}
    for each in known:
        if (name := _number_name(each)) is None:
            return None
        named[each] = name
    return named


def _number_name(text: str) -> str | None:
    if not _PLAIN.fullmatch(text):
        return None
    try:
        value = Decimal(text)
        name = format(value.normalize() if "." in text or "e" in text.lower() else value, "f")
    except InvalidOperation:
        return None
    return "0" if name == "-0" else name


def typed(texts: Iterable[str]) -> dict[str, int] | dict[str, float] | None:
    """The numbers that different texts print, where nothing is lost by taking them for numbers.

    Returns:
        Whole numbers or numbers, by their texts; None where a text would not come back as it was
        (``01``, ``2.50``), or whole numbers would be too large for 64 bits. Texts of one value
        (``1``, ``1.0``) become that value.
    """
    known = list(texts)
    names = canonical(known)
    if names is None or any(each in _TRUTH for each in names.values()):
        return None
    one_value = len(set(names.values())) < len(known)
    if all(each.lstrip("-").isdigit() for each in names.values()):
        whole = {each: int(name) for each, name in names.items()}
        small, large = min(whole.values()), max(whole.values())
        fits = small >= -(2**63) and large < (2**63 if small < 0 else 2**64)
        if fits and (one_value or all(str(whole[each]) == each for each in known)):
            return whole
    numbers = {each: float(each) for each in known}
    apart = len(set(numbers.values())) == len(set(names.values()))
    back = one_value or all(repr(numbers[each]) == each for each in known)
    return numbers if apart and back else None
