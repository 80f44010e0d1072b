"""The same networks, losses and optimizers by PyTorch's own functions; needs PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest
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


def _bce(p: Any, y: Any, pos_weight: Any = None) -> Any:
    def softplus(x: Any) -> Any:
        return _f.softplus(x, threshold=50)

    a = y if pos_weight is None else y * _tensor(pos_weight)
    b = a + (1 - y)
    # Both are smooth at 0, where the absolute value is not.
    return torch.where(p > 0, softplus(-p) * b + (1 - y) * p, softplus(p) * b - a * p)


def _cross_entropy(p: Any, y: Any, label_smoothing: float = 0.0, **_: Any) -> Any:
    classes = p.shape[1]
    q = y if y.is_floating_point() else _f.one_hot(y, classes).to(p.dtype)
    q = (1 - label_smoothing) * q + label_smoothing / classes
    top, at = p.max(1, keepdim=True)
    others = torch.ones_like(p).scatter(1, at, 0)
    rest = (others * (p - top).exp()).sum(1)
    return q.sum(1) * rest.log1p() + (q * (top - p)).sum(1)


def _nll(p: Any, y: Any, **_: Any) -> Any:
    q = y if y.is_floating_point() else _f.one_hot(y, p.shape[1]).to(p.dtype)
    return -(q * p).sum(1)


def _exact_focal(p: Any, y: Any, gamma: float, alpha: Any) -> Any:
    q = y if y.is_floating_point() else _f.one_hot(y, p.shape[1]).to(p.dtype)
    s = torch.softmax(p, 1)
    others = (s[:, None, :] * (1 - torch.eye(p.shape[1], dtype=p.dtype))).sum(2)
    weight = 1.0 if alpha is None else _tensor(alpha)
    return -(weight * q * others**gamma * torch.log_softmax(p, 1)).sum(1)


def _exact_gaussian(p: Any, y: Any, full: bool, eps: float, log_var: bool) -> Any:
    """Also of variances below 0, which PyTorch refuses."""
    mean, variance = p.chunk(2, dim=1)
    constant = math.log(2 * math.pi) / 2 if full else 0.0
    if log_var:
        return (variance + (mean - y) ** 2 * (-variance).exp()) / 2 + constant
    variance = variance.clone()
    with torch.no_grad():
        variance.clamp_(min=eps)
    return (variance.log() + (mean - y) ** 2 / variance) / 2 + constant


_EXACT: dict[str, Callable[..., Any]] = {
    "bce_with_logits": _bce,
    "cross_entropy": _cross_entropy,
    "nll": _nll,
    "focal": _exact_focal,
    "gaussian_nll": _exact_gaussian,
}
_LOSSES: dict[str, type[Any]] = {
    "mse": torch.nn.MSELoss,
    "mae": torch.nn.L1Loss,
    "huber": torch.nn.HuberLoss,
    "bce_with_logits": torch.nn.BCEWithLogitsLoss,
    "cross_entropy": torch.nn.CrossEntropyLoss,
    "smooth_l1": torch.nn.SmoothL1Loss,
    "poisson_nll": torch.nn.PoissonNLLLoss,
    "nll": torch.nn.NLLLoss,
}


def _quantile(p: Any, y: Any, quantiles: Sequence[float]) -> Any:
    q = torch.tensor(quantiles, dtype=p.dtype).repeat_interleave(y.shape[1])
    d = y.repeat(1, len(quantiles)) - p
    return torch.maximum(q * d, (q - 1) * d)


def _cosine(p: Any, y: Any, eps: float) -> Any:
    return 1 - _f.cosine_similarity(p, y, dim=1, eps=eps)


def _reduced(losses: Any, reduction: str) -> Any:
    return losses if reduction == "none" else losses.mean()


def _log_cosh(p: Any, y: Any) -> Any:
    d = (p - y).abs()
    return d + _f.softplus(-2 * d) - math.log(2)


def _binary_focal(p: Any, y: Any, gamma: float, alpha: float) -> Any:
    s = torch.sigmoid(p)
    c = _f.binary_cross_entropy_with_logits(p, y, reduction="none")
    away = s * (1 - y) + (1 - s) * y
    weight = alpha * y + (1 - alpha) * (1 - y) if alpha >= 0 else 1.0
    return weight * away**gamma * c


def _focal(p: Any, y: Any, gamma: float, alpha: Any) -> Any:
    log_s = torch.log_softmax(p, 1).gather(1, y[:, None])[:, 0]
    weight = 1.0 if alpha is None else torch.tensor(alpha, dtype=p.dtype)[y]
    return -weight * (1 - log_s.exp()) ** gamma * log_s


class _Function(torch.nn.Module):
    def __init__(self, function: Any, reduction: str = "mean", **options: Any) -> None:
        super().__init__()
        self.function, self.reduction, self.options = function, reduction, options

    def forward(self, p: Any, y: Any) -> Any:
        return _reduced(self.function(p, y, **self.options), self.reduction)


def _gaussian(p: Any, y: Any, full: bool, eps: float, log_var: bool) -> Any:
    if log_var:
        return _exact_gaussian(p, y, full, eps, log_var)
    mean, variance = p.chunk(2, dim=1)
    # It refuses variances below 0.
    return _f.gaussian_nll_loss(mean, y, variance, full=full, eps=eps, reduction="none")


def _tensor(numbers: Any) -> Any:
    return None if numbers is None else torch.tensor(numbers, dtype=torch.float64)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "quantile": _quantile,
    "log_cosh": _log_cosh,
    "gaussian_nll": _gaussian,
    "cosine": _cosine,
    "hinge": lambda p, y: torch.relu(1 - y * p),
    "squared_hinge": lambda p, y: torch.relu(1 - y * p) ** 2,
    "binary_focal": _binary_focal,
    "focal": _focal,
}


def torch_activation(activation: str | Activation) -> Callable[[Any], Any]:
    """PyTorch's function for an activation of ours."""
    resolved: Any = Activation.resolve("activation", activation)
    function, options = _ACTIVATIONS[resolved.name], asdict(resolved)
    return lambda x: function(x, **options)


def torch_loss(loss: Any, reduction: str = "mean") -> Any:
    """PyTorch's module for a loss of ours, or what its own functions make of it."""
    options = asdict(loss)
    if loss.name in ("cross_entropy", "nll"):
        weight = _tensor(options.pop("class_weight"))
        return _LOSSES[loss.name](weight=weight, **options, reduction=reduction)
    if loss.name == "bce_with_logits":
        weight = _tensor(options["pos_weight"])
        return torch.nn.BCEWithLogitsLoss(pos_weight=weight, reduction=reduction)
    if loss.name == "kl_div":
        mean = "batchmean" if reduction == "mean" else reduction
        return torch.nn.KLDivLoss(reduction=mean, **options)
    if loss.name in _FUNCTIONS:
        return _Function(_FUNCTIONS[loss.name], reduction, **options)
    return _LOSSES[loss.name](**options, reduction=reduction)


def exact_loss(loss: Any) -> Callable[[Any, Any], Any]:
    """The loss of each sample, or of each of its outputs, with all the digits there are."""
    if loss.name == "kl_div":
        return lambda p, y: torch_loss(loss, "none")(p, y).sum(1)
    if loss.name in _EXACT:
        return lambda p, y: _EXACT[loss.name](p, y, **asdict(loss))
    return torch_loss(loss, reduction="none")


def torch_optimizer(optimizer: Any, parameters: Sequence[Any]) -> Any:
    """PyTorch's optimizer of the same name and options, else that of those who wrote it."""
    name, options = type(optimizer).__name__, asdict(optimizer)
    family: Any = getattr(torch.optim, name, None)
    return family(list(parameters), **options) if family else _peer(name, list(parameters), options)


def _peer(name: str, parameters: list[Any], options: dict[str, Any]) -> Any:
    """Of the authors' package, or of pytorch_optimizer, with what makes it what the paper says."""
    if name.startswith("ScheduleFree"):
        package = pytest.importorskip("schedulefree")
        options.pop("maximize")
        free = getattr(package, f"{name.removeprefix('ScheduleFree')}ScheduleFree")
        made = free(parameters, **options)
        made.train()
        return made
    package = pytest.importorskip("pytorch_optimizer")
    if name == "AdaBelief":
        options["ams_bound"] = options.pop("amsgrad")
    elif name == "Yogi":
        options["initial_accumulator"] = options.pop("initial_accumulator_value")
    elif name == "Adan":
        options["weight_decouple"] = options.pop("no_prox")
    elif name == "AdEMAMix":
        options |= {"weight_decouple": True, "t_alpha_beta3": options["t_alpha_beta3"] or None}
    elif name == "ADOPT":  # which counts the clamp's steps from 2 on; the paper and optax from 1
        decoupled = options.pop("decoupled_weight_decay")
        options |= {"weight_decouple": decoupled, "clip_lambda": lambda step: (step - 1) ** 0.25}
    return getattr(package, name)(parameters, **options)


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
