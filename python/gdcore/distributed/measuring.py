"""What a rank does alone: its part of a step without the update, and the update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdcore._frames import array, ordered
from gdcore.benchmark.turns import Measure, in_turns, repeated
from gdcore.losses import LossFunction
from gdcore.profiling.scaling import same_steps
from gdcore.training import Trainer
from gdcore.typing import Inputs

__all__ = ["Alone", "drawn_samples", "measured_alone"]

_SMALL = 1e-6  # at a learning rate of 0 some rules divide by it
_FEW = 4  # rows of a batch with which updates are measured
_MOST_ROWS = 1 << 15  # of an epoch that is measured
_LEAST, _MOST = 2, 8  # batches of such an epoch
_ROUNDS = 3
_SECONDS = 0.02  # of a measurement


class Alone:
    """What one rank takes, as it was measured or computed.

    Attributes:
        rows: (K,) numbers of rows that were measured, rising.
        seconds: (K,) of a step on so many rows, without the update.
        update: Seconds of the rule's pass over all parameters.
    """

    def __init__(self, rows: ArrayLike, seconds: ArrayLike, update: float) -> None:
        self.rows, self.seconds, self.update = np.array(rows), np.array(seconds), update

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


def measured_alone(trainer: Trainer, x: Inputs, y: Inputs, sizes: Sequence[int]) -> Alone:
    """Measures what a step takes of copies of a trainer, which itself stays as it is.

    Epochs of few and of many batches, whose gradients are added up and make one update, differ by
    batches without update; epochs of the same batches, with many updates and with one, by updates.
    So what an epoch takes beside them does not count. All take turns, and the shortest counts:
    what others do on the machine is no part of it.

    Args:
        trainer: Whose steps.
        x: Samples as in `Trainer.step`.
        y: Their targets.
        sizes: Different numbers of rows of a step.
    """
    copy = same_steps(trainer, trainer.num_threads)
    copy.lr *= _SMALL  # no step shall change what the next one takes
    x = ordered(x, "x", trainer.network.feature_names, trainer.network.dtype)
    sizes = sorted(sizes)
    measures: dict[tuple[int, int, int], Measure] = {}
    for size in (_FEW, *sizes):
        count = int(np.clip(_MOST_ROWS // size, _LEAST + 1, _MOST))
        for batches in (_LEAST, count):
            measures[size, batches, batches] = _epoch(copy, x, y, size, batches, batches)
    measures[_FEW, _MOST, _LEAST] = _epoch(copy, x, y, _FEW, _MOST, _LEAST)
    found = {key: min(times) for key, times in in_turns(measures, _ROUNDS).items()}
    seconds = []
    for size in sizes:
        count = int(np.clip(_MOST_ROWS // size, _LEAST + 1, _MOST))
        more = found[size, count, count] - found[size, _LEAST, _LEAST]
        seconds.append(max(more / (count - _LEAST), 1e-9))
    updates = found[_FEW, _MOST, _LEAST] - found[_FEW, _MOST, _MOST]
    return Alone(sizes, seconds, max(updates / (_MOST // _LEAST - 1), 0.0))


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
