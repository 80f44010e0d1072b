"""Operations as lines of C; ``F(...)``, ``N(...)`` and ``REAL`` are those of `_c_parts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gdcore.export._c_parts import ACTIVATIONS
from gdcore.export._program import Operation
from gdcore.export._shapes import cannot

if TYPE_CHECKING:
    from gdcore.export._c_source import Source

__all__ = ["OPERATIONS"]

_Lines = Callable[["Source", Operation, list[str], str], list[str]]


def _loop(columns: int, statement: str) -> list[str]:
    return [f"for (size_t i = 0; i < {columns}; ++i) {statement}"]


def _optional(s: Source, o: Operation, name: str) -> str:
    return s.array(o.arrays[name], f"{o.layer}, {name}") if name in o.arrays else "NULL"


def _product(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    s.used.add("product")
    weight = o.arrays["weight"]
    w = s.array(weight.T, f"{o.layer}, weight by inputs and units")
    b = _optional(s, o, "bias")
    units, inputs = weight.shape
    return [f"product({reads[0]}, {w}, {b}, {made}, {o.groups}, {inputs}, {units});"]


def _products(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    s.used.add("products")
    groups, inputs, units = o.arrays["weight"].shape
    w, b = _optional(s, o, "weight"), _optional(s, o, "bias")
    return [f"products({reads[0]}, {w}, {b}, {made}, {groups}, {inputs}, {units});"]


def _scaled(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    value = f"{reads[0]}[i]"
    for name, sign in (("minus", "-"), ("over", "/"), ("times", "*"), ("plus", "+")):
        if name in o.arrays:
            value = f"({value} {sign} {_optional(s, o, name)}[i])"
    return _loop(o.columns, f"{made}[i] = {value};")


def _repeated(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    width = o.columns // o.groups
    return _loop(o.columns, f"{made}[i] = {reads[0]}[i % {width}];")


def _activated(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    activation = o.options["activation"]
    if activation.name in ROW_WISE:
        s.used.add(activation.name)
        width = o.columns // o.groups
        return [f"{activation.name}({reads[0]}, {made}, {o.groups}, {width});"]
    make = ACTIVATIONS.get(activation.name)
    if make is None:
        raise cannot("C", o.layer, activation.name, "this activation has no equal there")
    return [
        f"for (size_t i = 0; i < {o.columns}; ++i) {{",
        f"  const REAL v = {reads[0]}[i];",
        f"  {made}[i] = {make(activation)};",
        "}",
    ]


def _normed(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    s.used.add("normed")
    w, b = _optional(s, o, "weight"), _optional(s, o, "bias")
    last = f"{o.columns}, {int(o.options['centered'])}, {o.options['eps']!r}"
    return [f"normed({reads[0]}, {w}, {b}, {made}, {last});"]


def _rectified(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    x, w = f"{reads[0]}[i]", _optional(s, o, "weight")
    return _loop(o.columns, f"{made}[i] = {x} > 0 ? {x} : {w}[i] * {x};")


def _sum(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    return _loop(o.columns, f"{made}[i] = {' + '.join(f'{x}[i]' for x in reads)};")


def _times(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    return _loop(o.columns, f"{made}[i] = {reads[0]}[i] * {reads[1]}[i];")


def _joined(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    lines, at = [], 0
    for x, columns in zip(reads, o.options["widths"], strict=True):
        lines += _loop(columns, f"{made}[{at} + i] = {x}[i];")
        at += columns
    return lines


def _part(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    return _loop(o.columns, f"{made}[i] = {reads[0]}[{o.options['begin']} + i];")


def _looked_up(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    lines, at = [], 0
    for column, table in enumerate(o.arrays.values()):
        size = table.shape[1]
        w = s.array(table, f"{o.layer}, table of column {column}")
        place = f"{size} * (size_t){reads[0]}[{column}] + i"
        lines += _loop(size, f"{made}[{at} + i] = {w}[{place}];")
        at += size
    return lines


def _waves(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    columns, frequencies = o.arrays["weight"].shape
    w, last = _optional(s, o, "weight"), f"{made}, {columns}, {frequencies}"
    if "bias" in o.arrays:
        s.used.add("shifted_waves")
        return [f"shifted_waves({reads[0]}, {w}, {_optional(s, o, 'bias')}, {last});"]
    s.used.add("waves")
    return [f"waves({reads[0]}, {w}, {last});"]


def _places(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    s.used.add("places")
    edges = _optional(s, o, "edges")
    counts = s.array(o.options["counts"], f"{o.layer}, edges of each column", "int")
    return [f"places({reads[0]}, {edges}, {counts}, {made}, {o.groups}, {o.options['most']});"]


def _mean(s: Source, o: Operation, reads: list[str], made: str) -> list[str]:
    s.used.add("mean")
    return [f"mean({reads[0]}, {made}, {o.options['members']}, {o.columns});"]


ROW_WISE = ("log_softmax", "softmax")
OPERATIONS: dict[str, _Lines] = {
    "activated": _activated,
    "joined": _joined,
    "looked_up": _looked_up,
    "mean": _mean,
    "normed": _normed,
    "part": _part,
    "places": _places,
    "product": _product,
    "products": _products,
    "rectified": _rectified,
    "repeated": _repeated,
    "scaled": _scaled,
    "sum": _sum,
    "times": _times,
    "waves": _waves,
}
