"""Schedules: how the learning rate changes in the course of training.

lr_0 is the learning rate of the optimizer, t the time: the number of epochs that are done, or, with
``per="step"``, of steps. So the first epoch, or step, has t = 0 and runs at lr_0 times what the
schedule begins with. Formulas are those of PyTorch's schedulers of the same names.

Any function of t that returns a learning rate is a schedule as well; it is called between steps:

>>> gdcore.Trainer(net, "mse", "adam", schedule=lambda epoch: 1e-3 / (1 + epoch))

So is a name, for a schedule over all epochs, from the first to the last of the trainer's first
`Trainer.fit`: that of `spread`.

>>> gdcore.Trainer(net, "mse", "adam", schedule="cosine")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields
from typing import ClassVar

from gdcore._check import integer, real, real_field
from gdcore._formula import Formula, formula
from gdcore._names import choice, unknown
from gdcore.typing import ScheduleName, Unit

__all__ = ["Constant", "Cosine", "Exponential", "Function", "Schedule", "Step", "Warmup", "spread"]


def __dir__() -> list[str]:
    return __all__


UNITS: tuple[Unit, ...] = ("epoch", "step")
# What a name alone can say; see `spread`.
NAMES: tuple[ScheduleName, ...] = ("constant", "step", "exponential", "cosine")
_LAST_SHARE = 0.01  # of the first rate, in the last epoch of an exponential schedule
# Epochs or steps: C++ takes them as float64, which has no more whole numbers in a row.
_MOST = 2**53


def _unit(argument: str, value: object) -> Unit:
    return choice(argument, value, UNITS)


def _whole(argument: str, value: object) -> int:
    return integer(argument, value, at_most=_MOST)


class Schedule(Formula, family="a schedule"):
    """Base of all schedules."""

    per: Unit

    def parameters(self) -> list[float]:
        """The numbers among the fields, in order, as C++ takes them."""
        numbers = (getattr(self, each.name) for each in fields(self))
        return [float(number) for number in numbers if isinstance(number, (int, float))]

    def parts(self) -> list[tuple[str, list[float]]]:
        """Names and parameters of this schedule and those that follow it, as C++ takes them."""
        return [(self.name, self.parameters())]

    def turns(self) -> list[int]:
        """The times at which the rate may turn from rising to falling, or back."""
        return []


@formula
class Constant(Schedule):
    """lr_t = lr_0.

    Args:
        per: ``"epoch"`` or ``"step"``.

    Raises:
        ValueError: per is neither.
    """

    name: ClassVar[str] = "constant"
    per: Unit = field(default="epoch", metadata={"check": _unit})


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
    step_size: int = field(metadata={"check": _whole})
    gamma: float = real_field(0.1, at_least=0)
    per: Unit = field(default="epoch", metadata={"check": _unit})


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
    per: Unit = field(default="epoch", metadata={"check": _unit})


@formula
class Cosine(Schedule):
    """lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / t_max)) / 2, then eta_min.

    PyTorch's ``CosineAnnealingLR``, but for what comes after t_max: there it would rise again.

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR
    2017, arXiv:1608.03983.

    Args:
        t_max: After how many epochs, or steps, eta_min is reached; 1 to 2^53.
        eta_min: The last rate, at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: t_max is no integer or eta_min no number.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "cosine"
    t_max: int = field(metadata={"check": _whole})
    eta_min: float = real_field(0.0, at_least=0)
    per: Unit = field(default="epoch", metadata={"check": _unit})


@formula
class Warmup(Schedule):
    """lr_t = lr_0 (start_factor + (1 - start_factor) t / duration), then another schedule.

    The other one begins with its t = 0 where the warm-up ends, as PyTorch's ``LinearLR`` and the
    next in a ``SequentialLR``.

    Source: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017,
    arXiv:1706.02677.

    Args:
        duration: How many epochs, or steps, the warm-up takes; 1 to 2^53.
        start_factor: Share of lr_0 to start from, at least 0.
        after: What follows; None stays at lr_0.
        per: ``"epoch"`` or ``"step"``; `after` must be in the same unit.

    Raises:
        TypeError: duration is no integer, start_factor no number or after no schedule.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "warmup"
    duration: int = field(metadata={"check": _whole})
    start_factor: float = real_field(1 / 3, at_least=0)
    after: Schedule | None = None
    per: Unit = field(default="epoch", metadata={"check": _unit})

    def __post_init__(self) -> None:
        """Checks each field, and that both parts count in the same unit."""
        super().__post_init__()
        if self.after is None:
            return
        if not isinstance(self.after, Schedule) or not hasattr(self.after, "name"):
            raise TypeError(f"after must be a schedule or None, got {type(self.after).__name__}")
        if self.after.per != self.per:
            raise ValueError(
                f"after must be per {self.per!r} like the warm-up, got {self.after.per!r}"
            )

    def parts(self) -> list[tuple[str, list[float]]]:
        """The warm-up, then what follows it."""
        return super().parts() + ([] if self.after is None else self.after.parts())

    def turns(self) -> list[int]:
        """Where the warm-up ends, and those of what follows it."""
        after = [] if self.after is None else self.after.turns()
        return [self.duration, *(self.duration + time for time in after)]


@formula
class Function(Schedule):
    """lr_t = function(t): a Python function of one's own.

    It is called between steps and may not train. It is not saved with a trainer: `Trainer.load`
    takes it anew.

    Args:
        function: Takes t, returns the learning rate, finite and at least 0.
        per: ``"epoch"`` or ``"step"``.

    Raises:
        TypeError: function cannot be called.
        ValueError: per is neither ``"epoch"`` nor ``"step"``.
    """

    function: Callable[[int], float]
    per: Unit = field(default="epoch", metadata={"check": _unit})

    def __post_init__(self) -> None:
        """Checks that there is something to call."""
        super().__post_init__()
        if not callable(self.function):
            raise TypeError(f"function must be callable, got {type(self.function).__name__}")

    def rate(self, t: int) -> float:
        """What the function says for time t, checked."""
        return real(f"schedule({t})", self.function(t), at_least=0)


def spread(name: ScheduleName, epochs: int) -> Schedule:
    """The schedule of a name over so many epochs.

    Args:
        name: ``"constant"``; ``"step"``, a tenth after each third of the epochs;
            ``"exponential"``, each epoch's rate the same share of the one before, down to a
            hundredth in the last; ``"cosine"``, down to 0 where the epochs are over.
        epochs: At least 1.

    Raises:
        TypeError: name is no string or epochs no integer.
        ValueError: There is no such name, or epochs is below 1.
    """
    epochs = integer("epochs", epochs, at_most=_MOST)
    if choice("name", name, NAMES) == "step":
        return Step(-(-epochs // 3))
    if name == "exponential":
        return Exponential(_LAST_SHARE ** (1 / max(epochs - 1, 1)))
    return Cosine(epochs) if name == "cosine" else Constant()


def resolve_schedule(argument: str, value: object) -> Schedule | ScheduleName | None:
    """Returns None, a schedule or its name as it is, or a function as a `Function` of the epoch.

    Raises:
        TypeError: ``value`` is anything else.
        ValueError: There is no such name.
    """
    if value is None or isinstance(value, Function):
        return value
    if isinstance(value, str):
        if value == Warmup.name:
            raise ValueError(
                f"{argument} must say how long a warm-up takes: write "
                "gdcore.schedules.Warmup(3, after=...)"
            )
        if value not in NAMES:
            raise unknown(argument, value, NAMES)
        return choice(argument, value, NAMES)
    if isinstance(value, Schedule):
        if not hasattr(value, "name"):
            raise TypeError(
                f"{argument} must be a schedule with a name, {type(value).__name__} has none: "
                "pass a function instead"
            )
        return value
    if isinstance(value, type) and issubclass(value, Schedule):
        raise TypeError(f"{argument} must be an object, got the class: write {value.__name__}(...)")
    if callable(value):
        return Function(value)
    raise TypeError(
        f"{argument} must be a schedule such as gdcore.schedules.Cosine(t_max=10), its name, a "
        f"function of the epoch, or None, got {type(value).__name__}"
    )
