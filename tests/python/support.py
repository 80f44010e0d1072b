"""Small things several test modules need; no tests here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

# A subprocess that hangs is ended after this many seconds; nothing is measured with it.
HANG_GUARD = 300


# A toolchain for 64-bit Arm, as options of CMake.
NEON = [
    "-DCMAKE_SYSTEM_NAME=Linux",
    "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
]


def relative_error(actual: Any, expected: Any) -> float:
    """|actual - expected| / |expected| in the 2-norm of the whole tensor."""
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert a.shape == e.shape, f"shapes differ: {a.shape} and {e.shape}"
    difference, scale = float(np.linalg.norm(a - e)), float(np.linalg.norm(e))
    return difference if scale == 0.0 else difference / scale


def assert_same_bits(actual: Any, expected: Any, what: str = "arrays") -> None:
    a, e = np.asarray(actual), np.asarray(expected)
    assert (a.dtype, a.shape) == (e.dtype, e.shape), what
    if np.ascontiguousarray(a).tobytes() != np.ascontiguousarray(e).tobytes():
        raise AssertionError(f"{what}: {int((a != e).sum())} of {a.size} numbers differ")


def assert_same_state(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert list(actual) == list(expected)
    for key in expected:
        assert_same_bits(actual[key], expected[key], key)


def digest(state: Mapping[str, Any]) -> str:
    """One sha256 over names, types, shapes and bytes of a state."""
    h = hashlib.sha256()
    for key, value in state.items():
        h.update(f"{key} {value.dtype} {value.shape}\n".encode())
        h.update(np.ascontiguousarray(value).tobytes())
    return h.hexdigest()


def run_python(
    code: str, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter that can import this folder; its stdout is the answer."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("OMP_NUM_THREADS", "GDCORE_MAX_ISA")
    }
    paths = [str(Path(__file__).parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    environment.update(env or {})
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
    )
    if check:
        assert result.returncode == 0, f"exit {result.returncode}\n{result.stdout}{result.stderr}"
    return result


def run_json(code: str, *arguments: str, env: Mapping[str, str] | None = None) -> Any:
    """The JSON value that `code` prints as its last line."""
    return json.loads(run_python(code, *arguments, env=env).stdout.splitlines()[-1])


def run(command: Sequence[str | Path], what: str) -> str:
    """Runs a build tool; its output is shown when it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, f"{what} failed:\n{result.stdout[-8000:]}"
    return result.stdout


def emulator() -> list[str]:
    """The command that runs a program for Arm, with the loader and libraries of its compiler."""
    ask = ["aarch64-linux-gnu-g++", "-print-file-name=ld-linux-aarch64.so.1"]
    loader = Path(run(ask, "asking for Arm's loader").strip()).resolve()
    return ["qemu-aarch64", "-L", str(loader.parents[1])]


def build_cpp(folder: Path, options: Sequence[str], targets: Sequence[str]) -> Path:
    """Configures `folder` and builds targets in it; what is up to date is not built again."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    if (folder / "CMakeCache.txt").exists():
        generator = []  # a folder keeps the generator it was made with
    run(
        ["cmake", "-S", ROOT, "-B", folder, *generator, "-DCMAKE_BUILD_TYPE=Release",
         "-DGDCORE_BUILD_TESTS=ON", "-DGDCORE_BUILD_PYTHON=OFF", *options],
        "configuring the C++ tests",
    )  # fmt: skip
    run(["cmake", "--build", folder, "-j2", "--target", *targets], f"building {targets}")
    return folder
