"""What notebooks show: tables and curves that read on light and on dark pages.

Text and lines take the page's colour. Those that must be told apart, of Okabe and Ito, "Color
universal design", 2008, stand out from white and from black; their blue is too dark for that, and a
lighter one takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["curves", "items", "table"]

_COLOURS = ("#2B8CD6", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_WIDTH, _HEIGHT = 460, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 34


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: int = 1,
    caption: str = "",
    foot: Sequence[str] = (),
) -> str:
    """A table, whose first ``left`` columns are text and the others numbers."""

    def row(cells: Sequence[str], kind: str) -> str:
        told = (
            f"<{kind} style='text-align:{'left' if place < left else 'right'}'>{escape(cell)}"
            f"</{kind}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(told)}</tr>"

    title = (
        f"<caption style='text-align:left;white-space:nowrap'>{escape(caption)}</caption>"
        if caption
        else ""
    )
    body = "".join(row(each, "td") for each in rows)
    end = f"<tfoot>{row(foot, 'th')}</tfoot>" if foot else ""
    return f"<table>{title}<thead>{row(head, 'th')}</thead><tbody>{body}</tbody>{end}</table>"


def items(sentences: Sequence[str]) -> str:
    """A list of sentences."""
    return f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in sentences)}</ul>"


def curves(lines: Mapping[str, Sequence[float]], what: str) -> str:
    """An SVG of lines over epochs 1 to n; NaN and infinity leave gaps. Empty without a number."""
    there = [value for line in lines.values() for value in line if math.isfinite(value)]
    if not there:
        return ""
    low, high = min(there), max(there)
    if low == high:
        low, high = low - max(abs(low), 1e-3) / 2, high + max(abs(high), 1e-3) / 2
    last = max(map(len, lines.values()))

    def x(epoch: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (epoch - 1) / max(last - 1, 1)

    def y(value: float) -> float:
        # Halves first: the difference of two large numbers may be infinite.
        share = (value / 2 - low / 2) / (high / 2 - low / 2)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    parts = [_axes(low, high, last, what)]
    for place, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        parts += _line([(x(k), y(v)) if math.isfinite(v) else None for k, v in enumerate(line, 1)],
                       colour)  # fmt: skip
        top = _TOP + 12 + 15 * place
        parts.append(
            f"<path d='M{_WIDTH - 130},{top - 4}h18' stroke='{colour}' stroke-width='2'/>"
            f"<text x='{_WIDTH - 106}' y='{top}' fill='currentColor'>{escape(name)}</text>"
        )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}' "
        f"viewBox='0 0 {_WIDTH} {_HEIGHT}' fill='none' role='img' aria-label='{escape(what)} by "
        f"epoch' style='max-width:100%;font:11px sans-serif'>{''.join(parts)}</svg>"
    )


def _axes(low: float, high: float, last: int, what: str) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    heights = ((high, _TOP), (low / 2 + high / 2, (_TOP + bottom) / 2), (low, bottom))
    grid = "".join(f"M{_LEFT},{at:.1f}H{right}" for _, at in heights[:2])
    words = "".join(
        f"<text x='{_LEFT - 6}' y='{at + 4:.1f}' text-anchor='end'>{value:.3g}</text>"
        for value, at in heights
    )
    words += f"<text x='{_LEFT}' y='{bottom + 14}' text-anchor='middle'>1</text>"
    if last > 1:
        words += f"<text x='{right}' y='{bottom + 14}' text-anchor='end'>{last:,}</text>"
    words += (
        f"<text x='{(_LEFT + right) / 2}' y='{_HEIGHT - 6}' text-anchor='middle'>epoch</text>"
        f"<text transform='translate(12 {(_TOP + bottom) / 2}) rotate(-90)' "
        f"text-anchor='middle'>{escape(what)}</text>"
    )
    return (
        f"<path d='M{_LEFT},{_TOP}V{bottom}H{right}' stroke='currentColor'/>"
        f"<path d='{grid}' stroke='currentColor' stroke-opacity='0.15'/>"
        f"<g fill='currentColor'>{words}</g>"
    )


def _line(points: Sequence[tuple[float, float] | None], colour: str) -> list[str]:
    """The stretches between gaps; a point alone is a dot."""
    found: list[str] = []
    stretch: list[tuple[float, float]] = []
    for point in [*points, None]:
        if point is not None:
            stretch.append(point)
        elif len(stretch) == 1:
            found.append(f"<circle cx='{stretch[0][0]:.1f}' cy='{stretch[0][1]:.1f}' r='3' "
                         f"fill='{colour}'/>")  # fmt: skip
            stretch = []
        elif stretch:
            path = "L".join(f"{across:.1f},{down:.1f}" for across, down in stretch)
            found.append(f"<path d='M{path}' stroke='{colour}' stroke-width='2'/>")
            stretch = []
    return found
