"""Small things several test modules need; no tests here."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

# A process has hung when all of its threads sleep and it uses next to no CPU for so long, whatever
# the clock says of the rest: a slow or busy machine lets a test take as long as it takes.
HANG_GUARD = 120.0  # seconds
CPU_GUARD = 3600.0  # seconds of CPU: what needs more goes round in circles
_IDLE = 0.03  # of a CPU


def guarded_run(
    command: Sequence[str | Path], *, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run` in a session of its own, which is ended when it hangs."""
    if options.pop("capture_output", False):
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    arguments = [str(part) for part in command]
    with subprocess.Popen(arguments, start_new_session=True, **options) as process:
        out, err = guarded_communicate(process)
    if check:
        assert process.returncode == 0, f"exit {process.returncode}\n{out}{err}"
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def guarded_communicate(process: subprocess.Popen[Any]) -> tuple[Any, Any]:
    """`Popen.communicate` with one that leads a session; AssertionError where that hangs."""
    try:
        since, at_first = time.monotonic(), 0.0
        while (ended := _communicated(process)) is None:
            (cpu, runs), now = _session(process.pid), time.monotonic()
            if runs or cpu - at_first > _IDLE * (now - since):
                since, at_first = now, cpu
            assert max((now - since) / HANG_GUARD, cpu / CPU_GUARD) < 1, f"{process.args} hangs"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        print(*process.communicate(), sep="\n")
        raise
    return ended


def _communicated(process: subprocess.Popen[Any]) -> tuple[Any, Any] | None:
    try:
        return process.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        return None


def _session(leader: int) -> tuple[float, bool]:
    """Seconds of CPU of the session's processes, and whether a thread runs or is ready to."""
    cpu, runs = 0.0, not os.path.isdir("/proc/self/task")  # where nothing can be told, none hangs
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = Path(stat).read_text().rpartition(")")[2].split()
            if int(fields[3]) != leader:
                continue
            cpu += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
            for task in glob.glob(f"{Path(stat).parent}/task/*/stat"):
                runs |= Path(task).read_text().rpartition(")")[2].split()[0] in "RD"
        except (OSError, IndexError, ValueError):  # it has ended meanwhile
            continue
    return cpu, runs


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
    command = [sys.executable, "-c", code, *arguments]
    return guarded_run(command, check=check, env=environment, capture_output=True, text=True)


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


def run_cpp_test(command: list[str | Path], env: dict[str, str] | None = None) -> str:
    """What a program of the C++ tests prints; it has to pass."""
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


def emulator() -> list[str]:
    """The command that runs a program for Arm, with the loader and libraries of its compiler."""
    ask = ["aarch64-linux-gnu-g++", "-print-file-name=ld-linux-aarch64.so.1"]
    loader = Path(run(ask, "asking for Arm's loader").strip()).resolve()
    return ["qemu-aarch64", "-L", str(loader.parents[1])]
