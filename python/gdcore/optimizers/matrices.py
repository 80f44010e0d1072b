"""Optimizers that look at matrices."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from gdcore._check import checked_field, flag_field, integer, real, real_field
from gdcore._formula import formula
from gdcore._names import choice
from gdcore.optimizers.base import (
    Optimizer,
    as_numbers,
    betas_field,
    maximize_field,
    optional_real_field,
)

__all__ = ["SOAP", "Adafactor", "Muon"]


def __dir__() -> list[str]:
    return __all__


AdjustLr = Literal["original", "match_rms_adamw"]
ADJUST_LR: tuple[AdjustLr, ...] = ("original", "match_rms_adamw")


def _row(argument: str, value: object, count: int) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)) or len(value) != count:
        raise TypeError(f"{argument} must be a row of {count} numbers, got {value!r}")
    return tuple(value)


def _pair_of_eps(argument: str, value: object) -> tuple[float | None, float]:
    first, second = _row(argument, value, 2)
    if first is not None:
        first = real(f"{argument}[0]", first, at_least=0)
    return first, real(f"{argument}[1]", second, at_least=0)


def _three_numbers(argument: str, value: object) -> tuple[float, float, float]:
    a, b, c = (real(f"{argument}[{i}]", x) for i, x in enumerate(_row(argument, value, 3)))
    return a, b, c


def _adjust_lr(argument: str, value: object) -> AdjustLr | None:
    return None if value is None else choice(argument, value, ADJUST_LR)


@formula
class Adafactor(Optimizer):
    """Steps scaled by means of the squared gradient over rows and over columns, not by elements.

    b = t^beta2_decay
    Of a matrix (n, k): r <- r + b (1/k sum_j g_ij^2 - r), c <- c + b (1/n sum_i g_ij^2 - c),
    V = r c^T / max(1/n sum_i r_i, eps1); of a vector V <- V + b (g^2 - V)
    u = g / sqrt(max(V, eps1^2))
    w <- w - lr weight_decay w - a u / max(1, rms(u) / d)
    a = max(eps2, rms(w)) min(lr, 1 / sqrt(t)), rms(w) = sqrt(mean of w^2), w as before the step

    So a matrix takes n + k numbers of memory. Each matrix of several that are one parameter is
    taken by itself. In the form of PyTorch's.

    Source: Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost",
    arXiv:1804.04235.

    Args:
        lr: Most of the learning rate, at least 0.
        beta2_decay: How fast the means forget less, at most 0.
        eps: eps1, which keeps denominators from 0, at least 0, or None: the machine's epsilon of
            the parameters' type; and eps2, the least size that weights count as, at least 0.
        d: How large a step may be before it is cut, at least 1.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is no number, or eps no pair.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "adafactor"
    lr: float = real_field(1e-2, at_least=0)
    beta2_decay: float = real_field(-0.8, at_most=0)
    eps: tuple[float | None, float] = checked_field((None, 1e-3), _pair_of_eps)
    d: float = real_field(1.0, at_least=1)
    weight_decay: float = real_field(0.0, at_least=0)
    maximize: bool = maximize_field()

    def parameters(self) -> list[float]:
        """As C++ takes them: -1 stands for None."""
        return as_numbers(self, eps=(-1.0 if self.eps[0] is None else self.eps[0], self.eps[1]))


@formula
class Muon(Optimizer):
    """Momentum whose matrices are made nearly orthogonal; everything else goes by AdamW.

    Of a matrix (n, k):
    m <- m + (1 - momentum) (g - m)
    X = m, or with nesterov g + momentum (m - g); X <- X / max(|X|, eps)
    ns_steps times: A = X X^T, X <- (a I + b A + c A^2) X; for n > k the same of X^T
    w <- w - lr weight_decay w - lr f X, f = sqrt(max(1, n / k)), or by "match_rms_adamw"
    f = 0.2 sqrt(max(n, k))

    Vectors, such as biases and what norms scale by, take a step of `AdamW` with the rate lr
    adamw_lr_factor and the hyperparameters that are called after it. So may matrices, by groups: it
    is usual for tables of an `Embedding` and the last layer, ``gdcore.Group("3.weight",
    orthogonal=False)``. Each matrix of several that are one parameter is taken by itself.

    Matrices are PyTorch's Muon, and the rest its AdamW, with the defaults of both. PyTorch
    multiplies in bfloat16; here products are of the parameters' own type.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon; Liu et al., "Muon is scalable for LLM training",
    arXiv:2502.16982, for weight decay and "match_rms_adamw".

    Args:
        lr: Learning rate, at least 0.
        weight_decay: Share of lr by which matrices shrink at each step, at least 0.
        momentum: Share of m that is kept, within [0, 1).
        nesterov: Looks ahead along m.
        ns_coefficients: a, b and c.
        eps: Keeps the norm from 0; above 0.
        ns_steps: How many steps of Newton and Schulz, 1 to 99.
        adjust_lr_fn: ``"original"``, which None stands for, or ``"match_rms_adamw"``, with which a
            step is as large as one of AdamW.
        orthogonal: False: AdamW for matrices too.
        adamw_lr_factor: AdamW's rate is lr times this, at least 0.
        adamw_betas: beta1 and beta2 of AdamW, within [0, 1).
        adamw_eps: Keeps AdamW's denominator from 0; at least 0.
        adamw_weight_decay: Share of AdamW's rate by which weights shrink, at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "muon"
    lr: float = real_field(1e-3, at_least=0)
    weight_decay: float = real_field(0.1, at_least=0)
    momentum: float = real_field(0.95, at_least=0, below=1)
    nesterov: bool = flag_field(True)
    ns_coefficients: tuple[float, float, float] = checked_field(
        (3.4445, -4.775, 2.0315), _three_numbers
    )
    eps: float = real_field(1e-7, above=0)
    ns_steps: int = checked_field(5, lambda name, value: integer(name, value, at_most=99))
    adjust_lr_fn: AdjustLr | None = checked_field(None, _adjust_lr)
    orthogonal: bool = flag_field(True)
    adamw_lr_factor: float = real_field(1.0, at_least=0)
    adamw_betas: tuple[float, float] = betas_field(0.9, 0.999)
    adamw_eps: float = real_field(1e-8, at_least=0)
    adamw_weight_decay: float = real_field(1e-2, at_least=0)
    maximize: bool = maximize_field()

    def parameters(self) -> list[float]:
        """As C++ takes them: ``adjust_lr_fn`` by its number."""
        return as_numbers(self, adjust_lr_fn=float(self.adjust_lr_fn == "match_rms_adamw"))


@formula
class SOAP(Optimizer):
    """Adam in the eigenbases of Shampoo's preconditioners.

    Of a matrix (n, k), from the second step on, with t counted from there:
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) (Q_L^T g Q_R)^2
    u = Q_L (Q_L^T m Q_R / (sqrt(v) + eps)) Q_R^T
    w <- (1 - lr weight_decay) (w - lr sqrt(1 - beta2^t) / (1 - beta1^t) u)
    and after each step, the first one too:
    L <- beta L + (1 - beta) g g^T, R <- beta R + (1 - beta) g^T g
    Q_L and Q_R are the eigenvectors of L and R after the first step, largest eigenvalue first. Each
    precondition_frequency steps they become the Q of QR(L Q_L), columns sorted by the diagonal of
    Q_L^T L Q_L, and v is sorted with them. A side longer than max_precondition_dim has no L and Q;
    a vector has none unless precondition_1d, and is else Adam.

    The first step changes no weight. Each matrix of several that are one parameter is taken by
    itself. In the form of pytorch_optimizer's, which follows the authors'; its QR is float32, this
    one double, and both it and the eigenvectors are made by one thread a matrix.

    Source: Vyas et al., "SOAP: improving and stabilizing Shampoo using Adam", arXiv:2409.11321.

    Args:
        lr: Learning rate, at least 0.
        betas: beta1 and beta2, what the running means keep at each step, within [0, 1).
        shampoo_beta: beta, what L and R keep, within [0, 1); None means beta2.
        weight_decay: Share of lr by which weights shrink at each step, at least 0.
        precondition_frequency: Steps from one change of the eigenbases to the next.
        max_precondition_dim: The longest side that has an eigenbasis; it takes twice the square of
            its length in memory.
        precondition_1d: Vectors have one, too.
        correct_bias: Corrects m and v for their start at 0; else the rate is lr.
        normalize_gradient: Divides u by the root of its mean square, plus eps.
        eps: Keeps the denominator from 0; at least 0.
        maximize: Goes up, as with -g in the place of g.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "soap"
    lr: float = real_field(3e-3, at_least=0)
    betas: tuple[float, float] = betas_field(0.95, 0.95)
    shampoo_beta: float | None = optional_real_field(None, at_least=0, below=1)
    weight_decay: float = real_field(1e-2, at_least=0)
    precondition_frequency: int = checked_field(10, integer)
    max_precondition_dim: int = checked_field(10000, integer)
    precondition_1d: bool = flag_field(False)
    correct_bias: bool = flag_field(True)
    normalize_gradient: bool = flag_field(False)
    eps: float = real_field(1e-8, at_least=0)
    maximize: bool = maximize_field()

    def parameters(self) -> list[float]:
        """As C++ takes them: -1 stands for None."""
        return as_numbers(
            self, shampoo_beta=-1.0 if self.shampoo_beta is None else self.shampoo_beta
        )
