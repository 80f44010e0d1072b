"""What all schedules have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field, fields
from typing import Any

from gdcore._check import integer, listed
from gdcore._formula import Formula
from gdcore._names import choice
from gdcore.typing import Unit

__all__ = ["Schedule"]

UNITS: tuple[Unit, ...] = ("epoch", "step")
# Epochs or steps: C++ takes them as float64, which has no more whole numbers in a row.
MOST = 2**53

# As C++ takes a schedule: its name, numbers, and parts that are such in turn; or a function of
# (base, t).
Tree = tuple[str, list[float], list[Any]] | Callable[[float, int], float]


def unit(argument: str, value: object) -> Unit:
    """The check of ``per``."""
    return choice(argument, value, UNITS)


def whole(argument: str, value: object) -> int:
    """The check of a number of epochs or steps that is at least 1."""
    return integer(argument, value, at_most=MOST)


def per_field() -> Any:
    """The field ``per``."""
    return field(default="epoch", metadata={"check": unit})


def later_field(default: object, check: Callable[[str, object], object]) -> Any:
    """A field that came after files were written: left out of them where it is the default."""
    return field(default=default, metadata={"check": check, "came_later": True})


class Schedule(Formula, family="a schedule"):
    """Base of all schedules."""

    per: Unit

    def parameters(self) -> list[float]:
        """The numbers among the fields, in order, as C++ takes them."""
        numbers = (getattr(self, each.name) for each in fields(self))
        return [float(number) for number in numbers if isinstance(number, (int, float))]

    def values(self, lr: float, times: Iterable[int]) -> list[float]:
        """What it gives at some times, for a learning rate, or another hyperparameter, of lr.

        >>> gdcore.schedules.Cosine(t_max=4).values(0.1, range(5))

        Args:
            lr: lr_0, what it starts from.
            times: Of each value its t, at least 0.

        Raises:
            TypeError: times is no sequence of integers.
            ValueError: A time is below 0.
        """
        from gdcore import _core  # only here: descriptions know no C++

        checked = [
            integer(f"times[{i}]", t, at_least=0)
            for i, t in enumerate(listed("times", times, "times"))
        ]
        return list(_core.schedule_values(self._tree(), lr, checked))

    def turns(self) -> list[int]:
        """The times at which it may turn from rising to falling, or back, or jump.

        Of what repeats, those of the first round.
        """
        return []

    def ends(self) -> int | None:
        """The time from which it has nothing more to say, where it was made for one run."""
        return None

    def _tree(self) -> Tree:
        return self.name, self.parameters(), [part._tree() for part in self._parts()]

    def _parts(self) -> tuple[Schedule, ...]:
        return ()

    def _all(self) -> Iterator[Schedule]:
        """This and all within it; a file may hold a thousand in each other."""
        waiting: list[Schedule] = [self]
        while waiting:
            each = waiting.pop()
            yield each
            waiting += reversed([*each._parts()])

    def _repeats(self) -> bool:
        """Whether it goes on for ever."""
        return False

    def _momentum(self) -> Schedule | None:
        """The schedule of momentum that goes with it."""
        return None

    def _has_function(self) -> bool:
        return any(callable(getattr(each, "function", None)) for each in self._all())

    def _extremes(self, base: float) -> tuple[float, float]:
        """The least and the largest value over all times."""
        times = {0, MOST, *(t + d for t in self.turns() for d in (-1, 0))}
        found = self.values(base, sorted(t for t in times if t >= 0))
        return min(found), max(found)


class Absolute(Schedule):
    """A schedule that no name stands for: what another one makes of momentum."""

    def __init__(self, per: Unit, tree: Tree, extremes: tuple[float, float]) -> None:
        for name, value in (("per", per), ("_made", tree), ("_both", extremes)):
            object.__setattr__(self, name, value)

    def _tree(self) -> Tree:
        made: Tree = self._made  # type: ignore[attr-defined]
        return made

    def _extremes(self, base: float) -> tuple[float, float]:
        both: tuple[float, float] = self._both  # type: ignore[attr-defined]
        return both
