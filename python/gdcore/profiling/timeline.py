"""A picture of a recording: a row for each thread, time to the right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.profiling.extras import needed
from gdcore.profiling.palette import (
    COLOURS,
    GREY,
    HATCHED,
    NOTHING,
    OTHER,
    Picture,
    drawn,
    family,
    ink,
)
from gdcore.profiling.recording import Recording
from gdcore.profiling.rows import Row, Rows
from gdcore.profiling.trace import rates
from gdcore.profiling.windows import Window, chosen_window, columns, last_window, unit_of

__all__ = ["plot_timeline"]

_BARS = 80  # of a thread, by default
_STEPS = 3
_DRAWN_ONE_BY_ONE = 20_000  # bars; of more, the picture's columns show which took the most time
_COLUMNS = 3000
_POINTS_A_LETTER = 0.58  # of a font's size, a little more than letters take on average
_FONT = 7.5
_THIN_FONT = 6.5

# Of a row's height: its bars, then its curve.
_BAR_TOP, _BAR_BOTTOM = 0.06, 0.62
_CURVE_TOP, _CURVE_BOTTOM = 0.68, 0.94


def plot_timeline(
    recording: Recording, path: Path | Picture, steps: tuple[int, int] | None
) -> None:
    """Draws what each thread did, coloured by phase, over its speed in GFLOP/s.

    Args:
        recording: What to draw.
        path: A file to write: .pdf, .png or .svg; or a picture to fill.
        steps: The first and the last recorded training step, of the trainer that made the most;
            None for the last few that can be read.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
        TypeError: steps are no two integers.
        ValueError: steps are not in order or none of them was recorded, or the path's ending is of
            no known format.
    """
    if steps is None:
        bars = _BARS * max(len(recording.threads), 1)
        window = last_window(recording, bars, _STEPS)
    else:
        window = chosen_window(recording, steps)
    rows = None if window is None else Rows.of(recording, window)
    unit_height = float(np.clip(16 / max(len(recording.threads), 1), 0.34, 1.05))  # inches
    with drawn(path, 12.0, 1.5 + unit_height * (rows.height if rows else 1)) as figure:
        axes = figure.subplots()
        if window is None or rows is None:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(0.5, 0.5, NOTHING, ha="center", va="center", transform=axes.transAxes)
            return
        unit, nanoseconds = unit_of(window.end - window.begin)
        axes.set_xlim(0, (window.end - window.begin) / nanoseconds)
        axes.set_ylim(rows.height, 0)  # the first row on top
        middle = (_BAR_TOP + _BAR_BOTTOM) / 2
        places = [row.top + middle if row.depth is None else row.middle for row in rows.rows]
        axes.set_yticks(places, [row.name for row in rows.rows], parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{unit} from the beginning of what is shown")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        _Drawing(recording, window, rows, axes, nanoseconds).draw(unit_height)
        _legend(figure, recording, window)


# ---- drawing ----


class _Drawing:
    """Bars, curves and lines within axes whose limits are set."""

    def __init__(
        self,
        recording: Recording,
        window: Window,
        rows: Rows,
        axes: Any,
        nanoseconds: float,
    ) -> None:
        self.recording, self.window, self.rows, self.axes = recording, window, rows, axes
        self.events = window.events(recording)
        self.families = [family(each) for each in recording.operations]
        self.nanoseconds = nanoseconds

    def at(self, times: Any) -> Any:
        """Nanoseconds since the recording began as places on the axis."""
        return (times - self.window.begin) / self.nanoseconds

    def draw(self, height: float) -> None:
        """All of it, with rows of so many inches for threads."""
        dense = len(self.events) > _DRAWN_ONE_BY_ONE
        for row in self.rows.threads:
            own = self.events[self.events["thread"] == row.thread]
            if dense:
                for name, begins, widths in columns(self.recording, self.window, own, _COLUMNS):
                    scaled = begins / self.nanoseconds, widths / self.nanoseconds
                    self._rectangles(row, name, *scaled, bordered=False)
            else:
                self._bars(row, own)
        self._curves()
        steps = self.window.steps
        if len(steps) <= 60:
            for begin in steps.values():
                width = 0.8 if len(steps) <= 12 else 0.4
                self.axes.axvline(self.at(begin), color="#000000", linewidth=width)
        for border in self.rows.borders:
            self.axes.axhline(border, color=GREY, linewidth=0.8)
        self.axes.figure.draw_without_rendering()  # only then the layout is known
        self._stretches()
        if not dense:
            self._labels(72 * height * (_BAR_BOTTOM - _BAR_TOP))

    def _stretches(self) -> None:
        """Steps and named ranges, with their names where there is room for them."""
        points = self._points()
        for each in self.rows.stretches:
            low, high = self.at(each.begin), self.at(each.end)
            bar = (each.row.top + 0.1 * each.row.height, 0.8 * each.row.height)
            step = each.row.depth == -1
            self.axes.broken_barh(
                [(low, high - low)],
                bar,
                facecolor="#F4F4F4" if step else "#DCE6EE",
                edgecolor="#A8A8A8",
                linewidth=0.4,
            )
            room = (each.end - each.begin) * points - 2
            text = " ".join(each.text.split())
            if len(text) * _POINTS_A_LETTER * _THIN_FONT <= room:
                self.axes.text(
                    (low + high) / 2,
                    each.row.middle,
                    text,
                    fontsize=_THIN_FONT,
                    ha="center",
                    va="center_baseline",
                    parse_math=False,
                )

    def _points(self) -> float:
        """How many points a nanosecond takes; the layout is known."""
        width = self.axes.get_window_extent().width * 72 / self.axes.figure.dpi
        return float(width / max(self.window.end - self.window.begin, 1))

    def _bars(self, row: Row, own: NDArray[Any]) -> None:
        begins, widths = self.at(own["begin"]), (own["end"] - own["begin"]) / self.nanoseconds
        kinds = np.array([self.families[i] for i in own["operation"]])
        # A border would hide what is narrower than it.
        broad = widths > (self.window.end - self.window.begin) / self.nanoseconds / 400
        for kind in np.unique(kinds):
            for bordered in (False, True):
                mine = (kinds == kind) & (broad == bordered) & (widths > 0)
                if mine.any():
                    self._rectangles(row, kind, begins[mine], widths[mine], bordered)

    def _rectangles(self, row: Row, kind: str, begins: Any, widths: Any, bordered: bool) -> None:
        hatched = kind == HATCHED and bordered
        self.axes.broken_barh(
            np.column_stack([begins, widths]),
            (row.top + _BAR_TOP, _BAR_BOTTOM - _BAR_TOP),
            facecolor=COLOURS[kind],
            edgecolor="#B0B0B0" if hatched else "#FFFFFF",
            linewidth=0.4 if bordered and not hatched else 0,
            hatch="////" if hatched else None,
        )

    def _curves(self) -> None:
        least = max((self.window.end - self.window.begin) // 500, 1)
        curves = {}
        top = 0.0
        for row in self.rows.threads:
            own = self.events[self.events["thread"] == row.thread]
            times, speeds = rates(own, least)
            if not speeds.any():
                continue
            curves[row.top] = times, speeds
            # A stretch before a long event can be as short as a few nanoseconds: no scale for it.
            long = np.diff(times) >= least
            top = max(top, float((speeds[:-1][long] if long.any() else speeds).max()))
        for start, (times, speeds) in curves.items():
            base = start + _CURVE_BOTTOM
            heights = np.minimum(speeds / top, 1.0) * (_CURVE_BOTTOM - _CURVE_TOP)
            self.axes.fill_between(
                self.at(times),
                base - heights,
                base,
                step="post",
                facecolor="#B9C4CC",
                edgecolor="#5F7180",
                linewidth=0.6,
            )
            self.axes.annotate(
                f"{top:,.3g}\nGFLOP/s" if top < 1000 else f"{top:,.0f}\nGFLOP/s",
                (1, start + _CURVE_TOP),
                (4, 4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=7,
                color=GREY,
                va="top",
            )
            self.axes.axhline(start + _CURVE_TOP, color="#d8d8d8", linewidth=0.5, zorder=0)

    def _labels(self, height: float) -> None:
        """Names of operations in the bars that have room for them; the height is in points."""
        points = self._points()
        tops = [row.top for row in self.rows.threads]
        operations = self.recording.operations
        for event in self.events:
            operation = operations[event["operation"]]
            kind = self.families[event["operation"]]
            width = float(event["end"] - event["begin"]) * points
            if operation.phase == "wait" or kind == OTHER or width < _FONT + 3:
                continue
            fitting = _fitted(operation.op, operation.layer, width - 2, height - 2)
            if fitting is None:
                continue
            text, turned = fitting
            self.axes.text(
                self.at((event["begin"] + event["end"]) / 2),
                tops[event["thread"]] + (_BAR_TOP + _BAR_BOTTOM) / 2,
                text,
                color=ink(COLOURS[kind]),
                fontsize=_FONT,
                ha="center",
                va="center",
                linespacing=1.0,
                rotation=90 if turned else 0,
                rotation_mode="default",
                parse_math=False,
            )


def _fitted(op: str, layer: str, width: float, height: float) -> tuple[str, bool] | None:
    """A label broken into lines, and whether it is turned, for a bar of so many points."""
    words = op.removeprefix("dense_").split("_")
    layer = " ".join(layer.split())
    words[-1] = f"{words[-1]} {layer}".strip()
    for turned in (False, True):
        along, across = (height, width) if turned else (width, height)
        for lines in ([" ".join(words)], words):
            longest = max(len(line) for line in lines) * _POINTS_A_LETTER * _FONT
            if longest <= along and len(lines) * 1.15 * _FONT <= across:
                return "\n".join(lines), turned
    return None


def _legend(figure: Any, recording: Recording, window: Window) -> None:
    used = {family(recording.operations[i]) for i in set(window.events(recording)["operation"])}
    _keys(figure, [name for name in COLOURS if name in used])
    apart = np.any(np.diff([*window.steps]) > 1)
    gap = ", nothing recorded between them" if apart else ""
    figure.suptitle(
        f"What each thread did: {window.told()}{gap}",
        x=0.01,
        ha="left",
        fontsize=11,
    )


def _keys(figure: Any, names: Sequence[str]) -> None:
    patch = needed("matplotlib.patches").Patch
    handles = [
        patch(
            facecolor=COLOURS[name],
            edgecolor="#B0B0B0" if name == HATCHED else "none",
            hatch="////" if name == HATCHED else None,
            label=name,
        )
        for name in names
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(max(len(names), 1), 8), fontsize=9
    )
