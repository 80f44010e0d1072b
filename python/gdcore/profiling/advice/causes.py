"""What holds a training up: one function a cause, each with a bar below which it is silent."""

from __future__ import annotations

from gdcore.profiling.advice import elsewhere, faster, missing_cpus, sharing
from gdcore.profiling.advice.cause import Look

__all__ = ["CAUSES"]

# Each is told what those before it found.
CAUSES: tuple[Look, ...] = (
    missing_cpus.quota,
    missing_cpus.affinity,
    missing_cpus.neighbour,
    elsewhere.gil,
    elsewhere.convert,
    elsewhere.first_step,
    elsewhere.data,
    elsewhere.metric,
    elsewhere.callback,
    elsewhere.validation,
    elsewhere.page_faults,
    elsewhere.program,
    sharing.small_batch,
    sharing.small_step,
    sharing.one_thread,
    sharing.partition,
    sharing.waiting,
    faster.memory,
    faster.precision,
)
