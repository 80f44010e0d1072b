"""The house rules of docs/design/rooms.md, held against every include and every import."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, run_json

CPP = ROOT / "cpp"
PACKAGE = ROOT / "python" / "gdcore"

# room -> the rooms it may include. A room may always include itself and the standard library.
MAY_INCLUDE: dict[str, set[str]] = {
    "base": set(),
    "profiling": {"base"},
    "parallel": {"base", "profiling"},
    "kernels": {"base"},
    "ops": {"base", "parallel", "kernels"},
    "nn": {"base", "ops"},
    "optim": {"base", "ops"},
    "plan": {"base", "profiling", "parallel", "kernels", "ops", "nn", "optim"},
    "data": {"base"},
    "train": {"base", "profiling", "parallel", "kernels", "ops", "nn", "optim", "plan", "data"},
}
MAY_INCLUDE["bindings"] = set(MAY_INCLUDE)

# These describe; they know no C++.
DESCRIPTIONS = ("layers", "losses", "optimizers", "activations", "initializers")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
ROOM_CALL = re.compile(r"gd_room\(\s*(\w+)\s+SOURCES\s+(.*?)\)", re.DOTALL)
SOURCES = sorted(p for p in CPP.rglob("*") if p.suffix in (".cpp", ".hpp", ".h", ".c", ".inc"))


def includes(path: Path) -> list[tuple[bool, str]]:
    """(in quotes, name) of each include of a file."""
    return [(mark == '"', name) for mark, name in INCLUDE.findall(path.read_text())]


def imported_modules(path: Path, *, when_loaded: bool = False) -> set[str]:
    """Absolute dotted names of all that a module imports, or only of what loading it imports."""
    names: set[str] = set()
    package = ["gdcore", *path.relative_to(PACKAGE).parts[:-1]]
    tree = ast.parse(path.read_text())
    for node in tree.body if when_loaded else ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names.add(stem)
            names.update(f"{stem}.{alias.name}" for alias in node.names)
    return names


def test_the_rooms_are_those_of_the_table() -> None:
    assert {p.name for p in CPP.iterdir() if p.is_dir()} == set(MAY_INCLUDE)


def test_the_document_tells_the_same_table() -> None:
    told: dict[str, set[str]] = {}
    rows = re.findall(
        r"^\| `(\w+)` \|.*\|([^|]*)\|$", (ROOT / "docs/design/rooms.md").read_text(), re.MULTILINE
    )
    for room, allowed in rows:
        text = allowed.strip()
        told[room] = set(told) if text == "all above" else set(re.findall(r"\w+", text))
    assert told == MAY_INCLUDE


@pytest.mark.parametrize("room", MAY_INCLUDE)
def test_a_room_includes_only_what_the_table_allows(room: str) -> None:
    wrong = []
    files = [p for p in SOURCES if p.relative_to(CPP).parts[0] == room]
    assert files, f"cpp/{room} holds no source"
    for path in files:
        for quoted, name in includes(path):
            other = name.split("/")[0] if "/" in name else ""
            if quoted and other not in MAY_INCLUDE[room] | {room}:
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
            if not quoted and other in MAY_INCLUDE:
                wrong.append(f"{path.relative_to(ROOT)}: <{name}>, want quotes")
    assert not wrong, wrong


def test_cmake_links_exactly_the_table() -> None:
    links = {}
    for path in CPP.glob("*/CMakeLists.txt"):
        text = re.sub(r"#.*", "", path.read_text())
        for name, rest in ROOM_CALL.findall(text):
            assert name == path.parent.name
            _, _, allowed = rest.partition("MAY_INCLUDE")
            links[name] = set(allowed.split())
    expected = {room: rooms for room, rooms in MAY_INCLUDE.items() if room in links}
    assert set(MAY_INCLUDE) - set(links) <= {"bindings"}
    assert links == expected


@pytest.mark.parametrize(
    ("pattern", "room"),
    [(r"omp\.h|omp-tools\.h", "parallel"), (r"pybind11/.*|Python\.h|numpy/.*", "bindings")],
)
def test_only_one_room_knows(pattern: str, room: str) -> None:
    knowing = {
        path.relative_to(CPP).parts[0]
        for path in SOURCES
        for _, name in includes(path)
        if re.fullmatch(pattern, name)
    }
    assert knowing == {room}


def test_openmp_pragmas_stand_in_parallel_alone() -> None:
    using = {
        path.relative_to(CPP).parts[0]
        for path in SOURCES
        if re.search(r"^\s*#\s*pragma\s+omp\b|_Pragma\(\s*\"omp", path.read_text(), re.MULTILINE)
    }
    assert using == {"parallel"}


def test_the_gil_is_taken_in_our_own_way() -> None:
    """pybind11's classes abort the process when a daemon thread works while Python ends."""
    using = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if re.search(r"gil_scoped_(acquire|release)", path.read_text())
    ]
    assert using == []


def test_no_openmp_setting_is_ever_written() -> None:
    writing = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if re.search(r"\bomp_set_\w+\s*\(|\bsetenv\s*\(|\bputenv\s*\(", path.read_text())
    ]
    assert writing == []


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_know_no_cpp(name: str) -> None:
    """Nothing of C++ anywhere in the module, nor in what loading it loads in turn."""
    module = PACKAGE / f"{name}.py"
    own = imported_modules(module)
    assert not [other for other in own if re.search(r"\b_(core|native)\b", other)]
    reached: set[Path] = set()
    waiting = {module}
    while waiting:
        path = waiting.pop()
        reached.add(path)
        for other in imported_modules(path, when_loaded=True):
            assert not other.startswith("gdcore._core"), f"{path.name} imports {other}"
            file = PACKAGE / f"{other.removeprefix('gdcore.').replace('.', '/')}.py"
            waiting |= {file} - reached if other.startswith("gdcore.") and file.exists() else set()


def test_import_pulls_in_numpy_and_nothing_else() -> None:
    code = """
import json, sys
import numpy
before = set(sys.modules)
import gdcore
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""
    new = set(run_json(code)) - set(sys.stdlib_module_names) - {"numpy"}
    assert new == {"gdcore"}, new


def test_importing_loads_no_heavy_package() -> None:
    code = "import gdcore, json, sys; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.split(".")[0] for name in run_json(code)}
    heavy = {"tqdm", "safetensors", "rich", "typer", "click", "sklearn", "scipy", "pandas"}
    assert not loaded & (heavy | {"torch", "jax", "pyarrow", "matplotlib"})


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files are tracked is not known")
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [ROOT / name for name in out.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_longer_than_600_lines() -> None:
    generated = {PACKAGE / "_core.pyi"}
    long = {}
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").count("\n")
        except UnicodeDecodeError:
            continue  # a picture or data
        if path not in generated and lines > 600:
            long[str(path.relative_to(ROOT))] = lines
    assert long == {}


def test_formula_files_stand_under_the_same_names_for_every_isa() -> None:
    """scalar/, avx2/, avx512/ and neon/ hold the same file names."""
    folders = [CPP / "kernels" / isa for isa in ("scalar", "avx2", "avx512", "neon")]
    names = {folder.name: sorted(p.name for p in folder.iterdir()) for folder in folders}
    assert len({json.dumps(files) for files in names.values()}) == 1, names
