"""Networks for the tests, each with its oracle, and the formulas as the library lists them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reference import Layer, ReferenceNetwork, losses
from reference.activations import ROW_WISE, Array

import gdcore as gd
from gdcore.activations import Activation
from gdcore.losses import Loss

# Parameters that differ from the defaults, so that a test sees them arrive.
ACTIVATIONS: dict[str, dict[str, float]] = {name: {} for name in Activation.members} | {
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 1.3},
    "softplus": {"beta": 1.7},
    "celu": {"alpha": 0.6},
    "hardtanh": {"min_val": -0.8, "max_val": 1.4},
    "softshrink": {"lambd": 0.3},
    "hardshrink": {"lambd": 0.3},
    "threshold": {"threshold": -0.4, "value": -0.7},
}
LOSSES: dict[str, dict[str, Any]] = {name: {} for name in Loss.members} | {
    "huber": {"delta": 0.7},
    "smooth_l1": {"beta": 0.6},
    "quantile": {"quantiles": (0.8,)},
    "poisson_nll": {"full": True},
    "gaussian_nll": {"full": True, "log_var": True},
    "cosine": {"eps": 1e-6},
    "bce_with_logits": {"pos_weight": 1.7},
    "binary_focal": {"gamma": 1.5, "alpha": 0.4},
    "cross_entropy": {"label_smoothing": 0.1},
    "focal": {"gamma": 1.5},
}
ELEMENTWISE = [name for name in ACTIVATIONS if name not in ROW_WISE]


def activation(name: str) -> Any:
    return Activation.members[name](**ACTIVATIONS[name])


def loss(name: str) -> Any:
    return Loss.members[name](**LOSSES[name])


def dense(widths: Sequence[int], names: Sequence[str], **options: Any) -> list[gd.Dense]:
    """Layers of `widths` units with the activations `names`."""
    return [
        gd.Dense(units, activation(name), **options)
        for units, name in zip(widths, names, strict=True)
    ]


def network(
    widths: Sequence[int], names: Sequence[str], dtype: str = "float64", seed: int = 0
) -> gd.Network:
    """widths[0] inputs, then a layer for each further width, with the activations `names`."""
    return gd.Network(dense(widths[1:], names), input_size=widths[0], dtype=dtype, seed=seed)


def oracle(net: gd.Network, names: Sequence[str]) -> ReferenceNetwork:
    """The reference network with the same parameters; layers must have no names of their own."""
    state = net.state_dict()
    layers = [
        Layer(str(i), name, ACTIVATIONS[name], f"{i}.bias" in state) for i, name in enumerate(names)
    ]
    return ReferenceNetwork(layers, state)


def takes_outputs(name: str, outputs: int) -> bool:
    """Classes are two at least; a mean has a variance."""
    if name == "gaussian_nll":
        return outputs % 2 == 0
    return outputs > 1 or name not in losses.OF_CLASSES


def outputs_for(name: str, outputs: int) -> int:
    """The next number that the loss takes."""
    return outputs if takes_outputs(name, outputs) else outputs + 1


def targets(name: str, samples: int, outputs: int, seed: int = 0) -> np.ndarray:
    """Targets that suit the loss; class indices for losses of classes."""
    rng = np.random.default_rng(seed + 1000)
    if name in losses.OF_CLASSES:
        return rng.integers(0, outputs, samples)
    if name in ("bce_with_logits", "binary_focal"):
        return rng.uniform(0, 1, (samples, outputs))
    if name in ("hinge", "squared_hinge"):
        return rng.choice([-1.0, 1.0], (samples, outputs))
    if name == "poisson_nll":
        return rng.poisson(2.0, (samples, outputs)).astype(np.float64)
    if name == "kl_div":
        return rng.dirichlet(np.ones(outputs), samples)
    columns = outputs // 2 if name == "gaussian_nll" else outputs
    return rng.standard_normal((samples, columns))


def inputs(samples: int, features: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((samples, features))


def reference_gradients(
    net: gd.Network, names: Sequence[str], loss_name: str, x: Array, y: np.ndarray
) -> dict[str, Array]:
    """The gradients of the loss at every parameter, by the oracle."""
    ref = oracle(net, names)
    _, grad = losses.loss_and_gradient(loss_name, ref.forward(x), y, **LOSSES[loss_name])
    return ref.backward(grad)[1]


def again(net: gd.Network, folder: Path) -> Iterator[gd.Network]:
    """The network out of a file, a pickle and a copy, which say that they are the same."""
    net.save(folder / "net.safetensors")
    for found in (
        gd.Network.load(folder / "net.safetensors"),
        pickle.loads(pickle.dumps(net)),
        copy.deepcopy(net),
    ):
        assert found.layers == net.layers
        assert repr(found) == repr(net)
        yield found
