"""What a rank does alone: its part of a step without the update, and the update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore._frames import array, ordered
from gdcore._sharing import SLICES
from gdcore.benchmark.turns import Measure, in_turns, repeated
from gdcore.losses import LossFunction
from gdcore.profiling.scaling import same_steps
from gdcore.training import Trainer
from gdcore.typing import Inputs

__all__ = ["Alone", "drawn_samples", "measured_alone"]

_SMALL = 1e-6  # at a learning rate of 0 some rules divide by it
_MOST_RANKS = 8
_FEW = 4  # rows of a batch with which updates are measured
_MOST_ROWS = 1 << 15  # of an epoch that is measured
_LEAST, _MOST = 2, 8  # batches of such an epoch
_ROUNDS = 5
_SECONDS = 0.02  # of a measurement


class Alone:
    """What one rank takes, as it was measured or computed.

    Attributes:
        rows: (K,) numbers of rows that were measured, rising.
        seconds: (K,) of a step on so many rows, without the update.
        update: Seconds of the rule's pass over all parameters.
        shares: Whether each of several ranks updates its own part of them alone.
    """

    def __init__(
        self, rows: ArrayLike, seconds: ArrayLike, update: float, *, shares: bool = False
    ) -> None:
        self.rows, self.seconds, self.update = np.array(rows), np.array(seconds), update
        self.shares = shares

    def updating(self, ranks: int) -> float:
        """Seconds of an update on so many ranks."""
        return self.update / ranks if self.shares else self.update

    def computing(self, rows: float) -> float:
        """Seconds on so many rows: on a line between what was measured, and on from its ends.

        Below the first one, down to nothing for no rows where a single number was measured.
        """
        known, seconds = self.rows, self.seconds
        if len(known) == 1:
            return float(seconds[0] * rows / known[0])
        i = int(np.clip(np.searchsorted(known, rows), 1, len(known) - 1))
        slope = (seconds[i] - seconds[i - 1]) / (known[i] - known[i - 1])
        return float(max(seconds[i] + slope * (rows - known[i]), 0.0))


class Nobody:
    """Rank 0 of so many of which there is no other: what it has to do, without an exchange."""

    rank = 0

    def __init__(self, size: int) -> None:
        self.size = size

    def alltoallv(self, *_: Any) -> None:
        """Sends nothing."""

    def allgatherv(self, *_: Any) -> None:
        """Gathers nothing."""

    def bcast(self, value: Any, root: int = 0) -> Any:
        """The value."""
        return value

    def gather(self, value: Any, root: int = 0) -> list[Any]:
        """As many of it."""
        return [value] * self.size

    def abort(self, code: int = 1) -> None:
        """Ends nothing."""


def shares_update(trainer: Trainer) -> bool:
    """Whether ranks of such a trainer each update a part of the parameters.

    Raises:
        ValueError: Ranks cannot share it.
    """
    native: Any = same_steps(trainer, trainer.num_threads, communicator=Nobody(2))._native
    return bool(native.updates_own)


def drawn_samples(trainer: Trainer, rows: int) -> tuple[Any, Any]:
    """Random inputs and targets such as the trainer takes.

    Raises:
        ValueError: What its loss takes is not known.
    """
    random, network = np.random.default_rng(0), trainer.network
    inputs: dict[str, Any] = {}
    for i, each in enumerate(network.inputs):
        name = each.name or str(i)
        if each.categories is not None:
            columns = [random.integers(0, count, rows) for count in each.categories]
            inputs[name] = np.stack(columns, axis=1)
        else:
            inputs[name] = random.standard_normal((rows, each.size)).astype(network.dtype)
    x = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    heads, losses = network.heads, trainer.loss
    if not isinstance(losses, Mapping):
        heads, losses = {"": network.output_size}, {"": losses}
    # What one in Python takes nobody knows; others tell by what they refuse.
    known = not any(isinstance(loss, LossFunction) for loss in losses.values())
    for draw in _DRAWS if known else ():
        for share in (1, 2, 3):  # some have several outputs a target
            y = {
                name: draw(random, rows, heads[name] // share)
                if losses[name].task != "multiclass"
                else random.integers(0, heads[name], rows)
                for name in heads
            }
            given = y.get("", y)
            try:
                trainer._native.prepare(x, given, None, ("x", "y", "sample_weight"))
                return x, given
            except ValueError:
                continue
    raise ValueError(f"x and y must be given with the loss {trainer.loss!r}, got None")


# Targets of shape (rows, count): numbers, 0 and 1, probabilities, -1 and 1.
_DRAWS: tuple[Callable[[np.random.Generator, int, int], NDArray[Any]], ...] = (
    lambda random, rows, count: random.standard_normal((rows, count)).astype(np.float32),
    lambda random, rows, count: random.integers(0, 2, (rows, count)).astype(np.float32),
    lambda random, rows, count: random.dirichlet(np.ones(max(count, 1)), rows)[:, :count],
    lambda random, rows, count: random.choice([-1.0, 1.0], (rows, count)),
)


def measured_alone(
    trainer: Trainer, x: Inputs, y: Inputs, sizes: Sequence[int], batch_size: int | None = None
) -> Alone:
    """Measures what a rank takes, with copies of a trainer, which itself stays as it is.

    A rank's part of a step is that of rank 0 of as many ranks as the batch has such parts, or of 8:
    with its slices, its piece of the sum and its update, and exchanges in which nothing is sent.
    Epochs of few and of many steps differ by steps; epochs of the same batches, with many updates
    and with one whose gradient is added up, by updates. So what an epoch takes beside them does not
    count. All take turns, and medians count: a run has to live with what others do on the machine.

    Args:
        trainer: Whose steps.
        x: Samples as in `Trainer.step`.
        y: Their targets.
        sizes: Different numbers of rows of a rank.
        batch_size: Rows of all ranks; None: there is one rank for each number.

    Raises:
        ValueError: Ranks cannot share such a trainer.
    """
    copy = same_steps(trainer, trainer.num_threads)
    copy.lr *= _SMALL  # no step shall change what the next one takes
    shares = bool(sizes) and shares_update(trainer)
    x = ordered(x, "x", trainer.network.feature_names, trainer.network.dtype)
    sizes = sorted(sizes)
    measures: dict[tuple[int, int, int], Measure] = {}
    counts: dict[int, int] = {}
    ranks: dict[int, int] = {}
    for size in sizes:
        ranks[size] = int(np.clip(round((batch_size or size) / size), 1, _MOST_RANKS))
        counts[size] = int(np.clip(_MOST_ROWS // size, _LEAST + 1, _MOST))
        shared = Nobody(ranks[size]) if ranks[size] > 1 else None
        slices = trainer.slices or SLICES
        of_rank = same_steps(trainer, trainer.num_threads, communicator=shared, slices=slices)
        of_rank.lr *= _SMALL
        for batches in (_LEAST, counts[size]):
            step = size * ranks[size]
            measures[size, batches, 1] = _epoch(of_rank, x, y, step, batches, 1)
    for together in (_LEAST, _MOST):
        measures[0, _MOST, together] = _epoch(copy, x, y, _FEW, _MOST, together)
    found = {key: median(times) for key, times in in_turns(measures, _ROUNDS).items()}
    updates = found[0, _MOST, _LEAST] - found[0, _MOST, _MOST]
    alone = Alone((), (), max(updates / (_MOST // _LEAST - 1), 0.0), shares=shares)
    seconds = []
    for size in sizes:
        more = found[size, counts[size], 1] - found[size, _LEAST, 1]
        one = more / (counts[size] - _LEAST)
        seconds.append(max(one - alone.updating(ranks[size]), 1e-9))
    return Alone(sizes, seconds, alone.update, shares=shares)


def _epoch(trainer: Trainer, x: Any, y: Any, size: int, batches: int, together: int) -> Measure:
    """An epoch of so many batches, with an update for each so many of them."""
    rows = size * batches
    plain: Any = (None, None, None, (), (), False)  # weights and validation to progress
    given: Any = (_repeated(x, rows), _repeated(y, rows), size, False, *plain, together)
    fitting = trainer._checked(*given)
    native: Any = trainer._native

    def epoch(_: int) -> None:
        fitting._epoch(trainer, native, None, None)

    return repeated(epoch, _SECONDS)


def _repeated(given: Any, rows: int) -> Any:
    """So many rows of what was given, again and again from the first."""
    if isinstance(given, Mapping):
        return {key: _repeated(each, rows) for key, each in given.items()}
    values = array(given, "x")
    return np.ascontiguousarray(values[np.arange(rows) % len(values)])
