"""Rows of figures as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from gdcore.benchmark.figures import Row, shown

__all__ = ["markdown"]


def markdown(title: str, rows: Sequence[Row]) -> str:
    """A heading and a table with a column for each key of any row."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"\n### {title}\n", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += [
        "| " + " | ".join(shown(row.get(column)) for column in columns) + " |" for row in rows
    ]
    return "\n".join(lines)
