"""The epochs of `Trainer.fit`: each once over the data, then validation and callbacks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from gdcore import _core
from gdcore._judging import Judging
from gdcore._native import TRAINERS, NativeTrainer
from gdcore._ranges import Range
from gdcore._warn import warn
from gdcore.callbacks import Callback, Watch
from gdcore.history import History
from gdcore.metrics import Metric
from gdcore.solvers import Solver

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Fitting", "figures_of", "one_at_a_time"]

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
class Fitting:
    """What a call of `Trainer.fit` was given, checked."""

    data: Any
    batch_size: int | None
    shuffle: bool
    validation: Judging | None
    callbacks: list[Callback]
    progress: bool
    accumulate: int
    figures: dict[str, bool | None]  # that the history will have, see figures_of
    names: tuple[str, ...] | None = None  # of the columns of x
    derivative_weights: Sequence[float] = ()  # one an input, where there are derivatives
    # Called at most 20 times a second, where many networks are trained at once; may raise.
    look: Callable[[], None] | None = None

    def alike(self) -> dict[str, Any]:
        """What ranks must have been given alike."""
        return {
            "the number of samples": self.samples,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "accumulate": self.accumulate,
            "the callbacks": [
                type(each).__name__ for each in self.callbacks if not each._on_first_rank
            ],
        }

    streams = False  # whether data are a source, see gdcore._streaming

    @property
    def samples(self) -> int | None:
        """Of an epoch; None where nobody knows."""
        samples: int = self.data.samples
        return samples

    def check(self) -> None:
        """ValueError where a callback watches what the history will not have."""
        for callback in self.callbacks:
            if isinstance(callback._watch, Watch):
                callback._watch.check(self.figures)

    def run(
        self, trainer: Trainer, native: NativeTrainer, first: int, last: int, history: History
    ) -> None:
        """Trains epochs first to last, counted from 1, or until a callback stops it."""
        waiting: list[Callback] = []  # for the end
        try:
            for callback in self.callbacks:
                with _named(callback, "on_fit_begin"):
                    callback.on_fit_begin(trainer)
                waiting.append(callback)
            self._epochs(trainer, native, first, last, history)
            while waiting:
                with _named(waiting[0], "on_fit_end"):
                    waiting[0].on_fit_end(trainer)
                del waiting[0]
            _core.profile_mark("callback")
        except BaseException as error:
            for callback in waiting:
                _tell(callback, trainer, error)
            raise

    def _epochs(
        self, trainer: Trainer, native: NativeTrainer, first: int, last: int, history: History
    ) -> None:
        if self.look is not None and self._needs_no_python(trainer):
            fit_epochs: Any = _core.fit_epochs  # data are of the trainer's own dtype
            validation = None if self.validation is None else self.validation.data
            while trainer.epochs < last:
                self.look()
                given = (self.data, self.batch_size, self.shuffle, last - trainer.epochs)
                fit_epochs(native, *given, validation, self.look, history)
            return
        on_batch = self._on_batch(trainer)
        shown = self.progress and first <= last and sys.stderr is not None and trainer._is_first
        with _bar(first, last, self.samples) if shown else nullcontext() as bar:
            for number in range(first, last + 1):
                if trainer.stopped:
                    break
                advance = self._on_progress(trainer, bar.epoch(number) if bar else None)
                _core.profile_mark("callback")
                values = self._epoch(trainer, native, advance, on_batch)
                if trainer.epochs < number:  # stopped within the epoch
                    break
                if self.validation is not None:
                    with Range("validation"):
                        found = self.validation.scores(trainer._judge())
                    values |= {f"val_{key}": value for key, value in found.items()}
                history.append(values)
                trainer._heed(values, trainer._figures)
                if bar:
                    with Range("progress"):
                        bar.show(values)
                for callback in self.callbacks:
                    with _named(callback, "on_epoch_end"):
                        callback.on_epoch_end(trainer, number, values)
                _core.profile_mark("callback")
                trainer._stopped = trainer._any_rank(trainer.stopped)
                if native.converged is not None:
                    break

    def _epoch(
        self,
        trainer: Trainer,
        native: NativeTrainer,
        advance: Callable[[int], None] | None,
        on_batch: Callable[[float], bool] | None,
    ) -> dict[str, float]:
        """Goes over the data once; returns what the history gets."""
        taken = (self.data, self.batch_size, self.shuffle, advance, on_batch)
        fit_epoch: Any = native.fit_epoch  # a trainer with a loss in Python takes no more
        derives = (self.derivative_weights,) if self.derivative_weights else ()
        values: dict[str, float] = fit_epoch(*taken, self.accumulate, *derives)
        return values

    def _needs_no_python(self, trainer: Trainer) -> bool:
        """Whether C++ does all that is done after an epoch: no callback, loss and accuracy only.

        What `_epochs` comes to do in Python after an epoch must be false here.
        """
        plain = type(trainer._native) in TRAINERS.values() and not trainer._objective.heads
        plain = plain and not trainer._native.keeps_average  # which judges by a copy
        plain = plain and trainer.communicator is None
        plain = plain and trainer._plateau_rule() is None and not self.derivative_weights
        plain = plain and not isinstance(trainer.optimizer, Solver)  # which may end early
        judged = self.validation is not None and self.validation.metrics
        return plain and self.accumulate == 1 and not self.callbacks and not judged

    def _on_batch(self, trainer: Trainer) -> Callable[[float], bool] | None:
        """What to call after each batch, or None: a call costs more than a small step."""
        own = [each for each in self.callbacks if each.watches_batches()]
        if not own:
            return None

        def on_batch(loss: float) -> bool:
            if _core.profiling():
                for callback in own:
                    with _named(callback, "on_batch_end"):
                        callback.on_batch_end(trainer, loss)
            else:
                for callback in own:
                    callback.on_batch_end(trainer, loss)
            return not trainer._any_rank(trainer.stopped)

        return on_batch

    def _on_progress(
        self, trainer: Trainer, advance: Callable[[int], None] | None
    ) -> Callable[[int], None] | None:
        """What to call now and then with the samples done, or None."""
        own = [each for each in self.callbacks if each.watches_progress()]
        look = self.look
        if not own and advance is None and look is None:
            return None

        def on_progress(samples: int) -> None:
            if look is not None:
                look()
            if advance is not None:
                with Range("progress"):
                    advance(samples)
            for callback in own:
                with _named(callback, "on_progress"):
                    callback.on_progress(trainer, samples)

        return on_progress


def _named(callback: Callback, method: str) -> Range:
    """Shows what a callback does in profiles."""
    return Range(f"{type(callback).__name__}.{method}")


def _tell(callback: Callback, trainer: Trainer, error: BaseException) -> None:
    """Calls `Callback.on_exception`; what that raises must not hide what ended the fit."""
    try:
        with _named(callback, "on_exception"):
            callback.on_exception(trainer, error)
    except BaseException as another:
        with suppress(UserWarning):  # where warnings are errors
            warn(
                f"{type(callback).__name__}.on_exception raised {another!r} where fit ended with "
                f"{error!r}"
            )


def figures_of(trainer: Trainer, validation: Judging | None) -> dict[str, bool | None]:
    """The keys that the history will have, with whether higher is better; None: not known."""
    losses = {"loss": False} | {f"{head}_loss": False for head in trainer._objective.heads}
    figures: dict[str, bool | None] = {**losses}
    if validation is not None:
        figures |= {f"val_{key}": higher for key, higher in losses.items()}
        for prefix, (loss, _) in trainer._objective.by_prefix(trainer.network).items():
            name = getattr(loss, "name", None)  # a function of one's own has none
            if name is not None and _core.has_accuracy(name):
                figures[f"val_{prefix}accuracy"] = True
        for key, metric in validation.metrics:
            figures[f"val_{key}"] = _higher_is_better(key, metric)
    return figures


def _higher_is_better(key: str, metric: Any) -> bool | None:
    function = getattr(metric, "function", None)  # of the caller's, where it is one
    told = getattr(metric if function is None else function, "higher_is_better", None)
    if told is None:  # a function may bear the name of a metric that there is
        name = re.sub(r"^top_?\d+$", "top_k", key)
        told = getattr(Metric.members.get(name), "higher_is_better", None)
    return None if told is None else bool(told)


def _bar(first: int, last: int, samples: int | None) -> Any:
    from gdcore._progress import ProgressBar  # only here: tqdm is not for import gdcore

    return ProgressBar(first, last, samples)
