"""Many networks at once: each on a thread, or in a process, of its own, from the same data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Literal

import gdcore.data
from gdcore._check import flag, integer, listed, optional_integer
from gdcore._many_data import Arrays
from gdcore._many_work import Work, checked_callbacks
from gdcore._warn import warn
from gdcore.callbacks import Callback
from gdcore.config import get_num_threads
from gdcore.fit_results import FitResults
from gdcore.training import Metrics, Trainer
from gdcore.typing import Inputs

__all__ = ["fit_many"]


def __dir__() -> list[str]:
    return __all__


MOST_THREADS = 1024  # as C++ has it


def fit_many(
    trainers: Sequence[Trainer | Callable[[], Trainer]],
    x: Inputs,
    y: Inputs,
    *,
    epochs: int,
    batch_size: int | None = 32,
    shuffle: bool = True,
    sample_weight: Inputs | None = None,
    validation_data: tuple[Inputs, ...] | gdcore.data.Source | None = None,
    rows: Sequence[Any] | None = None,
    metrics: Metrics | Mapping[str, Metrics] = (),
    callbacks: Sequence[Callback] | Callable[[int], Sequence[Callback]] = (),
    progress: bool = True,
    num_threads: int | None = None,
    accumulate: int = 1,
    executor: Executor | Literal["loky"] | None = None,
) -> FitResults:
    """Trains many networks at once, each as `Trainer.fit` alone would, to the same bits.

    >>> def made(seed):
    ...     layers = [gdcore.Dense(64, "relu"), gdcore.Dense(1)]
    ...     net = gdcore.Network(layers, input_size=16, seed=seed)
    ...     return gdcore.Trainer(net, "mse", "adam")
    >>> results = gdcore.fit_many([made(seed) for seed in range(10)], x, y, epochs=50,
    ...                           validation_data=(xv, yv))
    >>> print(results)
    >>> model = results.ensemble()

    The networks may differ in everything: layers, seed, learning rate, loss, dtype. Each is trained
    by one thread, so that small ones are where this pays most; the next in the sequence begins as
    soon as a thread is free. Data are converted and checked once, whatever the number of networks.

    One that diverges, or whose callback raises, does not stop the others: a warning at the end, and
    its entry, say which and why, and its trainer is where `Trainer.fit` leaves it. Ctrl-C stops all
    of them between two steps with a KeyboardInterrupt, and leaves trainers to go on with.

    With an ``executor`` each is trained in a process, on this machine or another, to the same bits,
    and what was given is afterwards as after training by threads. Trainers go there and come back
    as bytes, see `Trainer.to_bytes`; callbacks and metrics, functions that make trainers, and
    losses, schedules that are functions, are pickled. Data are sent once a process, and not once a
    network: on one host processes map them from a file in memory, on others they keep what they got
    with their first network. What a process raises is the entry's ``error`` with the traceback from
    there as its cause. Of a process that dies, the entry has the executor's exception, such as
    ``BrokenProcessPool``; with ``"loky"`` and Dask the others go on, a ``ProcessPoolExecutor`` is
    broken for all that are not done. Ctrl-C leaves those that are done trained, and all others as
    they were; those at work on another host go on to their end, and are dropped.

    >>> with mpi4py.futures.MPIPoolExecutor() as pool:
    ...     results = gdcore.fit_many(trainers, x, y, epochs=50, executor=pool)

    Args:
        trainers: At least one `Trainer`, or functions without arguments that return one; these are
            called in order, on the thread of the caller, shortly before their turn comes, and what
            they raise ends their network alone. With an executor its processes call them, but for
            the first. No two may have the same network.
        x: As in `Trainer.fit`.
        y: As in `Trainer.fit`.
        epochs: How many more, of each network; at least 1.
        batch_size: As in `Trainer.fit`.
        shuffle: As in `Trainer.fit`; the order depends on each trainer's seed and epoch.
        sample_weight: As in `Trainer.fit`.
        validation_data: As in `Trainer.fit`; with an executor arrays alone.
        rows: In place of validation_data, for each network a tuple of the rows it learns from and
            those that it is validated on, as `gdcore.folds` makes them; or its rows for training
            alone, beside validation_data. Rows are integers (n,) from 0 on, or (N,) booleans. They
            are copied out of x and y, once for networks that have the same objects.
        metrics: As in `Trainer.fit`.
        callbacks: As in `Trainer.fit`, of which each network gets a deep copy; or a function of the
            network's place in the sequence that returns them. Their methods run on the network's
            thread. Such as write to a path must come from a function that gives each its own. With
            an executor they are called in its processes, and the entries have what comes back.
        progress: Shows a bar on standard error, or in the notebook.
        num_threads: How many networks at a time, 1 to 1024; None as `gdcore.get_num_threads` says.
            Where there are fewer networks, each has its share of the threads. With an executor of
            one's own, which says how many at a time, the threads of each; None: one.
        accumulate: As in `Trainer.fit`.
        executor: None: threads of this process. ``"loky"``: processes of this machine, as joblib
            has them, which need no ``if __name__ == "__main__"`` and take functions of notebooks.
            Or any ``concurrent.futures.Executor``: the standard library's, loky's, mpi4py's, the
            one that ``get_executor()`` of a Dask client returns; for Ray three lines make one, see
            the guide. That interface and not joblib's ``Parallel``, for it tells of each network
            when it is done or failed. It is not shut down.

    Returns:
        A sequence with an entry a network, in order, that prints as a table; see
        `gdcore.FitResults`.

    Warns:
        UserWarning: Networks failed; or what `Trainer.fit` warns of.

    Raises:
        ImportError: joblib, of the extra ``gdcore[sklearn]``, is not there for ``"loky"``.
        RuntimeError: A trainer is in another `fit`, or it is called from within a callback of its
            own.
        TypeError: An argument is of the wrong type, or cannot be pickled for an executor.
        ValueError: An argument is out of its domain or does not fit a trainer, a trainer or network
            is there twice, or rows are out of range. Nothing has changed then.
    """
    given = _checked(trainers)
    epochs = integer("epochs", epochs)
    options = (
        optional_integer("batch_size", batch_size),
        flag("shuffle", shuffle),
        integer("accumulate", accumulate, at_most=2**31),
    )
    progress = flag("progress", progress)
    if num_threads is not None:
        threads = integer("num_threads", num_threads, at_most=MOST_THREADS)
    else:
        threads = get_num_threads() if executor in (None, "loky") else 1
    if executor is not None:
        from gdcore._many_processes import ProcessWork, checked_executor  # loads what else few need

        executor = checked_executor(executor)
    own = checked_callbacks(callbacks, len(given))
    arrays = Arrays.of(x, y, sample_weight, validation_data, rows, len(given))
    what = (given, arrays, epochs, options, metrics, own, threads)
    with (
        Work(*what, progress=progress)
        if executor is None
        else ProcessWork(*what, executor=executor, progress=progress)
    ) as work:
        results = FitResults(work.run())
    if failed := results.failed:
        told = "; ".join(
            f"trainers[{e.index}]: {type(e.error).__name__}: {e.error}" for e in failed[:5]
        )
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        warn(f"{len(failed)} of {len(results)} networks failed: {told}{more}")
    return results


def _checked(trainers: object) -> list[Trainer | Callable[[], Trainer]]:
    if isinstance(trainers, Trainer):
        raise TypeError("trainers must be a sequence of trainers, got one: write [trainer]")
    given = listed("trainers", trainers, "trainers")
    if not given:
        raise ValueError("trainers must hold at least one, got none")
    networks: dict[int, int] = {}
    for i, each in enumerate(given):
        if isinstance(each, Trainer):
            first = networks.setdefault(id(each.network), i)
            if first != i:
                what = "trainer" if given[first] is each else "network"
                raise ValueError(
                    f"trainers[{i}] must have a {what} of its own, got that of trainers[{first}]"
                )
        elif isinstance(each, type) or not callable(each):
            raise TypeError(
                f"trainers[{i}] must be a gdcore.Trainer or a function that makes one, got "
                f"{each!r} ({type(each).__name__})"
            )
    return given
