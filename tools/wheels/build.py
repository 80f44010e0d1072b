"""One wheel: built, completed, and tagged for what it runs on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.wheels.runtime import LICENSES, Runtime

__all__ = ["build"]


def build(root: Path, python: Path, runtime: Runtime, glibc: str, work: Path, out: Path) -> Path:
    """Builds the wheel of a source tree for one interpreter.

    Args:
        root: The source tree.
        python: The interpreter; of another architecture's wheel, one of the same version.
        runtime: What the module is linked with.
        glibc: The oldest it runs on.
        work: A folder for what may be thrown away.
        out: Where the wheel goes.

    Returns:
        Its path.
    """
    scratch = work / "scratch"  # always the same, for ccache
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    epoch = _output(["git", "-C", root, "log", "-1", "--format=%ct"])
    env = {
        **runtime.environment,
        "SOURCE_DATE_EPOCH": epoch,
        "CXXFLAGS": f"-ffile-prefix-map={root}=. -ffile-prefix-map={scratch}=.",
        "CCACHE_BASEDIR": str(root),
        "CCACHE_NOHASHDIR": "1",
        **_cross(python, runtime.arch),
    }
    defines = {"CMAKE_TOOLCHAIN_FILE": str(Path(__file__).parent / "toolchain.cmake")}
    if shutil.which("ccache"):
        defines["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    print(f"=== building for {python}, {runtime.arch}", flush=True)
    _run([python, "-m", "venv", scratch / "env"], {})
    own = scratch / "env" / "bin" / "python"
    _run([own, "-m", "pip", "install", "-q", "-U", "pip"], {})  # an old one takes no settings
    _run(
        [own, "-m", "pip", "wheel", "-q", "--no-deps", root, "-w", scratch,
         f"-Cbuild-dir={scratch / 'build'}",
         *(f"-Ccmake.define.{name}={value}" for name, value in defines.items())],
        env,
    )  # fmt: skip
    (made,) = scratch.glob("*.whl")
    _check_symbols(made, scratch)
    completed = _complete(made, runtime, scratch, env)
    platform = f"manylinux_{glibc.replace('.', '_')}_{runtime.arch}"
    if os.uname().machine != runtime.arch:
        platform = "auto"  # auditwheel offers the names of its own machine alone
    out.mkdir(parents=True, exist_ok=True)
    repaired = scratch / "repaired"
    _run(
        [sys.executable, "-m", "auditwheel", "repair", "--plat", platform, "-w", repaired,
         "--disable-isa-ext-check", completed],
        {**env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    (wheel,) = repaired.glob("*.whl")
    target = out / wheel.name
    shutil.move(wheel, target)
    shutil.rmtree(scratch)
    return target


def _check_symbols(wheel: Path, scratch: Path) -> None:
    """What is left for the loader is Python's, or has a version of a library that is named."""
    _run([sys.executable, "-m", "zipfile", "-e", wheel, scratch / "look"], {})
    (module,) = (scratch / "look").rglob("_core*.so")
    symbols = [line.split() for line in _output(["nm", "-D", "-u", module]).splitlines()]
    unknown = [
        name
        for kind, name in symbols
        if kind == "U" and "@" not in name and not name.startswith(("Py", "_Py"))
    ]
    if unknown:
        sys.exit(f"{module.name} needs symbols of no library that is linked: {', '.join(unknown)}")


def _cross(python: Path, arch: str) -> dict[str, str]:
    """What tells the build that the interpreter that builds is not the one that will import."""
    if os.uname().machine == arch:
        return {}
    suffix = _output([
        python, "-c", "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))",
    ])  # fmt: skip
    return {
        "SETUPTOOLS_EXT_SUFFIX": suffix.replace(os.uname().machine, arch),
        "_PYTHON_HOST_PLATFORM": f"linux-{arch}",
    }


def _complete(wheel: Path, runtime: Runtime, scratch: Path, env: Mapping[str, str]) -> Path:
    """With the licences and the bill of materials of what is within the module."""
    tree = scratch / "tree"
    _run([sys.executable, "-m", "wheel", "unpack", "-d", tree, wheel], env)
    (info,) = tree.glob("*/*.dist-info")
    if suffix := env.get("SETUPTOOLS_EXT_SUFFIX"):  # it is named after the one that built it
        (module,) = tree.rglob("_core.*.so")
        module.rename(module.with_name(f"_core{suffix}"))
    licenses = info / "licenses" / "gcc"
    licenses.mkdir(parents=True, exist_ok=True)
    for name in LICENSES:
        shutil.copy(runtime.folder / name, licenses / name)
    boms = info / "sboms"
    boms.mkdir(exist_ok=True)
    name, version = wheel.name.split("-")[:2]
    text = json.dumps(_materials(name, version, runtime), indent=1, sort_keys=True)
    (boms / f"{name}.cdx.json").write_text(text + "\n")
    for path in tree.rglob("*"):  # as if all had been made at the commit
        os.utime(path, (int(env["SOURCE_DATE_EPOCH"]),) * 2)
    packed = scratch / "packed"
    packed.mkdir()
    _run([sys.executable, "-m", "wheel", "pack", "-d", packed, info.parent], env)
    (made,) = packed.glob("*.whl")
    return made


def _materials(name: str, version: str, runtime: Runtime) -> dict[str, object]:
    """A CycloneDX document: what the module holds that is not of this project."""
    exception = "GPL-3.0-or-later WITH GCC-exception-3.1"
    parts = [
        {
            "type": "library", "bom-ref": part, "name": part, "version": runtime.gcc,
            "licenses": [{"expression": exception}],
            "supplier": {"name": "Free Software Foundation"},
        }
        for part in ("libgomp", "libstdc++")
    ]  # fmt: skip
    parts.append(
        {
            "type": "library", "bom-ref": "pybind11", "name": "pybind11",
            "licenses": [{"license": {"id": "BSD-3-Clause"}}],
        }
    )  # fmt: skip
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library", "bom-ref": purl, "name": name, "version": version,
                "purl": purl, "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": parts,
        "dependencies": [{"ref": purl, "dependsOn": [part["bom-ref"] for part in parts]}],
    }  # fmt: skip


def _run(command: Sequence[str | Path], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        [str(part) for part in command], env={**os.environ, **env},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}")


def _output(command: Sequence[str | Path]) -> str:
    made = [str(part) for part in command]
    return subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
