"""The table of `Network.summary`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gdcore import _html
from gdcore.activations import Activation

if TYPE_CHECKING:
    from gdcore.network import Network

__all__ = ["Summary", "summary_of"]

_HEAD = ("layer", "kind", "output", "activation", "parameters", "bytes", "FLOPs")


class Summary(str):
    """What `Network.summary` returns: text that shows itself as a table."""

    _html: str

    def __new__(cls, text: str, html: str = "") -> Summary:
        """The text, and what notebooks show in its place."""
        made = super().__new__(cls, text)
        made._html = html
        return made

    def __repr__(self) -> str:
        """The table, so that an interactive session shows it."""
        return str(self)

    def _repr_html_(self) -> str:
        return self._html


def summary_of(network: Network) -> Summary:
    """See `Network.summary`."""
    rows: list[tuple[str, ...]] = []
    for each in network.inputs:
        kind = "sparse" if each.sparse else "" if each.categories is None else "codes"
        rows.append((each.name or "input", kind, f"(N, {each.size:,})", "", "", "", ""))
    size, all_flops = network.dtype.itemsize, 0
    shown_layers = network._wiring.graph().shown
    table = network._native.layer_table()
    for shown, (name, width, parameters, flops) in zip(shown_layers, table, strict=True):
        all_flops += flops
        activation = shown if isinstance(shown, Activation) else getattr(shown, "activation", None)
        rows.append(
            (
                name,
                "activation" if isinstance(shown, Activation) else shown.kind,
                f"(N, {width:,})",
                "" if activation is None else activation.name,
                f"{parameters:,}",
                f"{size * parameters:,}",
                f"{flops:,}",
            )
        )
    for parameter in network.parameters:
        numbers = math.prod(parameter.sizes)
        cells = (parameter.name, "parameter", str(parameter.sizes), "")
        rows.append((*cells, f"{numbers:,}", f"{size * numbers:,}", "0"))
    count = network.num_parameters
    total = (
        "total",
        "",
        "",
        network.dtype.name,
        f"{count:,}",
        f"{size * count:,}",
        f"{all_flops:,}",
    )
    page = _html.table(_HEAD, rows, left=4, caption=repr(network), foot=total)
    return Summary(_text(rows, total), page)


def _text(rows: list[tuple[str, ...]], total: tuple[str, ...]) -> str:
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, total, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        left = (cell.ljust(width) for cell, width in zip(cells[:4], widths, strict=False))
        right = (cell.rjust(width) for cell, width in zip(cells[4:], widths[4:], strict=True))
        return "  ".join([*left, *right]).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(_HEAD), rule, *map(line, rows), rule, line(total)])
