"""What follows schedules where an optimizer is bound to arrays: step by step, there are no epochs.

It is asked before each step, in Python: C++ keeps the hyperparameters and knows no schedule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gdcore._following import Given, followed, resolve_schedules
from gdcore.groups import Group, own_schedules
from gdcore.schedules import Function, Schedule, Waiting
from gdcore.schedules.base import Tree

if TYPE_CHECKING:
    from gdcore.optimizers import Optimizer

__all__ = ["StepSchedules", "checked"]


def checked(schedule: Any, optimizer: Optimizer, groups: Sequence[Group]) -> Given:
    """The argument schedule of `Optimizer.bind`, with those of groups.

    Raises:
        TypeError: One is no schedule.
        ValueError: One is a name, counts epochs or waits for a plateau, or the optimizer has no
            such hyperparameter.
    """
    if isinstance(schedule, Mapping):
        schedule = {key: _of_steps(each) for key, each in schedule.items()}
    given = resolve_schedules("schedule", _of_steps(schedule), optimizer)
    found = given if isinstance(given, Mapping) else {"lr": given}
    for key, each in found.items():
        _check("schedule" if found is not given else f"schedule[{key!r}]", each)
    for index, group in enumerate(groups):
        for key, each in own_schedules(group.settings).items():
            _check(f"groups[{index}]: the schedule of {key!r}", each)
    return given


def _of_steps(value: Any) -> Any:
    is_function = callable(value) and not isinstance(value, (Schedule, type))
    return Function(value, per="step") if is_function else value


def _check(where: str, schedule: Any) -> None:
    if schedule is None:
        return
    if isinstance(schedule, str):
        raise ValueError(
            f"{where} must be an object under bind, where nobody knows how many steps there will "
            f"be, got {schedule!r}: write such as gdcore.schedules.Cosine(1000, per='step')"
        )
    waiting = next((each for each in schedule._all() if isinstance(each, Waiting)), None)
    if waiting is not None:
        raise ValueError(
            f"{where} must not be {type(waiting).__name__} under bind, where there are no figures "
            "to wait for: set lr between steps"
        )
    if schedule.per != "step":
        raise ValueError(
            f"{where} must be per 'step' under bind, where there are no epochs, got {schedule!r}"
        )


class StepSchedules:
    """Schedules at work; `at` tells what the next step takes."""

    def __init__(
        self,
        given: Given,
        optimizer: Optimizer,
        groups: Sequence[Group],
        keys: Sequence[str],
        tiny: float,
    ) -> None:
        """Looks for what leaves its domain.

        Args:
            given: As `checked` gives it.
            optimizer: The innermost.
            groups: Of the arrays.
            keys: Of the arrays.
            tiny: What is smaller is taken for 0.

        Raises:
            ValueError: A hyperparameter would leave its domain.
        """
        rate = given.get("lr") if isinstance(given, Mapping) else given
        self.following = followed(given, optimizer, groups, keys)
        self._rate: Tree | None = rate._tree() if isinstance(rate, Schedule) else None
        self._others = [each for own in self.following if (each := own.native()) is not None]
        self._base, self._tiny = optimizer.lr, tiny
        self._scale = self._at = 1.0

    def __bool__(self) -> bool:
        return self._rate is not None or bool(self._others)

    @property
    def has_rate(self) -> bool:
        """Whether the learning rate itself follows."""
        return self._rate is not None

    def at(self, t: int) -> list[tuple[int, int, float]]:
        """Group, place among the rule's parameters and value of each that follows, but the rate.

        Raises:
            ValueError: A schedule gives what is none.
        """
        found = []
        for told, place, start, tree, _, targets in self._others:
            value = self._rate_of(told, tree, t) if place == 0 else _value(tree, start, t)
            for group, factor in targets:
                number = value * factor
                found.append((group, place, 0.0 if abs(number) < self._tiny else number))
        return found

    def rate(self, t: int) -> float:
        """The learning rate, where it follows.

        Raises:
            ValueError: The schedule gives what is none.
        """
        value = self._rate_of("lr", self._rate, t)
        return 0.0 if value < self._tiny else value

    def set_rate(self, lr: float, t: int) -> None:
        """Has the rate be lr at that time, and the rest of the schedule in proportion.

        Where there is none, the schedules of groups start from it.

        Raises:
            ValueError: The schedule is at 0.
        """
        if self._rate is None:
            self._base = lr
            return
        now = _value(self._rate, self._base, t)
        if not now > 0:
            raise ValueError("lr cannot be set where the schedule is at 0")
        self._scale, self._at = lr, now

    def _rate_of(self, told: str, tree: Any, t: int) -> float:
        value = self._scale * (_value(tree, self._base, t) / self._at)
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(
                f"the schedule of {told} must give a learning rate that is finite and at least 0, "
                f"got {value:g} at time {t}"
            )
        return value


def _value(tree: Any, base: float, t: int) -> float:
    from gdcore import _core  # only here: descriptions know no C++

    return _core.schedule_values(tree, base, [t])[0]
