"""How good predictions are, as tables on standard output."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from gdcore.cli.judging import Judgement
from gdcore.cli.report import shown

__all__ = ["WIDEST", "confused", "number", "share", "tell"]

WIDEST = 12  # classes of a matrix
CONFUSED = 10  # pairs of classes, where there are more
LONGEST = 40  # classes of a table


def number(value: float, key: str = "") -> str:
    """A figure; a dash where there is none."""
    return "-" if math.isnan(value) else shown(key, value)


def share(value: float) -> str:
    """A share of 1."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def tell(judgement: Judgement, part: str, *, whole: bool = False) -> None:
    """Prints the tables; with ``whole`` also the figures of all rows, and probabilities."""
    if whole:
        figures = {key: number(value, key) for key, value in judgement.figures.items()}
        _print(f"figures, {part}", [], [[key, value] for key, value in figures.items()])
    if judgement.rows:
        _tell_classes(judgement, part, whole=whole)
    if judgement.numbers:
        _tell_numbers(judgement, part)


def _tell_numbers(judgement: Judgement, part: str) -> None:
    keys = [*judgement.numbers[0].figures]
    if len(judgement.numbers) > 1:
        rows = [
            [each.name, *(number(each.figures[key], key) for key in keys)]
            for each in judgement.numbers
        ]
        _print(f"by target, {part}", ["", *keys], rows)
    errors = [
        [each.name, *(f"{value:,.4g}" for value in each.quantiles.values())]
        for each in judgement.numbers
    ]
    head = ["", *(f"{each}%" for each in judgement.numbers[0].quantiles)]
    _print(f"quantiles of the errors, prediction - truth, {part}", head, errors)


def _tell_classes(judgement: Judgement, part: str, *, whole: bool) -> None:
    rows = [
        [
            each.name,
            *map(share, (each.precision, each.recall, each.f1, each.auc)),
            f"{each.support:,.6g}",
        ]
        for each in judgement.rows
    ]
    names = rows[: len(rows) - judgement.means]
    head = ["", "precision", "recall", "f1", "auc", "rows"]
    more = [[f"{len(names) - LONGEST} more"]] if len(names) > LONGEST else []
    _print(f"by class, {part}", head, [*names[:LONGEST], *more], rows[len(names) :])
    if judgement.confusion is not None and len(names) <= WIDEST:
        matrix = [
            [name, *(f"{count:,.6g}" for count in row)]
            for name, row in zip(judgement.classes, judgement.confusion, strict=True)
        ]
        _print(f"rows of each class, by prediction, {part}", ["", *judgement.classes], matrix)
    elif judgement.confusion is not None and (pairs := confused(judgement)):
        _print(f"most confused, {part}", ["class", "taken for", "rows"], pairs)
    if whole and judgement.bins:
        head = ["probability", "predictions", "mean", "happened"]
        bins = [
            [f"{b.low:.1f} to {b.high:.1f}", f"{b.count:,}", share(b.said), share(b.held)]
            for b in judgement.bins
        ]
        _print(f"probability {judgement.probability}, and how often it was so", head, bins)


def confused(judgement: Judgement) -> list[list[str]]:
    """The pairs of classes that are most often taken for each other."""
    assert judgement.confusion is not None
    wrong = judgement.confusion * (1 - np.eye(len(judgement.confusion)))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    pairs = [divmod(int(place), len(wrong)) for place in order]
    names = judgement.classes
    return [[names[a], names[b], f"{wrong[a, b]:,.6g}"] for a, b in pairs if wrong[a, b] > 0]


def _print(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    foot: Sequence[Sequence[str]] = (),
) -> None:
    table = Table(show_header=bool(head))
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    if foot:
        table.add_section()
        for row in foot:
            table.add_row(*row)
    console = Console(markup=False, emoji=False)
    console.print(f"{title}:")
    console.print(table)
