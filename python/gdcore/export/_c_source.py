"""The text of a C file."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gdcore.export._c_names import Names, arguments, comment, number, told
from gdcore.export._c_operations import OPERATIONS
from gdcore.export._c_parts import FUNCTIONS, NEEDS
from gdcore.export._program import Operation, Program

__all__ = ["Source"]

# These may write what they read.
_IN_PLACE = ("activated", "normed", "rectified", "scaled", "sum", "times")


class Source:
    """The text of the C file."""

    def __init__(self, program: Program, names: Names, header: str) -> None:
        self._program, self._names, self._header = program, names, header
        self._real = "double" if program.dtype == "float64" else "float"
        self._arrays: list[str] = []
        self.used: set[str] = set()
        self._body: list[str] = []
        self._slots: list[int] = []  # of each the most numbers it holds

    def text(self) -> str:
        """All of it."""
        self._operations()
        stem, rows = self._names.stem, self._names.rows
        given = ", ".join(arguments(self._program, self._names, self._real))
        passed = [*self._names.inputs, *self._names.outputs]
        moves = "".join(f"    {name} += {stem}_{name.upper()}_SIZE;\n" for name in passed)
        for name in list(self.used):
            self.used.update(NEEDS.get(name, ()))
        functions = "".join(text for name, text in FUNCTIONS.items() if name in self.used)
        slots = "".join(f"  {self._real} b{k}[{size}];\n" for k, size in enumerate(self._slots))
        stack = sum(self._slots) * (8 if self._real == "double" else 4)
        return f"""\
/* {told()}
   C99 and libm: cc -std=c99 -O3 -c FILE, and -lm to link. It takes {stack:,} bytes of stack. */
#include "{self._header}"

#include <math.h>
{self._spelled(functions)}
{"".join(self._arrays)}
int {stem}_predict({given}) {{
{slots}{self._checks()}{"".join(self._body)}  return 0;
}}

int {stem}_predict_rows(size_t {rows}, {given}) {{
  for (; {rows} > 0; --{rows}) {{
    const int wrong = {stem}_predict({", ".join(passed)});
    if (wrong) return wrong;
{moves}  }}
  return 0;
}}
"""

    def _spelled(self, text: str) -> str:
        """With functions of libm and numbers for the type."""
        single = self._real == "float"
        text = re.sub(r"\bF\((\w+)\)", r"\1f" if single else r"\1", text)
        text = re.sub(r"\bN\(([^()]*)\)", lambda found: self._number(float(found[1])), text)
        return re.sub(r"\bREAL\b", self._real, text)

    def _number(self, value: float) -> str:
        return number(value, self._real)

    def _checks(self) -> str:
        lines = []
        ends = zip(self._names.inputs, self._program.inputs, strict=True)
        for place, (name, each) in enumerate(ends, start=1):
            if each.categories is None:
                lines.append(
                    f"  for (size_t i = 0; i < {each.size}; ++i) {{\n"
                    f"    if (!isfinite({name}[i])) return {place};\n  }}\n"
                )
                continue
            for column, count in enumerate(each.categories):
                code = f"{name}[{column}]"
                lines.append(f"  if ({code} < 0 || {code} >= {count}) return {place};\n")
        return "".join(lines)

    def array(self, values: Any, what: str, kind: str | None = None) -> str:
        name = f"w{len(self._arrays)}"
        texts = [
            self._number(each) if kind is None else str(int(each))
            for each in np.ravel(values).tolist()
        ]
        lines, line = [], ""
        for each in texts:
            if len(line) + len(each) > 96:
                lines.append(line)
                line = ""
            line += f" {each},"
        rows = "\n ".join([*lines, line])
        self._arrays.append(
            f"/* {comment(what)} */\n"
            f"static const {kind or self._real} {name}[{len(texts)}] = {{\n {rows}\n}};\n"
        )
        return name

    def _operations(self) -> None:
        """Fills the body; values share memory where one is read no more."""
        program, names = self._program, self._names
        last = {index: len(program.operations) for _, index in program.outputs}
        first = len(program.inputs)
        for at, operation in enumerate(program.operations):
            for index in operation.reads:
                last[index] = max(at, last.get(index, -1))
        where: dict[int, str] = dict(enumerate(names.inputs))
        held: dict[int, int] = {}  # of a value its slot
        free: list[int] = []
        for at, operation in enumerate(program.operations):
            ending = [i for i in set(operation.reads) if last[i] == at and i in held]
            slot = None
            if operation.kind in _IN_PLACE and operation.reads[0] in ending:
                slot = held.pop(operation.reads[0])
                ending.remove(operation.reads[0])
            if slot is None:
                slot = self._slot(free, operation.columns)
            self._slots[slot] = max(self._slots[slot], operation.columns)
            value = first + at
            held[value], where[value] = slot, f"b{slot}"
            self._emit(operation, [where[i] for i in operation.reads], where[value])
            free += [held.pop(i) for i in ending]
        for name, (_, value) in zip(names.outputs, program.outputs, strict=True):
            count = program.columns(value)
            self._body.append(
                f"  for (size_t i = 0; i < {count}; ++i) {name}[i] = {where[value]}[i];\n"
            )

    def _slot(self, free: list[int], columns: int) -> int:
        if free:
            best = min(free, key=lambda k: abs(self._slots[k] - columns))
            free.remove(best)
            return best
        self._slots.append(0)
        return len(self._slots) - 1

    def _emit(self, o: Operation, reads: list[str], made: str) -> None:
        lines = OPERATIONS[o.kind](self, o, reads, made)
        body = self._spelled("".join(f"  {line}\n" for line in lines))
        self._body.append(f"  /* layer {comment(o.layer)}: {o.kind} */\n{body}")
