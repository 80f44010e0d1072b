"""Modules of PyTorch for layers that it has no module for; needs PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from gdcore.layers import Layer

__all__ = [
    "Add",
    "BatchNorm",
    "Concat",
    "Embeddings",
    "EnsembleLinear",
    "EnsembleScale",
    "ExactCELU",
    "ExactHardsigmoid",
    "Gate",
    "Graph",
    "LinearReLU",
    "NTKLinear",
    "Parametric",
    "Periodic",
    "PiecewiseLinear",
    "Rectifier",
    "Residual",
    "Scale",
    "Standardize",
    "WeightNormLinear",
]

_f = nn.functional


def _empty(*sizes: int) -> Any:
    return nn.Parameter(torch.empty(*sizes))


class ExactCELU(nn.CELU):
    """PyTorch's own rounds 1 / alpha to float32."""

    def forward(self, x: Any) -> Any:
        """As `gdcore.CELU`."""
        below = self.alpha * torch.expm1(x.clamp(max=0) / self.alpha)
        return torch.where(x > 0, x, below)


class ExactHardsigmoid(nn.Hardsigmoid):
    """PyTorch's own rounds 1 / 6 to float32."""

    def forward(self, x: Any) -> Any:
        """As `gdcore.Hardsigmoid`."""
        return _f.relu6(x + 3) / 6


class _Described(nn.Module):
    """One that knows the layer it is of."""

    layer: Any

    def __init__(self, layer: Layer, reads: int | None) -> None:
        """Of that layer, which reads so many columns; None: any number."""
        super().__init__()
        self.layer, self.reads = layer, reads


class NTKLinear(nn.Linear):
    """A linear layer of weights W / sqrt(inputs)."""

    def forward(self, x: Any) -> Any:
        """As `gdcore.Dense` with ``parametrization="ntk"``."""
        return _f.linear(x, self.weight / math.sqrt(self.in_features), self.bias)


class WeightNormLinear(nn.Module):
    """A linear layer whose weights are a length and a direction a unit."""

    def __init__(self, width: int, units: int, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = width, units
        self.weight_g, self.weight_v = _empty(units, 1), _empty(units, width)
        self.bias = _empty(units) if bias else None

    def forward(self, x: Any) -> Any:
        """As `gdcore.Dense` with weight_norm."""
        norm = self.weight_v.norm(dim=1, keepdim=True)
        return _f.linear(x, self.weight_v * (self.weight_g / norm), self.bias)


class BatchNorm(nn.BatchNorm1d):
    """Over ghost batches, and over the columns of all members of an ensemble."""

    def __init__(self, layer: Any, width: int) -> None:
        super().__init__(width, layer.eps, layer.momentum, layer.affine)
        self.layer, self.reads = layer, width

    def forward(self, x: Any) -> Any:
        """As `gdcore.BatchNorm`."""
        flat, norm = x.flatten(1), super().forward
        if not self.training or self.layer.ghost is None:
            return norm(flat).view_as(x)
        parts = list(flat.split(self.layer.ghost))
        if len(parts) > 1 and len(parts[-1]) == 1:  # alone it has no variance
            parts[-2:] = [torch.cat(parts[-2:])]
        return torch.cat([norm(part) for part in parts]).view_as(x)


class Scale(_Described):
    """A factor a column."""

    def __init__(self, layer: Layer, width: int) -> None:
        super().__init__(layer, width)
        self.weight = _empty(width)

    def forward(self, x: Any) -> Any:
        """As `gdcore.Scale`."""
        return (x.flatten(1) * self.weight).view_as(x)


class Rectifier(_Described):
    """PReLU over the columns of all members of an ensemble."""

    def __init__(self, layer: Layer, width: int) -> None:
        super().__init__(layer, None)
        self.weight = _empty(width)

    def forward(self, x: Any) -> Any:
        """As `gdcore.PReLU`."""
        flat = x.flatten(1)
        return torch.where(flat > 0, flat, flat * self.weight).view_as(x)


class Standardize(_Described):
    """(x - mean) / scale, by numbers that stay."""

    def __init__(self, layer: Any) -> None:
        super().__init__(layer, len(layer.means))
        self.register_buffer("mean", torch.tensor(layer.means))
        self.register_buffer("scale", torch.tensor(layer.scales))

    def forward(self, x: Any) -> Any:
        """As `gdcore.Standardize`."""
        return (x - self.mean) / self.scale


class Parametric(_Described):
    """An activation that each column may fade out of."""

    def __init__(self, layer: Layer, width: int, activation: Any) -> None:
        super().__init__(layer, width)
        self.activation, self.weight = activation, _empty(width)

    def forward(self, x: Any) -> Any:
        """As `gdcore.ParametricActivation`."""
        rest = ((self.activation(x) - x).flatten(1) * self.weight).view_as(x)
        return x + rest


class Gate(_Described):
    """A gated linear unit of another gate than sigmoid."""

    def __init__(self, layer: Layer, activation: Any) -> None:
        super().__init__(layer, None)
        self.activation = activation

    def forward(self, x: Any) -> Any:
        """As `gdcore.GLU`."""
        a, b = x.chunk(2, dim=-1)
        return a * self.activation(b)


class Embeddings(nn.ModuleList):
    """A table for each column of codes, outputs side by side."""

    def __init__(self, categories: Sequence[int], sizes: Sequence[int], sparse: bool) -> None:
        pairs = zip(categories, sizes, strict=True)
        super().__init__([nn.Embedding(n, size, sparse=sparse) for n, size in pairs])

    def forward(self, codes: Any) -> Any:
        """As `gdcore.Embedding`; codes (N, columns) of integers."""
        return torch.cat([table(codes[:, k]) for k, table in enumerate(self)], 1)


def _linear(**sizes: tuple[int, ...]) -> Any:
    return nn.ParameterDict({name: torch.empty(*shape) for name, shape in sizes.items()})


class LinearReLU(_Described):
    """A vector of each number, by a linear layer of its column's."""

    def __init__(self, layer: Any, width: int) -> None:
        super().__init__(layer, width)
        self.linear = _linear(weight=(width, layer.size), bias=(width, layer.size))

    def forward(self, x: Any) -> Any:
        """As `gdcore.LinearReLUEmbedding`."""
        return torch.relu(x[..., None] * self.linear["weight"] + self.linear["bias"]).flatten(1)


class Periodic(_Described):
    """A vector of each number, by waves."""

    def __init__(self, layer: Any, width: int, activation: Any) -> None:
        super().__init__(layer, width)
        self.activation = activation
        waves = {"weight": (width, layer.frequencies)}
        if layer.phase:
            waves["bias"] = (width, layer.frequencies)
        self.periodic = _linear(**waves)
        inner, size = layer.frequencies * (2 - layer.phase), layer.size - layer.keep_input
        if layer.lite:
            self.linear = nn.Linear(inner, size)
        else:
            self.linear = _linear(weight=(width, inner, size), bias=(width, size))

    def forward(self, x: Any) -> Any:
        """As `gdcore.PeriodicEmbedding`."""
        turns = 2 * math.pi * self.periodic["weight"] * x[..., None]
        if self.layer.phase:
            h = torch.cos(turns + self.periodic["bias"])
        else:
            h = torch.cat([torch.cos(turns), torch.sin(turns)], -1)
        if self.layer.lite:
            y = self.linear(h)
        else:
            y = torch.einsum("nfi,fio->nfo", h, self.linear["weight"]) + self.linear["bias"]
        y = self.activation(y).flatten(1)
        return torch.cat([y, x], 1) if self.layer.keep_input else y


class PiecewiseLinear(_Described):
    """A vector of each number, by its place between edges."""

    def __init__(self, layer: Any, activation: Any) -> None:
        super().__init__(layer, len(layer.bins))
        self.activation = activation
        counts = [len(column) - 1 for column in layer.bins]
        columns, most, size = len(counts), max(counts), layer.size
        self.register_buffer("bins", torch.tensor([e for column in layer.bins for e in column]))
        self.linear = _linear(weight=(columns, most, size))
        if layer.version == "B":
            self.linear0 = _linear(weight=(columns, size), bias=(columns, size))
        else:
            self.linear["bias"] = torch.empty(columns, size)
        # Where in `bins` each place has its edges; whether it is a column's first or last.
        begin = [sum(counts[:k]) + k for k in range(columns)]
        shape = (columns, most)
        low, first = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.bool)
        last, used = first.clone(), first.clone()
        for k, count in enumerate(counts):
            places = [*range(count - 1), most - 1]  # the last bin stands at the end
            for j, place in enumerate(places):
                low[k, place], used[k, place] = begin[k] + j, True
            first[k, places[0]] = last[k, places[-1]] = True
        for name, table in (("_low", low), ("_first", first), ("_last", last), ("_used", used)):
            self.register_buffer(name, table, persistent=False)

    def forward(self, x: Any) -> Any:
        """As `gdcore.PiecewiseLinearEmbedding`."""
        low, high = self.bins[self._low], self.bins[(self._low + 1).clamp(max=len(self.bins) - 1)]
        e = (x[..., None] - low) / (high - low)
        e = torch.where(self._first, e, e.clamp(min=0))
        e = torch.where(self._last, e, e.clamp(max=1))
        e = torch.where(self._used, e, torch.zeros_like(e))
        y = torch.einsum("nfi,fio->nfo", e, self.linear["weight"])
        if self.layer.version == "B":
            y = self.activation(y)
            y = x[..., None] * self.linear0["weight"] + self.linear0["bias"] + y
        else:
            y = self.activation(y + self.linear["bias"])
        return y.flatten(1)


def _of_members(x: Any, members: int) -> Any:
    """(N, members, width) of that or of (N, width)."""
    return x if x.dim() == 3 else x[:, None, :].expand(-1, members, -1)


class EnsembleLinear(_Described):
    """A linear layer of each member of an ensemble, (N, members, units)."""

    def __init__(self, layer: Any, width: int, activation: Any) -> None:
        super().__init__(layer, width)
        members, units = layer.members, layer.units
        self.activation = activation
        if layer.shared:
            self.weight = _empty(units, width)
            self.r, self.s = _empty(members, width), _empty(members, units)
        else:
            self.weight = _empty(members, width, units)
        self.bias = _empty(members, units) if layer.bias else None

    def forward(self, x: Any) -> Any:
        """As `gdcore.EnsembleDense`."""
        x = _of_members(x, self.layer.members)
        if self.layer.shared:
            y = _f.linear(x * self.r, self.weight) * self.s
        else:
            y = torch.einsum("nmi,mio->nmo", x, self.weight)
        return self.activation(y if self.bias is None else y + self.bias)


class EnsembleScale(_Described):
    """Factors of each member of an ensemble, (N, members, width)."""

    def __init__(self, layer: Any, width: int) -> None:
        super().__init__(layer, width)
        self.weight = _empty(layer.members, width)

    def forward(self, x: Any) -> Any:
        """As `gdcore.EnsembleScale`."""
        return _of_members(x, self.layer.members) * self.weight


class Residual(nn.Sequential):
    """Adds what modules in a row make of x to x, or to what those in ``shortcut`` make of it."""

    def forward(self, x: Any) -> Any:
        """As `gdcore.Residual`."""
        y, start = x, x
        for name, module in self.named_children():
            if name == "shortcut":
                start = module(x)
            else:
                y = module(y)
        return start + y


class Add(nn.Module):
    """Adds values."""

    def forward(self, *values: Any) -> Any:
        """As `gdcore.Add`."""
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total


class Concat(nn.Module):
    """Puts values side by side."""

    def forward(self, *values: Any) -> Any:
        """As `gdcore.Concat`."""
        return torch.cat(values, -1)


class Graph(nn.Module):
    """Modules that are joined as a network's layers are.

    It takes a tensor, or of several inputs a dict of tensors by name, and makes a tensor, or a dict
    where outputs have names.
    """

    def __init__(
        self,
        inputs: Sequence[Any],
        steps: Sequence[tuple[tuple[str, ...], tuple[int, ...]]],
        heads: Sequence[tuple[str | None, int]],
    ) -> None:
        """Of `gdcore.Input`; of children in a row and what the first reads; and of outputs."""
        super().__init__()
        self._given = tuple(inputs)
        self._steps = tuple(steps)
        self._ends = tuple(heads)

    def forward(self, x: Any) -> Any:
        """What the outputs are, see `gdcore.Network.forward`."""
        values = [x] if len(self._given) == 1 else [x[each.name] for each in self._given]
        for children, reads in self._steps:
            made = [values[index] for index in reads]
            for child in children:
                made = [getattr(self, child)(*made)]
            values.append(made[0])
        if self._ends[0][0] is None:
            return values[self._ends[0][1]]
        return {name: values[index] for name, index in self._ends}
