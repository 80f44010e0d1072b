"""PyTorch's modules for activations, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gdcore.activations as a
from gdcore.export._needed import needed

__all__ = ["MODULES", "activation_from", "module_of"]

# From a threshold on PyTorch takes softplus for linear: here where no digit is lost by it.
_LINEAR_FROM = 50.0
_LEAST_LINEAR_FROM = 20.0  # PyTorch's default

_Arguments = Callable[[Any], tuple[Any, ...]]


def _nothing(f: Any) -> tuple[Any, ...]:
    return ()


# Of each activation its class in torch.nn, and what that is made with.
MODULES: dict[str, tuple[str, _Arguments]] = {
    "identity": ("Identity", _nothing),
    "relu": ("ReLU", _nothing),
    "relu6": ("ReLU6", _nothing),
    "leaky_relu": ("LeakyReLU", lambda f: (f.negative_slope,)),
    "elu": ("ELU", lambda f: (f.alpha,)),
    "celu": ("CELU", lambda f: (f.alpha,)),
    "selu": ("SELU", _nothing),
    "sigmoid": ("Sigmoid", _nothing),
    "logsigmoid": ("LogSigmoid", _nothing),
    "hardsigmoid": ("Hardsigmoid", _nothing),
    "tanh": ("Tanh", _nothing),
    "tanhshrink": ("Tanhshrink", _nothing),
    "hardtanh": ("Hardtanh", lambda f: (f.min_val, f.max_val)),
    "softsign": ("Softsign", _nothing),
    "gelu": ("GELU", _nothing),
    "gelu_tanh": ("GELU", _nothing),
    "silu": ("SiLU", _nothing),
    "hardswish": ("Hardswish", _nothing),
    "mish": ("Mish", _nothing),
    "softplus": ("Softplus", lambda f: (f.beta, _LINEAR_FROM)),
    "softshrink": ("Softshrink", lambda f: (f.lambd,)),
    "hardshrink": ("Hardshrink", lambda f: (f.lambd,)),
    "threshold": ("Threshold", lambda f: (f.threshold, f.value)),
    "softmax": ("Softmax", lambda f: (-1,)),
    "log_softmax": ("LogSoftmax", lambda f: (-1,)),
}
# Of which PyTorch's own round a number to float32.
_EXACT = {"CELU": "ExactCELU", "Hardsigmoid": "ExactHardsigmoid"}


def module_of(activation: a.Activation, dtype: str) -> Any:
    """The module for an activation, for networks of a dtype; None where there is no equal."""
    found = MODULES.get(activation.name)
    if found is None:
        return None
    name, arguments = found
    if dtype == "float64" and name in _EXACT:
        from gdcore.export import _torch_layers as own

        return getattr(own, _EXACT[name])(*arguments(activation))
    nn: Any = needed("to_torch", "torch", "torch").nn
    if activation.name == "gelu_tanh":
        return nn.GELU(approximate="tanh")  # by name alone
    return getattr(nn, name)(*arguments(activation))


def _softplus(m: Any) -> a.Activation:
    if m.threshold < _LEAST_LINEAR_FROM:
        raise ValueError(f"its threshold must be at least 20, got {m.threshold:g}")
    return a.Softplus(float(m.beta))


def _rows(cls: type[a.Activation]) -> Callable[[Any], a.Activation]:
    def made(m: Any) -> a.Activation:
        if m.dim not in (1, -1):
            raise ValueError(f"its dim must be -1 or 1, over the units of a row, got {m.dim}")
        return cls()

    return made


# By the class's name in torch.nn.
_FROM: dict[str, Callable[[Any], a.Activation]] = {
    "Identity": lambda _: a.Identity(),
    "ReLU": lambda _: a.ReLU(),
    "ReLU6": lambda _: a.ReLU6(),
    "LeakyReLU": lambda m: a.LeakyReLU(m.negative_slope),
    "ELU": lambda m: a.ELU(m.alpha),
    "CELU": lambda m: a.CELU(m.alpha),
    "SELU": lambda _: a.SELU(),
    "Sigmoid": lambda _: a.Sigmoid(),
    "LogSigmoid": lambda _: a.LogSigmoid(),
    "Hardsigmoid": lambda _: a.Hardsigmoid(),
    "Tanh": lambda _: a.Tanh(),
    "Tanhshrink": lambda _: a.Tanhshrink(),
    "Hardtanh": lambda m: a.Hardtanh(m.min_val, m.max_val),
    "Softsign": lambda _: a.Softsign(),
    "GELU": lambda m: a.GELUTanh() if m.approximate == "tanh" else a.GELU(),
    "SiLU": lambda _: a.SiLU(),
    "Hardswish": lambda _: a.Hardswish(),
    "Mish": lambda _: a.Mish(),
    "Softplus": _softplus,
    "Softshrink": lambda m: a.Softshrink(m.lambd),
    "Hardshrink": lambda m: a.Hardshrink(m.lambd),
    "Threshold": lambda m: a.Threshold(m.threshold, m.value),
    "Softmax": _rows(a.Softmax),
    "LogSoftmax": _rows(a.LogSoftmax),
}


def activation_from(module: Any) -> a.Activation | None:
    """The activation of a module; None where it is another kind.

    Raises:
        ValueError: An option of it has no equal.
    """
    from gdcore.export import _torch_layers as own

    nn: Any = needed("from_torch", "torch", "torch").nn
    kind = type(module)
    name = next((plain for plain, exact in _EXACT.items() if kind is getattr(own, exact)), "")
    name = name or kind.__name__
    if name not in _FROM or kind not in (getattr(nn, name), getattr(own, f"Exact{name}", None)):
        return None
    return _FROM[name](module)
