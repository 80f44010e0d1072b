"""Dataclasses that never change and take little time to load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, FrozenInstanceError, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[T], T]:
        return lambda function: function


__all__ = ["Frozen", "frozen"]

T = TypeVar("T")


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """What ``@dataclass(frozen=True)`` makes of a `Frozen`, in a fifth of the time.

    All but ``__init__`` is in `Frozen`: a dataclass compiles it for each class anew, and most of
    what it takes to load gdcore would go there.
    """
    if hasattr(cls, "__dataclass_params__"):  # of a base
        return dataclass(frozen=True, eq=False, repr=False)(cls)
    made: Any = dataclass(eq=False, repr=False)(cls)
    made.__dataclass_params__.frozen = True  # for those who derive from it
    return cls


class Frozen:
    """Base of what `frozen` makes."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __post_init__(self) -> None:
        """Checks every field that was declared with a check, and keeps what the check returns."""
        for each in fields(self):
            if check := each.metadata.get("check"):
                value = check(each.name, getattr(self, each.name))
                object.__setattr__(self, each.name, value)

    # As frozen dataclasses have them.

    def __setattr__(self, name: str, value: object) -> None:
        if self._frozen(name, first=name not in self.__dict__):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if self._frozen(name, first=False):
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def _frozen(self, name: str, *, first: bool) -> bool:
        if name in self.__dataclass_fields__:
            return not first  # it is __init__ that comes first
        # A class derived from a dataclass may have attributes of its own.
        return "__dataclass_fields__" in vars(type(self))

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((self.__class__, *_values(self)))

    def __repr__(self) -> str:
        told = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{self.__class__.__qualname__}({', '.join(told)})"


def _values(described: Any) -> tuple[Any, ...]:
    return tuple(getattr(described, each.name) for each in fields(described))
