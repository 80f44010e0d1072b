"""Where the time of multithreaded training goes: recorded by every worker itself.

>>> with gdcore.profile() as prof:
...     trainer.fit(x, y, epochs=2, batch_size=128)
>>> print(prof.table(by="op"))

`Profile` has what can be made of it; ``docs/profiling.md`` tells how to read each form.
"""

from __future__ import annotations

# Not in __all__: a star import must leave Python's own in place.
from gdcore._ranges import range as range
from gdcore.profiling._profile import Profile, load, profile, zones
from gdcore.profiling.advice import Advice
from gdcore.profiling.diff import Difference, diff
from gdcore.profiling.recording import Rank, Recording
from gdcore.profiling.records import Clock, Machine, Operation, Source, Thread
from gdcore.profiling.scaling import AmdahlFit, ScalingStudy, scaling_study
from gdcore.profiling.tables import Table
from gdcore.profiling.waiting import TeamWaits, Waits

__all__ = [
    "Advice",
    "AmdahlFit",
    "Clock",
    "Difference",
    "Machine",
    "Operation",
    "Profile",
    "Rank",
    "Recording",
    "ScalingStudy",
    "Source",
    "Table",
    "TeamWaits",
    "Thread",
    "Waits",
    "diff",
    "load",
    "profile",
    "scaling_study",
    "zones",
]


def __dir__() -> list[str]:
    return [*__all__, "range"]
