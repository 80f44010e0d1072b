"""Layers as others have them; needs PyTorch, some rtdl_num_embeddings or tabm."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import gdcore as gd

__all__ = [
    "EMBEDDINGS",
    "batch_norm_twin",
    "ensemble_twin",
    "mix_twin",
    "norm_twin",
    "standardize_twin",
    "table_twin",
]

EMBEDDINGS = (gd.LinearReLUEmbedding, gd.PeriodicEmbedding, gd.PiecewiseLinearEmbedding)


def table_twin(layer: Any, width: int, activation: Any) -> tuple[Any, int]:
    """The module of PyTorch and its width, for a layer that makes vectors of numbers."""
    torch = pytest.importorskip("torch")
    rtdl = pytest.importorskip("rtdl_num_embeddings")
    if isinstance(layer, gd.PeriodicEmbedding) and (layer.phase or layer.keep_input):
        return _waves(torch, layer, width, activation), width * layer.size
    if isinstance(layer, gd.LinearReLUEmbedding):
        made = rtdl.LinearReLUEmbeddings(width, layer.size)
    elif isinstance(layer, gd.PeriodicEmbedding):
        made = rtdl.PeriodicEmbeddings(
            width,
            layer.size,
            n_frequencies=layer.frequencies,
            activation=layer.activation.name == "relu",
            lite=layer.lite,
        )
    else:
        bins = [torch.tensor(edges, dtype=torch.float64) for edges in layer.bins]
        relu = layer.activation.name == "relu"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of one bin alone, which is to be tried too
            made = rtdl.PiecewiseLinearEmbeddings(
                bins, layer.size, activation=relu, version=layer.version
            )
        # What it makes of the edges is rounded to float32, as its weights are at first.
        for index, edges in enumerate(bins):
            widths = edges.diff()
            for name, values in (("weight", 1 / widths), ("bias", -edges[:-1] / widths)):
                held = getattr(made.impl, name).double()
                held[index, -1] = values[-1]
                held[index, : len(values) - 1] = values[:-1]
                setattr(made.impl, name, held)
    return _flat(made), width * layer.size


def _flat(module: Any) -> Any:
    """The same, with its output in two dimensions."""

    class Flat(type(module)):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return super().forward(x).flatten(1)

    module.__class__ = Flat
    return module


def _waves(torch: Any, layer: gd.PeriodicEmbedding, width: int, activation: Any) -> Any:
    """RealMLP's PBLD (pytabkit's PLREmbeddingsLayerCosBias), or another of these forms."""
    nn = torch.nn
    inner = layer.frequencies * (1 if layer.phase else 2)
    size = layer.size - layer.keep_input

    class Waves(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            shapes = {"weight": (width, layer.frequencies)}
            if layer.phase:
                shapes["bias"] = (width, layer.frequencies)
            self.periodic = nn.ParameterDict({k: torch.empty(*v) for k, v in shapes.items()})
            if layer.lite:
                self.linear = nn.Linear(inner, size)
            else:
                self.linear = nn.ParameterDict(
                    {"weight": torch.empty(width, inner, size), "bias": torch.empty(width, size)}
                )

        def forward(self, x: Any) -> Any:
            a = 2 * math.pi * self.periodic["weight"] * x[..., None]
            if layer.phase:
                h = torch.cos(a + self.periodic["bias"])
            else:
                h = torch.cat([torch.cos(a), torch.sin(a)], -1)
            if layer.lite:
                y = self.linear(h)
            else:
                y = torch.einsum("nfi,fio->nfo", h, self.linear["weight"]) + self.linear["bias"]
            y = activation(y).flatten(1)
            return torch.cat([y, x], 1) if layer.keep_input else y

    return Waves()


def ensemble_twin(layer: Any, width: int, activation: Any) -> Any:
    """The module of tabm, which takes what has members already or has none."""
    tabm = pytest.importorskip("tabm")
    if isinstance(layer, gd.EnsembleScale):
        made = tabm.ElementwiseAffine((layer.members, width), bias=False, scaling_init="ones")
    elif layer.shared:
        made = tabm.LinearBatchEnsemble(
            width, layer.units, layer.bias, k=layer.members, scaling_init="ones"
        )
    else:
        made = tabm.LinearEnsemble(width, layer.units, layer.bias, k=layer.members)

    class Behind(type(made)):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return activation(super().forward(tabm.ensemble_view(x, layer.members, True)))

    made.__class__ = Behind
    return made


def norm_twin(layer: gd.Dense, width: int, activation: Callable[[Any], Any]) -> Any:
    """A dense layer whose weights are made of others."""
    torch = pytest.importorskip("torch")
    nn, ntk = torch.nn, layer.parametrization == "ntk"
    names = {"weight": (layer.units, width)} if ntk else {}
    if not ntk:
        names = {"weight_g": (layer.units, 1), "weight_v": (layer.units, width)}

    class Made(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            for name, shape in names.items():
                setattr(self, name, nn.Parameter(torch.empty(*shape)))
            self.bias = nn.Parameter(torch.empty(layer.units)) if layer.bias else None

        def forward(self, x: Any) -> Any:
            if ntk:
                weight = self.weight / math.sqrt(width)
            else:
                weight = self.weight_v * (self.weight_g / self.weight_v.norm(dim=1, keepdim=True))
            return activation(nn.functional.linear(x, weight, self.bias))

    return Made()


def batch_norm_twin(layer: gd.BatchNorm, width: int, members: int) -> Any:
    """PyTorch's, over ghost batches; of an ensemble each member's columns by themselves."""
    torch = pytest.importorskip("torch")

    class BatchNorm(torch.nn.BatchNorm1d):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            flat = x.flatten(1)
            parts = [flat] if layer.ghost is None or not self.training else ghosts(flat)
            return torch.cat([super(BatchNorm, self).forward(part) for part in parts]).view_as(x)

    def ghosts(x: Any) -> list[Any]:
        parts = list(x.split(layer.ghost))
        if len(parts) > 1 and len(parts[-1]) == 1:
            parts[-2:] = [torch.cat(parts[-2:])]
        return parts

    return BatchNorm(width * members, layer.eps, layer.momentum, layer.affine)


def mix_twin(width: int, activation: Callable[[Any], Any]) -> Any:
    """x + (f(x) - x) w, with a w for each column."""
    torch = pytest.importorskip("torch")

    class Mix(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(width))

        def forward(self, x: Any) -> Any:
            return x + (activation(x) - x) * self.weight

    return Mix()


def standardize_twin(layer: gd.Standardize) -> Any:
    """(x - mean) / scale."""
    torch = pytest.importorskip("torch")

    class Standardized(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(layer.means))
            self.register_buffer("scale", torch.tensor(layer.scales))

        def forward(self, x: Any) -> Any:
            return (x - self.mean) / self.scale

    return Standardized()
