"""What a package says of itself, and what its module shows."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT

import gdcore as gd
from gdcore import _core

PYPROJECT = (ROOT / "pyproject.toml").read_text()
BACKEND = ROOT / "tools" / "build_backend" / "gdcore_backend.py"


def test_one_version_everywhere() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', PYPROJECT, re.MULTILINE)
    assert gd.__version__ == version
    headings = re.findall(
        r"^## (\d+\.\d+\.\d+), (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    told = [told for told, _ in headings]
    assert told == sorted(told, key=lambda each: [int(part) for part in each.split(".")])[::-1]
    # One more may be open above it, for what the version after it will have.
    if told[0] != version:
        assert headings.pop(0)[1] == "unreleased"
    assert headings[0][0] == version


def test_pythons_that_are_named_get_wheels() -> None:
    named = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', PYPROJECT)
    (line,) = re.findall(r'^build = "(cp.+)"$', PYPROJECT, re.MULTILINE)
    assert re.findall(r"\bcp3(\d+)-", line) == named
    oldest = re.search(r'^requires-python = ">=3\.(\d+)"$', PYPROJECT, re.MULTILINE)
    assert oldest is not None
    assert oldest[1] == named[0]


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
def test_the_module_shows_its_entry_alone() -> None:
    """A template of ours or of the C++ library must not stand in for another module's."""
    module = Path(_core.__file__)
    out = subprocess.run(
        ["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[-1] for line in out.splitlines()] == [
        "PyInit__core",
        "gdcore_num_threads",
    ]


def test_an_old_python_is_told_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = re.findall(r'^  "((?:scikit-build-core|pybind11).*)",$', PYPROJECT, re.MULTILINE)
    assert all(each.endswith("; python_version >= '3.10'") for each in requirements[:2])
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.10 or newer; this is 3\.9\."):
        runpy.run_path(str(BACKEND))


def configured(tmp_path: Path, *options: str, env: dict[str, str]) -> str:
    command = [
        sys.executable,
        "-m",
        "cmake",
        "-S",
        ROOT,
        "-B",
        tmp_path,
        "-DGDCORE_BUILD_PYTHON=OFF",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode != 0
    return " ".join(done.stderr.split())


@pytest.fixture
def cmake() -> Callable[..., str]:
    if importlib.util.find_spec("cmake") is None or shutil.which("make") is None:
        pytest.skip("needs the package cmake, and make")
    return configured


def test_a_missing_compiler_is_told(cmake: Callable[..., str], tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "make").symlink_to(str(shutil.which("make")))
    said = cmake(
        tmp_path / "build", "-DCMAKE_SYSTEM_PREFIX_PATH=", "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF",
        env={"PATH": str(tools)},
    )  # fmt: skip
    assert "there is no C++ compiler" in said
    assert "apt-get install g++" in said


def test_a_missing_openmp_is_told(cmake: Callable[..., str], tmp_path: Path) -> None:
    said = cmake(
        tmp_path, "-DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON", env={"PATH": os.environ["PATH"]}
    )  # fmt: skip
    assert "gdcore runs its threads by OpenMP" in said
    assert "libomp" in said
