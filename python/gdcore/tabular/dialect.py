"""How a file of delimited text is delimited."""

from __future__ import annotations

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

    Raises:
        ValueError: One is out of its domain.
    """

    delimiter: str | None = None
    skip_lines: int = 0
    quotes: bool = True

    def __post_init__(self) -> None:
        if self.delimiter is not None and (
            len(self.delimiter.encode()) != 1 or self.delimiter in '"\n\r\0'
        ):
            raise ValueError(
                f"--delimiter must be one letter of ASCII, or the word tab, got {self.delimiter!r}"
            )
        if self.skip_lines < 0:
            raise ValueError(f"--skip-lines must be at least 0, got {self.skip_lines}")

    def options(self) -> str:
        """The options that say so, with a blank before each."""
        sign = SEPARATORS.get(self.delimiter or "", self.delimiter)
        told = "" if self.delimiter is None else f' --delimiter "{sign}"'
        told += f" --skip-lines {self.skip_lines}" if self.skip_lines else ""
        return told + ("" if self.quotes else " --no-quotes")
