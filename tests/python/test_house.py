"""The house rules of docs/design/rooms.md, held against every include and every import."""

from __future__ import annotations

import ast
import graphlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from support import ROOT, run_json

import gdcore as gd

CPP = ROOT / "cpp"
PACKAGE = ROOT / "python" / "gdcore"

# room -> the rooms it may include. A room may always include itself and the standard library.
MAY_INCLUDE: dict[str, set[str]] = {
    "base": set(),
    "profiling": {"base"},
    "parallel": {"base", "profiling"},
    "kernels": {"base"},
    "exchange": {"base", "parallel"},
    "ops": {"base", "parallel", "kernels"},
    "nn": {"base", "ops"},
    "optim": {"base", "ops"},
    "plan": {"base", "profiling", "parallel", "exchange", "kernels", "ops", "nn", "optim"},
    "layers": {"base", "kernels", "ops", "nn", "plan"},
    "data": {"base"},
}
MAY_INCLUDE["train"] = set(MAY_INCLUDE)
MAY_INCLUDE["bindings"] = set(MAY_INCLUDE)

# These describe; they know no C++.
DESCRIPTIONS = ("layers", "losses", "optimizers", "activations", "initializers")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
ROOM_CALL = re.compile(r"gd_room\(\s*(\w+)\s+(?:LIGHT\s+)?SOURCES\s+(.*?)\)", re.DOTALL)
SOURCES = sorted(p for p in CPP.rglob("*") if p.suffix in (".cpp", ".hpp", ".h", ".c", ".inc"))


def includes(path: Path) -> list[tuple[bool, str]]:
    """(in quotes, name) of each include of a file."""
    return [(mark == '"', name) for mark, name in INCLUDE.findall(path.read_text())]


def python_units() -> dict[str, list[Path]]:
    """The modules of python/gdcore by name, and its packages with a slash; gdcore is __init__."""
    units: dict[str, list[Path]] = {"_core": []}  # compiled
    for path in sorted(PACKAGE.rglob("*.py")):
        first, *rest = path.relative_to(PACKAGE).parts
        name = f"{first}/" if rest else "gdcore" if first == "__init__.py" else Path(first).stem
        units.setdefault(name, []).append(path)
    return units


def unit_of(module: str, names: Iterable[str] = ()) -> set[str]:
    """The units that `import module`, or `from module import names`, loads of ours."""
    parts = module.split(".")
    if parts[0] != "gdcore":
        return set()
    if len(parts) > 1:
        return {f"{parts[1]}/" if (PACKAGE / parts[1]).is_dir() else parts[1]}
    homes = set()
    for name in names:
        value = None if name == "_core" else getattr(gd, name, None)
        # A class or function counts as its module, a module as itself.
        home = getattr(value, "__module__", None) or f"gdcore.{name}"
        homes |= unit_of(home)
    return homes or {"gdcore"}


def python_imports(path: Path) -> tuple[set[str], set[str]]:
    """The units that loading a module loads, and those that only calling its functions does.

    What stands under TYPE_CHECKING is not loaded at all, and does not count.
    """
    found: tuple[set[str], set[str]] = (set(), set())

    def look(nodes: Iterable[ast.AST], called: bool) -> None:
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[called].update(unit_of(alias.name))
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative imports hide what they are"
                names = [alias.name for alias in node.names]
                found[called].update(unit_of(str(node.module), names))
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                look(node.orelse, called)
            else:
                function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                look(ast.iter_child_nodes(node), called or function)

    look([ast.parse(path.read_text())], False)
    return found


def python_graph() -> dict[str, tuple[set[str], set[str]]]:
    """Of each unit what its modules import, when loaded and when called, but for itself."""
    graph = {}
    for unit, paths in python_units().items():
        each = [python_imports(path) for path in paths]
        loaded = set().union(*(row[0] for row in each)) - {unit}
        graph[unit] = (loaded, set().union(*(row[1] for row in each)) - loaded - {unit})
    return graph


def table_of_rooms(heading: str) -> list[list[str]]:
    """The cells of the rows below a heading of the document."""
    text = "\n" + (ROOT / "docs/design/rooms.md").read_text()
    _, _, section = text.partition(f"\n{heading}\n")
    assert section, f"rooms.md has no heading {heading}"
    rows = re.findall(r"^\| (`.*) *\|$", re.split(r"\n##? ", section)[0], re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows]


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
    for room, _, allowed in table_of_rooms("# The rooms"):
        rooms = set(told) if allowed == "all above" else set(re.findall(r"\w+", allowed))
        told[room.strip("`")] = rooms
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


def test_every_python_module_stands_in_one_room() -> None:
    modules = " ".join(row[1] for row in table_of_rooms("## In Python"))
    named = re.findall(r"`(.*?)`", modules)
    assert sorted(named) == sorted(python_units())


def test_python_imports_are_those_of_the_table() -> None:
    """No more, and no fewer; where a room may import all above, fewer."""
    rows = table_of_rooms("## In Python")
    room_of = {name: row[0] for row in rows for name in re.findall(r"`(.*?)`", row[1])}
    graph = python_graph()
    above: set[str] = set()
    for room, _, loaded, called in rows:
        units = [unit for unit, home in room_of.items() if home == room]
        found = [{room_of[o] for u in units for o in graph[u][i]} - {room} for i in (0, 1)]
        told = [set(re.findall(r"`\w+`", text)) for text in (loaded, called)]
        if loaded == "all above":
            assert found[0] | found[1] <= above, room
        else:
            assert [found[0], found[1] - found[0]] == told, room
        above.add(room)


@pytest.mark.parametrize("called", [False, True], ids=["loaded", "called"])
def test_no_python_import_goes_in_a_circle(called: bool) -> None:
    graph = {unit: row[0] | row[1] if called else row[0] for unit, row in python_graph().items()}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1][::-1]))


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_know_no_cpp(name: str) -> None:
    """Nothing of C++ anywhere in the module, nor in what loading it loads in turn."""
    modules = set(PACKAGE.glob(f"{name}.py")) | set(PACKAGE.glob(f"{name}/*.py"))
    assert modules
    for module in modules:
        own = imported_modules(module)
        assert not [other for other in own if re.search(r"\b_(core|native)\b", other)]
    reached: set[Path] = set()
    waiting = modules
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


def test_what_the_package_loads_later_asks_it_for_no_public_name() -> None:
    """It would wait there for who loads it, while that one waits for its module: a deadlock."""
    above = ("benchmark", "cli", "sklearn")
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in (*above, "__init__.py", "__main__.py"):
            continue
        for node in ast.parse(path.read_text()).body:  # what functions load is loaded by itself
            if isinstance(node, ast.ImportFrom) and node.module == "gdcore":
                public = [each.name for each in node.names if not each.name.startswith("_")]
                assert not public, f"{path.name} imports {public} from gdcore"


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
