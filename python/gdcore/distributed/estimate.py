"""Whether training on more ranks will pay: computed from what a step takes, and what joins them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from gdcore import _html
from gdcore._check import integer, listed, real
from gdcore.communication import Communicator, resolved
from gdcore.distributed.links import LINKS, Link, exchange_seconds, measured_link, named_link
from gdcore.distributed.measuring import Alone, drawn_samples, measured_alone, shares_update
from gdcore.files import checked_path
from gdcore.profiling.palette import Picture
from gdcore.profiling.tables import Table
from gdcore.solvers import Solver
from gdcore.training import Trainer
from gdcore.typing import Inputs

__all__ = ["Estimate", "estimate"]

_MOST_SIZES = 4  # numbers of rows that are measured
_MOST_MEASURED = 1 << 11  # rows of a step that is measured; above, time is in proportion
_LARGEST = 1 << 16  # number of ranks
_LARGEST_BATCH = 1 << 31


@dataclass(frozen=True)
class Estimate:
    """What steps on several ranks will take; printed, it is a table with what it comes to.

    Attributes:
        parameters: How many are exchanged.
        dtype: Of each.
        batch_size: Rows of a step, over all ranks.
        ranks: Numbers of ranks that are told.
        link: What joins them.
        alone: What one rank takes on its part of the batch, and for the update.
    """

    parameters: int
    dtype: np.dtype[Any]
    batch_size: int
    ranks: tuple[int, ...]
    link: Link
    alone: Alone

    @property
    def gradient_bytes(self) -> int:
        """Of the whole gradient, which goes to its owners and back."""
        return self.parameters * self.dtype.itemsize

    def rows(self, ranks: int) -> int:
        """Rows that the rank with the most has."""
        return -(-self.batch_size // ranks)

    def parts(self, ranks: int) -> tuple[float, float, float]:
        """Seconds of a step on so many ranks: computing, exchanging, updating."""
        exchanging = exchange_seconds(self.link, ranks, self.gradient_bytes)
        return self.alone.computing(self.rows(ranks)), exchanging, self.alone.updating(ranks)

    def seconds(self, ranks: int) -> float:
        """Of a step on so many ranks."""
        return sum(self.parts(ranks))

    @cached_property
    def best(self) -> int:
        """The number of ranks, from 1 to the largest that was asked for, with the shortest step."""
        return min(range(1, max(self.ranks) + 1), key=self.seconds)

    @cached_property
    def half(self) -> int | None:
        """From how many ranks on an exchange takes half of a step; None where it does not."""
        for ranks in range(2, max(self.ranks) + 1):
            if self.parts(ranks)[1] >= self.seconds(ranks) / 2:
                return ranks
        return None

    @cached_property
    def transfer_rows(self) -> float:
        """How many rows a rank computes in the time that its bytes are on their way, of many ranks.

        On dense layers in float32 some 4/3 F / beta, whatever their size; with fewer rows a step is
        mostly exchange, however short messages take.
        """
        transfer = 2 * self.gradient_bytes / self.link.beta
        low, high = 0.0, 1.0
        while self.alone.computing(high) < transfer and high < _LARGEST_BATCH:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.alone.computing(middle) < transfer else (low, middle)
        return high

    def table(self) -> Table:
        """A row for each number of ranks: microseconds of a step and of its parts, and the gain."""
        one = self.seconds(1)
        found = Table()
        for ranks in self.ranks:
            computing, exchanging, updating = self.parts(ranks)
            step = computing + exchanging + updating
            found.append(
                {
                    "ranks": ranks,
                    "rows a rank": self.rows(ranks),
                    "computing, us": 1e6 * computing,
                    "exchanging, us": 1e6 * exchanging,
                    "updating, us": 1e6 * updating,
                    "step, us": 1e6 * step,
                    "steps/s": 1 / step,
                    "speed-up": one / step,
                    "efficiency %": 100 * one / step / ranks,
                }
            )
        return found

    def sentences(self) -> list[str]:
        """From where on more ranks lose, and from where on the exchange takes half of a step."""
        most, best = max(self.ranks), self.best
        found = []
        if most == 1:
            return ["One rank exchanges nothing."]
        if best == 1:
            shortest = min(range(2, most + 1), key=self.seconds)
            slower = self.seconds(shortest) / self.seconds(1)
            found.append(
                f"No number of ranks up to {most:,} is faster than one: even on {shortest:,} a "
                f"step takes {slower:,.3g} times as long."
            )
        else:
            gain = self.seconds(1) / self.seconds(best)
            told = f"{best:,} ranks are {gain:.3g} times as fast as one"
            if best < most:
                found.append(
                    f"From {best + 1:,} ranks on a step takes longer than on {best:,}: {told}."
                )
            else:
                found.append(f"Up to {most:,} ranks steps become shorter: {told}.")
        if self.half is None:
            found.append(f"Up to {most:,} ranks an exchange takes less than half of a step.")
        else:
            found.append(
                f"Half of the time is exchange from {self.rows(self.half):,} rows a rank on, "
                f"which is on {self.half:,} ranks."
            )
        found.append(
            f"The bytes of an exchange alone take as long as {round(self.transfer_rows):,} rows."
        )
        return found

    def __str__(self) -> str:
        """What it is of, the table, and what it comes to."""
        return "\n".join([self._head(), "", str(self.table()), "", *self.sentences()])

    def _head(self) -> str:
        return (
            f"{self.parameters:,} parameters of {self.dtype}, batches of {self.batch_size:,} rows, "
            f"over {self.link}"
        )

    def _repr_html_(self) -> str:
        return _html.items([self._head()]) + self.table().to_html() + _html.items(self.sentences())

    @overload
    def plot(self) -> Picture: ...

    @overload
    def plot(self, path: str | os.PathLike[str]) -> None: ...

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture | None:
        """Draws the step and its parts over ranks, and the speed-up.

        Args:
            path: Where to: .png, .svg or .pdf by its ending. None returns the picture, which
                notebooks show.

        Raises:
            ImportError: matplotlib is not installed; the extra ``profile`` has it.
            ValueError: The ending is of no known format.
        """
        from gdcore.distributed.estimate_plot import plot_estimate

        into = Picture() if path is None else Path(checked_path(path))
        plot_estimate(self, into)
        return into if isinstance(into, Picture) else None


def estimate(
    trainer: Trainer,
    batch_size: int,
    ranks: Iterable[int] | None = None,
    *,
    link: str | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    communicator: Any = None,
    flops: float | None = None,
    update: float | None = None,
    x: Inputs | None = None,
    y: Inputs | None = None,
) -> Estimate:
    """Estimates what a step takes on several ranks before there are any.

    >>> told = gdcore.distributed.estimate(trainer, 4096, link="10GbE")
    >>> print(told)
    >>> told.plot("ranks.png")

    A step on R ranks takes the time of ceil(batch_size / R) rows, cut in slices, without an update,
    measured here for some numbers of rows with lines between; then alpha messages(R) +
    2 P s (R - 1) / (R beta) for P parameters of s bytes, which go to their owners and back; then
    the update, measured too: of P / R parameters where the rule is elementwise and nothing clips,
    else of all. messages(R) is R - 1 for the sending to owners, as many for the way back to few
    ranks, else as many or ceil(log2 R) by its length, and ceil(log2 R) for the losses. Nothing
    overlaps, as in gdcore. Late ranks and shared switches make it longer.

    Half of a step is exchange where a rank has some 4/3 F / beta rows of a network of dense layers
    in float32 (6 P FLOP a row, 8 P bytes) on a machine of F FLOP/s, whatever the network's size.

    Args:
        trainer: Whose steps; it must have a loss, and stays as it is. It is measured on
            `Trainer.num_threads` threads: those that a rank will have.
        batch_size: Rows of a step over all ranks.
        ranks: Numbers of them, 1 to batch_size each; None: 1, 2, 4, ... to 1,024.
        link: ``"10GbE"``, ``"100GbE"`` or ``"InfiniBand HDR"``, with the usual numbers of each, see
            `gdcore.distributed.LINKS`.
        alpha: In place of link, seconds that each message takes, at least 0.
        beta: With it, bytes a second each way, above 0.
        communicator: In place of these, of at least 2 ranks (of mpi4py, or a ``Communicator``):
            both are measured on it, and what a rank takes alone is that of the slowest. All ranks
            call this together and get the same.
        flops: FLOP/s of a rank, above 0, in place of what is measured.
        update: Seconds of an update, at least 0, in place of what is measured.
        x: Samples to measure with, as in `Trainer.step`; None draws some at random.
        y: Their targets.

    Raises:
        RuntimeError: The trainer has no loss.
        TypeError: An argument is of the wrong type, or the numbers of a link are given in two ways
            or in none.
        ValueError: An argument is out of its domain, or x or y is not right.
    """
    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a gdcore.Trainer, got {type(trainer).__name__}")
    if isinstance(trainer.optimizer, Solver):
        raise ValueError(
            f"trainer must have an optimizer that trains by steps, got {trainer.optimizer.name!r}"
        )
    batch_size = integer("batch_size", batch_size, at_most=_LARGEST_BATCH)
    numbers = _numbers(ranks, batch_size)
    own = resolved(communicator)
    joined = _link(link, alpha, beta, own)
    flops = None if flops is None else real("flops", flops, above=0)
    update = None if update is None else real("update", update, at_least=0)
    if (x is None) != (y is None):
        raise TypeError("x and y must be given together, or neither")
    network = trainer.network
    if trainer.loss is None:
        raise RuntimeError("this trainer has no loss")
    alone = _alone(trainer, x, y, batch_size, _sizes(batch_size, numbers), flops, update)
    if joined is None and own is not None:
        alone = _slowest(own, alone)
        joined = measured_link(own, network.num_parameters * network.dtype.itemsize)
    assert joined is not None
    return Estimate(network.num_parameters, network.dtype, batch_size, numbers, joined, alone)


def _numbers(given: Any, batch_size: int) -> tuple[int, ...]:
    most = min(batch_size, _LARGEST)
    if given is None:
        return tuple(1 << i for i in range(11) if 1 << i <= most)
    row = listed("ranks", given, "numbers of ranks")
    if not row:
        raise ValueError("ranks must hold numbers of ranks, got none")
    numbers = [integer(f"ranks[{i}]", each) for i, each in enumerate(row)]
    for i, each in enumerate(numbers):
        if each > most:
            why = "batch_size: each rank needs a row" if most == batch_size else "what is computed"
            raise ValueError(f"ranks[{i}] must be at most {most:,}, {why}, got {each:,}")
    return tuple(sorted(set(numbers)))


def _link(name: Any, alpha: Any, beta: Any, communicator: Communicator | None) -> Link | None:
    """What was given; None where it is to be measured."""
    ways = (name is not None, alpha is not None or beta is not None, communicator is not None)
    if sum(ways) != 1:
        known = ", ".join(map(repr, LINKS))
        told = "none of them" if not any(ways) else "more than one of them"
        raise TypeError(
            f"one of link ({known}), alpha with beta, and communicator must be given, got {told}"
        )
    if name is not None:
        return named_link("link", name)
    if communicator is not None:
        if communicator.size < 2:
            raise ValueError(
                "communicator must have at least 2 ranks, for a link to be measured, got 1: give "
                "link, or alpha and beta"
            )
        return None
    if alpha is None or beta is None:
        raise TypeError("alpha and beta must be given together")
    return Link(real("alpha", alpha, at_least=0), real("beta", beta, above=0))


def _sizes(batch_size: int, ranks: Sequence[int]) -> list[int]:
    """Some numbers of rows from the fewest that a rank will have to the most."""
    most = min(batch_size, _MOST_MEASURED)
    least = min(-(-batch_size // max(ranks)), most)
    return sorted({round(each) for each in np.geomspace(least, most, _MOST_SIZES)})


def _alone(
    trainer: Trainer,
    x: Any,
    y: Any,
    batch_size: int,
    sizes: Sequence[int],
    flops: float | None,
    update: float | None,
) -> Alone:
    shares = shares_update(trainer)
    found = Alone((), (), 0.0)
    if flops is None or update is None:
        if x is None:
            x, y = drawn_samples(trainer, max(sizes))
        found = measured_alone(trainer, x, y, sizes if flops is None else (), batch_size)
    seconds = found.seconds
    if flops is not None:  # what rows add, without the update
        count = trainer.flops_per_step
        seconds = np.array([(count(2 * n) - count(n)) / flops for n in sizes])
    return Alone(sizes, seconds, found.update if update is None else update, shares=shares)


def _slowest(communicator: Communicator, alone: Alone) -> Alone:
    """Of each figure that of the rank where it takes longest, on all ranks."""
    gathered = communicator.gather((alone.seconds, alone.update))
    found = None
    if gathered is not None:
        seconds = np.max([each for each, _ in gathered], axis=0)
        slowest_update = max(each for _, each in gathered)
        found = Alone(alone.rows, seconds, slowest_update, shares=alone.shares)
    slowest: Alone = communicator.bcast(found)
    return slowest
