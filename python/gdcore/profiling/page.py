"""What every part of a profile's page is made of: text, tables, figures and their style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from gdcore.profiling.extras import needed
from gdcore.profiling.palette import COLOURS
from gdcore.profiling.tables import Table, shown

__all__ = ["Link", "Page", "document", "facts", "html_table", "key", "note", "text", "trace"]

_ROWS = 40  # of a table that is shown whole
_ROWS_OF_MORE = 25  # of a longer one, before the rest
_ROWS_FOLDED = 400
# What the rows that are left out have together.
_ADDED = frozenset(("count", "events", "ms", "%", "us/step", "waited for, us/step"))

# Nothing is loaded from anywhere: a browser holds the page to it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; form-action 'none'; base-uri 'none'"
)
_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
    "plotlyServerURL": "",
    "showSendToCloud": False,
}
_FONT = {"family": "system-ui, sans-serif", "size": 12, "color": "#1a1a1a"}
# Plotly writes its colours into each element; the page's own win where they are important.
_CSS = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --soft: #555; --line: #e2e2e2;
        --strong: #999; --hover: #f3f6f9; --link: #0059a0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e6e6e6; --soft: #a8adb3; --line: #34383d;
          --strong: #6d737a; --hover: #22262b; --link: #7cc0f5; }
}
* { box-sizing: border-box; }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
       margin: 1.5rem auto; max-width: 1300px; overflow-wrap: anywhere; padding: 0 .8rem; }
a { color: var(--link); }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { border-top: 1px solid var(--line); font-size: 1.2rem; margin: 1.6rem 0 .4rem;
     padding-top: .8rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
h4 { font-size: .9rem; font-weight: 600; margin: .4rem 0 0; }
p.note { color: var(--soft); margin: .3rem 0; }
ul.facts, ul.key { list-style: none; margin: 0; padding: 0; }
ul.facts li { display: inline-block; margin-right: 1.6em; }
ul.facts b { font-variant-numeric: tabular-nums; font-weight: 600; }
ul.key li { display: inline-block; font-size: 13px; margin-right: 1.2em; }
ul.key i { border-radius: 2px; display: inline-block; height: .8em; margin-right: .4em;
           width: .8em; }
div.wide { overflow-x: auto; }
div.folded { max-height: 28rem; overflow: auto; }
div.small { display: grid; gap: .2rem 1rem;
            grid-template-columns: repeat(auto-fill, minmax(min(100%, 540px), 1fr)); }
div.small > section { min-width: 0; }
div.small > section:target { outline: 2px solid var(--link); }
summary { color: var(--link); cursor: pointer; font-size: 13px; padding: .2rem 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums;
        overflow-wrap: normal; }
th, td { border-bottom: 1px solid var(--line); padding: .15rem .55rem; text-align: left;
         white-space: nowrap; }
th { border-bottom: 2px solid var(--strong); vertical-align: bottom; }
tbody tr:hover { background: var(--hover); }
.number { text-align: right; }
.narrow, .medium, .broad { display: none; }
@media (max-width: 759px) { .narrow { display: block; } }
@media (min-width: 760px) and (max-width: 1249px) { .medium { display: block; } }
@media (min-width: 1250px) { .broad { display: block; } }
.js-plotly-plot .main-svg text:not(.bartext):not(.nums):not(.name) { fill: var(--ink) !important; }
.js-plotly-plot .gridlayer path, .js-plotly-plot .zerolinelayer path {
  stroke: var(--line) !important; }
"""


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads to an element of the page."""

    words: str
    target: str


class Page:
    """Figures, the first of which brings plotly.js along."""

    def __init__(self) -> None:
        self._io = needed("plotly.io")
        self._begun = False

    def figure(
        self,
        data: Iterable[dict[str, Any]],
        name: str,
        height: int,
        width: int | None = None,
        margin: Mapping[str, int] | None = None,
        *,
        tools: bool = True,
        **layout: Any,
    ) -> str:
        """The HTML of a figure whose element has that name.

        Args:
            data: Traces, such as `trace` gives.
            name: The element's id.
            height: In pixels.
            width: The same; None for as wide as the page is.
            margin: Pixels around the axes, where they differ from those of all figures.
            tools: Whether buttons to zoom and save appear above it.
            layout: More of the layout.
        """
        for axis in ("xaxis", "yaxis"):
            style = {"automargin": True, "gridcolor": "#E2E2E2"}
            title = {"standoff": 12} | layout[axis].get("title", {})
            layout[axis] = style | layout[axis] | {"title": title}
        base: dict[str, Any] = {
            "height": height,
            "width": width,
            "font": _FONT,
            "hovermode": "closest",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": "#8A8A8A",
                "activecolor": "#0072B2",
            },
            "margin": {"l": 80, "r": 15, "t": 30, "b": 45} | dict(margin or {}),
        }
        html: str = self._io.to_html(
            {"data": list(data), "layout": base | layout},
            validate=False,  # it would take most of the time
            config=_CONFIG | {"responsive": width is None, "displayModeBar": tools and "hover"},
            include_plotlyjs=not self._begun,
            include_mathjax=False,
            full_html=False,
            default_height=f"{height}px",
            div_id=name,
        )
        self._begun = True
        return html


def trace(kind: str, **values: Any) -> dict[str, Any]:
    """A trace of a figure, with the attributes that plotly has for its kind."""
    return {"type": kind} | {name: value for name, value in values.items() if value is not None}


def document(parts: Iterable[str], title: str = "gdcore profile", style: str = "") -> bytes:
    """The page as a file's content; ``style`` is CSS beside that of all pages."""
    head = (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{text(title)}</title><style>{_CSS}{style}</style></head>\n<body>\n"
    )
    return (head + "\n".join(parts) + "\n</body></html>\n").encode()


def text(value: str) -> str:
    """Text as HTML and as plotly both show it: that reads some HTML, and TeX between dollars."""
    return escape(" ".join(value.split())).replace("$", "&#36;")


def note(value: str) -> str:
    """A paragraph of what to know."""
    return f"<p class='note'>{text(value)}</p>"


def facts(values: Mapping[str, str]) -> str:
    """Names and what is known of them, in a line or a few."""
    items = (f"<li>{text(name)} <b>{text(value)}</b></li>" for name, value in values.items())
    return f"<ul class='facts'>{''.join(items)}</ul>"


def key(names: Iterable[str]) -> str:
    """Which colour is what, in the order of legends."""
    used = set(names)
    items = (
        f"<li><i style='background:{colour}'></i>{text(name)}</li>"
        for name, colour in COLOURS.items()
        if name in used
    )
    return f"<ul class='key'>{''.join(items)}</ul>"


def html_table(rows: Table) -> str:
    """A table; of a long one the first rows, what the others are together, and those folded."""
    keys = list(dict.fromkeys(name for row in rows for name in row))
    numeric = {
        name for name in keys if any(isinstance(row.get(name), (int, float)) for row in rows)
    }
    if len(rows) <= _ROWS:
        return f"<div class='wide'>{_plain(rows, keys, numeric)}</div>"
    first, rest = rows[:_ROWS_OF_MORE], rows[_ROWS_OF_MORE:]
    whole: dict[str, Any] = {
        name: sum(row[name] for row in rest if row.get(name) is not None)
        for name in keys
        if name in _ADDED
    }
    more = {keys[0]: f"{len(rest):,} more"} | whole
    folded = rest[:_ROWS_FOLDED]
    said = f"The {len(rest):,} others"
    if len(folded) < len(rest):
        said = f"The next {len(folded):,} of {len(rest):,} others"
    return (
        f"<div class='wide'>{_plain([*first, more], keys, numeric)}</div>"
        f"<details><summary>{said}</summary>"
        f"<div class='folded'>{_plain(folded, keys, numeric)}</div></details>"
    )


def _plain(rows: Sequence[Mapping[str, Any]], keys: Sequence[str], numeric: set[str]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        marked = (
            f"<{tag}{' class=number' if name in numeric else ''}>{cell}</{tag}>"
            for name, cell in zip(keys, cells, strict=True)
        )
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(line("td", [_cell(row.get(name)) for name in keys]) for row in rows)
    head = line("th", [escape(name) for name in keys])
    return f"<table><thead>{head}</thead>\n<tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, Link):
        return f"<a href='#{escape(value.target)}'>{escape(value.words)}</a>"
    return escape(shown(value))
