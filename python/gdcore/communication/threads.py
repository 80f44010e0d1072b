"""Ranks that are threads of one process, which need nothing installed."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gdcore._check import integer
from gdcore.communication.protocol import Bytes, places

__all__ = ["ThreadRank", "run_ranks"]

R = TypeVar("R")


class _Meeting:
    """Where the threads of a run hand each other what they have."""

    def __init__(self, size: int, timeout: float) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=timeout)
        self.table: list[Any] = [None] * size

    def exchange(self, rank: int, value: Any) -> list[Any]:
        """Each rank's value; `done` must follow before any of them changes."""
        self.table[rank] = value
        self.barrier.wait()
        return self.table

    def done(self) -> None:
        self.barrier.wait()


class ThreadRank:
    """One of the ranks of `run_ranks`."""

    def __init__(self, meeting: _Meeting, rank: int) -> None:
        self._meeting, self._rank = meeting, rank

    @property
    def rank(self) -> int:
        """See `Communicator.rank`."""
        return self._rank

    @property
    def size(self) -> int:
        """See `Communicator.size`."""
        return self._meeting.size

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
        sent = send_places or places(send_counts)
        table = self._meeting.exchange(self._rank, (send, send_counts, sent))
        begins = receive_places or places(receive_counts)
        for begin, count, (theirs, counts, at_rank) in zip(
            begins, receive_counts, table, strict=True
        ):
            if counts[self._rank] != count:
                self._meeting.barrier.abort()
                raise ValueError(
                    f"receive_counts must be what the ranks send, got {count} for "
                    f"{counts[self._rank]} bytes"
                )
            at = at_rank[self._rank]
            receive[begin : begin + count] = theirs[at : at + count]
        self._meeting.done()

    def allgatherv(self, buffer: Bytes, counts: Sequence[int]) -> None:
        """See `Communicator.allgatherv`."""
        table = self._meeting.exchange(self._rank, buffer)
        for each, (begin, count) in enumerate(zip(places(counts), counts, strict=True)):
            if each != self._rank:
                buffer[begin : begin + count] = table[each][begin : begin + count]
        self._meeting.done()

    def bcast(self, value: Any, root: int = 0) -> Any:
        """See `Communicator.bcast`."""
        found = self._meeting.exchange(self._rank, value)[root]
        mine = found if self._rank == root else copy.deepcopy(found)
        self._meeting.done()
        return mine

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """See `Communicator.gather`."""
        table = self._meeting.exchange(self._rank, value)
        mine = copy.deepcopy(table) if self._rank == root else None
        self._meeting.done()
        return mine

    def abort(self, code: int = 1) -> None:
        """See `Communicator.abort`; here the others end with a BrokenBarrierError."""
        self._meeting.barrier.abort()


def run_ranks(size: int, work: Callable[[ThreadRank], R], *, timeout: float = 60.0) -> list[R]:
    """Calls a function on so many ranks at once, each a thread of this process.

    That is for tests, and to try what a run on more ranks comes to: threads share the cores.

    >>> hashes = gdcore.distributed.run_ranks(4, lambda communicator: train(communicator))

    Args:
        size: How many ranks, at least 1.
        work: Gets a `Communicator`.
        timeout: Seconds that a rank waits for the others at most.

    Returns:
        What each returned, in order.

    Raises:
        TypeError: size is no integer.
        ValueError: size is below 1.
        BaseException: The first that a rank has raised; the others are ended.
    """
    size = integer("size", size)
    meeting = _Meeting(size, timeout)
    found: list[Any] = [None] * size
    errors: list[BaseException] = []

    def one(rank: int) -> None:
        try:
            found[rank] = work(ThreadRank(meeting, rank))
        except threading.BrokenBarrierError as error:
            errors.append(error)  # another's fault, if it has one
        except BaseException as error:
            errors.insert(0, error)
            meeting.barrier.abort()

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if errors:
        raise errors[0]
    return found
