"""python/gdcore/_core.pyi is what the generator makes of the compiled module."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from support import ROOT


def test_stubs_are_up_to_date() -> None:
    """With the pinned generator alone: another version writes the same things differently."""
    pinned = re.search(r"pybind11-stubgen==([\d.]+)", (ROOT / "pyproject.toml").read_text())
    assert pinned, "pyproject.toml pins no pybind11-stubgen"
    try:
        installed = version("pybind11-stubgen")
    except PackageNotFoundError:
        pytest.skip("pybind11-stubgen is not installed")
    if installed != pinned[1]:
        pytest.skip(f"pybind11-stubgen is {installed}, the stubs are made with {pinned[1]}")
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "stubs.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
