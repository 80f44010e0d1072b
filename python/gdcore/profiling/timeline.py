"""A picture of a recording: a row for each thread, time to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer
from gdcore.profiling.extras import needed
from gdcore.profiling.palette import (
    COLOURS,
    GREY,
    HATCHED,
    NOTHING,
    OTHER,
    drawn,
    family,
    ink,
)
from gdcore.profiling.recording import Recording
from gdcore.profiling.trace import rates

__all__ = ["Window", "last_window", "plot_timeline", "unit_of"]

_BARS = 80  # of a thread, by default
_STEPS = 3
_DRAWN_ONE_BY_ONE = 20_000  # bars; of more, the picture's columns show which took the most time
_COLUMNS = 3000
_POINTS_A_LETTER = 0.58  # of a font's size, a little more than letters take on average
_FONT = 7.5

# Of a row's height: its bars, then its curve.
_BAR_TOP, _BAR_BOTTOM = 0.06, 0.62
_CURVE_TOP, _CURVE_BOTTOM = 0.68, 0.94


@dataclass(frozen=True)
class Window:
    """A stretch of a recording.

    Attributes:
        begin: Nanoseconds since the recording began.
        end: The same.
        steps: Recorded training steps in it, with the nanosecond in which each begins.
    """

    begin: int
    end: int
    steps: dict[int, int]

    def events(self, recording: Recording) -> NDArray[Any]:
        """Those that are within, cut to it."""
        events = recording.events
        within = (events["end"] > self.begin) & (events["begin"] < self.end)
        found = events[within]
        found["begin"] = np.maximum(found["begin"], self.begin)
        found["end"] = np.minimum(found["end"], self.end)
        return found

    def told(self) -> str:
        """Which steps it has, such as ``"steps 198 to 200"``."""
        if not self.steps:
            return "no training steps"
        first, last = min(self.steps), max(self.steps)
        return f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"


def plot_timeline(recording: Recording, path: Path, steps: tuple[int, int] | None) -> None:
    """Draws what each thread did, coloured by phase, over its speed in GFLOP/s.

    Args:
        recording: What to draw.
        path: A file to write: .pdf, .png or .svg.
        steps: The first and the last recorded training step; None for the last few that can be
            read.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
        TypeError: steps are no two integers.
        ValueError: steps are not in order or none of them was recorded, or the path's ending is of
            no known format.
    """
    threads = recording.threads
    window = _window(recording, steps)
    row = float(np.clip(16 / max(len(threads), 1), 0.34, 1.05))  # inches
    with drawn(path, 12.0, 1.7 + row * max(len(threads), 1)) as figure:
        axes = figure.subplots()
        if window is None:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(0.5, 0.5, NOTHING, ha="center", va="center", transform=axes.transAxes)
            return
        unit, nanoseconds = unit_of(window.end - window.begin)
        axes.set_xlim(0, (window.end - window.begin) / nanoseconds)
        axes.set_ylim(len(threads), 0)  # the first row on top
        middle = (_BAR_TOP + _BAR_BOTTOM) / 2
        names = [thread.name for thread in threads]
        axes.set_yticks(np.arange(len(threads)) + middle, names, parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{unit} from the beginning of what is shown")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        _Drawing(recording, window, axes, nanoseconds).draw(row)
        _legend(figure, recording, window)


def unit_of(nanoseconds: int) -> tuple[str, float]:
    """The name of the unit that a stretch is shown in, and how many nanoseconds it has."""
    if nanoseconds < 5e6:
        return "microseconds", 1e3
    return ("milliseconds", 1e6) if nanoseconds < 5e9 else ("seconds", 1e9)


# ---- what to show ----


def last_window(recording: Recording, bars: int, steps: int | None = None) -> Window | None:
    """The last whole steps that have at most so many events; None where there are no events.

    Where there are no steps, or already one has far more events, it is the last events.

    Args:
        recording: What to look through.
        bars: Of all threads.
        steps: The most to take, or None.
    """
    events = recording.events
    if not len(events):
        return None
    found = _Steps.of(recording)
    first, past = found.whole(recording)
    if recording.every > 1:
        steps = 1  # between recorded steps there is nothing to see
    window = None
    for start in range(past - 1, max(first, past - (steps or past)) - 1, -1):
        wider = found.window(start, past)
        # Of those that began earlier and reach into it there is one a thread at most.
        count = np.diff(np.searchsorted(events["begin"], (wider.begin, wider.end)))[0]
        if count > (bars if window else 4 * bars):
            break
        window = wider
    if window is not None:
        return window
    begin, end = int(events["begin"][-min(bars, len(events))]), recording.window[1]
    inside = (found.begins >= begin) & (found.begins < end)
    begins = zip(found.numbers[inside].tolist(), found.begins[inside].tolist(), strict=True)
    return Window(begin, end, dict(begins))


def _window(recording: Recording, steps: object) -> Window | None:
    """What `plot_timeline` shows."""
    if steps is None:
        return last_window(recording, _BARS * max(len(recording.threads), 1), _STEPS)
    if not isinstance(steps, (tuple, list)):
        raise TypeError(f"steps must be a tuple (first, last), got {steps!r}")
    if len(steps) != 2:
        raise ValueError(f"steps must be two numbers (first, last), got {steps!r}")
    first, last = (integer("steps", each) for each in steps)
    if first > last:
        raise ValueError(f"steps must be in order (first, last), got {steps!r}")
    found = _Steps.of(recording)
    start, past = np.searchsorted(found.numbers, (first, last + 1)).tolist()
    if start == past:
        if not len(found.numbers):
            raise ValueError(f"steps must be of those recorded: there are none, got {steps!r}")
        recorded = f"{found.numbers[0]} to {found.numbers[-1]}"
        raise ValueError(f"steps must be of those recorded, {recorded}, got {steps!r}")
    return found.window(start, past)


@dataclass(frozen=True)
class _Steps:
    """Training steps in their order: number, nanosecond of begin, and of end."""

    numbers: NDArray[Any]
    begins: NDArray[Any]
    ends: NDArray[Any]

    @classmethod
    def of(cls, recording: Recording) -> _Steps:
        """All that there is work of."""
        events = recording.events
        numbers, place = np.unique(events["step"], return_inverse=True)
        begins = np.full(len(numbers), np.iinfo(np.int64).max)
        ends = np.zeros(len(numbers), np.int64)
        # Who waits for a step has begun to before it; what follows it has its number, too.
        inside = ~recording.phase("wait", "callback", "caller")
        np.minimum.at(begins, place[inside], events["begin"][inside])
        np.maximum.at(ends, place[recording.work], events["end"][recording.work])
        there = (ends > 0) & (numbers > 0)
        begins, ends = begins[there], ends[there]
        if recording.every == 1 and len(ends):
            ends[:-1] = np.maximum(ends[:-1], begins[1:])
        return cls(numbers[there], begins, ends)

    def window(self, start: int, past: int) -> Window:
        """From one index to before another."""
        begins = self.begins[start:past].tolist()
        steps = dict(zip(self.numbers[start:past].tolist(), begins, strict=True))
        return Window(begins[0], int(self.ends[past - 1]), steps)

    def whole(self, recording: Recording) -> tuple[int, int]:
        """Indices without a first whose beginning is lost and a last that was cut short."""
        start, past = 0, len(self.numbers)
        if recording.dropped and past > 1:
            start = 1
        if past - start > 1:
            events = recording.events
            before, last = (
                set(events["operation"][recording.work & (events["step"] == step)].tolist())
                for step in self.numbers[-2:]
            )
            past -= last < before
        return start, past


# ---- drawing ----


class _Drawing:
    """Bars, curves and lines within axes whose limits are set."""

    def __init__(self, recording: Recording, window: Window, axes: Any, nanoseconds: float) -> None:
        self.recording, self.window, self.axes = recording, window, axes
        self.events = window.events(recording)
        self.families = [family(each) for each in recording.operations]
        self.nanoseconds = nanoseconds

    def at(self, times: Any) -> Any:
        """Nanoseconds since the recording began as places on the axis."""
        return (times - self.window.begin) / self.nanoseconds

    def draw(self, row: float) -> None:
        """All of it, in rows of so many inches."""
        rows = range(len(self.recording.threads))
        dense = len(self.events) > _DRAWN_ONE_BY_ONE
        for number in rows:
            own = self.events[self.events["thread"] == number]
            if dense:
                self._columns(number, own)
            else:
                self._bars(number, own)
        self._curves()
        for step, begin in self.window.steps.items():
            if len(self.window.steps) > 60:
                break
            few = len(self.window.steps) <= 12
            self.axes.axvline(self.at(begin), color="#000000", linewidth=0.8 if few else 0.4)
            if few:
                self.axes.annotate(
                    f"step {step:,}",
                    (self.at(begin), 0),
                    (3, 3),
                    textcoords="offset points",
                    fontsize=9,
                )
        if not dense:
            self._labels(72 * row * (_BAR_BOTTOM - _BAR_TOP))

    def _bars(self, number: int, own: NDArray[Any]) -> None:
        begins, widths = self.at(own["begin"]), (own["end"] - own["begin"]) / self.nanoseconds
        kinds = np.array([self.families[i] for i in own["operation"]])
        # A border would hide what is narrower than it.
        broad = widths > (self.window.end - self.window.begin) / self.nanoseconds / 400
        for kind in np.unique(kinds):
            for bordered in (False, True):
                mine = (kinds == kind) & (broad == bordered) & (widths > 0)
                if mine.any():
                    self._rectangles(number, kind, begins[mine], widths[mine], bordered)

    def _rectangles(self, number: int, kind: str, begins: Any, widths: Any, bordered: bool) -> None:
        hatched = kind == HATCHED and bordered
        self.axes.broken_barh(
            np.column_stack([begins, widths]),
            (number + _BAR_TOP, _BAR_BOTTOM - _BAR_TOP),
            facecolor=COLOURS[kind],
            edgecolor="#B0B0B0" if hatched else "#FFFFFF",
            linewidth=0.4 if bordered and not hatched else 0,
            hatch="////" if hatched else None,
        )

    def _columns(self, number: int, own: NDArray[Any]) -> None:
        """For each narrow column the family with the most time."""
        names = list(COLOURS)
        length = self.window.end - self.window.begin
        kinds = np.array([names.index(each) for each in self.families])
        sums = np.zeros((_COLUMNS, len(names)))
        edges = np.linspace(0, length, _COLUMNS + 1)
        first, last = (
            np.clip((own[key] - self.window.begin) * _COLUMNS // length, 0, _COLUMNS - 1)
            for key in ("begin", "end")
        )
        kind = kinds[own["operation"]]
        short = first == last
        np.add.at(sums, (first[short], kind[short]), (own["end"] - own["begin"])[short])
        for event, i, j, k in zip(
            own[~short], first[~short], last[~short], kind[~short], strict=True
        ):
            begin, end = event["begin"] - self.window.begin, event["end"] - self.window.begin
            columns = slice(i, j + 1)
            lower, upper = edges[i : j + 1], edges[i + 1 : j + 2]
            sums[columns, k] += np.maximum(np.minimum(upper, end) - np.maximum(lower, begin), 0)
        winners = np.where(sums.any(axis=1), sums.argmax(axis=1), -1)
        starts = np.flatnonzero(np.diff(winners, prepend=-2))
        ends = np.append(starts[1:], _COLUMNS)
        for k, name in enumerate(names):
            mine = winners[starts] == k
            if mine.any():
                begins = edges[starts[mine]] / self.nanoseconds
                widths = edges[ends[mine]] / self.nanoseconds - begins
                self._rectangles(number, name, begins, widths, bordered=False)

    def _curves(self) -> None:
        least = max((self.window.end - self.window.begin) // 500, 1)
        curves = {}
        top = 0.0
        for number in range(len(self.recording.threads)):
            own = self.events[self.events["thread"] == number]
            times, speeds = rates(own, least)
            if not speeds.any():
                continue
            curves[number] = times, speeds
            # A stretch before a long event can be as short as a few nanoseconds: no scale for it.
            long = np.diff(times) >= least
            top = max(top, float((speeds[:-1][long] if long.any() else speeds).max()))
        for number, (times, speeds) in curves.items():
            base = number + _CURVE_BOTTOM
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
                (1, number + _CURVE_TOP),
                (4, 4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                fontsize=7,
                color=GREY,
                va="top",
            )
            self.axes.axhline(number + _CURVE_TOP, color="#d8d8d8", linewidth=0.5, zorder=0)

    def _labels(self, height: float) -> None:
        """Names of operations in the bars that have room for them; the height is in points."""
        self.axes.figure.draw_without_rendering()  # only then the layout is known
        points = self.axes.get_window_extent().width * 72 / self.axes.figure.dpi
        points /= self.window.end - self.window.begin  # a nanosecond
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
                int(event["thread"]) + (_BAR_TOP + _BAR_BOTTOM) / 2,
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
    gap = ", nothing recorded between them" if recording.every > 1 and len(window.steps) > 1 else ""
    figure.suptitle(
        f"What each thread did: {window.told()} of {recording.steps:,}{gap}",
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
    figure.legend(handles=handles, loc="outside lower center", ncols=max(len(names), 1), fontsize=9)
