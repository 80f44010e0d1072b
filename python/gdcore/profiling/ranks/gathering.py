"""The recordings of all ranks, brought to rank 0 and to its clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gdcore.profiling.ranks.clocks import Reading, clock_of
from gdcore.profiling.recording import Rank, Recording
from gdcore.profiling.records import Clock

if TYPE_CHECKING:
    from gdcore.communication import Communicator

__all__ = ["gathered"]


def gathered(
    communicator: Communicator,
    recording: Recording,
    before: Sequence[Reading],
    after: Sequence[Reading],
) -> Recording:
    """A rank's own recording, which on rank 0 has those of all; all ranks call it together.

    Args:
        communicator: Of all ranks.
        recording: Of this one.
        before: What `read_clocks` returned ahead of it.
        after: And behind it.
    """
    recordings = communicator.gather(recording)
    if recordings is None:
        return recording
    ranks = [Rank(0, Clock(), recording)]
    for number in range(1, communicator.size):
        clock = clock_of(before[number], after[number])
        ranks.append(Rank(number, clock, recordings[number].on(clock)))
    return replace(recording, ranks=ranks)
