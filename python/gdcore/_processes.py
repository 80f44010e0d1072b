"""Processes of loky's, each an executor of its own: one that dies takes no other with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

__all__ = ["Loky"]

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Loky(Executor):
    """So many processes, which begin with their first task; each does one at a time.

    Raises:
        ImportError: joblib, which has loky, is not installed.
    """

    def __init__(self, count: int, threads: int) -> None:
        try:
            from joblib.externals.loky.process_executor import ProcessPoolExecutor
        except ModuleNotFoundError as error:
            raise ImportError(
                f"executor='loky' needs {error.name}, which is not installed. Install it with: "
                'python -m pip install "gdcore[sklearn]"'
            ) from None
        # What callbacks and metrics call must not take all processors in each process.
        env = dict.fromkeys(_POOLS, str(threads))
        self._make: Callable[[], Any] = lambda: ProcessPoolExecutor(max_workers=1, env=env)
        self._places: list[Any] = [None] * count
        self._tasks: list[Future[Any] | None] = [None] * count

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Begins a task in a process that has none; there must be one."""
        free = next(i for i, task in enumerate(self._tasks) if task is None or task.done())
        task = self._tasks[free]
        if task is not None and isinstance(task.exception(), BrokenExecutor):
            self._places[free].shutdown(wait=True, kill_workers=True)
            self._places[free] = None
        if self._places[free] is None:
            self._places[free] = self._make()
        begun: Future[Any] = self._places[free].submit(function, *arguments, **named)
        self._tasks[free] = begun
        return begun

    def shutdown(
        self, wait: bool = True, *, cancel_futures: bool = False, kill: bool = False
    ) -> None:
        """Ends the processes; ``kill`` waits for no task."""
        for place in self._places:
            if place is not None:
                place.shutdown(wait=wait, kill_workers=kill)
        self._places = [None] * len(self._places)
        self._tasks = [None] * len(self._tasks)
