"""Ranks of an MPI run, through mpi4py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gdcore.communication.meetings import Meeting
from gdcore.communication.protocol import Bytes, places

__all__ = ["MPICommunicator", "is_mpi"]


def is_mpi(given: object) -> bool:
    """Whether that is a communicator of mpi4py."""
    return type(given).__module__.split(".")[0] == "mpi4py" and hasattr(given, "Alltoallv")


class MPICommunicator:
    """A communicator of mpi4py, such as ``mpi4py.MPI.COMM_WORLD``.

    Messages of gdcore must not meet those of the program, so that it is duplicated: all ranks make
    one at the same time.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI  # that of the communicator

        if comm == MPI.COMM_NULL or comm.Is_inter():
            raise ValueError(f"communicator must be an intracommunicator, got {comm!r}")
        self._mpi = MPI
        self._comm = comm.Dup()
        self._rank: int = comm.Get_rank()
        self._size: int = comm.Get_size()
        self._meeting = Meeting()  # of the exchanges by which those of the watch are made
        from gdcore.communication.watch import meeting

        self._meeting = meeting(self)

    def waiting(self, what: object) -> Any:
        """The context of exchanges that the watch is to know by a name such as ``"step 17"``.

        Without it each has the name of its method.
        """
        return self._meeting.waiting(what)

    @property
    def rank(self) -> int:
        """See `Communicator.rank`."""
        return self._rank

    @property
    def size(self) -> int:
        """See `Communicator.size`."""
        return self._size

    def alltoallv(
        self,
        send: Bytes,
        send_counts: Sequence[int],
        receive: Bytes,
        receive_counts: Sequence[int],
        send_places: Sequence[int] | None = None,
        receive_places: Sequence[int] | None = None,
    ) -> None:
        """See `Communicator.alltoallv`."""
        byte = self._mpi.BYTE
        with self._meeting.waiting("alltoallv"):
            self._comm.Alltoallv(
                [send, send_counts, send_places or places(send_counts), byte],
                [receive, receive_counts, receive_places or places(receive_counts), byte],
            )

    def allgatherv(self, buffer: Bytes, counts: Sequence[int]) -> None:
        """See `Communicator.allgatherv`."""
        parts = [buffer, counts, places(counts), self._mpi.BYTE]
        with self._meeting.waiting("allgatherv"):
            self._comm.Allgatherv(self._mpi.IN_PLACE, parts)

    def bcast(self, value: Any, root: int = 0) -> Any:
        """See `Communicator.bcast`."""
        with self._meeting.waiting("bcast"):
            return self._comm.bcast(value, root)

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """See `Communicator.gather`."""
        with self._meeting.waiting("gather"):
            gathered: list[Any] | None = self._comm.gather(value, root)
        return gathered

    def abort(self, code: int = 1) -> None:
        """See `Communicator.abort`."""
        self._comm.Abort(code)
