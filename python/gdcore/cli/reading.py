"""How the command line was told to read text: what it was not told, a model or the default says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gdcore.tabular.cells import Notation
from gdcore.tabular.dialect import Dialect
from gdcore.tabular.sources import INPUT, TEXT

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """The options of the same names; None where they were not given."""

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    skip_lines: int | None = None
    no_quotes: bool | None = None
    encoding: str | None = None
    comment: str | None = None

    def check(self, data: str) -> None:
        """ValueError where an option says how lines are to be read and the data have none."""
        told = {
            "--delimiter": self.delimiter,
            "--skip-lines": self.skip_lines,
            "--no-quotes": self.no_quotes,
            "--encoding": self.encoding,
            "--comment": self.comment,
        }
        given = [option for option, value in told.items() if value is not None]
        if given and data != INPUT and not data.lower().endswith((*TEXT, "*")):
            raise ValueError(f"{given[0]} is for CSV files, got {data}")

    def dialect(self, default: Dialect) -> Dialect:
        """How lines are delimited.

        Raises:
            ValueError: An option is out of its domain.
        """
        delimiter = "\t" if self.delimiter in ("tab", "\\t") else self.delimiter
        return Dialect(
            default.delimiter if delimiter is None else delimiter,
            default.skip_lines if self.skip_lines is None else self.skip_lines,
            default.quotes if self.no_quotes is None else not self.no_quotes,
            default.encoding if self.encoding is None else self.encoding,
            default.comment if self.comment is None else self.comment,
        )

    def notation(self, default: Notation, na: Iterable[str] = ()) -> Notation:
        """How text writes numbers.

        Raises:
            ValueError: An option is out of its domain.
        """
        return Notation(
            (*default.na, *na),
            default.decimal if self.decimal is None else self.decimal,
            default.thousands if self.thousands is None else self.thousands,
        )
