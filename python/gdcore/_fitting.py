"""The epochs of `Trainer.fit`: each once over the data, then validation and callbacks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from gdcore import _core
from gdcore._native import NativeTrainer
from gdcore.callbacks import Callback
from gdcore.history import History

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Fitting", "Validation", "one_at_a_time"]

P = ParamSpec("P")
R = TypeVar("R")


def one_at_a_time(
    method: Callable[Concatenate[Trainer, P], R],
) -> Callable[Concatenate[Trainer, P], R]:
    """A method of `Trainer` that raises a RuntimeError while a call of it is at work."""

    @wraps(method)
    def claimed(trainer: Trainer, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with trainer._claim:
            return method(trainer, *args, **kwargs)

    return claimed


@dataclass
class Validation:
    """Data to evaluate: as C++ holds them, and as metrics take them."""

    data: Any
    x: Any
    y: Any
    weight: Any
    metrics: list[tuple[str, Callable[..., float]]]

    def without(self, key: str) -> Validation:
        """The same data, with one metric less."""
        return replace(self, metrics=[each for each in self.metrics if each[0] != key])


@dataclass
class Fitting:
    """What a call of `Trainer.fit` was given, checked."""

    data: Any
    batch_size: int | None
    shuffle: bool
    validation: Validation | None
    callbacks: list[Callback]
    progress: bool

    def run(
        self, trainer: Trainer, native: NativeTrainer, first: int, last: int, history: History
    ) -> None:
        """Trains epochs first to last, counted from 1, or until a callback stops it."""
        for callback in self.callbacks:
            callback.on_fit_begin(trainer)
        on_batch = self._on_batch(trainer)
        shown = self.progress and first <= last and sys.stderr is not None
        with _bar(first, last, self.data.samples) if shown else nullcontext() as bar:
            for number in range(first, last + 1):
                if trainer.stopped:
                    break
                advance = bar.epoch(number) if bar else None
                _core.profile_mark("callback")
                loss = native.fit_epoch(self.data, self.batch_size, self.shuffle, advance, on_batch)
                if trainer.epochs < number:  # stopped within the epoch
                    break
                values = {"loss": loss}
                if self.validation is not None:
                    found = trainer._scores(self.validation)
                    values |= {f"val_{key}": value for key, value in found.items()}
                history.append(values)
                if bar:
                    bar.show(values)
                for callback in self.callbacks:
                    callback.on_epoch_end(trainer, number, values)
                _core.profile_mark("callback")
        for callback in self.callbacks:
            callback.on_fit_end(trainer)
        _core.profile_mark("callback")

    def _on_batch(self, trainer: Trainer) -> Callable[[float], bool] | None:
        """What to call after each batch, or None: a call costs more than a small step."""
        own = [each for each in self.callbacks if each.watches_batches()]
        if not own:
            return None

        def on_batch(loss: float) -> bool:
            for callback in own:
                callback.on_batch_end(trainer, loss)
            return not trainer.stopped

        return on_batch


def _bar(first: int, last: int, samples: int) -> Any:
    from gdcore._progress import ProgressBar  # only here: tqdm is not for import gdcore

    return ProgressBar(first, last, samples)
