"""Where the learning rate waits for a figure of the history."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Literal

from gdcore._check import integer, real_field
from gdcore._formula import formula
from gdcore._names import choice
from gdcore.schedules.base import MOST, Schedule, Tree
from gdcore.typing import Mode

__all__ = ["Adaptive", "ReduceOnPlateau"]

ThresholdMode = Literal["rel", "abs"]
_THRESHOLDS: tuple[ThresholdMode, ...] = ("rel", "abs")
_MODES: tuple[Mode, ...] = ("auto", "min", "max")


def _threshold_mode(argument: str, value: object) -> ThresholdMode:
    return choice(argument, value, _THRESHOLDS)


def _mode(argument: str, value: object) -> Mode:
    return choice(argument, value, _MODES)


def _some(argument: str, value: object) -> int:
    return integer(argument, value, at_least=0, at_most=MOST)


def _key(argument: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a key of the history, got {type(value).__name__}")
    return value


def _checked(default: object, check: Any) -> Any:
    return field(default=default, metadata={"check": check})


class Waiting(Schedule):
    """Base of those that wait for a figure of the history, after each epoch of `Trainer.fit`."""

    per = "epoch"
    patience: int
    monitor: str
    mode: Mode
    cooldown: int = 0

    def judged(self, value: float, best: float, sign: float) -> tuple[bool, float]:
        """Whether a figure is better than the best so far, and which is the best now.

        sign is -1 where higher is better.
        """
        raise NotImplementedError

    def lowered(self, lr: float) -> float | None:
        """The rate in place of lr, where it has waited for long enough; None ends training."""
        raise NotImplementedError

    def _tree(self) -> Tree:
        return "constant", [1.0, 0.0], []  # the rate is set after an epoch


@formula
class ReduceOnPlateau(Waiting):
    """lr_t = lr_0 factor^n, where a figure has not become better for a while n times so far.

    After each epoch of `Trainer.fit` the figure is better where it is below best (1 - threshold),
    or with ``"abs"`` below best - threshold; where higher is better, above best (1 + threshold), or
    best + threshold. After more than patience epochs that were not better, the rate becomes
    max(lr factor, min_lr), unless that changes it by eps or less, and for cooldown epochs none
    counts. PyTorch's ``ReduceLROnPlateau``, with its arithmetic; NaN is not better.

    It is for the learning rate alone, by itself or in a `Chained`. `Trainer.lr` tells and takes
    what it has come to. What it knows is saved with a trainer.

    Args:
        factor: At least 0 and below 1.
        patience: How many epochs that are not better are borne, at least 0.
        threshold: By what better is measured, at least 0.
        threshold_mode: ``"rel"`` or ``"abs"``.
        cooldown: How many epochs after a reduction do not count, at least 0.
        min_lr: The least rate, at least 0.
        eps: The least reduction, at least 0.
        monitor: The figure, a key of the history; ``"val_loss"`` needs validation data.
        mode: ``"min"``: lower is better; ``"max"``: higher; ``"auto"``: as the metric says by its
            ``higher_is_better``, and lower for losses.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain; in `Trainer.fit`, before anything is done, the
            history will have no such key, or mode is needed.
    """

    name: ClassVar[str] = "reduce_on_plateau"
    factor: float = real_field(0.1, at_least=0, below=1)
    patience: int = _checked(10, _some)
    threshold: float = real_field(1e-4, at_least=0)
    threshold_mode: ThresholdMode = _checked("rel", _threshold_mode)
    cooldown: int = _checked(0, _some)
    min_lr: float = real_field(0.0, at_least=0)
    eps: float = real_field(1e-8, at_least=0)
    monitor: str = _checked("val_loss", _key)
    mode: Mode = _checked("auto", _mode)

    def is_better(self, value: float, best: float, sign: float) -> bool:
        """Whether a figure is better than the best so far; sign is -1 where higher is better."""
        if self.threshold_mode == "abs":
            return sign * value < sign * best - self.threshold
        return sign * value < sign * best * (1 - sign * self.threshold)

    def judged(self, value: float, best: float, sign: float) -> tuple[bool, float]:
        """See `Waiting.judged`."""
        better = self.is_better(value, best, sign)
        return better, value if better else best

    def lowered(self, lr: float) -> float:
        """See `Waiting.lowered`."""
        reduced = max(lr * self.factor, self.min_lr)
        return reduced if lr - reduced > self.eps else lr


@formula
class Adaptive(Waiting):
    """lr_t = lr_0 / divisor^n, where a figure has stood still n times so far; then it ends `fit`.

    After each epoch of `Trainer.fit` the figure stands still where it is above best - tol, or where
    higher is better below best + tol; best is the lowest, or the highest, of all before. After more
    than patience epochs in a row that stood still the rate is divided, or, where it is min_lr or
    less already, `fit` ends, as by `Trainer.stop`, and ``stopped`` says so. That is scikit-learn's
    ``learning_rate="adaptive"``, whose ``n_iter_no_change`` is the patience; with its
    ``early_stopping`` the figure is ``"val_accuracy"`` or ``"val_r2"``. Its loss has the penalty of
    its ``alpha`` in it, `gdcore.Penalized` tells it without. NaN does not stand still.

    It is for the learning rate alone, by itself or in a `Chained`. `Trainer.lr` tells and takes
    what it has come to. What it knows is saved with a trainer.

    Args:
        divisor: Above 1.
        patience: How many epochs in a row that stand still are borne, at least 0.
        tol: By what standing still is measured, at least 0.
        min_lr: From this rate on there is no other, at least 0.
        monitor: The figure, a key of the history; ``"val_loss"`` needs validation data.
        mode: As in `ReduceOnPlateau`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its domain; in `Trainer.fit`, before anything is done, the
            history will have no such key, or mode is needed.
    """

    name: ClassVar[str] = "adaptive"
    divisor: float = real_field(5.0, above=1)
    patience: int = _checked(10, _some)
    tol: float = real_field(1e-4, at_least=0)
    min_lr: float = real_field(1e-6, at_least=0)
    monitor: str = _checked("loss", _key)
    mode: Mode = _checked("auto", _mode)

    def judged(self, value: float, best: float, sign: float) -> tuple[bool, float]:
        """See `Waiting.judged`."""
        stands = sign * value > sign * best - self.tol
        return not stands, value if sign * value < sign * best else best

    def lowered(self, lr: float) -> float | None:
        """See `Waiting.lowered`."""
        return None if lr <= self.min_lr else lr / self.divisor
