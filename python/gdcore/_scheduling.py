"""What follows schedules in a trainer: its learning rate, and any hyperparameter of its rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdcore._following import (
    Followed,
    Given,
    One,
    followed,
    formed,
    hyperparameters,
    resolve_schedules,
    value_of,
)
from gdcore._native import NativeTrainer
from gdcore.callbacks import Watch
from gdcore.groups import Group, Resolved, own_schedules, with_spread
from gdcore.network import Network
from gdcore.optimizers import Optimizer
from gdcore.schedules import Schedule, Waiting, spread

__all__ = ["PlateauState", "Scheduling", "hyperparameters", "resolve_schedules"]

_NOTHING = 1e-8  # of the first rate: updates that small are lost in rounding


@dataclass
class PlateauState:
    """What a schedule that waits for a figure knows between epochs."""

    best: float | None = None
    bad_epochs: int = 0
    cooldown: int = 0

    def reduces(self, rule: Waiting, value: float, sign: float) -> bool:
        """Takes the figure of an epoch; whether the rate shall be reduced."""
        before = sign * math.inf if self.best is None else self.best
        better, best = rule.judged(value, before, sign)
        self.best = None if math.isinf(best) and best == before else best
        self.bad_epochs = 0 if better else self.bad_epochs + 1
        if self.cooldown > 0:
            self.cooldown -= 1
            self.bad_epochs = 0
        if self.bad_epochs <= rule.patience:
            return False
        self.cooldown, self.bad_epochs = rule.cooldown, 0
        return True


class Scheduling:
    """The part of a `gdcore.Trainer` that follows schedules."""

    _native: NativeTrainer
    _network: Network
    _optimizer: Optimizer
    _groups: tuple[Group, ...]
    _schedule: Given
    _plateau: PlateauState

    def stop(self) -> None:
        """See `gdcore.Trainer.stop`."""
        raise NotImplementedError

    @property
    def _rule(self) -> Optimizer:
        """Whose hyperparameters follow."""
        return self._optimizer.innermost()

    @property
    def hyperparameters(self) -> dict[str, float]:
        """The optimizer's numbers in the next step, as the schedules have them.

        >>> trainer.hyperparameters["weight_decay"]

        Those of groups that follow schedules of their own are told as ``"lr of the group '0.*'"``.
        """
        found: dict[str, float] = {
            key: value_of(self._rule, key) for key in hyperparameters(self._rule)
        }
        rate = {"lr": self._native.lr} if "lr" in found else {}
        return found | rate | dict(self._native.hyper_values)

    def _followed(self) -> list[Followed]:
        keys = self._network._native.parameter_names
        return followed(self._schedule, self._rule, self._groups, keys)

    def _formed(
        self, parameters: list[float], grouped: Resolved
    ) -> tuple[list[float], Any, list[int]]:
        """See `formed`."""
        return formed(self._followed(), parameters, grouped)

    def _follow(self) -> None:
        """Hands to C++ all schedules whose epochs are known; ValueError before anything changes."""
        followed = self._followed()
        natives = [each.native() for each in followed]
        rate = self._rate_schedule()
        if isinstance(rate, Schedule):
            self._native.set_schedule(rate._tree(), rate.per == "step")
        if any(natives):
            self._native.set_hyper_schedules([each for each in natives if each is not None])

    def _rate_schedule(self) -> One | None:
        given = self._schedule
        return given.get("lr") if isinstance(given, Mapping) else given

    def _spread(self, epochs: int, batches: int) -> None:
        """Puts schedules over all epochs in the place of names."""
        given, groups = self._schedule, self._groups
        made = given
        if isinstance(given, str):
            made = spread(given, epochs, batches)
        elif isinstance(given, Mapping) and any(isinstance(e, str) for e in given.values()):
            made = {
                key: spread(each, epochs, batches) if isinstance(each, str) else each
                for key, each in given.items()
            }
        own = tuple(with_spread(group, epochs, batches) for group in groups)
        if made is given and own == groups:
            return
        self._schedule, self._groups = made, own
        try:
            self._follow()
        except ValueError:
            self._schedule, self._groups = given, groups
            raise

    def _outlived(self) -> Iterator[str]:
        """What there is to say where a schedule is over, or no rate from here on would train."""
        rate = self._rate_schedule()
        others = {
            key: each
            for key, each in (dict(self._schedule) if isinstance(self._schedule, Mapping) else {})
            .items()
            if key != "lr"
        }  # fmt: skip
        if isinstance(rate, Schedule) and (words := self._rate_over(rate)):
            yield words
        for key, each in others.items():
            if isinstance(each, Schedule) and self._is_past(each):
                yield self._end_of(each, f" of {key}")
        for group in self._groups:
            for key, each in own_schedules(group.settings).items():
                if isinstance(each, Schedule) and self._is_past(each):
                    yield self._end_of(each, f" of {key} of the group {group.pattern!r}")

    def _now(self, schedule: Schedule) -> int:
        return self._native.steps if schedule.per == "step" else self._native.epochs

    def _is_past(self, schedule: Schedule) -> bool:
        end = schedule.ends()
        return end is not None and self._now(schedule) >= end

    def _end_of(self, schedule: Schedule, of: str) -> str:
        return (
            f"the schedule {schedule}{of} is over: it was made for {schedule.ends()} "
            f"{schedule.per}s, of which {self._now(schedule)} are done. Give another schedule to a "
            "new trainer of the network, or to Trainer.load"
        )

    def _rate_over(self, schedule: Schedule) -> str | None:
        # A function of the caller's is called when its time comes, and never before.
        if schedule._has_function() or schedule._repeats():
            return None
        native = self._native
        now = self._now(schedule)
        # Between its turns a rate only rises or only falls, and after the last it does not rise.
        times = [now, *(time for time in schedule.turns() if time > now)]
        highest = max(map(native.rate_at, times))
        # The second is for who set the rate to next to nothing by hand, and knows it.
        if max(highest, *map(native.scheduled_at, times)) >= _NOTHING * native.base_lr:
            return self._end_of(schedule, "") if self._is_past(schedule) else None
        return (
            f"the schedule {schedule} is over: from here on the learning rate is at most "
            f"{highest:.2g}, where it began with {native.base_lr:.2g}. Give another schedule to a "
            "new trainer of the network, or to Trainer.load"
        )

    def _plateau_rule(self) -> Waiting | None:
        rate = self._rate_schedule()
        if not isinstance(rate, Schedule):
            return None
        return next((each for each in rate._all() if isinstance(each, Waiting)), None)

    def _check_plateau(self, figures: Mapping[str, bool | None]) -> None:
        """ValueError where the figure that a schedule waits for will not be there."""
        rule = self._plateau_rule()
        if rule is not None:
            Watch(rule.monitor, rule.mode).check(figures)

    def _heed(self, values: Mapping[str, float], figures: Mapping[str, bool | None]) -> None:
        """After an epoch, with what the history has of it."""
        rule = self._plateau_rule()
        if rule is None:
            return
        sign = Watch(rule.monitor, rule.mode).check(figures)
        if not self._plateau.reduces(rule, float(values[rule.monitor]), sign):
            return
        lr = self._native.lr
        reduced = rule.lowered(lr)
        tiny = float(np.finfo(self._network.dtype).tiny)  # less cannot be set, and does nothing
        if reduced is None:
            self.stop()
        elif reduced != lr and (reduced == 0 or reduced >= tiny):
            self._native.lr = reduced
