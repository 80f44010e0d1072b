"""The type stub of the compiled module, python/gdcore/_core.pyi.

It is generated from the installed gdcore and committed, so that type checkers need no build:

    python tools/stubs.py            writes it
    python tools/stubs.py --check    tells whether it is up to date
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from generated import write_or_check

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "python" / "gdcore" / "_core.pyi"


def generate() -> str:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--exit-code", "--numpy-array-use-type-var", "--output-dir", folder]
        command = [sys.executable, "-m", "pybind11_stubgen", "gdcore._core", *options]
        # Away from the sources, so that the installed package is the one that is found.
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return (Path(folder) / "gdcore" / "_core.pyi").read_text()


if __name__ == "__main__":
    sys.exit(write_or_check(COMMITTED, generate, "python tools/stubs.py"))
