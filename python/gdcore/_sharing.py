"""Trainers that several ranks share, and batches cut in slices; a part of `gdcore.Trainer`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from gdcore._check import integer

if TYPE_CHECKING:
    from gdcore.communication import Communicator
    from gdcore.communication.link import Link
    from gdcore.network import Network
    from gdcore.training import Trainer

__all__ = ["SLICES", "Sharing"]

R = TypeVar("R")

# Of a batch on several ranks, where nobody says another number: it must not follow the ranks.
SLICES = 8
_MOST_SLICES = 65536


class Sharing:
    """The part of a `gdcore.Trainer` that knows other ranks."""

    _network: Network
    _link: Link | None
    _slices: int

    def _share(self, communicator: Any, slices: Any) -> None:
        """Checks the two arguments; see `gdcore.Trainer`."""
        self._link = None
        number = None if slices is None else integer("slices", slices, at_most=_MOST_SLICES)
        if communicator is not None:
            from gdcore.communication import resolved  # only here: most trainers are alone
            from gdcore.communication.link import Link

            found = resolved(communicator)
            assert found is not None
            number = SLICES if number is None else number
            if found.size > number:
                raise ValueError(
                    f"slices must be at least the number of ranks, {found.size}, got {number}"
                )
            self._link = Link(found)
        self._slices = number or 0

    @property
    def communicator(self) -> Communicator | None:
        """What carries bytes between the ranks that share the training, or None."""
        return None if self._link is None else self._link.communicator

    @property
    def slices(self) -> int | None:
        """In how many slices a batch is cut, whose sums are added as a tree, or None."""
        return self._slices or None

    @property
    def _is_first(self) -> bool:
        """Whether this rank speaks and writes for all."""
        return self._link is None or self._link.rank == 0

    def _by_first(self, work: Callable[[], R]) -> R:
        """What the first rank does for all of them; all get its result, or raise as it did."""
        if self._link is None:
            return work()
        found: tuple[Any, Exception | None] = (None, None)
        if self._is_first:
            try:
                found = (work(), None)
            except Exception as error:
                found = (None, error)
        value, failed = self._link.communicator.bcast(found)
        if failed is not None:
            raise failed
        return cast("R", value)

    def _any_rank(self, flag: bool) -> bool:
        return flag if self._link is None else self._link.agree(flag)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Where an exception of one rank, before anything has changed, is one of all."""
        error: Exception | None = None
        try:
            yield
        except Exception as own:
            if self._link is None:
                raise
            error = own
        if self._link is None:
            return
        told = self._link.gathered(None if error is None else f"{type(error).__name__}: {error}")
        if error is not None:
            raise error
        for rank, words in enumerate(told):
            if words is not None:
                raise RuntimeError(f"rank {rank} has refused it: {words}")

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        if self._link is None:
            yield
            return
        with self._link.interruptible():
            yield

    def _check_alike(self, **given: Any) -> None:
        """ValueError where ranks do not go on from the same, or were not given the same."""
        if self._link is None:
            return
        trainer = cast("Trainer", self)
        state = self._network.state_dict()
        own = {
            "the optimizer": repr(trainer.optimizer),
            "the loss": repr(trainer.loss),
            "the network": repr(self._network),
            "the seed": trainer.seed,
            "the number of slices": self._slices,
            "the steps before": trainer.steps,
            "the epochs before": trainer.epochs,
            "the learning rate": trainer.lr,
            "the parameters": crc(list(state.values())),
            **given,
        }
        for rank, theirs in enumerate(self._link.gathered(own)):
            assert isinstance(theirs, dict)
            for what, value in own.items():
                if theirs[what] == value:
                    continue
                told = "" if what == "the parameters" else f": {theirs[what]} and {value}"
                raise ValueError(
                    f"all ranks must have the same of everything, and {what} of rank {rank} is not "
                    f"that of rank {self._link.rank}{told}"
                )


def crc(arrays: list[Any]) -> int:
    """A number that tells arrays apart."""
    found = 0
    for each in arrays:
        found = zlib.crc32(np.ascontiguousarray(each).view(np.uint8).reshape(-1).data, found)
    return found
