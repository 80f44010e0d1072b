"""Losses: what training makes small.

Everywhere a loss is expected, its name does as well: ``"huber"`` is ``Huber()``. Names and defaults
are PyTorch's. The loss l_i of sample i is the mean over its K outputs where PyTorch takes the mean
over all elements; the loss of a batch is

    L = sum_i w_i l_i / sum_i w_i,    w_i = 1 without sample weights,

which then is PyTorch's ``reduction="mean"``, or ``"batchmean"`` where PyTorch advises that. p
stands for outputs, y for targets. Targets of shape (N, K) may be (N,) where K is 1.

What the last layer may be depends on the loss. ``"bce_with_logits"``, ``"cross_entropy"`` and the
focal losses take logits, the hinge losses margins, which may be any number: a last layer that
bounds them is an error or a warning of `gdcore.Trainer`. ``"nll"`` and ``"kl_div"`` take
log-probabilities, which ``"log_softmax"`` gives.

A function of one's own is a loss as well, see `gdcore.Trainer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, ClassVar

from gdcore._check import flag_field, integer, numbers, real, real_field
from gdcore._formula import Formula, formula
from gdcore.typing import LossName, Task

__all__ = [
    "MAE",
    "MSE",
    "NLL",
    "BCEWithLogits",
    "BinaryFocal",
    "CosineDistance",
    "CrossEntropy",
    "Focal",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDiv",
    "LogCosh",
    "Loss",
    "LossFunction",
    "PoissonNLL",
    "Quantile",
    "SmoothL1",
    "SquaredHinge",
]


def __dir__() -> list[str]:
    return __all__


_MOST = 2**53  # C++ takes parameters as float64


def _class_weights(argument: str, value: object) -> tuple[float, ...] | None:
    if value is None:
        return None
    weights = numbers(argument, value, at_least=0)
    if not any(weights):
        raise ValueError(f"{argument} must not be all zero")
    return weights


def _pos_weight(argument: str, value: object) -> float | tuple[float, ...] | None:
    if value is None:
        return None
    if _is_number(value):
        return real(argument, value, at_least=0)
    return numbers(argument, value, at_least=0)


def _quantiles(argument: str, value: object) -> tuple[float, ...]:
    if _is_number(value):
        return (real(argument, value, above=0, below=1),)
    return numbers(argument, value, above=0, below=1)


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__") and not getattr(value, "shape", ())


def _label(argument: str, value: object) -> int:
    return integer(argument, value, at_least=-_MOST, at_most=_MOST)


def _focal_alpha(argument: str, value: object) -> float:
    share = real(argument, value, at_most=1)
    if share < 0 and share != -1:
        raise ValueError(f"{argument} must be within [0, 1], or -1 for none, got {share:g}")
    return share


def _checked(default: object, check: Any) -> Any:
    return field(default=default, metadata={"check": check})


class Loss(Formula, family="a loss"):
    """Base of all losses; see `gdcore.Trainer`.

    Attributes:
        task: What the outputs mean, as metrics want to know it: ``"regression"``, numbers;
            ``"binary"``, each output the logit, or for hinge losses the margin, of a label of its
            own; ``"multiclass"``, the logits of one class of K; None, not told.
    """

    task: ClassVar[Task | None] = None


@formula
class MSE(Loss):
    """Mean squared error, l = 1/K sum_k (p_k - y_k)^2. Targets: (N, K).

    There is no factor 1/2: the gradient at an output is 2/K (p_k - y_k).
    """

    name: ClassVar[str] = "mse"
    task: ClassVar[Task | None] = "regression"


@formula
class MAE(Loss):
    """Mean absolute error, l = 1/K sum_k |p_k - y_k|. Targets: (N, K). PyTorch's L1Loss."""

    name: ClassVar[str] = "mae"
    task: ClassVar[Task | None] = "regression"


@formula
class Huber(Loss):
    """Squared near zero, linear far out. Targets: (N, K).

    l = 1/K sum_k h(p_k - y_k), h(d) = d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2).

    Source: Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 1964.

    Args:
        delta: Where squared turns linear; above 0.
    """

    name: ClassVar[str] = "huber"
    task: ClassVar[Task | None] = "regression"
    delta: float = real_field(1.0, above=0)


@formula
class SmoothL1(Loss):
    """Squared near zero, linear with slope 1 far out. Targets: (N, K).

    l = 1/K sum_k h(p_k - y_k), h(d) = d^2 / (2 beta) for |d| < beta, else |d| - beta / 2: `Huber`
    with delta = beta, divided by beta.

    Source: Girshick, "Fast R-CNN", ICCV 2015, arXiv:1504.08083.

    Args:
        beta: Where squared turns linear; at least 0, and with 0 it is `MAE`.
    """

    name: ClassVar[str] = "smooth_l1"
    task: ClassVar[Task | None] = "regression"
    beta: float = real_field(1.0, at_least=0)


@formula
class LogCosh(Loss):
    """Squared near zero, linear far out, and smooth. Targets: (N, K).

    l = 1/K sum_k log(cosh(p_k - y_k)), which is d^2 / 2 near 0 and |d| - log 2 far out, and keeps
    its digits at both. The gradient is tanh(d) / K. Keras has it as ``LogCosh``, PyTorch has not.

    Source: Green, "Bayesian reconstructions from emission tomography data using a modified EM
    algorithm", IEEE Transactions on Medical Imaging 9, 1990.
    """

    name: ClassVar[str] = "log_cosh"
    task: ClassVar[Task | None] = "regression"


@formula
class Quantile(Loss):
    """Pinball loss: an output each for quantiles of the target. Targets: (N, C).

    l = 1/K sum_k max(q_k d_k, (q_k - 1) d_k), d_k = y_k - p_k, whose smallest mean has the
    q_k-quantile of y at p_k.

    The network has K = Q C outputs for Q quantiles and C columns of targets, first those of the
    first quantile for all columns, then those of the second, and so on:
    ``predict(x).reshape(N, Q, C)`` has them apart. Nothing keeps the quantiles of a column in
    order. PyTorch has no such loss; the gradient at d = 0 is 0.

    >>> net = gdcore.Network([gdcore.Dense(64, "relu"), gdcore.Dense(3)], input_size=8)
    >>> trainer = gdcore.Trainer(net, gdcore.losses.Quantile((0.1, 0.5, 0.9)), "adam")

    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978.

    Args:
        quantiles: One or several numbers, each above 0 and below 1. The default is the median.
    """

    name: ClassVar[str] = "quantile"
    task: ClassVar[Task | None] = "regression"
    quantiles: float | Sequence[float] = _checked((0.5,), _quantiles)


@formula
class PoissonNLL(Loss):
    """Negative log likelihood of counts. Targets: (N, K), at least 0.

    l = 1/K sum_k (exp(p_k) - y_k p_k), without log_input p_k - y_k log(p_k + eps). The term
    log(y!) does not depend on p and is left out; full adds Stirling's approximation of it,
    y log y - y + log(2 pi y) / 2 where y > 1. PyTorch's PoissonNLLLoss.

    Source: McCullagh and Nelder, "Generalized linear models", 2nd edition, 1989, chapter 6.

    Args:
        log_input: Outputs are logarithms of the expected counts; otherwise these themselves, for
            a last layer that gives no negative numbers, such as softplus.
        full: Adds the approximation.
        eps: What is added to an output before its logarithm is taken; at least 0.
    """

    name: ClassVar[str] = "poisson_nll"
    log_input: bool = flag_field(True)
    full: bool = flag_field(False)
    eps: float = real_field(1e-8, at_least=0)


@formula
class GaussianNLL(Loss):
    """Negative log likelihood of a mean and a variance that both are learned. Targets: (N, C).

    l = 1/C sum_c (log v_c + (m_c - y_c)^2 / v_c) / 2, with full log(2 pi) / 2 more.

    The network has 2 C outputs for C columns of targets: first the means m of all columns, then
    the variances v in the same order, so that ``predict(x)[:, :C]`` are the means. A variance
    below eps counts as eps, and its gradient is that of eps, as in PyTorch's GaussianNLLLoss; a
    negative one counts so too, where PyTorch raises an error. A linear last layer gives any
    number: log_var takes its outputs for log v, of any size, and trains far better.

    Source: Nix and Weigend, "Estimating the mean and variance of the target probability
    distribution", ICNN 1994.

    Args:
        full: Adds the constant.
        eps: The least variance, where the outputs are variances; above 0.
        log_var: The second half of the outputs is log v. PyTorch has no such option.
    """

    name: ClassVar[str] = "gaussian_nll"
    full: bool = flag_field(False)
    eps: float = real_field(1e-6, above=0)
    log_var: bool = flag_field(False)


@formula
class CosineDistance(Loss):
    """One minus the cosine of the angle between outputs and targets. Targets: (N, K).

    l = 1 - sum_k p_k y_k / (max(|p|, eps) max(|y|, eps)), |.| the Euclidean norm of a row: from 0
    for the same direction to 2 for the opposite. It is PyTorch's ``1 - cosine_similarity(p, y)``;
    where |p| is below eps the gradient is the derivative of this, and PyTorch's is not.

    Args:
        eps: The least norm; above 0.
    """

    name: ClassVar[str] = "cosine"
    eps: float = real_field(1e-8, above=0)


@formula
class KLDiv(Loss):
    """Kullback-Leibler divergence of log-probabilities. Targets: (N, K), within [0, 1].

    l = sum_k y_k (log y_k - p_k), the sum over a sample's outputs: PyTorch's KLDivLoss with the
    ``reduction="batchmean"`` that its documentation advises; its ``"mean"`` is K times smaller. p
    are log-probabilities: the last layer has the activation ``"log_softmax"``.

    Source: Kullback and Leibler, "On information and sufficiency", Ann. Math. Statist. 22, 1951.

    Args:
        log_target: Targets are log-probabilities, any numbers.
    """

    name: ClassVar[str] = "kl_div"
    log_target: bool = flag_field(False)


@formula
class Hinge(Loss):
    """Hinge loss of margins. Targets: (N, K), each -1 or 1.

    l = 1/K sum_k max(0, 1 - y_k p_k); the gradient where y_k p_k = 1 is 0. Each output is a label
    of its own, and above 0 means 1. Keras has it as ``Hinge``; PyTorch's losses of similar names
    are others.

    Source: Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995.
    """

    name: ClassVar[str] = "hinge"
    task: ClassVar[Task | None] = "binary"


@formula
class SquaredHinge(Loss):
    """Squared hinge loss of margins. Targets: (N, K), each -1 or 1.

    l = 1/K sum_k max(0, 1 - y_k p_k)^2. Each output is a label of its own, and above 0 means 1.

    Source: Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995.
    """

    name: ClassVar[str] = "squared_hinge"
    task: ClassVar[Task | None] = "binary"


@formula
class BCEWithLogits(Loss):
    """Binary cross entropy of logits. Targets: (N, K) within [0, 1].

    l = -1/K sum_k (w_k y_k log s(p_k) + (1 - y_k) log(1 - s(p_k))), s the logistic function,
    without weights w computed as max(p, 0) - p y + log(1 + exp(-|p|)), which neither overflows nor
    loses digits. The last layer is linear, without sigmoid; s(p) are the probabilities.

    Args:
        pos_weight: w, by which positive targets count more: one number, or one an output, at least
            0. The number of negative samples by that of positive ones lets both count alike. None
            is 1.
    """

    name: ClassVar[str] = "bce_with_logits"
    task: ClassVar[Task | None] = "binary"
    pos_weight: float | Sequence[float] | None = _checked(None, _pos_weight)


@formula
class BinaryFocal(Loss):
    """Focal loss of logits, each of a label of its own. Targets: (N, K) within [0, 1].

    l = 1/K sum_k a_k q_k^gamma c_k: c is the binary cross entropy of `BCEWithLogits`, q = s(p) (1 -
    y) + (1 - s(p)) y the probability of the other class, so that what is right already counts
    less, and a = alpha y + (1 - alpha) (1 - y). As torchvision's ``sigmoid_focal_loss``. The last
    layer is linear.

    Source: Lin, Goyal, Girshick, He and Dollar, "Focal loss for dense object detection", ICCV 2017,
    arXiv:1708.02002.

    Args:
        gamma: How much less; at least 0, and with 0 it is cross entropy.
        alpha: How much positive targets count, within [0, 1], negative ones the rest; -1: both 1.
    """

    name: ClassVar[str] = "binary_focal"
    task: ClassVar[Task | None] = "binary"
    gamma: float = real_field(2.0, at_least=0)
    alpha: float = _checked(0.25, _focal_alpha)


@formula
class CrossEntropy(Loss):
    """Cross entropy over K classes, of logits. Targets: class indices (N,) or probabilities (N, K).

    K is at least 2: for two classes take two outputs, or one and `BCEWithLogits`. The probabilities
    of a row add up to 1, within 1/256: rounding to float16 or bfloat16 makes no more of a
    difference.

    l = -sum_k w_k q_k log softmax(p)_k with q the target distribution, one-hot for a class index,
    smoothed to (1 - label_smoothing) q_k + label_smoothing / K. The last layer is linear, or has
    the activation ``"softmax"``: then training works on its logits inside, and ``predict`` gives
    probabilities.

    With class weights w the loss of a batch of class indices is sum_i s_i l_i / sum_i s_i w_y_i, s
    the sample weights: the weighted mean, as in PyTorch. A sample whose label is ignore_index does
    not count in it, nor in the accuracy, which knows no class weights. A batch of `Trainer.fit`
    in which nothing counts makes no update; in `Trainer.learn_many` such a sample's loss is NaN.
    Of probabilities the loss is divided by sum_i s_i, in PyTorch too.

    Source of the smoothing: Szegedy et al., "Rethinking the Inception architecture for computer
    vision", arXiv:1512.00567.

    Args:
        label_smoothing: Share of the uniform distribution in the targets, within [0, 1].
        ignore_index: The class index of samples that do not count; it may be one of 0 to K - 1.
        class_weight: w, one number a class, at least 0 and not all 0; None is 1 for all. PyTorch's
            ``weight``.
    """

    name: ClassVar[str] = "cross_entropy"
    task: ClassVar[Task | None] = "multiclass"
    label_smoothing: float = real_field(0.0, at_least=0, at_most=1)
    ignore_index: int = _checked(-100, _label)
    class_weight: Sequence[float] | None = _checked(None, _class_weights)


@formula
class NLL(Loss):
    """Negative log likelihood over K classes, of log-probabilities.

    Targets: class indices (N,) or probabilities (N, K), K at least 2.

    l = -sum_k w_k q_k p_k with q the target distribution, one-hot for a class index. The last layer
    gives log-probabilities, as the activation ``"log_softmax"`` does; of logits `CrossEntropy` is
    the same at once. The mean with class weights, and what ignore_index leaves out, is that of
    `CrossEntropy`. PyTorch's NLLLoss, which takes class indices alone.

    Source: Bishop, "Pattern recognition and machine learning", 2006, section 4.3.4.

    Args:
        ignore_index: The class index of samples that do not count; it may be one of 0 to K - 1.
        class_weight: w, one number a class, at least 0 and not all 0; None is 1 for all. PyTorch's
            ``weight``.
    """

    name: ClassVar[str] = "nll"
    task: ClassVar[Task | None] = "multiclass"
    ignore_index: int = _checked(-100, _label)
    class_weight: Sequence[float] | None = _checked(None, _class_weights)


@formula
class Focal(Loss):
    """Focal loss over K classes, of logits. Targets: class indices (N,) or probabilities (N, K).

    l = -sum_k alpha_k q_k (1 - s_k)^gamma log s_k, s = softmax(p), q the target distribution,
    one-hot for a class index: what is right already counts less. K is at least 2. The mean over a
    batch does not divide by alpha. The last layer is linear; for labels of their own, see
    `BinaryFocal`.

    Source: Lin, Goyal, Girshick, He and Dollar, "Focal loss for dense object detection", ICCV 2017,
    arXiv:1708.02002.

    Args:
        gamma: How much less; at least 0, and with 0 it is cross entropy.
        alpha: How much each class counts, one number a class, at least 0 and not all 0; None is 1
            for all.
    """

    name: ClassVar[str] = "focal"
    task: ClassVar[Task | None] = "multiclass"
    gamma: float = real_field(2.0, at_least=0)
    alpha: Sequence[float] | None = _checked(None, _class_weights)


@formula
class LossFunction(Loss):
    """A Python function of one's own: (l, dL/dp) = function(p, y).

    Wherever a loss is expected the function itself does as well:

    >>> def squares(prediction, target):
    ...     d = prediction - target
    ...     return (d**2).mean(axis=1), 2 * d / d.size
    >>> trainer = gdcore.Trainer(net, squares, "adam")

    It gets the outputs p (N, outputs) in the network's dtype and the targets of the same rows as an
    array as they were given, and returns

    - the loss: a real number, the mean over the N samples, or the losses (N,) of each. Sample
      weights w need the latter: the batch's loss is then sum_i w_i l_i / sum_i w_i;
    - the gradient (N, outputs) at p of the mean over the samples, without sample weights. With them
      row i is multiplied by N w_i / sum_j w_j.

    Where the network has parameters beside its layers, see `gdcore.Parameter`, the function gets
    copies of them by name as a third argument, and returns a third value: by name the gradients of
    that mean, each in the parameter's shape v, or of each sample apart, (N, *v), as sample weights
    need them.

    Rows must not depend on each other where there are weights, or batches of validation data. It is
    called between the steps, and may not train. Products are float32 or float64,
    ``matmul_precision="highest"``. It is not saved with a trainer: `Trainer.load` takes it anew.

    Args:
        function: Takes (prediction, target), returns (loss, gradient); with parameters beside the
            layers takes (prediction, target, parameters), returns (loss, gradient, gradients).

    Raises:
        TypeError: function cannot be called.
    """

    function: Callable[..., tuple[Any, ...]]

    def __post_init__(self) -> None:
        """Checks that there is something to call."""
        if not callable(self.function):
            raise TypeError(f"function must be callable, got {type(self.function).__name__}")


LossLike = LossName | Loss | Callable[..., tuple[Any, ...]]
"""What is taken for a loss: a name, an object, or a function as `LossFunction` takes it."""


def resolve_loss(argument: str, value: object) -> Loss:
    """A loss by its name or as an object; any other function as a `LossFunction`.

    Raises:
        TypeError: ``value`` is none of these.
        ValueError: There is no loss of this name.
    """
    if isinstance(value, LossFunction):
        return value
    if callable(value) and not isinstance(value, (type, Loss)):
        return LossFunction(value)
    resolved: Loss = Loss.resolve(argument, value)  # type: ignore[arg-type]
    return resolved
