"""Generators that draw cases for as long as they are let, and hold the library to its promises.

`python -m tools.soak threads --minutes 60`; docs/design/soak.md tells what each draws and holds.
A generator is a module with `draw(random)`, which makes a case, a dict that JSON can hold, and
`check(case)`, which raises where the library breaks its word.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Networks, hyperparameters and digests are drawn and taken as the tests do it.
if str(ROOT / "tests" / "python") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests" / "python"))
