"""The page of `gdcore.profiling.diff`: sentences and tables, without a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from gdcore.files import written_beside
from gdcore.profiling.tables import Table, shown

__all__ = ["STEP", "write_diff"]

# What the row of a whole step is called.
STEP = "(step)"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_CSS = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --faint: #666; --line: #ddd;
        --a: #8a8a8a; --b: #0072b2; --longer: #b34700; --shorter: #00704f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #17191c; --faint: #a0a0a0; --line: #3a3d42;
          --a: #8f8f8f; --b: #56b4e9; --longer: #ff9550; --shorter: #3ecf9f; }
}
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
       margin: 2rem auto; max-width: 1100px; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { border-top: 1px solid var(--line); font-size: 1.2rem; margin: 2rem 0 .5rem;
     padding-top: 1rem; }
p.note { color: var(--faint); margin: .3rem 0; }
ul { padding-left: 1.2rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums;
        width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .5rem; text-align: left;
         white-space: nowrap; }
th { border-bottom: 2px solid var(--faint); vertical-align: bottom; }
.number { text-align: right; }
tr.step td { font-weight: 600; }
tr.noise td { color: var(--faint); }
td.longer { color: var(--longer); font-weight: 600; }
td.shorter { color: var(--shorter); font-weight: 600; }
td.bars { min-width: 70px; width: 30%; }
td.bars i { background: var(--b); display: block; height: 6px; margin: 1px 0; min-width: 1px; }
td.bars i.a, b.a { background: var(--a); }
b.key { background: var(--b); display: inline-block; height: .7em; margin-right: .3em;
        width: .7em; }
b.a { background: var(--a); }
"""
_TITLES: dict[str, str] = {"phase": "By phase", "layer": "By layer", "op": "By operation"}


def write_diff(
    sentences: Sequence[str], tables: Mapping[str, Table], unit: str, path: Path
) -> None:
    """Writes a page that loads nothing.

    Args:
        sentences: What is to be told first.
        tables: Of `Difference.table`, by what they sum over.
        unit: Of their times.
        path: The file to write.
    """
    with written_beside(path) as file:
        file.write("\n".join(_page(sentences, tables, unit)).encode())


def _page(sentences: Sequence[str], tables: Mapping[str, Table], unit: str) -> Iterator[str]:
    yield (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>gdcore: two profiles</title><style>{_CSS}</style></head>\n<body>"
    )
    yield "<h1>Two profiles</h1>"
    yield "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in sentences) + "</ul>"
    yield (
        "<p class='note'><b class='key a'></b>a <b class='key'></b>b; "
        f"{unit} in the median step, over all threads. Grey rows differ by no more than the "
        "noise.</p>"
    )
    for by, table in tables.items():
        yield f"<h2>{_TITLES[by]}</h2>"
        yield from _html_table(table, unit)
    yield "</body></html>"


def _html_table(rows: Table, unit: str) -> Iterator[str]:
    first, second = f"a, {unit}", f"b, {unit}"
    longest = max((row[name] or 0.0 for row in rows for name in (first, second)), default=0.0)
    keys = list(rows[0])
    named = keys[: keys.index(first)]
    heads = [*named, "", first, second, "difference", "ratio", "noise"]
    cells = "".join(
        f"<th{'' if name in named or not name else ' class=number'}>{escape(name)}</th>"
        for name in heads
    )
    yield f"<div class='wide'><table><thead><tr>{cells}</tr></thead><tbody>"
    for row in rows:
        verdict = row["beyond noise"]
        kind = "step" if row[named[0]] == STEP else "noise" if verdict == "no" else ""
        line = "".join(f"<td>{escape(str(row[name]))}</td>" for name in named)
        bars = "".join(
            f"<i{' class=a' if name == first else ''} "
            f"style='width:{100 * row[name] / max(longest, 1e-9):.2f}%'></i>"
            for name in (first, second)
            if row[name] is not None
        )
        line += f"<td class='bars'>{bars}</td>"
        for name in (first, second, "difference", "ratio", "noise"):
            is_told = verdict in ("longer", "shorter") and name in ("difference", "ratio")
            told = f" {verdict}" if is_told else ""
            line += f"<td class='number{told}'>{shown(row[name])}</td>"
        yield f"<tr class='{kind}'>{line}</tr>"
    yield "</tbody></table></div>"
