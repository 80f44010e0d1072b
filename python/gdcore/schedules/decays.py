"""Schedules that go one way: constant, in steps, by a formula of time."""

from __future__ import annotations

from dataclasses import field
from itertools import pairwise
from typing import Any, ClassVar, Literal

from gdcore._check import integer, listed, real, real_field
from gdcore._formula import formula
from gdcore._names import choice
from gdcore.schedules.base import MOST, Schedule, later_field, per_field, whole
from gdcore.typing import Unit

__all__ = [
    "Constant",
    "Exponential",
    "InverseScaling",
    "InverseSqrt",
    "Linear",
    "MultiStep",
    "Piecewise",
    "Polynomial",
    "Step",
]


def _some(argument: str, value: object) -> int:
    return integer(argument, value, at_least=0, at_most=MOST)


def whole_numbers(argument: str, value: object) -> tuple[int, ...]:
    """The check of milestones: whole numbers of at least 1, each above the one before."""
    rows = listed(argument, value, "integers")
    found = tuple(whole(f"{argument}[{i}]", each) for i, each in enumerate(rows))
    if not found:
        raise ValueError(f"{argument} must hold at least one integer, got none")
    for i, (before, after) in enumerate(pairwise(found)):
        if after <= before:
            raise ValueError(
                f"{argument}[{i + 1}] must be above {argument}[{i}], which is {before}, got {after}"
            )
    return found


@formula
class Constant(Schedule):
    """lr_t = lr_0 factor before total_iters, then lr_0, as PyTorch's ``ConstantLR``.

    Without arguments it is lr_0 throughout.

    Args:
        per: ``"epoch"`` or ``"step"``.
        factor: At least 0. PyTorch's default is 1/3.
        total_iters: How many epochs, or steps, it counts; 0 to 2^53. PyTorch's default is 5.

    Raises:
        TypeError: factor is no number or total_iters no integer.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "constant"
    per: Unit = per_field()
    factor: float = later_field(1.0, lambda name, value: real(name, value, at_least=0))
    total_iters: int = later_field(0, _some)

    def turns(self) -> list[int]:
        """Where the factor ends."""
        return [self.total_iters]


@formula
class Step(Schedule):
    """lr_t = lr_0 gamma^floor(t / step_size), as PyTorch's ``StepLR``.

    Args:
        step_size: After how many epochs, or steps, the rate is multiplied; 1 to 2^53.
        gamma: Factor, at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: step_size is no integer or gamma no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "step"
    step_size: int = field(metadata={"check": whole})
    gamma: float = real_field(0.1, at_least=0)
    per: Unit = per_field()


@formula
class MultiStep(Schedule):
    """lr_t = lr_0 gamma^n, where n milestones are t or before, as PyTorch's ``MultiStepLR``.

    Args:
        milestones: Times at which the rate is multiplied, each above the one before; 1 to 2^53.
        gamma: Factor, at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: milestones are no integers or gamma is no number.
        ValueError: An argument is out of its domain, or milestones are empty or out of order.
    """

    name: ClassVar[str] = "multi_step"
    milestones: tuple[int, ...] = field(metadata={"check": whole_numbers})
    gamma: float = real_field(0.1, at_least=0)
    per: Unit = per_field()

    def parameters(self) -> list[float]:
        """Gamma, then the milestones."""
        return [self.gamma, *map(float, self.milestones)]


@formula
class Exponential(Schedule):
    """lr_t = lr_0 gamma^t, as PyTorch's ``ExponentialLR``.

    Args:
        gamma: Factor of each epoch, or step, at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: gamma is no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "exponential"
    gamma: float = field(metadata={"check": lambda name, value: real(name, value, at_least=0)})
    per: Unit = per_field()


@formula
class Linear(Schedule):
    """lr_t = lr_0 (start_factor + (end_factor - start_factor) min(t / total_iters, 1)).

    PyTorch's ``LinearLR``.

    Args:
        start_factor: Share of lr_0 at t = 0, at least 0.
        end_factor: Share of lr_0 from total_iters on, at least 0.
        total_iters: How many epochs, or steps, the way takes; 1 to 2^53.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: total_iters is no integer or a factor no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "linear"
    start_factor: float = real_field(1 / 3, at_least=0)
    end_factor: float = real_field(1.0, at_least=0)
    total_iters: int = field(default=5, metadata={"check": whole})
    per: Unit = per_field()

    def turns(self) -> list[int]:
        """Where the way ends."""
        return [self.total_iters]


@formula
class Polynomial(Schedule):
    """lr_t = lr_0 (1 - min(t / total_iters, 1))^power, as PyTorch's ``PolynomialLR``.

    Args:
        total_iters: After how many epochs, or steps, it is 0; 1 to 2^53.
        power: Above 0; 1 falls along a line.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: total_iters is no integer or power no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "polynomial"
    total_iters: int = field(default=5, metadata={"check": whole})
    power: float = real_field(1.0, above=0)
    per: Unit = per_field()


@formula
class InverseScaling(Schedule):
    """lr_t = lr_0 / (1 + scale t)^power.

    scikit-learn's ``learning_rate="invscaling"`` with ``power_t``: there t counts samples, so that
    scale is the number of samples where t counts epochs.

    Args:
        power: At least 0.
        scale: How fast time goes, above 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: An argument is no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "inverse_scaling"
    power: float = real_field(0.5, at_least=0)
    scale: float = real_field(1.0, above=0)
    per: Unit = per_field()


@formula
class InverseSqrt(Schedule):
    """lr_t = lr_0 / sqrt(1 + t / timescale).

    With a warm-up of w steps before it, ``Warmup(w, 0.0, after=InverseSqrt(w))``, the rate of
    transformers.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762.

    Args:
        timescale: After three times as many epochs, or steps, the rate is half; 1 to 2^53.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: timescale is no integer.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "inverse_sqrt"
    timescale: int = field(metadata={"check": whole})
    per: Unit = per_field()


Between = Literal["linear", "constant"]
_BETWEEN: tuple[Between, ...] = ("linear", "constant")


def _between(argument: str, value: object) -> Between:
    return choice(argument, value, _BETWEEN)


def _points(argument: str, value: object) -> tuple[tuple[int, float], ...]:
    found: list[tuple[int, float]] = []
    for i, each in enumerate(listed(argument, value, "pairs (time, factor)")):
        where = f"{argument}[{i}]"
        pair: list[Any] = listed(where, each, "a time and a factor")
        if len(pair) != 2:
            raise ValueError(f"{where} must be a pair (time, factor), got {each!r}")
        time = integer(f"{where}[0]", pair[0], at_least=0, at_most=MOST)
        if found and time <= found[-1][0]:
            raise ValueError(
                f"{where}[0] must be above the time before it, {found[-1][0]}, got {time}"
            )
        found.append((time, real(f"{where}[1]", pair[1], at_least=0)))
    if not found:
        raise ValueError(f"{argument} must hold at least one pair (time, factor), got none")
    return tuple(found)


@formula
class Piecewise(Schedule):
    """lr_t = lr_0 f(t), where f goes through points.

    >>> gdcore.schedules.Piecewise([(0, 0.1), (10, 1.0), (60, 0.0)])

    Args:
        points: Pairs (time, factor) in order of time, factors at least 0. Before the first f is its
            factor, after the last that one's.
        between: ``"linear"``: on the line between two points; ``"constant"``: as at the one before.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: points are no pairs of an integer and a number.
        ValueError: An argument is out of its domain, or points are empty or out of order.
    """

    name: ClassVar[str] = "piecewise"
    points: tuple[tuple[int, float], ...] = field(metadata={"check": _points})
    between: Between = field(default="linear", metadata={"check": _between})
    per: Unit = per_field()

    def parameters(self) -> list[float]:
        """Whether it holds, then times and factors in turn."""
        flat = [float(number) for point in self.points for number in point]
        return [float(self.between == "constant"), *flat]

    def turns(self) -> list[int]:
        """At every point."""
        return [time for time, _ in self.points]
