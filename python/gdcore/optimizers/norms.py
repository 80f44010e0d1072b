"""Optimizers that look at norms, or at all parameters at once."""

from __future__ import annotations

from typing import ClassVar

from gdcore._check import flag_field, real_field
from gdcore._formula import formula
from gdcore.optimizers.base import (
    Optimizer,
    as_numbers,
    betas_field,
    maximize_field,
    optional_real_field,
)

__all__ = ["LAMB", "LARS", "Prodigy"]


def __dir__() -> list[str]:
    return __all__


@formula
class LARS(Optimizer):
    """Momentum whose steps are in proportion to the norm of what they change.

    Of a matrix, or several that are one parameter:
    q = trust_coefficient |w| / (|g| + weight_decay |w|), and q = 1 where |w| or that is 0
    g <- q (g + weight_decay w)
    Of vectors g stays as it is. Then
    v <- momentum v + (1 - dampening) g, from 0 on; left out without momentum
    w <- w - lr v, or with nesterov w <- w - lr (g + momentum v), or without momentum w <- w - lr g

    |w| is the Euclidean norm of a whole parameter. In the form of pytorch_optimizer's LARS.

    Source: You, Gitman and Ginsburg, "Large batch training of convolutional networks",
    arXiv:1708.03888.

    Args:
        lr: Learning rate, at least 0.
        momentum: Share of v that is kept, at least 0; 0 means none.
        dampening: Share of the gradient that momentum leaves out.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2 of matrices, at least 0.
        nesterov: Looks ahead along v; needs momentum above 0 and dampening 0.
        trust_coefficient: How far a step goes, in norms of what it changes; at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or nesterov or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "lars"
    lr: float = real_field(1e-3, at_least=0)
    momentum: float = real_field(0.9, at_least=0)
    dampening: float = real_field(0.0)
    weight_decay: float = real_field(0.0, at_least=0)
    nesterov: bool = flag_field(False)
    trust_coefficient: float = real_field(1e-3, at_least=0)
    maximize: bool = maximize_field()

    def __post_init__(self) -> None:
        """Checks each number, and that Nesterov's momentum has what it needs."""
        super().__post_init__()
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                "nesterov needs momentum above 0 and dampening 0, "
                f"got momentum {self.momentum} and dampening {self.dampening}"
            )


@formula
class LAMB(Optimizer):
    """Adam whose steps are in proportion to the norm of what they change.

    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w
    w <- w - lr |w| / |u| u, and w <- w - lr u where |w| or |u| is 0

    |w| is the Euclidean norm of a whole parameter, matrix or vector. In the form of the paper and
    of optax; pytorch_optimizer's corrects m alone for its start at 0 and limits |w| to 10.

    Source: You et al., "Large batch optimization for deep learning: training BERT in 76 minutes",
    arXiv:1904.00962.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Share of w in u, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "lamb"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-6, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class Prodigy(Optimizer):
    """Adam that finds its learning rate: d, from how far the weights came and the gradients led.

    n <- beta3 n + d / d0 d lr' <g, w_0 - w>, over all parameters, w_0 as before the first step
    s <- beta3 s + d / d0 d lr' g, with safeguard_warmup d / d0 d g
    m <- beta1 m + (1 - beta1) d g
    v <- beta2 v + (1 - beta2) d^2 g^2
    d' = d_coef n / sum |s|; d <- min(largest d' so far and d0, d growth_rate)
    w <- w - d lr' weight_decay w - d lr' m / (sqrt(v) + d eps)
    lr' = lr, or with use_bias_correction lr sqrt(1 - beta2^t) / (1 - beta1^t). Of the last line the
    first two d are those from before this step. Without decouple g <- g + weight_decay w, before
    all else, takes the place of the decay. Where all s are 0 nothing moves.

    In the form of prodigyopt. Groups may have rates of their own, which prodigyopt refuses: each
    then counts in n and s with its own; where that is 0, it counts nothing.

    Source: Mishchenko and Defazio, "Prodigy: an expeditiously adaptive parameter-free learner",
    arXiv:2306.06101.

    Args:
        lr: What d is multiplied by, at least 0: 1, or a schedule from 1 on.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        beta3: What n and s keep, within [0, 1]; None means sqrt(beta2).
        eps: Keeps the denominator from 0; above 0.
        weight_decay: Share of the rate by which weights shrink, at least 0.
        decouple: Shrinks the weights by themselves, as AdamW; else the penalty is in the gradient.
        use_bias_correction: Corrects m and v for their start at 0.
        safeguard_warmup: Leaves lr out of s, so that a schedule that starts low does no harm.
        d0: What d starts from, above 0.
        d_coef: What d is multiplied by as it is found, above 0.
        growth_rate: The most that d grows by in a step, at least 1; None means any.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or what is said to be one no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "prodigy"
    lr: float = real_field(1.0, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    beta3: float | None = optional_real_field(None, at_least=0, at_most=1)
    eps: float = real_field(1e-8, above=0)
    weight_decay: float = real_field(0.0, at_least=0)
    decouple: bool = flag_field(True)
    use_bias_correction: bool = flag_field(False)
    safeguard_warmup: bool = flag_field(False)
    d0: float = real_field(1e-6, above=0)
    d_coef: float = real_field(1.0, above=0)
    growth_rate: float | None = optional_real_field(None, at_least=1)
    maximize: bool = maximize_field()

    def parameters(self) -> list[float]:
        """As C++ takes them: -1 and 0 stand for None."""
        beta3 = -1.0 if self.beta3 is None else self.beta3
        return as_numbers(self, beta3=beta3, growth_rate=self.growth_rate or 0.0)
