"""The C++ tests, room by room; and those of the kernels once more for Arm, in emulation."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from building import cpp_tests, neon_tests
from support import ROOT, emulator, guarded_run, run

import gdcore as gd

ROOMS = sorted({p.parent.name for p in (ROOT / "tests" / "cpp").glob("*/*.cpp")})
NEON_ROOMS = ("kernels", "ops")


def run_test(command: list[str | Path], env: dict[str, str] | None = None) -> str:
    result = guarded_run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
    )
    assert result.returncode == 0, result.stdout[-8000:]
    assert " passed, 0 failed" in result.stdout, result.stdout[-8000:]
    return result.stdout


def test_every_ctest_test_is_run_here(cpp_build: Path) -> None:
    out = subprocess.run(
        ["ctest", "--show-only=json-v1"], cwd=cpp_build, capture_output=True, text=True, check=True
    ).stdout
    assert sorted(test["name"] for test in json.loads(out)["tests"]) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_room(cpp_build: Path, room: str) -> None:
    cpp_tests([f"test_{room}"])
    run_test([cpp_build / "tests" / "cpp" / f"test_{room}"])


@pytest.mark.parametrize("room", NEON_ROOMS)
def test_neon_agrees_with_scalar(neon_build: Path, room: str) -> None:
    """The room's tests as an Arm program: what holds every ISA against scalar holds NEON too."""
    neon_tests([f"test_{room}"])
    run_test([*emulator(), neon_build / "tests" / "cpp" / f"test_{room}"])


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
        out = run_test([here, DRAWN], {"GDCORE_MAX_ISA": isa})
        found[isa] = re.findall(rf"^drawn graphs, {isa}: (\w{{16}})$", out, re.M)
    out = run_test([*emulator(), arm, DRAWN])
    found["neon"] = re.findall(r"^drawn graphs, neon: (\w{16})$", out, re.M)
    assert all(len(numbers) == 1 for numbers in found.values()), found
    assert len({numbers[0] for numbers in found.values()}) == 1, found


TOO_MUCH = {
    "an activation's parameters": (
        "elementwise", "activation_kernel<V, odd>()", "relu", '"a,b,c,d,e,f,g,h,i"', ""
    ),
    "a loss's parameters": (
        "elementwise", "loss_kernel<V, odd>()", "mae", '"a,b,c,d,e,f,g,h,i"', ""
    ),
    "names of a rule's parameters": ("rules", "rule_kernel<V, odd>()", "sgd", '"lr,momentum"', ""),
    "a rule's states": (
        "rules", "rule_kernel<V, odd>()", "sgd", "sgd::parameters",
        "static constexpr int states_of(int) { return 5; }"
    ),
    "a rule's scalars": (
        "rules", "rule_kernel<V, odd>()", "sgd", "sgd::parameters",
        "static constexpr int kScalars = 17;"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_formula_that_asks_for_too_much_does_not_compile(
    what: str, cpp_build: Path, tmp_path: Path
) -> None:
    room, call, base, parameters, more = TOO_MUCH[what]
    source = tmp_path / "odd.cpp"
    source.write_text(f"""
#include "kernels/{room}-inl.hpp"
#include "kernels/scalar/vec.hpp"
namespace gd::kernels {{
using V = Vec<float>;
using formulas::sgd;
struct odd : formulas::{base} {{
  static constexpr const char* parameters = {parameters};
  {more}
}};
constexpr auto kernel = {call};
}}
""")
    result = subprocess.run(
        ["c++", "-std=c++20", "-fsyntax-only", f"-I{ROOT / 'cpp'}", f"-I{cpp_build / 'generated'}",
         str(source)], capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode != 0
    assert "static assertion failed" in result.stderr
    assert what in result.stderr
