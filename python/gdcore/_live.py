"""The file in which a running training tells how it goes: small, and at any moment whole."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdcore._warn import warn
from gdcore.files import checked_path

if TYPE_CHECKING:
    from gdcore.training import Trainer

__all__ = ["Writer", "peak_bytes", "read"]

_FORMAT = 1
_INTERVAL = 0.25  # seconds from one writing to the next, at least
_WINDOW = 5.0  # seconds that a rate is the mean of, about
_EPOCHS = 100  # of the history, the last


class Writer:
    """Writes the state of one `Trainer.fit`.

    Raises:
        OSError: The file cannot be written; after the first time, that is a warning.
    """

    def __init__(self, path: str, trainer: Trainer) -> None:
        self._path = os.path.realpath(path)  # of a link, what it leads to
        folder, name = os.path.split(self._path)
        self._beside = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
        self._trainer = trainer
        self._works = True
        self._values: list[dict[str, float]] = []
        self._done = 0  # samples of the epochs before
        self._samples = 0  # of this epoch
        self._size: int | None = None  # of an epoch
        self._began = self._last = time.monotonic()
        self._marks = deque([self._mark(self._began)])
        self._replace(self._state("running", ""))

    def progress(self, samples: int) -> None:
        """So many samples of the epoch are done."""
        self._samples = samples
        if time.monotonic() - self._last >= _INTERVAL:
            self._write()

    def epoch(self, values: Mapping[str, float]) -> None:
        """An epoch is done, with what the history has of it."""
        self._size = self._samples
        self._done += self._samples
        self._samples = 0
        self._values = [*self._values[1 - _EPOCHS :], dict(values)]
        if time.monotonic() - self._last >= _INTERVAL:
            self._write()

    def end(self, state: str, why: str = "") -> None:
        """The last writing: ``"finished"``, ``"stopped"`` or ``"failed"``."""
        self._write(state, why)

    def _write(self, state: str = "running", why: str = "") -> None:
        if not self._works:
            return
        try:
            self._replace(self._state(state, why))
        except OSError as error:  # a full disk must not end what ran for days
            self._works = False
            warn(f"gdcore.callbacks.Live writes no more to {self._path!r}: {error.strerror}")

    def _replace(self, state: dict[str, Any]) -> None:
        # Not files.written_beside: it waits for the disk, which this need not outlive.
        try:
            with open(self._beside, "w", encoding="utf-8") as file:
                json.dump(state, file)
            os.replace(self._beside, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(self._beside)
            raise

    def _mark(self, now: float) -> tuple[float, float, int, int]:
        """Time, seconds of CPUs, steps and samples so far."""
        return now, time.process_time(), self._trainer.steps, self._done + self._samples

    def _state(self, state: str, why: str) -> dict[str, Any]:
        trainer = self._trainer
        now = self._last = time.monotonic()
        mark = self._mark(now)
        self._marks.append(mark)
        while len(self._marks) > 2 and now - self._marks[1][0] >= _WINDOW:
            self._marks.popleft()
        return {
            "gdcore_live": _FORMAT,
            "state": state,
            "why": why,
            "process_id": os.getpid(),
            "host": platform.node(),
            "time": time.time(),
            "seconds": now - self._began,
            "network": str(trainer.network),
            "loss": str(trainer.loss),
            "optimizer": trainer.optimizer.name,
            "threads": trainer.num_threads,
            "epochs": trainer.epochs,
            "samples": self._samples,
            "samples_an_epoch": self._size,
            "steps": trainer.steps,
            "lr": trainer.lr,
            **self._rates(self._marks[0], mark),
            "memory_bytes": _memory(),
            "history": self._values,
        }

    def _rates(
        self, first: tuple[float, float, int, int], last: tuple[float, float, int, int]
    ) -> dict[str, float | None]:
        seconds, cpus, steps, samples = (b - a for a, b in zip(first, last, strict=True))
        if seconds <= 0 or not steps:
            none = ("steps_a_second", "samples_a_second", "gflops", "cpus")
            return dict.fromkeys(none)
        flops = self._trainer.flops_per_step(max(round(samples / steps), 1))
        return {
            "steps_a_second": steps / seconds,
            "samples_a_second": samples / seconds,
            "gflops": flops * steps / seconds / 1e9,
            "cpus": cpus / seconds,
        }


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads what a `Writer` wrote.

    Raises:
        OSError: The file cannot be read.
        TypeError: path is no path.
        ValueError: It is another file.
    """
    path = checked_path(path)
    text = Path(path).read_bytes()
    try:
        state = json.loads(text)
        version = state["gdcore_live"]
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"path must be a file that gdcore.callbacks.Live writes, got {path!r}"
        ) from None
    if version != _FORMAT:
        raise ValueError(f"{path} is of format {version!r}, where {_FORMAT} is read")
    found: dict[str, Any] = state
    return found


def _memory() -> int | None:
    """Bytes that this process has in memory; where the system does not tell, the most it had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return peak_bytes()


def peak_bytes() -> int | None:
    """The most bytes that this process had in memory; None where the system does not tell."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
