"""Kernel objects export no weak symbol: else the linker could take an AVX-512 copy of an inline or
std function for all of the library, and the baseline would break on older machines."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT

KERNELS = ROOT / "cpp" / "kernels"
X86_ISAS = ("avx2", "avx512", "avx512_bf16", "amx")
# An option that lets the compiler use more than the baseline of its target.
ISA_OPTION = re.compile(r"-m(avx|fma|f16c|bmi|sse|amx|arch=|cpu=|tune=)")


def compiled_files(build: Path) -> list[tuple[Path, Path, list[str]]]:
    """(source, object, options) of everything CMake compiles; a kernel is compiled once an ISA."""
    entries = json.loads((build / "compile_commands.json").read_text())
    return [
        (Path(e["file"]), Path(e["directory"]) / e["output"], e["command"].split()) for e in entries
    ]


def kernel_objects(build: Path, isa: str) -> list[Path]:
    """Objects of cpp/kernels/ that are compiled for this ISA."""
    return [
        built
        for source, built, options in compiled_files(build)
        if source.is_relative_to(KERNELS) and f"-DGD_ISA={isa}" in options
    ]


def weak_symbols(nm: str, built: Path) -> list[str]:
    out = subprocess.run(
        [nm, "--defined-only", "--demangle", str(built)], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip(), f"nm finds no symbol at all in {built}"
    return [line for line in out.splitlines() if re.match(r"^[0-9a-fA-F]*\s*[WVuwv] ", line)]


def require_nm(nm: str) -> str:
    if shutil.which(nm) is None:
        pytest.skip(f"{nm} is not on the path")
    return nm


@pytest.mark.parametrize("isa", ["scalar", *X86_ISAS])
def test_kernel_objects_export_no_weak_symbols(cpp_build: Path, isa: str) -> None:
    nm = require_nm("nm")
    if isa != "scalar" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"{isa} kernels are built on x86-64 alone")
    objects = kernel_objects(cpp_build, isa)
    assert objects, f"no object is compiled for {isa}"
    assert not [symbol for built in objects for symbol in weak_symbols(nm, built)]


def test_neon_objects_export_no_weak_symbols(neon_build: Path) -> None:
    nm = require_nm("aarch64-linux-gnu-nm")
    objects = kernel_objects(neon_build, "neon")
    assert objects, "no object is compiled for NEON"
    assert not [symbol for built in objects for symbol in weak_symbols(nm, built)]


def test_the_search_finds_a_weak_symbol(tmp_path: Path) -> None:
    nm = require_nm("nm")
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("c++ is not on the path")
    source = tmp_path / "weak.cpp"
    source.write_text("inline int f(int x) { return x + 1; }\nint (*g)(int) = f;\n")
    subprocess.run([compiler, "-c", source, "-o", tmp_path / "weak.o"], check=True)
    assert any("f(int)" in line for line in weak_symbols(nm, tmp_path / "weak.o"))


def test_isa_options_are_given_to_kernels_alone(cpp_build: Path) -> None:
    """Whatever has them is one of the objects that were searched above."""
    elsewhere = [
        str(source)
        for source, _, options in compiled_files(cpp_build)
        if any(ISA_OPTION.match(option) for option in options)
        and not any(f"-DGD_ISA={isa}" in options for isa in X86_ISAS)
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    ("isa", "instructions"),
    [
        ("avx512_bf16", ("vdpbf16ps", "vcvtne2ps2bf16")),
        ("amx", ("tdpbf16ps", "tileloadd", "tilestored", "tilezero", "ldtilecfg", "tilerelease")),
    ],
)
def test_units_for_bfloat16_are_used(
    cpp_build: Path, isa: str, instructions: tuple[str, ...]
) -> None:
    """Few machines have tiles: elsewhere their kernels run in emulation, and this looks at the real
    ones."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"{isa} kernels are built on x86-64 alone")
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not on the path")
    (built,) = kernel_objects(cpp_build, isa)
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(built)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    used = set(re.findall(r"^\s*[0-9a-f]+:\s+(\w+)", text, re.MULTILINE))
    assert set(instructions) <= used


def test_nothing_is_compiled_with_relaxed_arithmetic(cpp_build: Path) -> None:
    relaxed = re.compile(
        r"-ffast-math|-Ofast|-funsafe|-fassociative|-march=native|-flto|-ffp-contract=fast"
    )
    for source, _, options in compiled_files(cpp_build):
        assert "-ffp-contract=off" in options, source
        assert not [option for option in options if relaxed.match(option)], source
