"""PyTorch's modules for activations, and back; needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import gdcore.activations as a
from gdcore.export._torch_layers import ExactCELU, ExactHardsigmoid

__all__ = ["MODULES", "activation_from", "module_of"]

# From a threshold on PyTorch takes softplus for linear: here where no digit is lost by it.
_LINEAR_FROM = 50.0

MODULES: dict[str, Callable[[Any], Any]] = {
    "identity": lambda _: nn.Identity(),
    "relu": lambda _: nn.ReLU(),
    "relu6": lambda _: nn.ReLU6(),
    "leaky_relu": lambda f: nn.LeakyReLU(f.negative_slope),
    "elu": lambda f: nn.ELU(f.alpha),
    "celu": lambda f: ExactCELU(f.alpha),
    "selu": lambda _: nn.SELU(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "logsigmoid": lambda _: nn.LogSigmoid(),
    "hardsigmoid": lambda _: ExactHardsigmoid(),
    "tanh": lambda _: nn.Tanh(),
    "tanhshrink": lambda _: nn.Tanhshrink(),
    "hardtanh": lambda f: nn.Hardtanh(f.min_val, f.max_val),
    "softsign": lambda _: nn.Softsign(),
    "gelu": lambda _: nn.GELU(),
    "gelu_tanh": lambda _: nn.GELU(approximate="tanh"),
    "silu": lambda _: nn.SiLU(),
    "hardswish": lambda _: nn.Hardswish(),
    "mish": lambda _: nn.Mish(),
    "softplus": lambda f: nn.Softplus(f.beta, _LINEAR_FROM),
    "softshrink": lambda f: nn.Softshrink(f.lambd),
    "hardshrink": lambda f: nn.Hardshrink(f.lambd),
    "threshold": lambda f: nn.Threshold(f.threshold, f.value),
    "softmax": lambda _: nn.Softmax(-1),
    "log_softmax": lambda _: nn.LogSoftmax(-1),
}

# PyTorch's own, where exactness beyond float32 is not asked for.
_PLAIN = {ExactCELU: lambda f: nn.CELU(f.alpha), ExactHardsigmoid: lambda _: nn.Hardsigmoid()}


def module_of(activation: a.Activation, dtype: str) -> Any:
    """The module for an activation; None where there is no equal."""
    make = MODULES.get(activation.name)
    made = None if make is None else make(activation)
    if dtype == "float32" and type(made) in _PLAIN:
        return _PLAIN[type(made)](activation)
    return made


def _softplus(m: Any) -> a.Activation:
    if m.threshold < 20:
        raise ValueError(f"its threshold must be at least 20, got {m.threshold:g}")
    return a.Softplus(float(m.beta))


def _rows(cls: type[a.Activation]) -> Callable[[Any], a.Activation]:
    def made(m: Any) -> a.Activation:
        if m.dim not in (1, -1):
            raise ValueError(f"its dim must be -1 or 1, over the units of a row, got {m.dim}")
        return cls()

    return made


_FROM: dict[type[Any], Callable[[Any], a.Activation]] = {
    nn.Identity: lambda _: a.Identity(),
    nn.ReLU: lambda _: a.ReLU(),
    nn.ReLU6: lambda _: a.ReLU6(),
    nn.LeakyReLU: lambda m: a.LeakyReLU(m.negative_slope),
    nn.ELU: lambda m: a.ELU(m.alpha),
    nn.CELU: lambda m: a.CELU(m.alpha),
    ExactCELU: lambda m: a.CELU(m.alpha),
    nn.SELU: lambda _: a.SELU(),
    nn.Sigmoid: lambda _: a.Sigmoid(),
    nn.LogSigmoid: lambda _: a.LogSigmoid(),
    nn.Hardsigmoid: lambda _: a.Hardsigmoid(),
    ExactHardsigmoid: lambda _: a.Hardsigmoid(),
    nn.Tanh: lambda _: a.Tanh(),
    nn.Tanhshrink: lambda _: a.Tanhshrink(),
    nn.Hardtanh: lambda m: a.Hardtanh(m.min_val, m.max_val),
    nn.Softsign: lambda _: a.Softsign(),
    nn.GELU: lambda m: a.GELUTanh() if m.approximate == "tanh" else a.GELU(),
    nn.SiLU: lambda _: a.SiLU(),
    nn.Hardswish: lambda _: a.Hardswish(),
    nn.Mish: lambda _: a.Mish(),
    nn.Softplus: _softplus,
    nn.Softshrink: lambda m: a.Softshrink(m.lambd),
    nn.Hardshrink: lambda m: a.Hardshrink(m.lambd),
    nn.Threshold: lambda m: a.Threshold(m.threshold, m.value),
    nn.Softmax: _rows(a.Softmax),
    nn.LogSoftmax: _rows(a.LogSoftmax),
}


def activation_from(module: torch.nn.Module) -> a.Activation | None:
    """The activation of a module; None where it is another kind.

    Raises:
        ValueError: An option of it has no equal.
    """
    make = _FROM.get(type(module))
    return None if make is None else make(module)
