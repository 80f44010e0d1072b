"""What a process that measures says and hears; `benchmarks.processes` is at the other end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["serve"]

_LONGEST = 100  # characters of a reason


def serve(prepare: Callable[[], Callable[[], dict[str, Any]]]) -> None:
    """Measures once for every line on standard input and answers in JSON lines, until it ends.

    Between requests the process sleeps, so that it does not disturb the others. Where what is to
    be measured does not run here, the answer is the reason, in a line.

    Args:
        prepare: Gets everything warm and returns what measures.
    """
    try:
        measure = prepare()
    except Exception as error:  # whatever a library raises
        lines = str(error).strip().splitlines() or [""]
        told = f"{type(error).__name__}: {lines[0]}"
        print(json.dumps({"fails": told[:_LONGEST]}), flush=True)
        return
    print(json.dumps({"ready": sys.argv}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)
