"""The table of what exists where is what the targets do, for every layer and activation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import REFUSED, everything
from support import ROOT, run_json

import gdcore as gd
from gdcore import export
from gdcore.activations import Activation
from gdcore.layers import Layer

TARGETS = {"torch", "onnx", "c", "keras", "sklearn"}


def public(family: Any) -> set[str]:
    """Those that are gdcore's own; other tests may add some."""
    return {each.__name__ for each in family if each.__module__.startswith("gdcore.")}


def test_the_cases_have_every_layer_and_every_activation() -> None:
    """One that is new belongs into export_cases.py; with it the tests of all targets find it."""
    layers, activations = everything()
    assert layers == public(Layer.kinds.values()) - REFUSED
    assert activations == public(Activation.members.values()) - REFUSED


def test_the_table_is_of_all_of_them() -> None:
    table = export.targets()
    known = public(Layer.kinds.values()) | public(Activation.members.values())
    assert known <= set(table)
    assert all(set(row) <= TARGETS for row in table.values())
    # The cases of the other tests go over these three, one and all.
    everywhere = {name for name in known if {"torch", "onnx", "c"} <= set(table[name])}
    assert everywhere == known - REFUSED


def test_the_room_reads_descriptions_and_never_what_is_compiled() -> None:
    files = list((ROOT / "python" / "gdcore" / "export").glob("*.py"))
    assert len(files) > 10
    for path in files:
        assert not re.search(r"\b_core\b|_native\b", path.read_text()), path.name


# The smallest network with each layer, over four numbers or two codes.
BINS = [[0.0, 1.0, 2.0]] * 4
LAYERS: dict[str, Any] = {
    "BatchNorm": gd.BatchNorm(),
    "Dense": gd.Dense(2),
    "Dropout": gd.Dropout(0.5),
    "Embedding": gd.Embedding(3),
    "EnsembleDense": gd.EnsembleDense(2, 2),
    "EnsembleScale": gd.EnsembleScale(2),
    "GLU": gd.GLU(),
    "LayerNorm": gd.LayerNorm(),
    "LinearReLUEmbedding": gd.LinearReLUEmbedding(2),
    "PReLU": gd.PReLU(),
    "ParametricActivation": gd.ParametricActivation("relu"),
    "PeriodicEmbedding": gd.PeriodicEmbedding(2),
    "PiecewiseLinearEmbedding": gd.PiecewiseLinearEmbedding(BINS, 2),
    "RMSNorm": gd.RMSNorm(),
    "Residual": gd.Residual([gd.Dense(4)]),
    "Scale": gd.Scale(),
    "Standardize": gd.Standardize([0.0] * 4, [1.0] * 4),
}


def network(name: str) -> gd.Network:
    if name in ("Add", "Concat"):
        x, y = gd.Input(2, name="x"), gd.Input(2, name="y")
        return gd.Network(inputs=[x, y], outputs=getattr(gd, name)()(x, y))
    given = gd.Input(categories=[3, 3]) if name == "Embedding" else gd.Input(4)
    first = LAYERS[name] if name in LAYERS else gd.Dense(3)
    rest = [] if name in LAYERS else [getattr(gd, name)()]
    if name == "Dropout":
        rest = [gd.Dense(2)]
    return gd.Network([first, *rest], inputs=given)


def tried(target: str, net: gd.Network, folder: Path) -> bool:
    """Whether a network goes there; if not, the error has to name the target."""
    calls = {
        "onnx": lambda: export.to_onnx(net, folder / "m.onnx"),
        "c": lambda: export.to_c(net, folder / "m.c"),
        "torch": lambda: export.to_torch(net),
        "keras": lambda: export.to_keras_weights(net),
        "sklearn": lambda: export.to_sklearn(net, _classes(net)),
    }
    told = ""
    try:
        calls[target]()
    except ValueError as error:
        told = str(error)
    assert not told or "cannot go to" in told or "to go to" in told
    return not told


def _classes(net: gd.Network) -> Any:
    last = net.layers[-1]
    return np.arange(net.output_size) if isinstance(last, gd.Softmax) else None


PACKAGES = {"onnx": "onnx", "torch": "torch", "sklearn": "sklearn"}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_table_tells_the_truth(target: str, tmp_path: Path) -> None:
    if target in PACKAGES:
        pytest.importorskip(PACKAGES[target], reason=f"{PACKAGES[target]} is not installed")
    for name, told in export.targets().items():
        if name not in public(Layer.kinds.values()) | public(Activation.members.values()):
            continue
        net = network(name)
        found = tried(target, net, tmp_path)
        if target == "sklearn" and name in ("Sigmoid", "Tanh", "ReLU"):
            hidden = gd.Network([gd.Dense(3, getattr(gd, name)()), gd.Dense(2)], input_size=4)
            found = tried(target, hidden, tmp_path)
        assert found == (target in told), name


def test_reading_the_table_loads_no_package() -> None:
    loaded = run_json(
        "import json, sys, gdcore as gd; gd.export.targets()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not {each.split(".")[0] for each in loaded} & {"torch", "onnx", "sklearn", "h5py"}
