"""A file that a program writes and the repository holds: written, or compared."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def write_or_check(committed: Path, generate: Callable[[], str], command: str) -> int:
    """The command line of such a program.

    Args:
        committed: The file.
        generate: Makes its text.
        command: Writes it, such as ``"python tools/names.py"``.

    Returns:
        1 where ``--check`` finds a difference, which is printed.
    """
    shown = str(committed.relative_to(ROOT))
    parser = argparse.ArgumentParser(description=f"Write or check {shown}.")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if it differs")
    check = parser.parse_args().check
    generated = generate()
    if not check:
        committed.write_text(generated)
        return 0
    before = committed.read_text() if committed.exists() else ""
    lines = before.splitlines(), generated.splitlines()
    difference = list(difflib.unified_diff(*lines, shown, "generated"))
    if difference:
        print("\n".join(difference))
        print(f"{shown} is out of date; write it with: {command}")
    return bool(difference)
