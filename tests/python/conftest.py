"""What all tests share: the oracle on the import path, and the C++ tests built once a session."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).resolve().parent
# Import mode importlib leaves sys.path alone; `reference` and `support` live here.
sys.path.insert(0, str(HERE))
# cmake, ninja and gdcore of this environment are found whether or not it is activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# Examples come from a fixed seed and no deadline measures time, so that every run says the same.
settings.register_profile("gdcore", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("gdcore")

from support import BUILD, NEON, build_cpp  # noqa: E402  (needs the path above)


def pytest_configure(config: pytest.Config) -> None:
    """Tests go over all losses with a linear last layer, whatever that means to them."""
    told = ".*loss '(nll|kl_div)' takes log-probabilities, which are at most 0"
    config.addinivalue_line("filterwarnings", f"ignore:{told}:UserWarning")


@pytest.fixture(scope="session")
def cpp_build() -> Path:
    """The build folder of the C++ tests, all of them: side by side they take half of the time."""
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on the path, so the C++ tests cannot be built")
    return build_cpp(BUILD / "cpp-tests", [], ["all"])


@pytest.fixture(scope="session")
def neon_build() -> Path:
    """The rooms built for 64-bit Arm."""
    for tool in ("cmake", "aarch64-linux-gnu-g++", "qemu-aarch64"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on the path, so NEON cannot be tried in emulation")
    return build_cpp(BUILD / "neon-tests", NEON, ["gd_train", "test_kernels", "test_ops"])


@pytest.fixture
def own_threads() -> Iterator[None]:
    """Puts the process-wide thread count back to what the environment says."""
    import gdcore as gd

    yield
    gd.set_num_threads(None)
