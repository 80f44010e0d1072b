"""Adam and its closest kin, as PyTorch has them."""

from __future__ import annotations

from typing import ClassVar

from gdcore._check import flag_field, real_field
from gdcore._formula import formula
from gdcore.optimizers.base import Optimizer, betas_field, maximize_field

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


def __dir__() -> list[str]:
    return __all__


@formula
class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    g <- g + weight_decay w
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    m' = m / (1 - beta1^t)
    v' = v / (1 - beta2^t), or with amsgrad max(v_1 .. v_t) / (1 - beta2^t)
    w <- w - lr m' / (sqrt(v') + eps)

    Sources: Kingma and Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980; Reddi,
    Kale and Kumar, "On the convergence of Adam and beyond", arXiv:1904.09237, for amsgrad.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        amsgrad: Divides by the largest v so far.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or amsgrad or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adam"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    amsgrad: bool = flag_field(False)
    maximize: bool = maximize_field()


@formula
class AdamW(Adam):
    """Adam with weight decay apart from the gradient.

    w <- w - lr weight_decay w, then Adam's step with the gradient as it is

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", arXiv:1711.05101.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        amsgrad: Divides by the largest v so far.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or amsgrad or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adamw"
    weight_decay: float = real_field(1e-2, at_least=0)


@formula
class Adamax(Optimizer):
    """Adam with the largest gradient of late in the place of a root.

    g <- g + weight_decay w
    m <- beta1 m + (1 - beta1) g
    u <- max(beta2 u, |g| + eps)
    w <- w - lr / (1 - beta1^t) m / u

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980, section
    7.1.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what m and u keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adamax"
    lr: float = real_field(2e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class NAdam(Optimizer):
    """Adam with Nesterov's momentum, which grows at first.

    g <- g + weight_decay w
    mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)
    M_t = mu_1 mu_2 .. mu_t
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    d = (1 - mu_t) / (1 - M_t) g + mu_t+1 / (1 - M_t+1) m
    w <- w - lr d / (sqrt(v / (1 - beta2^t)) + eps)

    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, in PyTorch's
    form.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        momentum_decay: How fast the momentum grows from about beta1 / 2 to beta1, at least 0.
        decoupled_weight_decay: Weights shrink by lr weight_decay at each step instead, and g stays
            as it is.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or decoupled_weight_decay or maximize no
            bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "nadam"
    lr: float = real_field(2e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    momentum_decay: float = real_field(4e-3, at_least=0)
    decoupled_weight_decay: bool = flag_field(False)
    maximize: bool = maximize_field()


@formula
class RAdam(Optimizer):
    """Adam that trusts its root only once it is a mean of enough.

    g <- g + weight_decay w
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    R = 2 / (1 - beta2) - 1
    p = R - 2 t beta2^t / (1 - beta2^t)
    w <- w - lr m / (1 - beta1^t), or where p > 5 that times sqrt(1 - beta2^t) / (sqrt(v) + eps) and
        sqrt((p - 4) (p - 2) R / ((R - 4) (R - 2) p))

    Source: Liu et al., "On the variance of the adaptive learning rate and beyond",
    arXiv:1908.03265.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        decoupled_weight_decay: Weights shrink by lr weight_decay at each step instead, and g stays
            as it is.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or decoupled_weight_decay or maximize no
            bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "radam"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    decoupled_weight_decay: bool = flag_field(False)
    maximize: bool = maximize_field()
