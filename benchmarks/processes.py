"""Processes that measure, and one that keeps a core busy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Worker", "busy_neighbour", "in_turns"]

_ROOT = Path(__file__).parent.parent


class Worker:
    """A process that runs a module of ours, asked for one measurement at a time."""

    def __init__(self, module: str, *arguments: object) -> None:
        """Starts it and waits until it is warm."""
        command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def measure(self) -> dict[str, float]:
        """What was measured; the seconds of one step are among it."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self._process.args))} ended unexpectedly")
        answer: dict[str, float] = json.loads(line)
        return answer


def in_turns(workers: Mapping[str, Worker], rounds: int) -> dict[str, list[dict[str, float]]]:
    """The measurements of each worker, which take turns; the processes end with it."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    try:
        for _ in range(rounds):
            for name, worker in workers.items():
                found[name].append(worker.measure())
    finally:
        for worker in workers.values():
            worker.close()
    return found


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keeps one core's worth of work running beside what is measured."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
