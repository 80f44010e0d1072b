"""What the examples share: one command line, one look for their pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any


def needed(module: str, package: str) -> ModuleType:
    """Imports what an example needs beyond gdcore, or ends with one line that tells its package."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        sys.exit(f"this example needs {package}: pip install {package}")


matplotlib = needed("matplotlib", "matplotlib")
Figure = needed("matplotlib.figure", "matplotlib").Figure
Image = needed("PIL.Image", "pillow")  # comes with matplotlib

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color universal design", 2008.
BLUE, RED, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#AA4499", "#56B4E9",
)  # fmt: skip
GREY = "#777777"

matplotlib.rcParams.update(
    {
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.labelsize": 10,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "figure.dpi": 110,
        "font.size": 10,
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.7,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
    }
)


def figure(width: float = 9.0, height: float = 4.0) -> Any:
    """An empty figure, in inches. Without pyplot no window system is asked for."""
    return Figure(figsize=(width, height), layout="constrained")


def save(fig: Any, folder: Path, name: str) -> Path:
    """Writes one PNG and says where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    # These pictures have few colours: a palette makes the files a third as large.
    drawn = BytesIO()
    fig.savefig(drawn, format="png")
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)
    print(f"picture: {path}")
    return path


def command_line(
    main: Callable[..., Any], about: str | None, **options: tuple[type, Any, str]
) -> None:
    """Runs main(out, quick, ...); each option is name=(type, default, help)."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path()
    parser.add_argument("--out", type=Path, default=here, help="folder of the picture (here)")
    parser.add_argument("--quick", action="store_true", help="smaller, within a few seconds")
    for name, (kind, default, text) in options.items():
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{text} ({default})")
    main(**vars(parser.parse_args()))
