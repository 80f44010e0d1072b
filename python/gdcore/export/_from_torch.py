"""Networks of PyTorch's modules; needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from torch import nn

import gdcore.layers as kinds
from gdcore.activations import Activation, Identity
from gdcore.export import _torch_layers as own
from gdcore.export._torch import array_of
from gdcore.export._torch_activations import activation_from
from gdcore.export._traced import Traced
from gdcore.network import Network
from gdcore.parameters import Parameter

__all__ = ["network_from"]


class Found(NamedTuple):
    """A layer of a module.

    Attributes:
        path: Where it stands in the module.
        layer: What it is.
        size: Columns that it reads; None: any number.
        keys: Of what it keeps, the key in the module, and what follows the layer's name in its
            network.
    """

    path: str
    layer: Any
    size: int | None = None
    keys: tuple[tuple[str, str], ...] = ()


def refused(path: str, module: Any, reason: str) -> ValueError:
    """The error for a module that there is no layer for."""
    kind = type(module).__name__
    where = f"module {path!r} ({kind})" if path else f"module ({kind})"
    return ValueError(f"{where} has no equal in gdcore: {reason}")


def network_from(module: Any, input_size: int | Mapping[str, int] | None) -> Network:
    """See `gdcore.export.from_torch`."""
    dtype = _dtype_of(module)
    free = _free_parameters(module)
    if isinstance(module, own.Graph):
        network, keys = _graph(module, dtype, free)
    elif _has_own_code(module):
        found = Traced(module, input_size, _leaf, refused)
        network = Network(inputs=found.inputs, outputs=found.outputs, dtype=dtype)
        keys = found.keys
    else:
        row = _row([("", module)])
        if not row:
            raise ValueError("module must have at least one layer, got none")
        layers, keys = _named(row)
        if isinstance(input_size, Mapping):
            raise TypeError("input_size must be an integer for modules in a row, got a dict")
        inputs = _input(module, row, input_size)
        network = Network(layers, inputs=inputs, dtype=dtype, parameters=free)
    state = module.state_dict()
    keys += [(each.name, each.name) for each in free]
    network.load_state_dict({ours: array_of(state[theirs]) for theirs, ours in keys})
    return network


def _has_own_code(module: Any) -> bool:
    """Whether what it computes is told by a forward that is neither PyTorch's nor ours."""
    known = ("torch.nn", own.__name__)
    return not all(type(each).__module__.startswith(known) for each in module.modules())


def _dtype_of(module: Any) -> Any:
    numbers = [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]
    found = {str(each.dtype).removeprefix("torch.") for each in numbers}
    if not found:
        return "float32"
    if len(found) > 1 or not found <= {"float32", "float64"}:
        raise ValueError(
            f"module must have parameters of float32 or of float64, got {', '.join(sorted(found))}"
            ": module.float() makes them float32"
        )
    return found.pop()


def _free_parameters(module: Any) -> list[Parameter]:
    if type(module) not in (nn.Sequential, own.Graph):
        return []
    own_ones = module.named_parameters(recurse=False)
    return [Parameter(name, tuple(each.shape)) for name, each in own_ones]


def _input(module: Any, row: list[Found], input_size: int | None) -> kinds.Input:
    if isinstance(row[0].layer, kinds.Embedding):
        tables = next(each for each in module.modules() if isinstance(each, own.Embeddings))
        return kinds.Input(categories=[table.num_embeddings for table in tables])
    known = _width(row)
    if input_size is None and known is None:
        raise ValueError("input_size must be given: no module tells how many columns come first")
    if input_size is not None and known is not None and input_size != known:
        raise ValueError(f"input_size must be {known}, which the modules read, got {input_size}")
    return kinds.Input(known if input_size is None else input_size)


def _width(row: list[Found]) -> int | None:
    """The columns that come first, where a layer tells them, or those before it change none."""
    halves = 1
    for each in row:
        if each.size is not None:
            return each.size * halves
        if isinstance(each.layer, kinds.GLU):
            halves *= 2
        elif not isinstance(each.layer, (Activation, kinds.Dropout, kinds.PReLU)):
            return None
    return None


def _row(children: Iterable[tuple[str, Any]]) -> list[Found]:
    """The layers of modules in a row, by their paths; those of a Sequential are among them."""
    made: list[Found] = []
    for path, child in _flat(children):
        activation = _activation(path, child)
        if activation is None:
            made.append(_leaf(path, child))
        elif made and _is_within(made[-1], path, activation):
            made[-1] = made[-1]._replace(layer=replace(made[-1].layer, activation=activation))
        else:
            made.append(Found(path, activation))
    return made


def _is_within(before: Found, path: str, activation: Activation) -> bool:
    """Whether an activation is called as to_torch calls that of the dense layer before it."""
    is_dense = isinstance(before.layer, kinds.Dense) and before.layer.activation == Identity()
    return is_dense and path.rstrip("_") == f"{before.path}_{activation.name}"


def _flat(children: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    for path, child in children:
        if type(child) is nn.Sequential:
            yield from _flat(_children(path, child))
        else:
            yield path, child


def _children(path: str, module: Any) -> list[tuple[str, Any]]:
    return [(f"{path}.{name}" if path else name, each) for name, each in module.named_children()]


def _named(row: list[Found], prefix: str = "") -> tuple[list[Any], list[tuple[str, str]]]:
    """Layers with names where their index is another one, and their keys in both."""
    layers: list[Any] = []
    keys: list[tuple[str, str]] = []
    # Activations are called by their places.
    taken = {str(index) for index, each in enumerate(row) if isinstance(each.layer, Activation)}
    for index, each in enumerate(row):
        inner = each.path.removeprefix(f"{prefix}.") if prefix else each.path
        name = inner.replace(".", "_") or str(index)
        while name in taken and name != str(index):
            name += "_"
        taken.add(name)
        layer = each.layer
        if isinstance(layer, kinds.Layer):
            layer = replace(layer, name=None if name == str(index) else name)
        layers.append(layer)
        keys += [(theirs, f"{name}.{ours}") for theirs, ours in each.keys]
    return layers, keys


def _activation(path: str, module: Any) -> Activation | None:
    if type(module) is nn.Flatten and module.start_dim == 1:
        return Identity()  # rows are flat; so all that follows keeps its place
    try:
        return activation_from(module)
    except ValueError as error:
        raise refused(path, module, str(error)) from None


def _leaf(path: str, module: Any) -> Found:
    """The layer of a module."""
    if isinstance(module, own.Residual):
        return _residual(path, module)
    if isinstance(getattr(module, "layer", None), kinds.Layer):
        layer, size = module.layer, module.reads
    else:
        # A subclass computes what it likes, but for those of its own with a table here.
        make = KINDS.get(_kind(path, module))
        if make is None:
            raise refused(path, module, "there is no such layer")
        try:
            layer, size = make(module)
        except ValueError as error:
            raise refused(path, module, str(error)) from None
    return Found(path, layer, size, _keys(path, module))


def _kind(path: str, module: Any) -> type[Any]:
    """Its class, or, where a new one was made of that for weights made of others, the old one."""
    kind = type(module)
    if not nn.utils.parametrize.is_parametrized(module):
        return kind
    made = [type(each).__name__ for row in module.parametrizations.values() for each in row]
    if made != ["_WeightNorm"] or "weight" not in module.parametrizations:
        raise refused(path, module, "of parametrizations there is weight_norm of the weight alone")
    return kind.__bases__[0]


def _keys(path: str, module: Any) -> tuple[tuple[str, str], ...]:
    """Of what a module keeps, its key in the whole, and ours behind the layer's name."""
    stem = f"{path}." if path else ""
    return tuple((stem + key, _OURS.get(key, key)) for key in module.state_dict() if _kept(key))


def _kept(key: str) -> bool:
    return key != "num_batches_tracked"


_OURS = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}


def _residual(path: str, module: Any) -> Found:
    within = [each for each in _children(path, module) if not each[0].endswith(".shortcut")]
    row = _row(within)
    layers, keys = _named(row, path)
    shortcut = None
    if "shortcut" in module._modules:
        inner = f"{path}.shortcut"
        shortcut, more = _named(_row([(inner, module.shortcut)]), inner)
        keys += [(theirs, f"shortcut.{ours}") for theirs, ours in more]
    return Found(path, kinds.Residual(layers, shortcut), _width(row), tuple(keys))


def _linear(m: Any) -> tuple[kinds.Layer, int | None]:
    bias = m.bias is not None
    known = {"weight", "bias", "weight_g", "weight_v", *_OURS}
    if other := m.state_dict().keys() - known:
        raise ValueError(f"its weights are made of others, {', '.join(sorted(other))}")
    normed = hasattr(m, "weight_g") or "weight" in getattr(m, "parametrizations", {})
    if normed and tuple(_lengths(m).shape) != (m.out_features, 1):
        raise ValueError("its weight_norm must have dim=0, a length a unit")
    return kinds.Dense(m.out_features, bias=bias, weight_norm=normed), m.in_features


def _lengths(m: Any) -> Any:
    return m.weight_g if hasattr(m, "weight_g") else m.parametrizations.weight.original0


def _batch_norm(m: Any) -> tuple[kinds.Layer, int | None]:
    if not m.track_running_stats:
        raise ValueError("it must track running statistics")
    if m.momentum is None:
        raise ValueError("its momentum must be a number, got None, an average over all batches")
    if m.affine and m.bias is None:
        raise ValueError("it must have weight and bias, or neither")
    return kinds.BatchNorm(m.eps, m.momentum, m.affine), m.num_features


def _one_dimension(m: Any) -> int:
    if len(m.normalized_shape) != 1:
        raise ValueError(f"its normalized_shape must be one size, got {tuple(m.normalized_shape)}")
    return int(m.normalized_shape[0])


def _layer_norm(m: Any) -> tuple[kinds.Layer, int | None]:
    if m.elementwise_affine and m.bias is None:
        raise ValueError("it must have weight and bias, or neither")
    return kinds.LayerNorm(m.eps, m.elementwise_affine), _one_dimension(m)


def _rms_norm(m: Any) -> tuple[kinds.Layer, int | None]:
    return kinds.RMSNorm(m.eps, m.elementwise_affine), _one_dimension(m)


def _prelu(m: Any) -> tuple[kinds.Layer, int | None]:
    shared = m.num_parameters == 1
    return kinds.PReLU(shared), None if shared else m.num_parameters


def _glu(m: Any) -> tuple[kinds.Layer, int | None]:
    if m.dim not in (1, -1):
        raise ValueError(f"its dim must be -1 or 1, got {m.dim}")
    return kinds.GLU(), None


def _dropout(m: Any) -> tuple[kinds.Layer, int | None]:
    return kinds.Dropout(m.p), None


def _embeddings(m: Any) -> tuple[kinds.Layer, int | None]:
    sizes = tuple(int(table.embedding_dim) for table in m)
    size = sizes[0] if len(set(sizes)) == 1 else sizes
    return kinds.Embedding(size, sparse=m[0].sparse), None


def _ntk(m: Any) -> tuple[kinds.Layer, int | None]:
    bias = m.bias is not None
    return kinds.Dense(m.out_features, bias=bias, parametrization="ntk"), m.in_features


KINDS: dict[type[Any], Callable[[Any], tuple[Any, int | None]]] = {
    nn.Linear: _linear,
    own.WeightNormLinear: _linear,
    own.NTKLinear: _ntk,
    nn.BatchNorm1d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _rms_norm,
    nn.PReLU: _prelu,
    nn.GLU: _glu,
    nn.Dropout: _dropout,
    own.Embeddings: _embeddings,
    own.Add: lambda _: (kinds.Add(), None),
    own.Concat: lambda _: (kinds.Concat(), None),
}


def _graph(module: Any, dtype: Any, free: list[Parameter]) -> tuple[Network, list[tuple[str, str]]]:
    """The network of a module that to_torch made of one that is no row."""
    inputs = [replaced(each) for each in module._given]
    nodes: list[Any] = list(inputs)
    keys: list[tuple[str, str]] = []
    for index, (children, reads) in enumerate(module._steps):
        found = _row([(child, getattr(module, child)) for child in children])[0]
        layer = found.layer
        if isinstance(layer, kinds.Layer):
            layer = replace(layer, name=None if found.path == str(index) else found.path)
        keys += [(theirs, f"{found.path}.{ours}") for theirs, ours in found.keys]
        nodes.append(layer(*(nodes[i] for i in reads)))
    heads = {name: nodes[index] for name, index in module._ends}
    outputs: Any = heads.get(None, heads)
    return Network(inputs=inputs, outputs=outputs, dtype=dtype, parameters=free), keys


def replaced(given: kinds.Input) -> kinds.Input:
    """An input for another network."""
    size = None if given.categories else given.size
    return kinds.Input(size, categories=given.categories, sparse=given.sparse, name=given.name)
