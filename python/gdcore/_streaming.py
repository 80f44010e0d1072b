"""Epochs over a source of `gdcore.data`, whose rows come in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gdcore import _core
from gdcore._fitting import Fitting
from gdcore._gathering import gathered, prepared
from gdcore._native import TRAINERS, NativeTrainer
from gdcore.data.ahead import ahead
from gdcore.data.source import Source
from gdcore.solvers import Solver

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Streaming", "checked_source", "gathered_source"]

_NO_SOURCE = "y must be given, unless x is a source of gdcore.data, got None beside x of {}"


def checked_source(x: Any, trainer: Trainer) -> Source:
    """A source, and a trainer that can take one.

    Raises:
        TypeError: x is none.
        ValueError: The trainer trains by all samples at once, or by a Python function as the loss.
    """
    if not isinstance(x, Source):
        raise TypeError(_NO_SOURCE.format(type(x).__name__))
    if isinstance(trainer.optimizer, Solver):
        raise ValueError(
            f"x must be arrays for {trainer.optimizer.name}, which takes all samples at once, got "
            f"{x!r}"
        )
    if type(trainer._native) not in TRAINERS.values():
        raise ValueError(
            f"x must be arrays where the loss is a Python function, got {x!r}: call step for its "
            "batches"
        )
    if trainer.loss is None:
        raise RuntimeError("this trainer has no loss: use backward and apply_gradients")
    return x


def gathered_source(
    x: Any, sample_weight: Any, trainer: Trainer, names: Sequence[str] | None
) -> tuple[Any, ...]:
    """The rows of a source that is to be judged.

    Raises:
        RuntimeError: The trainer has no loss.
        TypeError: x is none.
        ValueError: There are weights beside it; or as `gathered`.
    """
    if not isinstance(x, Source):
        raise TypeError(_NO_SOURCE.format(type(x).__name__))
    if sample_weight is not None:
        raise ValueError(
            "sample_weight must be None where x is a source: the source has weights of its own"
        )
    if trainer.loss is None:
        raise RuntimeError("this trainer has no loss to evaluate")
    return gathered(x, trainer, names, "x")


@dataclass
class Streaming(Fitting):
    """What a call of `Trainer.fit` with a source was given, checked; data are the source."""

    streams = True

    @property
    def samples(self) -> int | None:
        """See `Fitting.samples`."""
        rows: int | None = self.data.rows
        return rows

    @property
    def _together(self) -> int:
        return (self.batch_size or 1) * self.accumulate

    def check_begun(self, trainer: Trainer) -> None:
        """ValueError where the trainer has begun an epoch that these batches cannot go on with."""
        begun = trainer._within
        if begun is not None and begun.samples % self._together:
            raise ValueError(
                f"batch_size must divide the {begun.samples} rows that the epoch has begun with, "
                f"got updates of {self._together} rows"
            )

    def _epoch(
        self,
        trainer: Trainer,
        native: NativeTrainer,
        advance: Callable[[int], None] | None,
        on_batch: Callable[[float], bool] | None,
    ) -> dict[str, float]:
        """One epoch, or what is left of it, part by part.

        What ends it within is found in the trainer's ``_within``, from which the next goes on.
        """
        source: Source = self.data
        begun = trainer._within
        before = None if begun is None else _copied(begun)
        part = trainer._within = _core.EpochPart() if begun is None else begun
        part.first = True
        epoch = trainer.epochs
        parts = source._epoch(
            trainer.seed,
            epoch,
            part.samples,
            self._together,
            trainer.network.dtype,
            shuffle=self.shuffle,
        )
        values: dict[str, float] = {}
        fit_part: Any = native.fit_part
        with closing(parts), ahead(parts, source._ahead) as taken:
            while True:
                _core.profile_mark("data")
                piece, part.last = next(taken, (None, True))
                if piece is None:
                    break
                data = prepared(native, piece)
                done = _after(advance, part.samples)
                _core.profile_mark("data")
                try:
                    given = (data, self.batch_size, part, done, on_batch, self.accumulate)
                    values = fit_part(*given)
                except FloatingPointError:
                    trainer._within = before  # back where this call took it up
                    raise
                part.first = False
                if trainer.epochs > epoch:
                    trainer._within = None
                if trainer.stopped:
                    break
        return values


def _copied(part: Any) -> Any:
    sums = (part.loss, part.weight, part.head_losses, part.head_weights)
    return _core.EpochPart(part.samples, *sums)


def _after(advance: Callable[[int], None] | None, samples: int) -> Callable[[int], None] | None:
    if advance is None:
        return None
    return lambda done: advance(samples + done)
