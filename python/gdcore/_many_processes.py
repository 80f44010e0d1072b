"""Many networks over processes, and machines: what the caller's process does."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from gdcore import _many_remote as remote
from gdcore._fitting import Fitting
from gdcore._many_data import Arrays
from gdcore._many_sent import Parcel
from gdcore._many_work import Given, Own, Work, of_trainer
from gdcore._processes import Loky
from gdcore._resuming import put_back, read
from gdcore._signals import handlers_put_off
from gdcore._warn import warn
from gdcore.fit_results import FitResult
from gdcore.history import History
from gdcore.persistence import opened_bytes, packed_trainer, unsaved
from gdcore.training import Trainer

__all__ = ["ProcessWork", "checked_executor"]

_LOOK = 0.05  # seconds between two looks at how far networks are


def checked_executor(executor: object) -> Any:
    """The argument executor; a TypeError or ValueError where it is none.

    What a concurrent.futures.Executor does is asked of it, not that it is a subclass: pools that
    only look like one do as well.
    """
    if isinstance(executor, str):
        if executor != "loky":
            raise ValueError(f"executor must be 'loky' or an executor, got {executor!r}")
        return executor
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise TypeError(
            "executor must be 'loky', or a concurrent.futures.Executor such as "
            "mpi4py.futures.MPIPoolExecutor() or the one that a Dask client's get_executor() "
            f"returns, got {executor!r}"
        )
    return executor


@dataclass
class _Counted:
    """In the place of data, of which it is to be known how many they were."""

    samples: int


class ProcessWork(Work):
    """Trainers that are trained by an executor's processes, and come back from there."""

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
        executor: Any,
        progress: bool,
    ) -> None:
        super().__init__(
            given, arrays, epochs, options, metrics, callbacks, threads, progress=progress
        )
        self._told = "loky" if executor == "loky" else type(executor).__name__
        self._executor: Executor
        self._mine: Loky | None = None
        self._ahead: int | None
        if executor == "loky":
            self._executor = self._mine = Loky(self._workers, self._threads_each)
            self._ahead = self._workers  # so that the process that dies has one
        else:
            self._executor = executor
            self._threads_each = threads
            self._ahead = _twice_the_workers(executor)
        self._pickler = _pickler_of(executor)
        self._dumps: Callable[..., bytes] = importlib.import_module(self._pickler).dumps
        self._waiting: dict[Future[bytes], int] = {}
        self._sent: list[bytes] = []  # callbacks
        self._jobs_sent: dict[int, bytes] = {}
        self._on_way: dict[int, str] = {}  # networks with the data, and which process asked
        self._asked: set[int] = set()
        self._parcel: Parcel | None = None

    def __enter__(self) -> ProcessWork:
        """Checks as threads do, and that all can be pickled; makes the data ready to be read."""
        super().__enter__()
        try:
            self._fittings.clear()
            self._sent = [self._callbacks_of(i) for i in range(len(self._given))]
            self._own.clear()
            for i, each in enumerate(self._given):
                if not isinstance(self._made.get(i, each), Trainer):
                    self._pickled(
                        each,
                        f"trainers[{i}] must be a gdcore.Trainer, or a function that can be "
                        "pickled, such as one of a module's top level",
                    )
                else:
                    self._checked_rest(i, self._made.get(i, each))
            self._pickled(
                self._metrics, "metrics must be such as can be pickled, as names and functions of "
                "a module's top level can"
            )  # fmt: skip
            arrays, self._arrays = self._arrays.sent(), None  # type: ignore[assignment]
            try:
                self._parcel = Parcel((arrays, self._metrics), len(self._given), self._dumps)
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                raise TypeError(
                    f"the data must be such as can be pickled for {self._told}: {error}"
                ) from None
        except BaseException:
            self._close()
            raise
        return self

    def run(self) -> list[FitResult]:
        """Trains; what Ctrl-C or a callback's own raises ends it."""
        assert self._parcel is not None
        results: dict[int, FitResult] = {}
        coming = iter(range(len(self._given)))
        bar = self._bar()
        try:
            more = True
            while more or self._waiting:
                while more and (self._ahead is None or len(self._waiting) < self._ahead):
                    index = next(coming, None)
                    more = index is not None
                    if index is not None and (ended := self._begun(index)) is not None:
                        results[index] = ended
                done, _ = wait(self._waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    index = self._waiting.pop(future)
                    if (result := self._result(index, future)) is not None:
                        results[index] = result
                if bar is not None:
                    far = (self._parcel.board.epochs(each) for each in self._waiting.values())
                    bar.show(len(results), sum(far))
        finally:
            if bar is not None:
                bar.close()
        return [results[i] for i in range(len(self._given))]

    def _begun(self, index: int) -> FitResult | None:
        """Hands a network over; or the end of one that cannot be."""
        if index in self._failed:
            return self._failed[index]
        given = self._target(index)
        try:
            saved = None
            if given is not None:
                saved = (type(given), packed_trainer(given), unsaved(given))
            job = remote.Job(
                None if given is not None else self._given[index],  # type: ignore[arg-type]
                saved,
                pickle.loads(self._sent[index]),
                self._epochs,
                self._options,
                self._threads_each,
                remote.here(),
            )
            self._submit(index, self._dumps(job))
        except (BrokenExecutor, ValueError) as error:  # or parameters that are not finite
            return FitResult(index, given, History(), error, 0.0)
        return None

    def _submit(self, index: int, job: bytes, whole: bytes | None = None) -> None:
        assert self._parcel is not None
        given = (self._parcel.folder, self._pickler, index, job, whole)
        with handlers_put_off():  # one that is not noted would go on for ever
            future = self._executor.submit(remote.run, *given)
            if not isinstance(future, Future):
                raise TypeError(
                    f"executor.submit must return a concurrent.futures.Future, got {future!r}"
                )
            self._waiting[future] = index
            self._jobs_sent[index] = job

    def _result(self, index: int, future: Future[bytes]) -> FitResult | None:
        """What became of a network; None where it was sent again, with the data."""
        assert self._parcel is not None
        job = self._jobs_sent.pop(index)
        self._on_way.pop(index, None)
        try:
            told = pickle.loads(future.result())
        except Exception as error:  # the process has died, or never was
            return self._lost(index, error)
        if isinstance(told, remote.Missing):
            try:
                self._again(index, job, told.process)
            except BrokenExecutor as error:
                return self._lost(index, error)
            return None
        if isinstance(told, remote.Ended):
            raise told.error
        with handlers_put_off():
            return self._taken(index, told)

    def _again(self, index: int, job: bytes, process: str) -> None:
        """Hands a network over again, with the data.

        Without, once, where they are on their way already because of that process.
        """
        assert self._parcel is not None
        on_way = any(each == process for each in self._on_way.values())
        if on_way and index not in self._asked:
            self._asked.add(index)
            self._submit(index, job)
        else:
            self._on_way[index] = process
            self._submit(index, job, self._parcel.whole())

    def _lost(self, index: int, error: Exception) -> FitResult:
        return FitResult(index, self._target(index), History(), error, 0.0)

    def _taken(self, index: int, done: remote.Done) -> FitResult:
        """Brings a trainer to where its copy is."""
        error = None if done.failure is None else _error(done.failure)
        trainer = self._target(index)
        if trainer is not None and done.begun and done.state is not None:
            self._brought(trainer, done)
        elif trainer is None and done.state is not None:
            kind, threads, rest, past = done.rest
            opened = opened_bytes(done.state)
            trainer = read(kind, opened, None, num_threads=threads, warns=False, **rest)
            if done.begun:
                trainer._past, trainer._history = past, done.history
                trainer._figures, trainer._stopped = done.figures, done.stopped
        try:
            _warn_again(done.warned)
        except Exception as raised:  # where warnings are errors
            error = error or raised
        callbacks = pickle.loads(self._sent[index] if done.callbacks is None else done.callbacks)
        figures = done.figures if done.begun else {}
        own = tuple(callbacks) if done.begun else ()
        return FitResult(index, trainer, done.history, error, done.seconds, own, figures)

    def _brought(self, trainer: Trainer, done: remote.Done) -> None:
        assert done.state is not None
        batch_size, shuffle, accumulate = self._options
        data = _Counted(done.samples)
        light = Fitting(
            data, batch_size, shuffle, None, [], False, accumulate, done.figures, done.names
        )
        # The process told what there is to be warned of.
        trainer._begin(light, trainer.epochs + self._epochs, warns=False)
        put_back(trainer, done.state)
        trainer._history, trainer._stopped = done.history, done.stopped

    def _target(self, index: int) -> Trainer | None:
        """The trainer that was given, or made here; None where a process makes it."""
        given = self._made.get(index, self._given[index])
        return given if isinstance(given, Trainer) else None

    def _callbacks_of(self, index: int) -> bytes:
        """Its callbacks, pickled."""
        with of_trainer(index):
            row = self._own.pop(index) if index in self._own else self._callbacks(index)
        for i, each in enumerate(row):
            self._pickled(
                each, f"callbacks[{i}] of trainers[{index}] must be such as can be pickled"
            )
        return self._dumps(row)

    def _checked_rest(self, index: int, trainer: Any) -> None:
        rest = unsaved(trainer)
        for name, each in rest.items():
            self._pickled(each, f"trainers[{index}] must have {name} that can be pickled")
        self._pickled(type(trainer), f"trainers[{index}] must be of a class that can be pickled")

    def _pickled(self, each: Any, must: str) -> None:
        try:
            self._dumps(each)
        except Exception as error:
            raise TypeError(f"{must}, to be sent by {self._told}, got {each!r}: {error}") from None

    def _close(self) -> None:
        """Ends what is at work, between two steps where it is on this host."""
        with handlers_put_off():
            if self._parcel is not None:
                if self._waiting:
                    self._parcel.board.stop()
                for future in self._waiting:
                    future.cancel()
                wait(self._here())
            if self._mine is not None:
                self._mine.shutdown(kill=bool(self._waiting))
            if self._parcel is not None:
                self._parcel.close()
                self._parcel = None
        super()._close()

    def _here(self) -> Iterator[Future[bytes]]:
        """Those at work that see the word to stop."""
        assert self._parcel is not None
        for future, index in self._waiting.items():
            if self._parcel.board.begun(index) and not future.cancelled():
                yield future


def _warn_again(warned: list[tuple[str, type[Warning]]]) -> None:
    for words, category in warned:
        if issubclass(category, UserWarning):
            warn(words)
        else:
            warnings.warn(words, category, stacklevel=2)


def _error(failure: remote.Failure) -> Exception:
    """The exception of another process, with its traceback."""
    try:
        error = RuntimeError(failure.told) if failure.packed is None else None
        error = error or pickle.loads(failure.packed or b"")
    except Exception:
        error = RuntimeError(failure.told)
    if not isinstance(error, Exception):
        error = RuntimeError(failure.told)
    error.__cause__ = remote.RemoteError(failure.text)
    return error


def _pickler_of(executor: Any) -> str:
    """The module that pickles as the executor does.

    Those of the standard library and of mpi4py have their processes know the main module; for the
    others cloudpickle sends what is in it.
    """
    root = type(executor).__module__.partition(".")[0]
    if root in ("concurrent", "mpi4py"):
        return "pickle"
    for name in ("cloudpickle", "joblib.externals.cloudpickle"):
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            return name
    return "pickle"


def _twice_the_workers(executor: Any) -> int | None:
    """How many networks wait in the executor; None: all, where it does not tell its processes."""
    for name in ("_max_workers", "num_workers"):
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return 2 * count
    return None
