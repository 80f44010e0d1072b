"""Whether a launcher of MPI has started this process, told from the environment alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HYDRA", "OPEN_MPI", "Launch", "launched", "started"]

OPEN_MPI, HYDRA = "Open MPI's mpirun", "mpirun"  # the second of MPICH and Intel MPI

# Each launcher's variables of the number of processes and of this one's. A shell of sbatch or
# salloc has Slurm's of the job too, but not those of a step, which srun alone makes.
_LAUNCHERS = (
    (OPEN_MPI, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    (HYDRA, "PMI_SIZE", "PMI_RANK"),
    ("mpirun of MVAPICH", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    ("Flux", "FLUX_JOB_SIZE", "FLUX_TASK_RANK"),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)


@dataclass(frozen=True)
class Launch:
    """What has started this process as one of several.

    Attributes:
        by: The launcher.
        size: How many there are; None where it does not say.
        rank: Which of them this is.
    """

    by: str
    size: int | None
    rank: int

    @property
    def hasty(self) -> bool:
        """Whether it ends all other ranks in the moment in which one is gone: Hydra does."""
        return self.by == HYDRA


def launched(environment: Mapping[str, str] | None = None) -> Launch | None:
    """The launcher that has started this process and others; None where it is alone."""
    found = started(environment)
    return None if found is None or found.size == 1 else found


def started(environment: Mapping[str, str] | None = None) -> Launch | None:
    """The launcher that has started this process, with others or without.

    Nothing is imported for it.

    Args:
        environment: That of the process, else `os.environ`.
    """
    known = os.environ if environment is None else environment
    for by, size, rank in _LAUNCHERS:  # those of mpirun within a job of Slurm are the nearer ones
        if known.get(size, "").isdecimal() and known.get(rank, "").isdecimal():
            return Launch(by, int(known[size]), int(known[rank]))
    if known.get("PMIX_RANK", "").isdecimal():
        return Launch("PMIx", None, int(known["PMIX_RANK"]))
    return None
