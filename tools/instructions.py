"""Counts the instructions of training steps by valgrind: `python -m tools.instructions [--update]`.

A clock on a shared machine tells no difference of a hundredth; the number of instructions is the
same at every run. tests/python/test_instructions.py holds them against
tests/python/data/instructions.json, which has numbers by compiler and instruction set. Without an
option the counts are printed, with `--update` those of this compiler are written. They are of one
thread and of AVX2 at most, which is what valgrind knows.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.soak import ROOT  # isort: skip (support is found with it)

from building import cpp_tests

import gdcore as gd
from gdcore.benchmark.cases import CASES
from gdcore.losses import Loss

FILE = ROOT / "tests" / "python" / "data" / "instructions.json"
TARGET = "training_steps"
UPDATE = "python -m tools.instructions --update"
TOLERANCE = 0.003  # of the committed number, for another patch of the compiler or of libc
# How many steps are counted of which case; valgrind takes a second for one of mnist-s.
STEPS = {"online": 16, "rl": 16, "narrow": 16, "mnist-s": 4}

Counts = dict[str, int]  # instructions a step by case


@dataclass(frozen=True)
class Counted:
    """What was counted of a case.

    Attributes:
        where: Compiler and instruction set, such as ``"GNU 12.2.0, avx2"``.
        instructions: Of a step.
        profile: The file that `callgrind_annotate` reads.
    """

    where: str
    instructions: int
    profile: Path


def why_not() -> str | None:
    """Why nothing can be counted here, or None."""
    return None if shutil.which("valgrind") else "valgrind is not on the path"


def counted(folder: Path, case: str) -> Counted:
    """Counts a case with the program as it is built in a folder."""
    program = folder / "tests" / "cpp" / TARGET
    profile = folder / f"callgrind.{case}"
    command = [
        "valgrind", "--tool=callgrind", "--toggle-collect=counted_steps",
        f"--callgrind-out-file={profile}", program, *_arguments(case),
    ]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True,
        env={**os.environ, "GDCORE_MAX_ISA": "avx2" if _knows_avx2() else ""},
    )  # fmt: skip
    total = re.search(r"^totals: (\d+)$", profile.read_text(), re.M) if profile.exists() else None
    if done.returncode or total is None:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    where = done.stdout.rpartition(", loss")[0]
    return Counted(where, round(int(total[1]) / STEPS[case]), profile)


def _knows_avx2() -> bool:
    """Whether this is a build for x86-64, where newer ones have to be kept out."""
    return "avx2" in gd.show_config()["isa_available"]


def _arguments(case: str) -> list[str]:
    """The step that `gdcore.benchmark.steps` measures, for tests/cpp/training_steps.cpp."""
    given, adam = CASES[case], gd.Adam(lr=1e-3)
    loss = Loss.resolve("loss", given.loss)
    numbers = (given.sizes, loss.parameters(), adam.parameters())
    sizes, of_loss, of_rule = (",".join(map(repr, each)) for each in numbers)
    return [str(STEPS[case]), str(given.batch), sizes, loss.name, of_loss, adam.name, of_rule]


def committed() -> dict[str, Counts]:
    """The numbers of the repository, by compiler and instruction set."""
    found: dict[str, Counts] = json.loads(FILE.read_text())
    return found


def complaint(case: str, found: Counted, stored: Mapping[str, int]) -> str | None:
    """What is wrong with a count, or None: it is within the tolerance."""
    change = found.instructions - stored[case]
    if abs(change) <= TOLERANCE * stored[case]:
        return None
    told = (
        f"a step of {case} takes {found.instructions:,} instructions, {change / stored[case]:+.2%} "
        f"of the {stored[case]:,} in {FILE.relative_to(ROOT)}: "
    )
    if change < 0:
        return f"{told}commit the new number ({UPDATE})"
    return (
        f"{told}find out what for (callgrind_annotate {found.profile}); only where it has to be, "
        f"commit the new number ({UPDATE})"
    )


def main() -> int:
    """Reads the command line; 1 where a count is off."""
    parser = argparse.ArgumentParser(prog="python -m tools.instructions", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the numbers of this compiler")
    update = parser.parse_args().update
    if reason := why_not():
        sys.exit(f"nothing can be counted: {reason}")
    folder = cpp_tests([TARGET])
    found = {case: counted(folder, case) for case in STEPS}
    (where,) = {each.where for each in found.values()}
    every = committed()
    complaints = []
    for case, each in found.items():
        stored = every.get(where, {})
        print(f"{where}, {case}: {each.instructions:,}, committed {stored.get(case, 'nothing')}")
        complaints += [complaint(case, each, stored)] if case in stored else []
    if update:
        every[where] = {case: each.instructions for case, each in found.items()}
        FILE.write_text(json.dumps(every, indent=2, sort_keys=True) + "\n")
        return 0
    print(*filter(None, complaints), sep="\n", end="")
    return int(any(complaints))


if __name__ == "__main__":
    sys.exit(main())
