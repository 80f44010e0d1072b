"""Ranks of PyTorch's process groups, as gloo makes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from gdcore.communication.protocol import Bytes, places

__all__ = ["TorchCommunicator"]


class TorchCommunicator:
    """A process group of ``torch.distributed`` on CPUs, for who launches by ``torchrun``.

    >>> torch.distributed.init_process_group("gloo")
    >>> comm = gdcore.distributed.TorchCommunicator()

    gloo is several times slower than MPI on one machine.

    Args:
        group: A process group; None is the default one.

    Raises:
        ImportError: torch is not installed.
        RuntimeError: There is no process group.
    """

    def __init__(self, group: Any = None) -> None:
        try:
            import torch
            import torch.distributed as dist
        except ImportError:
            raise ImportError(
                "TorchCommunicator needs torch, which is not installed. Install it with: "
                'python -m pip install "gdcore[torch]"'
            ) from None
        if not dist.is_initialized():
            raise RuntimeError(
                'there is no process group: call torch.distributed.init_process_group("gloo") '
                "before"
            )
        self._torch, self._dist, self._group = torch, dist, group
        self._rank: int = dist.get_rank(group)
        self._size: int = dist.get_world_size(group)

    @property
    def rank(self) -> int:
        """See `Communicator.rank`."""
        return self._rank

    @property
    def size(self) -> int:
        """See `Communicator.size`."""
        return self._size

    def _global(self, rank: int) -> int:
        """The number that point-to-point calls have for a rank of the group."""
        if self._group is None:
            return rank
        found: int = self._dist.get_global_rank(self._group, rank)
        return found

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
        sent, received = self._torch.from_numpy(send), self._torch.from_numpy(receive)
        begins = send_places or places(send_counts)
        ends = receive_places or places(receive_counts)
        own = self._rank
        at, to = begins[own], ends[own]
        receive[to : to + receive_counts[own]] = send[at : at + send_counts[own]]
        calls = []
        for rank in range(self._size):
            if rank == own:
                continue
            to, count = ends[rank], receive_counts[rank]
            if count > 0:
                part = received[to : to + count]
                calls.append(self._dist.irecv(part, self._global(rank), group=self._group))
        for rank in range(self._size):
            at, count = begins[rank], send_counts[rank]
            if rank != own and count > 0:
                part = sent[at : at + count]
                calls.append(self._dist.isend(part, self._global(rank), group=self._group))
        for call in calls:
            call.wait()

    def allgatherv(self, buffer: Bytes, counts: Sequence[int]) -> None:
        """See `Communicator.allgatherv`."""
        begins = places(counts)
        own = buffer[begins[self._rank] : begins[self._rank] + counts[self._rank]]
        others = [0 if rank == self._rank else count for rank, count in enumerate(counts)]
        sent = [0 if rank == self._rank else len(own) for rank in range(self._size)]
        same = [0] * self._size
        self.alltoallv(own, sent, buffer, others, same, begins)

    def bcast(self, value: Any, root: int = 0) -> Any:
        """See `Communicator.bcast`."""
        box = [value]
        self._dist.broadcast_object_list(box, self._global(root), group=self._group)
        return box[0]

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """See `Communicator.gather`."""
        found: list[Any] | None = [None] * self._size if self._rank == root else None
        self._dist.gather_object(value, found, self._global(root), group=self._group)
        return found

    def abort(self, code: int = 1) -> None:
        """See `Communicator.abort`: ends this process, which gloo's other ranks find out."""
        os._exit(code)
