"""Processes that measure, and one that keeps a core busy."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gdcore.benchmark.turns import in_turns

__all__ = ["Worker", "WorkerError", "busy_neighbour", "measured", "started"]

K = TypeVar("K", bound=Hashable)

_ROOT = Path(__file__).parent.parent
_PATIENCE = 600  # seconds for one answer; compilers take their time
# Seconds before a measurement: threads of the library that had its turn before (OpenBLAS's, those
# of OpenMP) go on spinning for a while, at the cost of whoever comes next.
_REST = 0.2


class WorkerError(Exception):
    """A library does not run here; the message says why, in a line."""


class Worker:
    """A process that runs a module of ours, asked for one measurement at a time."""

    def __init__(
        self,
        module: str,
        *arguments: object,
        patience: float = _PATIENCE,
        python: str = sys.executable,
    ) -> None:
        """Starts it, with the interpreter of any environment, and waits until it is warm.

        Raises:
            WorkerError: What it measures does not run here, or takes longer than our patience.
        """
        command = [python, "-m", f"benchmarks.{module}", *map(str, arguments)]
        self._patience = patience
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        answer = self._answer()
        if "fails" in answer:
            self.close()
            raise WorkerError(answer["fails"])

    def measure(self) -> dict[str, float]:
        """What was measured, after a rest; the seconds of one step are among it."""
        assert self._process.stdin is not None
        time.sleep(_REST)
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        # What libraries print goes by; ours are the lines that hold an object.
        while True:
            ready, _, _ = select.select([self._process.stdout], [], [], self._patience)
            if not ready:
                self._process.kill()
                self.close()
                raise WorkerError(f"no answer within {self._patience:g} s")
            line = self._process.stdout.readline()
            if not line:
                code = self._process.wait()
                self.close()
                raise WorkerError(f"ended unexpectedly, with {code}")
            if line.startswith(b"{"):
                answer: dict[str, Any] = json.loads(line)
                return answer


@contextmanager
def started(
    wanted: Mapping[K, Sequence[object]], **options: Any
) -> Iterator[tuple[dict[K, Worker], dict[K, str]]]:
    """Starts a process for each; gives those that run, and why the others do not.

    Args:
        wanted: Module and arguments by what tables call it.
        **options: As `Worker` has them.
    """
    workers: dict[K, Worker] = {}
    reasons: dict[K, str] = {}
    try:
        for key, (module, *arguments) in wanted.items():
            try:
                workers[key] = Worker(str(module), *arguments, **options)
            except WorkerError as error:  # noqa: PERF203 (what lasts is what it starts)
                reasons[key] = str(error)
        yield workers, reasons
    finally:
        for worker in workers.values():
            worker.close()


def measured(
    wanted: Mapping[K, Sequence[object]], rounds: int
) -> tuple[dict[K, list[dict[str, float]]], dict[K, str]]:
    """The measurements of each, which take turns, and why others do not run."""
    with started(wanted) as (workers, reasons):
        found = in_turns({key: worker.measure for key, worker in workers.items()}, rounds)
    return found, reasons


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keeps one core's worth of work running beside what is measured."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
