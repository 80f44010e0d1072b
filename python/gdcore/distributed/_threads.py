"""How many threads each rank is to have."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdcore.communication import Communicator, resolved
from gdcore.communication.launching import started
from gdcore.config import show_config

__all__ = ["Cores", "pinned", "pinned_alone", "share", "threads_for"]


@dataclass(frozen=True)
class Cores:
    """What a rank may use.

    Attributes:
        host: Its machine; another one has another name.
        cpus: The logical CPUs of its affinity mask.
        per_core: How many of them are one core.
        quota: CPUs' time that all ranks of the machine have together, None for no limit.
        there: How many logical CPUs the machine, or the job's part of it, has.
    """

    host: str
    cpus: tuple[int, ...]
    per_core: float = 1.0
    quota: float | None = None
    there: int = 0

    @classmethod
    def own(cls) -> Cores:
        """Those of this process."""
        cpus = show_config()["cpus"]
        mask = _mask()
        per_core = len(mask) / max(1, min(cpus["physical_cores"] or len(mask), len(mask)))
        return cls(_host(), mask, per_core, cpus["cgroup_quota"], max(_there(), len(mask)))


def threads_for(communicator: Any) -> int:
    """How many threads each rank of a machine should use: its cores, shared by its ranks.

    All ranks call it at the same time. ``python -m gdcore.distributed`` and ``gdcore train`` set it
    where ``OMP_NUM_THREADS`` is not set.

    >>> gdcore.set_num_threads(gdcore.distributed.threads_for(MPI.COMM_WORLD))

    Args:
        communicator: One of mpi4py, or a `Communicator`.

    Returns:
        The number for this rank, at least 1. Cores count once, whatever threads of the hardware
        they have. CPUs that several ranks may run on are divided among them.

    Raises:
        TypeError: It is no communicator.
    """
    found = resolved(communicator)
    if found is None:
        raise TypeError("communicator must be one of mpi4py or a Communicator, got None")
    return _shares(found)[0][found.rank]


def pinned(communicator: Communicator) -> tuple[int, str]:
    """`threads_for`, and on rank 0 a sentence where ranks are bound to fewer cores than needed."""
    shares, possible = _shares(communicator)
    text = _sentence(shares, possible) if communicator.rank == 0 else ""
    return shares[communicator.rank], text


def pinned_alone() -> str:
    """The same sentence for a rank that is the only one, where a launcher has started it."""
    return "" if started() is None else _sentence(*share([Cores.own()]))


def _sentence(shares: Sequence[int], possible: Sequence[int]) -> str:
    for a, b in zip(shares, possible, strict=True):
        if a < b:
            return (
                f"each rank is bound to {a} core{'s' * (a > 1)} where it could have {b}: "
                f"{_advice(os.environ, b)}"
            )
    return ""


def _shares(communicator: Communicator) -> tuple[list[int], list[int]]:
    gathered = communicator.gather(Cores.own())
    found: tuple[list[int], list[int]] = communicator.bcast(gathered and share(gathered))
    return found


def share(ranks: Sequence[Cores]) -> tuple[list[int], list[int]]:
    """How many threads each rank has, and how many it could have if none were bound."""
    on_host = Counter(each.host for each in ranks)
    on_cpu = Counter((each.host, cpu) for each in ranks for cpu in each.cpus)
    shares, possible = [], []
    for each in ranks:
        quota = float("inf") if each.quota is None else each.quota / on_host[each.host]
        own = sum(1 / on_cpu[each.host, cpu] for cpu in each.cpus) / each.per_core
        free = each.there / on_host[each.host] / each.per_core
        # A sum of thirds is a whole number but for rounding.
        shares.append(max(1, int(min(own, quota) + 1e-6)))
        possible.append(max(1, int(min(free, quota) + 1e-6)))
    return shares, possible


def _advice(environment: Mapping[str, str], cores: int) -> str:
    """How the launcher is told to bind otherwise."""
    if "OMPI_COMM_WORLD_SIZE" in environment:
        return f"mpirun --bind-to none, or --map-by slot:PE={cores}"
    if any(name.startswith("I_MPI_") for name in environment):
        return f"set I_MPI_PIN_DOMAIN=omp and OMP_NUM_THREADS={cores}"
    if "SLURM_STEP_NUM_TASKS" in environment:
        return f"srun --cpus-per-task={cores}"
    return f"mpirun -bind-to none, or -bind-to core:{cores}"


def _mask() -> tuple[int, ...]:
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _host() -> str:
    """Names of machines in clouds are not always their own; what was drawn at boot is."""
    try:
        return (
            f"{socket.gethostname()} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
        )
    except OSError:
        return f"{socket.gethostname()} {platform.node()}"


def _there() -> int:
    """The logical CPUs that a process of this job could be given: its cpuset, else the machine."""
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        groups = []
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpuset" not in controllers.split(","):
            continue
        root = "/sys/fs/cgroup/cpuset" if controllers else "/sys/fs/cgroup"
        for name in ("cpuset.cpus.effective", "cpuset.cpus"):
            with contextlib.suppress(OSError, ValueError):
                return _count(Path(f"{root}{path}/{name}").read_text())
    return os.cpu_count() or 1


def _count(listed: str) -> int:
    """How many CPUs a list like ``0-3,8`` names.

    Raises:
        ValueError: It is none.
    """
    count = 0
    for part in listed.strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count
