"""Optimizers whose steps are gradients, their means or their signs."""

from __future__ import annotations

from typing import Any, ClassVar

from gdcore._check import checked_field, flag_field, real, real_field
from gdcore._formula import formula
from gdcore.optimizers.base import Optimizer, betas_field, maximize_field

__all__ = ["ASGD", "SGD", "Lion", "Rprop"]


def __dir__() -> list[str]:
    return __all__


@formula
class SGD(Optimizer):
    """Gradient descent, with momentum or Nesterov's momentum.

    g <- g + weight_decay w
    v <- momentum v + (1 - dampening) g, and v = g at t = 1; left out without momentum
    w <- w - lr v, or with nesterov w <- w - lr (g + momentum v), or without momentum w <- w - lr g

    Sources: Robbins and Monro, "A stochastic approximation method", 1951; Polyak, "Some methods of
    speeding up the convergence of iteration methods", 1964; Sutskever et al., "On the importance of
    initialization and momentum in deep learning", ICML 2013, for momentum in this form.

    Args:
        lr: Learning rate, at least 0.
        momentum: Share of v that is kept, at least 0; 0 means none.
        dampening: Share of the gradient that momentum leaves out.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        nesterov: Looks ahead along v; needs momentum above 0 and dampening 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or nesterov or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "sgd"
    lr: float = real_field(1e-3, at_least=0)
    momentum: float = real_field(0.0, at_least=0)
    dampening: float = real_field(0.0)
    weight_decay: float = real_field(0.0, at_least=0)
    nesterov: bool = flag_field(False)
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
class ASGD(Optimizer):
    """Gradient descent, and beside it the average of where it has been.

    g <- g + weight_decay w
    e <- lr / (1 + lambd lr (t - 1))^alpha
    w <- w (1 - lambd e) - e g
    a <- a + (w - a) / max(1, t - 1 - t0), which is w up to there

    w is what trains; a is what to evaluate. e is of this step's lr, PyTorch's of the one before.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM
    Journal on Control and Optimization 30, 1992, in PyTorch's form.

    Args:
        lr: Learning rate, at least 0.
        lambd: How fast e falls, and what weights lose with it, at least 0.
        alpha: The power by which e falls.
        t0: The step from which on a is an average, at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "asgd"
    lr: float = real_field(1e-2, at_least=0)
    lambd: float = real_field(1e-4, at_least=0)
    alpha: float = real_field(0.75)
    t0: float = real_field(1e6, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


@formula
class Lion(Optimizer):
    """Steps of one length, in the direction of a sign.

    w <- w - lr weight_decay w
    w <- w - lr sign(beta1 m + (1 - beta1) g)
    m <- beta2 m + (1 - beta2) g

    Every weight moves by lr, so that lr is to be three to ten times less than Adam's, and
    weight_decay as much more.

    Source: Chen et al., "Symbolic discovery of optimization algorithms", arXiv:2302.06675.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what direction and memory keep of m, within [0, 1).
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, betas no pair, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "lion"
    lr: float = real_field(1e-4, at_least=0)
    betas: tuple[float, float] = betas_field(0.9, 0.99)
    weight_decay: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()


def _pair(argument: str, value: object) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{argument} must be a pair of numbers, got {value!r}")
    return value[0], value[1]


def _etas(argument: str, value: object) -> tuple[float, float]:
    shorter, longer = _pair(argument, value)
    return (
        real(f"{argument}[0]", shorter, above=0, below=1),
        real(f"{argument}[1]", longer, above=1),
    )


def _step_sizes(argument: str, value: object) -> tuple[float, float]:
    least, most = _pair(argument, value)
    shortest = real(f"{argument}[0]", least, above=0)
    return shortest, real(f"{argument}[1]", most, at_least=shortest)


@formula
class Rprop(Optimizer):
    """Steps of a length of its own for each weight, from signs alone: for whole batches.

    s <- min(max(k s, step_sizes[0]), step_sizes[1]), from lr on, where k is etas[1] where g has the
        sign that it had in the step before, etas[0] where it has the other, and 1 where one is 0
    w <- w - sign(g) s, but where the sign has changed w stays, and g counts as 0 in the next step

    lr is no more than where s starts: schedules change nothing. Signs of small batches are chance:
    take ``batch_size=None``.

    Source: Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm", ICNN 1993, in PyTorch's form, which does not go back.

    Args:
        lr: First length of the steps, at least 0.
        etas: What shortens a step, above 0 and below 1, and what lengthens it, above 1.
        step_sizes: The shortest and the longest step, above 0 and in this order.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, etas or step_sizes no pair, or maximize no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "rprop"
    lr: float = real_field(1e-2, at_least=0)
    etas: tuple[float, float] = checked_field((0.5, 1.2), _etas)
    step_sizes: tuple[float, float] = checked_field((1e-6, 50.0), _step_sizes)
    maximize: bool = maximize_field()
