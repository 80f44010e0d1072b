"""``python -m gdcore.distributed``: runs a program on each rank that mpirun has started.

mpirun -n 4 python -m gdcore.distributed [--timeout S] SCRIPT|-m MODULE|-c CODE [ARGUMENT ...]

An exception on one rank ends all of them, with its traceback and a status other than 0. So does a
rank that is killed, hangs, is cut off, or ends while others go on.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from gdcore.communication.launching import launched
from gdcore.distributed._threads import pinned_alone

__all__ = ["main"]

_USAGE = """usage: mpirun -n 4 python -m gdcore.distributed [--timeout S] PROGRAM [ARGUMENT ...]

PROGRAM is a file, -m MODULE or -c CODE, as for python itself, and runs on each rank. An exception
on one ends all of them, with its traceback and a status other than 0. So does a rank that is
killed, hangs, is cut off, or ends while others go on.

  --timeout S  seconds that a rank may be silent, or let others wait; 0: they are not watched.
               Else of the environment's GDCORE_TIMEOUT, else 60.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what the command line says; ends with 2 where that is nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    timeout: float | None = None
    while given and given[0].startswith("--"):
        option, _, value = given.pop(0).partition("=")
        if option == "--help":
            print(_USAGE)
            return
        if option != "--timeout":
            _fail(f"there is no option {option}")
        value = value or (given.pop(0) if given else "")
        try:
            timeout = float(value)
        except ValueError:
            _fail(f"--timeout must be seconds, got {value!r}")
    program = _program(given)
    launch = launched()
    if launch is None:
        if text := pinned_alone():
            print(f"gdcore: note: {text}", file=sys.stderr)
        program()
        return
    from gdcore.distributed._launcher import run

    run(lambda _: program(), launch, timeout)


def _program(given: Sequence[str]) -> Callable[[], object]:
    """What runs the program as Python itself would."""
    if not given:
        _fail("what to run is missing")
    first, *rest = given
    if first in ("-m", "-c"):
        if not rest:
            _fail(f"what to run is missing after {first}")
        what, *rest = rest
        sys.path[0] = os.getcwd() if first == "-m" else ""
        sys.argv = [first, *rest]
        if first == "-m":
            return lambda: runpy.run_module(what, run_name="__main__", alter_sys=True)
        main = type(sys)("__main__")
        sys.modules["__main__"] = main
        return lambda: exec(compile(what, "<string>", "exec"), main.__dict__)
    if first.startswith("-"):
        _fail(f"there is no option {first}")
    sys.path[0] = os.path.dirname(os.path.abspath(first))
    sys.argv = [first, *rest]
    return lambda: runpy.run_path(first, run_name="__main__")


def _fail(text: str) -> NoReturn:
    launch = launched()
    if launch is None or launch.rank == 0:
        print(f"python -m gdcore.distributed: {text}\n\n{_USAGE}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
