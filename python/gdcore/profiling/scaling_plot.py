"""A picture of a scaling study: speed-up over threads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gdcore.profiling.palette import COLOURS, GREY, Picture, drawn

if TYPE_CHECKING:
    from gdcore.profiling.scaling import ScalingStudy

__all__ = ["plot_scaling"]

_LINES = [COLOURS[phase] for phase in ("forward", "backward", "update", "loss", "data", "step")]


def plot_scaling(study: ScalingStudy, path: Path | Picture) -> None:
    """Draws what was measured as points with the middle half of the rounds, and the fits."""
    threads = np.array(study.threads)
    across = np.linspace(1, max(threads[-1], 2), 200)
    with drawn(path, 8.5, 4.8) as figure:
        axes = figure.subplots()
        axes.plot(across, across, color=GREY, linestyle=":", label="n threads, n times as fast")
        if threads[-1] > study.cpus:
            axes.axvspan(study.cpus, threads[-1], color="#f2f2f2", zorder=0)
            axes.annotate(
                f"more threads than the {study.cpus} CPUs",
                (study.cpus, 1),
                xytext=(6, 4),
                textcoords="offset points",
                color=GREY,
            )
        one = study.threads.index(1)
        for i, (batch, fit) in enumerate(zip(study.batch_sizes, study.fits, strict=True)):
            colour = _LINES[i % len(_LINES)]
            middle = np.median(study.seconds[i], axis=0)
            speed_up = middle[one] / middle
            low, high = np.quantile(study.seconds[i], [0.25, 0.75], axis=0)
            spread = [speed_up - middle[one] / high, middle[one] / low - speed_up]
            label = f"batch {batch}" + ("" if fit is None else f": {fit}")
            axes.errorbar(
                threads,
                speed_up,
                yerr=np.maximum(spread, 0),
                fmt="o",
                color=colour,
                capsize=3,
                label=label,
            )
            if fit is not None and fit.conclusive:
                axes.plot(across, fit.speed_up(across), color=colour, linewidth=1.2)
        axes.set_xticks(threads)
        axes.set_xlabel("threads")
        axes.set_ylabel("speed-up over one thread")
        axes.set_title("Training steps on more threads, and Amdahl's law through them")
        axes.set_ylim(bottom=0)
        axes.grid(True)
        axes.legend(fontsize=9, loc="upper left")
