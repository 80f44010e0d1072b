"""Where the learning rate waits for a figure of the history."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, Literal

from gdcore._check import integer, real_field
from gdcore._formula import formula
from gdcore._names import choice
from gdcore.schedules.base import MOST, Schedule, Tree
from gdcore.typing import Mode

__all__ = ["ReduceOnPlateau"]

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


@formula
class ReduceOnPlateau(Schedule):
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
    per = "epoch"
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

    def _tree(self) -> Tree:
        return "constant", [1.0, 0.0], []  # the rate is set after an epoch
