"""NEON in emulation: the tests of its kernels, and its bits beside those of this machine.

It takes ten minutes, so that `python -m tools.neon` alone asks for it.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from building import cpp_tests, neon_tests
from support import ROOT, emulator, guarded_run, run, run_cpp_test

import gdcore as gd

ROOMS = ("kernels", "ops")
pytestmark = [
    pytest.mark.skipif(
        "GDCORE_EMULATE" not in os.environ, reason="it takes ten minutes: python -m tools.neon"
    ),
    pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="there is no qemu-aarch64"),
]


@pytest.mark.parametrize("room", ROOMS)
def test_neon_agrees_with_scalar(neon_build: Path, room: str) -> None:
    """The room's tests as an Arm program: what holds every ISA against scalar holds NEON too."""
    neon_tests([f"test_{room}"])
    run_cpp_test([*emulator(), neon_build / "tests" / "cpp" / f"test_{room}"])


def digest_program(build: Path, compiler: str) -> Path:
    """data/train_digest.cpp, linked with the rooms as they lie in a build folder."""
    program = build / "train_digest"
    rooms = sorted(str(path) for path in build.glob("cpp/*/libgd_*.a"))
    source = ROOT / "tests" / "python" / "data" / "train_digest.cpp"
    run(
        [compiler, "-std=c++20", "-O2", "-ffp-contract=off", "-fopenmp", source,
         f"-I{ROOT / 'cpp'}", f"-I{ROOT / 'tests'}", f"-I{build / 'generated'}", "-o", program,
         "-Wl,--start-group", *rooms, "-Wl,--end-group"],
        "building train_digest",
    )  # fmt: skip
    return program


def test_arm_trains_to_the_bits_of_this_machine(cpp_build: Path, neon_build: Path) -> None:
    """Ten activations, three losses and all rules, in batches, at once and online."""
    neon_tests(["gd_train"])
    here = digest_program(cpp_build, "c++")
    arm = digest_program(neon_build, "aarch64-linux-gnu-g++")
    runs = [([here, "2"], isa) for isa in gd.show_config()["isa_available"]]
    runs += [([*emulator(), arm, "2"], isa) for isa in ("scalar", "neon")]
    digests = {}
    for command, isa in runs:
        out = guarded_run(
            command, capture_output=True, text=True, check=True,
            env={**os.environ, "GDCORE_MAX_ISA": isa},
        ).stdout  # fmt: skip
        used, digests[f"{command[0]} {isa}"] = out.split()
        assert used == isa
    assert len(set(digests.values())) == 1, digests


DRAWN = "drawn_graphs_train_to_one_number"


def test_drawn_graphs_train_to_the_same_bits_on_every_instruction_set(
    cpp_build: Path, neon_build: Path
) -> None:
    """Layers of all kinds, joined at random: see tests/cpp/layers/gradients_test.cpp."""
    cpp_tests(["test_layers"])
    neon_tests(["test_layers"])
    here, arm = (folder / "tests" / "cpp" / "test_layers" for folder in (cpp_build, neon_build))
    found = {}
    for isa in gd.show_config()["isa_available"]:
        out = run_cpp_test([here, DRAWN], {"GDCORE_MAX_ISA": isa})
        found[isa] = re.findall(rf"^drawn graphs, {isa}: (\w{{16}})$", out, re.M)
    out = run_cpp_test([*emulator(), arm, DRAWN])
    found["neon"] = re.findall(r"^drawn graphs, neon: (\w{16})$", out, re.M)
    assert all(len(numbers) == 1 for numbers in found.values()), found
    assert len({numbers[0] for numbers in found.values()}) == 1, found
