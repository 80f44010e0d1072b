"""What training on several ranks needs of whoever carries bytes between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bytes", "Communicator", "places"]

Bytes = NDArray[np.uint8]


@runtime_checkable
class Communicator(Protocol):
    """The ranks of a run, 0 to size - 1, as one of them sees the others.

    Every method is collective: all ranks call the same ones in the same order, and each returns
    once this rank has what it was sent. What is carried is bytes, never numbers that are added up:
    sums are made by gdcore, in an order that is the same for any number of ranks.

    An exception on the way, as of a rank that is gone, is the communicator's own.
    """

    @property
    def rank(self) -> int:
        """Which of them this is."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def alltoallv(
        self,
        send: Bytes,
        send_counts: Sequence[int],
        receive: Bytes,
        receive_counts: Sequence[int],
        send_places: Sequence[int] | None = None,
        receive_places: Sequence[int] | None = None,
    ) -> None:
        """Sends each rank its part, and receives one from each.

        Args:
            send: The parts for ranks 0, 1, ..., which has to stay as it is meanwhile.
            send_counts: How many bytes each of these has; 0 is none.
            receive: Where the parts from ranks 0, 1, ... go.
            receive_counts: How many bytes come from each.
            send_places: Where each part begins; None: one after the other without gaps.
            receive_places: The same.
        """
        ...

    def allgatherv(self, buffer: Bytes, counts: Sequence[int]) -> None:
        """Gives every rank the parts of all, in place.

        Args:
            buffer: The parts of ranks 0, 1, ..., one after the other without gaps. This rank's own
                is there; the others are received.
            counts: How many bytes each has.
        """
        ...

    def bcast(self, value: Any, root: int = 0) -> Any:
        """The root's value, which can be pickled, on every rank."""
        ...

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """On the root each rank's value, in order; None elsewhere. Values can be pickled."""
        ...

    def abort(self, code: int = 1) -> None:
        """Ends all ranks at once with that exit status, whatever they are doing.

        Called from any thread, and not collective.
        """
        ...


def places(counts: Sequence[int]) -> list[int]:
    """Where parts of so many bytes begin, one after the other."""
    begins = [0]
    for count in counts[:-1]:
        begins.append(begins[-1] + count)
    return begins
