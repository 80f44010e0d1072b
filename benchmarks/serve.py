"""What a process that measures says and hears; `benchmarks.processes` is at the other end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["serve"]


def serve(measure: Callable[[], dict[str, Any]]) -> None:
    """Measures once for every line on standard input and answers in JSON lines, until it ends.

    Between requests the process sleeps, so that it does not disturb the others.
    """
    print(json.dumps({"ready": sys.argv}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)
