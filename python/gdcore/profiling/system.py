"""What the system knows of our threads: CPUs they had and wanted, how often it took them away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ThreadTimes", "Times", "thread_times"]


@dataclass(frozen=True)
class Times:
    """Of one thread, since it began.

    Attributes:
        running: Seconds on a CPU.
        ready: Seconds ready but without one.
        given_away: How often it gave its CPU away by itself, as to sleep.
        taken_away: How often others were given it.
        page_faults: How often it met a page that was not there.
    """

    running: float = 0.0
    ready: float = 0.0
    given_away: int = 0
    taken_away: int = 0
    page_faults: int = 0

    def __sub__(self, other: Times) -> Times:
        """From the other to this."""
        return Times(
            self.running - other.running,
            self.ready - other.ready,
            self.given_away - other.given_away,
            self.taken_away - other.taken_away,
            self.page_faults - other.page_faults,
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
            *(switches if len(switches) == 2 else (0, 0)),
            int(fields[7]) + int(fields[9]),
        )
    return found
