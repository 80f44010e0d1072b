"""Loads the native module before all else, which looks at ``GDCORE_MAX_ISA``."""

from __future__ import annotations

import os.path
import sys

__all__: list[str] = []

try:
    from gdcore import _core  # noqa: F401
except ImportError as error:
    # A command ends with a line and no traceback; `python -m` has "-m" there while it loads us.
    command = os.path.basename(sys.argv[0] if sys.argv else "") in ("gdcore", "-m")
    if not command or "GDCORE_MAX_ISA" not in str(error):
        raise
    print(f"gdcore: {error}", file=sys.stderr)
    raise SystemExit(2) from None
