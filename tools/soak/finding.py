"""What a generator tells: that a case holds, with figures, or what is wrong with it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["Answer", "Case", "Check", "Finding", "answered", "kind_of", "wrong"]

Case = dict[str, Any]
# {"figures": {name: the larger, the worse}}, or {"finding": a line, "text": more of it}.
Answer = dict[str, Any]
Check = Callable[[Case], dict[str, float] | None]


class Finding(AssertionError):  # noqa: N818 (what it is called)
    """A promise that a case breaks, in a line."""


def wrong(line: str) -> NoReturn:
    """Raises a finding."""
    raise Finding(line)


def answered(check: Check, case: Case) -> Answer:
    """What a check says of a case; whatever it raises is a finding."""
    try:
        return {"figures": check(case) or {}}
    except AssertionError as error:
        line = str(error).strip().partition("\n")[0]
        text = str(error) if isinstance(error, Finding) else traceback.format_exc()
        return {"finding": line, "text": text}
    except Exception as error:
        line = f"raises {type(error).__name__}: {error}".partition("\n")[0]
        return {"finding": line, "text": traceback.format_exc()}


def kind_of(answer: Answer) -> str:
    """What findings have in common that differ in numbers alone."""
    line = re.sub(r"\b[0-9a-f]{64}\b|'[^']*'", "#", answer["finding"])
    return re.sub(r"[-+]?\d[\d.,e+-]*|nan|inf", "#", line)[:200]
