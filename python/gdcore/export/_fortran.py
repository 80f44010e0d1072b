"""A Fortran module beside a C file."""

from __future__ import annotations

from gdcore.export._c_names import Names, sizes, told
from gdcore.export._program import Program

__all__ = ["fortran_of"]


def fortran_of(program: Program, names: Names, source: str) -> str:
    """The text of the module, which gives both functions of a C file to Fortran."""
    real = "c_double" if program.dtype == "float64" else "c_float"
    widths = [(name.lower(), size) for name, size in sizes(program, names)]
    stem = names.stem
    parameters = "".join(
        f"  integer, parameter, public :: {name} = {size}\n" for name, size in widths
    )
    rows = names.rows
    one = _function(program, names, f"{stem}_predict", real, [size for _, size in widths], "")
    many = _function(program, names, f"{stem}_predict_rows", real, [w for _, w in widths], rows)
    return f"""\
! {told()}
! Compile it beside {source}. Arrays are (size, rows): a row of C is a column here.
module {stem}
  use, intrinsic :: iso_c_binding, only: c_int, c_int32_t, c_size_t, {real}
  implicit none
  private
  public :: {stem}_predict, {stem}_predict_rows

  ! Numbers in a row.
{parameters}
  ! 0, or the place of the argument, from 1 on, with a number that is not finite or a code that
  ! there is not; codes are from 0 on.
  interface
{one}
{many}  end interface
end module {stem}
"""


def _function(
    program: Program, names: Names, name: str, real: str, widths: list[int], rows: str
) -> str:
    given = [*names.inputs, *names.outputs]
    passed = [rows, *given] if rows else given
    listed = ", &\n        ".join(passed)
    lines = [
        f"    integer(c_int) function {name}( &",
        f"        {listed}) &",
        f'        bind(c, name="{name}")',
        f"      import :: c_int, c_int32_t, c_size_t, {real}",
    ]
    if rows:
        lines.append(f"      integer(c_size_t), value, intent(in) :: {rows}")
    for place, (argument, width) in enumerate(zip(given, widths, strict=True)):
        is_input = place < len(program.inputs)
        codes = is_input and program.inputs[place].categories is not None
        kind = "integer(c_int32_t)" if codes else f"real({real})"
        intent = "in" if is_input else "out"
        shape = f"{width}, *" if rows else f"{width}"
        lines.append(f"      {kind}, intent({intent}) :: {argument}({shape})")
    lines.append(f"    end function {name}\n")
    return "\n".join(lines)
