"""What all optimizers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from gdcore._check import checked_field, flag, real
from gdcore._formula import Formula

if TYPE_CHECKING:
    from gdcore.bound_rule import BoundRule
    from gdcore.groups import Group

__all__ = ["Optimizer", "as_numbers", "betas_field", "maximize_field", "optional_real_field"]


def __dir__() -> list[str]:
    return __all__


class Optimizer(Formula, family="an optimizer"):
    """Base of all optimizers."""

    lr: float

    def innermost(self) -> Optimizer:
        """The optimizer itself; of one around another, see `gdcore.wrappers`, that."""
        return self

    def wrappers(self) -> list[tuple[str, list[float]]]:
        """What is around `innermost`, by name with numbers; nothing."""
        return []

    def penalty(self) -> Optimizer | None:
        """The `gdcore.Penalized` among what is around it, or None."""
        return None

    def bind(
        self,
        arrays: Sequence[NDArray[Any]],
        *,
        groups: Sequence[Group] = (),
        schedule: Any = None,
    ) -> BoundRule:
        """Makes the state to update NumPy arrays of one's own, in place.

        >>> weights = [np.zeros((3, 2)), np.zeros(3)]
        >>> rule = gdcore.Adam(lr=0.1).bind(weights)
        >>> rule.step([np.ones((3, 2)), np.ones(3)])

        Args:
            arrays: The parameters, all float32 or all float64, writable, C-contiguous, aligned, and
                without memory in common.
            groups: Arrays with hyperparameters of their own, or that do not change, see
                `gdcore.Group`; the keys are ``"0"``, ``"1"``, ... in the order of arrays. Of one
                that is frozen the gradient is not looked at.
            schedule: How the learning rate changes from step to step, as in `gdcore.Trainer`, or a
                dict by hyperparameters: objects of `gdcore.schedules` with ``per="step"``, or
                functions of the number of steps done. So are those of groups.

        Raises:
            TypeError: arrays is no sequence, an entry is no NumPy array of float32 or float64 or is
                masked, or they differ in dtype; or schedule is none.
            ValueError: There are no arrays, one is empty, read-only, not C-contiguous or not
                aligned, or two overlap; or groups are wrong as for a `gdcore.Trainer`; or a
                schedule is a name, counts epochs, waits for a plateau, or would have a
                hyperparameter leave its domain.
        """
        # Only here: descriptions know no C++, and schedules of groups know optimizers.
        from gdcore._bound_schedules import StepSchedules, checked
        from gdcore._following import formed
        from gdcore.bound_rule import BoundRule
        from gdcore.groups import checked_groups, resolved

        optimizer, row = Optimizer.resolve("optimizer", self), checked_groups(groups)
        within = optimizer.innermost()
        given = checked(schedule, within, row)

        def resolve(keys: list[str], tiny: float) -> tuple[tuple[Any, ...], StepSchedules]:
            grouped = resolved(row, keys, optimizer, "an array")
            follows = StepSchedules(given, within, row, keys, tiny)
            made = formed(follows.following, within.parameters(), grouped)
            return (*made, grouped.around), follows

        return BoundRule(optimizer, arrays, row, resolve)


def betas_field(*default: float) -> Any:
    """A field of as many rates of decay as there are defaults, each within [0, 1)."""

    def check(argument: str, value: object) -> tuple[float, ...]:
        if not isinstance(value, (tuple, list)) or len(value) != len(default):
            wanted = "a pair of numbers" if len(default) == 2 else f"{len(default)} numbers"
            raise TypeError(f"{argument} must be {wanted}, got {value!r}")
        return tuple(
            real(f"{argument}[{index}]", rate, at_least=0, below=1)
            for index, rate in enumerate(value)
        )

    return field(default=default, metadata={"check": check})


def maximize_field() -> Any:
    """The last field of an optimizer: whether it goes up; in no file where it does not."""
    return field(default=False, metadata={"check": flag, "came_later": True})


def optional_real_field(default: float | None, **bounds: float) -> Any:
    """A field that holds None or a real number within ``bounds``; see `gdcore._check.real`."""

    def check(argument: str, value: object) -> float | None:
        return None if value is None else real(argument, value, **bounds)

    return checked_field(default, check)


def as_numbers(described: Formula, **instead: float | tuple[float, ...]) -> list[float]:
    """Its fields in order, as C++ takes them, with ``instead`` in the place of some."""
    numbers: list[float] = []
    for each in fields(described):
        value = instead.get(each.name, getattr(described, each.name))
        numbers.extend(map(float, value if isinstance(value, tuple) else (value,)))
    return numbers
