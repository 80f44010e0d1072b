"""Optimizers around another one: each takes any optimizer, and is one.

>>> trainer = gdcore.Trainer(net, "mse", gdcore.Lookahead(gdcore.AdamW(lr=1e-3), k=5))
>>> trainer = gdcore.Trainer(net, "mse", gdcore.SAM(gdcore.SGD(lr=0.1, momentum=0.9), rho=0.05))
>>> trainer = gdcore.Trainer(net, "mse", gdcore.Penalized("adam", l1=1e-5, l2=1e-4))

Fields of groups and schedules are those of the optimizer within; groups know those of a penalty,
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from gdcore._check import checked_field, flag_field, integer, real_field, required_field
from gdcore._formula import formula
from gdcore.optimizers import Optimizer

if TYPE_CHECKING:
    from gdcore.bound_rule import BoundRule
    from gdcore.groups import Group

__all__ = ["SAM", "Lookahead", "Penalized", "Wrapper"]


def __dir__() -> list[str]:
    return __all__


_MOST = 2**53


def _resolved(argument: str, value: Any) -> Optimizer:
    return Optimizer.resolve(argument, value)


class Wrapper(Optimizer, family="an optimizer around another"):
    """Base of all optimizers around another one."""

    needs_another: ClassVar[bool] = True
    optimizer: Optimizer

    @property
    def lr(self) -> float:  # type: ignore[override]
        """The learning rate of the optimizer within."""
        return self.optimizer.lr

    def numbers(self) -> list[float]:
        """As C++ takes them, without the optimizer."""
        raise NotImplementedError

    def parameters(self) -> list[float]:
        """Those of the innermost optimizer; see `wrappers` for its own."""
        return self.innermost().parameters()

    def innermost(self) -> Optimizer:
        """The optimizer that is around no other."""
        return self.optimizer.innermost()

    def wrappers(self) -> list[tuple[str, list[float]]]:
        """What is around it, by name with numbers, the innermost first."""
        return [*self.optimizer.wrappers(), (self.name, self.numbers())]

    def penalty(self) -> Optimizer | None:
        """See `Optimizer.penalty`."""
        return self.optimizer.penalty()

    def bind(
        self,
        arrays: Sequence[NDArray[Any]],
        *,
        groups: Sequence[Group] = (),
        schedule: Any = None,
    ) -> BoundRule:
        """See `Optimizer.bind`; a ValueError for `SAM`, which needs two gradients a step."""
        if any(name == SAM.name for name, _ in self.wrappers()):
            raise ValueError(
                "bind must not be called of SAM, which takes two gradients a step: train with a "
                f"gdcore.Trainer, or bind the optimizer within, {self.innermost()!r}"
            )
        return super().bind(arrays, groups=groups, schedule=schedule)


@formula
class Lookahead(Wrapper):
    """Slow weights that every k steps go a part of the way to the fast ones.

    s <- w before the first step
    w <- a step of the optimizer within; where t is a multiple of k:
    s <- s + alpha (w - s), and then w <- s

    The network has the fast weights w. After a multiple of k steps they are the slow ones. The
    state of the optimizer within stays as it is. k = 1 with alpha = 1 changes nothing.

    Source: Zhang, Lucas, Hinton and Ba, "Lookahead optimizer: k steps forward, 1 step back",
    NeurIPS 2019, arXiv:1907.08610.

    Args:
        optimizer: The optimizer within, by name or as an object.
        k: After how many steps the slow weights move, at least 1.
        alpha: How far, above 0 and up to 1.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, or no optimizer has that name.
    """

    name: ClassVar[str] = "lookahead"
    optimizer: Optimizer = required_field(_resolved)
    k: int = checked_field(5, lambda argument, value: integer(argument, value, at_most=_MOST))
    alpha: float = real_field(0.5, above=0, at_most=1)

    def numbers(self) -> list[float]:
        """As C++ takes them, without the optimizer."""
        return [float(self.k), self.alpha]


@formula
class SAM(Wrapper):
    """Sharpness-aware minimization: the gradient is taken where the loss is about worst nearby.

    e <- rho g / (|g| + 1e-12), where g is the gradient at w, or with adaptive
    e <- rho w^2 g / (|w g| + 1e-12), element by element
    w <- a step of the optimizer within from w, with the gradient at w + e

    |g| is the norm over all that trains. Both gradients are of the same batch, with the same draw
    of `gdcore.Dropout`; so a step takes twice the time. The loss that is told is the one at w, and
    what `gdcore.BatchNorm` remembers is of that pass, too. Clipping limits the second gradient. It
    needs a compiled loss: neither ``bind`` nor `gdcore.Trainer.apply_gradients` can do it, nor can
    a trainer with a loss that is a function.

    Sources: Foret, Kleiner, Mobahi and Neyshabur, "Sharpness-aware minimization for efficiently
    improving generalization", ICLR 2021, arXiv:2010.01412; Kwon, Kim, Park and Choi, "ASAM:
    adaptive sharpness-aware minimization", ICML 2021, arXiv:2102.11600, for adaptive.

    Args:
        optimizer: The optimizer within, by name or as an object.
        rho: How far away, at least 0; adaptive takes about ten times as much.
        adaptive: Takes the distance in proportion to each weight.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, no optimizer has that name, or there is SAM
            within it already.
    """

    name: ClassVar[str] = "sam"
    optimizer: Optimizer = required_field(_resolved)
    rho: float = real_field(0.05, at_least=0)
    adaptive: bool = flag_field(False)

    def __post_init__(self) -> None:
        """Checks each field, and that two gradients are enough."""
        super().__post_init__()
        if any(name == self.name for name, _ in self.optimizer.wrappers()):
            raise ValueError(f"optimizer must have no SAM within it, got {self.optimizer!r}")

    def numbers(self) -> list[float]:
        """As C++ takes them, without the optimizer."""
        return [self.rho, float(self.adaptive)]


@formula
class Penalized(Wrapper):
    """An elastic net: a penalty on the size of the weights, by which their gradient grows.

    g <- g + l1 sign(w) + l2 w, which is the gradient of loss + l1 |w|_1 + l2 / 2 |w|^2

    With l1 alone that is the lasso's penalty, with l2 alone ridge regression's. sign(0) is 0. By
    default it is for weights alone, which are matrices or stacks of them, and not for biases or
    what norms scale by, as Keras's ``kernel_regularizer`` and scikit-learn's ``alpha``; the
    optimizers' own weight_decay is for all parameters, as PyTorch's.

    The loss that is told is without the penalty. Clipping limits g before it is added, as before
    PyTorch's weight decay, and `SAM` goes uphill without it. The order among wrappers does not
    matter. Weights come near 0 by l1, and move about it by the length of a step: what shall be 0
    exactly needs `gdcore.FTRL`.

    Sources: Tibshirani, "Regression shrinkage and selection via the lasso", JRSS B 58, 1996; Zou
    and Hastie, "Regularization and variable selection via the elastic net", JRSS B 67, 2005.

    Args:
        optimizer: The optimizer within, by name or as an object; none of `gdcore.solvers`.
        l1: Weight of the absolute values, at least 0. A group may set its own, or an ``l1_factor``.
        l2: Weight of the squares, at least 0; so may it of this.
        weights_only: Whether it is for weights alone. Where a group says False, it is for the
            biases and other vectors of that group, too.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, no optimizer has that name, or there is a
            penalty within it already.
    """

    name: ClassVar[str] = "penalized"
    optimizer: Optimizer = required_field(_resolved)
    l1: float = real_field(0.0, at_least=0)
    l2: float = real_field(0.0, at_least=0)
    weights_only: bool = flag_field(True)

    def __post_init__(self) -> None:
        """Checks each field, and that one penalty is enough."""
        super().__post_init__()
        if self.optimizer.penalty() is not None:
            raise ValueError(f"optimizer must have no penalty within it, got {self.optimizer!r}")

    def penalty(self) -> Optimizer | None:
        """See `Optimizer.penalty`."""
        return self

    def numbers(self) -> list[float]:
        """As C++ takes them, without the optimizer; the last is the sign."""
        sign = -1.0 if getattr(self.innermost(), "maximize", False) else 1.0
        return [self.l1, self.l2, float(self.weights_only), sign]
