"""`python -m tools.neon`: the tests of NEON in emulation, which take too long for every change.

Run it after a change of kernels, and write what it says into docs/design/same_bits.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1] / "tests" / "python" / "test_neon.py"


def main() -> int:
    """Runs them; returns pytest's status."""
    os.environ["GDCORE_EMULATE"] = "1"
    return pytest.main(["-v", "--durations=0", str(TESTS)])


if __name__ == "__main__":
    sys.exit(main())
