"""A commit of this repository, built and installed for as long as it is measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path

__all__ = ["environment_of", "interpreter_of", "resolved"]

_ROOT = Path(__file__).parent.parent
_BUILDERS = ("scikit_build_core", "pybind11")  # what pip has to fetch where they are missing


def resolved(argument: str, given: str) -> str:
    """What stands for a build: the path of an interpreter, or the full name of a commit.

    Raises:
        ValueError: It is neither a Python nor a commit of this repository.
    """
    path = shutil.which(given)
    if path is None or os.path.basename(given) == given:  # a branch may be called as a command is
        found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{given}^{{commit}}")
        if found.returncode == 0 and given:
            return found.stdout.strip()
    if path is None:
        raise ValueError(
            f"{argument} must be a Python interpreter or a commit of {_ROOT}, got {given!r}"
        )
    return os.path.abspath(path)


@contextmanager
def interpreter_of(build: str) -> Iterator[str]:
    """The Python of what `resolved` gave; a commit is there as long as the context."""
    with nullcontext(build) if os.path.isabs(build) else environment_of(build) as python:
        yield python


@contextmanager
def environment_of(commit: str) -> Iterator[str]:
    """The Python of an environment with that commit's gdcore, and all else from this one.

    Sources and environment lie in a temporary folder, which is removed. Where this environment
    lacks what builds, pip fetches it.

    Raises:
        RuntimeError: It cannot be checked out or built; the message has what git or pip said.
    """
    with tempfile.TemporaryDirectory(prefix="gdcore-") as folder:
        tree, home = Path(folder, "tree"), Path(folder, "environment")
        try:
            _require(_git("worktree", "add", "--quiet", "--detach", str(tree), commit))
            yield str(_installed(tree, home))
        finally:
            _git("worktree", "remove", "--force", "--force", str(tree))


def _installed(tree: Path, home: Path) -> Path:
    """Builds and installs the sources into a new environment; its interpreter."""
    _require(_run([sys.executable, "-m", "venv", str(home)]))
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(_require(_run([str(python), "-c", asked])).strip())
    # Paths in a .pth file are not looked into for more of them: no editable gdcore comes along.
    seen = [path for path in sys.path if "-packages" in path and os.path.isdir(path)]
    (packages / "present.pth").write_text("\n".join(seen))
    here = all(find_spec(name) for name in _BUILDERS)
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(tree)]
    scripts = [str(python.parent), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    _require(
        _run(
            [*command, "--no-build-isolation"] if here else command,
            {**os.environ, "PATH": os.pathsep.join(scripts)},
        )
    )
    loaded = "import gdcore._core; print(gdcore._core.__file__)"
    file = _require(_run([str(python), "-c", loaded])).strip()
    if Path(home).resolve() not in Path(file).resolve().parents:
        raise RuntimeError(f"the build of {tree} is shadowed by {file}")
    return python


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(["git", "-C", str(_ROOT), *arguments])


def _run(
    command: Sequence[str], env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # From the root of the file system: no gdcore in the working folder is in the way.
    root = os.path.abspath(os.sep)
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=root)


def _require(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise RuntimeError(f"{' '.join(done.args)} failed:\n{said[-4000:]}")
    return done.stdout
