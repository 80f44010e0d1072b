"""Runs a program on each rank, so that it ends on all of them whatever ends it on one."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from gdcore.communication import MPICommunicator
from gdcore.communication.launching import HYDRA, OPEN_MPI, Launch
from gdcore.communication.starting import start
from gdcore.communication.watch import Watch, timeout_of
from gdcore.config import set_num_threads
from gdcore.distributed._supervising import supervise
from gdcore.distributed._threads import pinned

__all__ = ["Told", "communicator_of", "run"]

INTERRUPTED = 130


class Told(SystemExit):
    """The end of a program with a message, told once for all ranks that say the same.

    Args:
        text: The message.
        code: The status.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(code)
        self.text = text


def run(
    work: Callable[[Any], object],
    launch: Launch,
    timeout: float | None = None,
    name: str = "gdcore",
) -> NoReturn:
    """Runs a program as one of the ranks that a launcher has started, and ends the process.

    Args:
        work: The program; it is given mpi4py's COMM_WORLD.
        launch: What has started the ranks.
        timeout: Seconds that a rank may be silent, or let others wait, else of GDCORE_TIMEOUT.
        name: Stands before messages.
    """
    try:
        timeout_of(timeout)
    except ValueError as error:
        _refuse(launch, f"{name}: {error}")
    supervised = supervise(launch.hasty)
    try:
        world = communicator_of(launch)
    except (ImportError, RuntimeError) as error:
        supervised.leaving()
        _refuse(launch, f"{name}: {error}")
    communicator = MPICommunicator(world)
    watch = start(
        communicator,
        timeout,
        leaving=supervised.ending,
        reached=supervised.reached,
        beat=supervised.beat,
    )
    _set_threads(communicator)
    status = _ran(lambda: work(world), watch, communicator)
    supervised.leaving()
    sys.exit(status)


def communicator_of(launch: Launch) -> Any:
    """mpi4py's COMM_WORLD.

    Raises:
        ImportError: mpi4py or an MPI is missing.
        RuntimeError: It is of another MPI than the launcher.
    """
    try:
        import mpi4py

        # Under the launcher of another MPI it may end the process where it begins.
        mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
        from mpi4py import MPI
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mpi4py":
            raise
        raise ImportError(
            f"several ranks, as {launch.by} has started, need mpi4py, which is not installed. "
            'Install it with: python -m pip install "gdcore[mpi]"'
        ) from None
    except (ImportError, RuntimeError) as error:
        raise ImportError(f"mpi4py finds no MPI library: {str(error).splitlines()[0]}") from error
    open_mpi = MPI.get_vendor()[0] == "Open MPI"
    wrong = (open_mpi and launch.by == HYDRA) or (not open_mpi and launch.by == OPEN_MPI)
    if not wrong:
        if not MPI.Is_initialized():
            MPI.Init_thread(MPI.THREAD_MULTIPLE)
        wrong = launch.size is not None and MPI.COMM_WORLD.size != launch.size
    if wrong:
        library = " ".join(MPI.Get_library_version().strip("\0").split("\n")[0].split())
        count = "several" if launch.size is None else launch.size
        raise RuntimeError(
            f"{launch.by} has started {count} ranks, but mpi4py would see 1: it runs on another "
            f"MPI, {library.partition(',')[0]}. Take that one's mpirun, or an mpi4py for this one"
            + (" (srun: try srun --mpi=pmi2 or --mpi=pmix)" if launch.by == "srun" else "")
        )
    return MPI.COMM_WORLD


def _refuse(launch: Launch, text: str) -> NoReturn:
    """Ends all ranks, each of which finds the same, with one message."""
    if launch.rank == 0:
        print(text, file=sys.stderr)
    sys.exit(2)


def _set_threads(communicator: MPICommunicator) -> None:
    threads, text = pinned(communicator)
    if text:
        print(f"gdcore: note: {text}", file=sys.stderr)
    if not os.environ.get("OMP_NUM_THREADS"):
        set_num_threads(threads)


def _ran(work: Callable[[], object], watch: Watch | None, communicator: MPICommunicator) -> int:
    """Runs a program; returns the status that the process ends with, once all ranks are done."""
    status, text = 0, ""
    try:
        try:
            work()
        except Told as end:
            status, text = int(end.code or 0), end.text
        except SystemExit as end:
            if isinstance(end.code, str):
                status, text = 1, end.code
            else:
                status = int(end.code or 0)
        except KeyboardInterrupt:
            status = INTERRUPTED
        if watch is not None:
            watch.goodbye(status, text)
        elif text:
            print(text, file=sys.stderr)
    except KeyboardInterrupt:
        if watch is not None:
            watch.raised("KeyboardInterrupt while the others were waited for", INTERRUPTED)
        communicator.abort(INTERRUPTED)
        return INTERRUPTED
    except BaseException as error:
        shown = _shown(error)
        if watch is not None:
            watch.raised(shown)
        print(f"gdcore: rank {communicator.rank} raised an exception:\n{shown}", file=sys.stderr)
        sys.stderr.flush()
        communicator.abort(1)
        return 1
    return status


def _shown(error: BaseException) -> str:
    """A traceback that begins in the program, as if it had been run by Python itself."""
    trace = error.__traceback__
    own = os.path.dirname(os.path.abspath(__file__))
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if not path.startswith((own, "<frozen runpy")) and not path.endswith("/runpy.py"):
            break
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))
