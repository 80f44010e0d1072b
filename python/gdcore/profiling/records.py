"""What a profile is made of: operations, threads, and the machine they ran on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["EVENT", "WAITS", "Machine", "Operation", "Thread"]

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
    ],
    align=True,
)

WAITS = ("wait", "sleep")


@dataclass(frozen=True)
class Operation:
    """What an event can be, one kind an op, layer and arithmetic.

    Attributes:
        op: Such as ``"dense_forward"``; `gdcore.profiling.zones` explains each.
        layer: The layer's name, ``""`` where it belongs to none.
        phase: ``"forward"``, ``"loss"``, ``"backward"``, ``"update"``, ``"data"``, ``"callback"``;
            ``"step"``, a step beside its operations; ``"caller"``, the program between two calls;
            ``"wait"``.
        arithmetic: What it multiplies and adds in, such as ``"float32"``; ``""`` where it does not.
    """

    op: str
    layer: str
    phase: str
    arithmetic: str

    @property
    def label(self) -> str:
        """Op and layer, as tables and pictures show them."""
        return f"{self.op} {self.layer}".strip()

    @property
    def of_plan(self) -> bool:
        """Whether it is work on a batch: no waiting, and nothing around the step."""
        return self.phase in ("forward", "loss", "backward", "update") or self.op == "gather"


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
    """

    name: str
    worker: int
    thread_id: int
    dropped: int = 0
    cpu_seconds: float | None = None
    ready_seconds: float | None = None
    counters: dict[str, int] | None = None


@dataclass
class Machine:
    """Where it was recorded.

    Attributes:
        cpus: The least of affinity mask, cgroup quota and physical cores.
        quota: CPUs by the cgroup's quota, or None.
        isa: The instruction set in use.
        precision: What serves each ``matmul_precision``.
        peaks: Limits measured there so far, by name and threads: operations or bytes a second.
    """

    cpus: int
    quota: float | None
    isa: str
    precision: dict[str, str]
    peaks: dict[str, float] = field(default_factory=dict)

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
        )
