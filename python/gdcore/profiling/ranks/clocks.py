"""How far the clock of each rank is ahead of that of rank 0.

A message that is sent at t on one clock and has come at u on the other bounds the difference of the
two from one side, whatever delayed it: a clock that is d ahead showed u at u - d, which is after t,
so that d < u - t; a message back bounds it from below. Of many in both directions the tightest ones
count, each side by itself: they need not be of one round trip, so that the bounds are never wider
than the shortest one, and mostly narrower. The middle is off by half their distance at most.

Source: Cristian, "Probabilistic clock synchronization", Distributed Computing 3, 1989.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gdcore.profiling.records import Clock

if TYPE_CHECKING:
    from gdcore.communication import Communicator

__all__ = ["Reading", "clock_of", "read_clocks"]

_ROUNDS = 10  # between two decisions to go on
_MOST = 20  # of these
_IN_VAIN = 3  # of these after each other end it
_SECONDS = 0.4  # for all ranks together, but for the first rounds of each
_FAR = 1 << 61
_NARROWER = 0.9  # than before: then more rounds pay


@dataclass(frozen=True)
class Reading:
    """What messages told of a rank's clock at some time.

    Attributes:
        at: Nanoseconds of rank 0's clock.
        low: How far it is ahead at least, in nanoseconds.
        high: The same at most.
        rounds: How many messages went each way.
    """

    at: int
    low: int
    high: int
    rounds: int

    @property
    def offset(self) -> float:
        """The middle of the bounds."""
        return (self.low + self.high) / 2

    @property
    def error(self) -> float:
        """What the middle is off by at most."""
        return abs(self.high - self.low) / 2  # they cross where clocks drift meanwhile


def read_clocks(
    communicator: Communicator, clock: Callable[[], int] = time.monotonic_ns
) -> list[Reading]:
    """Compares all clocks with that of rank 0; all ranks call it together.

    Rank 0 and one other play ping-pong, in calls of alltoallv in which nobody else has bytes to
    send: so a message waits for no third rank, and who gets it is there already. Where all tell
    each other their times at once by allgatherv, the bounds are of all ranks' ways and lateness:
    with three ranks of Open MPI on two cores 24 us, and 8 to 14 us so. It ends when more rounds no
    longer narrow the bounds.

    Args:
        communicator: Of all ranks.
        clock: Nanoseconds.

    Returns:
        On rank 0 a reading of each rank, its own first; elsewhere nothing.
    """
    found = [Reading(clock(), 0, 0, 0)]
    for other in range(1, communicator.size):
        pair = _Pair(communicator, other, clock)
        most = _SECONDS / (communicator.size - 1)
        begin = time.monotonic()
        blocks = in_vain = 0
        more = True
        while more:
            before = pair.width
            for _ in range(_ROUNDS):
                pair.round()
            blocks += 1
            in_vain = 0 if pair.width < _NARROWER * before else in_vain + 1
            more = blocks < _MOST and in_vain < _IN_VAIN and time.monotonic() - begin < most
            more = communicator.bcast(more)
        if communicator.rank == 0:
            found.append(Reading(pair.at, pair.low, pair.high, blocks * _ROUNDS))
    return found if communicator.rank == 0 else []


class _Pair:
    """Rank 0 and another, as each rank sees them."""

    def __init__(self, communicator: Communicator, other: int, clock: Callable[[], int]) -> None:
        self._carry, self._clock = communicator.alltoallv, clock
        self._rank, self._other = communicator.rank, other
        self._none = [0] * communicator.size
        self._there, self._back = self._none.copy(), self._none.copy()
        peer = other if self._rank == 0 else 0
        self._there[peer], self._back[peer] = 8, 16
        self._ping, self._pong = np.zeros(8, np.uint8), np.zeros(16, np.uint8)
        self._stamps = self._pong.view(np.int64)  # when the ping came, and when the pong left
        self._nothing = np.zeros(0, np.uint8)
        self.low, self.high, self.at = -_FAR, _FAR, 0

    @property
    def width(self) -> int:
        return self.high - self.low

    def round(self) -> None:
        """A message to the other rank and one back."""
        carry, clock, none, nothing = self._carry, self._clock, self._none, self._nothing
        if self._rank == 0:
            begin = clock()
            carry(self._ping, self._there, nothing, none)
            carry(nothing, none, self._pong, self._back)
            self.at = clock()
            came, left = self._stamps.tolist()
            self.high = min(self.high, came - begin)
            self.low = max(self.low, left - self.at)
        elif self._rank == self._other:
            carry(nothing, none, self._ping, self._there)
            self._stamps[0] = clock()
            self._stamps[1] = clock()
            carry(self._pong, self._back, nothing, none)
        else:
            carry(nothing, none, nothing, none)
            carry(nothing, none, nothing, none)


def clock_of(before: Reading, after: Reading) -> Clock:
    """A rank's clock during a recording, of which both ends are known."""
    passed = max(after.at - before.at, 1)
    drift = (after.offset - before.offset) / passed
    sure = abs(after.offset - before.offset) > before.error + after.error
    return Clock(
        offset=before.offset,
        error=max(before.error, after.error),
        at=before.at + before.offset,
        drift=drift,
        drift_is_sure=sure,
        rounds=before.rounds + after.rounds,
    )
