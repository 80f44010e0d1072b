"""The picture of a history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gdcore._pictures import Picture, drawn

__all__ = ["drawn_curves"]

# Okabe and Ito, "Color universal design", 2008: the colour-blind can tell them apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9", "#777777")
_VALIDATION = "val_"


def drawn_curves(figures: Mapping[str, Sequence[float]], path: Path | None) -> Picture | None:
    """Draws each figure over the epochs, into a file or into a picture.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: The path's ending is of no known format.
    """
    panels = [
        (name, part)
        for name, part in (
            ("loss", {key: row for key, row in figures.items() if key.endswith("loss")}),
            ("metric", {key: row for key, row in figures.items() if not key.endswith("loss")}),
        )
        if part
    ]
    into = Picture() if path is None else path
    with drawn(into, 4.5 * len(panels) + 1.0, 3.6, "plot") as figure:
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (name, part) in zip(row, panels, strict=True):
            _panel(axes, name, part)
    return into if isinstance(into, Picture) else None


def _panel(axes: Any, name: str, figures: Mapping[str, Sequence[float]]) -> None:
    colours: dict[str, str] = {}
    for key, values in figures.items():
        plain = key.removeprefix(_VALIDATION)
        colour = colours.setdefault(plain, _COLOURS[len(colours) % len(_COLOURS)])
        style = "--" if key.startswith(_VALIDATION) else "-"
        mark = "." if len(values) <= 30 else ""  # else a single epoch would be no line
        axes.plot(range(1, len(values) + 1), values, style + mark, color=colour, label=key)
    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(True)
    axes.legend(fontsize=9)
