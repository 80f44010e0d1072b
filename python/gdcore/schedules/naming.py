"""Schedules by name, and whatever else an argument may give."""

from __future__ import annotations

from dataclasses import replace

from gdcore._check import integer
from gdcore._names import choice, unknown
from gdcore.schedules.base import MOST, Schedule
from gdcore.schedules.composed import Warmup
from gdcore.schedules.decays import Constant, Exponential, Linear, Step
from gdcore.schedules.functions import Function
from gdcore.schedules.waves import Cosine, CosLog, FlatCos, OneCycle
from gdcore.typing import ScheduleName

__all__ = ["spread"]

# What a name alone can say; see `spread`.
NAMES: tuple[ScheduleName, ...] = (
    "constant",
    "step",
    "exponential",
    "cosine",
    "linear",
    "one_cycle",
    "flat_cos",
    "coslog",
)
_LAST_SHARE = 0.01  # of the first rate, in the last epoch of an exponential schedule


_BY_STEPS = ("one_cycle", "flat_cos", "coslog")


def spread(name: ScheduleName, epochs: int, batches: int = 1) -> Schedule:
    """The schedule of a name over so many epochs.

    Args:
        name: ``"constant"``; ``"step"``, a tenth after each third of the epochs;
            ``"exponential"``, each epoch's rate the same share of the one before, down to a
            hundredth in the last; ``"cosine"`` and ``"linear"``, down to 0 where the epochs are
            over; ``"one_cycle"``, ``"flat_cos"`` and ``"coslog"``, `OneCycle`, `FlatCos` and
            `CosLog` with their defaults.
        epochs: At least 1.
        batches: How many an epoch has, at least 1: the last three count steps where it is above 1,
            and `Trainer.fit` tells it.

    Raises:
        TypeError: name is no string, or epochs or batches no integer.
        ValueError: There is no such name, or epochs or batches is below 1.
    """
    epochs = integer("epochs", epochs, at_most=MOST)
    integer("batches", batches, at_most=MOST // epochs)
    if name in _BY_STEPS and batches > 1:
        return replace(spread(name, epochs * batches), per="step")
    made: dict[ScheduleName, Schedule] = {
        "constant": Constant(),
        "step": Step(-(-epochs // 3)),
        "exponential": Exponential(_LAST_SHARE ** (1 / max(epochs - 1, 1))),
        "cosine": Cosine(epochs),
        "linear": Linear(1.0, 0.0, epochs),
        "one_cycle": OneCycle(epochs),
        "flat_cos": FlatCos(epochs),
        "coslog": CosLog(epochs),
    }
    return made[choice("name", name, NAMES)]


def resolve_schedule(argument: str, value: object) -> Schedule | ScheduleName | None:
    """Returns None, a schedule or its name as it is, or a function as a `Function` of the epoch.

    Raises:
        TypeError: ``value`` is anything else.
        ValueError: There is no such name.
    """
    if value is None:
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
        if not hasattr(value, "name") and not value._has_function():
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
