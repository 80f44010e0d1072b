"""What joins ranks: how long a message takes at least, and how many bytes a second follow it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gdcore._names import choice
from gdcore.communication import Communicator

__all__ = ["LINKS", "Link", "exchange_seconds", "measured_link", "messages", "named_link"]

_FEW = 8  # ranks, as cpp/train/slices.cpp has it
_SHORT, _LONG = 80 << 10, 512 << 10  # bytes: MPICH's defaults for allgatherv
_ROUNDS = 7
_SECONDS = 0.01  # of a measurement
_MOST_REPEATS = 1000
_SIZES = 6


@dataclass(frozen=True)
class Link:
    """A message of n bytes takes alpha + n / beta.

    Source: Hockney, "The communication challenge for MPP: Intel Paragon and Meiko CS-2", Parallel
    Computing 20(3), 1994.

    Attributes:
        alpha: Seconds that each message takes, however short.
        beta: Bytes a second, each way.
        name: What it is called.
    """

    alpha: float
    beta: float
    name: str = ""

    def __str__(self) -> str:
        """In a line."""
        told = f"{self.alpha * 1e6:.3g} us a message, {self.beta / 1e9:.3g} GB/s"
        return f"{self.name} ({told})" if self.name else told


# Ethernet as TCP of Linux's kernel has it: of a frame of 1,538 bytes on the wire (1,500 and what
# IEEE 802.3 puts around) 1,448 are data, 94 % of 10 Gbit/s; at 100 Gbit/s the kernel's copying is
# the limit, for which two thirds of the wire are assumed. InfiniBand HDR is 200 Gbit/s (InfiniBand
# architecture specification 1.4), of which 92 % are assumed, what MPI's ping-pongs come to. Times
# of a message are assumed: some 25 us through the kernel, 2 us past it. Measure your own.
LINKS = {
    link.name: link
    for link in (
        Link(25e-6, 1.17e9, "10GbE"),
        Link(20e-6, 8.1e9, "100GbE"),
        Link(2e-6, 23e9, "InfiniBand HDR"),
    )
}


def named_link(argument: str, name: str) -> Link:
    """One of `LINKS`.

    Raises:
        TypeError: The name is no text.
        ValueError: There is none of that name.
    """
    return LINKS[choice(argument, name, list(LINKS))]


def messages(ranks: int, size: int) -> int:
    """Messages that follow each other in the exchanges of one step, of a gradient of size bytes.

    R - 1 in alltoallv, which posts one to each other rank: lengths differ, so that no rank could
    pass on what it does not know. The way back is such an alltoallv for up to 8 ranks; gathering
    among more takes ceil(log2 R) where it is short, doubling what each rank has, and R - 1 around a
    ring where it is long; gathering the losses ceil(log2 R).

    Source: MPICH, ``src/mpi/coll/alltoallv`` and ``allgatherv``; Thakur, Rabenseifner and Gropp,
    "Optimization of collective communication operations in MPICH", IJHPCA 19(1), 2005.
    """
    back = ranks - 1 if ranks <= _FEW else _gathering(ranks, size)
    return ranks - 1 + back + _gathering(ranks, 0)


def _gathering(ranks: int, size: int) -> int:
    """Messages that follow each other in an allgatherv that gives each rank so many bytes."""
    doubling = size < (_LONG if ranks & (ranks - 1) == 0 else _SHORT)
    return (ranks - 1).bit_length() if doubling else ranks - 1


def exchange_seconds(link: Link, ranks: int, size: int) -> float:
    """What a step's exchanges take: gradients to their owners, sums back to all, and losses.

    The messages, and 2 size (R - 1) / R bytes each way.

    Args:
        link: What joins the ranks.
        ranks: R.
        size: Bytes of the gradient.
    """
    return link.alpha * messages(ranks, size) + 2 * size * (ranks - 1) / ranks / link.beta


def measured_link(communicator: Communicator, size: int) -> Link:
    """Measures alltoallv and allgatherv of several sizes and fits both numbers.

    All ranks call it together, and get the same. The longest time of any rank counts, of rounds
    the shortest; the fit is of relative errors, so that short messages count as long ones do.

    Args:
        communicator: Of at least 2 ranks.
        size: Bytes of the gradient that is to travel: the largest parts are 1 / R of it.
    """
    ranks = communicator.size
    largest = max(size // ranks, 1 << 12)
    rows, times = [], []
    for part in sorted({round(each) for each in np.geomspace(64, largest, _SIZES)}):
        for collective, count in (
            (_alltoallv(communicator, part), ranks - 1),
            (_allgatherv(communicator, part), _gathering(ranks, part * ranks)),
        ):
            rows.append([count, part * (ranks - 1)])
            times.append(_seconds(communicator, collective))
    alpha, inverse = _fitted(rows, times)
    return Link(alpha, 1 / inverse, f"what was measured on {ranks} ranks")


def _fitted(rows: Sequence[Sequence[float]], times: Sequence[float]) -> tuple[float, float]:
    """The time of a message, and 1 / beta, by least squares of relative errors, neither below 0."""
    seconds = np.array(times)
    design = np.array(rows, float) / seconds[:, None]
    (alpha, inverse), *_ = np.linalg.lstsq(design, np.ones(len(seconds)), rcond=None)
    if alpha <= 0 or inverse <= 0:  # times that do not rise, or begin at nothing
        largest = int(np.argmax(np.array(rows)[:, 1]))
        alpha, inverse = max(float(alpha), 0.0), max(float(inverse), 0.0)
        inverse = inverse or float(seconds[largest] / rows[largest][1])
    return float(alpha), float(inverse)


def _alltoallv(communicator: Communicator, part: int) -> Callable[[], None]:
    counts = [part] * communicator.size
    counts[communicator.rank] = 0
    send, receive = (np.zeros(sum(counts), np.uint8) for _ in range(2))
    return lambda: communicator.alltoallv(send, counts, receive, counts)


def _allgatherv(communicator: Communicator, part: int) -> Callable[[], None]:
    counts = [part] * communicator.size
    buffer = np.zeros(sum(counts), np.uint8)
    return lambda: communicator.allgatherv(buffer, counts)


def _seconds(communicator: Communicator, collective: Callable[[], None]) -> float:
    collective()  # connects, and touches memory

    def run(count: int) -> float:
        communicator.bcast(None)
        begin = time.perf_counter()
        for _ in range(count):
            collective()
        took = (time.perf_counter() - begin) / count
        found = communicator.gather(took)
        slowest: float = communicator.bcast(None if found is None else max(found))
        return slowest

    count = min(max(math.ceil(_SECONDS / max(run(2), 1e-9)), 1), _MOST_REPEATS)
    return min(run(count) for _ in range(_ROUNDS))
