"""What a wheel's module is linked with: stubs of an old glibc, and GCC's OpenMP library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LICENSES", "Runtime", "make_runtime"]

_HERE = Path(__file__).parent
_LIBRARIES = ("c", "dl", "ld", "m", "pthread", "rt")
_LOADER = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
# Of the GCC tree: what building libgomp alone takes, and the licences.
_PARTS = ("libgomp", "config", "include", "libgcc")
LICENSES = ("COPYING3", "COPYING.RUNTIME")


@dataclass(frozen=True)
class Runtime:
    """A folder to link with.

    Attributes:
        folder: Has libc.so and its like, libgomp.a, compat.o and the licences.
        arch: ``"x86_64"`` or ``"aarch64"``.
        compiler: Of C++, for that architecture.
        gcc: Its version, such as ``"12.2.0"``.
    """

    folder: Path
    arch: str
    compiler: str
    gcc: str

    @property
    def environment(self) -> dict[str, str]:
        """What `toolchain.cmake` asks for."""
        prefix = self.compiler.removesuffix("g++")
        libgcc = _output([self.compiler, "-print-libgcc-file-name"])
        shared, always = (
            _output([self.compiler, f"-print-file-name={name}"])
            for name in ("libgcc_s.so.1", "libc_nonshared.a")
        )
        return {
            "GDCORE_ARCH": self.arch,
            "GDCORE_OLD_GLIBC": str(self.folder),
            "GDCORE_CXX": self.compiler,
            "GDCORE_STRIP": shutil.which(f"{prefix}strip") or "strip",
            "GDCORE_LIBGCC": f"{always} {shared} {libgcc}",
        }


def make_runtime(arch: str, glibc: str, folder: Path) -> Runtime:
    """Makes the folder, or takes the one that is there.

    Args:
        arch: ``"x86_64"`` or ``"aarch64"``.
        glibc: The oldest to run on, such as ``"2.28"``.
        folder: Where; a folder in it is named after both.

    Returns:
        What to link with.
    """
    compiler = "g++" if os.uname().machine == arch else f"{arch}-linux-gnu-g++"
    if shutil.which(compiler) is None:
        sys.exit(f"{compiler} is missing: apt-get install g++-{arch.replace('_', '-')}-linux-gnu")
    version = _output([compiler, "-dumpfullversion"])
    made = folder / f"{arch}-glibc{glibc}-gcc{version}"
    made.mkdir(parents=True, exist_ok=True)
    if not (made / "libc.so").exists():
        _stubs(arch, glibc, made)
    if not (made / "libgomp.a").exists():
        _libgomp(compiler, version, made)
    _run([_c(compiler), "-O2", "-fPIC", "-c", _HERE / "compat.c", "-o", made / "compat.o"])
    return Runtime(made, arch, compiler, version)


def _c(compiler: str) -> str:
    return compiler.removesuffix("g++") + "gcc"


def _run(
    command: Sequence[str | Path], cwd: Path | None = None, env: dict[str, str] | None = None
) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}")


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _stubs(arch: str, glibc: str, folder: Path) -> None:
    """Shared libraries with the symbols of that glibc and no code, as Zig makes for linking."""
    cache = folder / "zig"
    source = folder / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{arch}-linux-gnu.{glibc}"]
    _run([*zig, source, "-o", folder / "empty"], env={"ZIG_GLOBAL_CACHE_DIR": str(cache)})
    (libc,) = cache.rglob("libc.so.6")
    for name in _LIBRARIES:
        (found,) = libc.parent.glob(f"lib{name}.so.*")
        shutil.copy(found, folder / f"lib{name}.so")
    shutil.rmtree(cache)


def _libgomp(compiler: str, version: str, folder: Path) -> None:
    """A static one that a shared module can hold; what systems ship is for programs alone."""
    major = version.split(".")[0]
    (archive,) = [
        *Path(f"/usr/src/gcc-{major}").glob(f"gcc-{version}*.tar.xz"),
        *folder.parent.glob(f"gcc-{version}.tar.xz"),
    ][:1] or sys.exit(
        f"the sources of GCC {version} are missing: apt-get install gcc-{major}-source, or put "
        f"gcc-{version}.tar.xz into {folder.parent}"
    )
    tree = folder / "gcc"
    with tarfile.open(archive) as packed:
        for member in packed:
            parts = Path(member.name).parts[1:]
            # Of the folders above, files alone: configure's helpers and the licences.
            wanted = bool(parts) and (
                parts[0] in _PARTS or len(parts) == 1 or parts[1:] == ("BASE-VER",)
            )
            if not wanted:
                continue
            member.name = str(Path(*parts))
            packed.extract(member, tree, filter="tar")
    build = folder / "build-libgomp"
    build.mkdir(exist_ok=True)
    host = compiler.removesuffix("-g++")
    _run(
        [tree / "libgomp" / "configure", "--disable-multilib", "--disable-shared",
         "--enable-static", "--with-pic", *([f"--host={host}"] if host != compiler else [])],
        cwd=build, env={"CFLAGS": "-O2 -g0 -fvisibility=hidden", "CC": _c(compiler)},
    )  # fmt: skip
    _run(["make", "-j2", "libgomp.la"], cwd=build)
    shutil.copy(build / ".libs" / "libgomp.a", folder)
    for name in LICENSES:
        shutil.copy(tree / name, folder)
    shutil.rmtree(tree)
    shutil.rmtree(build)
