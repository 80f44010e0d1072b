"""Names of activations, losses, ...: types that are up to date, and that type checkers go by."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import ROOT

import gdcore

RIGHT = """
import numpy as np
from numpy.typing import NDArray

import gdcore as gd
from gdcore import callbacks, schedules
from gdcore.typing import ActivationName, LossName


def network(activation: ActivationName, x: NDArray[np.float32]) -> gd.Network:
    layers = [gd.Dense(64, activation), gd.Dense(10, gd.LeakyReLU(0.2), weight_init="he_normal")]
    for dtype in (np.float32, np.dtype(np.float64)):
        gd.Network(layers, input_size=x.shape[1], dtype=dtype)
    gd.Network(layers, input_size=x.shape[1], dtype=x.dtype)
    return gd.Network(layers, input_size=x.shape[1], dtype="float64", seed=1)


def judge(y: NDArray[np.float64], output: NDArray[np.float64]) -> float:
    return float(abs(y - output).mean())


def train(net: gd.Network, x: NDArray[np.float32], y: NDArray[np.int64], loss: LossName) -> float:
    trainer = gd.Trainer(net, loss, "adamw", schedule=schedules.Cosine(t_max=10, per="step"))
    gd.Trainer(net, gd.Huber(), gd.SGD(momentum=0.9), schedule=lambda epoch: 0.1 / (1 + epoch))
    stop = callbacks.EarlyStopping("val_auc", patience=3, mode="max")
    history: gd.History = trainer.fit(
        x, y, epochs=3, validation_data=(x, y), metrics=("auc", gd.metrics.TopK(3), judge),
        callbacks=[stop, callbacks.Checkpoint("run.safetensors")],
    )
    with gd.profile() as prof:
        trainer.step(x, y)
    print(prof.table(by="layer"), gd.check_gradients(net, "mse", x[:8], x[:8]))
    found: dict[str, float] = trainer.evaluate(x, y, metrics=["accuracy"])
    output: NDArray[np.float64] = gd.matmul(net.predict(x), x, precision="highest")
    with gd.range("mine"):
        trainer.learn_one(x[0], y[0])
    return history["loss"][-1] + found["loss"] + float(output[0, 0])
"""

# Each is an error for the name alone.
WRONG = (
    'gd.Dense(3, "rleu")',
    'gd.Dense(3, weight_init="he")',
    'gd.Dense(3, bias_init="ones")',
    'gd.Network([gd.Dense(3)], input_size=2, dtype="float16")',
    'gd.Trainer(net, "mse_loss", "adam")',
    'gd.Trainer(net, "mse", "adma")',
    'gd.Trainer(net, "mse", "adam", matmul_precision="highst")',
    'gd.Trainer(net, "mse", "adam", schedule="cosin")',
    'gd.schedules.Step(3, per="epochs")',
    "gd.schedules.Cosine()",
    'gd.callbacks.EarlyStopping(mode="maximum")',
    'trainer.fit(x, y, metrics=("auk",))',
    'trainer.evaluate(x, y, metrics=("auk",))',
    'gd.matmul(x, x, precision="low")',
    'gd.check_gradients(net, "msee", x, y)',
    'gd.metrics.AUC()(y, x, task="classes")',
    'gd.profiling.Profile.load("p.npz").table(by="ops")',
    "gd.Dens",
)
WRONG_HEAD = (
    "import gdcore as gd\n\nnet = gd.Network([gd.Dense(1)], input_size=1)\n"
    'trainer = gd.Trainer(net, "mse", "adam")\nx = y = [[1.0]]\n'
)


def test_the_names_are_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "names.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def mypy(folder: Path) -> dict[str, set[int]]:
    """Lines with errors by file."""
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return lines(re.findall(r"^(\w+)\.py:(\d+): error", result.stdout, re.MULTILINE))


def pyright(folder: Path) -> dict[str, set[int]]:
    found = shutil.which("pyright") or shutil.which("basedpyright")
    if found is None:
        pytest.skip("neither pyright nor basedpyright is on the path")
    settings = {"typeCheckingMode": "strict", "reportMissingTypeStubs": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    result = subprocess.run(
        [found, "--outputjson", "--pythonpath", sys.executable, str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    if not result.stdout.startswith("{"):
        pytest.skip(f"{found} does not run here: {(result.stdout + result.stderr)[-200:]}")
    errors = json.loads(result.stdout)["generalDiagnostics"]
    return lines(
        (Path(each["file"]).stem, 1 + each["range"]["start"]["line"])
        for each in errors
        if each["severity"] == "error"
    )


def lines(found: object) -> dict[str, set[int]]:
    by_file: dict[str, set[int]] = {"right": set(), "wrong": set()}
    for name, line in found:  # type: ignore[attr-defined]
        by_file[name].add(int(line))
    return by_file


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_type_checkers_take_right_names_and_refuse_wrong_ones(
    checker: object, tmp_path: Path
) -> None:
    (tmp_path / "right.py").write_text(textwrap.dedent(RIGHT))
    (tmp_path / "wrong.py").write_text(WRONG_HEAD + "\n".join(WRONG) + "\n")
    found = checker(tmp_path)  # type: ignore[operator]
    first = WRONG_HEAD.count("\n") + 1
    told = {WRONG[line - first] for line in found["wrong"] if line >= first}
    assert found["right"] == set(), found
    assert set(WRONG) - told == set()


def test_the_stub_of_the_compiled_module_is_what_it_has(tmp_path: Path) -> None:
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    allowed = ROOT / "tools" / "stubtest.txt"
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "gdcore._core", "--allowlist", str(allowed)],
        capture_output=True,
        text=True,
        cwd=tmp_path,  # away from the sources
    )
    assert result.returncode == 0, result.stdout + result.stderr


# All but the protocol, which is a class.
@pytest.mark.parametrize("name", sorted({*gdcore.typing.__all__} - {"SparseRows"}))
def test_types_of_names_can_be_told_while_running(name: str) -> None:
    """As tools that read annotations do, such as those that make command lines of functions."""
    from typing import get_args, get_type_hints

    assert get_args(getattr(gdcore.typing, name))
    assert "activation" in get_type_hints(gdcore.Dense)
    assert "metrics" in get_type_hints(gdcore.Trainer.fit)
