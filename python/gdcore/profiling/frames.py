"""Profiles as pandas has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gdcore.profiling.extras import needed
from gdcore.profiling.recording import Recording

if TYPE_CHECKING:
    import pandas

__all__ = ["to_pandas"]


def to_pandas(recording: Recording) -> pandas.DataFrame:
    """A row an event, with names as categories."""
    pd = needed("pandas")
    events, operations = recording.events, recording.operations

    def named(numbers: Any, names: list[str]) -> Any:
        kinds = list(dict.fromkeys(names))
        codes = np.array([kinds.index(name) for name in names])[numbers]
        return pd.Categorical.from_codes(codes, categories=kinds)

    return pd.DataFrame(
        {
            "thread": named(events["thread"], [each.name for each in recording.threads]),
            "step": events["step"],
            "op": named(events["operation"], [each.op for each in operations]),
            "layer": named(events["operation"], [each.layer for each in operations]),
            "phase": named(events["operation"], [each.phase for each in operations]),
            "waits_for": named(events["waits_for"], [each.label for each in operations]),
            "begin_us": events["begin"] / 1e3,
            "duration_us": recording.durations / 1e3,
            "flops": events["flops"],
            "bytes": events["bytes"],
        }
    )
