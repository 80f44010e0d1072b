"""The C++ tests, room by room."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from building import cpp_tests
from support import ROOT, run_cpp_test

ROOMS = sorted({p.parent.name for p in (ROOT / "tests" / "cpp").glob("*/*.cpp")})


def test_every_ctest_test_is_run_here(cpp_build: Path) -> None:
    out = subprocess.run(
        ["ctest", "--show-only=json-v1"], cwd=cpp_build, capture_output=True, text=True, check=True
    ).stdout
    assert sorted(test["name"] for test in json.loads(out)["tests"]) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_room(cpp_build: Path, room: str) -> None:
    cpp_tests([f"test_{room}"])
    run_cpp_test([cpp_build / "tests" / "cpp" / f"test_{room}"])


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
