"""Optimizers: how a gradient changes the parameters.

Names, defaults and order of operations are PyTorch's. w stands for a parameter, g for its gradient,
t for the number of the step from 1 on. An optimizer here is a description without state; a
`gdcore.Trainer` or `Optimizer.bind` makes the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray

from gdcore._check import checked_field, flag_field, integer, real, real_field
from gdcore._formula import Formula, formula
from gdcore._names import choice

if TYPE_CHECKING:
    from gdcore.bound_rule import BoundRule
    from gdcore.groups import Group

__all__ = [
    "LAMB",
    "LARS",
    "SGD",
    "SOAP",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Muon",
    "Optimizer",
    "Prodigy",
    "RMSprop",
]


def __dir__() -> list[str]:
    return __all__


class Optimizer(Formula, family="an optimizer"):
    """Base of all optimizers."""

    lr: float

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
            return resolved(row, keys, optimizer, "an array")

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


def rates_field(first: float, second: float) -> Any:
    """A field that holds what two running means keep, each within [0, 1)."""
    return checked_field((first, second), _decay_rates)


def optional_real_field(default: float | None, **bounds: float) -> Any:
    """A field that holds None or a real number within ``bounds``; see `gdcore._check.real`."""

    def check(argument: str, value: object) -> float | None:
        return None if value is None else real(argument, value, **bounds)

    return checked_field(default, check)


def as_numbers(described: Formula, **instead: float | tuple[float, ...]) -> list[float]:
    """Its fields in order, as C++ takes them, with ``instead`` in the place of some."""
    numbers: list[float] = []
    for each in fields(described):
        value = instead.get(each.name, getattr(described, each.name))
        numbers.extend(map(float, value if isinstance(value, tuple) else (value,)))
    return numbers


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


AdjustLr = Literal["original", "match_rms_adamw"]
ADJUST_LR: tuple[AdjustLr, ...] = ("original", "match_rms_adamw")


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

    Raises:
        TypeError: An argument is no number, or nesterov no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "lars"
    lr: float = real_field(1e-3, at_least=0)
    momentum: float = real_field(0.9, at_least=0)
    dampening: float = real_field(0.0)
    weight_decay: float = real_field(0.0, at_least=0)
    nesterov: bool = flag_field(False)
    trust_coefficient: float = real_field(1e-3, at_least=0)

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

    Raises:
        TypeError: An argument is no number, or betas no pair.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "lamb"
    lr: float = real_field(1e-3, at_least=0)
    betas: tuple[float, float] = rates_field(0.9, 0.999)
    eps: float = real_field(1e-6, at_least=0)
    weight_decay: float = real_field(0.0, at_least=0)


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

    Raises:
        TypeError: An argument is no number, betas no pair, or what is said to be one no bool.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "prodigy"
    lr: float = real_field(1.0, at_least=0)
    betas: tuple[float, float] = rates_field(0.9, 0.999)
    beta3: float | None = optional_real_field(None, at_least=0, at_most=1)
    eps: float = real_field(1e-8, above=0)
    weight_decay: float = real_field(0.0, at_least=0)
    decouple: bool = flag_field(True)
    use_bias_correction: bool = flag_field(False)
    safeguard_warmup: bool = flag_field(False)
    d0: float = real_field(1e-6, above=0)
    d_coef: float = real_field(1.0, above=0)
    growth_rate: float | None = optional_real_field(None, at_least=1)

    def parameters(self) -> list[float]:
        """As C++ takes them: -1 and 0 stand for None."""
        beta3 = -1.0 if self.beta3 is None else self.beta3
        return as_numbers(self, beta3=beta3, growth_rate=self.growth_rate or 0.0)


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
    adamw_betas: tuple[float, float] = rates_field(0.9, 0.999)
    adamw_eps: float = real_field(1e-8, at_least=0)
    adamw_weight_decay: float = real_field(1e-2, at_least=0)

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

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain, NaN or infinite.
    """

    name: ClassVar[str] = "soap"
    lr: float = real_field(3e-3, at_least=0)
    betas: tuple[float, float] = rates_field(0.95, 0.95)
    shampoo_beta: float | None = optional_real_field(None, at_least=0, below=1)
    weight_decay: float = real_field(1e-2, at_least=0)
    precondition_frequency: int = checked_field(10, integer)
    max_precondition_dim: int = checked_field(10000, integer)
    precondition_1d: bool = flag_field(False)
    correct_bias: bool = flag_field(True)
    normalize_gradient: bool = flag_field(False)
    eps: float = real_field(1e-8, at_least=0)

    def parameters(self) -> list[float]:
        """As C++ takes them: -1 stands for None."""
        return as_numbers(
            self, shampoo_beta=-1.0 if self.shampoo_beta is None else self.shampoo_beta
        )
