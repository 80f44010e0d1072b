"""Recordings made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gdcore.profiling.records import EVENT

FIELDS = ("begin", "end", "flops", "bytes", "step", "operation", "waits_for", "thread")


def events_of(rows: Sequence[Sequence[int]]) -> np.ndarray[Any, Any]:
    """Rows of FIELDS as events of one team and of the first source, a trainer."""
    events = np.zeros(len(rows), EVENT)
    for name, column in zip(FIELDS, zip(*rows, strict=True), strict=False):
        events[name] = column
    events["source"] = 1
    return events
