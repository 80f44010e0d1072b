"""Schedules made of others: one after the other, or one upon the other."""

from __future__ import annotations

from dataclasses import field
from itertools import pairwise
from typing import ClassVar

from gdcore._check import listed, real_field
from gdcore._formula import formula
from gdcore.schedules.base import Schedule, per_field, whole
from gdcore.schedules.decays import whole_numbers
from gdcore.schedules.plateau import Waiting
from gdcore.typing import Unit

__all__ = ["Chained", "Sequential", "Warmup"]


def _checked_part(argument: str, part: object, per: Unit, like: str) -> None:
    """Whether it can be a part of another schedule."""
    if not isinstance(part, Schedule) or not (hasattr(part, "name") or part._has_function()):
        raise TypeError(f"{argument} must be a schedule, got {type(part).__name__}")
    if part.per != per and not isinstance(part, Waiting):
        raise ValueError(f"{argument} must be per {per!r} like {like}, got {part.per!r}")
    if any(each._momentum() for each in part._all()):
        raise ValueError(
            f"{argument} must not cycle momentum: give the trainer a dict of schedules with one "
            "for momentum"
        )


def _schedules(argument: str, value: object) -> tuple[Schedule, ...]:
    found = tuple(listed(argument, value, "schedules"))
    if not found:
        raise ValueError(f"{argument} must hold at least one schedule, got none")
    return found


def _no_plateau(argument: str, part: Schedule) -> None:
    waiting = next((each for each in part._all() if isinstance(each, Waiting)), None)
    if waiting is not None:
        kind = type(waiting).__name__
        raise ValueError(
            f"{argument} must not hold {kind}, which has no time of its own: write "
            f"gdcore.schedules.Chained([..., {kind}(...)])"
        )


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
    duration: int = field(metadata={"check": whole})
    start_factor: float = real_field(1 / 3, at_least=0)
    after: Schedule | None = None
    per: Unit = per_field()

    def __post_init__(self) -> None:
        """Checks each field, and that both parts count in the same unit."""
        super().__post_init__()
        if self.after is None:
            return
        if not isinstance(self.after, Schedule):
            raise TypeError(f"after must be a schedule or None, got {type(self.after).__name__}")
        _checked_part("after", self.after, self.per, "the warm-up")
        _no_plateau("after", self.after)

    def turns(self) -> list[int]:
        """Where the warm-up ends, and those of what follows it."""
        after = [] if self.after is None else self.after.turns()
        return [self.duration, *(self.duration + time for time in after)]

    def ends(self) -> int | None:
        """Where what follows has ended."""
        end = None if self.after is None else self.after.ends()
        return None if end is None else self.duration + end

    def _parts(self) -> tuple[Schedule, ...]:
        return () if self.after is None else (self.after,)

    def _repeats(self) -> bool:
        return self.after is not None and self.after._repeats()


@formula
class Sequential(Schedule):
    """lr_t = what the first schedule says up to milestones[0], then the next, and so on.

    Each begins with its t = 0 and with lr_0 at its milestone, as in PyTorch's ``SequentialLR``.

    >>> up, down = gdcore.schedules.Linear(0.1, 1.0, 5), gdcore.schedules.Exponential(0.9)
    >>> gdcore.schedules.Sequential([up, down], milestones=[5])

    Args:
        schedules: In order of time, none of them a `ReduceOnPlateau` or an `Adaptive`.
        milestones: The time at which each but the first begins, each above the one before; 1 to
            2^53.
        per: ``"epoch"`` or ``"step"``; all must be in the same unit.

    Raises:
        TypeError: schedules are none or milestones no integers.
        ValueError: There is not one schedule more than milestones, one is in another unit or cycles
            momentum, or milestones are out of order.
    """

    name: ClassVar[str] = "sequential"
    schedules: tuple[Schedule, ...] = field(metadata={"check": _schedules})
    milestones: tuple[int, ...] = field(metadata={"check": whole_numbers})
    per: Unit = per_field()

    def __post_init__(self) -> None:
        """Checks each field, and that they go together."""
        super().__post_init__()
        for i, part in enumerate(self.schedules):
            _checked_part(f"schedules[{i}]", part, self.per, "the whole")
            _no_plateau(f"schedules[{i}]", part)
        if len(self.milestones) != len(self.schedules) - 1:
            raise ValueError(
                f"milestones must be one less than the {len(self.schedules)} schedules, got "
                f"{len(self.milestones)}"
            )

    def parameters(self) -> list[float]:
        """The milestones."""
        return list(map(float, self.milestones))

    def turns(self) -> list[int]:
        """Milestones, and the turns of each part in its time."""
        begins = [0, *self.milestones]
        ends = [*self.milestones, None]
        found = set(self.milestones)
        for part, begin, end in zip(self.schedules, begins, ends, strict=True):
            times = (begin + time for time in part.turns())
            found |= {time for time in times if end is None or time < end}
            if end is not None:
                found.add(end - 1)  # it may rise up to there
        return sorted(found)

    def ends(self) -> int | None:
        """Where the last has ended."""
        end = self.schedules[-1].ends()
        return None if end is None else self.milestones[-1] + end

    def _parts(self) -> tuple[Schedule, ...]:
        return self.schedules

    def _repeats(self) -> bool:
        return self.schedules[-1]._repeats()

    def _extremes(self, base: float) -> tuple[float, float]:
        # No less and no more than the parts': what repeats has turns that are not told.
        both = [part._extremes(base) for part in self.schedules]
        return min(low for low, _ in both), max(high for _, high in both)


@formula
class Chained(Schedule):
    """lr_t = s_n(... s_2(s_1(lr_0, t), t) ..., t): each makes of it what it makes of its lr_0.

    Where all multiply lr_0, it is multiplied by all, as by PyTorch's ``ChainedScheduler``.

    >>> steps, falling = gdcore.schedules.Step(10), gdcore.schedules.Exponential(0.99)
    >>> gdcore.schedules.Chained([steps, falling])

    Args:
        schedules: In order; one may be a `ReduceOnPlateau` or an `Adaptive`, which counts epochs
            and lowers what the others make.
        per: ``"epoch"`` or ``"step"``; all must be in the same unit.

    Raises:
        TypeError: schedules are none.
        ValueError: schedules are empty, or one is in another unit or cycles momentum.
    """

    name: ClassVar[str] = "chained"
    schedules: tuple[Schedule, ...] = field(metadata={"check": _schedules})
    per: Unit = per_field()

    def __post_init__(self) -> None:
        """Checks each field, and that they go together."""
        super().__post_init__()
        for i, part in enumerate(self.schedules):
            _checked_part(f"schedules[{i}]", part, self.per, "the whole")
        plateaus = [p for p in self.schedules if isinstance(p, Waiting)]
        if len(plateaus) > 1:
            kind = type(plateaus[0]).__name__
            raise ValueError(f"schedules must hold one {kind}, got {len(plateaus)}")
        for i, part in enumerate(self.schedules):
            if not isinstance(part, Waiting):
                _no_plateau(f"schedules[{i}]", part)

    def parameters(self) -> list[float]:
        """None: all is in the parts."""
        return []

    def turns(self) -> list[int]:
        """Those of all, and times between: a product may turn there."""
        found = sorted({0, *(time for part in self.schedules for time in part.turns())})
        between = {(before + after) // 2 for before, after in pairwise(found)}
        return sorted({*found, *between})

    def ends(self) -> int | None:
        """Where the first of them has ended."""
        return min((end for part in self.schedules if (end := part.ends())), default=None)

    def _parts(self) -> tuple[Schedule, ...]:
        return self.schedules

    def _repeats(self) -> bool:
        return any(part._repeats() for part in self.schedules)

    def _extremes(self, base: float) -> tuple[float, float]:
        low = high = base
        for part in self.schedules:
            both = (*part._extremes(low), *part._extremes(high))
            low, high = min(both), max(both)
        return low, high
