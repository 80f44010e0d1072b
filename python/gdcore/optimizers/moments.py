"""Adam's successors: other means, other roots."""

from __future__ import annotations

from typing import ClassVar

from gdcore._check import flag_field, real_field
from gdcore._formula import formula
from gdcore.optimizers.base import Optimizer, betas_field, maximize_field

__all__ = ["ADOPT", "AdEMAMix", "AdaBelief", "Adan", "Yogi"]


def __dir__() -> list[str]:
    return __all__


@formula
class AdaBelief(Optimizer):
    """Adam whose root is of what differs from the mean gradient: long steps where it is steady.

    w <- w - lr weight_decay w
    m <- beta1 m + (1 - beta1) g
    s <- beta2 s + (1 - beta2) (g - m)^2 + eps
    w <- w - lr / (1 - beta1^t) m / (sqrt(s' / (1 - beta2^t)) + eps), s' = s, or with amsgrad the
        largest s so far

    Without the rectification that the authors' code has beside it.

    Source: Zhuang et al., "AdaBelief optimizer: adapting stepsizes by the belief in observed
    gradients", arXiv:2010.07468.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        eps: Keeps root and denominator from 0; at least 0.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        amsgrad: Divides by the largest s so far.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or amsgrad or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adabelief"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-16, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    amsgrad: bool = flag_field(False)
    maximize: bool = maximize_field()


@formula
class Yogi(Optimizer):
    """Adam whose mean of squares changes by no more than a share of the square.

    w <- w - lr weight_decay w
    m <- beta1 m + (1 - beta1) g
    v <- v - (1 - beta2) sign(v - g^2) g^2
    w <- w - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)

    Both m and v start from initial_accumulator_value, as optax has it.

    Source: Zaheer et al., "Adaptive methods for nonconvex optimization", NeurIPS 2018.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what m keeps at each step, and 1 less v's share, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        initial_accumulator_value: What m and v start from, at least 0.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "yogi"
    lr: float = real_field(1e-2, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-3, at_least=0)
    initial_accumulator_value: float = real_field(1e-6, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class Adan(Optimizer):
    """Adam that also knows how the gradient changes: Nesterov's momentum without looking ahead.

    d = g - g of the step before, 0 at t = 1
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) d
    n <- beta3 n + (1 - beta3) (g + beta2 d)^2
    w <- w - lr (m / (1 - beta1^t) + beta2 v / (1 - beta2^t)) / (sqrt(n / (1 - beta3^t)) + eps)
    w <- w / (1 + lr weight_decay), or with no_prox w <- w - lr weight_decay w before that

    The betas are those of the authors' code, 1 less those of the paper.

    Source: Xie et al., "Adan: adaptive Nesterov momentum algorithm for faster optimizing deep
    models", arXiv:2208.06677.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1, beta2 and beta3, what the running means keep, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        no_prox: They shrink before the step and not after it.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no three of them, or no_prox or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adan"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float, float] = betas_field(0.98, 0.92, 0.99)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    no_prox: bool = flag_field(False)
    maximize: bool = maximize_field()


@formula
class AdEMAMix(Optimizer):
    """Adam with a second mean of the gradient, which remembers thousands of steps.

    w <- w - lr weight_decay w
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    n <- b n + (1 - b) g
    w <- w - lr (m / (1 - beta1^t) + a n) / (sqrt(v / (1 - beta2^t)) + eps)
    b = beta3 and a = alpha; but before t = T = t_alpha_beta3, with x = t / T, a = alpha x and
        b = min(beta3, exp(log beta1 log beta3 / ((1 - x) log beta3 + x log beta1)))

    Source: Pagliardini, Ablin and Grangier, "The AdEMAMix optimizer: better, faster, older",
    arXiv:2409.03137.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1, beta2 and beta3, what m, v and n keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        alpha: What the slow mean counts beside the fast one, at least 0.
        t_alpha_beta3: Steps over which the slow mean comes in, at least 0; the paper takes all.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no three of them, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "ademamix"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float, float] = betas_field(0.9, 0.999, 0.9999)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    alpha: float = real_field(5.0, at_least=0)
    t_alpha_beta3: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class ADOPT(Optimizer):
    """Adam that scales a gradient before it is averaged, by squares that it is not in.

    g <- g + weight_decay w
    v <- g^2 at t = 1, and that is all; from then on
    m <- beta1 m + (1 - beta1) clamp(g / max(sqrt(v), eps), -c, c), c = (t - 1)^(1/4)
    w <- w - lr m
    v <- beta2 v + (1 - beta2) g^2

    Source: Taniguchi et al., "ADOPT: modified Adam can converge with any beta2 with the optimal
    rate", arXiv:2411.02853, with the clamp of its second algorithm, counted as there and in optax.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        eps: The least that is divided by; at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        decoupled_weight_decay: Weights shrink by lr weight_decay at each step instead, and g stays
            as it is.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or decoupled_weight_decay or maximize no
            bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adopt"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.9999)
    eps: float = real_field(1e-6, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    decoupled_weight_decay: bool = flag_field(False)
    maximize: bool = maximize_field()
