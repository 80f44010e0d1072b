"""The ranks of a run that a launcher of MPI has started."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["world"]

_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def world() -> Any:
    """The communicator of all of them; None of a process that was started alone.

    Raises:
        ValueError: mpi4py is not installed.
    """
    counts = [os.environ[name] for name in _SIZES if os.environ.get(name, "").isdecimal()]
    if not counts or int(counts[0]) < 2:
        return None
    try:
        from mpi4py import MPI
    except ModuleNotFoundError:
        raise ValueError(
            f"a launcher of MPI has started {counts[0]} of this process, which needs mpi4py. "
            'Install it with: python -m pip install "gdcore[mpi]"'
        ) from None
    return MPI.COMM_WORLD
