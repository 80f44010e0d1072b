"""What all tests share: the oracle on the import path, and the C++ tests built once a session."""

from __future__ import annotations

import os
import signal
import subprocess
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

from building import BUILDS, started  # noqa: E402  (needs the path above)


def pytest_configure(config: pytest.Config) -> None:
    """Tests go over all losses with a linear last layer, whatever that means to them."""
    told = ".*loss '(nll|kl_div)' takes log-probabilities, which are at most 0"
    config.addinivalue_line("filterwarnings", f"ignore:{told}:UserWarning")


_ahead: subprocess.Popen[bytes] | None = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has to be compiled first comes last; names are the same in every process."""
    if unlike := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"an address is no name: {unlike[0]}")
    items.sort(key=lambda item: bool(_builds_of(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begins to compile what tests will ask for."""
    global _ahead
    needed = {name for item in session.items for name in _builds_of(item)}
    # Of several processes that share the tests each has found all of them, and the first builds.
    worker = getattr(session.config, "workerinput", {}).get("workerid", "gw0")
    starts = worker == "gw0" and os.name == "posix" and not session.config.option.collectonly
    if needed and starts:
        _ahead = started([name for name in BUILDS if name in needed])


def pytest_sessionfinish() -> None:
    """Nothing goes on after the tests."""
    if _ahead is not None and _ahead.poll() is None:
        os.killpg(_ahead.pid, signal.SIGTERM)
        _ahead.wait()


def _builds_of(item: pytest.Item) -> list[str]:
    return [name for name in getattr(item, "fixturenames", ()) if name in BUILDS]


def _built(name: str) -> Path:
    why_not, build = BUILDS[name]
    if reason := why_not():
        pytest.skip(reason)
    return build()


@pytest.fixture(scope="session")
def cpp_build() -> Path:
    """The build folder of the C++ tests, all of them."""
    return _built("cpp_build")


@pytest.fixture(scope="session")
def neon_build() -> Path:
    """The kernels built for 64-bit Arm."""
    return _built("neon_build")


@pytest.fixture(scope="session")
def one_file_build() -> Path:
    """The sources with formulas more."""
    return _built("one_file_build")


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    """Puts the process-wide thread count back to what the environment says, after each test."""
    import gdcore as gd

    yield
    gd.set_num_threads(None)
