"""What the pictures of a profile share: colours, figures, and where labels have room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gdcore.files import written_beside
from gdcore.profiling.extras import needed
from gdcore.profiling.records import Operation

__all__ = ["COLOURS", "GREY", "HATCHED", "NOTHING", "OTHER", "drawn", "family", "ink", "offsets"]

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color universal design", 2008.
# In the order of legends; waiting is grey, so that work stands out.
COLOURS = {
    "forward": "#0072B2",
    "loss": "#AA4499",
    "backward": "#D55E00",
    "update": "#009E73",
    "data": "#E69F00",
    "callback": "#F0E442",
    "step": "#56B4E9",
    "caller": "#8C6D31",
    "wait": "#E4E4E4",
    "sleep": "#A0A0A0",
    "other": "#000000",
}
OTHER = "other"
HATCHED = "wait"
GREY = "#777777"
NOTHING = "Nothing was recorded."

_FORMATS = ("pdf", "png", "svg")
_DPI = 150
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.size": 10,
    "grid.color": "#e0e0e0",
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text, which can be searched for
}


def family(operation: Operation) -> str:
    """The key of an operation's colour: its phase, and of waiting its op."""
    name = operation.op if operation.phase == "wait" else operation.phase
    return name if name in COLOURS else OTHER


def ink(colour: str) -> str:
    """Black or white, whichever can be read on a colour such as ``"#0072B2"``."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"


@contextmanager
def drawn(path: Path, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure of so many inches, which is written when the block ends.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: The path's ending is of no known format.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        known = ", ".join(f".{each}" for each in _FORMATS)
        raise ValueError(f"path must end in one of {known}, got {str(path)!r}")
    figure_class = needed("matplotlib.figure").Figure  # not pyplot, which would look for a screen
    with needed("matplotlib").rc_context(_STYLE):
        figure = figure_class(figsize=(width, height), layout="constrained")
        yield figure
        with written_beside(path) as file:
            figure.savefig(file, format=ending, dpi=_DPI)


def offsets(
    points: Sequence[tuple[float, float]], widths: Sequence[float], height: float
) -> list[tuple[float, float]]:
    """How far to move labels so that they do not cover each other, nor what is beside them.

    Args:
        points: Where each label's left edge is and its middle's height, in any unit.
        widths: How long each label is.
        height: How high all of them are.

    Returns:
        For each label how far to the right, where they begin below each other, and upwards.
    """
    moved = [(0.0, 0.0)] * len(points)
    for column in _columns(points, widths):
        left = max(points[i][0] for i in column)
        # Labels in each other's way become one stack around the middle of their places.
        stacks: list[list[int]] = []
        for i in sorted(column, key=lambda i: points[i][1]):
            stacks.append([i])
            while len(stacks) > 1:
                below, above = stacks[-2:]
                room = _middle(points, above) - _middle(points, below)
                if room >= height * (len(above) + len(below)) / 2:
                    break
                stacks[-2:] = [below + above]
        for stack in stacks:
            bottom = _middle(points, stack) - height * (len(stack) - 1) / 2
            for k, i in enumerate(stack):
                moved[i] = left - points[i][0], bottom + k * height - points[i][1]
    return moved


def _middle(points: Sequence[tuple[float, float]], stack: Sequence[int]) -> float:
    return sum(points[i][1] for i in stack) / len(stack)


def _columns(points: Sequence[tuple[float, float]], widths: Sequence[float]) -> list[list[int]]:
    """Labels that are above or below each other, be it by way of others."""
    columns: list[list[int]] = []
    widest = end = -float("inf")
    for i in sorted(range(len(points)), key=lambda i: points[i][0]):
        if points[i][0] > end:
            columns.append([])
            widest = 0.0
        columns[-1].append(i)
        widest = max(widest, widths[i])
        end = points[i][0] + widest
    return columns
