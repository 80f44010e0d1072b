"""A new activation, loss, layer or rule is one C++ file and one dataclass each, nothing else.

They are put into a copy of the sources, which is built for the baseline alone, without optimizing.
What the first run compiles stays in build/one_file: later ones compile what has changed since.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from building import alone
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

NORM_RULE_CPP = """\
// w -= lr (g / |g| + decay w), with |g| of the whole parameter
struct normalized {
  static constexpr const char* name = "normalized";
  static constexpr const char* parameters = "lr,decay";
  enum { kLr, kDecay };
  static constexpr int passes = 2;
  static constexpr int sums = 1;
  static int states(const StepSetting&) { return 0; }

  template <class T>
  static void pass(int pass, const StepSetting& s, const Piece<T>& x, double* sums) {
    if (pass == 0) {
      sums[0] = squares(x.g, x.size);
      return;
    }
    const double length = __builtin_sqrt(x.sums[0]);
    const T scale = static_cast<T>(length > 0 ? s.lr / length : 0) * x.sign;
    const T decay = static_cast<T>(s.lr * s[kDecay]);
    for (int64_t i = 0; i < x.size; ++i) x.w[i] -= scale * x.g[i] + decay * x.w[i];
  }

  template <class T>
  using rule = PassRule<T, normalized>;
};
"""
NORM_RULE_HEAD = """#pragma once

#include "optim/pass_rule.hpp"

namespace gd::optim::rules {

"""
NORM_RULE_TAIL = """
}  // namespace gd::optim::rules
"""
NORM_RULE_PYTHON = '''

@formula
class Normalized(Optimizer):
    """Steps of one length: w <- w - lr (g / |g| + decay w).

    Args:
        lr: The length.
        decay: Share of lr by which weights shrink.
    """

    name: ClassVar[str] = "normalized"
    lr: float = real_field(1e-2, at_least=0)
    decay: float = real_field(0.0, at_least=0)
'''

LAYER_CPP = """\
// y = x + b, a number a column.
struct shift {
  static constexpr const char* name = "shift";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    node.width = inputs.width();
    node.entries.push_back(vector_of("bias", node.width, node.spec.get<double>("start")));
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId x = b.input(), y = b.value(b.width());
    const int64_t bias = b.parameter("bias")->offset;
    plan::Step<T> step(plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {x}, {y});
    step.parameters_read = {bias};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> from = places.of(x), to = places.of(y);
      return plan::row_pass<T>(made, places, plan::pass_cost<T>(from.cols, 1, 2), from.cols,
                               [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                                 const auto in = from.in(batch);
                                 const auto out = to.out(batch);
                                 const T* const own = batch.parameters + bias;
                                 for (int64_t i = begin; i < begin + rows; ++i) {
                                   for (int64_t j = 0; j < in.cols; ++j) {
                                     out.row(i)[j] = in.row(i)[j] + own[j];
                                   }
                                 }
                               });
    };
    b.add(std::move(step));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    b.add(plan::column_sum_step<T>(b, gradient, b.parameter("bias")->offset));
    if (b.wants_gradient()) b.pass_gradient(0, gradient);
  }
};
"""
LAYER_HEAD = """#pragma once

#include "layers/layer.hpp"
#include "plan/operations/column_sum.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

"""
LAYER_TAIL = """
}  // namespace gd::layers
"""
LAYER_PYTHON = '''

@frozen
class Shift(Layer):
    """Adds a number to each column, which is learnt: y = x + bias, x and y (N, width).

    Args:
        start: What the bias, (width,), starts at.
        name: As in `Dense`.
    """

    kind: ClassVar[str] = "shift"

    start: float = real_field(0.0)
    _: KW_ONLY
    name: str | None = None
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
told = {"isa": gd.show_config()["isa"]}
told["names"] = [gd.BentIdentity.name, gd.Quartic.name, gd.Shift.kind]
new = ("BentIdentity", "Quartic", "Shift")
told["shown"] = [set(new) <= set(x) for x in (dir(gd), gd.__all__)]
told["overview"] = [name in gd.__doc__ for name in new]
rng = np.random.default_rng(0)
x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 2))
bent = gd.BentIdentity(bend=-0.8)
layers = [gd.Dense(7, "bent_identity"), gd.Shift(0.2), gd.Dense(5, bent), gd.Dense(2)]
net = gd.Network(layers, input_size=4, dtype="float64", seed=1)
report = gd.check_gradients(net, "quartic", x, y)
told["gradients"] = [report.ok, max(each.relative_error for each in report.parameters.values())]
history = gd.Trainer(net, gd.Quartic(), gd.SGD(lr=3e-3)).fit(x, y, epochs=200, progress=False)
told["losses"] = [history["loss"][0], history["loss"][-1]]
net.save("shift.safetensors")
loaded = gd.Network.load("shift.safetensors")
same = (loaded.predict(x) == net.predict(x)).all()
told["file"] = [loaded.layers[1] == gd.Shift(0.2), bool(same)]
w = [np.zeros((3, 4)), np.zeros(5)]
bound = gd.Normalized(lr=0.5).bind(w)
bound.step([rng.standard_normal(each.shape) for each in w])
told["lengths"] = [float(np.linalg.norm(each)) for each in w]
trainer = gd.Trainer(net, "mse", "normalized")
losses = trainer.fit(x, y, epochs=60, progress=False)["loss"]
told["by norms"] = [losses[0], losses[-1]]
told["layer"] = [*net.state_dict()["1.bias"].shape, repr(net), "shift" in net.summary()]
sys.argv = ["tools/names.py"]
try:
    runpy.run_path("tools/names.py", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
sys.path.insert(0, ".")
from tools.docs.formulas import formulas

kinds = ("activations", "losses", "layers", "optimizers")
told["reference"] = [formulas(each) for each in kinds]
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


def formula(cpp: str) -> str:
    """The file of a formula."""
    table = '#include "kernels/table.hpp"\n\n' if "Targets" in cpp else ""
    return HEAD.replace("namespace gd", table + "namespace gd", 1) + cpp + TAIL


def with_file(
    files: dict[Path, bytes], path: str, cpp: str, module: str, cls: str, python: str
) -> None:
    """The two edits: a file of C++, and a class in a module."""
    assert cpp.count("\n") <= 60
    files[Path(path)] = cpp.encode()
    text = files[Path(module)].decode()
    assert text.count("__all__ = [") == 1
    files[Path(module)] = (text.replace("__all__ = [", f'__all__ = ["{cls}", ') + python).encode()


def sources_with_all() -> dict[Path, bytes]:
    """All that a build reads, by its place, with the three."""
    paths = [ROOT / "CMakeLists.txt", ROOT / "pyproject.toml"]
    for part in ("cpp", "python", "tools"):
        paths += (each for each in (ROOT / part).rglob("*") if each.is_file())
    files = {
        each.relative_to(ROOT): each.read_bytes()
        for each in paths
        if each.suffix not in (".pyc", ".so")
    }
    for kind, name, cpp, cls, python in (
        ("activations", "bent_identity", ACTIVATION_CPP, "BentIdentity", ACTIVATION_PYTHON),
        ("losses", "quartic", LOSS_CPP, "Quartic", LOSS_PYTHON),
    ):
        path = f"cpp/kernels/formulas/{kind}/{name}.hpp"
        with_file(files, path, formula(cpp), f"python/gdcore/{kind}.py", cls, python)
    shift = LAYER_HEAD + LAYER_CPP + LAYER_TAIL
    path, module = "cpp/layers/kinds/shift.hpp", "python/gdcore/layers/gates.py"
    with_file(files, path, shift, module, "Shift", LAYER_PYTHON)
    rule = NORM_RULE_HEAD + NORM_RULE_CPP + NORM_RULE_TAIL
    path, module = "cpp/optim/rules/normalized.hpp", "python/gdcore/optimizers/norms.py"
    with_file(files, path, rule, module, "Normalized", NORM_RULE_PYTHON)
    return files


def written(files: dict[Path, bytes], folder: Path) -> None:
    """Makes folder hold these files, and leaves alone what is the same, so that Ninja does too."""
    for old in [each for each in folder.rglob("*") if each.is_file()]:
        if old.relative_to(folder) not in files and old.suffix != ".so":
            old.unlink()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def built() -> Path:
    """The sources with all three, and the module compiled of them beside the package."""
    import pybind11

    folder = BUILD / "one_file"
    sources, build = folder / "sources", folder / "build"
    with alone(folder):
        written(sources_with_all(), sources)
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        if (build / "CMakeCache.txt").exists():
            generator = []
        run(
            ["cmake", "-S", sources, "-B", build, *generator, "-DCMAKE_BUILD_TYPE=Release",
             "-DCMAKE_CXX_FLAGS_RELEASE=-O0", "-DGDCORE_KERNEL_OPTIMIZATION=-O0",
             "-DCMAKE_UNITY_BUILD=ON", "-DGDCORE_SCALAR_ONLY=ON",
             f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}"],
            "configuring",
        )  # fmt: skip
        run(["cmake", "--build", build, "-j2", "--target", "_core"], "building _core")
        (module,) = (build / "cpp" / "bindings").glob("_core*.so")
        beside = sources / "python" / "gdcore" / module.name
        if not beside.exists() or beside.read_bytes() != module.read_bytes():
            shutil.copy2(module, beside)
    return sources


@pytest.fixture(scope="module")
def told(one_file_build: Path) -> dict[str, Any]:
    """What a Python says that has all three."""
    sources = one_file_build
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


def test_python_finds_all(told: dict[str, Any]) -> None:
    assert told["names"] == ["bent_identity", "quartic", "shift"]
    assert told["isa"] == "scalar"
    assert told["shown"] == [True, True]
    assert told["overview"] == [True, True, True]


def test_their_gradients_are_right_and_they_train(told: dict[str, Any]) -> None:
    ok, worst = told["gradients"]
    assert ok
    assert worst <= 1e-7
    first, last = told["losses"]
    assert last < 0.9 * first


def test_a_rule_of_norms_moves_by_its_length(told: dict[str, Any]) -> None:
    assert told["lengths"] == pytest.approx([0.5, 0.5])
    first, last = told["by norms"]
    assert last < first


def test_types_of_names_have_both(told: dict[str, Any]) -> None:
    assert re.search(r'ActivationName = Literal\[[^]]*"bent_identity"', told["typing"])
    assert re.search(r'LossName = Literal\[[^]]*"quartic"', told["typing"])
    assert re.search(r'OptimizerName = Literal\[[^]]*"normalized"', told["typing"])


def test_the_layer_is_saved_and_told(told: dict[str, Any]) -> None:
    assert told["file"] == [True, True]
    width, shown, in_summary = told["layer"]
    assert width == 7
    assert "shift" in shown
    assert in_summary


def test_the_reference_has_all(told: dict[str, Any]) -> None:
    activations, losses, layers, optimizers = told["reference"]
    assert ".. autoclass:: gdcore.Normalized" in optimizers.splitlines()
    assert ".. autoclass:: gdcore.BentIdentity" in activations.splitlines()
    assert ".. autoclass:: gdcore.Quartic" in losses.splitlines()
    assert ".. autoclass:: gdcore.Shift" in layers.splitlines()


def test_the_command_line_tells_of_both(told: dict[str, Any]) -> None:
    if told["help"] is None:
        pytest.skip("typer is not installed")
    assert "bent_identity" in told["help"]["activation"]
    assert "quartic" in told["help"]["loss"]
