"""Weights in the order and the shapes that Keras has them in."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore._layer import Spec
from gdcore.activations import Activation
from gdcore.export._needed import needed
from gdcore.export._shapes import cannot, checked_network
from gdcore.network import Network

__all__ = ["KINDS", "from_keras_weights", "to_keras_weights"]

Array = NDArray[Any]


class _Entry(NamedTuple):
    """An array of a layer.

    Attributes:
        theirs: What Keras calls it.
        ours: What stands for it in the keys of ``state_dict``; None: a count that we do not keep.
        to: Makes theirs of ours.
        back: And ours of theirs.
    """

    theirs: str
    ours: str | None
    to: Callable[[Array], Array] = np.copy
    back: Callable[[Array], Array] = np.copy


class _Kind(NamedTuple):
    """A kind of layer: what files of Keras call it, and its arrays in order."""

    group: str
    entries: tuple[_Entry, ...]


class _Planned(NamedTuple):
    """An array that a network has: its entry and key, its layer's name, number and kind."""

    entry: _Entry
    key: str | None
    layer: str
    number: int
    group: str


def _turned(array: Array) -> Array:
    return np.ascontiguousarray(array.T)


_NORM = (_Entry("gamma", "weight"), _Entry("beta", "bias"))
# Kinds that keep nothing stand here too: what is not here cannot go to Keras.
KINDS: dict[str, _Kind] = {
    "activation": _Kind("", ()),
    "add": _Kind("", ()),
    "batch_norm": _Kind(
        "batch_normalization",
        (
            *_NORM,
            _Entry("moving_mean", "running_mean"),
            _Entry("moving_variance", "running_var"),
        ),
    ),
    "concat": _Kind("", ()),
    "dense": _Kind("dense", (_Entry("kernel", "weight", _turned, _turned), _Entry("bias", "bias"))),
    "dropout": _Kind("", ()),
    "embedding": _Kind("embedding", (_Entry("embeddings", "weight"),)),
    "glu": _Kind("", ()),
    "layer_norm": _Kind("layer_normalization", _NORM),
    "prelu": _Kind("p_re_lu", (_Entry("alpha", "weight"),)),
    "rms_norm": _Kind("rms_normalization", (_Entry("scale", "weight"),)),
    "standardize": _Kind(
        "normalization",
        (
            _Entry("mean", "mean"),
            _Entry("variance", "scale", np.square, np.sqrt),
            _Entry("count", None),
        ),
    ),
}


def to_keras_weights(net: Network) -> list[Array]:
    """The parameters of a network as ``set_weights`` of a Keras model of its layers takes them.

    >>> model.set_weights(gdcore.export.to_keras_weights(net))

    Layer by layer, in the order of `Network.summary`: of `Dense` kernel (inputs, units) and bias;
    of `BatchNorm` gamma, beta, moving mean and moving variance; of `LayerNorm` gamma and beta; of
    `RMSNorm` its scale; of `PReLU` alpha, with ``shared_axes=[1]`` where it is shared; of
    `Embedding` a table a column, each of an ``Embedding`` of its own; of `Standardize` mean,
    variance and count of a ``Normalization``, whose ``finalize_state()`` then is to be called. What
    a layer has not, such as a bias, is left out, as by ``use_bias=False``, or by ``center=False``
    and ``scale=False``. Keras's defaults are other ones, ``epsilon=1e-3`` among them.

    Args:
        net: The network.

    Returns:
        Copies, of the network's dtype.

    Raises:
        TypeError: net is no network.
        ValueError: A layer has no equal in Keras.
    """
    network = checked_network(net)
    state = network.state_dict()
    made = []
    for each in _entries(network):
        unknown = each.key is None
        made.append(np.zeros((), np.int32) if unknown else each.entry.to(state[str(each.key)]))
    return made


def from_keras_weights(net: Network, weights: Sequence[Any] | str | os.PathLike[str]) -> None:
    """Sets the parameters of a network to those of a Keras model of the same layers.

    >>> gdcore.export.from_keras_weights(net, model.get_weights())
    >>> gdcore.export.from_keras_weights(net, "model.keras")

    Args:
        net: The network.
        weights: What ``get_weights()`` gives, in the order of `to_keras_weights`; or a file that
            Keras 3 saved, ``.keras`` or ``.weights.h5``, whose layers are found by their kind, each
            kind in its order. Keras itself is not needed, and nothing in a file is run.

    Raises:
        ImportError: It is a file, and h5py is not installed; the extra is ``gdcore[keras]``.
        OSError: The file cannot be read.
        TypeError: An argument is of the wrong type.
        ValueError: A layer has no equal in Keras, or arrays are missing, left over, of another
            shape or not finite; the network is as before.
    """
    network = checked_network(net)
    plan = list(_entries(network))
    if isinstance(weights, (str, os.PathLike)):
        arrays = _read(Path(weights), plan)
    elif isinstance(weights, (list, tuple)):
        arrays = list(weights)
    else:
        raise TypeError(
            "weights must be a list of arrays, as get_weights() gives, or a path, got "
            f"{type(weights).__name__}"
        )
    if len(arrays) != len(plan):
        told = ", ".join(f"{each.entry.theirs} of {each.layer}" for each in plan)
        raise ValueError(f"weights must be {len(plan)} arrays ({told}), got {len(arrays)}")
    now = network.state_dict()
    found = dict(now)
    for index, (each, value) in enumerate(zip(plan, arrays, strict=True)):
        if each.key is not None:
            found[each.key] = _ours(f"weights[{index}]", each, value, now[each.key])
    network.load_state_dict(found)


def _ours(argument: str, planned: _Planned, value: Any, now: Array) -> Array:
    """An array of Keras's as ours; `now` is what stands in its place."""
    entry, array = planned.entry, np.asarray(value)
    what = f"{argument}, {entry.theirs} of layer {planned.layer!r},"
    wanted = entry.to(now).shape
    if array.shape != wanted:
        raise ValueError(f"{what} must have shape {wanted}, got {array.shape}")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{what} must hold real numbers, got {array.dtype}")
    if entry.back is np.sqrt and not (array > 0).all():
        raise ValueError(f"{what} must be above 0, got {array.min():g}")
    return entry.back(array)


def _entries(network: Network) -> Iterator[_Planned]:
    """All arrays in order."""
    graph, state, number = network._wiring.graph(), network.state_dict(), 0
    if network.parameters:
        raise ValueError(
            f"parameter {network.parameters[0].name!r} cannot go to Keras: it belongs to no layer"
        )
    for spec, shown in zip(graph.specs, graph.shown, strict=True):
        kind = KINDS.get(spec.kind)
        if kind is None:
            told = shown.name if isinstance(shown, Activation) else spec.kind
            raise cannot("Keras", spec.name, str(told), "this kind of layer has no equal there")
        for stem in _stems(spec, state):
            number += 1
            for entry in kind.entries:
                key = None if entry.ours is None else f"{stem}.{entry.ours}"
                if key is None or key in state:
                    yield _Planned(entry, key, spec.name, number, kind.group)


def _stems(spec: Spec, state: dict[str, Array]) -> list[str]:
    """What the keys of a layer begin with, of an embedding those of each table."""
    if spec.kind != "embedding":
        return [spec.name]
    count = sum(1 for key in state if re.fullmatch(re.escape(spec.name) + r"\.\d+\.weight", key))
    return [f"{spec.name}.{k}" for k in range(count)]


def _read(path: Path, plan: list[_Planned]) -> list[Array]:
    """The arrays of a file in the order of the plan."""
    h5py = needed("reading a file of Keras", "h5py", "keras")
    raw: Any = path
    if path.suffix == ".keras":
        try:
            with zipfile.ZipFile(path) as whole:
                raw = io.BytesIO(whole.read("model.weights.h5"))
        except (zipfile.BadZipFile, KeyError):
            raise ValueError(f"{path} is no model that Keras 3 saved") from None
    elif not path.name.endswith(".weights.h5"):
        raise ValueError(f"weights must be a .keras or a .weights.h5 file, got {str(path)!r}")
    else:
        with open(path, "rb"):  # h5py's message of a file that is not there is a long one
            pass
    try:
        file = h5py.File(raw, "r")
    except OSError:
        raise ValueError(f"{path} is damaged, or no file of weights that Keras 3 saved") from None
    with file:
        return _in_order(path, file, plan)


def _in_order(path: Path, file: Any, plan: list[_Planned]) -> list[Array]:
    layers = file.get("layers")
    if layers is None:
        raise ValueError(f"{path} is no file of weights that Keras 3 saved: it has no layers")
    held = {name: list(each.get("vars", {})) for name, each in layers.items()}
    nested = [name for name, each in layers.items() if "layers" in each]
    if nested:
        raise ValueError(f"{path} has models within a model, {nested[0]!r}: give its get_weights()")
    names: dict[int, str] = {}
    counts: dict[str, int] = {}
    arrays = []
    for each in plan:
        if each.number not in names:
            count = counts.get(each.group, 0)
            counts[each.group] = count + 1
            names[each.number] = f"{each.group}_{count}" if count else each.group
        name = names[each.number]
        if not held.get(name):
            raise ValueError(f"{path} has no more arrays for layer {each.layer!r}, in {name!r}")
        place = min(held[name], key=int)
        held[name].remove(place)
        arrays.append(layers[name]["vars"][place][()])
    left = next((name for name, rest in held.items() if rest and not _is_random(name)), None)
    if left is not None:
        raise ValueError(f"{path} has arrays of {left!r} that the network has no layer for")
    return arrays


def _is_random(name: str) -> bool:
    return name.startswith(("dropout", "seed_generator"))
