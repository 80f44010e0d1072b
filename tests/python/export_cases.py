"""Networks that go to other programs: every kind of layer, every activation, several of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import numpy as np

import gdcore as gd
from gdcore.activations import Activation

__all__ = ["CASES", "DTYPES", "REFUSED", "TOLERANCE", "case", "close", "everything", "randomized"]

RNG = np.random.default_rng(8)
INPUTS, ROWS = 5, 24
X = RNG.standard_normal((ROWS, INPUTS))
NUMBERS = RNG.standard_normal((ROWS, 3)) * 2
CODES = np.stack([RNG.integers(0, n, ROWS) for n in (4, 7)], axis=1)
BINS = [np.linspace(-1.1, 1.3, 2 + column % 4).tolist() for column in range(INPUTS)]
DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}

# Layers and activations by their class that PyTorch, ONNX or C cannot have: none so far. A new one
# has a line in gdcore/export, of a layer in a case below too, or stands here.
REFUSED: set[str] = set()

# Layers in a row, over X.
ROWS_OF: dict[str, Callable[[], list[Any]]] = {
    "dense": lambda: [gd.Dense(8, "relu", name="first"), gd.Dense(3, bias=False), "tanh"],
    "ntk": lambda: [gd.Dense(8, "silu", parametrization="ntk"), gd.Dense(1)],
    "weight_norm": lambda: [gd.Dense(8, "elu", weight_norm=True), gd.Dense(2, "softmax")],
    "norms": lambda: [
        gd.Standardize([1.0, 20.0, -3.0, 0.0, 0.1], [2.0, 30.0, 0.1, 1.0, 5.0]),
        gd.BatchNorm(0.1, 0.3, ghost=7),
        gd.Dense(6),
        gd.LayerNorm(1e-3),
        "relu",
        gd.Dropout(0.25),
        gd.RMSNorm(),
        gd.BatchNorm(affine=False),
        gd.LayerNorm(affine=False),
        gd.RMSNorm(1e-2, affine=False),
        gd.Dense(3),
    ],
    "columns": lambda: [
        gd.PReLU(),
        gd.PReLU(shared=False),
        gd.Scale(),
        gd.ParametricActivation("mish"),
        gd.Dense(8),
        gd.GLU(),
        gd.GLU("gelu"),
        gd.Dense(2),
    ],
    "residual": lambda: [
        gd.Residual([gd.LayerNorm(), gd.Dense(7, "silu"), gd.Dense(INPUTS)]),
        gd.Residual([gd.Dense(6, "tanh"), gd.Residual([gd.Dense(6)])], shortcut=[gd.Dense(6)]),
        gd.Dense(2),
    ],
    "linear_relu": lambda: [gd.LinearReLUEmbedding(4), gd.Dense(2)],
    "periodic": lambda: [gd.PeriodicEmbedding(4, frequencies=3, sigma=0.7), gd.Dense(2)],
    "periodic_lite": lambda: [
        gd.PeriodicEmbedding(3, frequencies=3, sigma=0.7, lite=True, activation="tanh"),
        gd.Dense(2),
    ],
    "pbld": lambda: [gd.PeriodicEmbedding.pbld(frequencies=5, sigma=0.7), gd.Dense(2)],
    "piecewise_a": lambda: [
        gd.PiecewiseLinearEmbedding(BINS, 3, activation="relu", version="A"),
        gd.Dense(2),
    ],
    "piecewise_b": lambda: [gd.PiecewiseLinearEmbedding(BINS, 3), gd.Dense(2)],
    "tabm": lambda: [
        gd.Dense(6, "relu"),
        gd.EnsembleDense(8, 4, "relu", r_init="normal"),
        gd.BatchNorm(),
        gd.PReLU(shared=False),
        gd.Residual([gd.EnsembleDense(8, 4, "gelu")]),
        gd.EnsembleDense(3, 4, "softmax", shared=False),
    ],
    "tabm_mini": lambda: [
        gd.EnsembleScale(3),
        gd.Dense(8, "tanh"),
        gd.Scale(),
        gd.ParametricActivation("silu"),
        gd.Dropout(),
        gd.EnsembleDense(3, 3, shared=False, bias=False),
    ],
}


def every_activation(dtype: Any) -> gd.Network:
    """Each with a head of its own, with numbers that differ from the defaults."""
    x = gd.Input(INPUTS)
    h = gd.Dense(8)(x)
    family = Activation.members.items()
    heads = {
        name: cls(**nets.ACTIVATIONS[name])(h)
        for name, cls in family
        if cls.__name__ not in REFUSED
    }
    return gd.Network(inputs=x, outputs=heads, dtype=dtype)


def joined(dtype: Any) -> gd.Network:
    """Numbers and codes, two heads; names that C and Fortran have to change."""
    x, c = gd.Input(3, name="numbers"), gd.Input(categories=(4, 7), name="exp")
    a = gd.Dense(6, "relu", name="front")(x)
    b = gd.Embedding([3, 2])(c)
    h = gd.Concat()(a, b, x)
    h = gd.Add()(gd.Dense(6, "gelu")(h), a, a)
    outputs = {"a price": gd.Dense(1)(h), "mean": gd.Dense(4)(h)}
    return gd.Network(inputs=[x, c], outputs=outputs, dtype=dtype)


def only_codes(dtype: Any) -> gd.Network:
    layers = [gd.Embedding(3), gd.Dense(4, "relu"), gd.Dense(3)]
    return gd.Network(layers, inputs=gd.Input(categories=(4, 7)), dtype=dtype)


CASES: dict[str, Callable[[Any], gd.Network]] = {
    **{
        name: lambda dtype, make=make: gd.Network(make(), input_size=INPUTS, dtype=dtype)
        for name, make in ROWS_OF.items()
    },
    "activations": every_activation,
    "joined": joined,
    "only_codes": only_codes,
}


def randomized(net: gd.Network, seed: int = 2) -> gd.Network:
    """With other numbers than those at first, where some do nothing."""
    rng = np.random.default_rng(seed)
    state = net.state_dict()
    for key, value in state.items():
        if key.endswith(("running_var", "weight_g")):
            state[key] = rng.uniform(0.5, 1.5, value.shape)
        elif not key.endswith((".bins", ".scale", ".mean")):
            state[key] = value + rng.normal(0, 0.2, value.shape)
    net.load_state_dict(state)
    return net


def case(name: str, dtype: str) -> tuple[gd.Network, Any]:
    """A network of CASES, and what goes in: an array or a dict of arrays."""
    net = randomized(CASES[name](dtype))
    if name == "joined":
        return net, {"numbers": NUMBERS.astype(dtype), "exp": CODES}
    return net, CODES if name == "only_codes" else X.astype(dtype) * 3


def close(found: Any, wanted: Any, dtype: str, what: str) -> None:
    """Whether they are equal within TOLERANCE of the largest, or of 1."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name, each in wanted.items():
            close(found[name], each, dtype, f"{what}, {name}")
        return
    assert found.shape == wanted.shape, what
    assert found.dtype == wanted.dtype == dtype, what
    error = np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max())
    assert error <= TOLERANCE[dtype], f"{what}: {error:.2g}"


def everything() -> tuple[set[str], set[str]]:
    """The kinds of layers, and the activations, that the cases have."""
    layers, activations = set(), set()

    def look(row: Any) -> None:
        for each in row:
            (activations if isinstance(each, Activation) else layers).add(type(each).__name__)
            if isinstance(each, gd.Residual):
                look([*each.layers, *(each.shortcut or ())])

    for make in CASES.values():
        look(make("float32").layers)
    return layers, activations
