"""Pictures, in files and in notebooks, and packages that only some forms of a result need."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gdcore.files import written_beside

__all__ = ["STYLE", "Picture", "drawn", "needed"]

_FORMATS = ("pdf", "png", "svg")
_DPI = 150
STYLE: dict[str, Any] = {
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


def needed(module: str, extra: str) -> Any:
    """Imports a module of a package of one of gdcore's extras.

    Raises:
        ImportError: It is not installed; the message tells how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"this needs {error.name}, which is not installed. Install it with: "
            f'python -m pip install "gdcore[{extra}]"'
        ) from None


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
def drawn(
    path: Path | Picture, width: float, height: float, extra: str = "profile"
) -> Iterator[Any]:
    """A matplotlib figure of so many inches, which is written when the block ends.

    ``extra`` is what an error names where matplotlib is missing.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: The path's ending is of no known format.
    """
    ending = "png" if isinstance(path, Picture) else path.suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        known = ", ".join(f".{each}" for each in _FORMATS)
        raise ValueError(f"path must end in one of {known}, got {str(path)!r}")
    figure_class = needed(
        "matplotlib.figure", extra
    ).Figure  # not pyplot, which would look for a screen
    with needed("matplotlib", extra).rc_context(STYLE):
        figure = figure_class(figsize=(width, height), layout="constrained")
        yield figure
        if isinstance(path, Picture):
            figure.savefig(kept := io.BytesIO(), format=ending, dpi=_DPI)
            path.png, path._width = kept.getvalue(), width
            return
        with written_beside(path) as file:
            figure.savefig(file, format=ending, dpi=_DPI)
