"""A new activation and a new loss are one C++ file and one dataclass each, and nothing else.

They are put into a copy of the sources, which is built for the baseline alone, without optimizing.
What the first run compiles stays in build/one_file: later ones compile what has changed since.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support import BUILD, ROOT, guarded_run, run

HEAD = """#pragma once

namespace gd::kernels::formulas {
namespace {

"""
TAIL = """
}  // namespace
}  // namespace gd::kernels::formulas
"""

# The example of CONTRIBUTING.md, with a parameter more.
ACTIVATION_CPP = """\
// a = (sqrt(z^2 + 1) - 1) bend + z, f' = bend z / sqrt(z^2 + 1) + 1
struct bent_identity {
  static constexpr const char* name = "bent_identity";
  static constexpr const char* parameters = "bend";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    const V root = V::sqrt(V::fma(z, z, V::set1(1)));
    return V::fma(V::set1(p[0]), V::sub(root, V::set1(1)), z);
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar* p) {
    const V root = V::sqrt(V::fma(z, z, V::set1(1)));
    return V::mul(g, V::fma(V::set1(p[0]), V::div(z, root), V::set1(1)));
  }
};
"""
ACTIVATION_PYTHON = '''

@formula
class BentIdentity(Activation):
    """f(x) = bend (sqrt(x^2 + 1) - 1) + x.

    Args:
        bend: How far it is from the identity.
    """

    name: ClassVar[str] = "bent_identity"
    bend: float = real_field(0.5)
'''

LOSS_CPP = """\
// (y - t)^4
struct quartic {
  static constexpr const char* name = "quartic";
  static constexpr const char* parameters = "";
  static constexpr Targets targets = Targets::any;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    const V d = V::sub(y, t), d2 = V::mul(d, d);
    return V::mul(d2, d2);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    const V d = V::sub(y, t);
    return V::mul(V::set1(4), V::mul(d, V::mul(d, d)));
  }
};
"""
LOSS_PYTHON = '''

@formula
class Quartic(Loss):
    """l = 1/K sum_k (p_k - y_k)^4. Targets: (N, K)."""

    name: ClassVar[str] = "quartic"
    task: ClassVar[Task | None] = "regression"
'''

# In the copy's root, with the copy's package first on the path, whatever finds the installed one.
TRY = """
import json, runpy, sys
sys.meta_path[:] = [each for each in sys.meta_path if "ditable" not in type(each).__module__]
sys.path.insert(0, sys.argv[1])
sys.path.insert(1, "tools")
import numpy as np
import gdcore as gd
from gdcore.activations import Activation

assert gd.__file__.startswith(sys.argv[1]), gd.__file__
told = {"names": [gd.BentIdentity.name, gd.Quartic.name], "isa": gd.show_config()["isa"]}
told["shown"] = [{"BentIdentity", "Quartic"} <= set(x) for x in (dir(gd), gd.__all__)]
told["overview"] = [name in gd.__doc__ for name in ("BentIdentity", "Quartic")]
rng = np.random.default_rng(0)
x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 2))
layers = [gd.Dense(7, "bent_identity"), gd.Dense(5, gd.BentIdentity(bend=-0.8)), gd.Dense(2)]
net = gd.Network(layers, input_size=4, dtype="float64", seed=1)
report = gd.check_gradients(net, "quartic", x, y)
told["gradients"] = [report.ok, max(each.relative_error for each in report.parameters.values())]
history = gd.Trainer(net, gd.Quartic(), gd.SGD(lr=3e-3)).fit(x, y, epochs=200, progress=False)
told["losses"] = [history["loss"][0], history["loss"][-1]]
sys.argv = ["tools/names.py"]
try:
    runpy.run_path("tools/names.py", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
sys.path.insert(0, ".")
from tools.docs.formulas import formulas

told["reference"] = [formulas("activations"), formulas("losses")]
try:
    import typer
except ImportError:
    told["help"] = None
else:
    from gdcore.cli.app import app
    train = typer.main.get_command(app).commands["train"]
    told["help"] = {each.name: str(each.help) for each in train.params}
print(json.dumps(told))
"""


def with_formula(
    files: dict[Path, bytes], kind: str, name: str, cpp: str, cls: str, python: str
) -> None:
    """The two edits."""
    table = '#include "kernels/table.hpp"\n\n' if "Targets" in cpp else ""
    cpp = HEAD.replace("namespace gd", table + "namespace gd", 1) + cpp + TAIL
    assert cpp.count("\n") <= 60
    files[Path(f"cpp/kernels/formulas/{kind}/{name}.hpp")] = cpp.encode()
    module = Path(f"python/gdcore/{kind}.py")
    text = files[module].decode()
    assert text.count("__all__ = [") == 1
    files[module] = (text.replace("__all__ = [", f'__all__ = ["{cls}", ') + python).encode()


def sources_with_both() -> dict[Path, bytes]:
    """All that a build reads, by its place."""
    paths = [ROOT / "CMakeLists.txt", ROOT / "pyproject.toml"]
    for part in ("cpp", "python", "tools"):
        paths += (each for each in (ROOT / part).rglob("*") if each.is_file())
    files = {
        each.relative_to(ROOT): each.read_bytes()
        for each in paths
        if each.suffix not in (".pyc", ".so")
    }
    bent = "bent_identity", ACTIVATION_CPP, "BentIdentity", ACTIVATION_PYTHON
    with_formula(files, "activations", *bent)
    with_formula(files, "losses", "quartic", LOSS_CPP, "Quartic", LOSS_PYTHON)
    return files


def written(files: dict[Path, bytes], folder: Path) -> None:
    """Makes folder hold these files, and leaves alone what is the same, so that Ninja does too."""
    for old in [each for each in folder.rglob("*") if each.is_file()]:
        if old.relative_to(folder) not in files:
            old.unlink()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What a Python says that has both formulas."""
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on the path, so nothing can be built")
    if find_spec("pybind11") is None:
        pytest.skip("pybind11 is not installed, so nothing can be built")
    import pybind11

    folder = BUILD / "one_file"
    sources, build = folder / "sources", folder / "build"
    written(sources_with_both(), sources)
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    if (build / "CMakeCache.txt").exists():
        generator = []
    run(
        ["cmake", "-S", sources, "-B", build, *generator, "-DCMAKE_BUILD_TYPE=Release",
         "-DCMAKE_CXX_FLAGS_RELEASE=-O0", "-DCMAKE_UNITY_BUILD=ON", "-DGDCORE_SCALAR_ONLY=ON",
         f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}"],
        "configuring",
    )  # fmt: skip
    run(["cmake", "--build", build, "-j2", "--target", "_core"], "building _core")
    (module,) = (build / "cpp" / "bindings").glob("_core*.so")
    shutil.copy2(module, sources / "python" / "gdcore")
    result = guarded_run(
        [sys.executable, "-c", TRY, sources / "python"],
        cwd=sources,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found | {"typing": (sources / "python" / "gdcore" / "typing.py").read_text()}


def test_python_finds_both(told: dict[str, Any]) -> None:
    assert told["names"] == ["bent_identity", "quartic"]
    assert told["isa"] == "scalar"
    assert told["shown"] == [True, True]
    assert told["overview"] == [True, True]


def test_their_gradients_are_right_and_they_train(told: dict[str, Any]) -> None:
    ok, worst = told["gradients"]
    assert ok
    assert worst <= 1e-7
    first, last = told["losses"]
    assert last < 0.9 * first


def test_types_of_names_have_both(told: dict[str, Any]) -> None:
    assert re.search(r'ActivationName = Literal\[[^]]*"bent_identity"', told["typing"])
    assert re.search(r'LossName = Literal\[[^]]*"quartic"', told["typing"])


def test_the_reference_has_both(told: dict[str, Any]) -> None:
    activations, losses = told["reference"]
    assert ".. autoclass:: gdcore.BentIdentity" in activations.splitlines()
    assert ".. autoclass:: gdcore.Quartic" in losses.splitlines()


def test_the_command_line_tells_of_both(told: dict[str, Any]) -> None:
    if told["help"] is None:
        pytest.skip("typer is not installed")
    assert "bent_identity" in told["help"]["activation"]
    assert "quartic" in told["help"]["loss"]
