"""What a process does for `gdcore.fit_many`: trains networks from data that it keeps."""

from __future__ import annotations

import importlib
import os
import pickle
import platform
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from gdcore._fitting import Fitting
from gdcore._many_data import Arrays
from gdcore._many_sent import Board, mapped, unpacked
from gdcore._many_work import fitting_of
from gdcore._resuming import read
from gdcore.history import History
from gdcore.persistence import opened_bytes, packed_trainer, unsaved
from gdcore.training import Trainer

__all__ = ["Done", "Ended", "Failure", "Job", "Missing", "RemoteError", "here", "run"]

_LOOK = 1.0  # seconds between two looks whether the data are still wanted
_IDLE = 60.0  # seconds after which data that were sent are dropped


@dataclass
class Job:
    """A network to be trained.

    Attributes:
        made: A function that makes its trainer; None where that is saved.
        saved: Class, bytes, and what these cannot hold.
        callbacks: Its own.
        epochs: How many more.
        options: batch_size, shuffle and accumulate.
        threads: Of the network.
        caller: The process that calls fit_many.
    """

    made: Callable[[], Any] | None
    saved: tuple[type[Trainer], bytes, dict[str, Any]] | None
    callbacks: list[Any]
    epochs: int
    options: tuple[int | None, bool, int]
    threads: int
    caller: str


def here() -> str:
    """This process, among those of all hosts."""
    return f"{platform.node()} {os.getpid()}"


@dataclass
class Missing:
    """A process has no data.

    Attributes:
        process: Which.
    """

    process: str


@dataclass
class Ended:
    """What ends a program was raised, or the word to stop was found."""

    error: BaseException


@dataclass
class Failure:
    """An exception.

    Attributes:
        packed: Itself, None where it cannot be pickled.
        told: Its class and words.
        text: Its traceback.
    """

    packed: bytes | None
    told: str
    text: str

    @classmethod
    def of(cls, error: BaseException, dumps: Callable[..., bytes]) -> Failure:
        """Looks whether it can be pickled, and made again."""
        text = "".join(traceback.format_exception(error))
        try:
            packed = dumps(error)
            pickle.loads(packed)
        except Exception:
            packed = None
        return cls(packed, f"{type(error).__name__}: {error}", text)


@dataclass
class Done:
    """What became of a network.

    Attributes:
        failure: What ended it, or None.
        begun: Whether the fit had begun.
        seconds: How long its epochs took.
        history: Of the epochs that were finished.
        state: The trainer's bytes; None where there is none, or they could not be made.
        rest: Of one that a function made: its class, threads, what bytes cannot hold, and the
            epochs before, with their number.
        callbacks: Pickled; None where they cannot be.
        stopped: Whether `Trainer.stop` was called.
        samples: Of an epoch.
        figures: Of the history, see `figures_of`.
        names: Of the columns of x.
        warned: Words and categories of warnings.
    """

    failure: Failure | None = None
    begun: bool = False
    seconds: float = 0.0
    history: History = field(default_factory=History)
    state: bytes | None = None
    rest: Any = None
    callbacks: bytes | None = None
    stopped: bool = False
    samples: int = 0
    figures: dict[str, bool | None] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    warned: list[tuple[str, type[Warning]]] = field(default_factory=list)


class RemoteError(Exception):
    """A traceback of another process, as text."""

    def __str__(self) -> str:
        """The text."""
        return f'\n"""\n{self.args[0]}"""'


@dataclass
class _Held:
    """The data of a call of fit_many, as this process has them."""

    arrays: Arrays
    metrics: Any
    board: Board | None  # None: they were sent
    users: int = 0
    last: float = field(default_factory=time.monotonic)
    lock: Any = field(default_factory=threading.Lock)


_all: dict[str, _Held] = {}  # at most one that nobody uses
_lock = threading.Lock()


def run(folder: str, pickler: str, index: int, job: bytes, whole: bytes | None) -> bytes:
    """Trains a network; returns a pickled `Done`, `Ended` or `Missing`.

    Args:
        folder: Where the data are, and what they are known by.
        pickler: The module whose ``dumps`` makes what is returned.
        index: The network's place.
        job: A pickled `Job`.
        whole: The data, where they were asked for.
    """
    dumps: Callable[..., bytes] = importlib.import_module(pickler).dumps
    try:
        with _use(folder, whole) as held:
            if held is None:
                return dumps(Missing(here()))
            try:
                return dumps(_done(held, index, pickle.loads(job), dumps))
            except Exception as error:  # such as a function that cannot be found here
                return dumps(Done(Failure.of(error, dumps)))
    except (KeyboardInterrupt, SystemExit) as error:
        return dumps(Ended(error))


@contextmanager
def _use(folder: str, whole: bytes | None) -> Iterator[_Held | None]:
    with _lock:
        held = _all.get(folder) or _received(folder, whole)
        if held is not None:
            for other in [key for key, each in _all.items() if not each.users]:
                del _all[other]
            if folder not in _all:
                threading.Thread(target=_watch, args=(folder,), daemon=True).start()
            _all[folder] = held
            held.users += 1
    try:
        yield held
    finally:
        if held is not None:
            with _lock:
                held.users -= 1
                held.last = time.monotonic()


def _received(folder: str, whole: bytes | None) -> _Held | None:
    found = mapped(folder)
    if found is None and whole is None:
        return None
    (arrays, metrics), board = found or (unpacked(whole or b""), None)
    return _Held(arrays, metrics, board)


def _watch(folder: str) -> None:
    """Drops the data when nobody will ask for them any more: they may be large."""
    while True:
        time.sleep(_LOOK)
        with _lock:
            held = _all.get(folder)
            if held is None:
                return
            sent = held.board is None
            over = time.monotonic() - held.last > _IDLE if sent else not os.path.isdir(folder)
            if over and not held.users:
                del _all[folder]
                return


def _done(held: _Held, index: int, job: Job, dumps: Callable[..., bytes]) -> Done:
    done, trainer = Done(), None
    with _recorded(job) as caught:
        try:
            trainer, before = _trainer(job)
            past = (trainer._whole_history(), trainer.epochs)
            trainer.num_threads = job.threads
            with held.lock:
                held.arrays.keep(index)
                fitting = fitting_of(
                    trainer,
                    held.arrays.part(index, trainer),
                    held.arrays,
                    (job.options, held.metrics, job.callbacks),
                )
            if job.made is None:  # the caller's process has warned of these
                caught.clear()
            if fitting.validation is not None:
                fitting.validation.judged(trainer._judge())
            done.samples, done.figures, done.names = (
                cast(int, fitting.samples), fitting.figures, fitting.names,
            )  # fmt: skip
            first, last = trainer.epochs + 1, trainer.epochs + job.epochs
            if held.board is not None:
                fitting.look = _look(held.board, index, trainer, first)
                fitting.look()
            done.history = trainer._begin(fitting, last)
            done.begun = True
            _run(fitting, trainer, first, last, done)
            done.stopped = trainer.stopped
            done.state = packed_trainer(trainer)
        except Exception as error:
            done.failure = Failure.of(error, dumps)
            if trainer is not None and (done.begun or job.made is not None):
                done.stopped = trainer.stopped
                try:
                    done.state = packed_trainer(trainer)
                except ValueError:
                    done.state = None  # what a callback left is no trainer to go on with
    done.warned = [(str(each.message), each.category) for each in caught]
    if job.made is not None and done.state is not None and trainer is not None:
        done.rest = (type(trainer), before, unsaved(trainer), past)
    try:
        done.callbacks = dumps(job.callbacks)
    except Exception:
        done.callbacks = None
    return done


@contextmanager
def _recorded(job: Job) -> Iterator[list[warnings.WarningMessage]]:
    """The warnings within; of a thread of the caller's process, where all have one list, none."""
    if job.caller == here():
        yield []
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _run(fitting: Fitting, trainer: Trainer, first: int, last: int, done: Done) -> None:
    begin = time.perf_counter()
    try:
        fitting.run(trainer, trainer._native, first, last, done.history)
    finally:
        done.seconds = time.perf_counter() - begin


def _trainer(job: Job) -> tuple[Trainer, int | None]:
    """The trainer, and the number of threads that it had."""
    if job.made is not None:
        made = job.made()
        if not isinstance(made, Trainer):
            raise TypeError(f"the function must make a gdcore.Trainer, got {made!r}")
        return made, made._num_threads
    assert job.saved is not None
    kind, data, rest = job.saved
    made = read(kind, opened_bytes(data), None, num_threads=job.threads, warns=False, **rest)
    return made, None


def _look(board: Board, index: int, trainer: Trainer, first: int) -> Callable[[], None]:
    """What is called between steps."""

    def look() -> None:
        board.put(index, trainer.epochs - first + 1)
        if board.stopped:
            raise KeyboardInterrupt

    return look
