"""Rows of figures as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Row", "markdown"]

Row = dict[str, Any]


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def markdown(title: str, rows: Sequence[Row]) -> str:
    """A heading and a table with a column for each key of the first row."""
    columns = list(rows[0])
    lines = [f"\n### {title}\n", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_shown(row[column]) for column in columns) + " |" for row in rows]
    return "\n".join(lines)
