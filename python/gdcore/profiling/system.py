"""What the system knows of our threads: CPUs they had and wanted, how often it took them away."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Pressure", "ThreadTimes", "Times", "pressure", "process_times", "thread_times"]


@dataclass(frozen=True)
class Times:
    """Of one thread, since it began.

    Attributes:
        running: Seconds on a CPU.
        ready: Seconds ready but without one.
        given_away: How often it gave its CPU away by itself, as to sleep.
        taken_away: How often others were given it.
        page_faults: How often it met a page that was not there.
        system: Seconds of ``running`` that it was in the kernel.
    """

    running: float = 0.0
    ready: float = 0.0
    given_away: int = 0
    taken_away: int = 0
    page_faults: int = 0
    system: float = 0.0

    def __sub__(self, other: Times) -> Times:
        """From the other to this."""
        return Times(
            self.running - other.running,
            self.ready - other.ready,
            self.given_away - other.given_away,
            self.taken_away - other.taken_away,
            self.page_faults - other.page_faults,
            self.system - other.system,
        )


# By the system's number of a thread.
ThreadTimes = dict[int, Times]


def thread_times() -> ThreadTimes:
    """Of all threads of this process; empty where the system does not tell.

    Source: Linux, Documentation/scheduler/sched-stats.rst, ``/proc/<pid>/schedstat``; proc(5),
    ``status`` and ``stat``.
    """
    found: ThreadTimes = {}
    try:
        threads = list(Path("/proc/self/task").iterdir())
    except OSError:
        return {}
    for task in threads:
        try:
            running, ready, _ = (task / "schedstat").read_text().split()
            status = (task / "status").read_text()
            # What follows the name, which may hold anything; minor and major faults.
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):  # the thread has ended, or the kernel keeps none
            continue
        switches = [int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line]
        found[int(task.name)] = Times(
            int(running) / 1e9,
            int(ready) / 1e9,
            switches[0] if switches else 0,
            switches[1] if len(switches) > 1 else 0,
            int(fields[7]) + int(fields[9]),
            int(fields[12]) / os.sysconf("SC_CLK_TCK"),
        )
    return found


def process_times() -> Times:
    """Of all threads of this process together."""
    total = Times()
    for times in thread_times().values():
        total = total - (Times() - times)
    return total


@dataclass(frozen=True)
class Pressure:
    """What others took from all of our threads, in seconds.

    Attributes:
        throttled: That the cgroup's quota held them back.
        stolen: That the machine below a virtual one gave to others, over all of its CPUs.
    """

    throttled: float = 0.0
    stolen: float = 0.0

    def __sub__(self, other: Pressure) -> Pressure:
        """From the other to this."""
        return Pressure(self.throttled - other.throttled, self.stolen - other.stolen)


def pressure() -> Pressure:
    """Since the start; zeros where the system does not tell.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, ``cpu.stat``; proc(5), ``stat``.
    """
    try:
        stolen = int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])
    except (OSError, IndexError, ValueError):
        stolen = 0
    return Pressure(_throttled(), stolen / os.sysconf("SC_CLK_TCK"))


def _throttled() -> float:
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return 0.0
    for group in groups:
        _, controllers, path = group.split(":", 2)
        folder = {"": "", "cpu": "cpu", "cpu,cpuacct": "cpu,cpuacct"}.get(controllers)
        if folder is None:
            continue
        # Within a container the mount may begin at the container's own group.
        for place in (path.lstrip("/"), ""):
            try:
                lines = (Path("/sys/fs/cgroup") / folder / place / "cpu.stat").read_text()
            except OSError:
                continue
            for key, _, value in (line.partition(" ") for line in lines.splitlines()):
                if key == "throttled_usec":
                    return int(value) / 1e6
                if key == "throttled_time":
                    return int(value) / 1e9
    return 0.0
