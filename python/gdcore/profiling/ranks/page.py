"""The part of a profile's page that tells of several ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gdcore.profiling.page import Page, html_table, key, note, text, trace
from gdcore.profiling.palette import COLOURS
from gdcore.profiling.ranks.exchanges import EXCHANGE, Exchanges, exchanges_of
from gdcore.profiling.ranks.told import PARTS, rank_table
from gdcore.profiling.recording import Rank, Recording
from gdcore.profiling.windows import Window, columns, last_window, unit_of

__all__ = ["ranks_section"]

_MOST_RANKS = 32  # in pictures
_COLUMNS = 1200
_BARS = 4000
_STEPS = 4
_LEGEND = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"}
_COLOURS = dict(
    zip(PARTS, (COLOURS[name] for name in ("forward", EXCHANGE, "wait", "caller")), strict=True)
)


def ranks_section(recording: Recording, page: Page) -> Iterator[str]:
    """What ranks did with their time, who was last, and their last steps by one clock."""
    if not recording.ranks:
        return
    yield "<h2>Ranks</h2>"
    rows = rank_table(recording)
    shown = recording.ranks[:_MOST_RANKS]
    if len(shown) < len(recording.ranks):
        yield note(f"Pictures have the first {len(shown)} of {len(recording.ranks)} ranks.")
    yield page.figure(
        [
            trace(
                "bar",
                name=name,
                orientation="h",
                x=[row[f"{name}, ms"] for row in rows[: len(shown)]],
                y=list(range(len(shown))),
                hovertemplate=f"{name}: %{{x:,.4g}} ms<extra></extra>",
                marker={"color": colour},
            )
            for name, colour in _COLOURS.items()
        ],
        "ranks",
        _height(shown),
        tools=False,
        barmode="stack",
        bargap=0.25,
        legend=_LEGEND,
        xaxis={"title": {"text": "milliseconds of the calling thread"}, "tickformat": ","},
        yaxis=_axis(shown),
    )
    yield html_table(rows)
    yield note(
        "Waiting is from when a rank came to an exchange until the last one did, by rank 0's "
        "clock, where that is longer than the clocks may be off (+- us). Other is the program, "
        "callbacks and data."
    )
    yield from _clocks(recording)
    yield "<h3>The last steps of the calling threads</h3>"
    yield from _timeline(recording, shown, exchanges_of(recording.ranks), page)
    yield note("What follows is of rank 0.")


def _height(ranks: Sequence[Rank]) -> int:
    return 130 + min(max(480 // len(ranks), 18), 40) * len(ranks)


def _axis(ranks: Sequence[Rank]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(ranks))),
        "ticktext": [text(each.name) for each in ranks],
        "range": [len(ranks) - 0.5, -0.5],
        "fixedrange": True,
    }


def _clocks(recording: Recording) -> Iterator[str]:
    sure = [each for each in recording.ranks if each.clock.drift_is_sure]
    if sure:
        fastest = max(sure, key=lambda each: abs(each.clock.drift))
        yield note(
            f"Clocks drifted, by {abs(fastest.clock.drift) * 1e6:.2g} us a second at most "
            f"({fastest.name}); that is taken off."
        )


def _timeline(
    recording: Recording, ranks: Sequence[Rank], found: Exchanges, page: Page
) -> Iterator[str]:
    window = last_window(recording, _BARS, _STEPS)
    if window is None:
        return
    unit, nanoseconds = unit_of(window.end - window.begin)
    bars: dict[str, list[tuple[int, Any, Any]]] = {}
    for place, rank in enumerate(ranks):
        own = rank.recording
        moved = recording.began - own.began
        its = Window(window.begin + moved, window.end + moved, {})
        callers = np.array([each.worker == 0 for each in own.threads], bool)
        events = its.events(own)
        events = events[callers[events["thread"]]]
        for name, begins, widths in columns(own, its, events, _COLUMNS):
            bars.setdefault(name, []).append((place, begins, widths))
    traces = [
        trace(
            "bar",
            name=name,
            orientation="h",
            width=0.8,
            marker={"color": COLOURS[name], "line": {"width": 0}},
            base=np.concatenate([begins for _, begins, _ in bars[name]]) / nanoseconds,
            x=np.concatenate([widths for _, _, widths in bars[name]]) / nanoseconds,
            y=np.concatenate([np.full(len(b), place) for place, b, _ in bars[name]]),
            hovertemplate=f"{name}<extra></extra>",
        )
        for name in COLOURS
        if name in bars
    ]
    first = recording.began + window.begin
    inside = (found.begin < first + window.end - window.begin) & (found.end > first)
    row, column = np.nonzero(inside & (found.waited > 0))
    shown = column < len(ranks)
    row, column = row[shown], column[shown]
    traces.append(
        trace(
            "bar",
            name="waiting for the last rank",
            orientation="h",
            width=0.8,
            marker={
                "color": COLOURS["wait"],
                "line": {"width": 0},
                "pattern": {"shape": "/", "fgcolor": "#B0B0B0", "size": 6, "fillmode": "overlay"},
            },
            base=(found.begin[row, column] - first) / nanoseconds,
            x=found.waited[row, column] / nanoseconds,
            y=column,
            hovertemplate="waiting for the last rank<extra></extra>",
        )
    )
    yield key(bars)
    yield note("Hatched: in an exchange, before the last rank came to it.")
    yield page.figure(
        traces,
        "ranks-timeline",
        _height(ranks),
        showlegend=False,
        barmode="overlay",
        xaxis={
            "title": {"text": f"{unit}, by rank 0's clock"},
            "tickformat": ",",
            "range": [0, (window.end - window.begin) / nanoseconds],
        },
        yaxis=_axis(ranks),
    )
