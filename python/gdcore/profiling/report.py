"""One page that shows a whole recording, and needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from gdcore.files import written_beside
from gdcore.profiling.advice import advise
from gdcore.profiling.extras import needed
from gdcore.profiling.palette import COLOURS, GREY, HATCHED, NOTHING, OTHER, family, ink, offsets
from gdcore.profiling.recording import Recording
from gdcore.profiling.roofline import Limits, Point, labelled, limits, notes, points, spans
from gdcore.profiling.tables import BY, Table, shown, table
from gdcore.profiling.timeline import Window, last_window, unit_of

__all__ = ["write_report"]

_BARS = 2000
_IN_VIEW = 80  # of each thread
_FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#1a1a1a"}
# Nothing is loaded from anywhere: a browser holds the page to it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; form-action 'none'; base-uri 'none'"
)
_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
    "plotlyServerURL": "",
    "responsive": True,
    "showSendToCloud": False,
}
_CSS = """
:root { color-scheme: light; }
body { background: #fff; color: #1a1a1a; font: 15px/1.5 system-ui, sans-serif;
       margin: 2rem auto; max-width: 1340px; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { border-top: 1px solid #ddd; font-size: 1.2rem; margin: 2rem 0 .5rem; padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p.note { color: #555; margin: .3rem 0; }
ul.facts { color: #333; list-style: none; margin: 0; padding: 0; }
ul.facts li { display: inline-block; margin-right: 1.6em; white-space: nowrap; }
ul.facts b { font-variant-numeric: tabular-nums; font-weight: 600; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #e6e6e6; padding: .2rem .55rem; text-align: left;
         white-space: nowrap; }
th { border-bottom: 2px solid #999; vertical-align: bottom; }
tbody tr:hover { background: #f3f6f9; }
.number { text-align: right; }
"""
_TITLES = {"op": "By operation", "layer": "By layer", "phase": "By phase", "thread": "By thread"}
# The columns of the table of threads that add up to all of their time.
_PARTS = {
    "operations": COLOURS["forward"],
    "waiting": COLOURS["wait"],
    "sleeping": COLOURS["sleep"],
    "callbacks": COLOURS["callback"],
    "program": COLOURS["caller"],
    "other": COLOURS["step"],
}


def write_report(recording: Recording, path: Path) -> None:
    """Writes an HTML page with facts, advice, timeline, threads, tables and roofline.

    The machine's limits are measured where they are not known yet, in about a second.

    Args:
        recording: What to show.
        path: The file to write.

    Raises:
        ImportError: plotly is not installed.
        OSError: The file cannot be written.
    """
    page = _Page()
    parts = [
        "<h1>gdcore profile</h1>",
        _facts(recording),
        "<h2>Advice</h2>",
        *_advice(recording),
        "<h2>Timeline</h2>",
        *_timeline(recording, page),
        "<h2>Threads</h2>",
        *_threads(recording, page),
        "<h3>Hardware counters</h3>",
        *_counters(recording),
        "<h2>Tables</h2>",
        "<p class='note'>Times are of all threads together.</p>",
        *_tables(recording),
        "<h2>Roofline</h2>",
        *_roofline(recording, page),
    ]
    head = (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>gdcore profile</title><style>{_CSS}</style></head>\n<body>\n"
    )
    with written_beside(path) as file:
        file.write((head + "\n".join(parts) + "\n</body></html>\n").encode())


class _Page:
    """Figures, the first of which brings plotly.js along."""

    def __init__(self) -> None:
        self.figures = needed("plotly.graph_objects")
        self._io = needed("plotly.io")
        self._begun = False

    def figure(self, data: Iterable[Any], name: str, height: int, **layout: Any) -> str:
        """The HTML of a figure whose element has that name."""
        figure = self.figures.Figure(data=list(data))
        figure.update_layout(
            template="plotly_white",
            height=height,
            font=_FONT,
            margin={"l": 90, "r": 20, "t": 30, "b": 50},
            **layout,
        )
        text: str = self._io.to_html(
            figure,
            config=_CONFIG,
            include_plotlyjs=not self._begun,
            include_mathjax=False,
            full_html=False,
            default_height=f"{height}px",
            div_id=name,
        )
        self._begun = True
        return text


def _text(value: str) -> str:
    """Text as HTML and as plotly both show it: that reads some HTML, and TeX between dollars."""
    return escape(" ".join(value.split())).replace("$", "&#36;")


def _note(text: str) -> str:
    return f"<p class='note'>{_text(text)}</p>"


# ---- facts and advice ----


def _facts(recording: Recording) -> str:
    machine = recording.machine
    memory = recording.bytes_per_thread * len(recording.threads)
    facts = {
        "seconds": shown(recording.nanoseconds / 1e9),
        "training steps": shown(recording.steps),
        "threads": shown(len(recording.threads)),
        "events": shown(len(recording.events)),
        "dropped": shown(recording.dropped),
        "every": shown(recording.every),
        "most memory of the recorder": f"{memory / 2**20:,.0f} MiB",
        "isa": machine.isa,
        "cpus": shown(machine.cpus),
    }
    if machine.quota is not None:
        facts["quota"] = f"{shown(machine.quota)} CPUs"
    if recording.threads_left_out:
        facts["threads left out"] = shown(recording.threads_left_out)
    items = (f"<li>{_text(name)} <b>{_text(value)}</b></li>" for name, value in facts.items())
    return f"<ul class='facts'>{''.join(items)}</ul>"


def _advice(recording: Recording) -> Iterator[str]:
    sentences = advise(recording)
    if not sentences:
        yield _note("Nothing stands out.")
        return
    yield "<ul>" + "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences) + "</ul>"


# ---- over time ----


def _timeline(recording: Recording, page: _Page) -> Iterator[str]:
    window = last_window(recording, _BARS)
    if window is None:
        yield _note(NOTHING)
        return
    events = window.events(recording)
    unit, nanoseconds = unit_of(window.end - window.begin)
    yield _note(
        f"Here: {window.told()} of {recording.steps:,}, {len(events):,} of "
        f"{len(recording.events):,} events, {window.begin / 1e9:.6f} s to {window.end / 1e9:.6f} s "
        "after the recording began. At first the last few steps are in view: double-click to see "
        "all, drag to see a part, click the legend to hide a phase."
    )
    count = len(recording.threads)
    view = last_window(recording, _IN_VIEW * count, steps=3) or window
    yield page.figure(
        _bars(recording, window, events, page, nanoseconds),
        "timeline",
        150 + min(max(900 // count, 22), 70) * count,
        barmode="overlay",
        uniformtext={"minsize": 11, "mode": "hide"},
        bargap=0.2,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={
            "title": {"text": f"{unit} after {window.begin / 1e9:.6f} s of the recording"},
            "tickformat": ",",
            "range": [(at - window.begin) / nanoseconds for at in (view.begin, view.end)],
        },
        yaxis=_rows(recording),
        shapes=[
            {
                "type": "line",
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "x0": (begin - window.begin) / nanoseconds,
                "x1": (begin - window.begin) / nanoseconds,
                "line": {"color": "#000000", "width": 0.7},
            }
            for begin in window.steps.values()
        ],
    )


def _rows(recording: Recording) -> dict[str, Any]:
    """A vertical axis with the threads' names, the first on top."""
    names = [_text(thread.name) for thread in recording.threads]
    numbers = list(range(len(names)))
    limits = [len(names) - 0.5, -0.5]
    return {"tickvals": numbers, "ticktext": names, "range": limits, "fixedrange": True}


def _bars(
    recording: Recording, window: Window, events: Any, page: _Page, nanoseconds: float
) -> Iterator[Any]:
    """A trace for each colour."""
    labels = [
        _text(each.label.removeprefix("dense_")).replace("_", "<br>", each.op.count("_"))
        if each.phase != "wait"
        else ""
        for each in recording.operations
    ]
    kinds = np.array([family(each) for each in recording.operations])[events["operation"]]
    for name, colour in COLOURS.items():
        own = events[kinds == name]
        if not len(own):
            continue
        yield page.figures.Bar(
            name=name,
            orientation="h",
            base=(own["begin"] - window.begin) / nanoseconds,
            x=(own["end"] - own["begin"]) / nanoseconds,
            y=own["thread"].astype(int),
            text=[labels[i] for i in own["operation"]],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ink(colour)},
            hovertext=[_told(recording, event) for event in own],
            hovertemplate="%{hovertext}<extra></extra>",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {
                    "shape": "/" if name == HATCHED else "",
                    "fgcolor": "#B0B0B0",
                    "size": 6,
                },
            },
        )


def _told(recording: Recording, event: Any) -> str:
    """What is shown of an event that is pointed at."""
    operation = recording.operations[event["operation"]]
    time = int(event["end"] - event["begin"])
    lines = [
        f"<b>{_text(operation.label)}</b> {_text(operation.arithmetic)}",
        f"{_text(recording.threads[event['thread']].name)}, step {int(event['step']):,}",
        f"{shown(time / 1e3)} us",
    ]
    if event["flops"]:
        lines.append(f"{shown(float(event['flops']) / max(time, 1))} GFLOP/s")
    if event["bytes"]:
        lines.append(f"{shown(float(event['bytes']) / max(time, 1))} GB/s")
    if event["waits_for"]:
        lines.append(f"waits for {_text(recording.operations[event['waits_for']].label)}")
    return "<br>".join(lines)


def _threads(recording: Recording, page: _Page) -> Iterator[str]:
    if not len(recording.events):
        yield _note(NOTHING)
        return
    rows = table(recording, "thread")
    yield page.figure(
        [
            page.figures.Bar(
                name=name,
                orientation="h",
                x=[row[f"{name} %"] for row in rows],
                y=list(range(len(rows))),
                hovertemplate=f"{name}: %{{x:.3g}} %<extra></extra>",
                marker={"color": colour},
            )
            for name, colour in _PARTS.items()
        ],
        "threads",
        130 + min(max(600 // len(rows), 20), 40) * len(rows),
        barmode="stack",
        bargap=0.25,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"title": {"text": "% of the thread's time"}, "range": [0, 100.5]},
        yaxis=_rows(recording),
    )


# ---- numbers ----


def _counters(recording: Recording) -> Iterator[str]:
    counted = [thread for thread in recording.threads if thread.counters]
    if not counted:
        yield _note(recording.counters_error or "not asked for")
        return
    keys = list(dict.fromkeys(key for each in counted for key in each.counters or ()))
    rows = []
    for thread in recording.threads:
        counters = thread.counters or {}
        rows.append(
            {"thread": thread.name} | {key.replace("_", " "): counters.get(key) for key in keys}
        )
    yield _html(Table(rows))


def _tables(recording: Recording) -> Iterator[str]:
    for by in BY:
        yield f"<h3>{_TITLES[by]}</h3>"
        rows = table(recording, by)
        yield _html(rows) if rows else _note(NOTHING)


def _html(rows: Table) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    numeric = {key for key in keys if any(isinstance(row.get(key), (int, float)) for row in rows)}

    def line(tag: str, cells: Sequence[str]) -> str:
        marked = (
            f"<{tag}{' class=number' if key in numeric else ''}>{escape(cell)}</{tag}>"
            for key, cell in zip(keys, cells, strict=True)
        )
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(line("td", [shown(row.get(key)) for key in keys]) for row in rows)
    return (
        f"<div class='wide'><table><thead>{line('th', keys)}</thead>\n"
        f"<tbody>{body}</tbody></table></div>"
    )


# ---- roofline ----


def _roofline(recording: Recording, page: _Page) -> Iterator[str]:
    found = points(recording)
    if not found:
        yield _note("No arithmetic was recorded." if len(recording.events) else NOTHING)
        return
    most = limits(recording)
    across, up = spans(found, most)
    for text in (f"{most.memory}; {most.arithmetic}.", *notes(found, most)):
        yield _note(text)
    ridge = most.flops_per_second / most.bytes_per_second
    ceiling = most.flops_per_second / 1e9
    roof = page.figures.Scatter(
        x=[across[0], ridge, across[1]],
        y=[across[0] * most.bytes_per_second / 1e9, ceiling, ceiling],
        mode="lines",
        line={"color": "#000000", "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )
    height = 560
    yield page.figure(
        [roof, *_points(found, page)],
        "roofline",
        height,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "itemsizing": "constant"},
        annotations=_labels(found, most, height),
        xaxis=_decades("FLOP/byte (logarithmic)", across),
        yaxis=_decades("GFLOP/s of all workers (logarithmic)", (up[0] / 1e9, up[1] / 1e9)),
    )


def _decades(title: str, span: tuple[float, float]) -> dict[str, Any]:
    low, high = np.log10(span).tolist()
    return {
        "title": {"text": title},
        "type": "log",
        "range": [low, high],
        "dtick": 1,
        "tickformat": ",",
        "showline": True,
        "linecolor": GREY,
    }


def _points(found: Sequence[Point], page: _Page) -> Iterator[Any]:
    for name, colour in COLOURS.items():
        own = [point for point in found if _phase(point) == name]
        if own:
            yield page.figures.Scatter(
                name=name,
                x=[point.flops_per_byte for point in own],
                y=[point.flops_per_second / 1e9 for point in own],
                mode="markers",
                text=[
                    f"<b>{_text(point.label)}</b> {_text(point.arithmetic)}<br>"
                    f"{shown(point.flops_per_second / 1e9)} GFLOP/s<br>"
                    f"{shown(point.flops_per_byte)} FLOP/byte<br>"
                    f"{shown(100 * point.share)} % of the time"
                    for point in own
                ],
                hovertemplate="%{text}<extra></extra>",
                marker={
                    "color": colour,
                    "opacity": 0.75,
                    "size": [_across(point) for point in own],
                    "line": {"color": "#FFFFFF", "width": 1},
                },
            )


def _phase(point: Point) -> str:
    return point.phase if point.phase in COLOURS else OTHER


def _across(point: Point) -> float:
    """The diameter in pixels; the area goes by the share of the time."""
    return float((25 + 1800 * point.share) ** 0.5)


def _labels(found: Sequence[Point], most: Limits, height: int) -> list[dict[str, Any]]:
    """Names beside the points, as annotations."""
    chosen = labelled(found, most)
    spread = spans(found, most)
    pixels = (1100, height - 80)  # about what the axes have
    places, starts = [], []
    for point, _ in chosen:
        values = point.flops_per_byte, point.flops_per_second
        x, y = (
            np.log10(value / low) / np.log10(high / low) * size
            for value, (low, high), size in zip(values, spread, pixels, strict=True)
        )
        places.append(tuple(np.log10([values[0], values[1] / 1e9]).tolist()))
        starts.append((float(x) + _across(point) / 2 + 12, float(y)))
    moved = offsets(starts, [7 * len(text) for _, text in chosen], 15)
    return [
        {
            "x": at[0],
            "y": at[1],
            "text": _text(text),
            "ax": _across(point) / 2 + 12 + right,
            "ay": -upwards,
            "xanchor": "left",
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 0.7,
            "arrowcolor": GREY,
            "bgcolor": "rgba(255, 255, 255, 0.8)",
            "borderpad": 0,
            "font": {"size": 12, "color": COLOURS[_phase(point)]},
        }
        for (point, text), at, (right, upwards) in zip(chosen, places, moved, strict=True)
    ]
