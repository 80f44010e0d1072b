"""Optimizers whose steps are scaled by squares of gradients, without Adam's two means."""

from __future__ import annotations

from typing import ClassVar

from gdcore._check import flag_field, real_field
from gdcore._formula import formula
from gdcore.optimizers.base import Optimizer, maximize_field

__all__ = ["FTRL", "MADGRAD", "Adadelta", "Adagrad", "RMSprop"]


def __dir__() -> list[str]:
    return __all__


@formula
class Adagrad(Optimizer):
    """Steps scaled by the sum of all squared gradients so far: rarely used weights move far.

    g <- g + weight_decay w
    s <- s + g^2, from initial_accumulator_value on
    w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12, 2011.

    Args:
        lr: Learning rate, at least 0.
        lr_decay: How fast the learning rate falls with t, at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        initial_accumulator_value: What s starts from, at least 0.
        eps: Keeps the denominator from 0; at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adagrad"
    lr: float = real_field(1e-2, at_least=0)
    lr_decay: float = real_field(0.0, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    initial_accumulator_value: float = real_field(0.0, at_least=0)
    eps: float = real_field(1e-10, at_least=0)
    maximize: bool = maximize_field()


@formula
class RMSprop(Optimizer):
    """Steps scaled by a running mean of the squared gradient.

    g <- g + weight_decay w
    v <- alpha v + (1 - alpha) g^2
    d <- g / (sqrt(v) + eps), or with centered, where m <- alpha m + (1 - alpha) g,
         g / (sqrt(v - m^2) + eps)
    w <- w - lr d, or with momentum b <- momentum b + d and w <- w - lr b

    Sources: Tieleman and Hinton, "Lecture 6.5: RMSProp", 2012; Graves, "Generating sequences with
    recurrent neural networks", arXiv:1308.0850, for centered.

    Args:
        lr: Learning rate, at least 0.
        alpha: What the running means keep at each step, within [0, 1).
        eps: Keeps the denominator from 0; at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        momentum: Share of b that is kept, at least 0; 0 means none.
        centered: Divides by the spread around the mean gradient.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or centered or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "rmsprop"
    lr: float = real_field(1e-2, at_least=0)
    alpha: float = real_field(0.99, at_least=0, below=1)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    momentum: float = real_field(0.0, at_least=0)
    centered: bool = flag_field(False)
    maximize: bool = maximize_field()


@formula
class Adadelta(Optimizer):
    """Steps of the size that earlier steps had, for the gradients that earlier steps had.

    g <- g + weight_decay w
    v <- rho v + (1 - rho) g^2
    d <- sqrt(u + eps) / sqrt(v + eps) g
    u <- rho u + (1 - rho) d^2
    w <- w - lr d

    Source: Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701.

    Args:
        lr: Learning rate, at least 0.
        rho: What the running means keep at each step, within [0, 1).
        eps: Starts the steps, and keeps the denominator from 0; above 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adadelta"
    lr: float = real_field(1.0, at_least=0)
    rho: float = real_field(0.9, at_least=0, below=1)
    eps: float = real_field(1e-6, above=0)
    weight_decay: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class FTRL(Optimizer):
    """Follow the regularized leader: weights that are exactly 0, for sparse inputs.

    r' = sqrt(r^2 + g^2)
    z <- z + lr g - (r' - r) w, and r <- r'
    w <- 0 where |z| <= lr lambda_1, else -(z - sign(z) lr lambda_1) / (beta + r + lr lambda_2)

    z and r are of each weight. z is that of the paper times lr, so that weights do not change with
    the rate.

    Source: McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013.

    Args:
        lr: Learning rate, at least 0.
        beta: What makes the first steps shorter, at least 0.
        lambda_1: Weight of the penalty lambda_1 |w|, at least 0.
        lambda_2: Weight of the penalty lambda_2 / 2 |w|^2, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "ftrl"
    lr: float = real_field(1e-3, at_least=0)
    beta: float = real_field(0.0, at_least=0)
    lambda_1: float = real_field(0.0, at_least=0)
    lambda_2: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class MADGRAD(Optimizer):
    """Averages gradients from the beginning on, under a third root.

    g <- g + weight_decay w
    k = (lr + eps) sqrt(t), or 0 where lr is 0
    s <- s + k g
    v <- v + k g^2
    z = x - s / (cbrt(v) + eps), where x is w before the first step
    w <- momentum w + (1 - momentum) z

    That eps is in k, too, is the authors' code and not their paper.

    Source: Defazio and Jelassi, "Adaptivity without compromise: a momentumized, adaptive, dual
    averaged gradient method for stochastic optimization", arXiv:2101.11075.

    Args:
        lr: Learning rate, at least 0.
        momentum: Share of w that is kept, within [0, 1); 0 means none.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        eps: Keeps the denominator from 0; at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "madgrad"
    lr: float = real_field(1e-2, at_least=0)
    momentum: float = real_field(0.9, at_least=0, below=1)
    weight_decay: float = real_field(0.0, at_least=0)
    eps: float = real_field(1e-6, at_least=0)
    maximize: bool = maximize_field()
