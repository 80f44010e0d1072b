"""Which hyperparameters follow which schedules, in groups or not."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from gdcore.groups import (
    Group,
    Resolved,
    own_schedules,
    settings_by_group,
    with_settings,
)
from gdcore.schedules import Schedule, Waiting, resolve_schedule
from gdcore.typing import ScheduleName

if TYPE_CHECKING:
    from gdcore.optimizers import Optimizer

__all__ = [
    "Followed",
    "Given",
    "One",
    "by_key",
    "followed",
    "formed",
    "hyperparameters",
    "resolve_schedules",
    "value_of",
]

One = Schedule | ScheduleName
Given = One | Mapping[str, One] | None

_FORMED = 0.5  # in place of 0 where a rule is made: a form without the state could not be left


def hyperparameters(optimizer: Optimizer) -> dict[str, int]:
    """The numbers that a schedule may change, with their places among the rule's parameters."""
    native = optimizer.parameters()
    found: dict[str, int] = {}
    for field in fields(optimizer):
        value = getattr(optimizer, field.name)
        row = value if isinstance(value, tuple) else (value,)
        for i, number in enumerate(row):
            if not isinstance(number, float):
                continue
            # Where another number turns up, whatever order the rule takes them in.
            other = copy(optimizer)
            changed = (*row[:i], number + 1, *row[i + 1 :])
            object.__setattr__(other, field.name, changed if row is value else changed[0])
            now = other.parameters()
            places = [k for k, each in enumerate(native) if each != now[k]]
            if len(places) == 1:
                found[f"{field.name}[{i}]" if row is value else field.name] = places[0]
    return found


def _parts_of(key: str) -> tuple[str, int | None]:
    name, _, index = key.partition("[")
    return name, int(index[:-1]) if index else None


def value_of(optimizer: Optimizer, key: str) -> Any:
    name, index = _parts_of(key)
    value = getattr(optimizer, name)
    return value if index is None else value[index]


def _with_value(optimizer: Optimizer, key: str, value: float) -> Optimizer:
    """With a hyperparameter changed; ValueError where it cannot have that value."""
    name, index = _parts_of(key)
    if index is not None:
        row = list(getattr(optimizer, name))
        row[index] = value
        return replace(optimizer, **{name: tuple(row)})
    return replace(optimizer, **{name: value})


def resolve_schedules(argument: str, value: object, optimizer: Optimizer | None = None) -> Given:
    """The argument schedule: one for the learning rate, or a dict of them by hyperparameters.

    Raises:
        TypeError: It is neither, or one in a dict is no schedule.
        ValueError: A name is unknown, or the optimizer has no such hyperparameter.
    """
    if not isinstance(value, Mapping):
        return resolve_schedule(argument, value)
    found: dict[str, One] = {}
    for key, given in value.items():
        if optimizer is not None:
            check_key(argument, key, optimizer)
        each = resolve_schedule(f"{argument}[{key!r}]", given)
        if each is None:
            raise TypeError(f"{argument}[{key!r}] must be a schedule or its name, got None")
        if key != "lr" and isinstance(each, Schedule):
            _refuse_lr_only(f"{argument}[{key!r}]", each)
        found[key] = each
    if not found:
        raise ValueError(f"{argument} must hold at least one schedule, got an empty dict")
    return found


def check_key(argument: str, key: object, optimizer: Optimizer) -> None:
    """ValueError where the optimizer has no number of that name."""
    known = hyperparameters(optimizer)
    if key in known:
        return
    pairs = [each for each in known if each.partition("[")[0] == key]
    hint = f"; write {' or '.join(map(repr, pairs))}" if pairs else ""
    raise ValueError(
        f"{argument} must name hyperparameters of {type(optimizer).__name__} that are numbers, "
        f"{', '.join(map(repr, known))}, got {key!r}{hint}"
    )


def _refuse_lr_only(where: str, schedule: Schedule) -> None:
    waiting = next((each for each in schedule._all() if isinstance(each, Waiting)), None)
    if waiting is not None:
        kind = type(waiting).__name__
        raise ValueError(f"{where} must not be {kind}, which is for 'lr' alone")
    if schedule._momentum() is not None:
        raise ValueError(f"{where} must not cycle momentum, which goes with 'lr' alone")


class _Asked:
    """A schedule with a function of the caller's in it: what it gives is checked each time."""

    def __init__(self, where: str, schedule: Schedule, key: str, optimizer: Optimizer) -> None:
        # Made once: a product of factors remembers what it has come to.
        self._given = (where, schedule._tree(), key, optimizer)

    def __call__(self, base: float, t: int) -> float:
        where, tree, key, optimizer = self._given
        from gdcore import _core  # only here: descriptions know no C++

        value = _core.schedule_values(tree, base, [t])[0]
        try:
            _with_value(optimizer, key, value)
        except ValueError as error:
            raise ValueError(f"{where} at time {t}: {error}") from None
        return value


@dataclass
class Followed:
    """A hyperparameter that follows a schedule, of some groups.

    Attributes:
        key: As in a dict of schedules.
        told: What it is called in errors.
        place: Among the rule's parameters.
        optimizer: What it starts from is this one's.
        schedule: A name where the epochs are not known yet.
        targets: Groups with what they multiply it by.
    """

    key: str
    told: str
    place: int
    optimizer: Optimizer
    schedule: One
    targets: list[tuple[int, float]]

    def native(self) -> tuple[Any, ...] | None:
        """As C++ takes it; ValueError where it leaves the hyperparameter's domain."""
        if isinstance(self.schedule, str):
            return None
        base = value_of(self.optimizer, self.key)
        where = f"the schedule of {self.told}"
        tree: Any = self.schedule._tree()
        if self.place == 0:
            pass  # C++ looks at rates
        elif self.schedule._has_function():
            tree = _Asked(where, self.schedule, self.key, self.optimizer)
        else:
            for end in self.schedule._extremes(base):
                value = min(end, sys.float_info.max)
                try:
                    _with_value(self.optimizer, self.key, value)
                except ValueError as error:
                    raise ValueError(
                        f"{where} must stay where {type(self.optimizer).__name__} takes it, and "
                        f"reaches {end:g}: {error}"
                    ) from None
        start = 0.0 if self.place == 0 else base
        return self.told, self.place, start, tree, self.schedule.per == "step", self.targets


def by_key(argument: str, given: Given, optimizer: Optimizer) -> dict[str, One]:
    """Schedules by hyperparameters, with those that others bring along."""
    if given is None:
        return {}
    found = dict(given) if isinstance(given, Mapping) else {"lr": given}
    rate = found.get("lr")
    momentum = rate._momentum() if isinstance(rate, Schedule) else None
    if momentum is not None:
        known = hyperparameters(optimizer)
        key = next((each for each in ("momentum", "betas[0]") if each in known), None)
        if key is None:
            raise ValueError(
                f"{argument}: cycle_momentum must be False, as {type(optimizer).__name__} has "
                f"neither momentum nor betas but {', '.join(map(repr, known))}"
            )
        if key in found:
            raise ValueError(
                f"{argument}: {key!r} must not be given where the schedule of 'lr' has "
                "cycle_momentum"
            )
        found[key] = momentum
    return found


def followed(
    given: Given, optimizer: Optimizer, groups: Sequence[Group], keys: Sequence[str]
) -> list[Followed]:
    """What follows schedules, but for the trainer's learning rate."""
    if given is None and not any("schedule" in group.settings for group in groups):
        return []
    places = hyperparameters(optimizer)
    by_group = settings_by_group(groups, keys)
    found: list[Followed] = []
    own: list[tuple[int, str, Optimizer, dict[str, One]]] = []
    for number, (patterns, settings) in enumerate(by_group, 1):
        mine: dict[str, One] = {**own_schedules(settings)}
        for key in mine:
            check_key(f"the schedule of the group {patterns}", key, optimizer)
        made = with_settings(f"the group {patterns}", optimizer, settings)
        where = f"the schedule of the group {patterns}"
        own.append((number, patterns, made, by_key(where, mine or None, optimizer)))
    for key, schedule in by_key("schedule", given, optimizer).items():
        if key == "lr":
            continue
        targets = [(0, 1.0)]
        for (number, _, _, mine), (_, settings) in zip(own, by_group, strict=True):
            name = _parts_of(key)[0]
            if key not in mine and name not in settings:
                targets.append((number, settings.get(f"{name}_factor", 1.0)))
        found.append(Followed(key, key, places[key], optimizer, schedule, targets))
    for number, patterns, made, mine in own:
        for key, schedule in mine.items():
            told = f"{key} of the group {patterns}"
            found.append(Followed(key, told, places[key], made, schedule, [(number, 1.0)]))
    return found


def formed(
    following: Sequence[Followed], parameters: list[float], grouped: Resolved
) -> tuple[list[float], Any, list[int]]:
    """Hyperparameters as a rule is made with, its own and those of groups.

    What is 0 and follows a schedule is not 0 there: the rule's form must have its state.
    """
    rows = [list(parameters), *(list(hyper) for _, hyper, _, _ in grouped.groups[1:])]
    for each in following:
        for group, _ in each.targets:
            row = rows[group]
            if each.place and row[each.place] == 0:
                row[each.place] = _FORMED
    groups = [(name, rows[i], *rest) for i, (name, _, *rest) in enumerate(grouped.groups)]
    return rows[0], groups, grouped.group_of
