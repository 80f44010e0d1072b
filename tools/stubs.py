"""The type stub of the compiled module, python/gdcore/_core.pyi.

It is generated from the installed gdcore and committed, so that type checkers need no build:

    python tools/stubs.py            writes it
    python tools/stubs.py --check    tells whether it is up to date
"""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "python" / "gdcore" / "_core.pyi"


def generate() -> str:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--exit-code", "--numpy-array-use-type-var", "--output-dir", folder]
        command = [sys.executable, "-m", "pybind11_stubgen", "gdcore._core", *options]
        # Away from the sources, so that the installed package is the one that is found.
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return (Path(folder) / "gdcore" / "_core.pyi").read_text()


def main() -> int:
    parser = argparse.ArgumentParser(description="Write or check python/gdcore/_core.pyi.")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if it differs")
    check = parser.parse_args().check
    generated = generate()
    if not check:
        COMMITTED.write_text(generated)
        return 0
    committed = COMMITTED.read_text() if COMMITTED.exists() else ""
    names = (str(COMMITTED.relative_to(ROOT)), "generated")
    difference = list(difflib.unified_diff(committed.splitlines(), generated.splitlines(), *names))
    if difference:
        print("\n".join(difference))
        print("The stub is out of date; write it with: python tools/stubs.py")
    return bool(difference)


if __name__ == "__main__":
    sys.exit(main())
