"""Optimizers that take all samples at once and ask for losses at weights of their own choice.

An epoch of `gdcore.Trainer.fit` with ``batch_size=None`` is one iteration, and `fit` ends early
where it has converged. They are for small networks, and losses to be brought to the last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from numpy.typing import NDArray

from gdcore._check import checked_field, integer, real_field
from gdcore._formula import formula
from gdcore._names import choice
from gdcore.optimizers import Optimizer

if TYPE_CHECKING:
    from gdcore.groups import Group

__all__ = ["LBFGS", "LevenbergMarquardt", "Solver"]


def __dir__() -> list[str]:
    return __all__


class Solver(Optimizer, family="a solver"):
    """Base of those that train by all samples at once."""

    def bind(
        self,
        arrays: Sequence[NDArray[Any]],
        *,
        groups: Sequence[Group] = (),
        schedule: Any = None,
    ) -> NoReturn:
        """Refuses: a solver asks for losses at weights of its own choice.

        Raises:
            TypeError: Always.
        """
        kind = type(self).__name__
        raise TypeError(
            f"{kind} cannot be bound to arrays: it asks for losses at other weights, which takes a "
            "gdcore.Trainer"
        )


def check_schedule(optimizer: Optimizer, schedule: object) -> None:
    """A ValueError where there is a schedule, and no learning rate that could follow it."""
    within = optimizer.innermost()
    if schedule is not None and "lr" not in {each.name for each in fields(within)}:
        raise ValueError(
            f"schedule must be None with {type(within).__name__}, which has no learning rate, "
            f"got {schedule!r}"
        )


def check_batch(optimizer: Optimizer, batch_size: int | None, samples: int) -> None:
    """A ValueError where a solver would get less than all samples at once."""
    if isinstance(optimizer, Solver) and batch_size is not None and batch_size < samples:
        raise ValueError(
            f"batch_size must be None with optimizer {optimizer.name!r}, which takes all {samples} "
            f"samples at once, got {batch_size}"
        )


_MOST = 2**31 - 1
_SOLVERS = ("auto", "cholesky", "cg")


def _count(argument: str, value: object) -> int:
    return integer(argument, value, at_most=_MOST)


def _line_search(argument: str, value: object) -> str | None:
    return None if value is None else choice(argument, value, ("strong_wolfe",))


def _solver(argument: str, value: object) -> str:
    return choice(argument, value, _SOLVERS)


@formula
class LBFGS(Solver):
    """Limited-memory BFGS: Newton's method with a Hessian guessed from the last steps.

    d <- -H g, with H from the last history_size pairs s = w_t - w_(t-1), y = g_t - g_(t-1), and
         H = (s y) / (y y) before these
    w <- w + a d, where a, from lr on, fulfils f(w + a d) <= f(w) + 1e-4 a g d and
         |g(w + a d) d| <= 0.9 |g d|; without a line search a = lr
    at t = 1 d = -g, from a = min(1, 1 / |g|_1) lr on

    f is the loss with weight_decay / 2 |w|^2. A line search asks for 25 more losses at most. Its
    way, all constants and endings are those of ``torch.optim.LBFGS``, but for pairs that are left
    out: there with s y <= 1e-10, here with s y <= min(1e-10, 2^-52 y y), since near a minimum all
    are below the first.

    Sources: Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of
    Computation 35, 1980; Nocedal and Wright, "Numerical optimization", 2nd edition, 2006,
    algorithms 3.5, 3.6, 7.4 and 7.5.

    Args:
        lr: Where the line search begins, or without one the length of each step; at least 0.
        history_size: How many pairs are kept, at least 1: two copies of the parameters each.
        max_iter: How many iterations an epoch makes at most, at least 1.
        line_search: ``"strong_wolfe"``, or None.
        tolerance_grad: It has converged where no element of g is larger; at least 0.
        tolerance_change: It has converged where neither the loss nor any parameter changes by more,
            or d promises no more; at least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0. A group may set its
            own.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "lbfgs"
    lr: float = real_field(1.0, at_least=0)
    history_size: int = checked_field(10, _count)
    max_iter: int = checked_field(1, _count)
    line_search: str | None = checked_field("strong_wolfe", _line_search)
    tolerance_grad: float = real_field(1e-7, at_least=0)
    tolerance_change: float = real_field(1e-9, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)

    def parameters(self) -> list[float]:
        """As C++ takes them: with 1 for a line search, 0 for none."""
        return [
            self.lr,
            float(self.history_size),
            float(self.max_iter),
            float(self.line_search is not None),
            self.tolerance_grad,
            self.tolerance_change,
            self.weight_decay,
        ]


@formula
class LevenbergMarquardt(Solver):
    """Levenberg-Marquardt: between Gauss-Newton's step and a short one down the gradient.

    (J^T J + mu I) d = -J^T r
    w <- w + d and mu <- mu mu_dec where the loss falls; else mu <- mu mu_inc, and again

    r are the residuals, J their derivatives, scaled so that the loss is sum r^2: with ``"mse"``
    r_ij = sqrt(v_i / (m sum v)) (y_ij - t_ij) for m outputs and sample weights v. A weight decay
    adds weight_decay / 2 to the diagonal and weight_decay / 2 w to J^T r. Names and defaults are
    those of MATLAB's ``trainlm``. mu falls no lower than 1e-20.

    It trains float64 by ``"mse"`` alone. J^T J of n parameters takes n^2 numbers and is solved by
    Cholesky's method; from 4,097 parameters on no such matrix is made, and the step is found by
    conjugate gradients from products with J.

    Sources: Levenberg, "A method for the solution of certain non-linear problems in least squares",
    Quarterly of Applied Mathematics 2, 1944; Marquardt, "An algorithm for least-squares estimation
    of nonlinear parameters", SIAM Journal 11, 1963; Hagan and Menhaj, "Training feedforward
    networks with the Marquardt algorithm", IEEE Transactions on Neural Networks 5, 1994.

    Args:
        mu: What mu starts from, above 0.
        mu_dec: Its factor after a step that was taken, above 0 and below 1.
        mu_inc: Its factor after one that was not, above 1.
        mu_max: It has converged where mu is larger, above 0: no step lowers the loss.
        min_grad: It has converged where the Euclidean norm of the loss's gradient is no larger; at
            least 0.
        weight_decay: Weight of the penalty weight_decay / 2 |w|^2, at least 0. A group may set its
            own.
        solver: ``"cholesky"``, ``"cg"`` for conjugate gradients, or ``"auto"``: by the number of
            parameters.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, NaN or infinite, or mu above mu_max.
    """

    name: ClassVar[str] = "levenberg_marquardt"
    lr: ClassVar[float] = 1.0  # type: ignore[misc]  # the step is what mu makes it
    mu: float = real_field(1e-3, above=0)
    mu_dec: float = real_field(0.1, above=0, below=1)
    mu_inc: float = real_field(10.0, above=1)
    mu_max: float = real_field(1e10, above=0)
    min_grad: float = real_field(1e-7, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)
    solver: str = checked_field("auto", _solver)

    def __post_init__(self) -> None:
        """Checks each number, and that there is room above mu."""
        super().__post_init__()
        if self.mu > self.mu_max:
            raise ValueError(f"mu must be at most mu_max, got {self.mu:g} and {self.mu_max:g}")

    def parameters(self) -> list[float]:
        """As C++ takes them: a rate of 1 first, and the solver by its number."""
        return [
            self.lr,
            self.mu,
            self.mu_dec,
            self.mu_inc,
            self.mu_max,
            self.min_grad,
            self.weight_decay,
            float(_SOLVERS.index(self.solver)),
        ]
