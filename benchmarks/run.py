"""Runs the benchmarks: `python -m benchmarks.run [matmul] [steps] [neighbour] [online] [--help]`.

Everything is measured side by side in one run: the libraries take turns, each in a process of its
own, and what is reported are medians and ratios, of gdcore to its peers and to the limits of the
machine measured in the same run. Close everything else first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.matmul import matmul_table
from benchmarks.online import online_tables
from benchmarks.steps import neighbour_table, step_table
from benchmarks.tables import markdown

__all__ = ["main"]

_PARTS = ("matmul", "steps", "neighbour", "online")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(_PARTS)}; all")
    parser.add_argument("--cases", default="mnist-m", help=f"of {', '.join(CASES)}, with commas")
    parser.add_argument("--rounds", type=int, default=9, help="alternations of each pair")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also writes everything measured here")
    arguments = parser.parse_args()
    for kind, given, known in (
        ("part", arguments.parts, _PARTS),
        ("case", arguments.cases.split(","), CASES),
    ):
        for name in given:
            if name not in known:
                parser.error(f"unknown {kind} {name!r}, expected one of: {', '.join(known)}")
    return arguments


def _machine() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} CPUs, {platform.machine()}, load {load:.2f}, {date.today()}"


def main() -> None:
    """Measures what was asked for and prints a Markdown table for each part."""
    arguments = _arguments()
    parts = arguments.parts or _PARTS
    cases = [CASES[name] for name in arguments.cases.split(",")]
    found: dict[str, Any] = {"machine": _machine(), "time": time.time()}
    print(found["machine"], flush=True)
    if "matmul" in parts:
        found["matmul"] = matmul_table(arguments.rounds, arguments.threads)
        print(markdown("matmul, float32", found["matmul"]), flush=True)
    if "steps" in parts:
        found["steps"] = step_table(cases, arguments.rounds, arguments.threads)
        print(markdown("training steps", found["steps"]), flush=True)
    if "neighbour" in parts:
        found["neighbour"] = neighbour_table(cases, arguments.rounds, arguments.threads)
        print(markdown("beside one busy process", found["neighbour"]), flush=True)
    if "online" in parts:
        found["online"] = online_tables(arguments.rounds)
        for title, rows in found["online"].items():
            print(markdown(title, rows), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
