"""How good predictions are, as a page that needs no network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import gdcore
from gdcore import Trainer, _html
from gdcore.cli.judged_text import confused, number
from gdcore.cli.judging import Bin, Judgement, Numbers
from gdcore.cli.report import shown
from gdcore.files import written_beside
from gdcore.profiling.page import document, facts, html_table, note, text

__all__ = ["write"]

SHOWN = 40  # classes of a matrix
_SIZE, _EDGE = 340, 58
_BLUE = "#2B8CD6"
_STYLE = """
table.matrix th { border-bottom: 1px solid var(--line); font-weight: 600; }
table.matrix td { min-width: 2.6rem; text-align: right; }
div.pair { display: flex; flex-wrap: wrap; gap: 1rem 3rem; }
div.pair > * { max-width: 100%; }
@media (max-width: 480px) {
  th, td { padding: .15rem .3rem; }
  table.matrix td { min-width: 1.5rem; padding: .15rem; }
}
svg { height: auto; max-width: 100%; }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; }
"""


def write(
    path: Path,
    judgement: Judgement,
    about: Mapping[str, str],
    figures: Mapping[str, Mapping[str, float]],
    trainer: Trainer | None = None,
) -> None:
    """Writes the page.

    Args:
        path: The file.
        judgement: Of the rows that were not trained on, if there are some.
        about: Of what it is.
        figures: Of each part of the data.
        trainer: Whose network it is, where it was trained just now.

    Raises:
        OSError: It cannot be written.
    """
    parts = [
        f"<h1>Predictions of {text(judgement.name)}</h1>",
        facts({**about, "gdcore": gdcore.__version__}),
        "<h2>Figures</h2>",
        *_figures(judgement, figures),
    ]
    if judgement.rows:
        parts += _classes(judgement)
    for each in judgement.numbers:
        parts += _numbers(each)
    if trainer is not None:
        parts += _training(trainer)
    with written_beside(path) as file:
        file.write(document(parts, f"gdcore: {judgement.name}", _STYLE))


def _figures(judgement: Judgement, figures: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    keys = list(dict.fromkeys(key for part in figures.values() for key in part))
    rows: list[dict[str, Any]] = [
        {"": key} | {part: shown(key, own[key]) for part, own in figures.items() if key in own}
        for key in keys
    ]
    last = [*figures][-1] if figures else "all rows"
    rows += [
        {"": key, last: number(value, key)}
        for key, value in judgement.figures.items()
        if key not in keys
    ]
    yield html_table(rows)  # type: ignore[arg-type]


def _classes(judgement: Judgement) -> Iterator[str]:
    yield "<h2>By class</h2>"
    yield note(
        "precision: share of the predictions of a class that are right. recall: share of the rows "
        "of a class that are found. f1: their harmonic mean. auc: how often a row of the class "
        "gets a higher probability of it than a row of another."
    )
    rows = [
        {
            "": each.name,
            "precision": each.precision,
            "recall": each.recall,
            "f1": each.f1,
            "auc": each.auc,
            "rows": each.support,
        }
        for each in judgement.rows
    ]
    yield _table(rows)
    if judgement.confusion is not None:
        yield "<h2>What was taken for what</h2>"
        if len(judgement.classes) <= SHOWN:
            yield note("Each row of the table is a class, each column a prediction.")
            yield _matrix(judgement)
        else:
            keys = ("class", "taken for", "rows")
            yield _table([dict(zip(keys, each, strict=True)) for each in confused(judgement)])
    if judgement.bins:
        yield "<h2>Probabilities</h2>"
        yield note(
            f"The probability {judgement.probability}, and how often it was so: on the line, both "
            "are the same. Points above it are too careful, points below it too sure."
        )
        bins = [
            {
                "probability": f"{each.low:.1f} to {each.high:.1f}",
                "predictions": each.count,
                "mean": each.said,
                "happened": each.held,
            }
            for each in judgement.bins
        ]
        yield f"<div class='pair'><div>{_reliability(judgement.bins)}</div>{_table(bins)}</div>"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    def cell(value: Any) -> Any:
        if isinstance(value, float):
            whole = value == int(value) and value > 1 if math.isfinite(value) else False
            return "-" if math.isnan(value) else f"{value:,.0f}" if whole else f"{value:.3f}"
        return f"{value:,}" if isinstance(value, int) else value

    keys = list(rows[0])
    body = "".join(_line("td", [cell(row[key]) for key in keys]) for row in rows)
    return (
        f"<div class='wide'><table><thead>{_line('th', keys)}</thead><tbody>{body}</tbody></table>"
        "</div>"
    )


def _line(tag: str, cells: Sequence[Any]) -> str:
    told = (
        f"<{tag}{' class=number' if place else ''}>{escape(str(each))}</{tag}>"
        for place, each in enumerate(cells)
    )
    return f"<tr>{''.join(told)}</tr>"


def _matrix(judgement: Judgement) -> str:
    assert judgement.confusion is not None
    names, counts = judgement.classes, judgement.confusion
    head = "".join(f"<th class=number>{text(each)}</th>" for each in names)
    lines = []
    for at, (name, row) in enumerate(zip(names, counts, strict=True)):
        whole = max(float(row.sum()), 1e-300)
        cells = []
        for to, count in enumerate(row):
            rgb = "43,140,214" if at == to else "230,159,0"
            alpha = 0.65 * math.sqrt(count / whole)  # so that a few mistakes are seen
            shade = f" style='background:rgba({rgb},{alpha:.3f})'" if count else ""
            cells.append(f"<td{shade}>{f'{count:,.6g}' if count else ''}</td>")
        lines.append(f"<tr><th>{text(name)}</th>{''.join(cells)}</tr>")
    return (
        f"<div class='wide'><table class='matrix'><thead><tr><th></th>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _square(marks: str, low: float, high: float, across: str, up: str) -> str:
    """A square picture of one scale on both sides, with the line on which both are the same."""
    end = _SIZE - 10
    ticks = ((low, _EDGE, "start"), ((low + high) / 2, (_EDGE + end) / 2, "middle"))
    words = ""
    for value, at, anchor in (*ticks, (high, end, "end")):
        told = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        words += f"<text x='{at}' y='{_SIZE - _EDGE + 16}' text-anchor='{anchor}'>{told}</text>"
        above = _SIZE - _EDGE - (at - _EDGE)
        words += f"<text x='{_EDGE - 5}' y='{above + 4}' text-anchor='end'>{told}</text>"
    bottom, top = _SIZE - _EDGE, _SIZE - _EDGE - (end - _EDGE)
    middle = (_EDGE + end) / 2
    return (
        f"<svg viewBox='0 0 {_SIZE} {_SIZE}' width='{_SIZE}' role='img' fill='none' "
        f"aria-label='{escape(up)} by {escape(across)}'>"
        f"<path d='M{_EDGE},{top}V{bottom}H{end}' stroke='currentColor'/>"
        f"<path d='M{_EDGE},{bottom}L{end},{top}' stroke='currentColor' stroke-opacity='.4' "
        f"stroke-dasharray='4 4'/>{words}{marks}"
        f"<text x='{middle}' y='{_SIZE - 8}' text-anchor='middle'>{escape(across)}</text>"
        f"<text transform='translate(11 {(top + bottom) / 2}) rotate(-90)' "
        f"text-anchor='middle'>{escape(up)}</text></svg>"
    )


def _places(values: Any, low: float, high: float) -> Any:
    """Pixels along a side, of values in its range."""
    return (np.asarray(values) - low) / (high - low) * (_SIZE - 10 - _EDGE)


def _reliability(bins: Sequence[Bin]) -> str:
    most = max(each.count for each in bins)
    across = _EDGE + _places([each.said for each in bins], 0, 1)
    above = _SIZE - _EDGE - _places([each.held for each in bins], 0, 1)
    path = "L".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, above, strict=True))
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{3 + 5 * math.sqrt(each.count / most):.1f}' "
        f"fill='{_BLUE}'><title>{each.count:,} predictions</title></circle>"
        for each, x, y in zip(bins, across, above, strict=True)
    )
    marks = f"<path d='M{path}' stroke='{_BLUE}' stroke-width='2'/>{dots}"
    return _square(marks, 0, 1, "predicted probability", "share that was so")


def _numbers(own: Numbers) -> Iterator[str]:
    yield f"<h2>{text(own.name)}</h2>"
    yield note(
        "Errors are prediction minus truth, in the target's own unit. On the line, predictions "
        "are right."
    )
    rows = [{"": key, "value": number(value, key)} for key, value in own.figures.items()]
    rows += [
        {"": f"{share}% of the errors are below", "value": f"{value:,.4g}"}
        for share, value in own.quantiles.items()
        if 0 < share < 100
    ]
    rows.insert(len(own.figures), {"": "smallest error", "value": f"{own.quantiles[0]:,.4g}"})
    rows.append({"": "largest error", "value": f"{own.quantiles[100]:,.4g}"})
    both = np.concatenate([own.truth, own.said])
    low, high = float(both.min()), float(both.max())
    high = high if high > low else low + 1
    across = _EDGE + _places(own.truth, low, high)
    above = _SIZE - _EDGE - _places(own.said, low, high)
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2'/>" for x, y in zip(across, above, strict=True)
    )
    marks = f"<g fill='{_BLUE}' fill-opacity='.45'>{dots}</g>"
    picture = _square(marks, low, high, "truth", "prediction")
    yield f"<div class='pair'><div>{picture}</div>{_table(rows)}</div>"


def _training(trainer: Trainer) -> Iterator[str]:
    yield "<h2>Training</h2>"
    yield facts(
        {
            "network": str(trainer.network),
            "optimizer": str(trainer.optimizer),
            "epochs": f"{trainer.epochs:,}",
        }
    )
    losses = {key: trainer.history[key] for key in ("loss", "val_loss") if key in trainer.history}
    yield f"<div>{_html.curves(losses, 'loss')}</div>"
