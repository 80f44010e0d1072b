"""A picture of an estimate: the step and its parts over ranks, and the speed-up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gdcore.profiling.palette import COLOURS, GREY, Picture, drawn

if TYPE_CHECKING:
    from gdcore.distributed.estimate import Estimate

__all__ = ["plot_estimate"]

_POINTS = 200
_PARTS = (("computing", "forward"), ("exchanging", "exchange"), ("updating", "update"))


def plot_estimate(told: Estimate, path: Path | Picture) -> None:
    """Draws the parts of a step upon each other, and beside them the speed-up over one rank."""
    most = max(max(told.ranks), 2)
    across = np.unique(np.round(np.geomspace(1, most, _POINTS)).astype(int))
    parts = np.array([told.parts(int(ranks)) for ranks in across]).T * 1e3
    with drawn(path, 11.0, 4.4) as figure:
        left, right = figure.subplots(1, 2)
        left.stackplot(
            across,
            parts,
            labels=[name for name, _ in _PARTS],
            colors=[COLOURS[phase] for _, phase in _PARTS],
            alpha=0.85,
        )
        left.set_ylabel("milliseconds a step")
        left.set_title(f"{told.parameters:,} parameters, batches of {told.batch_size:,}")
        left.legend(loc="upper center", fontsize=9)
        speed_up = told.seconds(1) / (parts.sum(axis=0) / 1e3)
        right.plot(across, across, color=GREY, linestyle=":", label="R ranks, R times as fast")
        right.plot(across, speed_up, color=COLOURS["forward"])
        chosen = np.array(told.ranks)
        gains = [told.seconds(1) / told.seconds(ranks) for ranks in told.ranks]
        point = {"marker": "o", "linestyle": "", "clip_on": False, "zorder": 3}
        right.plot(chosen, gains, color=COLOURS["forward"], markersize=4, **point)
        best = told.best
        gain = told.seconds(1) / told.seconds(best)
        name = f"best: {best:,} ranks" if best > 1 else "best: one rank"
        right.plot([best], [gain], color=COLOURS["backward"], label=name, **point)
        right.set_yscale("log", base=2)
        right.set_ylim(min(0.5, 0.8 * speed_up.min()), 2 * max(speed_up.max(), 2))
        right.set_ylabel("speed-up over one rank")
        right.set_title(str(told.link))
        right.legend(loc="upper right", fontsize=9)
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.set_xlim(1, most)
            axes.set_xlabel("ranks")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            axes.grid(True)
        right.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
