"""What the system knows of our threads: how long they had a CPU, and how long they wanted one."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CpuTimes", "cpu_times"]

# Seconds on a CPU, and seconds ready but without one, by the system's number of a thread.
CpuTimes = dict[int, tuple[float, float]]


def cpu_times() -> CpuTimes:
    """Of all threads of this process; empty where the system does not tell.

    Source: Linux, Documentation/scheduler/sched-stats.rst, ``/proc/<pid>/schedstat``.
    """
    found: CpuTimes = {}
    tasks = Path("/proc/self/task")
    try:
        threads = list(tasks.iterdir())
    except OSError:
        return {}
    for task in threads:
        try:
            running, ready, _ = (task / "schedstat").read_text().split()
        except (OSError, ValueError):  # the thread has ended, or the kernel keeps none
            continue
        found[int(task.name)] = int(running) / 1e9, int(ready) / 1e9
    return found
