"""A wheel tried as its users would, in an environment that has nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Result", "try_wheel"]

_HERE = Path(__file__).parent
_REPEATS = 7


@dataclass
class Result:
    """A row of the table of wheels."""

    row: dict[str, object]
    passed: bool


def try_wheel(
    wheel: Path, python: Path, arch: str, sysroot: Path | None = None, *, beside: bool = True
) -> Result:
    """Installs and uses a wheel.

    Args:
        wheel: Its path.
        python: An interpreter of its version.
        arch: What it was built for.
        sysroot: Of another architecture, the root of a system with that Python.
        beside: Whether scikit-learn and PyTorch come too.

    Returns:
        What was seen.
    """
    print(f"=== trying {wheel.name}", flush=True)
    row: dict[str, object] = {
        "wheel": wheel.name.split("-", 2)[2].removesuffix(".whl"),
        "MB": f"{wheel.stat().st_size / 1e6:.2f}",
    }
    if arch != os.uname().machine:
        return _emulated(wheel, python, arch, sysroot, row)
    with tempfile.TemporaryDirectory() as folder:
        env = Path(folder) / "env"
        _run([python, "-m", "venv", env])
        own = env / "bin" / "python"
        install = _run([own, "-m", "pip", "install", "-q", "--only-binary=:all:", wheel])
        row["install"] = _word(install)
        if install.returncode:  # safetensors has no wheel for each Python that NumPy has one for
            needed = ["numpy", "tqdm", "--only-binary=:all:"]
            row["install"] = "without safetensors, which has no wheel"
            if any(
                _run([own, "-m", "pip", "install", "-q", *what]).returncode
                for what in (needed, ["--no-deps", wheel])
            ):
                row["install"] = "FAILED"
        row["quick test"] = _word(_run([own, _HERE / "quick.py"]))
        row["import over NumPy, ms"] = _import_time(own)
        digits = "not asked"
        both = "not asked"
        if beside:
            digits = _with(own, f"{wheel}[cli]", [own, "-m", "gdcore", "train", "digits",
                                                  "--epochs", "10"])  # fmt: skip
            both = _with(own, "scikit-learn", [own, _HERE / "beside.py", "sklearn"])
            if os.environ.get("GDCORE_TRY_TORCH", "1") == "1":
                torch = _with(own, "torch==2.13.0", [own, _HERE / "beside.py", "torch"])
                both = f"scikit-learn {both}, torch {torch}"
        row["digits"] = digits
        row["beside others"] = both
    return Result(row, all("FAILED" not in str(value) for value in row.values()))


def _emulated(
    wheel: Path, python: Path, arch: str, sysroot: Path | None, row: dict[str, object]
) -> Result:
    """The quick test on the other architecture's Python, whose packages are unpacked wheels."""
    emulator = shutil.which(f"qemu-{arch}")
    if sysroot is None or emulator is None:
        row["quick test"] = "not tried: no emulator or no --sysroot"
        return Result(row, False)
    version = python.name.removeprefix("python") or "3"
    inside = next(iter(sorted((sysroot / "usr" / "bin").glob(f"python{version}"))), None)
    if inside is None:
        row["quick test"] = f"not tried: no python{version} in the sysroot"
        return Result(row, False)
    with tempfile.TemporaryDirectory() as folder:
        tag = version.replace(".", "")
        fetch = [
            python, "-m", "pip", "install", "-q", "--target", folder, "--only-binary=:all:",
            "--python-version", version, "--implementation", "cp", "--abi", f"cp{tag}",
            *(f"--platform=manylinux_2_{minor}_{arch}" for minor in (28, 27, 26, 17)),
            f"--platform=manylinux2014_{arch}", wheel,
        ]  # fmt: skip
        row["install"] = _word(_run(fetch))
        env = {"PYTHONPATH": folder, "GDCORE_MAX_ISA": "neon" if arch == "aarch64" else ""}
        row["quick test"] = _word(
            _run([emulator, "-L", sysroot, inside, _HERE / "quick.py"], env=env)
        )
        row["import over NumPy, ms"] = "emulated"
        row["digits"] = row["beside others"] = "not asked"
    return Result(row, all("FAILED" not in str(value) for value in row.values()))


def _with(own: Path, package: str, command: Sequence[str | Path]) -> str:
    got = _run([own, "-m", "pip", "install", "-q", "--only-binary=:all:", package])
    return "cannot be had" if got.returncode else _word(_run(command))


def _import_time(own: Path) -> str:
    """The least of several, in milliseconds, beyond what importing NumPy takes."""
    code = (
        "import numpy, time; t = time.perf_counter(); import gdcore; "
        "print(1e3 * (time.perf_counter() - t))"
    )
    times = []
    for _ in range(_REPEATS):
        done = _run([own, "-c", code])
        if done.returncode:
            return "FAILED"
        times.append(float(done.stdout.split()[-1]))
    return f"{min(times):.1f}"


def _word(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        print(done.stdout[-3000:], flush=True)
        return "FAILED"
    return "passed"


def _run(
    command: Sequence[str | Path], env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tempfile.gettempdir(),
    )  # fmt: skip
