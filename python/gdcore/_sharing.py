"""Trainers that several ranks share, and batches cut in slices; a part of `gdcore.Trainer`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from gdcore._check import integer, real
from gdcore.typing import Inputs

if TYPE_CHECKING:
    from gdcore.communication import Communicator
    from gdcore.communication.channel import Channel
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
    _channel: Channel | None
    _slices: int

    def _share(self, communicator: Any, slices: Any) -> None:
        """Checks the two arguments; see `gdcore.Trainer`."""
        self._channel = None
        number = None if slices is None else integer("slices", slices, at_most=_MOST_SLICES)
        if communicator is not None:
            from gdcore.communication import resolved  # only here: most trainers are alone
            from gdcore.communication.channel import Channel

            found = resolved(communicator)
            assert found is not None
            number = SLICES if number is None else number
            if found.size > number:
                raise ValueError(
                    f"slices must be at least the number of ranks, {found.size}, got {number}"
                )
            self._channel = Channel(found)
        self._slices = number or 0

    @property
    def communicator(self) -> Communicator | None:
        """What carries bytes between the ranks that share the training, or None."""
        return None if self._channel is None else self._channel.communicator

    @property
    def slices(self) -> int | None:
        """In how many slices a batch is cut, whose sums are added as a tree, or None."""
        return self._slices or None

    def compute_gradients(
        self,
        x: Inputs,
        y: Inputs,
        sample_weight: Inputs | None = None,
        *,
        weight_sum: float | None = None,
        first_row: int = 0,
    ) -> float:
        """Computes the gradient of a batch's loss, without an update.

        It is the first half of `step`, for who does something with the gradients in between, such
        as adding those of other processes; `apply_gradients` is the second half.

        >>> loss = trainer.compute_gradients(x, y)
        >>> trainer.with_flat_gradients(lambda flat: flat.clip(-1, 1, out=flat))
        >>> trainer.apply_gradients()

        Args:
            x: As in `step`.
            y: As in `step`.
            sample_weight: As in `step`.
            weight_sum: The sum of the weights of the whole batch, where these rows are a part of
                it: gradients, and losses, of all parts add up to those of the batch. Above 0; None:
                these are all rows.
            first_row: Where these rows begin in the batch, by which `gdcore.Dropout` draws.

        Returns:
            The loss, or what these rows give to it.

        Raises:
            RuntimeError: The trainer has no loss.
            TypeError: An argument is of the wrong type, as in `step`.
            ValueError: An argument is out of its domain, as in `step`, or batches are cut in
                slices.
        """
        weights = 0.0 if weight_sum is None else real("weight_sum", weight_sum, above=0)
        row = integer("first_row", first_row, at_least=0)
        native: Any = cast("Trainer", self)._native
        loss: float = native.compute_gradients(x, y, sample_weight, weights, row)
        return loss

    def with_flat_gradients(self, function: Callable[[NDArray[Any]], Any]) -> None:
        """Calls a function with the gradients of all parameters, to read or to change in place.

        Args:
            function: Gets (n,), the gradients as they lie in memory, of the network's dtype and
                without a copy: parameter by parameter in an order of gdcore's own, which is the
                same for networks of one description, with gaps that nobody reads. It is no array
                of anybody's once the function is done.

        Raises:
            RuntimeError: There are no gradients: neither `compute_gradients` nor
                `Network.backward` came before.
            TypeError: function cannot be called.
        """
        self._with_flat(True, function)

    def with_flat_parameters(self, function: Callable[[NDArray[Any]], Any]) -> None:
        """The same with the parameters, which then count as changed."""
        self._with_flat(False, function)

    def _with_flat(self, gradients: bool, function: Any) -> None:
        if not callable(function):
            raise TypeError(f"function must be one, got {type(function).__name__}")
        native: Any = cast("Trainer", self)._native
        native.with_flat(gradients, function)

    @property
    def _is_first(self) -> bool:
        """Whether this rank speaks and writes for all."""
        return self._channel is None or self._channel.rank == 0

    def _by_first(self, work: Callable[[], R]) -> R:
        """What the first rank does for all of them; all get its result, or raise as it did."""
        if self._channel is None:
            return work()
        found: tuple[Any, Exception | None] = (None, None)
        if self._is_first:
            try:
                found = (work(), None)
            except Exception as error:
                found = (None, error)
        value, failed = self._channel.communicator.bcast(found)
        if failed is not None:
            raise failed
        return cast("R", value)

    def _are_apart(self, data: object) -> bool:
        """The argument data: whether each rank has rows of its own."""
        if data not in ("replicated", "sharded"):
            raise ValueError(f"data must be 'replicated' or 'sharded', got {data!r}")
        if data == "sharded" and self._channel is None:
            raise ValueError("data must be 'replicated' without a communicator, got 'sharded'")
        return data == "sharded"

    def _any_rank(self, flag: bool) -> bool:
        return flag if self._channel is None else self._channel.agree(flag)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Where an exception of one rank, before anything has changed, is one of all."""
        error: Exception | None = None
        try:
            yield
        except Exception as own:
            if self._channel is None:
                raise
            error = own
        if self._channel is None:
            return
        told = self._channel.gathered(None if error is None else f"{type(error).__name__}: {error}")
        if error is not None:
            raise error
        for rank, words in enumerate(told):
            if words is not None:
                raise RuntimeError(f"rank {rank} has refused it: {words}")

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        if self._channel is None:
            yield
            return
        with self._channel.interruptible():
            yield

    def _check_alike(self, **given: Any) -> None:
        """ValueError where ranks do not go on from the same, or were not given the same."""
        if self._channel is None:
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
        for rank, theirs in enumerate(self._channel.gathered(own)):
            assert isinstance(theirs, dict)
            for what, value in own.items():
                if theirs[what] == value:
                    continue
                told = "" if what == "the parameters" else f": {theirs[what]} and {value}"
                raise ValueError(
                    f"all ranks must have the same of everything, and {what} of rank {rank} is not "
                    f"that of rank {self._channel.rank}{told}"
                )


def crc(arrays: list[Any]) -> int:
    """A number that tells arrays apart."""
    found = 0
    for each in arrays:
        found = zlib.crc32(np.ascontiguousarray(each).view(np.uint8).reshape(-1).data, found)
    return found
