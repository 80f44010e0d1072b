"""How a file of delimited text is delimited."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

__all__ = ["SEPARATORS", "Dialect"]

SEPARATORS = {";": ";", "\t": "tab", "|": "|"}  # that a file may have in place of a comma


@dataclass(frozen=True)
class Dialect:
    """How a file is delimited.

    Args:
        delimiter: What stands between cells; None for a comma, where the header does not speak
            against it.
        skip_lines: Lines before the header.
        quotes: Whether ``"`` encloses cells, or is a letter like others.
        encoding: Of its letters, as Python calls it; None for UTF-8, or UTF-16 with a mark.
        comment: What lines begin with that are left out; None: there are none.

    Raises:
        ValueError: One is out of its domain.
    """

    delimiter: str | None = None
    skip_lines: int = 0
    quotes: bool = True
    encoding: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None and (
            len(self.delimiter.encode()) != 1 or self.delimiter in '"\n\r\0'
        ):
            raise ValueError(
                f"--delimiter must be one letter of ASCII, or the word tab, got {self.delimiter!r}"
            )
        if self.skip_lines < 0:
            raise ValueError(f"--skip-lines must be at least 0, got {self.skip_lines}")
        if self.encoding is not None and not _is_encoding(self.encoding):
            raise ValueError(
                "--encoding must be one that Python knows, as utf-8, latin1, cp1252 or shift_jis, "
                f"got {self.encoding!r}"
            )
        if self.comment is not None and (
            not self.comment.strip() or set(self.comment) & set("\n\r")
        ):
            raise ValueError(
                f"--comment must be what lines to leave out begin with, as #, got {self.comment!r}"
            )

    def options(self) -> str:
        """The options that say so, with a blank before each."""
        sign = SEPARATORS.get(self.delimiter or "", self.delimiter)
        told = "" if self.delimiter is None else f' --delimiter "{sign}"'
        told += f" --skip-lines {self.skip_lines}" if self.skip_lines else ""
        told += "" if self.quotes else " --no-quotes"
        told += f" --encoding {self.encoding}" if self.encoding else ""
        return told + (f' --comment "{self.comment}"' if self.comment else "")


def _is_encoding(name: str) -> bool:
    try:
        "a".encode(name)  # which refuses codecs that are not of text
        codecs.lookup(name)
    except (LookupError, UnicodeError, ValueError):
        return False
    return True
