"""To PyTorch: modules with the same keys, and state_dict both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gdcore.layers as kinds
from gdcore._check import optional_integer
from gdcore.activations import Activation
from gdcore.export._needed import needed
from gdcore.export._shapes import Shape, activation_of, cannot, checked_network
from gdcore.export._torch_activations import module_of
from gdcore.network import Network

__all__ = ["KINDS", "from_torch", "load_torch_state", "to_torch", "torch_state"]

_TARGET = "PyTorch"


class _Maker:
    """Makes modules of layers; `state` has the shapes of what they keep."""

    def __init__(self, network: Network) -> None:
        from gdcore.export import _torch_layers

        self.torch = needed("to_torch", "torch", "torch")
        self.nn = self.torch.nn
        self.own: Any = _torch_layers
        self.dtype = network.dtype.name
        self.state = network.state_dict()

    def activation(self, name: str, activation: Any) -> Any:
        """The module for an activation, of the layer called so."""
        resolved = activation_of(activation)
        made = module_of(resolved, self.dtype)
        if made is None:
            raise cannot(_TARGET, name, resolved.name, "this activation has no equal there")
        return made

    def children(
        self, layer: kinds.Layer | Activation, name: str, reads: Sequence[Shape], key: str
    ) -> tuple[list[tuple[str, Any]], Shape]:
        """Modules for a layer, by name, the first with its keys; and what they make.

        `name` is what it is called beside its like, `key` what its keys begin with.
        """
        if isinstance(layer, Activation):
            return [(name, self.activation(key, layer))], reads[0]
        make = KINDS.get(layer.kind)
        if make is None:
            raise cannot(_TARGET, key, layer.kind, "this kind of layer has no equal there")
        module, shape = make(self, layer, reads, key)
        found = [(name, module)]
        if isinstance(layer, kinds.Dense):
            activation = activation_of(layer.activation)
            if activation.name != "identity":
                found.append((f"{name}_{activation.name}", self.activation(key, activation)))
        return found, shape

    def row(
        self,
        container: Any,
        layers: Sequence[kinds.Layer | Activation],
        names: Sequence[str],
        shape: Shape,
        prefix: str,
    ) -> Shape:
        """Adds modules for layers in a row to a container; returns what the last one makes."""
        taken = set(names)
        for layer, name in zip(layers, names, strict=True):
            made, shape = self.children(layer, name, [shape], prefix + name)
            for child, module in _free(made, taken):
                add(container, child, module)
        return shape


def add(container: Any, child: str, module: Any) -> None:
    """Adds a module under its name.

    Raises:
        ValueError: It is the name of something else.
    """
    if hasattr(container, child):
        raise ValueError(
            f"layer {child!r} must have another name: PyTorch's modules have an attribute of it"
        )
    container.add_module(child, module)


def _free(children: Sequence[tuple[str, Any]], taken: set[str]) -> list[tuple[str, Any]]:
    """Children whose names, but for the first, are changed until they are new."""
    found = [children[0]]
    for child, module in children[1:]:
        while child in taken:
            child += "_"
        taken.add(child)
        found.append((child, module))
    return found


def _dense(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    width, members, _ = reads[0]
    if layer.weight_norm:
        module = make.own.WeightNormLinear(width, layer.units, layer.bias)
    else:
        kind = make.own.NTKLinear if layer.parametrization == "ntk" else make.nn.Linear
        module = kind(width, layer.units, layer.bias)
    return module, Shape(layer.units, members)


def _batch_norm(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    if layer.ghost is not None or reads[0].members > 1:
        return make.own.BatchNorm(layer, reads[0].columns), reads[0]
    options = (layer.eps, layer.momentum, layer.affine)
    return make.nn.BatchNorm1d(reads[0].width, *options), reads[0]


def _layer_norm(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    return make.nn.LayerNorm(reads[0].width, layer.eps, layer.affine), reads[0]


def _rms_norm(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    return make.nn.RMSNorm(reads[0].width, layer.eps, layer.affine), reads[0]


def _prelu(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    columns = 1 if layer.shared else reads[0].columns
    if reads[0].members > 1:
        return make.own.Rectifier(layer, columns), reads[0]
    return make.nn.PReLU(columns), reads[0]


def _glu(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    made = Shape(reads[0].width // 2, reads[0].members)
    if activation_of(layer.activation).name == "sigmoid":
        return make.nn.GLU(-1), made
    return make.own.Gate(layer, make.activation(key, layer.activation)), made


def _parametric(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    activation = make.activation(key, layer.activation)
    return make.own.Parametric(layer, reads[0].columns, activation), reads[0]


def _embedding(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    categories = reads[0].categories or ()
    sizes = layer.size if isinstance(layer.size, tuple) else (layer.size,) * len(categories)
    return make.own.Embeddings(categories, sizes, layer.sparse), Shape(sum(sizes))


def _linear_relu(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    width = reads[0].width
    return make.own.LinearReLU(layer, width), Shape(width * layer.size)


def _periodic(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    width, activation = reads[0].width, make.activation(key, layer.activation)
    return make.own.Periodic(layer, width, activation), Shape(width * layer.size)


def _piecewise(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    activation = make.activation(key, layer.activation)
    return make.own.PiecewiseLinear(layer, activation), Shape(reads[0].width * layer.size)


def _ensemble(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    activation = make.activation(key, layer.activation)
    module = make.own.EnsembleLinear(layer, reads[0].width, activation)
    return module, Shape(layer.units, layer.members)


def _members(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    width = reads[0].width
    return make.own.EnsembleScale(layer, width), Shape(width, layer.members)


def _concat(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    return make.own.Concat(), Shape(sum(each.width for each in reads))


def _residual(make: _Maker, layer: Any, reads: Sequence[Shape], key: str) -> tuple[Any, Shape]:
    module = make.own.Residual()
    if layer.shortcut is not None:
        shortcut = make.nn.Sequential()
        names = _names(layer.shortcut)
        make.row(shortcut, layer.shortcut, names, reads[0], f"{key}.shortcut.")
        module.add_module("shortcut", shortcut)
    return module, make.row(module, layer.layers, _names(layer.layers), reads[0], f"{key}.")


def _names(layers: Sequence[kinds.Layer | Activation]) -> list[str]:
    own = [each.name if isinstance(each, kinds.Layer) else None for each in layers]
    return [str(index) if name is None else name for index, name in enumerate(own)]


_Make = Callable[[_Maker, Any, Sequence[Shape], str], tuple[Any, Shape]]
KINDS: dict[str, _Make] = {
    "add": lambda make, layer, reads, key: (make.own.Add(), reads[0]),
    "batch_norm": _batch_norm,
    "concat": _concat,
    "dense": _dense,
    "dropout": lambda make, layer, reads, key: (make.nn.Dropout(layer.rate), reads[0]),
    "embedding": _embedding,
    "ensemble_dense": _ensemble,
    "ensemble_scale": _members,
    "glu": _glu,
    "layer_norm": _layer_norm,
    "linear_relu_embedding": _linear_relu,
    "parametric_activation": _parametric,
    "periodic_embedding": _periodic,
    "piecewise_linear_embedding": _piecewise,
    "prelu": _prelu,
    "residual": _residual,
    "rms_norm": _rms_norm,
    "scale": lambda make, layer, reads, key: (make.own.Scale(layer, reads[0].columns), reads[0]),
    "standardize": lambda make, layer, reads, key: (make.own.Standardize(layer), reads[0]),
}


def to_torch(net: Network) -> Any:
    """Makes a module of PyTorch of a network, with its parameters.

    Layers in a row become an ``nn.Sequential``, others a module that takes a tensor, or of several
    inputs a dict of tensors by name. Its ``state_dict`` has the keys and shapes of
    `Network.state_dict`, beside BatchNorm's ``num_batches_tracked``, so that numbers go both ways,
    see `load_torch_state`. PyTorch's own modules are taken where they compute the same: an
    activation of a `Dense` is a child of its own, ``"0_relu"`` behind ``"0"``. Codes are integers.

    >>> module = gdcore.export.to_torch(net).to("cuda")
    >>> net = gdcore.export.from_torch(module)

    Args:
        net: The network. An ensemble makes the outputs of all members, as `Network.forward` does.

    Returns:
        An ``nn.Module`` in eval mode, on the CPU, of the network's dtype; what it makes is within
        rounding of `Network.forward`. The network's `Parameter`, that belong to no layer, are its.

    Raises:
        ImportError: PyTorch is not installed; the extra is ``gdcore[torch]``.
        TypeError: net is no network.
        ValueError: A layer or activation has no equal in PyTorch, or a layer's name is that of an
            attribute of ``nn.Module``.
    """
    network = checked_network(net)
    needed("to_torch", "torch", "torch")
    make = _Maker(network)
    wiring = network._wiring
    shapes = [Shape(each.size, categories=each.categories) for each in wiring.inputs]
    if wiring.is_row:
        module = make.nn.Sequential()
        make.row(module, wiring.layers, wiring.names, shapes[0], "")
    else:
        module = _graph(make, network, shapes)
    for parameter in network.parameters:
        value = make.torch.empty(parameter.sizes)
        module.register_parameter(parameter.name, make.nn.Parameter(value))
    module.to(getattr(make.torch, network.dtype.name))
    module.load_state_dict(_tensors(make.torch, make.state))
    return module.eval()


def _graph(make: _Maker, network: Network, shapes: list[Shape]) -> Any:
    wiring = network._wiring
    taken = set(wiring.names)
    steps: list[tuple[tuple[str, ...], tuple[int, ...]]] = []
    modules: list[tuple[str, Any]] = []
    for layer, name, reads in zip(wiring.layers, wiring.names, wiring.reads, strict=True):
        made, shape = make.children(layer, name, [shapes[i] for i in reads], name)
        children = _free(made, taken)
        steps.append((tuple(child for child, _ in children), reads))
        modules += children
        shapes.append(shape)
    module = make.own.Graph(network.inputs, steps, wiring.heads)
    for child, each in modules:
        add(module, child, each)
    return module


def _tensors(torch: Any, state: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {key: torch.from_numpy(np.array(value)) for key, value in state.items()}


def torch_state(net: Network) -> dict[str, Any]:
    """The parameters of a network as ``load_state_dict`` of PyTorch takes them.

    >>> module.load_state_dict(gdcore.export.torch_state(net))

    Args:
        net: The network; `to_torch` makes the module for it.

    Returns:
        Copies as tensors on the CPU, with the keys of `Network.state_dict`.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError: net is no network.
    """
    state = checked_network(net).state_dict()
    return _tensors(needed("torch_state", "torch", "torch"), state)


# What newer versions of PyTorch's weight_norm call the length and the direction of weights.
_RENAMED = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}


def load_torch_state(net: Network, state: Mapping[str, Any]) -> None:
    """Sets the parameters of a network to those of a module of PyTorch with the same keys.

    >>> gdcore.export.load_torch_state(net, module.state_dict())

    Args:
        net: The network.
        state: ``state_dict()`` of a module, on any device, of any real dtype. BatchNorm's
            ``num_batches_tracked`` is passed over, and both of PyTorch's ``weight_norm`` are known.

    Raises:
        TypeError: net is no network or state no mapping, or something in it is no tensor or array.
        ValueError: As `Network.load_state_dict`; the network is as before.
    """
    network = checked_network(net)
    if not isinstance(state, Mapping):
        raise TypeError(
            f"state must be a mapping, as state_dict() gives, got {type(state).__name__}"
        )
    network.load_state_dict({_key(key): array_of(value) for key, value in state.items()})


def _key(key: str) -> str:
    for theirs, ours in _RENAMED.items():
        if key.endswith(theirs):
            return key.removesuffix(theirs) + ours
    return key


def array_of(value: Any) -> Any:
    """The array of a tensor, wherever it is; anything else as it is."""
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    if "bfloat16" in str(tensor.dtype):  # NumPy has none
        tensor = tensor.float()
    return tensor.numpy()


def from_torch(module: Any, input_size: int | Mapping[str, int] | None = None) -> Network:
    """Makes a network of a module of PyTorch, with its parameters.

    Known are ``Linear`` (also under ``weight_norm``), ``BatchNorm1d``, ``LayerNorm``, ``RMSNorm``,
    ``Dropout``, ``PReLU``, ``GLU``, ``Flatten`` in front, all activations of
    `gdcore.activations`, any ``Sequential`` of them, nested or not, and all that `to_torch` makes.
    A module with a ``forward`` of its own is traced (``torch.fx``): it may call such modules once
    each, these activations as functions, ``dropout``, sums, ``cat`` along columns, and ``flatten``.
    Layers are called as in the module, so that `load_torch_state` and `torch_state` go on working
    between both, but for nested ones and what follows them: ``"body.0"`` becomes ``"body_0"``.
    Activations stand as layers of their own, or, in what `to_torch` made, within their layer.

    Args:
        module: An ``nn.Module``, on any device, its parameters float32 or float64.
        input_size: Columns that it reads; needed where no module tells them. Of several inputs a
            dict by the names of ``forward``'s arguments, which are those of the network's inputs.

    Returns:
        A network of the module's dtype, float32 where it has no numbers, that makes what
        ``module.eval()`` does within rounding. In float64 ``Softplus`` differs by up to 2e-9 beyond
        PyTorch's threshold of 20.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError: module is no ``nn.Module``, or input_size no integer.
        ValueError: A module has no equal here, which it names with the reason; or input_size is
            missing or another than that of the modules.
    """
    nn = needed("from_torch", "torch", "torch").nn
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    size = input_size
    if not isinstance(size, Mapping):
        size = optional_integer("input_size", size)
    from gdcore.export import _from_torch

    return _from_torch.network_from(module, size)
