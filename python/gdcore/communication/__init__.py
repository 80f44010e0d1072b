"""Ranks and what carries bytes between them; `gdcore.distributed` is what users see."""

from __future__ import annotations

from gdcore.communication.gloo import TorchCommunicator
from gdcore.communication.mpi import MPICommunicator, is_mpi
from gdcore.communication.protocol import Bytes, Communicator, places
from gdcore.communication.threads import ThreadRank, run_ranks

__all__ = [
    "Bytes",
    "Communicator",
    "MPICommunicator",
    "ThreadRank",
    "TorchCommunicator",
    "is_mpi",
    "places",
    "resolved",
    "run_ranks",
]


def resolved(given: object) -> Communicator | None:
    """The argument communicator of a trainer: one of mpi4py becomes one of gdcore.

    Raises:
        TypeError: It is neither.
    """
    if given is None or isinstance(given, Communicator):
        return given
    if is_mpi(given):
        return MPICommunicator(given)
    raise TypeError(
        "communicator must be one of mpi4py, such as mpi4py.MPI.COMM_WORLD, or a "
        f"gdcore.distributed.Communicator, got {type(given).__name__}"
    )
