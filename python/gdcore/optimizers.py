"""Optimizers: how a gradient changes the parameters.

Names, defaults and order of operations are PyTorch's. w stands for a parameter, g for its gradient,
t for the number of the step from 1 on. An optimizer here is a description without state; a
`gdcore.Trainer` or `Optimizer.bind` makes the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from gdcore._check import flag_field, real, real_field
from gdcore._formula import Formula, formula

if TYPE_CHECKING:
    from gdcore.bound_rule import BoundRule
    from gdcore.groups import Group

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]


def __dir__() -> list[str]:
    return __all__


class Optimizer(Formula, family="an optimizer"):
    """Base of all optimizers."""

    lr: float

    def innermost(self) -> Optimizer:
        """The optimizer itself; of one around another, see `gdcore.wrappers`, that."""
        return self

    def wrappers(self) -> list[tuple[str, list[float]]]:
        """What is around `innermost`, by name with numbers; nothing."""
        return []

    def bind(self, arrays: Sequence[NDArray[Any]], *, groups: Sequence[Group] = ()) -> BoundRule:
        """Makes the state to update NumPy arrays of one's own, in place.

        >>> weights = [np.zeros((3, 2)), np.zeros(3)]
        >>> rule = gdcore.Adam(lr=0.1).bind(weights)
        >>> rule.step([np.ones((3, 2)), np.ones(3)])

        Args:
            arrays: The parameters, all float32 or all float64, writable, C-contiguous, aligned, and
                without memory in common.
            groups: Arrays with hyperparameters of their own, or that do not change, see
                `gdcore.Group`; the keys are ``"0"``, ``"1"``, ... in the order of arrays. Of one
                that is frozen the gradient is not looked at.

        Raises:
            TypeError: arrays is no sequence, an entry is no NumPy array of float32 or float64 or is
                masked, or they differ in dtype.
            ValueError: There are no arrays, one is empty, read-only, not C-contiguous or not
                aligned, or two overlap; or groups are wrong as for a `gdcore.Trainer`.
        """
        from gdcore.bound_rule import BoundRule  # only here: descriptions know no C++
        from gdcore.groups import checked_groups, resolved

        optimizer, row = Optimizer.resolve("optimizer", self), checked_groups(groups)

        def resolve(keys: list[str]) -> tuple[Any, Any]:
            return resolved(row, keys, optimizer.innermost(), "an array")

        return BoundRule(optimizer, arrays, row, resolve)


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

    Raises:
        TypeError: An argument is no number, or nesterov no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "sgd"
    lr: float = real_field(1e-3, at_least=0)
    momentum: float = real_field(0.0, at_least=0)
    dampening: float = real_field(0.0)
    weight_decay: float = real_field(0.0, at_least=0)
    nesterov: bool = flag_field(False)

    def __post_init__(self) -> None:
        """Checks each number, and that Nesterov's momentum has what it needs."""
        super().__post_init__()
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                "nesterov needs momentum above 0 and dampening 0, "
                f"got momentum {self.momentum} and dampening {self.dampening}"
            )


def _decay_rates(argument: str, value: object) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{argument} must be a pair of numbers, got {value!r}")
    first, second = (
        real(f"{argument}[{index}]", rate, at_least=0, below=1) for index, rate in enumerate(value)
    )
    return first, second


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

    Raises:
        TypeError: An argument is no number, betas no pair, or amsgrad no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adam"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float] = field(default=(0.9, 0.999), metadata={"check": _decay_rates})
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    amsgrad: bool = flag_field(False)


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

    Raises:
        TypeError: An argument is no number, betas no pair, or amsgrad no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adamw"
    weight_decay: float = real_field(1e-2, at_least=0)


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

    Raises:
        TypeError: An argument is no number.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adagrad"
    lr: float = real_field(1e-2, at_least=0)
    lr_decay: float = real_field(0.0, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    initial_accumulator_value: float = real_field(0.0, at_least=0)
    eps: float = real_field(1e-10, at_least=0)


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

    Raises:
        TypeError: An argument is no number, or centered no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "rmsprop"
    lr: float = real_field(1e-2, at_least=0)
    alpha: float = real_field(0.99, at_least=0, below=1)
    eps: float = real_field(1e-8, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    momentum: float = real_field(0.0, at_least=0)
    centered: bool = flag_field(False)


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

    Raises:
        TypeError: An argument is no number.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adadelta"
    lr: float = real_field(1.0, at_least=0)
    rho: float = real_field(0.9, at_least=0, below=1)
    eps: float = real_field(1e-6, above=0)
    weight_decay: float = real_field(0.0, at_least=0)
