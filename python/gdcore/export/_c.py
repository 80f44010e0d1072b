"""C99 of inference, with nothing but libm, and its interface for Fortran."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from gdcore._check import checked_path, flag
from gdcore.ensembles import Ensemble
from gdcore.export._c_names import Names, arguments, names_of, sizes, told
from gdcore.export._c_source import Source
from gdcore.export._fortran import fortran_of
from gdcore.export._program import Program, program_of
from gdcore.export._shapes import checked_model
from gdcore.files import written_beside
from gdcore.network import Network
from gdcore.typing import Task

__all__ = ["to_c"]


def to_c(
    net: Network | Ensemble,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    probabilities: bool | str | Collection[str] = False,
    task: Task | None = None,
    fortran: bool = False,
) -> None:
    """Writes a network as C99 that computes what `Network.predict` does, a row at a time.

    Beside ``model.c`` there is ``model.h``, which says what there is:

    .. code-block:: c

        int model_predict(const float x[], float y[]);
        int model_predict_rows(size_t rows, const float x[], float y[]);

    x is a row of ``model_X_SIZE`` numbers, y of ``model_Y_SIZE``. Several inputs, then outputs, are
    arguments of their names, in order; codes are ``int32_t``. They return 0, or the place
    of the argument, from 1 on, that holds a number that is not finite or a code that there is not;
    then nothing is written of that row. There is no heap, no global state and nothing to call
    first, so that any number of threads may call them; all weights are constants. It needs libm.
    Sums are those of a matrix by rows in plain loops, which compilers turn into vectors
    (``cc -O3 -march=native``); results are within rounding of `Network.predict`.

    Args:
        net: The network, or an ensemble; float64 makes double.
        path: Where, with the ending ``.c``; files that are there are replaced.
        name: What stands before ``_predict``; None: the name of the file.
        probabilities: As in `to_onnx`.
        task: As in `to_onnx`.
        fortran: Whether there is ``model.f90`` too, a module that gives the functions to Fortran
            through ``iso_c_binding``; arrays are (size, rows) there.

    Raises:
        OSError: A file cannot be written.
        TypeError: An argument is of the wrong type.
        ValueError: A layer or activation has no equal, a parameter is not finite, or an argument is
            out of its domain.
    """
    network = checked_model(net)
    place = Path(checked_path(path))
    if place.suffix != ".c":
        raise ValueError(f"path must end with .c, got {os.fspath(path)!r}")
    asked = flag("fortran", fortran)
    program = program_of(network, "C", probabilities, task)
    names = names_of(program, place.stem if name is None else name, given=name is not None)
    files = {
        place: Source(program, names, place.with_suffix(".h").name).text(),
        place.with_suffix(".h"): _header(program, names),
    }
    if asked:
        files[place.with_suffix(".f90")] = fortran_of(program, names, place.name)
    for each, text in files.items():
        with written_beside(each) as file:
            file.write(text.encode("ascii"))


def _header(program: Program, names: Names) -> str:
    real = "double" if program.dtype == "float64" else "float"
    guard = f"{names.stem.upper()}_H"
    given = ", ".join(arguments(program, names, real))
    stem = names.stem
    defined = "\n".join(f"#define {name} {size}" for name, size in sizes(program, names))
    return f"""\
/* {told()} */
#ifndef {guard}
#define {guard}

#include <stddef.h>
#include <stdint.h>

/* Numbers in a row. */
{defined}

#ifdef __cplusplus
extern "C" {{
#endif

/* One row. Returns 0, or the place of the argument, from 1 on, with a number that is not finite or
   a code that there is not; then nothing is written. Inputs and outputs must not overlap. */
int {stem}_predict({given});

/* So many rows, one after the other; ends at the first that {stem}_predict refuses. */
int {stem}_predict_rows(size_t {names.rows}, {given});

#ifdef __cplusplus
}}
#endif

#endif
"""
