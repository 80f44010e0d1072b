"""The roofline on a profile's page, in three widths: what names fit depends on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdcore.profiling.limits import Limits, limits
from gdcore.profiling.page import Page, key, note, text, trace
from gdcore.profiling.palette import COLOURS, GREY, NOTHING
from gdcore.profiling.recording import Recording
from gdcore.profiling.roofline import (
    Line,
    Placed,
    Point,
    arranged,
    grouped,
    labelled,
    lines,
    notes,
    phase_of,
    points,
    spans,
    told,
)
from gdcore.profiling.tables import shown

__all__ = ["roofline"]

_LETTER = 7.0, 15.0  # pixels, a little more than letters take
_FONT = 12


@dataclass(frozen=True)
class _Form:
    """A width of the page: the class of its element, and the figure's pixels."""

    name: str
    width: int
    height: int
    left: int
    numbered: bool

    @property
    def margin(self) -> dict[str, int]:
        return {"l": self.left, "r": 10, "t": 30, "b": 45}

    @property
    def size(self) -> tuple[int, int]:
        """Of the axes."""
        margin = self.margin
        return self.width - margin["l"] - margin["r"], self.height - margin["t"] - margin["b"]


_FORMS = (
    _Form("broad", 1200, 600, 80, numbered=False),
    _Form("medium", 700, 560, 80, numbered=False),
    _Form("narrow", 330, 400, 62, numbered=True),
)


def roofline(recording: Recording, page: Page) -> Iterator[str]:
    """Points under the machine's limits."""
    found, left_out = grouped(points(recording))
    if not found:
        yield note("No arithmetic was recorded." if len(recording.events) else NOTHING)
        return
    most = limits(recording, caches=True)
    yield note("; ".join(told(most, name) for name in (*most.bytes, *most.flops)) + ".")
    yield note(" ".join(notes(found, most)))
    if left_out:
        share = 100 * sum(point.share for point in left_out)
        yield note(f"{len(left_out):,} more points, {shown(share)} % of the time, are not shown.")
    yield key(phase_of(point) for point in found)
    for form in _FORMS:
        yield f"<div class='{form.name}'>{_figure(form, found, most, page)}</div>"
    listed = "; ".join(f"{i} {name}" for i, (_, name) in enumerate(labelled(found, most), start=1))
    yield f"<div class='narrow'>{note(listed)}</div>"


def _figure(form: _Form, found: Sequence[Point], most: Limits, page: Page) -> str:
    spread = spans(found, most)
    across, up = spread
    limit_lines = lines(most, across)
    chosen = [(point, " ".join(name.split())) for point, name in labelled(found, most)]
    if form.numbered:
        chosen = [(point, str(i)) for i, (point, _) in enumerate(chosen, start=1)]
    named = [(line, _name(line, form)) for line in limit_lines]

    def radius(point: Point) -> float:
        return _across(point) / 2

    labels = arranged(found, chosen, named, spread, form.size, radius, _LETTER)
    title = "GFLOP/s" if form.numbered else "GFLOP/s of all workers (logarithmic)"
    return page.figure(
        [*_lines(limit_lines, page), *_points(found, page)],
        f"roofline-{form.name}",
        form.height,
        form.width,
        form.margin,
        showlegend=False,
        annotations=list(_annotations(labels, form)),
        xaxis=_decades("FLOP/byte (logarithmic)", across),
        yaxis=_decades(title, (up[0] / 1e9, up[1] / 1e9)),
    )


def _name(line: Line, form: _Form) -> str:
    return line.text if line.main and form.name == "broad" else line.name


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
        "automargin": False,  # the labels' places are for axes of this size
    }


def _lines(found: Sequence[Line], page: Page) -> Iterator[Any]:
    for line in found:
        yield trace(
            "scatter",
            x=[line.begin[0], line.end[0]],
            y=[line.begin[1] / 1e9, line.end[1] / 1e9],
            mode="lines",
            line={
                "color": "#808080",
                "width": 2 if line.main else 1,
                "dash": "solid" if line.main else "dash",
            },
            hoverinfo="skip",
        )


def _points(found: Sequence[Point], page: Page) -> Iterator[Any]:
    for name, colour in COLOURS.items():
        own = [point for point in found if phase_of(point) == name]
        if own:
            yield trace(
                "scatter",
                name=name,
                x=[point.flops_per_byte for point in own],
                y=[point.flops_per_second / 1e9 for point in own],
                mode="markers",
                text=[
                    f"<b>{text(point.label)}</b> {text(point.arithmetic)}<br>"
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


def _across(point: Point) -> float:
    """The diameter in pixels; the area goes by the share of the time."""
    return float((25 + 1800 * point.share) ** 0.5)


def _annotations(labels: Sequence[Placed], form: _Form) -> Iterator[dict[str, Any]]:
    for label in labels:
        style = {"xanchor": "left", "yanchor": "bottom", "borderpad": 0, "font": {"size": _FONT}}
        text_alone = style | {"text": text(label.text), "showarrow": False}
        if label.point is None:
            places = zip(label.corner, form.size, strict=True)
            x, y = (corner / side for corner, side in places)
            yield text_alone | {"xref": "paper", "yref": "paper", "x": x, "y": y}
            continue
        point = label.point
        at = np.log10([point.flops_per_byte, point.flops_per_second / 1e9]).tolist()
        data = {"x": at[0], "y": at[1]}
        left, up = (to - start for to, start in zip(label.corner, label.at, strict=True))
        yield text_alone | data | {"xshift": left, "yshift": up}
        if label.led:
            right, up = (to - start for to, start in zip(label.nearest, label.at, strict=True))
            arrow = {"arrowhead": 0, "arrowwidth": 0.8, "arrowcolor": GREY}
            yield data | arrow | {"text": "", "showarrow": True, "ax": right, "ay": -up}
