"""What a profile is made of: operations, threads, trainers, and the machine they ran on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["EVENT", "RANGE", "WAITS", "Clock", "Machine", "Operation", "Source", "Thread"]

# One event: what a thread did from `begin` to `end`, in nanoseconds since the recording began.
EVENT = np.dtype(
    [
        ("begin", np.int64),
        ("end", np.int64),
        ("flops", np.int64),
        ("bytes", np.int64),
        ("step", np.uint32),
        ("operation", np.uint16),
        ("waits_for", np.uint16),
        ("thread", np.uint16),
        ("team", np.uint16),
        ("source", np.uint16),
        ("cpu", np.uint16),
        ("purpose", np.uint8),
    ],
    align=True,
)

# A stretch with a name of the user's, likewise; `name` is an index into the list of names.
RANGE = np.dtype(
    [
        ("begin", np.int64),
        ("end", np.int64),
        ("step", np.uint32),
        ("name", np.uint32),
        ("thread", np.uint16),
        ("depth", np.uint16),
        ("source", np.uint16),
    ],
    align=True,
)

WAITS = ("wait", "sleep", "yield")

# What is around the work on a batch.
_AROUND = frozenset(
    (
        *(*WAITS, "", "data", "convert", "callback", "step", "exchange", "caller", "gil"),
        *("recorder", "snapshot"),
    )
)


@dataclass(frozen=True)
class Operation:
    """What an event can be, one kind an op, layer, arithmetic, trainer and purpose.

    Attributes:
        op: Such as ``"dense_forward"``; `gdcore.profiling.zones` explains each.
        layer: The layer's name, ``""`` where it belongs to none. Of ``convert``, the array with
            what it was and became.
        phase: Of training ``"forward"``, ``"loss"``, ``"backward"``, ``"update"``, ``"data"``;
            ``"step"``, a step beside its operations; ``"exchange"``, bytes between ranks; beside
            training ``"validation"``, ``"inference"``, ``"checks"``, ``"matmul"``;
            ``"callback"``; ``"caller"``, the program between two calls; ``"gil"``;
            ``"recorder"``; ``"wait"``.
        arithmetic: What it multiplies and adds in, such as ``"float32"``; ``""`` where it does not.
        purpose: ``"training"``, or the phase beside training that it is part of.
        trainer: Whose it is, where several were at work; else ``""``.
    """

    op: str
    layer: str
    phase: str
    arithmetic: str
    purpose: str = "training"
    trainer: str = ""

    @property
    def label(self) -> str:
        """Op, layer and trainer, as tables and pictures show them."""
        return " ".join(part for part in (self.op, self.layer, self.trainer) if part)

    @property
    def of_plan(self) -> bool:
        """Whether it is work on a batch: no waiting, and nothing around the step."""
        return self.op not in _AROUND


@dataclass(frozen=True)
class Source:
    """Whose work was recorded: a trainer, a network without one, a rule bound to arrays.

    Attributes:
        name: ``"trainer 1"``, ``"network 1"``, ``"rule 1"``, in the order of their making.
        kind: ``"trainer"``, ``"network"``, ``"rule"``, or ``""`` for products of matrices.
        network: Inputs and units, such as ``"784-512-10"``.
        optimizer: The rule's name.
        loss: The loss's name.
        dtype: ``"float32"`` or ``"float64"``.
        steps: Training steps that were begun, recorded or not.
        batch: The most samples of a step; 0 where none was told.
        threads: The most that a step might use; 0 where nobody said.
    """

    name: str = ""
    kind: str = ""
    network: str = ""
    optimizer: str = ""
    loss: str = ""
    dtype: str = ""
    steps: int = 0
    batch: int = 0
    threads: int = 0

    def __str__(self) -> str:
        """In a line."""
        parts = [self.network, self.dtype, self.loss, self.optimizer]
        if self.batch:
            parts.append(f"batch {self.batch:,}")
        return f"{self.name}: {', '.join(part for part in parts if part)}"


@dataclass(frozen=True)
class Thread:
    """A thread that recorded something.

    Attributes:
        name: ``"worker 1"``; ``"caller"`` is the thread that called, which is worker 0.
        worker: Its index in a team.
        thread_id: The system's number of it.
        dropped: Events it recorded that are gone.
        cpu_seconds: How long it had a CPU during the recording; None where the system does not
            tell.
        ready_seconds: How long it could have run and had none: others did.
        counters: ``cycles``, ``instructions`` and ``cache_misses`` outside the kernel, or None.
        team: The index of the thread that calls the team it works in.
        voluntary_switches: How often it gave its CPU away by itself, as to sleep; None where the
            system does not tell.
        involuntary_switches: How often the system took its CPU away.
        migrations: How often it went from one CPU to another, as its events show.
        system_seconds: How long of ``cpu_seconds`` it was in the kernel, to ten milliseconds.
        page_faults: How often the system had to give it a page; None where it does not tell.
    """

    name: str
    worker: int
    thread_id: int
    dropped: int = 0
    cpu_seconds: float | None = None
    ready_seconds: float | None = None
    counters: Mapping[str, int] | None = None
    team: int = 0
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None
    migrations: int = 0
    page_faults: int | None = None
    system_seconds: float | None = None


@dataclass(frozen=True)
class Clock:
    """How a rank's CLOCK_MONOTONIC stood to that of rank 0 while both recorded.

    It showed offset + drift (t - at) more than that of rank 0 when it showed t itself.

    Attributes:
        offset: Nanoseconds that it was ahead at the beginning; hosts count from when they started.
        error: Nanoseconds that this is off by at most.
        at: When that was, in nanoseconds of the rank's own clock.
        drift: Nanoseconds that it gained a nanosecond, from the beginning to the end.
        drift_is_sure: Whether that is more than what the errors at both ends could make of none.
        rounds: Messages there and back that this was found with; 0 of rank 0.
    """

    offset: float = 0.0
    error: float = 0.0
    at: float = 0.0
    drift: float = 0.0
    drift_is_sure: bool = False
    rounds: int = 0

    def ahead(self, time: float) -> float:
        """Nanoseconds that it was ahead when it showed that time."""
        return self.offset + self.drift * (time - self.at)


@dataclass
class Machine:
    """Where it was recorded.

    Attributes:
        cpus: The least of affinity mask, cgroup quota and physical cores.
        quota: CPUs by the cgroup's quota, or None.
        isa: The instruction set in use.
        precision: What serves each ``matmul_precision``.
        peaks: Limits measured there so far, by name and threads: operations or bytes a second.
        host: The name of the machine.
        cpu: The processor's name.
        date: When the recording ended, in the machine's time.
        version: Of gdcore.
        caches: Bytes of each level of cache, and how many CPUs share one, the first level first.
        affinity: CPUs that the process may use; 0 where nobody said.
        online: CPUs that the machine has; 0 where nobody said.
        disturbed: Those of them during which others had a CPU: too low, maybe.
    """

    cpus: int
    quota: float | None
    isa: str
    precision: dict[str, str]
    peaks: dict[str, float] = field(default_factory=dict)
    host: str = ""
    cpu: str = ""
    date: str = ""
    version: str = ""
    caches: list[list[int]] = field(default_factory=list)
    affinity: int = 0
    online: int = 0
    disturbed: list[str] = field(default_factory=list)

    @classmethod
    def this(cls) -> Machine:
        """The machine we are on."""
        from gdcore import _core

        config: dict[str, Any] = _core.config()
        counts = config["cpus"]
        known = [counts["affinity"], counts["physical_cores"]]
        quota = counts["cgroup_quota"]
        if quota is not None:
            known.append(max(1, int(quota)))
        return cls(
            cpus=min(n for n in known if n),
            quota=quota,
            isa=config["isa"],
            precision=dict(config["precision"]),
            host=platform.node(),
            cpu=_cpu_name(),
            affinity=counts["affinity"],
            online=os.cpu_count() or 0,
            date=time.strftime("%Y-%m-%d %H:%M:%S %z"),
            version=str(config["version"]),
            caches=[list(each) for each in _caches()],
        )


@cache
def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


@cache
def _caches() -> tuple[tuple[int, int], ...]:
    """Of the first CPU that we may use, for data.

    Source: Linux, Documentation/ABI/stable/sysfs-devices-system-cpu, ``cache/index*``.
    """
    found: dict[int, tuple[int, int]] = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind, level, size, shared = (
                (index / name).read_text().strip()
                for name in ("type", "level", "size", "shared_cpu_list")
            )
        except OSError:
            continue
        if kind == "Instruction":
            continue
        units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
        count = 0
        for part in shared.split(","):
            first, _, last = part.partition("-")
            count += int(last or first) - int(first) + 1
        found[int(level)] = int(size[:-1]) * units[size[-1]], count
    return tuple(found[level] for level in sorted(found))
