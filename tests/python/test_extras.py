"""Each extra alone: its features work, what needs another names it; and systems without fcntl."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

# What stands for the packages of each extra, and of none.
MODULES = {
    "cli": ("polars", "rich", "sklearn", "typer"),
    "data": ("pyarrow",),
    "keras": ("h5py",),
    "onnx": ("onnx",),
    "mlflow": ("mlflow",),
    "mpi": ("mpi4py",),
    "plot": ("matplotlib",),
    "profile": ("matplotlib", "pandas", "perfetto", "plotly"),
    "river": ("river",),
    "sklearn": ("sklearn",),
    "tensorboard": ("tensorboardX",),
    "torch": ("torch",),
}
OTHERS = ("IPython", "scipy")

HEAD = """
import sys
for name in {blocked}:
    sys.modules[name] = None
if sys.modules.get("torch", 0) is None:  # SciPy looks there, and takes it for loaded
    del sys.modules["torch"]
    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name == "torch":
                raise ModuleNotFoundError("No module named 'torch'", name="torch")
    sys.meta_path.insert(0, Missing())
import numpy as np
import gdcore as gd
from gdcore.callbacks import TensorBoard
x = np.random.default_rng(0).normal(size=(60, 3)); y = (x[:, 0] > 0).astype(int)
net = gd.Network([gd.Dense(4, "relu"), gd.Dense(2)], input_size=3)
trainer = gd.Trainer(net, "cross_entropy", "adam")
def command(*words):
    from gdcore.cli import main
    sys.argv = ["gdcore", *map(str, words)]
    try:
        main()
    except SystemExit as end:
        assert end.code in (0, None), f"exit status {{end.code}}"
def profiled():
    with gd.profile() as prof:
        trainer.fit(x, y, epochs=2, progress=False)
    return prof
"""

# A feature of each kind, the extra that it needs, and what runs it in a folder of its own.
FEATURES = {
    "training": ("", "trainer.fit(x, y, epochs=2); trainer.save('m'); gd.Trainer.load('m')"),
    "pages": ("", "net._repr_html_(); trainer.fit(x, y, epochs=2)._repr_html_()"),
    "profile": (
        "",
        "p = profiled(); p.table(); p.to_chrome_trace('a.json'); p.save('p')",
    ),
    "command": ("cli", "command('train', 'digits', '--epochs', 1, '--hidden', 8, '--save', 'm')"),
    "info": ("cli", "command('info')"),
    "version": ("cli", "command('--version')"),
    "timeline": ("profile", "profiled().plot('a.png'); profiled().plot()"),
    "roofline": ("profile", "profiled().roofline('a.svg')"),
    "report": ("profile", "profiled().to_html('a.html')"),
    "perfetto": ("profile", "profiled().to_perfetto('a.pftrace')"),
    "pandas": ("profile", "profiled().to_pandas()"),
    "sklearn": (
        "sklearn",
        "from gdcore.sklearn import MLPClassifier as C; C(max_iter=3, tol=9, n_iter_no_change=1)"
        ".fit(x, y).predict(x)",
    ),
    "data": (
        "data",
        """
try:
    gd.data.Parquet('a.parquet', 'y')
except FileNotFoundError:
    import pyarrow.parquet
columns = {'a': x[:, 0], 'b': x[:, 1], 'c': x[:, 2], 'y': y}
pyarrow.parquet.write_table(pyarrow.table(columns), 'a.parquet')
trainer.fit(gd.data.Parquet('a.parquet', 'y'), epochs=1)""",
    ),
    "c": ("", "gd.export.to_c(net, 'm.c')"),
    "onnx": ("onnx", "gd.export.to_onnx(net, 'm.onnx')"),
    "keras": (
        "keras",
        "try:\n    gd.export.from_keras_weights(net, 'no.weights.h5')\n"
        "except FileNotFoundError:\n    pass",
    ),
    "torch": ("torch", "gd.export.from_torch(gd.export.to_torch(net)).predict(x)"),
    "to_sklearn": ("sklearn", "gd.export.to_sklearn(net, [0, 1]).predict(x)"),
    "curves": ("plot", "trainer.fit(x, y, epochs=2).plot('a.png')"),
    "frame": ("profile", "trainer.fit(x, y, epochs=2).to_pandas()"),
    "mlflow": (
        "mlflow",
        "import os; os.environ['MLFLOW_TRACKING_URI'] = 'file:runs'; "
        "os.environ['MLFLOW_ALLOW_FILE_STORE'] = 'true'; "
        "trainer.fit(x, y, epochs=1, callbacks=[gd.callbacks.MLflow()])",
    ),
    "river": (
        "river",
        "from gdcore.river import MLPClassifier as C; m = C(); m.learn_one({'a': 1.0}, 'b'); "
        "m.predict_one({'a': 1.0})",
    ),
    "tensorboard": ("tensorboard", "trainer.fit(x, y, epochs=1, callbacks=[TensorBoard('runs')])"),
}


def ran(code: str, installed: set[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs code where of all optional packages only some can be imported."""
    every = {name for names in MODULES.values() for name in names} | set(OTHERS)
    head = HEAD.format(blocked=json.dumps(sorted(every - installed)))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", head + code],
        capture_output=True,
        text=True,
        cwd=folder,
    )


@pytest.mark.parametrize("feature", FEATURES)
def test_an_extra_is_enough_for_its_features(feature: str, tmp_path: Path) -> None:
    extra, code = FEATURES[feature]
    modules = MODULES.get(extra, ())
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"{module}, of the extra {extra}, is not installed")
    # scikit-learn brings SciPy along, TensorBoard's writer what it finds. A table's package that
    # cannot be imported is not for scikit-learn, nor pandas for pyarrow: they take each that is in
    # sys.modules for loaded.
    brought = ("scipy",) if extra in ("cli", "river", "sklearn") else ()
    tables = {"sklearn": ("pandas", "polars", "pyarrow"), "data": ("pandas",)}.get(extra, ())
    result = ran(code, {*modules, *brought, *tables}, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("feature", [name for name, (extra, _) in FEATURES.items() if extra])
def test_what_lacks_an_extra_names_it(feature: str, tmp_path: Path) -> None:
    extra, code = FEATURES[feature]
    result = ran(code, set(), tmp_path)
    assert result.returncode != 0
    assert f'python -m pip install "gdcore[{extra}]"' in result.stderr
    assert not [each for each in tmp_path.iterdir() if each.suffix in (".png", ".html", ".svg")]


@pytest.mark.parametrize("option", ["train --plot a.png --epochs 1", "scaling --plot a.png"])
def test_every_plot_of_the_command_names_the_same_extra(option: str, tmp_path: Path) -> None:
    for module in MODULES["cli"]:
        pytest.importorskip(module)
    command, *rest = option.split()
    code = f"command({command!r}, 'digits', *{rest!r})"
    result = ran(code, {*MODULES["cli"], "scipy"}, tmp_path)
    assert result.returncode != 0
    assert 'python -m pip install "gdcore[plot]"' in result.stderr


def test_systems_without_fcntl_and_resource_train_and_save(tmp_path: Path) -> None:
    """As Windows is: both modules are missing there."""
    code = """
    import os, sys
    for name in ("fcntl", "resource"):
        sys.modules[name] = None
    import numpy as np
    import gdcore as gd
    from gdcore import callbacks
    from gdcore._live import peak_bytes
    net = gd.Network([gd.Dense(2)], input_size=1)
    trainer = gd.Trainer(net, "mse", "adam")
    x = np.ones((4, 1)); y = np.ones((4, 2))
    trainer.fit(x, y, epochs=2, progress=False, callbacks=[callbacks.Live("live")])
    for _ in range(2):  # beside a file that is there too
        trainer.save("m")
    assert gd.Trainer.load("m").epochs == 2
    assert sorted(os.listdir()) == ["live", "m"], os.listdir()
    try:
        trainer.save("m", extra={"a": float("nan")})
    except ValueError:
        pass
    from gdcore.files import written_beside
    try:
        with written_beside("m") as file:
            file.write(b"half")
            raise KeyError
    except KeyError:
        pass
    assert gd.Trainer.load("m").epochs == 2
    assert sorted(os.listdir()) == ["live", "m"], os.listdir()
    assert peak_bytes() is None
    """
    if find_spec("typer") is not None and find_spec("polars") is not None:
        code += "import gdcore.cli.report\n"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
