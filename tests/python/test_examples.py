"""The course's examples, in their small form: what each claims to show can be seen."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support import ROOT, guarded_run

import gdcore as gd

EXAMPLES = ROOT / "examples"
FASHION = Path("/usr/share/datasets/fashion-mnist")
# Runs an example where a package looks as if it were not installed.
WITHOUT = """
import runpy, sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing)
sys.path.insert(0, sys.argv[1].rpartition("/")[0])
path = sys.argv[1]
sys.argv[1:] = ["--quick"]
runpy.run_path(path, run_name="__main__")
"""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports an example by name, as `python examples/name.py` would find it.

    It is forgotten after: an example may be called as a package is.
    """
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    before = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in names & sys.modules.keys():
        del sys.modules[name]
    sys.modules.update(before)


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return guarded_run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, cwd=cwd
    )


def assert_picture(path: Path) -> None:
    """A PNG that can be decoded, of a legible size, with more on it than a white page."""
    image = importlib.import_module("PIL.Image")
    with image.open(path) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("L"))
    assert min(pixels.shape) >= 300
    assert max(pixels.shape) <= 2000
    drawn = pixels < 200
    assert 0.005 < drawn.mean() < 0.5
    # Something in every quarter of the page.
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    for quarter in (drawn[:h, :w], drawn[:h, w:], drawn[h:, :w], drawn[h:, w:]):
        assert quarter.mean() > 0.001
    assert path.stat().st_size < 150_000


def test_learning_rates(example: Any, tmp_path: Path) -> None:
    seen = example("learning_rates").main(tmp_path, quick=True)
    crawls, right, diverges = (seen["losses"][name] for name in ("crawls", "right", "diverges"))
    assert crawls[0] == right[0] == diverges[0]
    assert right[-1] < crawls[-1] < crawls[0]
    assert right[-1] < crawls[-1] / 2
    assert all(later > 2 * sooner for sooner, later in pairwise(diverges[:9]))
    assert np.isinf(diverges[-1])
    assert "learning rate 0.5" in seen["error"]
    assert seen["kept"] == pytest.approx(right[0]), "the epoch is taken back"
    assert_picture(tmp_path / "learning_rates.png")


def test_range_test(example: Any, tmp_path: Path) -> None:
    found = example("range_test").main(tmp_path, quick=True)
    assert 1e-4 < found.suggestion < found.lr[-1] / 10
    assert found.smoothed[-1] > 2 * found.smoothed.min()
    assert_picture(tmp_path / "range_test.png")


def test_double_well(example: Any, tmp_path: Path) -> None:
    module = example("double_well")
    seen = module.main(tmp_path, quick=True)
    left, right, momentum = (path[-1] for path in seen["paths"].values())
    # The minima are the outer roots of 4 w^3 - 4 w + 0.3.
    low, _, high = np.sort(np.roots([4, 0, -4, 0.3]).real)
    assert left == pytest.approx(low, abs=1e-3)
    assert right == pytest.approx(high, abs=1e-3)
    assert momentum == pytest.approx(low, abs=0.05)
    assert module.f(left) < module.f(right) - 0.5
    wells = {share: low if end < 0 else high for share, end in seen["ends"].items()}
    assert (wells[0.0], wells[0.8], wells[0.9], wells[0.95]) == (high, high, low, high)
    assert_picture(tmp_path / "double_well.png")


def test_schedules(example: Any, tmp_path: Path) -> None:
    seen = example("schedules").main(tmp_path, quick=True)["curves"]
    assert {each.__name__ for each in gd.schedules.Schedule.members.values()} <= seen.keys()
    assert all(0 <= rate <= 1 for curve in seen.values() for rate in curve)
    for name in ("ReduceOnPlateau", "Adaptive"):
        assert 1 > seen[name][45] > seen[name][90] > 0
    assert_picture(tmp_path / "schedules.png")


def test_paths(example: Any, tmp_path: Path) -> None:
    module = example("paths")
    paths = module.main(tmp_path, quick=True)
    assert list(paths) == ["SGD", "Momentum", "Adagrad", "Adadelta", "Adam"]
    start = np.array(module.START)
    height = {name: module.f(path.T) for name, path in paths.items()}
    for name, path in paths.items():
        np.testing.assert_array_equal(path[0], start)
        assert height[name][-1] < height[name][0], name
    # First steps by hand: momentum has none to keep yet, and Adagrad's and Adam's are lr sign(g).
    slope = module.slope(start)
    np.testing.assert_allclose(paths["SGD"][1], start - 0.01 * slope, rtol=1e-12)
    np.testing.assert_array_equal(paths["Momentum"][1], paths["SGD"][1])
    np.testing.assert_allclose(paths["Adagrad"][1], start - 0.5 * np.sign(slope), rtol=1e-9)
    np.testing.assert_allclose(paths["Adam"][1], start - 0.1 * np.sign(slope), rtol=1e-9)
    first = np.abs(paths["Adadelta"][1] - start)
    np.testing.assert_allclose(first, np.sqrt(1e-6 / 0.1), rtol=1e-3)
    assert height["Momentum"][-1] < 1e-6 < height["SGD"][-1]
    assert height["Adam"][-1] < 1e-6
    assert_picture(tmp_path / "paths.png")


def test_the_slope_of_paths_is_right(example: Any) -> None:
    import gdcore as gd

    module = example("paths")
    for w in ([-1.4, 1.6], [0.3, -0.2], [1.0, 1.0]):
        numerical = gd.numerical_gradient(module.f, w)
        np.testing.assert_allclose(module.slope(np.array(w)), numerical, rtol=1e-7, atol=1e-7)


def test_tabm(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    seen = example("tabm").main(tmp_path, quick=True)
    assert seen["breast_cancer"]["TabM"] < 0.12  # of 63 % that are benign
    diabetes = seen["diabetes"]
    assert diabetes["TabM"] < 65  # scores have a spread of 77
    # The mean of predictions errs no more than they do on average.
    assert diabetes["TabM"] <= np.sqrt(np.mean(diabetes["members"] ** 2))
    assert len(np.unique(diabetes["members"])) == 8
    assert_picture(tmp_path / "tabm.png")


def test_realmlp(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    seen = example("realmlp").main(tmp_path, quick=True)
    assert seen["breast_cancer"]["error"] < 0.12  # of 63 % that are benign
    assert seen["diabetes"]["error"] < 65  # scores have a spread of 77
    assert_picture(tmp_path / "realmlp.png")


def test_batches(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    runs = example("batches").main(tmp_path, quick=True)
    full, mini, one = (runs[size]["loss"] for size in (None, 32, 1))
    assert full[0] == mini[0] == one[0]
    # The more updates an epoch has, the further it gets.
    for epoch in (1, 10, 20):
        assert one[epoch] < mini[epoch] < full[epoch]
    assert full[-1] < full[0] / 4
    for run_ in runs.values():
        assert all(later > sooner for sooner, later in pairwise(run_["seconds"]))
    assert_picture(tmp_path / "batches.png")


def test_online_flip(example: Any, tmp_path: Path) -> None:
    seen = example("online_flip").main(tmp_path, quick=True)
    assert seen["before"] > 0.9
    assert seen["lowest"] < 0.5, "worse than guessing"
    assert seen["after"] > 0.9
    assert seen["stale"] < 0.1
    assert seen["recovered"] < 1000
    assert_picture(tmp_path / "online_flip.png")


def test_fashion_mnist(example: Any, tmp_path: Path) -> None:
    if not FASHION.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    seen = example("fashion_mnist").main(tmp_path, quick=True)
    assert len(seen["val_accuracy"]) == 15
    assert seen["loss"][-1] < seen["loss"][0] / 3
    assert seen["val_accuracy"][-1] > 0.8  # of 2,000 images, and after 2,000
    assert_picture(tmp_path / "fashion_mnist.png")


def test_regression(example: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    linear = pytest.importorskip("sklearn.linear_model").LinearRegression()
    seen = example("regression").main(tmp_path, quick=True)
    r2 = {name: np.mean(values) for name, values in seen["r2"].items()}
    assert r2["network"] > 0.4
    assert abs(r2["network"] - r2["least squares"]) < 0.05
    assert r2["network, too long"] < r2["network"] - 0.05
    training = {name: np.mean(values) for name, values in seen["r2_training"].items()}
    assert training["network, too long"] > training["network"] + 0.05, "by heart"
    # The line of the first split is scikit-learn's.
    x, y = datasets.load_diabetes(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    linear.fit(x[order[:342]], y[order[:342]])
    expected = linear.score(x[order[342:]], y[order[342:]])
    assert seen["r2"]["least squares"][0] == pytest.approx(expected, abs=1e-6)
    assert_picture(tmp_path / "regression.png")


def test_sac(example: Any, tmp_path: Path) -> None:
    seen = example("sac").main(tmp_path, quick=True)
    assert seen["after"] < seen["before"] / 3
    assert seen["upright"] > 0.9
    assert_picture(tmp_path / "sac.png")


def test_ppo_cartpole(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    module = example("ppo_cartpole")
    seen = module.main(tmp_path, quick=True)
    assert seen["updates"] == 640
    assert seen["score"] > 100  # by chance 22
    assert_picture(tmp_path / "ppo_cartpole.png")


def test_the_derivatives_of_ppo_are_those_of_its_loss(
    example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    module = example("ppo_cartpole")
    monkeypatch.setattr(module, "ENTROPY", 0.03)
    rng = np.random.default_rng(0)
    action, gain, worth = rng.integers(0, 2, 9), rng.normal(size=9), rng.normal(size=9)
    before = np.log(rng.uniform(0.2, 0.8, 9))
    output = {"policy": rng.normal(size=(9, 2)), "value": rng.normal(size=(9, 1))}

    def loss(both: np.ndarray) -> float:
        logs = module.log_softmax(both[:, :2])
        ratio = np.exp(logs[np.arange(9), action] - before)
        goes = np.minimum(ratio * gain, ratio.clip(0.8, 1.2) * gain)
        entropy = -(np.exp(logs) * logs).sum(axis=1)
        return float((-goes - 0.03 * entropy + module.VALUE * (both[:, 2] - worth) ** 2).mean())

    found = module.derivatives(output, action, before, gain, worth, 0.2)
    both = np.hstack([output["policy"], output["value"]])
    expected = gd.numerical_gradient(loss, both)
    given = np.hstack([found["policy"], found["value"]])
    np.testing.assert_allclose(given, expected, rtol=1e-6, atol=1e-8)


def test_dqn_cartpole(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    seen = example("dqn_cartpole").main(tmp_path, quick=True)
    assert 2000 < seen["updates"] <= 2700
    assert seen["score"] > 40  # by chance 22
    assert_picture(tmp_path / "dqn_cartpole.png")


def test_the_memory_of_dqn_ends_where_episodes_end(example: Any) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    module = example("dqn_cartpole")
    memory, copies = module.Memory(40), module.COPIES
    for t in range(40):
        state = np.full((copies, 4), t)
        failed, ended = np.full(copies, t == 25), np.full(copies, t in (10, 25))
        memory.add(state, np.zeros(copies, int), state + 1, np.ones(copies), failed, ended)
    state, _, gain, after, share = memory.drawn(np.random.default_rng(0))
    for t, g, then, left in zip(state[:, 0], gain, after[:, 0], share):
        end = next(end for end in (10, 25, 99) if t <= end)
        steps = min(module.AHEAD, int(end - t) + 1)
        assert then == t + steps
        assert g == pytest.approx(sum(module.DISCOUNT**k for k in range(steps)))
        is_failure = end == 25 and t + steps == 26
        assert left == pytest.approx(0.0 if is_failure else module.DISCOUNT**steps)


def test_sac_pendulum(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    seen = example("sac_pendulum").main(tmp_path, quick=True)
    assert seen["updates"] == 1000
    assert -1900 < seen["score"] < 0
    assert_picture(tmp_path / "sac_pendulum.png")


def test_the_command_line_writes_where_it_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    out = tmp_path / "new" / "pictures"
    result = run(EXAMPLES / "double_well.py", "--quick", "--out", out, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    assert "-1.0356" in result.stdout
    assert_picture(out / "double_well.png")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("double_well", "matplotlib", "matplotlib"),
        ("ppo_cartpole", "gymnasium", "gymnasium"),
        ("batches", "sklearn", "scikit-learn"),
        ("regression", "sklearn", "scikit-learn"),
    ],
)
def test_a_missing_package_is_told_in_one_line(
    tmp_path: Path, name: str, module: str, package: str
) -> None:
    if package != "matplotlib":
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    hidden = WITHOUT.replace("MISSING", repr(module))
    result = run("-c", hidden, EXAMPLES / f"{name}.py", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [f"this example needs {package}: pip install {package}"]
    assert not list(tmp_path.iterdir())


def test_missing_images_are_told_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    nowhere = tmp_path / "nowhere"
    result = run(EXAMPLES / "fashion_mnist.py", "--quick", "--data", nowhere, cwd=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    for word in (str(nowhere), "apt-get install dataset-fashion-mnist", "--data"):
        assert word in line


def test_every_example_is_tested_here() -> None:
    """But the one by hand, which tests itself."""
    here = Path(__file__).read_text()
    names = {path.stem for path in EXAMPLES.glob("[a-z]*.py")} - {"by_hand_2_3_2"}
    assert len(names) == 15
    for name in names:
        assert f"def test_{name}(" in here
