"""Optimizers that need no schedule of the learning rate."""

from __future__ import annotations

from typing import ClassVar

from gdcore._check import real, real_field
from gdcore._formula import formula
from gdcore.optimizers.base import Optimizer, betas_field, maximize_field

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeSGD"]


def __dir__() -> list[str]:
    return __all__


@formula
class ScheduleFreeSGD(Optimizer):
    """Gradient descent that needs no schedule: it trains between a point and its average.

    g <- g + weight_decay w
    a = lr min(1, t / warmup_steps)
    q = t^r (max(a_1 .. a_t))^weight_lr_power, and c = q_t / (q_1 + .. + q_t)
    z <- z - a g
    x <- (1 - c) x + c z
    w <- (1 - momentum) z + momentum x

    w trains; x is what to evaluate and to keep, and gets better all the time, so that no length of
    the training need be known. At the beginning all three are the same.

    Source: Defazio et al., "The road less scheduled", arXiv:2405.15682; w is their y.

    Args:
        lr: Learning rate, at least 0.
        momentum: How near to the average gradients are taken, above 0 and below 1.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        warmup_steps: Steps over which lr comes in, at least 0.
        r: The power of t by which later steps count more in the average, at least 0.
        weight_lr_power: The power of the largest lr so far by which they count, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "schedule_free_sgd"
    lr: float = real_field(1.0, at_least=0)
    momentum: float = real_field(0.9, above=0, below=1)
    weight_decay: float = real_field(0.0, at_least=0)
    warmup_steps: float = real_field(0.0, at_least=0)
    r: float = real_field(0.0, at_least=0)
    weight_lr_power: float = real_field(2.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class ScheduleFreeAdamW(Optimizer):
    """AdamW that needs no schedule: it trains between a point and its average.

    v <- beta2 v + (1 - beta2) g^2
    g <- g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w
    a, c, z, x and w as in `ScheduleFreeSGD`, with beta1 for its momentum

    w trains; x is what to evaluate and to keep. lr is to be one to ten times Adam's.

    Source: Defazio et al., "The road less scheduled", arXiv:2405.15682; w is their y.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1, how near to the average gradients are taken, above 0 and below 1, and beta2,
            what v keeps at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        warmup_steps: Steps over which lr comes in, at least 0.
        r: The power of t by which later steps count more in the average, at least 0.
        weight_lr_power: The power of the largest lr so far by which they count, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "schedule_free_adamw"
    lr: float = real_field(2.5e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.999)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    warmup_steps: float = real_field(0.0, at_least=0)
    r: float = real_field(0.0, at_least=0)
    weight_lr_power: float = real_field(2.0, at_least=0)
    maximize: bool = maximize_field()

    def __post_init__(self) -> None:
        """Checks each number, and that there is an average to look from."""
        super().__post_init__()
        real("betas[0]", self.betas[0], above=0)
