"""Each operation's speed over its arithmetic intensity, under the machine's limits.

Source: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gdcore.profiling.extras import needed
from gdcore.profiling.limits import Limits, at_once, limits
from gdcore.profiling.palette import COLOURS, GREY, NOTHING, OTHER, Picture, drawn, ink
from gdcore.profiling.placing import Label, Segment, placed
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import Operation

__all__ = [
    "Line",
    "Placed",
    "Point",
    "arranged",
    "grouped",
    "labelled",
    "lines",
    "notes",
    "phase_of",
    "plot_roofline",
    "points",
    "spans",
    "told",
]

_LEAST_LABELLED = 0.01  # of the time
_MOST_LABELLED = 14
_ONE_BY_ONE = 60  # points; of more, those of equal shapes are one
_MOST_POINTS = 400
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
        op: The operation alone.
        flops: All of its arithmetic.
    """

    label: str
    phase: str
    arithmetic: str
    flops_per_byte: float
    flops_per_second: float
    share: float
    op: str
    flops: float


@dataclass(frozen=True)
class Line:
    """A limit, as a line from one point to another in FLOP/byte and FLOP/s.

    Attributes:
        name: Such as ``"L2"`` or ``"float32"``.
        text: With its number.
        begin: Its left end.
        end: Its right end.
        main: Whether it is one of memory or of arithmetic without lower precision.
    """

    name: str
    text: str
    begin: tuple[float, float]
    end: tuple[float, float]
    main: bool


@dataclass(frozen=True)
class Placed:
    """A label that has found its place.

    Attributes:
        text: What it says.
        corner: Its lower left corner, from the lower left corner of the axes.
        width: How long it is.
        height: How high it is.
        at: The place of what it names.
        gap: How far from there it may begin.
        point: What it names; None of a limit.
    """

    text: str
    corner: tuple[float, float]
    width: float
    height: float
    at: tuple[float, float]
    gap: float
    point: Point | None

    @property
    def led(self) -> bool:
        """Whether it is so far from its point that a line must lead to it."""
        if self.point is None:
            return False
        x, y = self.nearest
        return bool(np.hypot(x - self.at[0], y - self.at[1]) > self.gap + 0.5 * self.height)

    @property
    def nearest(self) -> tuple[float, float]:
        """The place of its box that is nearest to what it names."""
        (left, bottom), (x, y) = self.corner, self.at
        return min(max(x, left), left + self.width), min(max(y, bottom), bottom + self.height)


# ---- points ----


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
    threads = max(len(recording.threads), 1)
    pairs = kind[worked].astype(np.int64) * threads + events["thread"][worked]
    workers = (np.bincount(pairs, minlength=count * threads).reshape(count, threads) > 0).sum(1)
    workers = np.minimum(workers, at_once(recording))
    whole = max(float(durations.sum()), 1.0)
    found = []
    for i in np.flatnonzero((flops > 0) & (sizes > 0) & (times > 0)).tolist():
        operation = operations[i]
        found.append(
            Point(
                label=_label(operation),
                phase=operation.phase,
                arithmetic=operation.arithmetic,
                flops_per_byte=float(flops[i] / sizes[i]),
                flops_per_second=float(flops[i] / (times[i] / workers[i]) * 1e9),
                share=float(times[i] / whole),
                op=operation.op,
                flops=float(flops[i]),
            )
        )
    return sorted(found, key=lambda point: -point.share)


def _label(operation: Operation) -> str:
    """Work beside training has the same ops and layers."""
    aside = operation.purpose not in ("training", operation.op)
    return f"{operation.label}, {operation.purpose}" if aside else operation.label


def grouped(found: Sequence[Point]) -> tuple[list[Point], list[Point]]:
    """The points to draw, and those that are left out.

    Of very many, those of one op, arithmetic and intensity are one point.
    """
    if len(found) <= _ONE_BY_ONE:
        return list(found), []
    groups: dict[tuple[str, str, str, str], list[Point]] = {}
    for point in found:
        key = point.op, point.phase, point.arithmetic, f"{point.flops_per_byte:.2g}"
        groups.setdefault(key, []).append(point)
    merged = sorted((_merged(group) for group in groups.values()), key=lambda point: -point.share)
    return merged[:_MOST_POINTS], merged[_MOST_POINTS:]


def _merged(group: list[Point]) -> Point:
    if len(group) == 1:
        return group[0]
    flops = sum(point.flops for point in group)
    return replace(
        group[0],
        label=f"{group[0].op} of {len(group):,} layers",
        flops_per_byte=flops / sum(point.flops / point.flops_per_byte for point in group),
        flops_per_second=flops / sum(point.flops / point.flops_per_second for point in group),
        share=sum(point.share for point in group),
        flops=flops,
    )


def labelled(found: Sequence[Point], most: Limits) -> list[tuple[Point, str]]:
    """The points that get a label, which take the most time, and the label."""
    chosen = []
    for point in found[:_MOST_LABELLED]:
        if point.share >= _LEAST_LABELLED:
            odd = point.arithmetic not in ("", most.dtype)
            chosen.append((point, f"{point.label} ({point.arithmetic})" if odd else point.label))
    return chosen


def phase_of(point: Point) -> str:
    """The key of its colour."""
    return point.phase if point.phase in COLOURS else OTHER


# ---- limits ----


def told(most: Limits, name: str) -> str:
    """A limit with its number, such as ``"memory: 20 GB/s on 2 threads"``."""
    on = f"on {most.threads} thread{'' if most.threads == 1 else 's'}"
    if name in most.flops:
        text = f"{name} multiply-adds: {_plain(most.flops[name] / 1e9)} GFLOP/s {on}"
    else:
        text = f"{name}: {_plain(most.bytes[name] / 1e9)} GB/s {on}"
    return f"{text} (disturbed)" if name in most.disturbed else text


def notes(found: Sequence[Point], most: Limits) -> list[str]:
    """What to know when points lie above the limits."""
    said = ["Above memory's slope: its data came from caches."]
    others = sorted({point.arithmetic for point in found} - {"", *most.flops})
    if others:
        said.append(f"{', '.join(others)}: can be above the ceiling, which is of {most.dtype}.")
    if most.disturbed:
        said.append("Disturbed: measured while others had a CPU, too low, maybe.")
    return said


def spans(found: Sequence[Point], most: Limits) -> tuple[tuple[float, float], tuple[float, float]]:
    """FLOP/byte and FLOP/s that the axes go from and to."""
    across = [most.peak / most.memory, *(point.flops_per_byte for point in found)]
    up = [*most.flops.values(), *(point.flops_per_second for point in found)]
    # Room for the labels of points on all sides.
    return (min(across) / 4, max(across) * 6), (min(up) / 4, max(up) * 3)


def lines(most: Limits, across: tuple[float, float]) -> list[Line]:
    """Slopes from the left edge to the ceilings, and ceilings up to the right edge."""
    left, right = across
    top = max(most.flops.values())
    steepest = max(most.bytes.values())
    found = []
    for name, rate in most.bytes.items():
        main = name == "memory"
        end = (most.peak if main else top) / rate
        if end > left:
            line = (left, left * rate), (end, end * rate)
            found.append(Line(name, told(most, name), *line, main))
    for name, rate in most.flops.items():
        main = name == most.dtype
        begin = max(rate / (most.memory if main else steepest), left)
        if begin < right:
            found.append(Line(name, told(most, name), (begin, rate), (right, rate), main))
    return sorted(found, key=lambda line: not line.main)


def _plain(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


# ---- labels ----


def arranged(
    found: Sequence[Point],
    texts: Sequence[tuple[Point, str]],
    drawn_lines: Sequence[tuple[Line, str]],
    spread: tuple[tuple[float, float], tuple[float, float]],
    size: tuple[float, float],
    radius: Any,
    letter: tuple[float, float],
) -> list[Placed]:
    """Finds places for the labels of limits and points, within axes of a size.

    Args:
        found: All points that are drawn.
        texts: Those that get a label, and the label.
        drawn_lines: The limits, and the label of each.
        spread: What the axes go from and to.
        size: Of the axes, in any unit.
        radius: How large a point is drawn, in that unit.
        letter: The width and height of one.
    """

    def place(x: float, y: float) -> tuple[float, float]:
        (left, right), (low, high) = spread
        return (
            float(np.log(x / left) / np.log(right / left) * size[0]),
            float(np.log(y / low) / np.log(high / low) * size[1]),
        )

    segments: list[Segment] = [(*place(*line.begin), *place(*line.end)) for line, _ in drawn_lines]
    where = [place(point.flops_per_byte, point.flops_per_second) for point in found]
    discs = [(x, y, radius(point)) for (x, y), point in zip(where, found, strict=True)]
    labels = []
    names: list[tuple[str, Point | None]] = []
    for segment, (_, text) in zip(segments, drawn_lines, strict=True):
        anchors = _along(segment, size)
        labels.append(Label(anchors, 0.3 * letter[1], letter[0] * len(text), letter[1], reach=2))
        names.append((text, None))
    for point, text in texts:
        at = place(point.flops_per_byte, point.flops_per_second)
        labels.append(Label([at], radius(point) + 2, letter[0] * len(text), letter[1]))
        names.append((text, point))
    corners = placed(labels, size, segments, discs)
    return [
        Placed(text, corner, label.width, label.height, label.anchors[0], label.gap, point)
        for label, corner, (text, point) in zip(labels, corners, names, strict=True)
        if corner is not None
    ]


def _along(segment: Segment, size: tuple[float, float]) -> list[tuple[float, float]]:
    """Places of a line that are in the picture, from its end on; a label can stand at each."""
    x, y, to_x, to_y = segment
    parts = np.linspace(0.95, 0.05, 19)
    found = [(x + part * (to_x - x), y + part * (to_y - y)) for part in parts.tolist()]
    inside = [at for at in found if 0 <= at[0] <= size[0] and 0 <= at[1] <= size[1]]
    return inside or found[:1]


# ---- drawing ----


def plot_roofline(recording: Recording, path: Path | Picture) -> None:
    """Draws a point an operation and layer, its area the share of the time, its colour the phase.

    Of very many, those of equal shapes are one point. The limits are measured on this machine where
    they are not known yet, in about a second.

    Args:
        recording: What to draw.
        path: A file to write: .pdf, .png or .svg; or a picture to fill.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
        ValueError: The path's ending is of no known format.
    """
    with drawn(path, 9.5, 6.0) as figure:
        axes = figure.subplots()
        found, left_out = grouped(points(recording))
        if not found:
            axes.set_xticks([])
            axes.set_yticks([])
            text = "No arithmetic was recorded." if len(recording.events) else NOTHING
            axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
            return
        most = limits(recording, caches=True)
        spread = spans(found, most)
        limit_lines = lines(most, spread[0])
        _axes(axes, spread, limit_lines)
        said = [_told_all(most), *notes(found, most)]
        if left_out:
            said.append(f"{len(left_out):,} more, of less time, are not shown.")
        axes.set_title("\n".join(said), fontsize=8.5, color=GREY)
        for name, colour in COLOURS.items():
            own = [point for point in found if phase_of(point) == name]
            axes.scatter(
                [point.flops_per_byte for point in own],
                [point.flops_per_second / 1e9 for point in own],
                s=[_area(point) for point in own],
                color=colour,
                alpha=0.75,
                edgecolor="#FFFFFF",
                linewidth=0.6,
                zorder=3,
            )
        _legend(figure, found)
        figure.draw_without_rendering()  # only then the layout is known
        _labels(axes, found, labelled(found, most), limit_lines, spread)


def _told_all(most: Limits) -> str:
    """The limits' numbers, in a line."""
    memory = ", ".join(f"{name} {_plain(rate / 1e9)}" for name, rate in most.bytes.items())
    flops = ", ".join(f"{name} {_plain(rate / 1e9)}" for name, rate in most.flops.items())
    return f"On {most.threads} threads: {memory} GB/s; multiply-adds in {flops} GFLOP/s."


def _area(point: Point) -> float:
    """Square points: as large as the share is, and still visible at none."""
    return 12 + 800 * point.share


def _radius(point: Point) -> float:
    return float(_area(point) ** 0.5 / 2)


def _ink(point: Point | None) -> str:
    """A label's colour: its point's, where that can be read on white."""
    if point is None:
        return GREY
    colour = COLOURS[phase_of(point)]
    return colour if ink(colour) == "#FFFFFF" else "#333333"


def _axes(
    axes: Any, spread: tuple[tuple[float, float], tuple[float, float]], found: Sequence[Line]
) -> None:
    across, up = spread
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
    axes.set_xlabel("FLOP/byte (logarithmic)")
    axes.set_ylabel("GFLOP/s of all workers (logarithmic)")
    for line in found:
        axes.plot(
            [line.begin[0], line.end[0]],
            [line.begin[1] / 1e9, line.end[1] / 1e9],
            color="#000000" if line.main else "#909090",
            linewidth=1.3 if line.main else 0.8,
            linestyle="-" if line.main else "--",
        )


def _legend(figure: Any, found: Sequence[Point]) -> None:
    line = needed("matplotlib.lines").Line2D
    phases = {phase_of(point) for point in found}
    handles = [
        line([], [], linestyle="", marker="o", markersize=7, color=colour, label=name)
        for name, colour in COLOURS.items()
        if name in phases
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles) or 1, 8), fontsize=9
    )
    figure.suptitle("Speed of each operation; area: share of the time", x=0.01, ha="left", size=11)


def _labels(
    axes: Any,
    found: Sequence[Point],
    chosen: Sequence[tuple[Point, str]],
    limit_lines: Sequence[Line],
    spread: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Writes the names of points and limits; the layout is known."""
    extent = axes.get_window_extent()
    points_a_pixel = 72 / axes.figure.dpi
    size = extent.width * points_a_pixel, extent.height * points_a_pixel
    texts = [(point, " ".join(text.split())) for point, text in chosen]
    letter = 0.6 * _FONT, 1.25 * _FONT
    named = [(line, line.text if line.main else line.name) for line in limit_lines]
    for label in arranged(found, texts, named, spread, size, _radius, letter):
        if label.led:
            ends = np.array([label.at, label.nearest]) / size
            axes.plot(*ends.T, transform=axes.transAxes, color=GREY, linewidth=0.5, zorder=2)
        axes.annotate(
            label.text,
            (0, 0),
            (label.corner[0] + label.width / 2, label.corner[1] + label.height / 2),
            xycoords="axes fraction",
            textcoords="offset points",
            color=_ink(label.point),
            ha="center",
            va="center_baseline",
            fontsize=_FONT,
            zorder=4,
            parse_math=False,
        )
