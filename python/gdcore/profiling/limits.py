"""The machine's limits on as many threads as a recording had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gdcore import _core
from gdcore.profiling.recording import Recording
from gdcore.profiling.records import Machine
from gdcore.profiling.system import pressure, process_times

__all__ = ["Limits", "at_once", "level_of", "limits"]

_SECONDS = 0.05
_ROUNDS = 3
_MOST_ROUNDS = 8  # where others have the CPUs
_MEMORY = 256 << 20  # bytes, far above any cache
# Part of the time that our threads may have waited for a CPU while a limit was measured.
_DISTURBED = 0.02


@dataclass(frozen=True)
class Limits:
    """What the machine can do at most.

    Attributes:
        threads: On how many at once.
        flops: FLOP/s of multiply-adds by dtype: ``"float32"`` or ``"float64"``, whichever was
            recorded, and ``"bfloat16"`` where the machine has units for it.
        bytes: B/s by where the data are: ``"L1"``, ``"L2"``, ``"L3"`` as far as the machine tells
            of them, and ``"memory"``.
        disturbed: The names of those that others disturbed while they were measured, every time:
            they may be too low.
    """

    threads: int
    flops: dict[str, float]
    bytes: dict[str, float]
    disturbed: frozenset[str] = frozenset()

    @property
    def dtype(self) -> str:
        """What products are in without lower precision."""
        return "float64" if "float64" in self.flops and "float32" not in self.flops else "float32"

    @property
    def peak(self) -> float:
        """FLOP/s without lower precision."""
        return self.flops[self.dtype]

    @property
    def memory(self) -> float:
        """B/s of memory."""
        return self.bytes["memory"]


def limits(recording: Recording, *, caches: bool = False) -> Limits:
    """The best of a few measurements.

    Measured on the machine at hand the first time, then kept with the recording.

    Args:
        recording: Its threads and dtypes count.
        caches: Also those of the caches.
    """
    machine = recording.machine
    used = np.flatnonzero(np.bincount(recording.events["operation"], minlength=1))
    arithmetic = {recording.operations[i].arithmetic for i in used.tolist()}
    dtype = "float64" if "float64" in arithmetic and "float32" not in arithmetic else "float32"
    threads = max(most_at_once(recording), 1)

    def fma_peak() -> float:
        return _core.fma_peak(dtype, threads, _SECONDS)

    def bandwidth(size: int) -> Callable[[], float]:
        return lambda: _core.memory_bandwidth(threads, size, _SECONDS)

    flops = {dtype: _measured(machine, dtype, threads, fma_peak)}
    key = f"{dtype} x{threads}"
    if flops[dtype] < _fastest(recording, dtype) and key not in machine.disturbed:
        # What was done can be done: the measurement had less of the machine.
        del machine.peaks[key]
        again = _measured(machine, dtype, threads, fma_peak)
        machine.peaks[key] = flops[dtype] = max(again, flops[dtype])
        if flops[dtype] < _fastest(recording, dtype):
            machine.disturbed.append(key)
    if any("bfloat16" in each for each in arithmetic):

        def bf16_peak() -> float:
            return _core.fma_peak("bfloat16", threads, _SECONDS)

        if peak := _measured(machine, "bfloat16", threads, bf16_peak):
            flops["bfloat16"] = peak
    sizes = {"memory": _MEMORY}
    if caches:
        sizes = {**_cache_sizes(machine, threads), **sizes}
    rates = {
        name: _measured(machine, name, threads, bandwidth(size)) for name, size in sizes.items()
    }
    names = (*flops, *rates)
    disturbed = frozenset(name for name in names if f"{name} x{threads}" in machine.disturbed)
    return Limits(threads, flops, rates, disturbed)


def _fastest(recording: Recording, dtype: str) -> float:
    """FLOP/s of the operation in that dtype that was fastest, of all threads together."""
    events, count = recording.events, len(recording.operations)
    times = np.bincount(events["operation"], recording.durations, count)
    flops = np.bincount(events["operation"], events["flops"], count)
    right = np.array([each.arithmetic == dtype for each in recording.operations])
    # Each on as many threads as took part in it, at the most.
    threads = np.zeros(count)
    for i in recording.workers:
        threads += np.bincount(events["operation"][events["thread"] == i], minlength=count) > 0
    threads = np.minimum(threads, at_once(recording))
    with np.errstate(invalid="ignore", divide="ignore"):
        speeds = np.where(right & (times > 0), flops / times * threads * 1e9, 0.0)
    return float(speeds.max(initial=0.0))


def at_once(recording: Recording) -> int:
    """Threads that worked at the same time at the most: others of a team wait for a CPU."""
    return max(1, min(most_at_once(recording), recording.machine.cpus))


def most_at_once(recording: Recording) -> int:
    """Threads of the largest team; a caller may have several teams, one after the other."""
    return max((recording.threads[i].worker + 1 for i in recording.workers), default=0)


def level_of(machine: Machine, size: float, threads: int) -> str:
    """Where data of so many bytes, which all threads share, stay from step to step."""
    for name, room in _room(machine, threads).items():
        if size <= room:
            return name
    return "memory"


def _room(machine: Machine, threads: int) -> dict[str, float]:
    """Bytes of each level that so many threads have together."""
    # Where the system knows of no second core that shares it, each thread's core has its own.
    return {
        f"L{level}": float(size) * max(1, -(-threads // max(shared, 1)))
        for level, (size, shared) in enumerate(machine.caches, start=1)
    }


def _cache_sizes(machine: Machine, threads: int) -> dict[str, int]:
    """Bytes to measure each level's speed with: well within it, and well above the one before."""
    found = {}
    below = 0.0
    for name, room in _room(machine, threads).items():
        size = min(room / 2, max(below * 4, 16 << 10)) if below else room / 2
        if size > below:
            found[name] = int(size)
        below = room
    return found


def _measured(machine: Machine, name: str, threads: int, measure: Callable[[], float]) -> float:
    key = f"{name} x{threads}"
    if key not in machine.peaks:
        undisturbed: list[float] = []
        rates: list[float] = []
        while len(undisturbed) < _ROUNDS and len(rates) < _MOST_ROUNDS:
            before, taken = process_times(), pressure()
            rates.append(measure())
            passed, taken = process_times() - before, pressure() - taken
            if passed.ready + taken.stolen <= _DISTURBED * passed.running:
                undisturbed.append(rates[-1])
        machine.peaks[key] = max(rates)
        if not undisturbed:
            machine.disturbed.append(key)
    return machine.peaks[key]
