"""Pictures of a training; matplotlib is the package of the extra ``plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gdcore.files import written_beside
from gdcore.history import History

__all__ = ["check", "needed_to_plot", "save_curves"]


def check(path: Path) -> None:
    """Finds out before the training whether its curves can be drawn.

    Raises:
        ValueError: matplotlib is not installed, or knows no such format.
    """
    formats = sorted(_figure().canvas.get_supported_filetypes())
    if _ending(path) not in formats:
        endings = ", ".join(f".{each}" for each in formats)
        raise ValueError(f"--plot must end in one of {endings}, got {str(path)!r}")


def save_curves(path: Path, history: History) -> None:
    """Draws the losses by epoch: training, and validation where there is one."""
    figure = _figure()
    axes = figure.subplots()
    epochs = range(1, len(history["loss"]) + 1)
    for key, label in (("loss", "training"), ("val_loss", "validation")):
        if key in history:
            axes.plot(epochs, history[key], label=label, marker="." if len(epochs) < 50 else "")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    with written_beside(path) as file:
        figure.savefig(file, format=_ending(path), dpi=150)


def _ending(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def needed_to_plot() -> None:
    """ValueError where matplotlib is not installed: what ``--plot`` of any command needs."""
    _figure()


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure  # not pyplot, which would look for a screen
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--plot needs {error.name}, which is not installed. Install it with: "
            'python -m pip install "gdcore[plot]"'
        ) from None
    return Figure(figsize=(7, 4.5), layout="constrained")
