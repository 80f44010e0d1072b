"""What the pictures of a profile share: colours and figures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gdcore.files import written_beside
from gdcore.profiling.extras import needed
from gdcore.profiling.records import Operation

__all__ = ["COLOURS", "GREY", "HATCHED", "NOTHING", "OTHER", "Picture", "drawn", "family", "ink"]

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color universal design", 2008. Those
# from validation to checks, gil, recorder, yield and other were searched for so as to be far from
# all others in CIELAB, also as seen by the colour-blind.
# In the order of legends; waiting is grey, so that work stands out.
COLOURS = {
    "forward": "#0072B2",
    "loss": "#AA4499",
    "backward": "#D55E00",
    "update": "#009E73",
    "data": "#E69F00",
    "validation": "#62FF7D",
    "inference": "#A2E0A2",
    "matmul": "#5B00FF",
    "checks": "#503C12",
    "callback": "#F0E442",
    "step": "#56B4E9",
    "caller": "#8C6D31",
    "gil": "#5B00A5",
    "recorder": "#AF54FF",
    "wait": "#E4E4E4",
    "sleep": "#A0A0A0",
    "yield": "#6E6671",
    "other": "#35423A",
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


class Picture:
    """A picture that notebooks show.

    Attributes:
        png: The bytes of a PNG file.
    """

    def __init__(self) -> None:
        self.png = b""
        self._width = 0.0  # inches

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png, {"width": round(96 * self._width)}  # sharp, for it has more pixels

    def __repr__(self) -> str:
        return f"<picture of {len(self.png):,} bytes, which notebooks show; its bytes are .png>"


@contextmanager
def drawn(path: Path | Picture, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure of so many inches, which is written when the block ends.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: The path's ending is of no known format.
    """
    ending = "png" if isinstance(path, Picture) else path.suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        known = ", ".join(f".{each}" for each in _FORMATS)
        raise ValueError(f"path must end in one of {known}, got {str(path)!r}")
    figure_class = needed("matplotlib.figure").Figure  # not pyplot, which would look for a screen
    with needed("matplotlib").rc_context(_STYLE):
        figure = figure_class(figsize=(width, height), layout="constrained")
        yield figure
        if isinstance(path, Picture):
            figure.savefig(kept := io.BytesIO(), format=ending, dpi=_DPI)
            path.png, path._width = kept.getvalue(), width
            return
        with written_beside(path) as file:
            figure.savefig(file, format=ending, dpi=_DPI)
