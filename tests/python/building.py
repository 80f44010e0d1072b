"""What the tests compile. `python tests/python/building.py [NAME...]` does it ahead of them.

Compilers take half as long as all tests together and use no more than the time that others leave:
pytest starts this beside its first tests, and runs those that need it last.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from support import BUILD, NEON, ROOT, run

__all__ = ["BUILDS", "alone", "cpp_tests", "neon_tests", "one_file", "started"]


def why_no_build() -> str | None:
    """Why the C++ tests cannot be built here, or None."""
    return _missing(("cmake", "c++"), "the C++ tests cannot be built")


def why_no_neon() -> str | None:
    """Why NEON cannot be tried here, or None."""
    return _missing(("cmake", "aarch64-linux-gnu-g++"), "nothing can be built for Arm")


def cpp_tests(targets: Sequence[str] = ("all", "training_steps")) -> Path:
    """The build folder of the C++ tests, and of the steps whose instructions are counted."""
    return _build_cpp(BUILD / "cpp-tests", [], targets)


def neon_tests(targets: Sequence[str] = ("gd_kernels",)) -> Path:
    """The kernels built for 64-bit Arm, or what else is asked for; quickly, if none is to run."""
    if "GDCORE_EMULATE" in os.environ:
        return _build_cpp(BUILD / "neon-tests", NEON, targets)
    return _build_cpp(BUILD / "neon-kernels", [*NEON, "-DGDCORE_KERNEL_OPTIMIZATION=-O0"], targets)


def why_no_formulas() -> str | None:
    """Why a module of Python's cannot be built here, or None."""
    if find_spec("pybind11") is None:
        return "pybind11 is not installed, so nothing can be built"
    return why_no_build()


def one_file() -> Path:
    """The sources with formulas more, and their module beside the package."""
    from test_one_file import built  # it has the formulas

    return built()


# By the fixture that asks for it.
BUILDS: dict[str, tuple[Callable[[], str | None], Callable[[], Path]]] = {
    "cpp_build": (why_no_build, cpp_tests),
    "neon_build": (why_no_neon, neon_tests),
    "one_file_build": (why_no_formulas, one_file),
}


def _build_cpp(folder: Path, options: Sequence[str], targets: Sequence[str]) -> Path:
    """Configures `folder` and builds targets in it; what is up to date is not built again."""
    with alone(folder):
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        if (folder / "CMakeCache.txt").exists():
            generator = []  # a folder keeps the generator it was made with
        run(
            ["cmake", "-S", ROOT, "-B", folder, *generator, "-DCMAKE_BUILD_TYPE=Release",
             "-DGDCORE_BUILD_TESTS=ON", "-DGDCORE_BUILD_PYTHON=OFF",
             "-DCMAKE_UNITY_BUILD=ON", *options],
            "configuring the C++ tests",
        )  # fmt: skip
        run(["cmake", "--build", folder, "-j2", "--target", *targets], f"building {targets}")
    return folder


def started(names: Sequence[str]) -> subprocess.Popen[bytes]:
    """Builds beside what runs, in the time that it leaves; who needs it goes on from there."""
    command = [sys.executable, str(Path(__file__)), *names]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    low = ["nice", "-n", "15"] if shutil.which("nice") else []
    return subprocess.Popen([*low, *command], start_new_session=True, **quiet)


def _missing(tools: Sequence[str], so: str) -> str | None:
    for tool in tools:
        if shutil.which(tool) is None:
            return f"{tool} is not on the path, so {so}"
    return None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two processes do not build in one folder at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # there is none on Windows, nor is anything built ahead
        yield
        return
    with open(folder / "building.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    # cmake and ninja of this environment are found whether or not it is activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for name in sys.argv[1:] or BUILDS:
        why_not, build = BUILDS[name]
        print(why_not() or build(), flush=True)
