"""Who came when to each exchange, and who waited for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.profiling.recording import Rank, Recording

__all__ = ["EXCHANGE", "Exchanges", "exchanges_of", "own_exchanges"]

EXCHANGE = "exchange"  # the zone, and the name of ranges that programs of one's own may use


@dataclass(frozen=True)
class Exchanges:
    """K exchanges that all R ranks recorded, by time. Nanoseconds of rank 0's CLOCK_MONOTONIC.

    Attributes:
        step: (K,) the step of the trainer that each belongs to, 0 of none.
        begin: (K, R) when each rank came.
        end: (K, R) when it went on.
        waited: (K, R) from when it came until the last rank did; 0 where that is no more than the
            clocks may be off.
        last: (K,) who came last; -1 where that is by no more than the clocks may be off.
    """

    step: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    waited: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        """How many."""
        return len(self.step)

    def made_wait(self, rank: int) -> float:
        """Nanoseconds that the others waited where that rank was the last one, their mean."""
        others = max(self.begin.shape[1] - 1, 1)
        return float(self.waited[self.last == rank].sum() / others)


@dataclass(frozen=True)
class Own:
    """Exchanges as one rank recorded them, by begin; times are nanoseconds from its beginning.

    Attributes:
        key: (K,) trainer and step.
        begin: (K,) when.
        end: (K,) likewise.
        bytes: (K,) under way, where the recording tells.
    """

    key: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    bytes: NDArray[np.int64]


def own_exchanges(recording: Recording) -> Own:
    """Of one rank: what gdcore exchanged, or else ranges of the program that have that name."""
    rows: Any = recording.events[recording.where(lambda each: each.op == EXCHANGE)]
    if not len(rows):
        named = np.array([name == EXCHANGE for name in recording.range_names], bool)
        rows = recording.ranges
        rows = rows[named[rows["name"]]] if len(rows) else rows
    key = (rows["source"].astype(np.int64) << 32) + rows["step"]
    size = rows["bytes"] if "bytes" in (rows.dtype.names or ()) else np.zeros(len(rows), np.int64)
    return Own(key, rows["begin"], rows["end"], size)


def exchanges_of(ranks: Sequence[Rank]) -> Exchanges:
    """Those that all ranks have, matched by trainer, step and place within the step.

    Steps of which a rank has other numbers of exchanges than another are left out: where events
    were dropped, or not every step was recorded.
    """
    own = [own_exchanges(each.recording) for each in ranks]
    counts = [np.unique(each.key, return_counts=True) for each in own]
    whole, times = counts[0]
    for keys, found in counts[1:]:
        place = np.minimum(np.searchsorted(keys, whole), max(len(keys) - 1, 0))
        same = np.zeros(len(whole), bool)
        if len(keys):
            same = (keys[place] == whole) & (found[place] == times)
        whole, times = whole[same], times[same]
    chosen = []
    for each in own:
        inside = np.flatnonzero(np.isin(each.key, whole))
        chosen.append(inside[np.argsort(each.key[inside], kind="stable")])

    def column(name: str) -> NDArray[np.int64]:
        rows = [
            getattr(each, name)[which] + rank.recording.began
            for each, which, rank in zip(own, chosen, ranks, strict=True)
        ]
        return np.stack(rows, axis=1).astype(np.int64)

    begin, end = column("begin"), column("end")
    order = np.argsort(begin[:, 0], kind="stable")
    begin, end = begin[order], end[order]
    step = (own[0].key[chosen[0]] & 0xFFFFFFFF)[order]
    errors = np.array([each.clock.error for each in ranks])
    return Exchanges(step, begin, end, *_lateness(begin, end, errors))


def _lateness(
    begin: NDArray[np.int64], end: NDArray[np.int64], errors: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    count, size = begin.shape
    if not count or size < 2:
        return np.zeros_like(begin), np.full(count, -1, np.int64)
    row = np.arange(count)
    last = begin.argmax(axis=1)
    arrived = begin[row, last]
    doubt = errors[None, :] + errors[last][:, None]
    waited = np.maximum(np.minimum(arrived[:, None], end) - begin, 0)
    waited[waited <= doubt] = 0
    waited[row, last] = 0
    # By how much each of the others was earlier, less what the clocks may be off.
    ahead = arrived[:, None] - begin - doubt
    ahead[row, last] = np.inf
    return waited, np.where(ahead.min(axis=1) > 0, last, -1)
