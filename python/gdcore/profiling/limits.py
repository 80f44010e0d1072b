"""The machine's limits on as many threads as a recording had."""

from __future__ import annotations

from gdcore import _core
from gdcore.profiling.recording import Recording

__all__ = ["peaks"]

_SECONDS = 0.1
_ROUNDS = 3
_MEMORY = 256 << 20  # bytes, far above any cache


def peaks(recording: Recording) -> tuple[float, float]:
    """FLOP/s of multiply-adds and B/s of memory, the best of a few measurements.

    Measured on the machine at hand the first time, then kept with the recording.
    """
    kinds = {recording.operations[i].arithmetic for i in set(recording.events["operation"])}
    dtype = "float64" if "float64" in kinds and "float32" not in kinds else "float32"
    threads = max(len(recording.workers), 1)
    found = recording.machine.peaks
    keys = f"{dtype} x{threads}", f"memory x{threads}"
    if keys[0] not in found:
        found[keys[0]] = max(_core.fma_peak(dtype, threads, _SECONDS) for _ in range(_ROUNDS))
    if keys[1] not in found:
        found[keys[1]] = max(
            _core.memory_bandwidth(threads, _MEMORY, _SECONDS) for _ in range(_ROUNDS)
        )
    return found[keys[0]], found[keys[1]]
