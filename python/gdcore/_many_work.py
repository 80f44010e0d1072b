"""The threads of `gdcore.fit_many`, and what they are given to do."""

from __future__ import annotations

import copy
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gdcore._fitting import Fitting
from gdcore._many_data import Arrays, Part
from gdcore._signals import handlers_put_off
from gdcore.callbacks import Callback, Checkpoint, Live, TensorBoard, resolve_callbacks
from gdcore.fit_results import FitResult
from gdcore.history import History
from gdcore.training import Trainer

__all__ = ["Given", "Own", "Work", "checked_callbacks", "fitting_of", "of_trainer"]

_LOOK = 0.05  # seconds between two looks at who is done
_here = threading.local()

Given = Trainer | Callable[[], Trainer]
Own = Callable[[int], list[Callback]]


def checked_callbacks(callbacks: Any, count: int) -> Own:
    """What makes the callbacks of each network: the caller's function, or copies.

    Raises:
        TypeError: They are no callbacks, or one cannot be copied.
        ValueError: One writes to a path, and there are several networks.
    """
    if callable(callbacks) and not isinstance(callbacks, (Callback, type)):
        return lambda index: resolve_callbacks(callbacks(index))
    row = resolve_callbacks(callbacks)
    for i, each in enumerate(row):
        if count > 1 and isinstance(each, (Checkpoint, Live, TensorBoard)):
            raise ValueError(
                f"callbacks[{i}] writes to one path for all networks, {each!r}: give a function of "
                "the network's place that returns callbacks with a path for each"
            )
        try:
            copy.deepcopy(each)
        except Exception as error:
            raise TypeError(
                f"callbacks[{i}] cannot be copied for each network ({error}): give a function of "
                "the network's place that makes them"
            ) from None
    return lambda index: copy.deepcopy(row)


def fitting_of(
    trainer: Trainer,
    part: tuple[Part, tuple[str, ...] | None],
    arrays: Arrays,
    given: tuple[tuple[int | None, bool, int], Any, list[Callback]],
) -> Fitting:
    """What `Trainer.fit` would check and prepare of a part of the arrays.

    Args:
        trainer: Whose.
        part: As `Arrays.part` returns it.
        arrays: Which prepare it, once for all trainers that agree.
        given: batch_size, shuffle and accumulate; metrics; callbacks.
    """
    (x, y, weight, validation_data), names = part
    (batch_size, shuffle, accumulate), metrics, callbacks = given
    trainer._shared = arrays.prepared
    try:
        rest = (weight, validation_data, None, metrics, callbacks, False, accumulate)
        fitting = trainer._checked(x, y, batch_size, shuffle, *rest)
    finally:
        trainer._shared = None
    fitting.names = names
    return fitting


@dataclass
class _Job:
    """A network whose turn has come."""

    index: int
    trainer: Trainer
    fitting: Fitting
    first: int
    last: int
    history: History
    error: Exception | None = None
    seconds: float = 0.0

    def result(self) -> FitResult:
        return FitResult(
            self.index,
            self.trainer,
            self.history,
            self.error,
            self.seconds,
            tuple(self.fitting.callbacks),
            self.fitting.figures,
        )


class Work:
    """Trainers, claimed for as long as it is open, and the threads that train them."""

    def __init__(
        self,
        given: list[Given],
        arrays: Arrays,
        epochs: int,
        options: tuple[int | None, bool, int],
        metrics: Any,
        callbacks: Own,
        threads: int,
        *,
        progress: bool,
    ) -> None:
        if getattr(_here, "at_work", False):
            raise RuntimeError("fit_many must not be called from a callback within fit_many")
        self._given, self._arrays, self._epochs = given, arrays, epochs
        self._options, self._metrics, self._callbacks = options, metrics, callbacks
        self._workers = min(threads, len(given))
        self._threads_each = max(1, threads // len(given))
        self._progress = progress and sys.stderr is not None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._ended: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._claimed = ExitStack()
        self._before: list[tuple[Trainer, int | None]] = []
        self._networks: dict[int, int] = {}
        self._made: dict[int, Trainer] = {}
        self._fittings: dict[int, Fitting] = {}
        self._own: dict[int, list[Callback]] = {}
        self._failed: dict[int, FitResult] = {}

    def __enter__(self) -> Work:
        """Claims the trainers, and checks all that can be wrong before anything is done."""
        try:
            with handlers_put_off():
                for i, each in enumerate(self._given):
                    if isinstance(each, Trainer):
                        with of_trainer(i):
                            self._claim(i, each)
            self._check()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def run(self) -> list[FitResult]:
        """Trains; what Ctrl-C or a callback's own raises ends it."""
        results: dict[int, FitResult] = {}
        coming = iter(range(len(self._given)))
        at_work: dict[int, _Job] = {}
        bar = self._bar()
        try:
            more = True
            while more or at_work:
                # A network ahead for each thread: none waits for the caller's.
                while more and len(at_work) < 2 * self._workers and not self._stop.is_set():
                    index = next(coming, None)
                    more = index is not None
                    if index is None:
                        break
                    made = self._job(index)
                    if isinstance(made, FitResult):
                        results[index] = made
                        continue
                    at_work[index] = made
                    self._jobs.put(made)
                    self._hire(len(at_work))
                try:
                    job = self._done.get(timeout=_LOOK)
                    results[job.index] = job.result()
                    del at_work[job.index]
                except queue.Empty:
                    pass
                if self._ended is not None:
                    raise self._ended
                if bar is not None:
                    begun = (each.trainer.epochs - each.first + 1 for each in at_work.values())
                    bar.show(len(results), sum(begun))
        finally:
            if bar is not None:
                bar.close()
        return [results[i] for i in range(len(self._given))]

    def _bar(self) -> Any:
        if not self._progress:
            return None
        from gdcore._progress import NetworksBar  # only here: tqdm is not for import gdcore

        return NetworksBar(len(self._given), self._epochs)

    def _check(self) -> None:
        """Errors of what all networks have in common, and of each trainer with it."""
        known = set()
        for i, each in enumerate(self._given):
            if isinstance(each, Trainer):
                trainer = each
            elif i == 0:  # made early: what is wrong with the data shows before any update
                try:
                    trainer = self._trainer(i)
                except Exception as error:
                    self._failed[i] = FitResult(i, None, History(), error, 0.0)
                    continue
            else:
                continue
            if self._arrays.rows is None:
                with of_trainer(i):
                    self._fittings[i] = self._fitting(i, trainer, *self._arrays.part(i, trainer))
                continue
            # Rows are copied when the turn comes; what is wrong with all of them shows now.
            of = (trainer.network.dtype.name, repr(trainer.network), repr(trainer.loss))
            if of not in known:
                known.add(of)
                with of_trainer(i):
                    self._fitting(i, trainer, *self._arrays.check(trainer))

    def _job(self, index: int) -> _Job | FitResult:
        """A network that is ready to be trained; or the end of one that cannot be."""
        trainer = None
        try:
            if index in self._failed:
                return self._failed[index]
            trainer = self._trainer(index)
            self._before.append((trainer, trainer._num_threads))
            trainer.num_threads = self._threads_each
            fitting = self._fittings.pop(index, None)
            if fitting is None:
                fitting = self._fitting(index, trainer, *self._arrays.part(index, trainer))
            if fitting.validation is not None:
                fitting.validation.judged(trainer._judge())
            first, last = trainer.epochs + 1, trainer.epochs + self._epochs
            fitting.look = self._look
            history = trainer._begin(fitting, last)
        except Exception as error:
            return FitResult(index, trainer, History(), error, 0.0)
        finally:
            self._arrays.begun(index)
        return _Job(index, trainer, fitting, first, last, history)

    def _trainer(self, index: int) -> Trainer:
        """The one that was given, or the one that the function makes, once."""
        given = self._given[index]
        if isinstance(given, Trainer):
            return given
        if index not in self._made:
            made = given()
            if not isinstance(made, Trainer):
                raise TypeError(f"trainers[{index}] must make a gdcore.Trainer, got {made!r}")
            with handlers_put_off():
                self._claim(index, made)
            self._made[index] = made
        return self._made[index]

    def _claim(self, index: int, trainer: Trainer) -> None:
        first = self._networks.setdefault(id(trainer.network), index)
        if first != index:
            raise ValueError(
                f"trainers[{index}] must have a network of its own, got that of trainers[{first}]"
            )
        if trainer.communicator is not None:
            raise ValueError(
                f"trainers[{index}] must not have a communicator: ranks make steps together, and "
                "here each network goes its own way"
            )
        self._claimed.enter_context(trainer._claim)

    def _fitting(
        self, index: int, trainer: Trainer, part: Part, names: tuple[str, ...] | None
    ) -> Fitting:
        if index not in self._own:
            self._own[index] = self._callbacks(index)
        given = (self._options, self._metrics, self._own[index])
        return fitting_of(trainer, (part, names), self._arrays, given)

    def _hire(self, wanted: int) -> None:
        if len(self._threads) < min(wanted, self._workers):
            name = f"gdcore.fit_many {len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        """What each thread does: one network after the other."""
        _here.at_work = True
        while (job := self._jobs.get()) is not None:
            if self._stop.is_set():
                return
            begin = time.perf_counter()
            trainer = job.trainer
            try:
                job.fitting.run(trainer, trainer._native, job.first, job.last, job.history)
            except Exception as error:
                job.error = error
            except BaseException as error:
                self._ended = self._ended or error
                self._stop.set()
            job.seconds = time.perf_counter() - begin
            job.fitting.data = job.fitting.validation = None  # and their memory
            self._done.put(job)

    def _look(self) -> None:
        """Called between two steps of each network."""
        if self._stop.is_set():
            raise KeyboardInterrupt

    def _close(self) -> None:
        """Ends the threads between two steps; then all is as it was, but for what was trained."""
        with handlers_put_off():
            self._stop.set()
            for _ in self._threads:
                self._jobs.put(None)
            for thread in self._threads:
                thread.join()
            for trainer, before in self._before:
                trainer.num_threads = before
            self._claimed.close()


class of_trainer:  # noqa: N801  (it reads as words)
    """Within it, what is wrong is told to be of one of the trainers."""

    def __init__(self, index: int) -> None:
        self._index = index

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        text = str(error)
        if kind in (TypeError, ValueError, RuntimeError) and not text.startswith("trainers["):
            raise kind(f"trainers[{self._index}]: {text}") from None
