"""``gdcore train`` on ranks that mpirun has started: what each does, and what rank 0 alone does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from gdcore.communication import MPICommunicator
    from gdcore.communication.launching import Launch

__all__ = ["alone", "communicator", "leave", "on_first", "run", "trainer_options"]

_communicator: MPICommunicator | None = None


def run(launch: Launch, program: Callable[[], object]) -> None:
    """Runs the command as one of several ranks, and ends the process; or alone, if it is.

    Only `train` and `scaling` run on several; of these only rank 0 prints.
    """
    if launch.size == 1:
        from gdcore.distributed._threads import pinned_alone

        if text := pinned_alone():
            print(f"gdcore: note: {text}", file=sys.stderr)
        program()
        return
    command = next((each for each in sys.argv[1:] if not each.startswith("-")), "")
    if command not in ("train", "scaling"):
        if launch.size is None and launch.rank == 0:
            program()  # who started it does not say how many there are
            return
        if launch.rank == 0:
            count = "several ranks" if launch.size is None else f"{launch.size} ranks"
            print(
                f"gdcore: {command or 'this'} is for one process, and {launch.by} has started "
                f"{count}: only gdcore train and gdcore scaling --ranks run on several",
                file=sys.stderr,
            )
        raise SystemExit(2)

    def ranked(world: Any) -> None:
        global _communicator
        from gdcore.communication import MPICommunicator

        _communicator = MPICommunicator(world)
        if world.rank != 0:
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for good
        program()

    from gdcore.distributed import _launcher

    _launcher.run(ranked, launch)


def communicator() -> MPICommunicator | None:
    """What carries bytes between several ranks."""
    return _communicator


def trainer_options() -> dict[str, Any]:
    """What trainers are given beside the rest: the communicator, on several ranks."""
    return {} if _communicator is None else {"communicator": _communicator}


def alone(option: str) -> None:
    """Says that an option is for one process.

    Raises:
        ValueError: There are several.
    """
    if _communicator is not None:
        raise ValueError(f"{option} is for one process, got it on {_communicator.size} ranks")


def on_first(work: Callable[[], object]) -> None:
    """Does something on rank 0 alone, such as writing a file; what it raises is raised on all."""
    if _communicator is None:
        work()
        return
    error: Exception | None = None
    if _communicator.rank == 0:
        try:
            work()
        except Exception as raised:
            error = raised.with_traceback(None)
    error = _communicator.bcast(error)
    if error is not None:
        raise error


def leave(message: str, code: int) -> NoReturn:
    """Ends the command with a message: on several ranks once for all that say the same."""
    if _communicator is not None:
        from gdcore.distributed._launcher import Told

        raise Told(message, code)
    print(message, file=sys.stderr)
    raise SystemExit(code)
