"""Builds with sanitizers and runs tests with them: `python -m tools.sanitizers address|thread`.

`address` is AddressSanitizer with UndefinedBehaviorSanitizer: the C++ tests and some Python tests,
on each instruction set of `--isas`. `thread` is ThreadSanitizer on the C++ tests, where Clang's
OpenMP runtime tells it through Archer what waits for what. Both are built by Clang (Debian:
clang-19, libomp-19-dev, libclang-rt-19-dev), since GCC takes a quarter of an hour for one file of
kernels. What is built stays in build/, so that a second run is quick. The status is 1 where
anything fails.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.soak import ROOT

BUILD = ROOT / "build"
ROOMS = sorted({path.parent.name for path in (ROOT / "tests" / "cpp").glob("*/*.cpp")})
# The Python tests that reach all of C++; those that start compilers, browsers or PyTorch do not.
PYTHON_TESTS = (
    "test_bad_input", "test_checks", "test_copies", "test_losses", "test_matmul", "test_network",
    "test_online", "test_precision", "test_profile", "test_rules", "test_soak", "test_subclasses",
    "test_training",
)  # fmt: skip
_CLANG = "clang-19 libclang-rt-19-dev libomp-19-dev"
# The kernels take a compiler with sanitizers minutes more at -O3. Assertions are on.
_OPTIMIZE = "-O1"
_UNDEFINED = "halt_on_error=1:print_stacktrace=1"


def _run(what: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> bool:
    print(f"=== {what}", flush=True)
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env={**os.environ, **(env or {})}
    )
    if done.returncode:
        print(f"FAILED with {done.returncode}: {what}", flush=True)
    return done.returncode == 0


def _clang() -> str:
    found = next((name for name in ("clang++-19", "clang++") if shutil.which(name)), None)
    if found is None:
        sys.exit(f"the sanitizers need Clang: apt-get install {_CLANG}")
    return found


def _build_cpp(folder: Path, sanitize: str, rooms: Sequence[str]) -> bool:
    configure = [
        "cmake", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DGDCORE_BUILD_TESTS=ON",
        "-DGDCORE_BUILD_PYTHON=OFF", f"-DGDCORE_SANITIZE={sanitize}",
        f"-DCMAKE_CXX_FLAGS_RELEASE={_OPTIMIZE}", f"-DCMAKE_CXX_COMPILER={_clang()}",
    ]  # fmt: skip
    targets = [f"test_{room}" for room in rooms]
    build = ["cmake", "--build", folder, "-j2", "--target", *targets]
    return _run(f"C++ tests with {sanitize}", configure) and _run("building", build)


def _run_cpp(
    folder: Path, rooms: Sequence[str], isas: Sequence[str], env: Mapping[str, str]
) -> bool:
    """All rooms, also after one has failed."""
    good = True
    for isa, room in itertools.product(isas, rooms):
        program = folder / "tests" / "cpp" / f"test_{room}"
        good = _run(f"{room}, {isa}", [program], {**env, "GDCORE_MAX_ISA": isa}) and good
    return good


def _runtime() -> str:
    """The path of AddressSanitizer's shared runtime, which must be there before Python is."""
    for name in ("libclang_rt.asan-x86_64.so", "libclang_rt.asan.so"):
        command = [_clang(), f"-print-file-name={name}"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if "/" in found:
            return found
    sys.exit(f"{_clang()} has no shared runtime: apt-get install {_CLANG}")


def _sanitized_python(sanitize: str) -> Path | None:
    """An environment with a gdcore of its own, and all else from this one."""
    home = BUILD / "sanitized-env"
    python = home / "bin" / "python"
    if not python.exists():
        _run("environment", [sys.executable, "-m", "venv", home])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = [path for path in sys.path if "-packages" in path and Path(path).is_dir()]
    # Paths in a .pth file are not looked into for more of them: no editable gdcore comes along.
    (home / "lib" / version / "site-packages" / "parent.pth").write_text("\n".join(packages))
    built = _run(
        f"gdcore with {sanitize}",
        [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation",
         "--force-reinstall", f"-Cbuild-dir={BUILD / 'sanitized'}",
         f"-Ccmake.define.GDCORE_SANITIZE={sanitize}",
         f"-Ccmake.define.CMAKE_CXX_FLAGS_RELEASE={_OPTIMIZE}",
         f"-Ccmake.define.CMAKE_CXX_COMPILER={_clang()}",
         "-Ccmake.define.CMAKE_MODULE_LINKER_FLAGS=-shared-libasan", ROOT],
    )  # fmt: skip
    return python if built else None


def address(isas: Sequence[str], rooms: Sequence[str], tests: Sequence[str]) -> bool:
    """AddressSanitizer and UndefinedBehaviorSanitizer."""
    sanitize = "address,undefined"
    folder = BUILD / "sanitized-cpp"
    options = {
        "UBSAN_OPTIONS": _UNDEFINED,
        "ASAN_OPTIONS": "detect_leaks=1",
        "LSAN_OPTIONS": f"suppressions={Path(__file__).with_name('leaks.supp')}",
    }
    good = True
    if rooms:
        good = _build_cpp(folder, sanitize, rooms) and _run_cpp(folder, rooms, isas, options)
    if not tests:
        return good
    python = _sanitized_python(sanitize)
    if python is None:
        return False
    options |= {
        # Python frees little of its own at its end, and torch has one-definition trouble with ASan.
        "ASAN_OPTIONS": "detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1",
        "LD_PRELOAD": _runtime(),
        "PYTHONMALLOC": "malloc",  # else a small array is part of a large block
    }
    files = [ROOT / "tests" / "python" / f"{name}.py" for name in tests]
    for isa in isas:
        # What a sanitizer writes before it ends the process is to be seen. It ends it where a test
        # asks for more memory than there is, and C++ would throw, and takes its signals.
        command = [
            python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--capture=sys", "-k",
            "not (memory or SIGSEGV)", *files,
        ]  # fmt: skip
        good = _run(f"Python tests, {isa}", command, {**options, "GDCORE_MAX_ISA": isa}) and good
    return good


def thread(isas: Sequence[str], rooms: Sequence[str]) -> bool:
    """ThreadSanitizer."""
    archer = sorted(Path("/usr/lib").glob("llvm-*/lib/libarcher.so"))
    if not archer:
        sys.exit(f"ThreadSanitizer needs Archer: apt-get install {_CLANG}")
    folder = BUILD / "thread-sanitized-cpp"
    options = {
        "OMP_TOOL_LIBRARIES": str(archer[-1]),
        "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=66",
        "ARCHER_OPTIONS": "verbose=0",
    }
    return _build_cpp(folder, "thread", rooms) and _run_cpp(folder, rooms, isas, options)


def main() -> int:
    """Runs what was asked for; returns the status."""
    parser = argparse.ArgumentParser(prog="python -m tools.sanitizers", description=__doc__)
    parser.add_argument("which", choices=("address", "thread"))
    parser.add_argument("--isas", default="scalar,avx2", help="instruction sets, with commas")
    parser.add_argument("--rooms", default=",".join(ROOMS), help="of the C++ tests; may be empty")
    parser.add_argument("--tests", default=",".join(PYTHON_TESTS), help="of Python; may be empty")
    given = parser.parse_args()
    isas, rooms, tests = (
        [each for each in text.split(",") if each]
        for text in (given.isas, given.rooms, given.tests)
    )
    good = address(isas, rooms, tests) if given.which == "address" else thread(isas, rooms)
    print("nothing found" if good else "something FAILED: see above", flush=True)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
