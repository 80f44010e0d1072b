"""What things are called in C and Fortran, and how numbers are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from gdcore.config import show_config
from gdcore.export._c_parts import FUNCTIONS
from gdcore.export._program import Program

__all__ = ["Names", "arguments", "comment", "names_of", "number", "sizes", "told"]

# Of C, and of C++ that includes the header.
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "auto break case char const continue default do double else enum extern float for goto if "
        "inline int long register restrict return short signed sizeof static struct switch "
        "typedef union unsigned void volatile while and bool catch class delete false friend "
        "namespace new not operator or private protected public template this throw true try "
        "using virtual xor",
    )
)
# Of what stands within the functions, of math.h, and of iso_c_binding.
_LIBM = ("cos", "erfc", "exp", "expm1", "fabs", "log", "log1p", "rint", "sin", "sqrt", "tanh")
_OWN = {"i", "v", "wrong", "null", "isfinite", "nan", "infinity", "rows", *FUNCTIONS}
_OWN |= {*_LIBM, *(f"{name}f" for name in _LIBM)}
_OWN |= {"c_int", "c_int32_t", "c_size_t", "c_float", "c_double", "size_t", "int32_t"}
_LONGEST = 24  # a line of Fortran ends after 132 signs


class Names(NamedTuple):
    """Of functions what stands before ``_predict``, and of their arguments."""

    stem: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: str


def names_of(program: Program, stem: str, *, given: bool) -> Names:
    """Names that C and Fortran take, as near to those of the network as can be.

    Raises:
        TypeError: stem is given, and no string.
        ValueError: It is given, and no name in C.
    """
    if given:
        if not isinstance(stem, str):
            raise TypeError(f"name must be a string, got {type(stem).__name__}")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", stem) or stem in _KEYWORDS:
            raise ValueError(
                "name must be a name in C that begins with a letter, of at most 32 signs, got "
                f"{stem!r}"
            )
    else:
        stem = _plain(stem, "net")[:32]
    taken: set[str] = {stem.lower()}
    inputs = _new((each.name or "x" for each in program.inputs), taken)
    outputs = _new((name or "y" for name, _ in program.outputs), taken)
    return Names(stem, inputs, outputs, "rows")


def _plain(name: str, otherwise: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_0123456789")
    return found or otherwise


def _new(names: Iterable[str], taken: set[str]) -> tuple[str, ...]:
    """Names in C, each another one; Fortran tells no small letters from large ones."""
    found = []
    for wanted in names:
        stem = _plain(wanted, "values")[:_LONGEST]
        name, count = stem, 2
        while (
            name.lower() in taken | _OWN or name in _KEYWORDS or re.fullmatch(r"[bw][0-9]+", name)
        ):
            name, count = f"{stem}_{count}", count + 1
        taken.add(name.lower())
        found.append(name)
    return tuple(found)


def sizes(program: Program, names: Names) -> list[tuple[str, int]]:
    """How many numbers of each argument are a row, by the name of that."""
    inputs = [(name, each.size) for name, each in zip(names.inputs, program.inputs, strict=True)]
    ends = zip(names.outputs, program.outputs, strict=True)
    outputs = [(name, program.columns(value)) for name, (_, value) in ends]
    return [(f"{names.stem}_{name.upper()}_SIZE", size) for name, size in inputs + outputs]


def arguments(program: Program, names: Names, real: str) -> list[str]:
    """Of the functions in C, but for the number of rows."""
    inputs = [
        f"const {real if each.categories is None else 'int32_t'} *{name}"
        for name, each in zip(names.inputs, program.inputs, strict=True)
    ]
    return inputs + [f"{real} *{name}" for name in names.outputs]


def number(value: Any, real: str) -> str:
    """A finite number in C, with all its digits."""
    if real == "double":
        return repr(float(value))
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def comment(text: str) -> str:
    """Text as it may stand in a comment."""
    return re.sub(r"[^ -~]|[*/\\?]", "_", text)


def told() -> str:
    """The first words of each file."""
    return (
        f"Inference of a network, written by gdcore {show_config()['version']}: not to be edited."
    )
