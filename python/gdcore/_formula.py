"""What activations, losses and optimizers have in common: a name, and numbers as parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, FrozenInstanceError, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from gdcore._names import unknown

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[T], T]:
        return lambda function: function


__all__ = ["Formula", "formula"]

T = TypeVar("T")
F = TypeVar("F", bound="Formula")


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def formula(cls: type[T]) -> type[T]:
    """What ``@dataclass(frozen=True)`` makes of a `Formula`, in a fifth of the time.

    All but ``__init__`` is in `Formula`: a dataclass compiles it for each class anew, and most of
    what it takes to load gdcore would go there.
    """
    if hasattr(cls, "__dataclass_params__"):  # of a base
        return dataclass(frozen=True, eq=False, repr=False)(cls)
    made: Any = dataclass(eq=False, repr=False)(cls)
    made.__dataclass_params__.frozen = True  # for those who derive from it
    return cls


class Formula:
    """A formula by its name and parameters; the arithmetic itself is in C++.

    A family is a subclass that says ``family="..."``. Its members are frozen dataclasses that set
    ``name`` to the formula's name in C++ and have its parameters as fields, in the same order.
    Defining the class is all: it is found by its name from then on. A subclass that sets no
    ``name`` of its own enters nothing: it is a member's variant, or a base in between.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    members: ClassVar[dict[str, type[Any]]]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls, *, family: str | None = None) -> None:
        """Opens a family, or enters a member into the family it belongs to.

        Raises:
            ValueError: Another class has the same name in the same family.
        """
        super().__init_subclass__()
        if family is not None:
            cls.family, cls.members = family, {}
        elif "name" in vars(cls):
            there = cls.members.get(cls.name)
            # The same class once more, from a notebook's cell or for its slots, takes its place.
            if there is not None and _origin(there) != _origin(cls):
                raise ValueError(
                    f"name must be new, got {cls.name!r} for {'.'.join(_origin(cls))}: "
                    f"that is {'.'.join(_origin(there))}"
                )
            cls.members[cls.name] = cls

    def __post_init__(self) -> None:
        """Checks every field that was declared with a check, and keeps what the check returns."""
        for each in fields(self):
            if check := each.metadata.get("check"):
                value = check(each.name, getattr(self, each.name))
                object.__setattr__(self, each.name, value)

    # As frozen dataclasses have them; see `formula`.

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

    def parameters(self) -> list[float]:
        """The parameters as C++ takes them: in order, tuples in sequence, bools as 0 or 1.

        None is left out: an array that there is not, which comes last.
        """
        numbers: list[float] = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None:
                continue
            numbers.extend(map(float, value if isinstance(value, tuple) else (value,)))
        return numbers

    @classmethod
    def resolve(cls: type[F], argument: str, value: str | F) -> F:
        """Returns the member called ``value``, with its defaults, or ``value`` if it is a member.

        Raises:
            TypeError: ``value`` is neither a string nor of this family.
            ValueError: No member has this name.
        """
        if isinstance(value, str):
            if value not in cls.members:
                raise unknown(argument, value, cls.members)
            member: F = cls.members[value]()
            return member
        if isinstance(value, cls):
            if not hasattr(value, "name"):
                kind = type(value).__name__
                raise TypeError(f"{argument} must be {cls.family} with a name, {kind} has none")
            return value
        if isinstance(value, type) and issubclass(value, cls):
            raise TypeError(
                f"{argument} must be an object, got the class: write {value.__name__}()"
            )
        kind = type(value).__name__
        raise TypeError(f"{argument} must be the name of {cls.family} or an object, got {kind}")


def _values(formula: Any) -> tuple[Any, ...]:
    return tuple(getattr(formula, field.name) for field in fields(formula))


def _origin(cls: type[Any]) -> tuple[str, str]:
    return cls.__module__, cls.__name__
