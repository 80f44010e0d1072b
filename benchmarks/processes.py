"""Processes that measure, and one that keeps a core busy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Worker", "busy_neighbour"]

_ROOT = Path(__file__).parent.parent


class Worker:
    """A `benchmarks.worker` process, asked for one measurement at a time."""

    def __init__(self, library: str, case: str, threads: int) -> None:
        """Starts it and waits until it is warm."""
        command = [sys.executable, "-m", "benchmarks.worker", library, case, str(threads)]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def measure(self) -> float:
        """Seconds of one step."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

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


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keeps one core's worth of work running beside what is measured."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
