"""Each operation's speed over its arithmetic intensity, under the machine's limits.

Source: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gdcore.profiling.extras import needed
from gdcore.profiling.limits import peaks
from gdcore.profiling.palette import COLOURS, GREY, NOTHING, OTHER, drawn, offsets
from gdcore.profiling.recording import Recording

__all__ = ["Limits", "Point", "labelled", "limits", "notes", "plot_roofline", "points", "spans"]

_LEAST_LABELLED = 0.01  # of the time
_MOST_LABELLED = 14
_FONT = 8.0


@dataclass(frozen=True)
class Point:
    """An operation of a layer, over all steps and workers.

    Attributes:
        label: Op and layer.
        phase: Such as ``"forward"``.
        arithmetic: Such as ``"float32"``.
        flops_per_byte: Operations for each byte that it reads or writes at the least.
        flops_per_second: Of all workers that did some of it, together.
        share: Of the time of all threads, 0 to 1.
    """

    label: str
    phase: str
    arithmetic: str
    flops_per_byte: float
    flops_per_second: float
    share: float


@dataclass(frozen=True)
class Limits:
    """What the machine can do at most.

    Attributes:
        flops_per_second: Of multiply-adds.
        bytes_per_second: Of memory.
        dtype: What is multiplied and added.
        threads: On how many at once.
    """

    flops_per_second: float
    bytes_per_second: float
    dtype: str
    threads: int

    @property
    def memory(self) -> str:
        """The name of the slope, with its number."""
        return f"memory: {self.bytes_per_second / 1e9:.3g} GB/s on {_threads(self.threads)}"

    @property
    def arithmetic(self) -> str:
        """The name of the ceiling, with its number."""
        speed = _plain(self.flops_per_second / 1e9)
        return f"{self.dtype} multiply-adds: {speed} GFLOP/s on {_threads(self.threads)}"


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _plain(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


def limits(recording: Recording) -> Limits:
    """The limits on as many threads as the recording had; see `gdcore.profiling.limits`."""
    flops, size = peaks(recording)
    threads = max(len(recording.workers), 1)
    kinds = ("float32", "float64")
    found = recording.machine.peaks
    dtype = next((each for each in kinds if found.get(f"{each} x{threads}") == flops), kinds[0])
    return Limits(flops, size, dtype, threads)


def points(recording: Recording) -> list[Point]:
    """Each operation of each layer that has both arithmetic and traffic, the longest first."""
    events, durations = recording.events, recording.durations
    operations = recording.operations
    count = len(operations)
    kind = events["operation"]
    times = np.bincount(kind, durations, count)
    flops = np.bincount(kind, events["flops"], count)
    sizes = np.bincount(kind, events["bytes"], count)
    worked = events["flops"] > 0
    pairs = np.unique(np.column_stack([kind[worked], events["thread"][worked]]), axis=0)
    workers = np.bincount(pairs[:, 0], minlength=count)
    whole = max(float(durations.sum()), 1.0)
    found = []
    for i in np.flatnonzero((flops > 0) & (sizes > 0) & (times > 0)).tolist():
        operation = operations[i]
        found.append(
            Point(
                label=operation.label,
                phase=operation.phase,
                arithmetic=operation.arithmetic,
                flops_per_byte=float(flops[i] / sizes[i]),
                flops_per_second=float(flops[i] / (times[i] / workers[i]) * 1e9),
                share=float(times[i] / whole),
            )
        )
    return sorted(found, key=lambda point: -point.share)


def labelled(found: Sequence[Point], most: Limits) -> list[tuple[Point, str]]:
    """The points that get a label, which take the most time, and the label."""
    chosen = []
    for point in found[:_MOST_LABELLED]:
        if point.share >= _LEAST_LABELLED:
            odd = point.arithmetic not in ("", most.dtype)
            chosen.append((point, f"{point.label} ({point.arithmetic})" if odd else point.label))
    return chosen


def notes(found: Sequence[Point], most: Limits) -> list[str]:
    """What to know when points lie above the limits."""
    said = ["Above the slope: its data came from caches."]
    others = sorted({point.arithmetic for point in found} - {"", most.dtype})
    if others:
        said.append(f"{', '.join(others)}: can be above the ceiling, which is of {most.dtype}.")
    return said


def spans(found: Sequence[Point], most: Limits) -> tuple[tuple[float, float], tuple[float, float]]:
    """FLOP/byte and FLOP/s that the axes go from and to."""
    ridge = most.flops_per_second / most.bytes_per_second
    across = [ridge, *(point.flops_per_byte for point in found)]
    up = [most.flops_per_second, *(point.flops_per_second for point in found)]
    # Room on the right for the labels of points.
    return (min(across) / 2.5, max(across) * 8), (min(up) / 2.5, max(up) * 4)


def plot_roofline(recording: Recording, path: Path) -> None:
    """Draws a point an operation and layer, its area the share of the time, its colour the phase.

    The limits are measured on this machine where they are not known yet, in about a second.

    Args:
        recording: What to draw.
        path: A file to write: .pdf, .png or .svg.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
        ValueError: The path's ending is of no known format.
    """
    with drawn(path, 9.5, 6.0) as figure:
        axes = figure.subplots()
        found = points(recording)
        if not found:
            axes.set_xticks([])
            axes.set_yticks([])
            text = "No arithmetic was recorded." if len(recording.events) else NOTHING
            axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
            return
        most = limits(recording)
        _axes(axes, found, most)
        for point in found:
            axes.scatter(
                point.flops_per_byte,
                point.flops_per_second / 1e9,
                s=_area(point),
                color=COLOURS.get(point.phase, COLOURS[OTHER]),
                alpha=0.75,
                edgecolor="#FFFFFF",
                linewidth=0.6,
                zorder=3,
            )
        _legend(figure, found)
        figure.draw_without_rendering()  # only then the layout is known
        _slope(axes, most)
        _labels(axes, labelled(found, most))


def _area(point: Point) -> float:
    """Square points: as large as the share is, and still visible at none."""
    return 12 + 800 * point.share


def _axes(axes: Any, found: Sequence[Point], most: Limits) -> None:
    across, up = spans(found, most)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*across)
    axes.set_ylim(up[0] / 1e9, up[1] / 1e9)
    ticker = needed("matplotlib.ticker")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.LogLocator(10, numticks=15))
        axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axis.set_minor_formatter(ticker.NullFormatter())
    axes.grid()
    axes.set_title(" ".join(notes(found, most)), fontsize=8.5, color=GREY)
    axes.set_xlabel("FLOP/byte (logarithmic)")
    axes.set_ylabel("GFLOP/s of all workers (logarithmic)")
    ridge = most.flops_per_second / most.bytes_per_second
    ceiling = most.flops_per_second / 1e9
    axes.plot(
        [across[0], ridge, across[1]],
        [across[0] * most.bytes_per_second / 1e9, ceiling, ceiling],
        color="#000000",
        linewidth=1.2,
    )
    # To the left, where no points are: those of most time are along the lines and below them.
    axes.annotate(
        most.arithmetic,
        (ridge, ceiling),
        (0, 5),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=9,
    )


def _slope(axes: Any, most: Limits) -> None:
    """Writes the slope's name along it; the layout is known."""
    ridge = most.flops_per_second / most.bytes_per_second
    left = max(axes.get_xlim()[0], axes.get_ylim()[0] * 1e9 / most.bytes_per_second, ridge / 7)
    ends = [(x, x * most.bytes_per_second / 1e9) for x in (left, ridge)]
    places = axes.transData.transform(ends)
    across, up = places[1] - places[0]
    axes.annotate(
        most.memory,
        axes.transData.inverted().transform(places.mean(axis=0)),
        (0, -4),
        textcoords="offset points",
        rotation=float(np.degrees(np.arctan2(up, across))),
        rotation_mode="anchor",
        ha="center",
        va="top",
        fontsize=9,
    )


def _legend(figure: Any, found: Sequence[Point]) -> None:
    line = needed("matplotlib.lines").Line2D
    phases = {point.phase for point in found}
    handles = [
        line([], [], linestyle="", marker="o", markersize=7, color=colour, label=name)
        for name, colour in COLOURS.items()
        if name in phases
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles) or 1, fontsize=9)
    figure.suptitle("Speed of each operation; area: share of the time", x=0.01, ha="left", size=11)


def _labels(axes: Any, chosen: Sequence[tuple[Point, str]]) -> None:
    if not chosen:
        return
    scale = 72 / axes.figure.dpi
    data = [(point.flops_per_byte, point.flops_per_second / 1e9) for point, _ in chosen]
    places = [tuple(each) for each in axes.transData.transform(data) * scale]
    beside = [0.5 * _area(point) ** 0.5 + 4 for point, _ in chosen]
    starts = [(x + gap, y) for (x, y), gap in zip(places, beside, strict=True)]
    widths = [0.6 * _FONT * len(text) for _, text in chosen]
    moved = offsets(starts, widths, 1.35 * _FONT)
    for (point, text), at, gap, (right, up) in zip(chosen, data, beside, moved, strict=True):
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "relpos": (0, 0.5)}
        axes.annotate(
            " ".join(text.split()),
            at,
            (gap + right + (10 if right or up else 0), up),
            textcoords="offset points",
            arrowprops=arrow | {"shrinkA": 0, "shrinkB": 0} if right or up else None,
            bbox={"facecolor": "#FFFFFF", "alpha": 0.8, "linewidth": 0, "pad": 0.5},
            color=COLOURS.get(point.phase, COLOURS[OTHER]),
            va="center",
            fontsize=_FONT,
            zorder=4,
            parse_math=False,
        )
