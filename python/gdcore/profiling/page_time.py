"""The parts of a profile's page that go over time: overview, timelines, threads and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.profiling.overview import Overview, Steps, most_longer
from gdcore.profiling.page import Link, Page, facts, html_table, key, note, text, trace
from gdcore.profiling.palette import COLOURS, HATCHED, NOTHING, family, ink
from gdcore.profiling.recording import Recording
from gdcore.profiling.rows import Rows
from gdcore.profiling.tables import Table, shown
from gdcore.profiling.windows import Window, columns, last_window, unit_of

__all__ = ["memory", "overview_section", "threads", "timeline"]

_BARS = 2000
_IN_VIEW = 80  # of each thread
_SMALL_BARS = 250  # of each thread; of more, columns show which took the most time
_COLUMNS = 400
_BUCKETS = 300
_TRAINERS = 4  # that get an overview of their own
_MOST_MEMORY = 600
_FAINT = "#8A8A8A"
_LEGEND = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"}
_HATCH = {"shape": "/", "fgcolor": "#B0B0B0", "size": 6, "fillmode": "overlay"}
# The columns of the table of threads that add up to all of their time.
_PARTS = {
    "operations": COLOURS["forward"],
    "waiting": COLOURS["wait"],
    "sleeping": COLOURS["sleep"],
    "yielding": COLOURS["yield"],
    "callbacks": COLOURS["callback"],
    "program": COLOURS["caller"],
    "GIL": COLOURS["gil"],
    "recorder": COLOURS["recorder"],
    "other": COLOURS["step"],
}


# ---- overview ----


def overview_section(
    recording: Recording, found: Sequence[Overview], known: Mapping[int, Steps], page: Page
) -> Iterator[str]:
    """How long steps took over the whole run, and those that took longest."""
    if not found:
        yield note("No whole training step was recorded." if len(recording.events) else NOTHING)
        return
    several = len(found) > 1
    for each in found[:_TRAINERS]:
        if several:
            yield f"<h3>{text(str(recording.sources[each.source]))}</h3>"
        yield facts(_figures(each))
        yield _run(recording, each, page)
        yield html_table(_worst(recording, each))
        worst = each.worst[: 2 if several else None]
        yield from _small_timelines(recording, each, worst, known, page)
    if len(found) > _TRAINERS:
        rest = [
            {"trainer": each.name, "steps": len(each.times)} | _microseconds(each)
            for each in found[_TRAINERS:]
        ]
        yield "<h3>Others</h3>" + html_table(Table(rest))


def _microseconds(each: Overview) -> dict[str, float]:
    return {"p50, us": each.p50 / 1e3, "p99, us": each.p99 / 1e3, "slowest, us": each.slowest / 1e3}


def _figures(each: Overview) -> dict[str, str]:
    values = {
        "steps": f"{len(each.times):,}",
        "median (p50)": f"{shown(each.p50 / 1e3)} us",
        "p99": f"{shown(each.p99 / 1e3)} us",
        "slowest": f"{shown(each.slowest / 1e3)} us",
    }
    if each.drift is not None:
        values["drift, last tenth against the first"] = f"{100 * each.drift:+.1f} %"
    return values


def _run(recording: Recording, each: Overview, page: Page) -> str:
    """Step time over the numbers of steps."""
    buckets = each.buckets(_BUCKETS)
    one_each = len(each.times) <= _BUCKETS
    middle = (buckets.first + buckets.last) / 2
    lines = [("each step" if one_each else "median", buckets.median, COLOURS["forward"])]
    if not one_each:
        lines.append(("p99", buckets.p99, COLOURS["data"]))
        lines.append(("longest", buckets.longest, COLOURS["backward"]))
    spans = [
        f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"
        for first, last in zip(buckets.first.tolist(), buckets.last.tolist(), strict=True)
    ]
    numbers = each.steps.numbers[each.worst]
    traces = [
        trace(
            "scatter",
            name=name,
            x=middle,
            y=values / 1e3,
            text=spans,
            mode="markers" if one_each else "lines",
            marker={"color": colour, "size": 4},
            line={"color": colour, "width": 1.2},
            hovertemplate=f"%{{text}}<br>{name}: %{{y:,.4g}} us<extra></extra>",
        )
        for name, values, colour in lines
    ]
    traces.append(
        trace(
            "scatter",
            name="slowest, listed below",
            x=numbers,
            y=each.times[each.worst] / 1e3,
            mode="markers",
            marker={"color": COLOURS["loss"], "size": 8, "symbol": "circle-open"},
            hovertemplate="step %{x:,}: %{y:,.4g} us<extra></extra>",
        )
    )
    # A few steps that took far longer would press all others to the bottom.
    far = each.slowest > 8 * each.p50
    scale: dict[str, Any] = {"type": "log", "dtick": 1} if far else {"rangemode": "tozero"}
    return page.figure(
        traces,
        f"overview-{each.source}",
        300,
        tools=False,
        legend=_LEGEND,
        xaxis={"title": {"text": "training step"}, "tickformat": ","},
        yaxis={
            "title": {"text": "us a step" + (" (logarithmic)" if far else "")},
            "tickformat": ",",
            "showline": True,
            "linecolor": _FAINT,
        }
        | scale,
    )


def _target(each: Overview, index: int) -> str:
    return f"step-{each.source}-{int(each.steps.numbers[index])}"


def _worst(recording: Recording, each: Overview) -> Table:
    return Table(
        {
            "slowest steps": Link(f"step {number:,}", _target(each, index)),
            "us": float(each.times[index] / 1e3),
            "times the median": float(each.times[index] / max(each.p50, 1.0)),
            "began at, s": float(each.span(index)[0] / 1e9),
            "what took longer than in a typical step": most_longer(recording, each, index),
        }
        for index, number in zip(each.worst, each.steps.numbers[each.worst].tolist(), strict=True)
    )


def _small_timelines(
    recording: Recording,
    each: Overview,
    worst: Sequence[int],
    known: Mapping[int, Steps],
    page: Page,
) -> Iterator[str]:
    """Timelines of the slowest steps and of one that is typical."""
    shown_steps = [*worst, *({each.typical} - set(worst))]
    used: set[str] = set()
    parts = []
    for index in shown_steps:
        window = _around(recording, each, index)
        number = next(iter(window.steps))
        rows = Rows.of(recording, window, known)
        events = window.events(recording)
        used |= {family(recording.operations[i]) for i in np.unique(events["operation"])}
        unit, nanoseconds = unit_of(window.end - window.begin)
        kind = "typical step" if index == each.typical else "step"
        target = _target(each, index)
        row = min(max(160 // len(recording.threads), 12), 40)
        axes = _axes(rows, f"{unit} from {window.begin / 1e9:.6f} s on", thin_names=row > 36)
        axes["xaxis"]["range"] = [0, (window.end - window.begin) / nanoseconds]
        figure = page.figure(
            _bars(recording, window, rows, events, page, nanoseconds, _SMALL_BARS),
            f"{target}-timeline",
            65 + int(row * rows.height),
            margin={"t": 5, "b": 40},
            tools=False,
            showlegend=False,
            **axes,
        )
        told = f"{kind} {number:,}: {shown(each.times[index] / 1e3)} us"
        parts.append(f"<section id='{target}'><h4>{text(told)}</h4>{figure}</section>")
    yield key(used)
    yield f"<div class='small'>{''.join(parts)}</div>"


# ---- timelines ----


def timeline(
    recording: Recording, found: Sequence[Overview], known: Mapping[int, Steps], page: Page
) -> Iterator[str]:
    """The last steps, which can be zoomed."""
    window = last_window(recording, _BARS, known=known)
    if window is None:
        yield note(NOTHING)
        return
    if not window.steps and found:  # of a step with very many events, columns tell more than an end
        window = _around(recording, found[0], len(found[0].times) - 1)
    events = window.events(recording)
    unit, nanoseconds = unit_of(window.end - window.begin)
    one_by_one = len(events) <= 4 * _BARS
    yield note(
        f"Here: {window.told()}, {len(events):,} of {len(recording.events):,} events, "
        f"{window.begin / 1e9:.6f} s to {window.end / 1e9:.6f} s after the recording began. "
        + (
            "At first the last few steps are in view: double-click to see all, drag to see a part, "
            "click the legend to hide a phase."
            if one_by_one
            else "So many are drawn as narrow columns, in the colour of most of their time."
        )
    )
    count = len(recording.threads)
    view = window
    if one_by_one:
        view = last_window(recording, _IN_VIEW * count, 3, known) or window
    rows = Rows.of(recording, window, known)
    axes = _axes(rows, f"{unit} after {window.begin / 1e9:.6f} s of the recording")
    axes["xaxis"]["range"] = [(at - window.begin) / nanoseconds for at in (view.begin, view.end)]
    axes["shapes"] += [
        _line(x=(begin - window.begin) / nanoseconds, width=0.7) for begin in window.steps.values()
    ]
    yield page.figure(
        _bars(recording, window, rows, events, page, nanoseconds, len(events) if one_by_one else 0),
        "timeline",
        150 + int(min(max(480 // count, 22), 60) * rows.height),
        legend=_LEGEND,
        **axes,
    )


def _around(recording: Recording, each: Overview, index: int) -> Window:
    """A step, and a little of what is before and behind it."""
    begin, end = each.span(index)
    aside = (end - begin) // 25
    return Window(
        max(begin - aside, 0),
        end + aside,
        {int(each.steps.numbers[index]): begin},
        each.name if len(recording.trainers) > 1 else "",
        recording.sources[each.source].steps,
    )


def _axes(rows: Rows, title: str, *, thin_names: bool = True) -> dict[str, Any]:
    """Rows with their names, the first on top, and time to the right."""
    named = [row for row in rows.rows if thin_names or row.depth is None]
    return {
        "barmode": "overlay",
        "xaxis": {"title": {"text": title, "font": {"size": 12}}, "tickformat": ",", "nticks": 9},
        "yaxis": {
            "tickvals": [row.middle for row in named],
            "ticktext": [text(row.name) for row in named],
            "range": [rows.height, 0],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
        },
        "uniformtext": {"minsize": 9, "mode": "hide"},
        "shapes": [_line(y=border) for border in rows.borders],
    }


def _line(x: float | None = None, y: float | None = None, width: float = 1.0) -> dict[str, Any]:
    """From edge to edge of the axes."""
    upright = x is not None
    along, across = ("y", "x") if upright else ("x", "y")
    at = x if upright else y
    return {
        "type": "line",
        f"{along}ref": "paper",
        f"{along}0": 0,
        f"{along}1": 1,
        f"{across}0": at,
        f"{across}1": at,
        "line": {"color": _FAINT, "width": width},
    }


def _bars(
    recording: Recording,
    window: Window,
    rows: Rows,
    events: NDArray[Any],
    page: Page,
    nanoseconds: float,
    most: int,
) -> Iterator[Any]:
    """A trace for each colour, and one for steps and named ranges.

    Args:
        recording: What is shown.
        window: The part of it.
        rows: Where it is drawn.
        events: Of the window.
        page: Where it goes.
        nanoseconds: What a unit of the axis has.
        most: Of a thread; if one has more, its bars are narrow columns of what took the most time.
    """
    if rows.stretches:
        yield _stretches(window, rows, page, nanoseconds)
    counts = np.bincount(events["thread"], minlength=1)
    if counts.max() > most:
        yield from _merged(recording, window, rows, events, page, nanoseconds)
        return
    middles = np.array([row.middle for row in rows.threads])
    labels = [
        text(each.label.removeprefix("dense_")).replace("_", "<br>", each.op.count("_"))
        if each.phase != "wait"
        else ""
        for each in recording.operations
    ]
    kinds = np.array([family(each) for each in recording.operations])[events["operation"]]
    for name, colour in COLOURS.items():
        own = events[kinds == name]
        if not len(own):
            continue
        yield trace(
            "bar",
            **_bar(name, colour),
            base=(own["begin"] - window.begin) / nanoseconds,
            x=(own["end"] - own["begin"]) / nanoseconds,
            y=middles[own["thread"]],
            text=[labels[i] for i in own["operation"]],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ink(colour)},
            hovertext=[_told(recording, event) for event in own],
            hovertemplate="%{hovertext}<extra></extra>",
        )


def _merged(
    recording: Recording,
    window: Window,
    rows: Rows,
    events: NDArray[Any],
    page: Page,
    nanoseconds: float,
) -> Iterator[Any]:
    parts: dict[str, list[tuple[float, NDArray[Any], NDArray[Any]]]] = {}
    for row in rows.threads:
        own = events[events["thread"] == row.thread]
        for name, begins, widths in columns(recording, window, own, _COLUMNS):
            parts.setdefault(name, []).append((row.middle, begins, widths))
    for name, colour in COLOURS.items():
        if name in parts:
            yield trace(
                "bar",
                **_bar(name, colour),
                base=np.concatenate([begins for _, begins, _ in parts[name]]) / nanoseconds,
                x=np.concatenate([widths for _, _, widths in parts[name]]) / nanoseconds,
                y=np.concatenate([np.full(len(b), middle) for middle, b, _ in parts[name]]),
                hovertemplate=f"mostly {name}<extra></extra>",
            )


def _bar(name: str, colour: str) -> dict[str, Any]:
    hatch = _HATCH if name == HATCHED else None
    return {
        "name": name,
        "orientation": "h",
        "width": 0.84,
        "marker": {"color": colour, "line": {"width": 0}, "pattern": hatch},
    }


def _stretches(window: Window, rows: Rows, page: Page, nanoseconds: float) -> Any:
    """Steps and named ranges, with their names where there is room for them."""
    found = rows.stretches
    return trace(
        "bar",
        name="steps and ranges",
        orientation="h",
        showlegend=False,
        base=[(each.begin - window.begin) / nanoseconds for each in found],
        x=[(each.end - each.begin) / nanoseconds for each in found],
        y=[each.row.middle for each in found],
        width=[0.86 * each.row.height for each in found],
        text=[text(each.text) for each in found],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"color": "#7A7A7A"},
        hovertext=[
            f"<b>{text(each.told)}</b><br>{shown((each.end - each.begin) / 1e3)} us"
            for each in found
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        marker={"color": "rgba(128,128,128,0.14)", "line": {"color": _FAINT, "width": 0.6}},
    )


def _told(recording: Recording, event: Any) -> str:
    """What is shown of an event that is pointed at."""
    operation = recording.operations[event["operation"]]
    time = int(event["end"] - event["begin"])
    lines = [
        f"<b>{text(operation.label)}</b> {text(operation.arithmetic)}",
        f"{text(recording.threads[event['thread']].name)}, step {int(event['step']):,}",
        f"{shown(time / 1e3)} us",
    ]
    if event["flops"]:
        lines.append(f"{shown(float(event['flops']) / max(time, 1))} GFLOP/s")
    if event["bytes"]:
        lines.append(f"{shown(float(event['bytes']) / max(time, 1))} GB/s")
    if event["waits_for"]:
        lines.append(f"waits for {text(recording.operations[event['waits_for']].label)}")
    return "<br>".join(lines)


# ---- threads and memory ----


def threads(rows: Table, page: Page) -> Iterator[str]:
    """What each thread spent its time with, from the table by thread."""
    if not rows:
        yield note(NOTHING)
        return
    names = [text(str(row["thread"])) for row in rows]
    yield page.figure(
        [
            trace(
                "bar",
                name=name,
                orientation="h",
                x=[row[f"{name} %"] for row in rows],
                y=list(range(len(rows))),
                hovertemplate=f"{name}: %{{x:.3g}} %<extra></extra>",
                marker={"color": colour},
            )
            for name, colour in _PARTS.items()
            if f"{name} %" in rows[0]
        ],
        "threads",
        tools=False,
        height=130 + min(max(480 // len(rows), 18), 40) * len(rows),
        barmode="stack",
        bargap=0.25,
        legend=_LEGEND,
        xaxis={"title": {"text": "% of the thread's time"}, "range": [0, 100.5]},
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": names,
            "range": [len(rows) - 0.5, -0.5],
            "fixedrange": True,
        },
    )


def memory(recording: Recording, page: Page) -> Iterator[str]:
    """The process's memory over time, where it was looked at often enough."""
    told = recording.memory
    if len(told) <= 2:
        return
    starts = np.unique(np.linspace(0, len(told), _MOST_MEMORY + 1)[:-1].astype(np.int64))
    most = np.maximum.reduceat(told, starts, axis=0)
    yield "<h2>Memory</h2>"
    last = told[-1, 1:] / 2**20
    yield note(
        f"At the end the process had {last[0]:,.0f} MiB in memory, gdcore's own buffers "
        f"{last[1]:,.1f} MiB of them. The most: {told[:, 1].max() / 2**20:,.0f} MiB and "
        f"{told[:, 2].max() / 2**20:,.1f} MiB."
    )
    yield page.figure(
        [
            trace(
                "scatter",
                name=name,
                x=told[starts, 0] / 1e9,
                y=most[:, column] / 2**20,
                mode="lines",
                line={"color": colour, "width": 1.5, "shape": "hv"},
                hovertemplate=f"{name}: %{{y:,.1f}} MiB at %{{x:.3f}} s<extra></extra>",
            )
            for name, column, colour in (
                ("process", 1, COLOURS["forward"]),
                ("gdcore's own", 2, COLOURS["backward"]),
            )
        ],
        "memory",
        240,
        tools=False,
        legend=_LEGEND,
        xaxis={"title": {"text": "seconds after the recording began"}, "tickformat": ","},
        yaxis={"title": {"text": "MiB"}, "rangemode": "tozero", "tickformat": ","},
    )
