"""The same networks, losses and optimizers by PyTorch's own functions; needs PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

import gdcore as gd
from gdcore.activations import Activation

__all__ = ["TorchNetwork", "exact_loss", "torch_activation", "torch_loss", "torch_optimizer"]

_f = torch.nn.functional


def _gelu(x: Any) -> Any:
    """PyTorch's loses its digits far below zero, where 1 + erf does."""
    return x * torch.erfc(-x / math.sqrt(2)) / 2


def _gelu_tanh(x: Any) -> Any:
    """The same, where 1 + tanh does."""
    return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))


def _celu(x: Any, alpha: float) -> Any:
    """PyTorch's slope below zero rounds 1 / alpha to float32 (2.13)."""
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0) / alpha))


def _hardsigmoid(x: Any) -> Any:
    """The same of 1 / 6."""
    return _f.relu6(x + 3) / 6


_ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "identity": lambda x: x,
    "relu": _f.relu,
    "leaky_relu": _f.leaky_relu,
    "elu": _f.elu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _f.silu,
    # From a threshold on it is taken for linear: here where no digit is lost by it.
    "softplus": lambda x, **options: _f.softplus(x, threshold=50, **options),
    "softmax": lambda x: torch.softmax(x, dim=-1),
    "celu": _celu,
    "hardsigmoid": _hardsigmoid,
    "log_softmax": lambda x: torch.log_softmax(x, dim=-1),
    **{
        name: getattr(_f, name)
        for name in (
            *("relu6", "hardtanh", "hardswish", "softsign", "selu", "mish", "logsigmoid"),
            *("tanhshrink", "softshrink", "hardshrink", "threshold"),
        )
    },
}


# PyTorch's losses of logits lose the digits of confident right answers, where 1 - s(p) does; these
# are the same functions by other steps.


def _bce(p: Any, y: Any) -> Any:
    def softplus(x: Any) -> Any:
        return _f.softplus(x, threshold=50)

    return torch.where(p > 0, softplus(-p) + (1 - y) * p, softplus(p) - y * p)


def _cross_entropy(p: Any, y: Any, label_smoothing: float = 0.0) -> Any:
    classes = p.shape[1]
    q = y if y.is_floating_point() else _f.one_hot(y, classes).to(p.dtype)
    q = (1 - label_smoothing) * q + label_smoothing / classes
    top, at = p.max(1, keepdim=True)
    others = torch.ones_like(p).scatter(1, at, 0)
    rest = (others * (p - top).exp()).sum(1)
    return q.sum(1) * rest.log1p() + (q * (top - p)).sum(1)


_EXACT: dict[str, Callable[..., Any]] = {"bce_with_logits": _bce, "cross_entropy": _cross_entropy}
_LOSSES: dict[str, type[Any]] = {
    "mse": torch.nn.MSELoss,
    "mae": torch.nn.L1Loss,
    "huber": torch.nn.HuberLoss,
    "bce_with_logits": torch.nn.BCEWithLogitsLoss,
    "cross_entropy": torch.nn.CrossEntropyLoss,
}


def torch_activation(activation: str | Activation) -> Callable[[Any], Any]:
    """PyTorch's function for an activation of ours."""
    resolved: Any = Activation.resolve("activation", activation)
    function, options = _ACTIVATIONS[resolved.name], asdict(resolved)
    return lambda x: function(x, **options)


def torch_loss(loss: Any, reduction: str = "mean") -> Any:
    """PyTorch's module for a loss of ours."""
    return _LOSSES[loss.name](**asdict(loss), reduction=reduction)


def exact_loss(loss: Any) -> Callable[[Any, Any], Any]:
    """The loss of each sample, or of each of its outputs, with all the digits there are."""
    if loss.name in _EXACT:
        return lambda p, y: _EXACT[loss.name](p, y, **asdict(loss))
    return torch_loss(loss, reduction="none")


def torch_optimizer(optimizer: Any, parameters: Sequence[Any]) -> Any:
    """PyTorch's optimizer of the same name and options."""
    return getattr(torch.optim, type(optimizer).__name__)(list(parameters), **asdict(optimizer))


class TorchNetwork:
    """The same network, started from its state or another one.

    Args:
        rounding: Takes a layer's sums and None, and its values and the sums they come from; gives
            what a program that rounds in another way may have there.
    """

    def __init__(
        self,
        net: gd.Network,
        state: Mapping[str, Any] | None = None,
        rounding: Callable[..., Any] = lambda value, before: value,
    ) -> None:
        self._rounding = rounding
        self._layers = list(zip(net.layer_names, net.layers))
        self.parameters = {
            key: torch.tensor(value, requires_grad=True)
            for key, value in (state or net.state_dict()).items()
        }

    def __call__(self, x: Any, logits: bool = False) -> Any:
        """The outputs; with logits, without the last activation."""
        for at, (name, layer) in enumerate(self._layers, start=1):
            parts = (self.parameters.get(f"{name}.{part}") for part in ("weight", "bias"))
            x = self._rounding(_f.linear(x, *parts), None)
            if not logits or at < len(self._layers):
                x = self._rounding(torch_activation(layer.activation)(x), x)
        return x
